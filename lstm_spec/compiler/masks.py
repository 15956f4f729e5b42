"""Lengths or a mask → which steps of which sample are there, as the compiled code reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_spec.errors import Finding, OptionError, TensorError

Array = np.ndarray[Any, Any]


def alive_steps(shape: tuple[int, int], lengths: Any, mask: Any, layout: str) -> Array | None:
    """`alive (T, B, 1)`, booleans, or None where every step is there.

    `shape` is (T, B); `lengths` (B,) are whole numbers from 0 to T; `mask` is (T, B), or (B, T) in the layout "batch".
    Raises TensorError for anything else, OptionError for both at once.
    """
    if lengths is not None and mask is not None:
        raise OptionError(Finding("options", "lengths do not go with a mask", help="put the ends into the mask"))
    if lengths is not None:
        return np.arange(shape[0])[:, None, None] < _held_lengths(shape, lengths)[:, None]
    if mask is None:
        return None
    held = np.asarray(mask)
    expected = f"(T, B) = {shape}" if layout == "time" else f"(B, T) = {shape[::-1]}"
    if held.dtype != np.bool_ or held.shape != (shape if layout == "time" else shape[::-1]):
        found = f"{held.dtype} {held.shape}"
        raise TensorError(Finding("mask", "the mask does not fit x", "", f"booleans {expected}", found))
    return (held if layout == "time" else held.T)[:, :, None]


def _held_lengths(shape: tuple[int, int], lengths: Any) -> Array:
    steps, batch = shape
    held = np.asarray(lengths)
    if held.size == 0:
        held = held.astype(np.int64)
    expected = f"{batch} whole numbers, one a sample"
    if held.dtype.kind not in "iu" or held.shape != (batch,):
        raise TensorError(Finding("lengths", "the lengths do not fit x", "", expected, f"{held.dtype} {held.shape}"))
    wrong = [f"{length} of sample {b}" for b, length in enumerate(held.tolist()) if not 0 <= length <= steps]
    if wrong:
        raise TensorError(Finding("lengths", "a length is out of range", "", f"0 to T = {steps}", ", ".join(wrong[:5])))
    return held
