"""The forward values that a backward step reads: as they were saved, or computed again from what was.

What is computed again, and more than once, gets an equation of its own: `tanh_c = tanh(c')`. Sums and products of
entries stay where they are read; only functions and matrix products are worth a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lstm_spec.symbolic.algebra import Add, Call, Divide, Multiply, Name, Node, Product, Subtract, walk
from lstm_spec.symbolic.cell import Equation
from lstm_spec.symbolic.draft import Draft
from lstm_spec.symbolic.outer import is_long, varies

SHORT = 7  # nodes: what is longer and computed again gets a name where it repeats


@dataclass(slots=True)
class ForwardValues:
    """The forward values of a draft's cell.

    `again` maps what is computed again to the equation that it came from; `normal` a layer norm to its vector and root.
    """

    draft: Draft
    saved: dict[Node, Name] = field(init=False)
    again: dict[Node, str] = field(default_factory=dict)
    normal: dict[Node, tuple[Node, Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.saved = {
            e.expression: Name(e.targets[0])
            for e in self.draft.cell.equations
            if len(e.targets) == 1 and not isinstance(e.expression, Name)
        }

    def of(self, node: Node) -> Node:
        """The value of a node, in names that the backward step has."""
        if isinstance(node, Name) or not varies(node):
            return node
        if node in self.saved:
            return self.saved[node]
        if isinstance(node, Call) and node.function == "layer_norm":
            return self.normalized(node)[0]
        made = node.over(map(self.of, node.operands))
        if isinstance(node, Call | Product) or is_long(made, SHORT):
            self.again.setdefault(made, self.draft.target)
        return made

    def normalized(self, node: Call) -> tuple[Node, Node]:
        """The vector that a layer norm makes, and what it was divided by."""
        if node not in self.normal:
            inside, e = self.of(node.tensors[0]), node.operands[1]
            of = inside.name.removesuffix("'") if isinstance(inside, Name) else self.draft.target
            centred = self.draft.define(f"centred_{of}", Subtract(inside, Call("mean", inside)))
            variance = Call("mean", Multiply(centred, centred))
            scale = self.draft.define(f"scale_{of}", Call("sqrt", Add(variance, e)))
            vector = self.saved.get(node) or self.draft.define(f"norm_{of}", Divide(centred, scale))
            self.normal[node] = vector, scale
        return self.normal[node]

    def name_repeated(self) -> list[Equation]:
        """The draft's equations with each repeated value under a name, which stands before the first that reads it."""
        equations = self.draft.equations
        for value in sorted(self.again, key=lambda node: (-sum(1 for _ in walk(node)), str(node))):
            reading = [i for i, e in enumerate(equations) for node in walk(e.expression) if node == value]
            if len(reading) > 1 and not any(e.expression == value for e in equations):
                name = Name(self.draft.fresh(_named(value, self.again[value])))
                changed = [replace(e, expression=e.expression.xreplace({value: name})) for e in equations]
                equations = [*changed[: reading[0]], Equation((name.name,), value), *changed[reading[0] :]]
        return equations


def _named(value: Node, target: str) -> str:
    if not isinstance(value, Call):
        return f"v_{target}"
    inside = value.tensors[0]
    return f"{value.function}_{inside.name.removesuffix(chr(39)) if isinstance(inside, Name) else target}"
