"""A proven range → the fixed-point formats that hold it, for code without floating point.

Qm.n is signed: one sign bit, m bits before the point, n behind, so [−2^m, 2^m − 2^−n] in steps of 2^−n. m may be
negative where the range is small: the point then stands left of every bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sympy import Rational

from lstm_spec.symbolic.intervals import Interval, number_text

WIDTHS = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Qm.n in `bits` bits; `saturates` where the range's upper end is 2^m itself, one step beyond the largest."""

    bits: int
    integer: int
    saturates: bool

    @property
    def fraction(self) -> int:
        """n, the bits behind the point."""
        return self.bits - 1 - self.integer

    @property
    def step(self) -> Any:
        """2^−n, the distance of neighbours."""
        return Rational(2) ** -self.fraction

    def __str__(self) -> str:
        return f"Q{self.integer}.{self.fraction}{'*' if self.saturates else ''}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `scale_power` is the power of two of one step, as integer kernels take it."""
        return {"format": str(self).rstrip("*"), "saturates": self.saturates, "scale_power": -self.fraction}


def hold_range(found: Interval, bits: int) -> FixedPoint | None:
    """The finest Qm.n that holds a range, but for 2^m itself, which saturates to 2^m − 2^−n; None without two ends.

    >>> print(hold_range(Interval.between(-1, 1, open=True), 16), hold_range(Interval.between(0, 100), 16))
    Q0.15* Q7.8
    """
    if not found.is_bounded:
        return None
    integer = _power_at_least(max(-found.low, found.high, Rational(1, 2**bits)))
    largest = Rational(2) ** integer - Rational(2) ** (integer - bits + 1)
    return FixedPoint(bits, integer, bool(found.high > largest))


def _power_at_least(size: Any) -> int:
    """The least m with 2^m at or above a size."""
    size = Rational(size)
    power = int(size.p).bit_length() - int(size.q).bit_length()
    while Rational(2) ** power < size:
        power += 1
    while Rational(2) ** (power - 1) >= size:
        power -= 1
    return power


def scale_of(found: Interval, bits: int) -> Any | None:
    """The symmetric scale of a quantised tensor, largest / (2^(bits − 1) − 1): real = scale * integer."""
    return found.magnitude / (2 ** (bits - 1) - 1) if found.is_bounded else None


def formats_of(name: str, found: Interval) -> dict[str, Any]:
    """Everything about one value, for JSON."""
    fits = {bits: hold_range(found, bits) for bits in WIDTHS}
    return {
        "name": name,
        "low": number_text(found.low),
        "high": number_text(found.high),
        "fixed_point": {str(bits): fit.to_dict() if fit else None for bits, fit in fits.items()},
        "scales": {str(bits): None if (s := scale_of(found, bits)) is None else float(s) for bits in (8, 16)},
    }
