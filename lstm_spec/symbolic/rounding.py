"""The arithmetic of a state's equation, as it rounds: its operations counted, gates written out.

Comes in: an equation's right-hand side. Goes out: how often it rounds, whether a difference may cancel, and the step as
`factors * s + term` where it is one. Knows no rule of growth, and no ranges but those that it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lstm_spec.symbolic.algebra import Add, Call, Divide, Elementwise, Multiply, Name, Node, Subtract, walk
from lstm_spec.symbolic.cancelling import Weight, weigh_terms
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.ranging import ULPS
from lstm_spec.symbolic.recurrences import ARITHMETIC, CONTRACTING, Recurrence


def _written_out(node: Node, cell: Cell) -> Node:
    """A gate that is arithmetic, as its right-hand side."""
    while isinstance(node, Name) and not node.name.endswith("'"):
        equation = cell.defined.get(node.name)
        if equation is None or len(equation.targets) > 1 or not isinstance(equation.expression, ARITHMETIC):
            break
        node = equation.expression
    return node


def _arithmetic(node: Node, cell: Cell) -> list[Node]:
    """The nodes of an equation that compute entry by entry, gates written out; what is called is a leaf."""
    node = _written_out(node, cell)
    if not isinstance(node, ARITHMETIC):
        return []
    return [node, *(inner for operand in node.operands for inner in _arithmetic(operand, cell))]


def count_operations(node: Node, cell: Cell) -> int:
    """How often an equation's arithmetic rounds; where it divides, each counts twice: 1 / (1 - u) < (1 + u)^2."""
    calls, node = 0, _written_out(node, cell)
    while isinstance(node, Call) and node.function in CONTRACTING:
        calls, node = calls + ULPS, _written_out(node.tensors[0], cell)
    nodes = _arithmetic(node, cell)
    twice = 2 if any(isinstance(n, Divide) for n in nodes) else 1
    return calls + twice * sum(isinstance(n, Elementwise) for n in nodes)


def rounds_relatively(node: Node, cell: Cell) -> bool:
    """Whether every difference is one of leaves, or of terms that are bounded each for itself."""

    def simple(inner: Node) -> bool:
        return not isinstance(_written_out(inner, cell), Elementwise)

    top, terms = [node], []
    while top:  # sums and differences at the top are bounded term by term
        one = _written_out(top.pop(), cell)
        if isinstance(one, Add | Subtract):
            top += [one.left, one.right]
        elif isinstance(one, Call) and one.function in CONTRACTING:
            top.append(one.tensors[0])
        else:
            terms.append(one)
    inside = [n for term in terms for n in _arithmetic(term, cell) if isinstance(n, Add | Subtract)]
    return all(simple(n.left) and simple(n.right) for n in inside)


def split_step(node: Node, state: str, cell: Cell) -> tuple[list[Node], Node] | None:
    """`factors * s + term`, in any order, as it is computed: the factors and the term; None for another form."""
    node = _written_out(node, cell)
    if not isinstance(node, Add):
        return None
    for kept, added in ((node.left, node.right), (node.right, node.left)):
        factors = factors_of(kept, cell)
        others = [f for f in factors if not (isinstance(f, Name) and f.name == state)]
        alone = len(factors) - len(others) == 1 and not any(_mentions(f, state, cell) for f in others)
        if alone and not _mentions(added, state, cell):
            return others, added
    return None


def weigh(found: Recurrence, cell: Cell, ranged: Callable[[Node], Any]) -> Weight:
    """The terms of a state's equation, none cancelled, without the functions that the whole went through."""
    node = cell.defined[found.state + "'"].expression
    for _ in found.through:
        node = node.operands[0]
    return weigh_terms(node, lambda n: _mentions(n, found.state, cell), lambda n: _written_out(n, cell), ranged)


def factors_of(node: Node, cell: Cell) -> list[Node]:
    """What is multiplied, gates written out: `o * (f * c)` → o, f, c."""
    node = _written_out(node, cell)
    return [*factors_of(node.left, cell), *factors_of(node.right, cell)] if isinstance(node, Multiply) else [node]


def _mentions(node: Node, state: str, cell: Cell) -> bool:
    return any(isinstance(n, Name) and n.name == state for inner in _arithmetic(node, cell) for n in walk(inner))
