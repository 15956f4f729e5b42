"""Numbers at their edges: the sigmoid's accuracy, saturation, and no warning from any finite input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.errors import OptionError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.algebra import FUNCTIONS
from lstm_spec.symbolic.language import parse
from tests.compiler.generated import CALLS
from tests.compiler.oracle import random_inputs
from tests.laws import tried

WIDE = np.linspace(-120, 120, 240001)
SIGMOID = compile_layer(lstm(1, 1))._functions["sigmoid"]


def exact_sigmoid(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 1 / (1 + np.exp(-z.astype(np.longdouble)))


@pytest.mark.parametrize(("dtype", "absolute", "relative"), [("float64", 2e-16, 4e-16), ("float32", 9e-8, 3e-7)])
def test_sigmoid_is_accurate_everywhere(dtype: str, absolute: float, relative: float) -> None:
    z = WIDE.astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        found = SIGMOID(z)
    exact = exact_sigmoid(z)
    assert found.dtype == dtype
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.max(np.abs(found - exact)) <= absolute
    normal = exact >= np.finfo(dtype).tiny  # also the left tail: a forget gate's product over long T lives there
    assert np.max(np.abs(found - exact)[normal] / exact[normal]) <= relative
    assert np.all(np.diff(found) >= -np.finfo(dtype).eps)
    assert SIGMOID(np.zeros(1, dtype))[0] == 0.5


def test_sigmoid_at_the_ends_of_a_dtype() -> None:
    for dtype in ("float32", "float64"):
        ends = np.array([-np.inf, -np.finfo(dtype).max, np.finfo(dtype).max, np.inf, np.nan], dtype)
        with np.errstate(all="raise", under="ignore"):
            assert np.array_equal(SIGMOID(ends), np.array([0, 0, 1, 1, np.nan], dtype), equal_nan=True)


magnitudes = st.floats(-1, 1).flatmap(
    lambda m: st.sampled_from([m, m * 1e4, m * 1e30, m * 1e-30, m * 1e300, m * 1e-310])
)


@tried(100)
@given(
    values=st.lists(magnitudes, min_size=6, max_size=6),
    scale=st.sampled_from([1e-300, 1e-3, 1.0, 50.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    options=st.sampled_from([{}, {"peephole": True, "bias": "two"}, {"coupled": "f=1-i", "projection": 2}]),
)
def test_no_warning_from_finite_input_and_gates_stay_in_their_bounds(
    values: list[float], scale: float, dtype: str, options: dict[str, Any]
) -> None:
    """Whatever is finite, as long as the sums of the products are (±3e38 times 50 is not, in float32)."""
    layer = lstm(3, 2, **options)
    x, weights, _ = random_inputs(layer, 6, 2, 0, dtype)
    largest = float(np.finfo(dtype).max) / 1e4
    with np.errstate(all="ignore"):
        x[:] = np.clip(np.array(values), -largest, largest).reshape(6, 1, 1)
        weights = {name: np.clip(array * scale, -50, 50).astype(dtype) for name, array in weights.items()}
    with np.errstate(all="raise"):
        y, state = compile_layer(layer)(x, weights)
    assert np.all(np.isfinite(y))
    assert np.all(np.abs(state["c"]) <= 6)
    if "projection" not in options:
        assert np.all(np.abs(y) <= 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_gates_are_exactly_open_or_shut(dtype: str) -> None:
    layer = lstm(1, 1)
    weights = {name: np.zeros(tuple(map(int, s)), dtype) for name, s in layer.parameter_shapes().items()}
    state = {"h": np.zeros((1, 1), dtype), "c": np.full((1, 1), 0.3, dtype)}
    big = np.array([3e4], dtype)
    with np.errstate(all="raise"):
        kept = compile_layer(layer)(np.zeros((100, 1, 1), dtype), weights | {"l0.b_f": big, "l0.b_i": -big}, state)
        lost = compile_layer(layer)(np.zeros((1, 1, 1), dtype), weights | {"l0.b_f": -big, "l0.b_i": -big}, state)
    assert kept[1]["c"][0, 0] == state["c"][0, 0]
    assert lost[1]["c"][0, 0] == 0


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_function_keeps_the_dtype_and_warns_of_nothing(function: str, dtype: str) -> None:
    """Also of a number, where a NumPy scalar would widen float32, and of weights, where nothing has a batch."""
    call = CALLS.get(function, f"{function}({{}})")
    right = [call.replace("{}", inside) for inside in ("(W x)", "b", "(1/2)")]
    layer = Layer(parse(f"input x[n]\nstate h[k]\nh' = {' * '.join(right)} + h"), n=3, k=2)
    x, weights, state = random_inputs(layer, 3, 2, 0, dtype)
    with np.errstate(all="raise"):
        y, finals = compile_layer(layer)(x, weights, state)
    assert {y.dtype, finals["h"].dtype} == {np.dtype(dtype)}


@pytest.mark.filterwarnings("ignore:invalid value encountered in logaddexp")
@pytest.mark.parametrize(
    "function", ["relu", "softplus", "leaky_relu", "elu", "clip", "hard_sigmoid", "max", "sigmoid"]
)
def test_not_a_number_goes_through(function: str) -> None:
    call = CALLS.get(function, f"{function}({{}})").replace("{}", "x")
    layer = Layer(parse(f"input x[k]\nstate h[k]\nh' = {call} + h"), k=1)
    y, _ = compile_layer(layer)(np.full((1, 1, 1), np.nan), {})
    assert np.isnan(y).all()


@pytest.mark.parametrize("term", ["1 / 0", "1e999", "log(-1)", "1 / (1 - 1)", "exp(1000)", "1e300 * 1e300"])
def test_a_number_that_is_none_is_refused(term: str) -> None:
    layer = Layer(parse(f"input x[n]\nstate h[k]\nh' = tanh(W x + {term} * h)"), n=1, k=1)
    with pytest.raises(OptionError) as caught:
        compile_layer(layer)
    message, at, _, expected = str(caught.value).splitlines()
    assert message == f"error[number]: {term} is no number that code can hold"
    assert at == f"  at       <text>:3   h' = tanh(W x + {term} * h)"
    assert expected == "  expected finite, at most 1.8e308"
