"""Intervals of real numbers: exact ends, open or closed, and the arithmetic that encloses every result.

Ends are SymPy rationals or ±oo (always open). Each operation returns an interval that holds every result of the
operation on members of its operands; it may hold more. Knows no equations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sympy import Integer, Rational, oo

End = tuple[Any, bool]  # a value, and whether it is left out


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`; an open end is not one of them.

    >>> print(Interval.between(-1, 1, open=True) * Interval.between(0, 2))
    (-2, 2)
    """

    low: Any
    high: Any
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def between(cls, low: Any, high: Any, open: bool = False) -> Interval:
        """From `low` to `high`, both ends open or both closed; infinity is never reached."""
        low, high = _exact(low), _exact(high)
        return cls(low, high, open or low == -oo, open or high == oo)

    @classmethod
    def point(cls, value: Any) -> Interval:
        """One number."""
        return cls.between(value, value)

    @property
    def magnitude(self) -> Any:
        """The least bound of the absolute value, maybe oo."""
        return max(abs(self.low), abs(self.high))

    @property
    def strict(self) -> bool:
        """Whether no absolute value reaches `magnitude`."""
        ends = ((self.low, self.low_open), (self.high, self.high_open))
        return all(left_out for value, left_out in ends if abs(value) == self.magnitude)

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are finite."""
        return bool(self.low > -oo and self.high < oo)

    @property
    def is_nonnegative(self) -> bool:
        """Whether no member is below 0."""
        return bool(self.low >= 0)

    @property
    def is_positive(self) -> bool:
        """Whether every member is above 0."""
        return bool(self.low > 0 or (self.low == 0 and self.low_open))

    def holds(self, value: Any) -> bool:
        """Whether a number is a member."""
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return bool(above and below)

    def closed(self) -> Interval:
        """The same ends, reached where they are finite."""
        return Interval.between(self.low, self.high)

    def meet(self, other: Interval) -> Interval | None:
        """What both hold; None where that is nothing."""
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        if low > high or (low == high and (low_open or not high_closed)):
            return None
        return Interval(low, high, low_open, not high_closed)

    def join(self, other: Interval) -> Interval:
        """The least interval that holds both."""
        low, low_open = min((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = max((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, low_open, not high_closed)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.high_open, self.low_open)

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            self.low + other.low,
            self.high + other.high,
            self.low_open or other.low_open,
            self.high_open or other.high_open,
        )

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        ends = [_times(a, b) for a in self._ends() for b in other._ends()]
        return _around(ends)

    def __truediv__(self, other: Interval) -> Interval:
        return self * other.reciprocal()

    def reciprocal(self) -> Interval:
        """1 / z; everything where z may have either sign."""
        if self.low < 0 < self.high or self.low == self.high == 0:
            return EVERYTHING
        if self.high <= 0:
            return -(-self).reciprocal()
        high, high_open = (1 / self.low, self.low_open) if self.low > 0 else (oo, True)
        low, low_open = (1 / self.high, self.high_open) if self.high < oo else (Integer(0), True)
        return Interval(low, high, low_open, high_open)

    def square(self) -> Interval:
        """z * z."""
        size = self.absolute()
        return size * size

    def absolute(self) -> Interval:
        """|z|."""
        if self.low >= 0:
            return self
        if self.high <= 0:
            return -self
        return Interval(Integer(0), self.magnitude, False, self.strict)

    def _ends(self) -> tuple[End, End]:
        return (self.low, self.low_open), (self.high, self.high_open)

    def __str__(self) -> str:
        if self.low == -oo and self.high == oo:
            return "any number"
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{left}{number_text(self.low)}, {number_text(self.high)}{right}"


def _exact(value: Any) -> Any:
    return value if value in (oo, -oo) else Rational(value)


def _times(one: End, other: End) -> End:
    """An end of a product. 0 is reached where either 0 is; 0 times infinity is approached, never passed."""
    (a, a_open), (b, b_open) = one, other
    if a == 0 or b == 0:
        return Integer(0), not ((a == 0 and not a_open) or (b == 0 and not b_open))
    return a * b, a_open or b_open


def _around(ends: Iterable[End]) -> Interval:
    ends = list(ends)
    low, low_open = min(ends)
    high, high_closed = max((value, not left_out) for value, left_out in ends)
    return Interval(low, high, low_open, not high_closed)


def number_text(value: Any) -> str:
    """A rational for people: as it is where that is short, else with six digits."""
    if value in (oo, -oo):
        return str(value)
    exact = str(value)
    return exact if len(exact) <= 8 else f"{float(value):.6g}"


EVERYTHING = Interval(-oo, oo, True, True)
