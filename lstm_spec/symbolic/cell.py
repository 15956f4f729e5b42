"""A cell: named equations, and what each name in them is.

Comes from the equation language or from code, goes to every derivation. A `Cell` that exists is well formed
(`wellformed.check_cell`); whether its dimensions fit is asked of `shapes.infer`. Holds no sizes but letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from sympy import Symbol

from lstm_spec.display import Displayed
from lstm_spec.symbolic.algebra import Node, Span, names
from lstm_spec.symbolic.printing import size_text, text

Role = Literal["input", "state", "parameter", "gate", "next", "total"]

KEYWORDS = ("input", "state", "let", "output")
LINE_END = re.compile(r"\r\n|\r|\n")
QUOTED = 100  # columns of a line that an error quotes
AXES = {"B": "the batch", "T": "the time steps", "L": "the layers", "D": "the directions"}  # no size letters


def letter(name: str) -> Symbol:
    """The SymPy symbol of a size letter: an integer ≥ 1."""
    return Symbol(name, integer=True, positive=True)


@dataclass(frozen=True, slots=True)
class Source:
    """The text a cell was read from, and its name for people, e.g. `my.cell`."""

    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The text line by line; only \\n ends one."""
        return self.text.split("\n")

    def quote(self, span: Span) -> str:
        """`my.cell:9   c' = f * c + i * g`, with carets under the span on the line below."""
        line = self.lines[span.line - 1].expandtabs(1).rstrip()
        end = span.end_column if span.end_line == span.line else len(line) + 1
        first = max(len(line) - len(line.lstrip()), span.column - QUOTED // 2)
        shown = line[first : first + QUOTED]
        head = f"{self.name}:{span.line}   "
        carets = "^" * max(1, min(end - span.column, QUOTED // 2))
        return f"{head}{shown}\n{' ' * (len(head) + span.column - 1 - first)}{carets}"


@dataclass(frozen=True, slots=True)
class Declaration:
    """`c[k]`: a name and its size, one letter sum a dimension; `order` has the letters as they were written."""

    name: str
    size: tuple[Any, ...]
    span: Span | None = field(default=None, compare=False, repr=False)
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        letters = (name for size in self.size for name in sorted(map(str, size.free_symbols)))
        object.__setattr__(self, "order", tuple(dict.fromkeys((*self.order, *letters))))

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(size_text(s, self.order) for s in self.size)}]"


@dataclass(frozen=True, slots=True)
class Equation:
    """`f = sigmoid(…)`, `[a, b] = …` or, summed over time and batch, `d_W += …`."""

    targets: tuple[str, ...]
    expression: Node
    total: bool = False
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def left(self) -> str:
        """The left-hand side as written."""
        return f"[{', '.join(self.targets)}]" if len(self.targets) > 1 else self.targets[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names on the right, each once, in the written order."""
        return tuple(dict.fromkeys(n.name for n in names(self.expression)))

    def __str__(self) -> str:
        return f"{self.left} {'+=' if self.total else '='} {text(self.expression)}"


@dataclass(frozen=True)
class Cell(Displayed):
    """One step of a recurrence, as equations in the order they were written.

    >>> from lstm_spec.symbolic.language import parse
    >>> print(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)"))
    input x[n]
    state h[k]
    <BLANKLINE>
    h' = tanh(W x + U h + b)

    Raises CellError when a name is defined twice, never read, or read in a circle (`wellformed` lists them all).
    """

    inputs: tuple[Declaration, ...]
    states: tuple[Declaration, ...]
    equations: tuple[Equation, ...]
    lets: tuple[Declaration, ...] = ()
    outputs: tuple[str, ...] = ("h",)
    description: str = field(default="", compare=False)
    source: Source | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        from lstm_spec.symbolic.wellformed import check_cell

        check_cell(self)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Inputs, states and stated shapes, in that order."""
        return self.inputs + self.states + self.lets

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The size letters, by first appearance in the text."""
        return tuple(dict.fromkeys(name for declared in self.declarations for name in declared.order))

    @cached_property
    def defined(self) -> Mapping[str, Equation]:
        """The equation that defines each left-hand name."""
        return {target: equation for equation in self.equations for target in equation.targets}

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names that are no input, state or left-hand side, by first appearance."""
        known = {d.name for d in self.inputs + self.states} | set(self.defined)
        read = (name for equation in self.equations for name in equation.reads)
        return tuple(dict.fromkeys(name for name in read if name not in known))

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """What each name is. A `gate` is an unprimed left-hand side, a `next` the new value of a state."""
        roles: dict[str, Role] = {d.name: "input" for d in self.inputs}
        roles |= {d.name: "state" for d in self.states}
        roles |= dict.fromkeys(self.parameters, "parameter")
        for equation in self.equations:
            for target in equation.targets:
                roles[target] = "total" if equation.total else "next" if target.endswith("'") else "gate"
        return roles

    @cached_property
    def ordered(self) -> tuple[Equation, ...]:
        """The equations in an order in which they can be computed; as written where that is one."""
        from lstm_spec.symbolic.wellformed import sort_equations

        return sort_equations(self)

    def value_of(self, output: str) -> str:
        """The name that carries an output: a state's value after the step, or the equation itself."""
        return output + "'" if any(d.name == output for d in self.states) else output

    def at(self, equation: Equation | None, span: Span | None = None) -> str:
        """Where something stands, for an error: quoted with carets where the text is known."""
        span = span or (equation.span if equation else None)
        if self.source and span:
            return self.source.quote(span)
        return str(equation) if equation else "the cell"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from (f"# {line}".rstrip() for line in LINE_END.split(self.description) if self.description)
        for keyword, declared in (("input", self.inputs), ("state", self.states), ("let", self.lets)):
            if declared:
                yield f"{keyword} {', '.join(map(str, declared))}"
        if self.outputs != ("h",):
            yield f"output {', '.join(self.outputs)}"
        yield ""
        width = max((len(e.left) for e in self.equations if not e.total), default=0)
        for equation in self.equations:
            sign = "+=" if equation.total else "="
            yield f"{equation.left:<{width}} {sign} {text(equation.expression)}"
