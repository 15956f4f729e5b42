"""A state's equation → `c' = kept * c + added`, read from its structure and never from its name.

Gates that are arithmetic of others (`f = 1 - i`) are written out, so that a convex combination is seen in any writing:
`z * h + (1 - z) * g`, `f = 1 - i`, `f / (f + i) * h + i / (f + i) * g`. What is left are atoms: calls, products and
names, each a SymPy symbol here. Says nothing of how large anything is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy import Dummy, Integer, Symbol

from lstm_spec.symbolic.algebra import Add, Call, Divide, Elementwise, Multiply, Name, Negate, Node, Number, Subtract
from lstm_spec.symbolic.cell import Cell

LARGEST = 500  # nodes of an equation with its gates written out; beyond, cancelling takes too long
# f(z) with |f(z)| <= |z|: what is inside bounds what is stored
CONTRACTING = {"tanh", "softsign", "relu", "identity"}
ARITHMETIC = (Number, Name, Elementwise, Negate)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`s' = kept * s + added`, with atoms for what is no arithmetic; `mixed` is g where added = (1 − kept) * g.

    `atoms` maps each symbol to the node it stands for; `through` are the functions that the whole went through, each of
    which makes nothing larger.
    """

    state: str
    kept: Any
    added: Any
    mixed: Any | None
    atoms: Mapping[Symbol, Node]
    through: tuple[str, ...] = ()


class _TooLong(Exception):
    """The equation, with its gates written out, is beyond `LARGEST`."""


class _Nonlinear(Exception):
    """The state stands in a product with itself, or below a division."""


def find_recurrence(cell: Cell, state: str) -> Recurrence | None:
    """How a state depends on its own value before the step; None where that is not linear.

    >>> from lstm_spec.cells import get
    >>> found = find_recurrence(get("gru"), "h")
    >>> print(found.kept, found.added, found.mixed, sep=" | ")
    z | g*(1 - z) | g
    """
    equation = cell.defined[state + "'"]
    if len(equation.targets) > 1:
        return None
    node, through = equation.expression, []
    while isinstance(node, Call) and node.function in CONTRACTING:
        through.append(node.function)
        node = node.tensors[0]
    reader = _Reader(cell, state)
    try:
        kept, added = reader.read(node)
    except (_TooLong, _Nonlinear):
        return None
    return Recurrence(state, kept, added, _mixed(kept, added), reader.nodes, tuple(through))


def _mixed(kept: Any, added: Any) -> Any | None:
    """g of a convex combination: added / (1 − kept), where that is simpler than the quotient it is."""
    rest = 1 - kept
    if kept.is_Number or added == 0:
        return None
    quotient = sympy.cancel(sympy.together(added / rest))
    dividing = sympy.denom(sympy.together(quotient))
    return None if dividing.free_symbols & rest.free_symbols else quotient


@dataclass(slots=True)
class _Reader:
    """Reads one equation. `symbols` has an atom for each node, by the node."""

    cell: Cell
    state: str
    symbols: dict[Node, Any] = field(default_factory=dict)
    nodes: dict[Symbol, Node] = field(default_factory=dict)
    count: int = 0

    def read(self, node: Node) -> tuple[Any, Any]:
        """What multiplies the state in a node, and what is added to it."""
        self.count += 1
        if self.count > LARGEST:
            raise _TooLong
        match node:
            case Number():
                return Integer(0), node.value
            case Name():
                return self._name(node)
            case Negate():
                kept, added = self.read(node.operand)
                return -kept, -added
            case Elementwise():
                return RULES[type(node)](self.read(node.left), self.read(node.right))
        return Integer(0), self._atom(node)

    def _name(self, node: Name) -> tuple[Any, Any]:
        if node.name == self.state:
            return Integer(1), Integer(0)
        equation = self.cell.defined.get(node.name)
        if equation is None or len(equation.targets) > 1 or node.name.endswith("'"):
            return Integer(0), self._atom(node)
        if isinstance(equation.expression, ARITHMETIC):
            return self.read(equation.expression)
        return Integer(0), self._atom(node)

    def _atom(self, node: Node) -> Any:
        if node not in self.symbols:
            name = node.name if isinstance(node, Name) else str(node)
            taken = {str(s) for s in self.nodes}
            self.symbols[node] = Symbol(name) if name not in taken else Dummy(name)
            self.nodes[self.symbols[node]] = node
        return self.symbols[node]


Linear = tuple[Any, Any]


def _multiply(left: Linear, right: Linear) -> Linear:
    if left[0] != 0 and right[0] != 0:
        raise _Nonlinear
    return left[0] * right[1] + left[1] * right[0], left[1] * right[1]


def _divide(left: Linear, right: Linear) -> Linear:
    if right[0] != 0 or right[1] == 0:
        raise _Nonlinear
    return left[0] / right[1], left[1] / right[1]


RULES: dict[type, Callable[[Linear, Linear], Linear]] = {
    Add: lambda left, right: (left[0] + right[0], left[1] + right[1]),
    Subtract: lambda left, right: (left[0] - right[0], left[1] - right[1]),
    Multiply: _multiply,
    Divide: _divide,
}


def evaluate(expression: Any, values: Mapping[Symbol, Any], number: Callable[[Any], Any]) -> Any:
    """An expression in atoms over ranges that know + - * /; `number` makes a range of a number."""
    if expression.is_Symbol:
        return values[expression]
    if expression.is_Number:
        return number(expression)
    parts = [evaluate(part, values, number) for part in expression.args]
    if expression.is_Pow:
        return _power(parts[0], int(expression.exp))
    total = parts[0]
    for part in parts[1:]:
        total = total + part if expression.is_Add else total * part
    return total


def _power(base: Any, exponent: int) -> Any:
    whole = base
    for _ in range(abs(exponent) - 1):
        whole = whole * base
    return whole.reciprocal() if exponent < 0 else whole


def read_gate(cell: Cell, found: Recurrence, gate: str) -> Any | None:
    """A gate in the atoms of a recurrence; None where it is no arithmetic of them."""
    reader = _Reader(cell, found.state, {node: symbol for symbol, node in found.atoms.items()}, dict(found.atoms))
    try:
        kept, added = reader.read(Name(gate))
    except (_TooLong, _Nonlinear):
        return None
    return added if kept == 0 else None
