"""Equations → numbers that are equal where the equations compute the same in another order of writing.

Sums and elementwise products are compared by their terms and factors, and a gate may stand under its name or written
out. Nothing else of algebra is known: `a * (b + c)` and `a * b + a * c` are two things, and so are `2 * a` and `a + a`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from lstm_spec.symbolic.algebra import Add, Call, Multiply, Name, Negate, Node, Number, Subtract
from lstm_spec.symbolic.cell import Cell

Terms = dict[int, int]  # a form → how often it is added, or multiplied


class Forms:
    """A number for each expression met so far; equal expressions have the same.

    >>> from lstm_spec.symbolic.language import parse
    >>> cell = parse("input x[k]\\nstate h[k]\\na = x + h\\nb = h + x\\nh' = a * b")
    >>> forms = Forms().of_cell(cell)
    >>> forms["a"] == forms["b"]
    True
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._sums: dict[int, Terms] = {}
        self._products: dict[int, Terms] = {}

    def of_cell(self, cell: Cell) -> Mapping[str, int]:
        """The number of each left-hand side, every gate written out."""
        known: dict[str, int] = {}
        for equation in cell.ordered:
            whole = self.of(equation.expression, known)
            if len(equation.targets) == 1:
                known[equation.left] = whole
            else:
                count = len(equation.targets)
                known |= {t: self._number(("part", i, count, whole)) for i, t in enumerate(equation.targets)}
        return known

    def of(self, node: Node, known: Mapping[str, int] | None = None) -> int:
        """The number of an expression; names in `known` stand for the numbers there, others for themselves."""
        known = known or {}
        match node:
            case Name():
                return known[node.name] if node.name in known else self._number(("name", node.name))
            case Number():
                return self._number(("number", node.value))
            case Add() | Subtract() | Negate():
                return self._gathered("sum", self._terms(node, known), self._sums)
            case Multiply():
                return self._gathered("product", self._factors(node, known), self._products)
        inner = tuple(self.of(operand, known) for operand in node.operands)
        head = node.function if isinstance(node, Call) else type(node).__name__
        return self._number((head, inner))

    def _terms(self, node: Node, known: Mapping[str, int]) -> Terms:
        if isinstance(node, Add):
            return _merged(self._terms(node.left, known), self._terms(node.right, known))
        if isinstance(node, Subtract):
            return _merged(self._terms(node.left, known), self._terms(node.right, known), -1)
        if isinstance(node, Negate):
            return _merged({}, self._terms(node.operand, known), -1)
        number = self.of(node, known)
        return self._sums.get(number, {number: 1})

    def _factors(self, node: Node, known: Mapping[str, int]) -> Terms:
        if isinstance(node, Multiply):
            return _merged(self._factors(node.left, known), self._factors(node.right, known))
        number = self.of(node, known)
        return self._products.get(number, {number: 1})

    def _gathered(self, head: str, terms: Terms, made: dict[int, Terms]) -> int:
        terms = {form: count for form, count in terms.items() if count}
        if list(terms.values()) == [1]:
            return next(iter(terms))
        number = self._number((head, frozenset(terms.items())))
        made[number] = terms
        return number

    def _number(self, form: Hashable) -> int:
        return self._numbers.setdefault(form, len(self._numbers))


def _merged(one: Terms, other: Terms, sign: int = 1) -> Terms:
    return one | {form: one.get(form, 0) + sign * count for form, count in other.items()}
