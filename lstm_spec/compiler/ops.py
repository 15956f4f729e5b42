"""The kinds of ops: how many values each takes, and the shape that it makes of their shapes.

Comes in: the name of a kind and shapes without T and B. Goes out: a shape, or an InternalError where they do not fit.
`interpreter` says what each kind computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sympy import Integer

from lstm_spec.errors import InternalError
from lstm_spec.symbolic.algebra import FUNCTIONS

Size = Any
Shape = tuple[Size, ...]
Rule = Callable[[str, list[Shape], tuple[Any, ...]], Shape]

ELEMENTWISE = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
KINDS = {
    "constant",  # a number
    "negate",
    "product",  # (W, x): W x for every sample
    "turned",  # (W, x): W^T x for every sample
    "transpose",  # a weight matrix
    "stack",  # weights one under the other
    "columns",  # of a weight matrix, from, to
    "join",  # vectors one under the other
    "spread",  # a vector of weights, one like it for every sample of the second
    "rows",  # of a vector, from, to
    "reverse_time",  # a sequence
    "apart",  # sequences side by side, on an axis before the batch
    "select",  # (alive, new, old): new where the sample's step is alive, else old
    "last",  # the last step of a sequence
    "place_last",  # (d, sequence): d at the last step of a sequence like that one, 0 before
    "shift",  # (sequence, state): what was before each step, first the initial state
    "side",  # of sequences side by side, the one with that number
    "outer_sum",  # (u, v): the sum of u v^T over time and batch
    "sum",  # the sum over time and batch
    "block",  # of a matrix, rows from, to
    *ELEMENTWISE,
    *FUNCTIONS,
}

OF_WEIGHTS = {"product", "turned", "transpose", "columns", "stack"}  # what stands first is a weight
TOTALS = {"outer_sum", "sum"}  # over time and batch: of a loop, or of sequences
OF_SEQUENCES = {"reverse_time", "last", "apart", "place_last", "shift", "side", *TOTALS}  # over time: never in a step
TWO = ("product", "turned", "spread", "apart", "place_last", "shift", "outer_sum", *ELEMENTWISE)
ARGUMENTS = {"constant": 0, "select": 3, **dict.fromkeys(TWO, 2)}
ARGUMENTS |= {name: function.tensors for name, function in FUNCTIONS.items()}


def op_shape(kind: str, args: list[Shape], numbers: tuple[Any, ...] = ()) -> Shape:
    """The shape that an op makes of its arguments' shapes. Raises InternalError where they do not fit."""
    if kind not in KINDS:
        raise InternalError(f"no op is called {kind}")
    if len(args) != ARGUMENTS.get(kind, 1) and (kind not in ("join", "stack") or not args):
        raise InternalError(f"{kind} of {len(args)}")
    return SHAPES.get(kind, _alike)(kind, args, numbers)


def _alike(kind: str, args: list[Shape], _: tuple[Any, ...]) -> Shape:
    """Of one shape, numbers aside, which spread."""
    real = [a for a in args if a != ()]
    if len(set(real)) > 1:
        raise InternalError(f"{kind} of different shapes: {real}")
    return real[0] if real else ()


def _product(kind: str, args: list[Shape], _: tuple[Any, ...]) -> Shape:
    (rows, columns), (found,) = args[0] if kind == "product" else args[0][::-1], args[1]
    if columns != found:
        raise InternalError(f"a product of {columns} columns and {found} rows")
    return (rows,)


def _select(kind: str, args: list[Shape], numbers: tuple[Any, ...]) -> Shape:
    if args[0] != (1,):
        raise InternalError(f"select by {args[0]}")
    return _alike(kind, args[1:], numbers)


def _joined(kind: str, args: list[Shape], _: tuple[Any, ...]) -> Shape:
    if len({a[1:] for a in args}) > 1:
        raise InternalError(f"{kind} of different widths: {args}")
    return (sum((a[0] for a in args), Integer(0)), *args[0][1:])


def _block(_: str, args: list[Shape], numbers: tuple[Any, ...]) -> Shape:
    if numbers[0].is_negative or (args[0][0] - numbers[1]).is_negative or len(args[0]) != 2:
        raise InternalError(f"block {numbers[0]} to {numbers[1]} of {args[0]}")
    return (numbers[1] - numbers[0], args[0][1])


def _cut(kind: str, args: list[Shape], numbers: tuple[Any, ...]) -> Shape:
    """Rows of a vector, or columns of a matrix: a part of the last axis."""
    if numbers[0].is_negative or (args[0][-1] - numbers[1]).is_negative:
        raise InternalError(f"{kind} {numbers[0]} to {numbers[1]} of {args[0][-1]}")
    width = numbers[1] - numbers[0]
    return (width,) if kind == "rows" else (args[0][0], width)


# Every other kind makes what it takes.
SHAPES: Mapping[str, Rule] = {
    "constant": lambda kind, args, numbers: (),
    "product": _product,
    "turned": _product,
    "outer_sum": lambda kind, args, numbers: (args[0][0], args[1][0]),
    "spread": lambda kind, args, numbers: args[0],
    "select": _select,
    "transpose": lambda kind, args, numbers: (args[0][1], args[0][0]),
    "join": _joined,
    "stack": _joined,
    "block": _block,
    "rows": _cut,
    "columns": _cut,
}
