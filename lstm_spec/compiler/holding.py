"""Arrays that come into a layer → held to its derived shapes, or a message that says what was expected and found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sympy import Integer

from lstm_spec.compiler.program import input_shape
from lstm_spec.errors import Finding, SizeError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import FLOATS, PLAIN, solve_sizes
from lstm_spec.symbolic.printing import size_text

Array = np.ndarray[Any, Any]


def rows_of(layer: Layer) -> str:
    """`n = 5`, the input's rows in the cell's letters and as a number."""
    (own,), (width,) = layer.cell.inputs[0].size, input_shape(layer)
    letters = size_text(own, layer.cell.letters)
    return letters if own == width else f"{letters} = {size_text(width)}"


def hold_sequence(x: Array, given: Layer, dtype: np.dtype[Any] | None) -> tuple[Layer, Array]:
    """x, time first; and the layer with the sizes that only x shows."""
    axes = "(T, B, {})" if given.layout == "time" else "(B, T, {})"
    expected = axes.format(rows_of(given))
    check_array("x", x, dtype, expected)
    shape = (*map(Integer, x.shape[:-1]), *input_shape(given))
    layer = solve_sizes(given, {"x": shape}, {"x": x})
    (width,) = input_shape(layer)
    if x.ndim != 3 or x.shape[2] != width:
        sample = x.ndim == 2 and x.shape[1] == width
        alone = "x[:, None, :]" if given.layout == "time" else "x[None]"
        hint = f"one sample has a batch of 1: {alone}" if sample else ""
        raise TensorError(Finding("shape", "x does not have the derived shape", "", expected, str(x.shape), help=hint))
    return layer, x if given.layout == "time" else x.swapaxes(0, 1)


def hold_states(state: Mapping[str, Array] | None, layer: Layer, x: Array, what: str = "state") -> list[Array]:
    """The states in the layer's order, or their gradients; zeros where none are given. x is time first."""
    dtype, batch = x.dtype, x.shape[1]
    given = {} if state is None else _named(layer, state, what)
    shapes = {name: (Integer(batch), *shape) for name, shape in layer.state_shapes().items()}
    for name, array in given.items():
        expected = f"(B, {shapes[name][1]}) = ({batch}, {shapes[name][1]})"
        check_array(name, array, dtype, expected, of="the weights" if layer.parameter_shapes() else "x")
    layer = solve_sizes(layer, {name: shapes[name] for name in given}, given)
    if layer.open_letters:
        sizes = ", ".join(layer.open_letters)
        raise SizeError(Finding("size", f"no array says what {sizes} is", help="give it to the layer: layer.at(…)"))
    widths = {name: int(shape[0]) for name, shape in layer.state_shapes().items()}
    for name, array in given.items():
        if array.shape != (batch, widths[name]):
            expected = f"(B, {widths[name]}) = ({batch}, {widths[name]})"
            raise TensorError(
                Finding("shape", f"{name} does not have the derived shape", "", expected, str(array.shape))
            )
    return [given[name] if state is not None else np.zeros((batch, rows), dtype) for name, rows in widths.items()]


def _named(layer: Layer, state: Mapping[str, Array], what: str) -> dict[str, Array]:
    """The states under their full names; a layer of one cell may leave out the prefix."""
    names = list(layer.state_shapes())
    if not isinstance(state, Mapping):
        kind = type(state).__name__
        raise TensorError(
            Finding("type", f"the {what} is no mapping", expected=f"arrays by name: {', '.join(names)}", found=kind)
        )
    prefix = f"{layer.members[0].prefix}." if len(layer.members) == 1 else ""
    full = {prefix + str(n) if prefix + str(n) in names else n: array for n, array in state.items()}
    if set(full) != set(names) or len(full) != len(state):
        found = ", ".join(safe(n, 40) for n in state) or "nothing"
        wanted = ", ".join(names) or "none"
        raise TensorError(Finding("names", f"the {what} does not have the layer's names", "", wanted, found))
    return full


def check_array(name: str, array: Any, dtype: np.dtype[Any] | None, expected: str, of: str = "the weights") -> None:
    """Hold an array to the dtype of others; to one of the two where none is given."""
    if type(array) is not np.ndarray:
        kind = type(array).__name__
        raise TensorError(Finding("type", f"{name} is no plain NumPy array", "", expected, kind, help=PLAIN))
    if array.dtype not in FLOATS or array.dtype != (dtype or array.dtype):
        others = f"; {of} {'is' if of == 'x' else 'are'} {dtype}" if dtype else ""
        cast = f"{name}.astype(np.{dtype or 'float64'})" + (f", or cast {of}" if dtype else "")
        raise TensorError(
            Finding(
                "dtype",
                f"{name} is {array.dtype}{others}",
                expected="one dtype, float32 or float64",
                help=f"nothing is cast in silence: {cast}",
            )
        )


def hold_output_gradient(d_y: Array, layer: Layer, x: Array, states: list[Array]) -> Array:
    """The gradient of y as the code reads it: of the shape of y, time first. x is time first; all fit the layer.

    Raises TensorError where it does not fit, or y is the last step of nothing.
    """
    steps, batch = x.shape[:2]
    over_time = layer.output == "sequence"
    if not over_time and steps == 0:
        message = "the last step of an empty sequence has no gradient to send back"
        raise TensorError(Finding("empty", message, expected="T ≥ 1", found="T = 0"))
    shapes = {name: (Integer(batch), *shape) for name, shape in layer.state_shapes().items()}
    layer = solve_sizes(layer, shapes, dict(zip(shapes, states, strict=True)))
    apart = {"D": layer.directions} if layer.merge == "apart" else {}
    sizes = {"B": batch, **({"T": steps} if over_time else {}), **apart}
    order = [a for a in ("BTD" if layer.layout == "batch" else "TDB") if a in sizes]
    wanted = (*(sizes[a] for a in order), int(layer.output_width))
    expected = f"({', '.join(order)}, {layer.output_width}) = {wanted}, as y"
    check_array("d_y", d_y, x.dtype, expected, of="x")
    if d_y.shape != wanted:
        raise TensorError(Finding("shape", "d_y does not have the shape of y", "", expected, str(d_y.shape)))
    return np.moveaxis(d_y, 0, -2) if layer.layout == "batch" and d_y.ndim > 2 else d_y
