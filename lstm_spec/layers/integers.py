"""Whole numbers that meet a bound or an equation, exactly: no floating point anywhere.

Knows nothing of layers: a quantity is a function of whole numbers that grows with each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sympy import Poly, Symbol, divisors, gcd_list, sqrt

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.sizes import read_whole
from lstm_spec.symbolic.counts import factored

LARGEST_BUDGET = 10**18
WRITTEN = re.compile(r"([0-9][0-9_,]{0,30})(\.[0-9]{1,20})?([eE][+]?[0-9]{1,2})?(k|K|M|G|T|Ki|Mi|Gi|Ti)?B?")
UNITS = {"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGT", start=1)
}


def read_budget(given: Any, name: str) -> int:
    """A budget as a whole number: `1e6`, `1_000_000`, `3.5M`, `64KiB`, 1e6.

    >>> read_budget("3.5M", "parameters"), read_budget("0.3e1", "macs")
    (3500000, 3)

    Raises OptionError for what is no whole number from 1 to 10**18.
    """
    number = _exact(given)
    shown = safe(repr(given), 40)
    if number is None or number.denominator != 1:
        found = f"{number}" if number is not None and len(str(number)) < 40 else ""
        message = f"{name} = {shown} is no budget"
        raise OptionError(
            Finding("budget", message, expected="a whole number, e.g. 1e6, 1_000_000 or 3.5M", found=found)
        )
    if not 1 <= number <= LARGEST_BUDGET:
        raise OptionError(Finding("budget", f"{name} = {shown} is out of range", expected="from 1 to 1e18"))
    return int(number)


def _exact(given: Any) -> Fraction | None:
    if isinstance(given, float):
        return Fraction(given) if given == given and abs(given) <= LARGEST_BUDGET else None
    if (number := read_whole(given)) is not None:
        return Fraction(number)
    match = WRITTEN.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return None
    whole, decimals, power, unit = match.groups()
    written = re.sub("[_,]", "", whole) + (decimals or "") + (power or "")
    return Fraction(Fraction(written) * UNITS.get(unit or "", 1))


def largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest number from 1 to `limit` that fits, where all below it do too; 0 where 1 does not.

    >>> largest(lambda u: u * u <= 50, 100)
    7
    """
    low, high = 0, 1
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class Root:
    """A closed form: `text` is in letters, with P for the budget; `value` has the numbers in it."""

    text: str
    value: Any

    @property
    def decimal(self) -> str:
        """`435.64`, with six digits; `499999935.5`, with three decimals where six digits would hide the size."""
        number = float(self.value)
        return f"{number:.6g}" if abs(number) < 10**5 else f"{number:.3f}".rstrip("0").rstrip(".")


P = Symbol("P")


def close_form(polynomial: Any, unknown: Any, budget: int, given: dict[Any, Any]) -> Root | None:
    """The positive root of polynomial = P, of degree 1 or 2 in the unknown; None where there is none to write.

    >>> from lstm_spec.symbolic.cell import letter
    >>> n, k = letter("n"), letter("k")
    >>> close_form(4 * k * (k + n + 1), k, 1000, {n: 9}).text
    'k = (sqrt((n + 1)**2 + P) - (n + 1))/2'

    `given` has the numbers of the other letters.
    """
    if not polynomial.is_polynomial(unknown) or Poly(polynomial, unknown).degree() not in (1, 2):
        return None
    terms = Poly(polynomial, unknown).all_coeffs()
    constant = terms[-1]
    left = _difference(constant)
    if len(terms) == 2:
        slope = terms[0]
        text = left if slope == 1 else f"{left}/{_bracketed(slope)}"
        value = (budget - constant) / slope
    else:
        common = _common(terms[:2])
        a, b = terms[0] / common, terms[1] / common
        text = _quadratic(a, b, _times(factored(4 * a / common), left))
        value = (sqrt(b**2 + 4 * a * (budget - constant) / common) - b) / (2 * a)
    return Root(f"{unknown} = {text}", value.xreplace(given))


def _common(coefficients: list[Any]) -> Any:
    """The largest whole number that divides every coefficient of every one."""
    numbers = [number for c in coefficients if c != 0 for number in c.as_coefficients_dict().values()]
    return gcd_list(numbers)


def _difference(constant: Any) -> str:
    """`P`, `(P - 4*k*(n + 1))`, `(P + 4*k*(k - n))`."""
    if constant == 0:
        return "P"
    shown, turned = str(factored(constant)), str(factored(-constant))
    if shown.startswith("-") and not turned.startswith("-"):
        return f"(P + {turned})"
    return f"(P - {f'({shown})' if factored(constant).is_Add else shown})"


def _quadratic(a: Any, b: Any, product: str) -> str:
    under = _bracketed(2 * a)
    if b == 0:
        return f"sqrt({product})/{under}"
    square = str(b**2) if b.is_Integer else f"{_bracketed(b)}**2"
    return f"(sqrt({square} + {product}) - {_bracketed(b)})/{under}"


def _times(factor: Any, left: str) -> str:
    if factor == 1:
        return left
    if factor.is_Rational and factor.q != 1:
        return f"{left}/{factor.q}" if factor.p == 1 else f"{factor.p}*{left}/{factor.q}"
    return f"{_bracketed(factor)}*{left}"


def _bracketed(size: Any) -> str:
    shown = str(factored(size))
    return shown if shown.isalnum() else f"({shown})"


@dataclass(frozen=True, slots=True)
class Curve:
    """A polynomial in two unknowns with whole coefficients, computed with Python's integers."""

    terms: tuple[tuple[tuple[int, int], int], ...]

    @classmethod
    def of(cls, polynomial: Any, outer: Any, inner: Any) -> Curve | None:
        """None where it is no such polynomial."""
        if not polynomial.is_polynomial(outer, inner):
            return None
        terms = Poly(polynomial, outer, inner).terms()
        return cls(tuple((powers, int(c)) for powers, c in terms)) if all(c.is_Integer for _, c in terms) else None

    def at(self, outer: int, inner: int) -> int:
        """The value."""
        return sum(c * outer**i * inner**j for (i, j), c in self.terms)

    @property
    def vanishes(self) -> bool:
        """Whether it is a multiple of the outer unknown, which then divides every value."""
        return all(i > 0 for (i, _), _ in self.terms)

    def solutions(self, value: int, most: int) -> Iterator[tuple[int, int]]:
        """Every (outer, inner) with that value, by the outer one.

        An outer unknown that divides the polynomial divides the value: only its divisors are tried, so that a budget
        of 10**18 takes no longer than its factors. Else every number up to `most` is.
        """
        for outer in divisors(value) if self.vanishes else range(1, most + 1):
            if self.at(outer, 1) > value:
                return
            if (inner := self._inner(outer, value)) is not None:
                yield outer, inner

    def _inner(self, outer: int, value: int) -> int | None:
        """The inner number ≥ 1 with that value, where there is one; at 1 the value is not passed yet."""
        if max((j for (_, j), _ in self.terms), default=0) == 1:
            constant = self.at(outer, 0)
            inner, rest = divmod(value - constant, self.at(outer, 1) - constant)
            return inner if rest == 0 else None
        inner = largest(lambda v: self.at(outer, v) <= value, value)
        return inner if inner and self.at(outer, inner) == value else None
