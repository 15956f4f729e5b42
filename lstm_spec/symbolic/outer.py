"""Expressions of matrices in a backward pass: `u v^T` is kept as an outer product, whatever it meets."""

from __future__ import annotations

from itertools import islice

from lstm_spec.symbolic.algebra import Elementwise, Negate, Node, Number, Product, Transpose, names, walk
from lstm_spec.symbolic.derivatives import negated


def varies(node: Node) -> bool:
    """Whether a node reads any tensor."""
    return any(True for _ in names(node))


def is_long(node: Node, most: int) -> bool:
    """Whether an expression has more nodes than that."""
    return next(islice(walk(node), most, None), None) is not None


def is_outer(node: Node) -> bool:
    """Whether a node is `u v^T`, the gradient of a matrix."""
    return isinstance(node, Product) and isinstance(node.right, Transpose)


def has_outer(node: Node) -> bool:
    """Whether an expression is a matrix: it has an outer product in it."""
    return any(is_outer(part) for part in walk(node))


def turned(node: Node) -> Node:
    """`node^T`; turned twice is itself, and `u v^T` turns into `v u^T`."""
    if isinstance(node, Transpose):
        return node.operand
    if isinstance(node, Product) and isinstance(node.right, Transpose):
        return Product(node.right.operand, turned(node.left))
    if isinstance(node, Elementwise | Negate) and has_outer(node):
        return node.over(part if isinstance(part, Number) else turned(part) for part in node.operands)
    return Transpose(node)


def product(left: Node, right: Node) -> Node:
    """`left right`, so that what an outer product meets stays a vector: `(u v^T) B^T` is `u (B v)^T`."""
    if is_outer(left) and isinstance(left, Product):
        return Product(left.left, turned(product(turned(right), left.right.operands[0])))
    if is_outer(right) and isinstance(right, Product):
        return Product(product(left, right.left), right.right)
    if isinstance(left, Negate):
        return negated(product(left.operand, right))
    if isinstance(right, Negate):
        return negated(product(left, right.operand))
    return Product(left, right)
