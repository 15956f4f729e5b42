"""Arrays that come into a network → held to its derived shapes, time first, with the sizes that they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sympy import Integer

from lstm_spec.errors import Finding, SizeError, TensorError, safe
from lstm_spec.layers.network import Network
from lstm_spec.layers.signals import B, Shape, Signal
from lstm_spec.layers.weights import FLOATS, PLAIN
from lstm_spec.symbolic.printing import tuple_text

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """A network, its inputs time first, and the numbers that they show for its letters, T and B among them."""

    network: Network
    inputs: Mapping[str, Array] = field(repr=False)
    sizes: Mapping[Any, Integer]
    dtype: np.dtype[Any]


def bind_inputs(network: Network, x: Array | Mapping[str, Array], dtype: np.dtype[Any] | None) -> Bound:
    """The inputs by name. `dtype` is the weights', None where there are none.

    Raises TensorError where a name, a shape or a dtype is not as derived.
    """
    given = _by_name(network, x)
    sizes: dict[Any, Integer] = {}
    for name, signal in network.inputs.items():
        dtype = _hold_dtype(name, given[name], signal, dtype, network.layout)
        _bind(name, given[name], signal.shape(network.layout), sizes)
    first = {name: _time_first(given[name], signal, network.layout) for name, signal in network.inputs.items()}
    return Bound(network, first, sizes, dtype or np.dtype(np.float64))


def _by_name(network: Network, x: Array | Mapping[str, Array]) -> Mapping[str, Array]:
    names = tuple(network.inputs)
    given = x if isinstance(x, Mapping) else {names[0]: x} if len(names) == 1 else {}
    if set(given) != set(names):
        found = ", ".join(safe(n, 40) for n in given) or type(x).__name__
        raise TensorError(
            Finding(
                "names", "the inputs do not have the network's names", "", f"arrays by name: {', '.join(names)}", found
            )
        )
    return given


def _hold_dtype(
    name: str, array: Any, signal: Signal, dtype: np.dtype[Any] | None, layout: str
) -> np.dtype[Any] | None:
    """Tokens are whole numbers; vectors are of the weights' dtype, or of each other's."""
    expected = tuple_text(signal.shape(layout))
    if type(array) is not np.ndarray:
        kind = type(array).__name__
        raise TensorError(Finding("type", f"{name} is no plain NumPy array", "", expected, kind, help=PLAIN))
    if signal.width is None:
        if array.dtype.kind not in "iu":
            raise TensorError(Finding("dtype", f"{name} is {array.dtype}", expected=f"whole numbers {expected}"))
        return dtype
    if array.dtype not in FLOATS or array.dtype != (dtype or array.dtype):
        others = f"; the others are {dtype}" if dtype else ""
        help = f"nothing is cast in silence: {name}.astype(np.{dtype or 'float64'})"
        wanted = "one dtype, float32 or float64"
        raise TensorError(Finding("dtype", f"{name} is {array.dtype}{others}", expected=wanted, help=help))
    found: np.dtype[Any] = array.dtype
    return found


def _bind(name: str, array: Array, shape: Shape, sizes: dict[Any, Integer]) -> None:
    """The array's lengths as the sizes of its letters, the same wherever a letter stands."""
    known = tuple(size.xreplace(sizes) for size in shape)
    fits = array.ndim == len(shape) and all(
        size.is_Symbol or size == length for size, length in zip(known, array.shape, strict=True)
    )
    if not fits:
        numbers = "" if known == shape else f" = {tuple_text(known)}"
        raise TensorError(
            Finding(
                "shape",
                f"{name} does not have the derived shape",
                expected=f"{tuple_text(shape)}{numbers}",
                found=str(array.shape),
            )
        )
    sizes |= {size: Integer(length) for size, length in zip(known, array.shape, strict=True) if size.is_Symbol}


def _time_first(array: Array, signal: Signal, layout: str) -> Array:
    return array.swapaxes(0, 1) if layout == "batch" and signal.time is not None else array


def hold_states(bound: Bound, state: Mapping[str, Array] | None) -> dict[str, dict[str, Array]]:
    """The initial states by member; none where none are given.

    Raises TensorError where they are not all there, or not of their shapes, SizeError where a size is still a letter.
    """
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        kind = type(state).__name__
        raise TensorError(Finding("type", "the state is no mapping", expected="names → arrays", found=kind))
    wanted = bound.network.initial_shapes()
    if set(state) != set(wanted):
        found, names = (", ".join(safe(n, 40) for n in known) or "none" for known in (state, wanted))
        message = "the state does not have the network's names"
        raise TensorError(Finding("names", message, expected=names, found=found))
    held: dict[str, dict[str, Array]] = {}
    for name, shape in wanted.items():
        _hold_state(name, state[name], tuple(s.xreplace(bound.sizes) for s in (B, *shape)), bound.dtype)
        member, _, own = name.partition(".")
        held.setdefault(member, {})[own] = state[name]
    return held


def _hold_state(name: str, array: Any, shape: Shape, dtype: np.dtype[Any]) -> None:
    if any(not size.is_Integer for size in shape):
        message = f"{name} {tuple_text(shape)} is not known yet"
        raise SizeError(Finding("size", message, help="give the size to the network: network.at(…)"))
    if type(array) is not np.ndarray or array.dtype != dtype or array.shape != tuple(map(int, shape)):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        message = f"{name} does not have the derived shape and dtype"
        raise TensorError(Finding("shape", message, expected=f"{dtype} {tuple_text(shape)}", found=found))
