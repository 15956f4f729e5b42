"""Equations and inferred shapes → the operations of one step of a cell, one item a node.

A node of an equation is one operation, as it is written: nothing is folded, hoisted or shared. What is counted is
entries, in letters, for one sample and one step; a layer multiplies by its batch and time. Nothing is listed by cell.

| kind | counted |
|---|---|
| macs | a product of p×q by q×s: p·q·s multiplications, each with the addition to its sum |
| bias | additions of a parameter vector that stands alone: `… + b_f` |
| sums | every other addition or subtraction, entry by entry: `1 - f` is one an entry |
| products | elementwise products, those with a number too |
| divisions | elementwise divisions |
| negations | `-z` |
| activations | a function of an entry: one an entry, whatever it costs |

A number stays a number: `1 / 3` is no operation. `mean` and `layer_norm` are counted by their definitions.
A total `d_W += d x^T` adds to a running sum: a product does that in its MACs, all else with one addition an entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sympy import Integer

from lstm_spec.symbolic.algebra import (
    Add,
    Call,
    Divide,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Subtract,
    Transpose,
)
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.printing import text
from lstm_spec.symbolic.shapes import ONE, Shape, Shapes, infer

OperationKind = Literal["macs", "bias", "sums", "products", "divisions", "negations", "activations"]
KINDS: tuple[OperationKind, ...] = ("macs", "bias", "sums", "products", "divisions", "negations", "activations")
NO_OPERATION = ("identity",)
SINGLE: dict[type, OperationKind] = {
    Add: "sums",
    Subtract: "sums",
    Multiply: "products",
    Divide: "divisions",
    Negate: "negations",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of an equation: `f`, macs, `W_f x`, k·n; `function` is the name of an activation."""

    equation: str
    kind: OperationKind
    what: str
    count: Any
    function: str = ""


@lru_cache(maxsize=256)
def count_operations(cell: Cell) -> tuple[Operation, ...]:
    """Every operation of one step for one sample, in the written order, an operand before what reads it.

    >>> from lstm_spec.symbolic.language import parse
    >>> elman = parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)")
    >>> [(o.kind, o.what, str(o.count)) for o in count_operations(elman)][:2]
    [('macs', 'W x', 'k*n'), ('macs', 'U h', 'k**2')]
    """
    shapes = infer(cell)
    return tuple(o for equation in cell.equations for o in _of_equation(equation, shapes))


def total_operations(cell: Cell) -> dict[str, Any]:
    """Operations of one step for one sample: every kind, each activation by its name, and `flops`, in letters.

    >>> from lstm_spec.symbolic.language import parse
    >>> total_operations(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)"))["macs"]
    k**2 + k*n

    A multiply-accumulate is two flops, everything else one.
    """
    totals: dict[str, Any] = dict.fromkeys(KINDS, Integer(0))
    for operation in count_operations(cell):
        totals[operation.kind] += operation.count
        if operation.kind == "activations":
            totals[operation.function] = totals.get(operation.function, Integer(0)) + operation.count
    return totals | {"flops": sum((totals[kind] for kind in KINDS), totals["macs"])}


def shape_of(node: Node, shapes: Shapes) -> Shape | None:
    """The shape of an expression; None for a number, which takes its neighbour's."""
    match node:
        case Name():
            return shapes[node.name]
        case Number():
            return None
        case Transpose():
            inner = _shaped(node.operand, shapes)
            return Shape(inner.columns, inner.rows)
        case Product():
            return Shape(_shaped(node.left, shapes).rows, _shaped(node.right, shapes).columns)
        case Join():
            return Shape(sum((_shaped(o, shapes).rows for o in node.operands), Integer(0)))
    operands = node.tensors if isinstance(node, Call) else node.operands
    return next((shape for o in operands if (shape := shape_of(o, shapes)) is not None), None)


def _shaped(node: Node, shapes: Shapes) -> Shape:
    shape = shape_of(node, shapes)
    return Shape(ONE) if shape is None else shape


def is_parameter_vector(node: Node, shapes: Shapes) -> bool:
    """Whether a summand is a bias: a parameter by itself, of one column."""
    inner = node.operand if isinstance(node, Negate) else node
    known = isinstance(inner, Name) and shapes.role(inner.name) == "parameter"
    return known and not shapes[inner.name].is_matrix


def _of_equation(equation: Equation, shapes: Shapes) -> Iterator[Operation]:
    left, node = equation.left, equation.expression
    yield from _of_node(node, left, shapes)
    if equation.total and not isinstance(node, Product):
        entries = shapes[equation.targets[0]].rows * shapes[equation.targets[0]].columns
        yield Operation(left, "sums", f"{left} += …", entries)


def _of_node(node: Node, left: str, shapes: Shapes) -> Iterator[Operation]:
    for operand in node.operands:
        yield from _of_node(operand, left, shapes)
    shape = shape_of(node, shapes)
    if shape is None:
        return
    entries = shape.rows * shape.columns
    if isinstance(node, Product):
        yield Operation(left, "macs", text(node), entries * _shaped(node.left, shapes).columns)
    elif isinstance(node, Call):
        yield from _of_call(node, left, shape)
    elif type(node) in SINGLE:
        is_bias = isinstance(node, Add | Subtract) and any(is_parameter_vector(o, shapes) for o in node.operands)
        kind: OperationKind = "bias" if is_bias else SINGLE[type(node)]
        if not (isinstance(node, Negate) and is_bias):
            yield Operation(left, kind, text(node), entries)


def _of_call(node: Call, left: str, shape: Shape) -> Iterator[Operation]:
    """A function of an entry is one activation; one across rows is what its definition says, column by column."""
    what, function = text(node), node.function
    rows, columns = shape.rows, shape.columns
    one_mean = columns * (rows - 1)
    if function == "mean":
        yield Operation(left, "sums", what, one_mean, "mean")
        yield Operation(left, "divisions", what, columns, "mean")
    elif function == "layer_norm":  # two means, z - mean, its square, + e, the root, the quotient
        yield Operation(left, "sums", what, 2 * one_mean + rows * columns + columns, "layer_norm")
        yield Operation(left, "products", what, rows * columns, "layer_norm")
        yield Operation(left, "divisions", what, rows * columns + 2 * columns, "layer_norm")
        yield Operation(left, "activations", what, columns, "sqrt")
    elif function not in NO_OPERATION:
        yield Operation(left, "activations", what, rows * columns, function)
