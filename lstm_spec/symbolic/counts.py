"""Shapes → counts, as polynomials: a count is the sum over the derived shapes, never a formula of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Integer, factor

from lstm_spec.symbolic.shapes import Shape, Shapes


def entries(shape: Shape) -> Any:
    """How many numbers a tensor of this shape holds.

    >>> from lstm_spec.symbolic.cell import letter
    >>> entries(Shape(letter("k"), letter("n")))
    k*n
    """
    return shape.rows * shape.columns


def parameter_counts(shapes: Shapes) -> Mapping[str, Any]:
    """Parameters of one cell by name: `W_f` → `k*n`."""
    return {name: entries(shape) for name, shape in shapes.of("parameter").items()}


def parameter_count(shapes: Shapes) -> Any:
    """Parameters of one cell, a factored polynomial.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> from lstm_spec.symbolic.shapes import infer
    >>> parameter_count(infer(lstm_cell()))
    4*k*(k + n + 1)
    """
    return factored(sum(parameter_counts(shapes).values(), Integer(0)))


def factored(count: Any) -> Any:
    """A polynomial as a product, where it is one."""
    return factor(count)
