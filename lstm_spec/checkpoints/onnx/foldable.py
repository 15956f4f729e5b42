"""One node over constants → the shape of what it makes, and how its values follow: a rule for each operator.

The shape comes first, from shapes and from small integers alone (axes, bounds); no weight is looked at. A rule returns
None for a form of its operator that it does not know. Source: the operators' schemas, opsets 1 to 22.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import Array
from lstm_spec.checkpoints.onnx.calls import Call, Result, Unfoldable, axis_of, first_of, integers
from lstm_spec.checkpoints.onnx.initializers import ELEMENTS, tensor_of


def fold_identity(call: Call) -> Result:
    return call.result(first_of(call).shape, lambda a: a[0])


def fold_cast(call: Call) -> Result:
    x, element = first_of(call), ELEMENTS.get(call.number("to", 0))
    if element is None or not element.loadable:
        raise Unfoldable("it casts to a type that NumPy does not have")
    name = element.name
    return Result(x.shape, name, (x,), lambda a: a[0].astype(name))


def fold_slice(call: Call) -> Result:
    x = first_of(call)
    starts, ends = call.listed("starts", 1), call.listed("ends", 2)
    if starts is None or ends is None:
        raise Unfoldable("it has no bounds")
    axes = call.listed("axes", 3) or list(range(len(starts)))
    steps = call.listed("steps", 4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Unfoldable("its bounds are not as many as its axes")
    index = [slice(None)] * len(x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis_of(axis, len(x.shape))] = slice(start, end, step)
    shape = [len(range(*part.indices(size))) for part, size in zip(index, x.shape, strict=True)]
    return call.result(shape, lambda a: a[0][tuple(index)])


def fold_concat(call: Call) -> Result:
    parts = [part for part in call.inputs if part is not None]
    first = first_of(call)
    axis = axis_of(call.number("axis", 0), len(first.shape))
    for part in parts:
        same = [a == b for a, b in zip(part.shape, first.shape, strict=False)]
        if len(part.shape) != len(first.shape) or not all(same[:axis] + same[axis + 1 :]) or part.dtype != first.dtype:
            raise Unfoldable("its parts do not fit together")
    shape = [*first.shape]
    shape[axis] = sum(part.shape[axis] for part in parts)
    return call.result(shape, lambda a: np.concatenate(a, axis), *parts[1:])


def fold_split(call: Call) -> Result:
    x = first_of(call)
    axis = axis_of(call.number("axis", 0), len(x.shape))
    each = -(-x.shape[axis] // max(call.outputs, 1))
    even = [min(each, x.shape[axis] - each * i) for i in range(call.outputs)]
    sizes = call.listed("split", 1) or even
    if len(sizes) != call.outputs or min(sizes) < 0 or sum(sizes) != x.shape[axis]:
        raise Unfoldable("its parts are not as many as its input is long")
    start = sum(sizes[: call.index])
    index = (slice(None),) * axis + (slice(start, start + sizes[call.index]),)
    shape = [*x.shape]
    shape[axis] = sizes[call.index]
    return call.result(shape, lambda a: a[0][index])


def fold_unsqueeze(call: Call) -> Result:
    x, listed = first_of(call), call.listed("axes", 1)
    if listed is None:
        raise Unfoldable("it has no axes")
    rank = len(x.shape) + len(listed)
    axes = {axis_of(axis, rank) for axis in listed}
    if len(axes) != len(listed):
        raise Unfoldable("it names an axis twice")
    sizes = iter(x.shape)
    shape = [1 if axis in axes else next(sizes) for axis in range(rank)]
    return call.result(shape, lambda a: a[0].reshape(shape))


def fold_squeeze(call: Call) -> Result:
    x, listed = first_of(call), call.listed("axes", 1)
    ones = {i for i, size in enumerate(x.shape) if size == 1}
    axes = ones if listed is None else {axis_of(axis, len(x.shape)) for axis in listed}
    if not axes <= ones:
        raise Unfoldable("it squeezes an axis that is longer than 1")
    shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return call.result(shape, lambda a: a[0].reshape(shape))


def fold_transpose(call: Call) -> Result:
    x, found = first_of(call), call.attribute("perm")
    order = list(found.ints) if found is not None else list(range(len(x.shape)))[::-1]
    if sorted(order) != list(range(len(x.shape))):
        raise Unfoldable("its perm is no order of the axes")
    return call.result([x.shape[axis] for axis in order], lambda a: a[0].transpose(order))


def fold_reshape(call: Call) -> Result:
    x, wanted = first_of(call), call.listed("shape", 1)
    if wanted is None or wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise Unfoldable("its shape is none")
    keeps = not call.number("allowzero", 0)
    if keeps and any(size == 0 and axis >= len(x.shape) for axis, size in enumerate(wanted)):
        raise Unfoldable("its shape is none")
    shape = [x.shape[axis] if size == 0 and keeps else size for axis, size in enumerate(wanted)]
    known = prod(size for size in shape if size != -1)
    shape = [prod(x.shape) // max(known, 1) if size == -1 else size for size in shape]
    if prod(shape) != prod(x.shape):
        raise Unfoldable("its shape has another number of elements")
    return call.result(shape, lambda a: a[0].reshape(shape))


def fold_flatten(call: Call) -> Result:
    x, axis = first_of(call), call.number("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise Unfoldable(f"it has no axis {axis}")
    axis += len(x.shape) * (axis < 0)
    shape = (prod(x.shape[:axis]), prod(x.shape[axis:]))
    return call.result(shape, lambda a: a[0].reshape(shape))


def fold_gather(call: Call) -> Result:
    x, places = first_of(call), call.tensor(1)
    if places is None or places.dtype not in ("int32", "int64"):
        raise Unfoldable("its indices are no whole numbers")
    axis = axis_of(call.number("axis", 0), len(x.shape))
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return call.result(shape, lambda a: np.take(a[0], a[1], axis), places)


def fold_shape(call: Call) -> Result:
    x = first_of(call)
    part = slice(call.number("start", 0), call.number("end", len(x.shape)))
    sizes = x.shape[part]
    return Result((len(sizes),), "int64", (), lambda a: np.array(sizes, "int64"))


def fold_constant_of_shape(call: Call) -> Result:
    shape, found = integers(first_of(call)), call.attribute("value")
    if any(size < 0 for size in shape):
        raise Unfoldable("its shape is none")
    if found is None:
        return Result(tuple(shape), "float32", (), lambda a: np.zeros(shape, "float32"))
    value = tensor_of(found.t, "value", "")
    if prod(value.shape) != 1 or value.load is None:
        raise Unfoldable("its value is not one number")
    return Result(tuple(shape), value.dtype, (value,), lambda a: np.full(shape, a[0].reshape(())))


def fold_expand(call: Call) -> Result:
    x, wanted = first_of(call), call.listed("shape", 1)
    if wanted is None:
        raise Unfoldable("it has no shape")
    shape = broadcast(x.shape, tuple(wanted))
    return call.result(shape, lambda a: np.broadcast_to(a[0], shape))


def fold_tile(call: Call) -> Result:
    x, times = first_of(call), call.listed("repeats", 1)
    if times is None or len(times) != len(x.shape) or min(times, default=0) < 0:
        raise Unfoldable("its repeats are not as many as its axes")
    shape = [size * time for size, time in zip(x.shape, times, strict=True)]
    return call.result(shape, lambda a: np.tile(a[0], times))


def fold_dequantize(call: Call) -> Result:
    """y = (x - zero) * scale, for the whole tensor or along one axis."""
    x, scale, zero = first_of(call), call.tensor(1), call.tensor(2)
    if scale is None or len(scale.shape) > 1 or (zero is not None and zero.shape != scale.shape):
        raise Unfoldable("its scale is not one number or a list of them")
    sides = [1] * len(x.shape)
    if scale.shape not in ((), (1,)):
        axis = axis_of(call.number("axis", 1), len(x.shape))
        if scale.shape != (x.shape[axis],):
            raise Unfoldable("its scale does not fit its axis")
        sides[axis] = -1
    dtype = scale.dtype

    def compute(a: list[Array]) -> Array:
        centred = a[0].astype(dtype) - (a[2].astype(dtype).reshape(sides) if len(a) == 3 else 0)
        return np.asarray(centred * a[1].reshape(sides), dtype)

    return _rounded(Result(x.shape, dtype, tuple(t for t in (x, scale, zero) if t is not None), compute))


def _rounded(result: Result) -> Result:
    """Of arithmetic in bfloat16, whose every result is rounded to 8 bits, only the shape is worked out."""
    if result.dtype != "bfloat16":
        return result
    return replace(result, inputs=tuple(replace(tensor, load=None) for tensor in result.inputs))


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape. Raises Unfoldable when there is none."""
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    sizes = [{size for size in column if size != 1} or {1} for column in columns]
    if any(len(size) != 1 or min(size) < 0 for size in sizes):
        raise Unfoldable("its inputs do not fit together")
    return tuple(size.pop() for size in sizes)


def _divide(a: Array, b: Array) -> Array:
    """ONNX divides whole numbers towards zero."""
    with np.errstate(all="ignore"):
        if a.dtype.kind not in "iu":
            return np.asarray(a / b)
        if not b.all():
            raise ZeroDivisionError
        return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Call], Result]:
    def fold(call: Call) -> Result:
        x, y = first_of(call), call.tensor(1)
        if y is None or x.dtype != y.dtype:
            raise Unfoldable("its inputs have two types")
        shape = broadcast(x.shape, y.shape)
        return _rounded(call.result(shape, lambda a: np.asarray(function(a[0], a[1])), y))

    return fold


RULES: Mapping[str, Callable[[Call], Result]] = {
    "Identity": fold_identity,
    "Cast": fold_cast,
    "Slice": fold_slice,
    "Concat": fold_concat,
    "Split": fold_split,
    "Unsqueeze": fold_unsqueeze,
    "Squeeze": fold_squeeze,
    "Transpose": fold_transpose,
    "Reshape": fold_reshape,
    "Flatten": fold_flatten,
    "Gather": fold_gather,
    "Shape": fold_shape,
    "ConstantOfShape": fold_constant_of_shape,
    "Expand": fold_expand,
    "Tile": fold_tile,
    "DequantizeLinear": fold_dequantize,
    "Add": _arithmetic(operator.add),
    "Sub": _arithmetic(operator.sub),
    "Mul": _arithmetic(operator.mul),
    "Div": _arithmetic(_divide),
}
