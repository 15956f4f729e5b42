"""Sums of products seen as one product: `W_f x + U_f h` is `[W_f U_f] [x, h]`.

This is how figures and most frameworks write a gate; it follows from the equations and the inferred shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Integer

from lstm_spec.symbolic.algebra import Add, Call, Name, Node, Product, Subtract
from lstm_spec.symbolic.shapes import Shape, Shapes


@dataclass(frozen=True, slots=True)
class Joined:
    """One gate's matrices side by side, and the vectors they meet one under the other."""

    gate: str
    matrices: tuple[str, ...]
    vectors: tuple[str, ...]
    matrix: Shape
    vector: Shape

    @property
    def matrix_name(self) -> str:
        """`[W_f U_f]`."""
        return f"[{' '.join(self.matrices)}]"

    @property
    def vector_name(self) -> str:
        """`[x, h]`."""
        return f"[{', '.join(self.vectors)}]"


def joined_products(shapes: Shapes) -> tuple[Joined, ...]:
    """Every equation's sum of two products or more, joined; in the written order."""
    return tuple(_joined(shapes))


def _joined(shapes: Shapes) -> Iterator[Joined]:
    for equation in shapes.cell.equations:
        node = equation.expression
        while isinstance(node, Call) and len(node.tensors) == 1:
            node = node.tensors[0]
        pairs = [p for p in _summands(node) if isinstance(p.left, Name) and isinstance(p.right, Name)]
        if len(equation.targets) > 1 or len(pairs) < 2:
            continue
        matrices, vectors = [p.left.name for p in pairs], [p.right.name for p in pairs]
        width = sum((shapes[v].rows for v in vectors), Integer(0))
        yield Joined(
            equation.targets[0],
            tuple(matrices),
            tuple(vectors),
            Shape(shapes[matrices[0]].rows, width),
            Shape(width),
        )


def _summands(node: Node) -> Iterator[Product]:
    """The products that are added up; one that is subtracted is none of them."""
    if isinstance(node, Product):
        yield node
    elif isinstance(node, Add | Subtract):
        yield from _summands(node.left)
        if isinstance(node, Add):
            yield from _summands(node.right)
