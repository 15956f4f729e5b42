"""Sums of products of matrices, as a Jacobian's blocks are: added, scaled by a diagonal, and collected.

What acts entry by entry is a `diag`; two diagonals side by side are one, and terms that differ in their first diagonal
only are one. Holds no sizes, and knows neither cell nor state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from lstm_spec.symbolic.algebra import Divide, Multiply, Name, Negate, Node, Number
from lstm_spec.symbolic.derivatives import added, is_number, negated, scaled

FactorKind = Literal["diag", "matrix", "block", "mean", "norm", "rows", "stack"]


@dataclass(frozen=True, slots=True)
class Factor:
    """One matrix of a product.

    `diag` has `node` on its diagonal, `matrix` is `node`, `mean` has 1/rows everywhere, `norm` is the Jacobian of a
    `layer_norm` call, `block` is ∂`names[0]`/∂`names[1]`, `rows` takes the rows of the names[0] among `names[1:]` out,
    `stack` sets the sums in `parts` one under the other, as the join `node` does.
    """

    kind: FactorKind
    node: Node | None = None
    names: tuple[str, ...] = ()
    parts: tuple[Sum, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A product of matrices; no factor at all is the identity."""

    factors: tuple[Factor, ...]
    minus: bool = False

    @property
    def is_diagonal(self) -> bool:
        """Whether no entry meets another."""
        return all(factor.kind == "diag" for factor in self.factors)


Sum = tuple[Term, ...]
IDENTITY: Sum = (Term(()),)


def opposite(terms: Iterable[Term]) -> Sum:
    """Every term with the other sign."""
    return tuple(Term(term.factors, not term.minus) for term in terms)


def times(node: Node, terms: Sum) -> Sum:
    """`diag(node)` times each term; two diagonals are one."""
    if is_number(node, 0):
        return ()
    return tuple(_headed(term, lambda head: scaled(node, head)) for term in terms)


def over(node: Node, terms: Sum) -> Sum:
    """`diag(1 / node)` times each term."""
    return tuple(_headed(term, lambda head: Divide(head, node)) for term in terms)


def _headed(term: Term, change: Callable[[Node], Node]) -> Term:
    """The term with another diagonal in front, in place of the one that it has, or of 1."""
    head, tail = _head(term)
    made = change(head)
    inside = made.operand if isinstance(made, Negate) else made
    first = () if is_number(inside, 1) else (Factor("diag", inside),)
    return Term((*first, *tail), term.minus != isinstance(made, Negate))


def _head(term: Term) -> tuple[Node, tuple[Factor, ...]]:
    """What stands on the diagonal in front, and the factors after it."""
    first = term.factors[0] if term.factors else None
    if first is None or first.kind != "diag" or first.node is None:
        return Number(1), term.factors
    return first.node, term.factors[1:]


def collected(terms: Iterable[Term]) -> Sum:
    """One term for all that differ in their first diagonal only; what is diagonal comes first."""
    groups: dict[tuple[Factor, ...], list[Node]] = {}
    for term in terms:
        node, tail = _head(term)
        groups.setdefault(tail, []).append(negated(node) if term.minus else node)
    ranked = sorted(groups.items(), key=lambda item: bool(item[0]))
    made = (Term(tail) for tail, _ in ranked)
    return tuple(t for term, (_, nodes) in zip(made, ranked, strict=True) for t in times(_sum(nodes), (term,)))


def _sum(nodes: list[Node]) -> Node:
    """The nodes added up, with the factors that all end in put outside: `(h - g) * z * (1 - z)`."""
    tail: list[Node] = []
    while len(nodes) > 1 and len({_last(node) for node in nodes}) == 1 and all(map(_rest, nodes)):
        tail.insert(0, _last(nodes[0]))
        nodes = [_rest(node) or node for node in nodes]
    plus = sorted(nodes, key=lambda node: (isinstance(node, Negate), not isinstance(node, Name)))
    return reduce(scaled, tail, reduce(added, plus))


def _last(node: Node) -> Node:
    inside = node.operand if isinstance(node, Negate) else node
    return inside.right if isinstance(inside, Multiply) else inside


def _rest(node: Node) -> Node | None:
    """What stands before the last factor."""
    if isinstance(node, Negate):
        inside = _rest(node.operand)
        return None if inside is None else negated(inside)
    return node.left if isinstance(node, Multiply) else None
