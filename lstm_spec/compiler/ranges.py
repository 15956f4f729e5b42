"""Ranges of arrays, an interval for each unit: the domain in which weights bound what a layer computes.

Ends are float64, pushed outwards after every operation by the roundoff of the dtype that the code runs in, so a range
holds the real value and the one that the code computes. Library functions are taken to be within 8 roundoffs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.symbolic.algebra import Call
from lstm_spec.symbolic.curves import image
from lstm_spec.symbolic.intervals import EVERYTHING
from lstm_spec.symbolic.ranging import ULPS

Array = np.ndarray[Any, Any]
DOUBLE = 2.0**-53


@dataclass(frozen=True, slots=True)
class Ends:
    """`low` and `high`, arrays of one shape (a unit each, or a matrix); every result is pushed outwards a little."""

    low: Array
    high: Array

    @classmethod
    def around(cls, size: Any, rows: int) -> Ends:
        """From −size to size, for every row."""
        high = np.broadcast_to(np.asarray(size, np.float64), (rows,))
        return cls(-high, high)

    @property
    def magnitude(self) -> Array:
        """The bound of the absolute value."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))

    def outward(self, slack: float = 0.0) -> Ends:
        """Both ends further out: by `slack` of the larger, as sums in another order may round, and by one float64."""
        off = _known(slack * self.magnitude, 0.0) if slack else 0.0
        low, high = _known(self.low - off, -np.inf), _known(self.high + off, np.inf)
        return Ends(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))

    def join(self, other: Ends) -> Ends:
        """What either holds."""
        return Ends(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def meet(self, other: Ends) -> Ends:
        """What both hold, where both hold what is true."""
        return Ends(np.maximum(self.low, other.low), np.minimum(self.high, other.high))

    def __neg__(self) -> Ends:
        return Ends(-self.high, -self.low)

    def __add__(self, other: Ends) -> Ends:
        return Ends(_known(self.low + other.low, -np.inf), _known(self.high + other.high, np.inf)).outward()

    def __sub__(self, other: Ends) -> Ends:
        return self + -other

    def __mul__(self, other: Ends) -> Ends:
        ends = [_known(a * b, 0.0) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Ends(np.minimum.reduce(ends), np.maximum.reduce(ends)).outward()

    def __truediv__(self, other: Ends) -> Ends:
        return self * other.reciprocal()

    def reciprocal(self) -> Ends:
        """1 / z; everything where z may be 0."""
        crosses = (self.low <= 0) & (self.high >= 0)
        low, high = 1 / np.where(crosses, 1, self.high), 1 / np.where(crosses, 1, self.low)
        return Ends(np.where(crosses, -np.inf, low), np.where(crosses, np.inf, high)).outward()

    def square(self) -> Ends:
        """z * z."""
        crosses = (self.low <= 0) & (self.high >= 0)
        least = np.where(crosses, 0, np.minimum(np.abs(self.low), np.abs(self.high)))
        found = Ends(least, self.magnitude)
        return found * found


def _known(values: Array, instead: float) -> Array:
    """NaN (oo − oo, 0 times oo) as what it stands for."""
    return np.where(np.isnan(values), instead, values)


def number_ends(value: Any, u: float) -> Ends:
    """A number as the code has it: exactly, where it is short in binary (1, 1/2), else rounded."""
    nearest = np.asarray(float(value))
    is_short = abs(value.p) < 2**8 and value.q in (1, 2, 4, 8, 16, 32, 64)
    return Ends(nearest, nearest) if is_short else Ends(nearest, nearest).outward(u)


RISING = {"sigmoid", "tanh", "relu", "exp", "log", "sqrt", "softplus", "softsign", "identity", "step", "clip"}


@dataclass(frozen=True, slots=True)
class ArrayRanges:
    """The domain of `Ends`; `u` is the roundoff of the code's dtype, `widths` has the rows of names that split.

    `assumed` are ranges that are known besides: what was assumed, and what holds for any weights. `tiny` is the dtype's
    smallest step, by which a result that underflows is off at most; beyond `largest` it is infinite.
    """

    u: float
    tiny: float
    largest: float
    widths: Callable[[str], int]
    assumed: Any

    def number(self, value: Any) -> Ends:
        """The number, for every unit."""
        return number_ends(value, self.u)

    def settled(self, value: Ends) -> Ends:
        """One operation's result, rounded in the code's dtype; rounding never crosses 0."""
        wider = value.outward(self.u)
        low, high = wider.low - self.tiny, wider.high + self.tiny
        low = np.where(value.low >= 0, np.maximum(low, 0), low)
        high = np.where(value.high <= 0, np.minimum(high, 0), high)
        return self._within_reach(Ends(low, high))

    def _within_reach(self, value: Ends) -> Ends:
        """Beyond the dtype's largest number stands infinity."""
        low, high = (
            np.where(np.abs(end) > self.largest, np.copysign(np.inf, end), end) for end in (value.low, value.high)
        )
        return Ends(np.where(low == np.inf, self.largest, low), np.where(high == -np.inf, -self.largest, high))

    def product(self, left: Ends, right: Ends) -> Ends:
        """`W x`: the signs of W choose the ends; a sum of N products in any order is off by γ_N of Σ|W||x|."""
        count = left.low.shape[-1] + 2
        most = np.maximum(np.abs(left.low), np.abs(left.high)) @ right.magnitude
        centre, radius = (right.low + right.high) / 2, (right.high - right.low) / 2
        middle, width = (left.low + left.high) / 2, (left.high - left.low) / 2
        spread = np.abs(middle) @ radius + width @ right.magnitude
        gamma = sum(count * u / (1 - count * u) if count * u < 0.5 else np.inf for u in (self.u, 4 * DOUBLE))
        off = _known(gamma * most, 0.0) + count * self.tiny
        value = middle @ centre
        found = Ends(_known(value - spread - off, -np.inf), _known(value + spread + off, np.inf))
        return self._within_reach(found.outward(4 * DOUBLE))

    def transposed(self, value: Ends) -> Ends:
        """Both ends transposed."""
        return Ends(value.low.T, value.high.T)

    def joined(self, parts: Sequence[Ends]) -> Ends:
        """One under the other."""
        return Ends(np.concatenate([p.low for p in parts]), np.concatenate([p.high for p in parts]))

    def split(self, value: Ends, names: Sequence[str]) -> Sequence[Ends]:
        """By the rows of each name."""
        stops = np.cumsum([self.widths(name) for name in names])[:-1]
        return [
            Ends(low, high) for low, high in zip(np.split(value.low, stops), np.split(value.high, stops), strict=True)
        ]

    def called(self, call: Call, arguments: Sequence[Ends]) -> Ends:
        """A function that never falls at both ends; the others by the bounds that they have."""
        numbers = [float(n) for n in call.numbers]
        first = arguments[0]
        limits = image(call.function, (EVERYTHING,) * len(arguments), call.numbers)
        within = Ends(self._limit(limits.low).low, self._limit(limits.high).high)
        falls = call.function in ("leaky_relu", "elu", "hard_sigmoid") and call.numbers[0] < 0
        if call.function in RISING or (call.function in ("leaky_relu", "elu", "hard_sigmoid") and not falls):
            ends = Ends(*(np.asarray(COMPUTE[call.function](end, *numbers)) for end in (first.low, first.high)))
            absolute = (
                0.0 if call.function not in ("elu", "hard_sigmoid") else ULPS * self.u * (1 + max(map(abs, numbers)))
            )
            slack = ULPS * (self.u + 2 * DOUBLE)
            floor = ULPS * 2 * DOUBLE if call.function == "sigmoid" else 0.0  # the interpreter's is off by that at 0
            absolute += floor + ULPS * self.tiny
            ends = Ends(_known(ends.low, -np.inf) - absolute, _known(ends.high, np.inf) + absolute)
            return self._within_reach(ends.outward(slack).meet(within))
        return self._other(call, arguments, within)

    def _limit(self, end: Any) -> Ends:
        """A limit as the code has it: clip at 0.1 is at 0.1 as it is in the dtype."""
        return Ends(*[np.asarray(float(end))] * 2) if end in (EVERYTHING.low, EVERYTHING.high) else self.number(end)

    def _other(self, call: Call, arguments: Sequence[Ends], within: Ends) -> Ends:
        first, rows = arguments[0], arguments[0].low.shape[-1] if arguments[0].low.ndim else 1
        match call.function:
            case "abs":
                crosses = (first.low <= 0) & (first.high >= 0)
                least = np.where(crosses, 0, np.minimum(np.abs(first.low), np.abs(first.high)))
                return Ends(least, first.magnitude)
            case "max":
                return Ends(*(np.maximum(getattr(first, e), getattr(arguments[1], e)) for e in ("low", "high")))
            case "mean":
                off = (rows + ULPS) * (self.u + DOUBLE) * first.magnitude.mean()
                low, high = first.low.mean() - off, first.high.mean() + off
                return Ends(np.full(first.low.shape, low), np.full(first.low.shape, high)).outward(ULPS * DOUBLE)
            case "layer_norm":
                return Ends.around(np.sqrt(rows) * (1 + 2 * (rows + ULPS) * (self.u + DOUBLE)), rows)
        shape = first.low.shape
        return Ends(np.broadcast_to(within.low, shape), np.broadcast_to(within.high, shape))

    def at_most_zero(self, value: Ends) -> Ends:
        """Nothing above 0."""
        return Ends(np.minimum(value.low, 0), np.minimum(value.high, 0))

    def held(self, name: str, value: Ends) -> Ends:
        """Within what was assumed of it."""
        if name not in self.assumed:
            return value
        within = self.assumed[name]
        return value.meet(Ends(np.asarray(float(within.low)), np.asarray(float(within.high))))
