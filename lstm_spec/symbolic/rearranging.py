"""Equations rearranged without a change of meaning: sums joined, sums ordered, columns turned into rows.

W x + U h + b ──join_sums──▶ `U W` [h, x] + b, one matrix of two names · order_sums: biases last · turn_products: x W.
A joined matrix is a `Name` of its parts with a space between, which no name of the language can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from lstm_spec.symbolic.algebra import Add, Join, Name, Node, Number, Product, Subtract, Transpose

Term = tuple[type, Node]  # how it is added, and what


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cell's names are: its inputs, its parameters, how often each is mentioned, and each as kind and gate."""

    inputs: frozenset[str]
    parameters: frozenset[str]
    mentions: Mapping[str, int]
    split: Mapping[str, tuple[str, str]]


def join_sums(node: Node, reading: Reading, *, inputs_first: bool) -> Node:
    """`W_f x + U_f h + b_f` → `U_f W_f` `[h, x]` `+ b_f`: products of one gate's matrices, each mentioned once.

    Before: several products in a sum. After: one, where the first of them stood.
    """

    def inner(term: Node) -> Node:
        return join_sums(term, reading, inputs_first=inputs_first)

    if not isinstance(node, Add | Subtract):
        return node.over(map(inner, node.operands))
    terms = [(sign, inner(term)) for sign, term in _terms(node)]
    by_gate: dict[str, list[Term]] = {}
    for term in terms:
        if (gate := _gate(term, reading)) is not None:
            by_gate.setdefault(gate, []).append(term)
    for group in by_gate.values():
        kinds = [reading.split[product.left.name][0] for _, product in group]
        if len(group) > 1 and len(set(kinds)) == len(kinds):
            place = terms.index(group[0])
            joined = (Add, _joined([product for _, product in group], reading, inputs_first))
            terms = [term for term in terms if term not in group]
            terms.insert(place, joined)
    return _sum(terms)


def _gate(term: Term, reading: Reading) -> str | None:
    """The gate of a product that may be joined."""
    sign, node = term
    if sign is not Add or not isinstance(node, Product) or not isinstance(node.left, Name):
        return None
    name = node.left.name
    kind, gate = reading.split.get(name, ("", ""))
    return gate if kind in ("W", "U", "P") and reading.mentions[name] == 1 else None


def _joined(products: list[Any], reading: Reading, inputs_first: bool) -> Node:
    """Peepholes first, as colah draws them; then the recurrent part and the input, in the school's order."""

    def rank(product: Any) -> int:
        if reading.split[product.left.name][0] == "P":
            return 0
        is_input = isinstance(product.right, Name) and product.right.name in reading.inputs
        return 1 if is_input == inputs_first else 2

    ranked = sorted(products, key=rank)
    return Product(Name(" ".join(p.left.name for p in ranked)), Join(*(p.right for p in ranked)))


def order_sums(node: Node, reading: Reading) -> Node:
    """`W x + b_W + U h + b_U` → `W x + U h + b_W + b_U`, and numbers after them, wherever a product is in a sum."""
    if not isinstance(node, Add | Subtract):
        return node.over(order_sums(operand, reading) for operand in node.operands)

    def rank(term: Term) -> int:
        if isinstance(term[1], Number):
            return 2
        return 1 if isinstance(term[1], Name) and term[1].name in reading.parameters else 0

    terms = [(sign, order_sums(term, reading)) for sign, term in _terms(node)]
    ranked = sorted(terms, key=rank)
    has_product = any(isinstance(term, Product) for _, term in terms)
    return _sum(ranked if has_product and ranked[0][0] is Add else terms)


def turn_products(node: Node, kept: frozenset[str]) -> Node:
    """`W x` → `x W`, vectors being rows and W stored transposed; a matrix in `kept` is not: `x W^T`."""
    if isinstance(node, Product):
        return Product(turn_products(node.right, kept), turn_products(node.left, kept))
    if isinstance(node, Name) and set(node.name.split(" ")) <= kept:
        return Transpose(node)
    return node.over(turn_products(operand, kept) for operand in node.operands)


def _terms(node: Node) -> list[Term]:
    """`a + b - c` → + a, + b, - c; a bracket on the right is one term."""
    if isinstance(node, Add | Subtract):
        return [*_terms(node.left), (type(node), node.right)]
    return [(Add, node)]


def _sum(terms: list[Term]) -> Node:
    return reduce(lambda total, term: term[0](total, term[1]), terms[1:], terms[0][1])
