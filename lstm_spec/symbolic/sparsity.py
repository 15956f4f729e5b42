"""Which entry reads which: the sparsity of a cell's Jacobians, from the structure of its equations.

Between two vectors entry i of the one may depend on nothing of the other, on its own entry i ("own"), or on every entry
("all"). Elementwise arithmetic keeps what it is given; a matrix product, and a function over the whole vector, make
"all". Structure only: a zero matrix is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lstm_spec.symbolic.algebra import FUNCTIONS, Call, Join, Name, Node, Product
from lstm_spec.symbolic.cell import Cell

Reach = Literal["none", "own", "all"]
ORDER: tuple[Reach, ...] = ("none", "own", "all")


def wider(one: Reach, other: Reach) -> Reach:
    """The larger of two reaches."""
    return max(one, other, key=ORDER.index)


def through(one: Reach, other: Reach) -> Reach:
    """What is reached in two steps."""
    return "none" if "none" in (one, other) else wider(one, other)


def reads(node: Node, cell: Cell) -> dict[str, Reach]:
    """What a right-hand side reads, name by name; parameters are left out.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> cell = lstm_cell()
    >>> reads(cell.defined["c'"].expression, cell)
    {'f': 'own', 'c': 'own', 'i': 'own', 'g': 'own'}
    """
    if isinstance(node, Name):
        return {} if cell.roles[node.name] == "parameter" else {node.name: "own"}
    spreads = isinstance(node, Product | Join) or (isinstance(node, Call) and FUNCTIONS[node.function].across)
    found: dict[str, Reach] = {}
    for operand in node.operands:
        for name, reach in reads(operand, cell).items():
            found[name] = wider(found.get(name, "none"), "all" if spreads else reach)
    return found


def dependence(cell: Cell) -> Mapping[str, Mapping[str, Reach]]:
    """What each left-hand side depends on, through the other equations, down to inputs and states before the step.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> dependence(lstm_cell())["c'"]["c"], dependence(lstm_cell())["h'"]["h"]
    ('own', 'all')
    """
    found: dict[str, dict[str, Reach]] = {}
    for equation in cell.ordered:
        direct = reads(equation.expression, cell)
        if len(equation.targets) > 1:  # rows of one vector: which row is whose is not followed
            direct = dict.fromkeys(direct, "all")
        reached: dict[str, Reach] = {}
        for name, reach in direct.items():
            for leaf, inner in found.get(name, {name: "own"}).items():
                reached[leaf] = wider(reached.get(leaf, "none"), through(reach, inner))
        found |= dict.fromkeys(equation.targets, reached)
    return found
