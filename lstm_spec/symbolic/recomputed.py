"""Values that a backward step computes again, and more than once → equations of their own: `tanh_c = tanh(c')`.

Comes in: equations, and which of their subtrees are forward values. Sums and products of entries stay where they are
read; only functions and matrix products are worth a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lstm_spec.symbolic.algebra import Call, Name, Node, walk
from lstm_spec.symbolic.cell import Equation


def name_repeated(
    equations: list[Equation], recomputed: Mapping[Node, str], fresh: Callable[[str], str]
) -> list[Equation]:
    """The equations with each repeated value under a name, which stands before the first that reads it.

    `recomputed` maps a value to the equation that it came from, for a name where it has none in itself.
    """
    for value in sorted(recomputed, key=lambda node: (-sum(1 for _ in walk(node)), str(node))):
        reading = [i for i, e in enumerate(equations) for node in walk(e.expression) if node == value]
        if len(reading) > 1 and not any(e.expression == value for e in equations):
            name = Name(fresh(_named(value, recomputed[value])))
            changed = [replace(e, expression=e.expression.xreplace({value: name})) for e in equations]
            equations = [*changed[: reading[0]], Equation((name.name,), value), *changed[reading[0] :]]
    return equations


def _named(value: Node, target: str) -> str:
    if not isinstance(value, Call):
        return f"v_{target}"
    inside = value.tensors[0]
    return f"{value.function}_{inside.name.removesuffix(chr(39)) if isinstance(inside, Name) else target}"
