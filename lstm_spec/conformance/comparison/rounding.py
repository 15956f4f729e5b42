"""What rounding alone may put between a parameter of one file and the same of another.

Come in: two parameters with the dtypes of their files. Go out: how far apart their numbers are, and how far apart two
roundings of one number may lie; each number by its own size, never by that of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_spec.conformance.recognition.loading import HALVES, NARROWEST

Array = np.ndarray[Any, Any]

# How many digits a dtype keeps, and the exponent e, for m·2^e with m in [1/2, 1), below which it keeps fewer.
KEPT = {"bfloat16": (8, -125), "float16": (11, -13), "float32": (24, -125), "float64": (53, -1021)}


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A parameter as it is compared: its numbers, in float32 at least, and the dtype that its file keeps them in.

    `addends` are the two biases that it is the sum of, where there are two; `constant` is what the equation adds.
    """

    array: Array
    dtype: str
    addends: tuple[Array, ...] = ()
    constant: float = 0.0

    @property
    def total(self) -> Array:
        """With the constant, in the dtype of the numbers."""
        total: Array = self.array + self.array.dtype.type(self.constant) if self.constant else self.array
        return total


def largest_gap(one: Parameter, other: Parameter) -> float:
    """The largest |a - b|; infinite where one is a number and the other none, 0 where they are equal to the bit."""
    return float(np.max(_gaps(one, other), initial=0))


def agree(one: Parameter, other: Parameter, constants: Iterable[float] = ()) -> bool:
    """Whether both may be roundings of the same numbers.

    `constants` are those that equations of some dialect add to the parameter: numbers that were once such a dialect's
    have lost the digits that there is no room for beside the constant. Of a half that would be most of them.
    """
    if one.array.shape != other.array.shape:
        return False
    narrow = min(one.dtype, other.dtype, key=NARROWEST.index)
    ways = [(one, other)]
    if narrow not in HALVES and one.constant == other.constant:
        for shift in (one.constant - constant for constant in constants if constant != one.constant):
            ways += [(_returned(one, shift, narrow), other), (one, _returned(other, shift, narrow))]
    return any(bool((_gaps(a, b) <= _allowed(a, b)).all()) for a, b in ways)


def _returned(parameter: Parameter, shift: float, dtype: str) -> Parameter:
    """A parameter that had something added and taken off again, rounded each time."""
    there = _rounded(parameter.array.astype(np.float64) + shift, dtype)
    return replace(parameter, array=_rounded(there - shift, dtype))


def _as_compared(one: Parameter, other: Parameter) -> tuple[Array, Array]:
    """With their constants, unless these are one: then no file has it, and it takes no digits."""
    return (one.array, other.array) if one.constant == other.constant else (one.total, other.total)


def _gaps(one: Parameter, other: Parameter) -> Array:
    a, b = _as_compared(one, other)
    same: Array = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return np.zeros(1)
    with np.errstate(all="ignore"):
        gaps = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(same, 0, np.where(np.isnan(gaps), np.inf, gaps))


def _allowed(one: Parameter, other: Parameter) -> Array:
    """How far each two numbers may lie apart and still be roundings of one.

    Files of one dtype hold the same numbers or others: nothing is allowed, nor for a sum of two biases, which is
    rounded here as it is elsewhere. Two things lie between other files.
    """
    narrow, wide = sorted((one.dtype, other.dtype), key=NARROWEST.index)
    summed = bool(one.addends or other.addends)
    # Storing: b is a, rounded to the narrower dtype, so that it lies within half a unit in the last place. On its way
    # to a half a number passes through float32 (PyTorch rounds a double twice), or it was the other half: then half a
    # unit of that, too. A sum of two halves is float32 here and a half in a file of one bias: it was stored as well.
    stored = narrow != wide or (summed and narrow in HALVES)
    # Adding: one side was rounded before, the other after it, for two biases when the dtype changes, and for a constant
    # that only one equation has: the addends and the sum can be off by half a unit each, which is together no more than
    # one unit of the largest of them and the half that storing has already.
    additions = (one.constant != other.constant) + (narrow != wide and summed)
    if not stored and not additions:
        return np.zeros(1)
    totals = [np.abs(array.astype(np.float64)) for array in _as_compared(one, other)]
    allowed: Array = np.zeros(1)
    if stored:
        smaller, between = np.minimum(*totals), "float16" if (narrow, wide) == ("bfloat16", "float16") else "float32"
        allowed = _unit(smaller, narrow) / 2 + (_unit(smaller, between) / 2 if narrow in HALVES else 0)
    if additions:
        parts = [np.abs(part) for side in (one, other) for part in (side.array, *side.addends)]
        largest = np.maximum.reduce(
            [*totals, *parts, np.full_like(totals[0], max(abs(one.constant), abs(other.constant)))]
        )
        allowed = allowed + additions * _unit(largest, narrow)
    return allowed


def _unit(numbers: Array, dtype: str) -> Array:
    """The unit in the last place of each number, as the dtype keeps it."""
    digits, least = KEPT[dtype]
    known = np.where(np.isfinite(numbers), numbers, 0).astype(np.float64)
    _, exponents = np.frexp(known)
    unit: Array = np.ldexp(1.0, np.where(known == 0, least, np.maximum(exponents, least)) - digits)
    return unit


def _rounded(numbers: Array, dtype: str) -> Array:
    unit = _unit(numbers, dtype)
    return np.rint(numbers / unit) * unit
