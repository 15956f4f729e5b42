"""One recorded step: x, h, c before it and h', c' after it, in the names that people give them → `Step`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, TensorError, safe

Array = np.ndarray[Any, Any]

# What a recording calls each array; "h" alone is the state before the step.
NAMES: dict[str, tuple[str, ...]] = {
    "x": ("x", "X", "x_t", "input", "inputs"),
    "h": ("h", "h0", "h_0", "hx", "h_prev", "h_in", "hidden", "initial_h", "l0.h0", "l0.h"),
    "c": ("c", "c0", "c_0", "cx", "c_prev", "c_in", "cell", "initial_c", "l0.c0", "l0.c"),
    "h1": ("h1", "h'", "h_1", "h_next", "h_new", "h_out", "hn", "h_n", "hy", "Y_h", "y", "Y"),
    "c1": ("c1", "c'", "c_1", "c_next", "c_new", "c_out", "cn", "c_n", "cy", "Y_c"),
}
STACKED = {
    ("h", "c"): ("state", "s", "state0", "carry"),
    ("h1", "c1"): ("state1", "state'", "s1", "state_next", "new_state", "carry1"),
}
WORDS = "x, h, c before the step and h1, c1 after it"
MOST_SAMPLES = 256
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """x (B, n), h (B, r), c (B, k), h1 (B, r), c1 (B, k), in float64.

    `dtype` is the coarsest that was recorded; `named` is False where the states came stacked, in an order that the
    file does not say; `unread` are arrays of other names; `samples` the B of the file, of which the first are used.
    """

    x: Array
    h: Array
    c: Array
    h1: Array
    c1: Array
    dtype: np.dtype[Any]
    named: bool = True
    unread: tuple[str, ...] = ()
    samples: int = 0

    @property
    def n(self) -> int:
        """The width of x."""
        return int(self.x.shape[1])

    @property
    def r(self) -> int:
        """The width of h."""
        return int(self.h.shape[1])

    @property
    def k(self) -> int:
        """The width of c."""
        return int(self.c.shape[1])

    @property
    def square(self) -> bool:
        """Whether h and c could change places."""
        return self.r == self.k


def read_step(source: Any) -> Step:
    """A step from an npz, a mapping of arrays, or a `Step` as it is.

    Raises FileError when the file cannot be read, TensorError when an array is missing, is no float, holds NaN or
    infinity, or has a shape that no step has.
    """
    if isinstance(source, Step):
        return source
    origin, arrays = _arrays(source)
    found, named = _find(arrays, origin)
    flat = {name: _flat(name, array, origin) for name, array in found.items()}
    _agree(flat, origin)
    dtype = max((a.dtype for a in found.values()), key=lambda d: float(np.finfo(d).eps))
    kept = {name: np.asarray(array[:MOST_SAMPLES], np.float64) for name, array in flat.items()}
    used = {key for names in (*NAMES.values(), *STACKED.values()) for key in names}
    unread = tuple(name for name in arrays if name not in used)
    return Step(**kept, dtype=dtype, named=named, unread=unread, samples=len(flat["x"]))


def _arrays(source: Any) -> tuple[str, dict[str, Array]]:
    if isinstance(source, str | os.PathLike):
        from lstm_spec.checkpoints import read_tensors

        tensors = read_tensors(source)
        loads = {name: tensor.load for name, tensor in tensors.items()}
        return tensors.origin, {name: load() for name, load in loads.items() if load is not None}
    if isinstance(source, Mapping):
        return "the step", {str(name): np.asarray(array) for name, array in source.items()}
    found = safe(type(source).__name__, 60)
    raise TensorError(Finding("step", "this is no recorded step", "", f"an npz, or a mapping: {WORDS}", found))


def _find(arrays: Mapping[str, Array], origin: str) -> tuple[dict[str, Array], bool]:
    """The five arrays by our names, and whether their names tell h from c."""
    found = {ours: arrays[name] for ours, names in NAMES.items() for name in reversed(names) if name in arrays}
    named = True
    for pair, names in STACKED.items():
        stack = next((arrays[name] for name in names if name in arrays), None)
        if stack is not None and stack.ndim >= 2 and len(stack) == 2 and not set(pair) & set(found):
            found |= dict(zip(pair, stack, strict=True))
            named = False
    missing = [name for name in NAMES if name not in found]
    if missing:
        have = ", ".join(f"{safe(name, 40)} {array.shape}" for name, array in list(arrays.items())[:8]) or "no arrays"
        raise TensorError(
            Finding(
                "step",
                f"the step has no {', '.join(missing)}",
                at=safe(origin),
                expected=f"{WORDS}: x (B, n), the others (B, k)",
                found=have,
                help=f"record one step: np.savez('step.npz', x=…, h=…, c=…, h1=…, c1=…)\nh1 may also be called "
                f"{', '.join(NAMES['h1'][1:6])}",
            )
        )
    return found, named


def _flat(name: str, array: Array, origin: str) -> Array:
    """(samples, width): one sample gets its axis, several steps that were each recorded lie one after the other."""
    at = f"{safe(origin)} : {name}"
    if array.dtype.kind != "f":
        raise TensorError(
            Finding("dtype", f"{name} holds no floats", at, "float16, float32 or float64", f"{array.dtype}")
        )
    if array.ndim < 1 or array.size == 0:
        raise TensorError(Finding("step", f"{name} is empty", at, "(B, width)", str(array.shape)))
    if not np.isfinite(array).all():
        raise TensorError(Finding("values", f"{name} holds NaN or infinity", at, help="record another step"))
    return array.reshape(-1, array.shape[-1])


def _agree(flat: Mapping[str, Array], origin: str) -> None:
    """As many samples everywhere; h' as wide as h, c' as c."""
    shapes = ", ".join(f"{name} {array.shape}" for name, array in flat.items())
    widths = {name: array.shape[1] for name, array in flat.items()}
    if len({len(array) for array in flat.values()}) > 1:
        raise TensorError(
            Finding(
                "step",
                "the arrays of the step do not have the same number of samples",
                at=safe(origin),
                expected="x (B, n), h and h1 (B, r), c and c1 (B, k)",
                found=shapes,
                help="one step, not a sequence: of several steps each needs its own states",
            )
        )
    if sorted((widths["h"], widths["c"])) != sorted((widths["h1"], widths["c1"])):
        raise TensorError(
            Finding("step", "the states do not have one width before and after the step", safe(origin), "", shapes)
        )
    if widths["h"] != widths["h1"]:
        raise TensorError(
            Finding(
                "step",
                "h and c change places in this step: their widths differ before and after it",
                at=safe(origin),
                expected="h1 as wide as h, c1 as wide as c",
                found=shapes,
                help="rename them; with a projection h is the narrower one",
            )
        )
