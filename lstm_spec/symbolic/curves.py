"""The function table's functions on intervals: the range of each over a range of its argument.

A function that never falls maps ends to ends; the others stand apart. A value that is no rational (tanh(1/2)) is
enclosed between two that are, 30 digits apart from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Integer, Rational, Symbol, oo

from lstm_spec.symbolic.intervals import EVERYTHING, Interval

z = Symbol("z", real=True)
NEAR = Rational(1, 10**30)  # how far an enclosure reaches beyond the value
FAR = 10_000  # beyond it a value is enclosed by its limit: exp(1e999) has more digits than there is memory
SIGMOID = 1 / (1 + sympy.exp(-z))


@dataclass(frozen=True, slots=True)
class Curve:
    """A function that never falls: its formula, its limits at −oo and +oo, and whether it rises everywhere.

    Where it does not, an end that its argument leaves out may be reached all the same. `start` is where its domain
    begins.
    """

    formula: Callable[[Any], Any]
    low: Any
    high: Any
    rises: bool = True
    start: Any = -oo

    def over(self, argument: Interval) -> Interval:
        """The range over an interval."""
        low, low_open = self._end(argument.low, argument.low_open, upper=False)
        high, high_open = self._end(argument.high, argument.high_open, upper=True)
        return Interval(low, high, low_open, high_open)

    def _end(self, at: Any, left_out: bool, upper: bool) -> tuple[Any, bool]:
        limit = self.high if upper else self.low
        if at in (oo, -oo) or at < self.start:
            limit = self.high if at == oo else self.low
            return limit, limit in (oo, -oo) or self.rises
        if self.rises and abs(at) > FAR:
            beyond = (at > 0) == upper
            at = limit if beyond else FAR if at > 0 else -FAR
            return (at, True) if beyond else (self._enclosed(Integer(at), upper)[0], False)
        value, exact = self._enclosed(at, upper)
        return value, left_out and self.rises and exact

    def _enclosed(self, at: Any, upper: bool) -> tuple[Any, bool]:
        value = self.formula(at)
        if value in (oo, -oo) or value.is_Rational:
            return value, True
        digits = Rational(value.evalf(45))
        near = NEAR * max(1, abs(digits))
        outward = digits + near if upper else digits - near
        return (min(outward, self.high) if upper else max(outward, self.low)), False


def curve(function: str, numbers: tuple[Any, ...]) -> Curve | None:
    """A function of the table as a curve; None where it falls somewhere, or looks at the whole vector."""
    zero, one = Integer(0), Integer(1)
    match function, numbers:
        case "sigmoid", _:
            return Curve(lambda at: SIGMOID.xreplace({z: at}), zero, one)
        case "tanh", _:
            return Curve(sympy.tanh, -one, one)
        case "softsign", _:
            return Curve(lambda at: at / (1 + abs(at)), -one, one)
        case "relu", _:
            return Curve(lambda at: max(at, zero), zero, oo, rises=False)
        case "exp", _:
            return Curve(sympy.exp, zero, oo)
        case "softplus", _:
            return Curve(lambda at: sympy.log(1 + sympy.exp(at)), zero, oo)
        case "log", _:
            return Curve(lambda at: sympy.log(at) if at > 0 else -oo, -oo, oo, start=zero)
        case "sqrt", _:
            return Curve(sympy.sqrt, zero, oo, start=zero)
        case "step", _:
            return Curve(lambda at: one if at > 0 else zero, zero, one, rises=False)
        case "clip", (low, high):
            return Curve(lambda at: min(max(at, low), high), low, high, rises=False)
        case "leaky_relu", (a,) if a >= 0:
            return Curve(lambda at: at if at > 0 else a * at, -oo if a > 0 else zero, oo, rises=False)
        case "elu", (a,) if a >= 0:
            return Curve(lambda at: at if at > 0 else a * (sympy.exp(at) - 1), -a, oo, rises=bool(a > 0))
        case "hard_sigmoid", (slope, offset) if slope > 0:
            return Curve(lambda at: min(max(slope * at + offset, zero), one), zero, one, rises=False)
    return None


def image(function: str, arguments: tuple[Interval, ...], numbers: tuple[Any, ...], rows: Any = None) -> Interval:
    """The range of a known function over the ranges of its tensors.

    `rows` is the vector's length where it is a number: a normalised entry is then at most sqrt(rows − 1).

    >>> print(image("sigmoid", (EVERYTHING,), ()))
    (0, 1)
    """
    found = curve(function, numbers)
    if found is not None:
        return found.over(arguments[0])
    match function:
        case "identity" | "mean":
            return arguments[0]
        case "abs":
            return arguments[0].absolute()
        case "max":
            one, other = arguments
            low, low_open = max((one.low, one.low_open), (other.low, other.low_open))
            high, high_closed = max((one.high, not one.high_open), (other.high, not other.high_open))
            return Interval(low, high, low_open, not high_closed)
        case "hard_sigmoid":
            slope, offset = numbers
            whole = arguments[0] * Interval.point(slope) + Interval.point(offset)
            return Curve(lambda at: min(max(at, Integer(0)), Integer(1)), Integer(0), Integer(1), False).over(whole)
        case "layer_norm" if getattr(rows, "is_Integer", False) and numbers[0] >= 0:
            most = Integer(int(sympy.integer_nthroot(int(rows - 1) * 10**12, 2)[0]) + 1) / 10**6
            return Interval.between(-most, most)
    return EVERYTHING
