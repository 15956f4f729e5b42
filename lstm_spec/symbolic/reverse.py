"""Reverse mode over a cell's equations, from the last computed to the first: what each name's gradient is the sum of.

`chain_rule` says what an equation passes back; here it arrives, is added up, and gets a name where it is read more than
once. Declares nothing: `gradient` makes a cell of the equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from itertools import takewhile

from lstm_spec.symbolic.algebra import Join, Multiply, Name, Node, Number
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.chain_rule import ChainRule
from lstm_spec.symbolic.derivatives import added
from lstm_spec.symbolic.draft import Draft
from lstm_spec.symbolic.gradient_names import GradientNames, lengthen
from lstm_spec.symbolic.outer import has_outer
from lstm_spec.symbolic.recomputed import ForwardValues


@dataclass(slots=True)
class Backward:
    """The backward pass of a cell as it is derived: its equations so far, and what each name's gradient is the sum of.

    `keep` is that of `ChainRule`.
    """

    cell: Cell
    keep: bool = False
    draft: Draft = field(init=False)
    values: ForwardValues = field(init=False)
    rule: ChainRule = field(init=False)
    terms: dict[str, list[Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draft = Draft(self.cell)
        self.values = ForwardValues(self.draft)
        self.rule = ChainRule(self.draft, self.values, self.keep)

    @property
    def names(self) -> GradientNames:
        """What the gradients are called."""
        return self.draft.names

    @property
    def parts(self) -> dict[str, str]:
        """What was taken apart → the name that it is the gradient of."""
        return self.rule.parts

    def run(self) -> list[Equation]:
        """Every equation of the backward cell."""
        for equation in reversed(self.cell.ordered):
            self._pass_back(equation)
        for name, gradient in self.names.parameters.items():
            self._close(gradient, name, total=True)
        for name, gradient in self.names.inputs.items():
            self._close(gradient, name)
        for name, gradient in self.names.states.items():
            self._close(gradient + "'", name, nothing=gradient)
        return self.values.name_repeated()

    def unread(self, equations: list[Equation]) -> set[str]:
        """What came in or was named on the way, and no equation reads."""
        names, read = self.names, {name for e in equations for name in e.reads}
        answers = {*names.parameters.values(), *names.inputs.values(), *(d + "'" for d in names.states.values())}
        made = {target for e in equations for target in e.targets}
        return (made | set(names.outputs.values())) - answers - read

    def _close(self, gradient: str, name: str, total: bool = False, nothing: str = "") -> None:
        terms = self.terms.get(name) or [Multiply(Number(0), Name(nothing or name))]
        self.draft.equations.append(Equation((gradient,), reduce(added, terms), total))

    def _pass_back(self, equation: Equation) -> None:
        self.draft.target = _stem(equation)
        expression = equation.expression
        is_split = len(equation.targets) > 1
        gradient = self._joined(equation) if is_split else self._whole(equation.targets[0], expression)
        if gradient is not None:
            for name, terms in self.rule.apply(expression, gradient).items():
                self.terms[name] = terms + self.terms.get(name, [])

    def _arriving(self, target: str) -> list[Node]:
        """What arrives at a value: from the later step, from the output, from those that read it in this step."""
        terms: list[Node] = [Name(d) for s, d in self.names.states.items() if s + "'" == target]
        terms += [Name(d) for o, d in self.names.outputs.items() if self.cell.value_of(o) == target]
        return terms + self.terms.get(target, [])

    def _whole(self, target: str, expression: Node) -> Node | None:
        """The whole gradient of a value, under a name where it is read more than once or is a sum."""
        terms = self._arriving(target)
        if not terms:
            return None
        whole = reduce(added, terms)
        is_state = target.endswith("'")
        if (
            isinstance(whole, Name)
            or has_outer(whole)
            or not (is_state or len(terms) > 1 or self.rule.count_reads(expression) > 1)
        ):
            return whole
        if not is_state and len(terms) == 1:
            return whole  # named as what stands inside: d_f
        return self.draft.define(f"{lengthen(self.cell, 'e_')}{self.draft.target}", whole)

    def _joined(self, equation: Equation) -> Node | None:
        """The gradient of a vector that was taken apart: its parts, one under the other."""
        if not any(map(self._arriving, equation.targets)):
            return None
        parts: list[Node] = []
        for target in equation.targets:
            whole = reduce(added, self._arriving(target) or [Multiply(Number(0), Name(target))])
            name = f"{self.draft.prefix}{target}"
            parts.append(whole if isinstance(whole, Name) else self.draft.define(name, whole))
        return Join(*parts)


def _stem(equation: Equation) -> str:
    """What an equation's gradients are called after: its target, or what its targets have in common."""
    targets = [t.removesuffix("'") for t in equation.targets]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*targets, strict=False))
    return "".join(letters[0] for letters in same).rstrip("_") or targets[0]
