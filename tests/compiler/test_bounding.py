"""Bounds are never exceeded: not by random weights, nor by adversarial ones, in float32 or float64, over long times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational

import lstm_spec as ls
from lstm_spec.symbolic.bounds import bound_cell
from tests.strategies import few

NAMES = ("gers2000", "gers2002", "graves2013", "greff-cifg", "greff-fgr", "greff-nfg", "greff-niaf", "gru", "mgu")
NAMES += ("gru-reset-after", "hochreiter1997", "janet", "layer-norm", "mingru", "minlstm", "mlstm", "mut1", "mut2")
NAMES += ("mut3", "qrnn", "sak2014", "slstm", "sru", "udacity", "elman")


def layer_of(name: str, size: int = 3) -> ls.Layer:
    layer = ls.Layer(ls.cells.get(name))
    return layer.at(**dict.fromkeys(layer.open_letters, size))


def holds(array: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """NaN aside: no finite bound is claimed where a cell may divide by 0."""
    finite = np.isfinite(low) & np.isfinite(high)
    assert not np.isnan(array[..., finite]).any()
    return bool(((array >= low) & (array <= high))[..., finite].all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_stay_within_their_bounds(name, dtype):
    layer, rng = layer_of(name), np.random.default_rng(1)
    for scale in (0.3, 4, 60):
        weights = {n: np.asarray(a * scale, dtype) for n, a in layer.random(seed=2).items()}
        x = rng.choice([-1.5, -0.1, 1.5], size=(40, 8, 3)).astype(dtype)
        state = {n: rng.choice([-0.5, 0.5], size=(8, int(s[0]))).astype(dtype) for n, s in layer.state_shapes().items()}
        proven = ls.bounds(layer, weights, input_max=1.5, initial_max=0.5, time=40)
        traced = ls.trace(layer, weights, x, state)
        for own, ends in proven.members[0].units.items():
            assert holds(traced[own], ends.low, ends.high), (name, own, scale)


@few
@given(
    st.sampled_from(["gers2000", "greff-cifg", "gru", "sru", "janet"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 1.0, 30.0, 1e4]),
    st.sampled_from(["float32", "float64"]),
)
def test_no_weights_exceed_what_the_equations_prove(name, seed, scale, dtype):
    layer, rng = layer_of(name), np.random.default_rng(seed)
    weights = {
        n: (scale * rng.choice([-1, 1], size=a.shape) * (rng.random(a.shape) > 0.3)).astype(dtype)
        for n, a in layer.random(seed=0).items()
    }
    x = (rng.normal(size=(30, 2, 3)) * 10 ** rng.uniform(-2, 2)).astype(dtype)
    state = {n: rng.uniform(-3, 3, size=(2, int(s[0]))).astype(dtype) for n, s in layer.state_shapes().items()}
    traced = ls.trace(layer, weights, x, state)
    for bound in bound_cell(layer.cell).bounds:
        own = bound.growth.state if bound.growth else None
        start = Rational(float(np.abs(state[f"l0.{own}"]).max())) if own else Rational(0)
        found = bound.over_floats(dtype, start, Rational(30))
        if found is not None:
            assert float(found.low) <= traced[bound.name].min()
            assert traced[bound.name].max() <= float(found.high)


def saturated(dtype: str, bias: float = 40.0) -> tuple[ls.Layer, dict[str, np.ndarray]]:
    """An LSTM whose gates are all open and whose candidate is 1, exactly so in floats."""
    layer = ls.lstm(1, 1)
    zero = {n: np.zeros_like(a) for n, a in layer.random(seed=0).items()}
    return layer, {n: (a + bias if ".b_" in n else a).astype(dtype) for n, a in zero.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("start", [0.0, 0.1, 0.3, 0.7, 1 / 3, 123.456])
def test_a_saturated_sum_over_ten_thousand_steps(dtype, start):
    layer, weights = saturated(dtype)
    first = np.asarray([[start]], dtype)
    traced = ls.trace(layer, weights, np.zeros((10_000, 1, 1), dtype), {"h": first * 0, "c": first})
    proven = bound_cell(layer.cell)["c"]
    exact = Rational(float(first[0, 0]))
    for t in (1, 2, 10, 100, 1000, 10_000):
        value = Rational(float(traced["c"][t - 1, 0, 0]))
        assert value <= proven.over_floats(dtype, exact, Rational(t)).high
        assert value > exact + t - Rational(1, 100)  # the weights do reach it


def test_the_rounding_term_is_not_absurd():
    """In float32 |c_t| exceeds |c_0| + t; the term is at most 50 times the most that was seen."""
    layer, weights = saturated("float32")
    starts = np.random.default_rng(0).uniform(0, 1, size=(4000, 1)).astype("float32")
    traced = ls.trace(layer, weights, np.zeros((30, 4000, 1), "float32"), {"h": starts * 0, "c": starts})
    steps = np.arange(1, 31)[:, None]
    excess = traced["c"][..., 0].astype(np.float64) - steps - starts[:, 0].astype(np.float64)
    assert excess.max() > 1e-6
    proven = bound_cell(layer.cell)["c"].over_floats("float32", Rational(1), Rational(30))
    assert excess.max() <= float(proven.high - 31) < 50 * excess.max()


def test_a_gate_of_one_in_floats_is_below_one_in_numbers():
    layer, weights = saturated("float32", bias=20)
    assert ls.trace(layer, weights, np.zeros((1, 1, 1), "float32"))["f"][0, 0, 0] == 1
    bound = bound_cell(layer.cell)["f"]
    assert (bound.real_text(), bound.float_text()) == ("(0, 1)", "[0, 1]")


@pytest.mark.parametrize("dtype", ["float32"])
def test_coupled_gates_over_ten_thousand_steps(dtype):
    layer = ls.lstm(2, 6, coupled="f=1-i")
    rng = np.random.default_rng(3)
    weights = {n: (a * 8).astype(dtype) for n, a in layer.random(seed=1).items()}
    x = rng.choice([-1, 1], size=(10_000, 2, 2)).astype(dtype)
    found = bound_cell(layer.cell)["c"].over_floats(dtype, Rational(0), Rational(10_000))
    assert np.abs(ls.trace(layer, weights, x)["c"]).max() <= float(found.high)


def test_pre_activations_are_bounded_by_the_sum_of_sizes():
    layer = ls.lstm(3, 4)
    weights = layer.random(seed=0)
    weights = {n: a * 9 for n, a in weights.items()}  # gates so open that h may come as near to 1 as floats show
    before = ls.bounds(layer, weights, input_max=1.5).members[0].before["f"].magnitude
    summed = sum(np.abs(weights[f"l0.{n}_f"]).sum(1) * most for n, most in (("W", 1.5), ("U", 1.0)))
    np.testing.assert_allclose(before, summed + np.abs(weights["l0.b_f"]), rtol=1e-3)
    assert (before <= (summed + np.abs(weights["l0.b_f"])) * (1 + 1e-12)).all()


def test_the_largest_forget_gate_bounds_the_state_for_ever():
    layer = ls.lstm(3, 4)
    units = ls.bounds(layer, layer.random(seed=0), input_max=1).members[0].units
    most, added = units["f"].high, units["i"].high * units["g"].magnitude
    np.testing.assert_allclose(units["c"].magnitude, added / (1 - most), rtol=1e-6)


def test_what_holds_for_any_weights_holds_for_these():
    """The bound of h is 1 and not one float more: Q0.15 is made for it."""
    layer = ls.lstm(3, 4)
    proven = ls.bounds(layer, {n: a * 1000 for n, a in layer.random(seed=0).items()}, input_max=9, time=100)
    assert proven.members[0].units["h"].magnitude.max() == 1
    assert proven.members[0].units["c"].magnitude.max() <= 100 * (1 + 1e-14)
    (row,) = (row for row in proven.formats() if row["name"] == "h")
    assert row["fixed_point"]["16"] == {"format": "Q0.15", "saturates": True, "scale_power": -15}


def test_stacks_and_directions():
    layer = ls.lstm(2, 3, layers=2, bidirectional=True, merge="sum")
    weights = layer.random(seed=0)
    proven = ls.bounds(layer, weights, input_max=2, time=20)
    traced = ls.trace(layer, weights, np.random.default_rng(0).uniform(-2, 2, size=(20, 50, 2)))
    assert [m.prefix for m in proven.members] == ["l0", "l0.reverse", "l1", "l1.reverse"]
    for member in proven.members:
        for own, ends in member.units.items():
            assert holds(traced[f"{member.prefix}.{own}"], ends.low, ends.high)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "error[input-max]: weights bound nothing without a bound of the input\n"
            "  help     give one: input_max=1.5, or --input-max 1.5",
        ),
        ({"input_max": -1}, "error[bound]: input_max=-1 is no bound\n  expected a number ≥ 0"),
        ({"input_max": "a"}, "error[bound]: input_max='a' is no bound\n  expected a number ≥ 0"),
        ({"input_max": float("inf")}, "error[bound]: input_max=inf is no bound\n  expected a number ≥ 0"),
        ({"input_max": 1, "time": 0}, "error[time]: time=0 is no count of steps\n  expected 1, 2, …"),
    ],
)
def test_wrong_questions(given, message):
    layer = ls.lstm(2, 3)
    with pytest.raises(ls.LstmSpecError) as error:
        ls.bounds(layer, layer.random(seed=0), **given)
    assert str(error.value) == message


def test_weights_that_are_no_numbers():
    layer = ls.lstm(2, 3)
    weights = {n: a.copy() for n, a in layer.random(seed=0).items()}
    weights["l0.U_f"][0, 0] = np.nan
    with pytest.raises(ls.LstmSpecError) as error:
        ls.bounds(layer, weights, input_max=1)
    message = "error[not-finite]: l0.U_f has entries that are NaN or infinite: nothing is bounded"
    assert str(error.value) == message


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("equation", "bias"),
    [
        ("clip(z, -0.1, 0.1)", 7),  # float32's 0.1 is above 0.1
        ("clip(z, -1/3, 1/3)", -7),
        ("exp(z)", -100),  # subnormal in float32
        ("exp(z)", -300),  # 0 in float32
        ("softplus(z)", -300),
        ("p * p * z", 7),  # 1e-60 underflows to 0
    ],
)
def test_limits_and_underflow_are_the_dtypes_own(dtype, equation, bias):
    made = "let p[k]\n" * ("p" in equation.split()) + "z = W x + b\n"
    layer = ls.Layer(ls.parse(f"input x[n]\nstate c[k]\noutput c\n{made}c' = {equation}"), n=1, k=1)
    values = {"W": np.zeros((1, 1)), "b": np.full(1, bias), "p": np.full(1, 1e-30)}
    weights = {name: np.asarray(values[name.removeprefix("l0.")], dtype) for name in layer.random(seed=0)}
    proven = ls.bounds(layer, weights, input_max=1, time=1).members[0].units["c"]
    found = ls.trace(layer, weights, np.ones((1, 1, 1), dtype))["c"]
    assert holds(found, proven.low, proven.high)
    assert float((proven.high - proven.low).max()) <= 1e-5  # no absurd width


def test_what_overflows_the_dtype_has_no_bound():
    """2 c doubles 300 times: float32 ends at infinity, so no finite number above its largest is a bound."""
    layer = ls.Layer(ls.parse("input x[n]\nstate c[k]\noutput c\nc' = c + c + W x"), n=1, k=1)
    weights = {"l0.W": np.ones((1, 1), np.float32)}
    x = np.ones((300, 1, 1), np.float32)
    assert np.isinf(ls.trace(layer, weights, x)["c"][-1]).all()
    for time, is_bounded in ((300, False), (20, True)):
        unit = ls.bounds(layer, weights, input_max=1, time=time).members[0].units["c"]
        assert bool(np.isfinite(unit.high).all() and np.isfinite(unit.low).all()) is is_bounded


@pytest.mark.parametrize("kept", ["1001 * c - 1000 * c", "c + (1000 * c - 1000 * c)", "8193/8 * c - 8185/8 * c"])
def test_rounding_is_relative_to_the_terms_before_they_cancel(kept):
    """1001 c is rounded by u of a thousand c: far more than u of the c that is left."""
    layer = ls.Layer(ls.parse(f"input x[n]\nstate c[k]\noutput c\ng = tanh(W x)\nc' = {kept} + g"), n=1, k=1)
    weights = {"l0.W": np.full((1, 1), 50, np.float32)}
    starts = np.random.default_rng(0).uniform(0, 1, (4000, 1)).astype(np.float32)
    last = ls.trace(layer, weights, np.ones((10, 4000, 1), np.float32), {"c": starts})["c"][-1, :, 0].astype(float)
    worst = int((last - starts[:, 0]).argmax())
    start = float(starts[worst, 0])
    proven = ls.bounds(layer, weights, input_max=1, initial_max=repr(start), time=10)
    assert last[worst] <= proven.members[0].units["c"].high.max()
    found = proven.cell["c"].over_floats("float32", Rational(start), Rational(10))
    assert found is None or last[worst] <= float(found.high)


def test_what_nothing_bounds_is_no_nan():
    text = "g = sigmoid(W x)\nm = leaky_relu(b - U (c * c), 0.3)\nc' = c - g * (c - m)"
    layer = ls.Layer(ls.parse(f"input x[n]\nstate c[k]\noutput c\n{text}"), n=2, k=2)
    units = ls.bounds(layer, layer.random(seed=0), input_max=0.1, initial_max=0.5, time=3).members[0].units
    assert {n: (e.low.tolist(), e.high.tolist()) for n, e in units.items() if n != "g"} == {
        name: ([-np.inf] * 2, [np.inf] * 2) for name in ("m", "c")
    }
