"""Intervals: no result of an operation on members is ever outside."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Integer, Rational, oo

from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.symbolic.algebra import FUNCTIONS
from lstm_spec.symbolic.curves import image
from lstm_spec.symbolic.intervals import EVERYTHING, Interval
from lstm_spec.symbolic.ranging import FORMATS
from tests.strategies import few

numbers = st.fractions(min_value=-20, max_value=20, max_denominator=8)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Interval, Fraction]:
    """An interval and one of its members."""
    low, member, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    low_open, high_open = draw(st.booleans()) and low < member, draw(st.booleans()) and member < high
    left = -oo if draw(st.integers(0, 9)) == 0 else Rational(low)
    right = oo if draw(st.integers(0, 9)) == 0 else Rational(high)
    return Interval(left, right, low_open or left == -oo, high_open or right == oo), member


@few
@given(intervals(), intervals())
def test_what_members_make_is_a_member(first, second):
    (one, a), (other, b) = first, second
    for name, made, value in (
        ("sum", one + other, a + b),
        ("difference", one - other, a - b),
        ("product", one * other, a * b),
        ("negative", -one, -a),
        ("square", one.square(), a * a),
        ("size", one.absolute(), abs(a)),
        ("join", one.join(other), b),
    ):
        assert made.holds(Rational(value)), name
    if b:
        assert (one / other).holds(Rational(a / b))
    both = one.meet(other)
    assert (both is not None and both.holds(Rational(a))) == other.holds(Rational(a))


NUMBERS = {
    "hard_sigmoid": [(Rational(1, 5), Rational(1, 2)), (Rational(-1, 5), Rational(1, 2))],
    "leaky_relu": [(Rational(1, 10),), (Rational(-1, 10),)],
    "elu": [(Integer(1),), (Rational(1, 2),)],
    "clip": [(Integer(-1), Integer(3))],
}


@few
@given(st.sampled_from(sorted(set(FUNCTIONS) - {"mean", "layer_norm", "max"})), intervals(), st.integers(0, 1))
def test_a_function_of_a_member_is_in_its_image(function, found, which):
    interval, member = found
    choices = NUMBERS.get(function, [()])
    chosen = choices[which % len(choices)]
    with np.errstate(all="ignore"):
        value = float(COMPUTE[function](np.float64(member), *map(float, chosen)))
    whole = image(function, (interval,), chosen)
    if not np.isnan(value):
        near = 1e-9 * (1 + abs(value))
        assert whole.low - near <= (oo if value == inf else value) <= whole.high + near or value == -inf


def test_open_ends():
    gate = image("sigmoid", (EVERYTHING,), ())
    assert str(gate) == "(0, 1)"
    assert str(Interval.point(1) - gate) == "(0, 1)"
    assert str(gate * Interval.between(-1, 1)) == "(-1, 1)"
    assert str(image("clip", (EVERYTHING,), (Integer(-3), Integer(3)))) == "[-3, 3]"
    assert str(image("tanh", (Interval.between(0, 1),), ())) == "[0, 0.761594]"
    assert str(Interval.between(1, 2) / Interval.between(-1, 1)) == "any number"


def test_a_huge_argument_takes_no_time():
    far = Interval.between(-(Integer(10) ** 999), Integer(10) ** 999)
    assert str(image("exp", (far,), ())) == "(0, oo)"
    assert str(image("sigmoid", (far,), ())) == "(0, 1)"


@pytest.mark.parametrize(("name", "dtype"), [("float16", np.float16), ("float32", np.float32), ("float64", np.float64)])
@few
@given(value=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_rounding_up_is_what_the_machine_has(name, dtype, value):
    with np.errstate(all="ignore"):
        nearest = dtype(value)
        up = nearest if float(nearest) >= value else np.nextafter(nearest, dtype(inf))
    found = FORMATS[name].rounded_up(Rational(value))
    assert float(found) == float(up) or (value < 0 and up == -inf)
    assert nan != found
