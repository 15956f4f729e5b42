"""Weights and states: names, shapes and dtypes are held to the layer's, and nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_spec.errors import SizeError, TensorError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import State, Weights, hold_weights
from lstm_spec.symbolic.language import parse
from tests.strategies import Drawn, cells, few, law, layers

SMALL = Layer(parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)"))


def small(n: int = 3, k: int = 4) -> dict[str, Any]:
    return dict(SMALL.at(n=n, k=k).random(0))


@law
@given(layers(), st.randoms())
def test_held_weights_are_the_same_arrays_in_the_layer_s_order(layer: Layer, random: Any) -> None:
    weights = layer.random(1)
    shuffled = list(weights.items())
    random.shuffle(shuffled)
    found, held = hold_weights(layer, dict(shuffled))
    assert found == layer
    assert list(held) == list(weights) == list(layer.parameter_shapes())
    assert all(held[name] is weights[name] for name in held)


@law
@given(layers())
def test_open_letters_are_solved_from_the_arrays(layer: Layer) -> None:
    open_layer = Layer(layer.cell, layers=layer.layers, direction=layer.direction, layout=layer.layout)
    found, _ = hold_weights(open_layer, layer.random(0))
    assert found.given == layer.given


@few
@given(cells(inputs=1))
def test_letters_of_generated_cells_are_solved_where_they_follow(drawn: Drawn) -> None:
    numbers = dict(zip(drawn.cell.letters, (2, 3, 5), strict=False))
    layer = Layer(drawn.cell)
    sizes = {size for shape in layer.parameter_shapes().values() for size in shape}
    told = {s for size in sizes for s in size.free_symbols}
    assume(told == {s for size in sizes for s in size.free_symbols if len(size.free_symbols) == 1})
    found, _ = hold_weights(layer, layer.at(**numbers).random(0))
    assert {name: int(value) for name, value in found.given if value.is_Integer} == {
        str(s): numbers[str(s)] for s in told
    }


def test_a_sum_alone_tells_no_letter() -> None:
    layer = Layer(parse("input x[n + k]\nstate h[n + k]\nh' = b * x"))
    with pytest.raises(TensorError) as caught:
        hold_weights(layer, {"b": np.zeros(5)})
    assert str(caught.value) == (
        "error[shape]: l0.b does not tell k from n\n"
        "  expected (k + n,)\n"
        "  found    (5,)\n"
        "  help     give the layer one of them: layer.at(k=…)"
    )


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("input x[n]\nstate h[k]\nh' = tanh(W [h, x] + b)", {"n": 3, "k": 4}),  # k×(n + k), before k stands alone
        ("input x[n]\nstate h[k]\n[a, b] = W [h, x]\nh' = a * b", {"n": 3, "k": 4}),  # 2k×(n + k)
        ("input x[n]\nstate h[k]\nlet m[j]\nm = (W x) * (V h)\nh' = U m", {"n": 2, "k": 3, "j": 5}),
    ],
)
def test_letters_in_sums_are_solved(text: str, sizes: dict[str, int]) -> None:
    layer = Layer(parse(text))
    found, _ = hold_weights(layer, layer.at(**sizes).random(0))
    assert {name: int(value) for name, value in found.given} == sizes


def test_letters_that_were_exchanged_are_solved_by_their_own_names() -> None:
    found, _ = hold_weights(lstm("k", "n"), lstm(3, 4).random(0))
    assert found == lstm(3, 4)
    found, _ = hold_weights(lstm("m", "m"), lstm(4, 4).random(0))
    assert found == lstm(4, 4)


def test_one_cell_needs_no_prefix() -> None:
    layer, weights = lstm(3, 4), lstm(3, 4).random(0)
    short = {name.removeprefix("l0."): array for name, array in weights.items()}
    assert list(hold_weights(layer, short)[1]) == list(weights)
    with pytest.raises(TensorError, match=r"\[names\]"):
        hold_weights(lstm(3, 4, layers=2), short)


def changed(**arrays: Any) -> dict[str, Any]:
    """The small layer\'s weights with some changed, or left out where None."""
    weights = small() | {name.replace("__", "."): array for name, array in arrays.items()}
    return {name: array for name, array in weights.items() if array is not None}


NAMES_HELP = "\n  help     weights of another framework are read with ls.read or a dialect's unpack"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            changed(l0__b=None, l0__v=np.zeros(4)),
            "error[names]: the weights do not have the layer's names\n  expected l0.W, l0.U, l0.b\n"
            "  found    missing: l0.b; unknown: l0.v" + NAMES_HELP,
        ),
        (
            {},
            "error[names]: the weights do not have the layer's names\n  expected l0.W, l0.U, l0.b\n"
            "  found    missing: l0.W, l0.U, l0.b" + NAMES_HELP,
        ),
        (
            changed(**{"\x1b[31m": np.zeros(4)}),
            "error[names]: the weights do not have the layer's names\n  expected l0.W, l0.U, l0.b\n"
            "  found    unknown: \\x1b[31m" + NAMES_HELP,
        ),
        (
            changed(b=np.zeros(4)),
            "error[names]: b and l0.b are one tensor, and both are given\n  help     drop one",
        ),
        (
            changed(l0__b=[0.0] * 4),
            "error[type]: l0.b is no plain NumPy array\n  found    list\n  help     np.asarray(…) makes a plain array",
        ),
        (
            changed(l0__b=np.zeros(4, "float32")),
            "error[dtype]: the weights are not of one float dtype\n  expected float32, or float64\n"
            "  found    float32: l0.b; float64: l0.W\n"
            '  help     nothing is cast in silence: weights.astype("float32") rounds them',
        ),
        (
            {name: array.astype("float16") for name, array in small().items()},
            "error[dtype]: the weights are not of one float dtype\n  expected float32, or float64\n"
            "  found    float16: l0.W\n"
            '  help     nothing is cast in silence: weights.astype("float32") rounds them',
        ),
        (
            changed(l0__U=np.zeros((4, 5))),
            "error[shape]: l0.U does not have the derived shape\n  expected (k, k) = (4, 4)\n  found    (4, 5)\n"
            "  because  k = 4 from l0.W",
        ),
        (
            changed(l0__b=np.zeros((4, 1))),
            "error[shape]: l0.b does not have the derived shape\n  expected (k,) = (4,)\n  found    (4, 1)\n"
            "  because  k = 4 from l0.W",
        ),
        (
            changed(l0__W=np.zeros((4, 0))),
            "error[shape]: l0.W does not have the derived shape\n  expected (k, n) = (4, n)\n  found    (4, 0)\n"
            "  because  k = 4 from l0.W",
        ),
        (
            changed(l0__W=np.zeros((4,))),
            "error[shape]: l0.W does not have the derived shape\n  expected (k, n) = (4, n)\n  found    (4,)\n"
            "  because  k = 4 from l0.U",
        ),
    ],
    ids=["missing", "empty", "control", "twice", "list", "mixed", "half", "columns", "rank", "zero", "vector"],
)
def test_weights_that_do_not_hold(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(TensorError) as caught:
        hold_weights(SMALL, weights)
    assert str(caught.value) == message


def test_numbers_that_were_given_are_held() -> None:
    with pytest.raises(TensorError) as caught:
        hold_weights(SMALL.at(n=5, k=4), small(n=3))
    assert (
        str(caught.value) == "error[shape]: l0.W does not have the derived shape\n  expected (4, 5)\n  found    (4, 3)"
    )


def test_a_sum_that_cannot_be_met() -> None:
    layer = Layer(parse("input x[n]\nstate h[k]\nh' = tanh(W [h, x])"))
    with pytest.raises(TensorError) as caught:
        hold_weights(layer, {"W": np.zeros((4, 4))})
    assert str(caught.value) == (
        "error[shape]: l0.W does not have the derived shape\n"
        "  expected (k, k + n) = (4, n + 4)\n"
        "  found    (4, 4)\n"
        "  because  k = 4 from l0.W"
    )


# ---- drawn, cast, saved ----


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64"), float])
def test_drawn_weights_are_uniform_in_one_over_root_k(dtype: Any) -> None:
    weights = lstm(30, 25).random(7, dtype)
    everything = np.concatenate([array.ravel() for array in weights.values()])
    assert everything.dtype == np.dtype(dtype)
    assert -0.2 <= everything.min() < -0.19
    assert 0.19 < everything.max() <= 0.2
    assert abs(everything.mean()) < 0.01


def test_drawn_weights_are_in_k_also_with_a_projection() -> None:
    everything = lstm(30, 25, projection=4).random(7)["l0.W_i"]
    assert 0.19 < np.abs(everything).max() <= 0.2


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (lstm(3, 4).random(seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["l0.W_f"], other["l0.W_f"])


def test_letters_cannot_be_drawn() -> None:
    with pytest.raises(SizeError) as caught:
        lstm("n", "k").random(0)
    assert str(caught.value) == (
        "error[size]: n, k must be numbers to draw weights\n  help     layer.at(n=5, k=10).random(0)"
    )


@pytest.mark.parametrize("dtype", ["int64", "float16", "no dtype"])
def test_weights_are_drawn_as_floats(dtype: str) -> None:
    with pytest.raises(TensorError) as caught:
        lstm(3, 4).random(0, dtype)
    assert str(caught.value) == (
        f"error[dtype]: weights are drawn as floats\n  expected float32, or float64\n  found    {dtype}"
    )


def test_astype_leaves_the_first_alone() -> None:
    weights = lstm(3, 4).random(0)
    before = {name: array.copy() for name, array in weights.items()}
    narrow = weights.astype("float32")
    assert {array.dtype.name for array in narrow.values()} == {"float32"}
    assert all(np.array_equal(weights[name], before[name]) for name in weights)
    assert {array.dtype.name for array in weights.values()} == {"float64"}


def test_saved_weights_are_plain_npz(tmp_path: Path) -> None:
    weights = lstm(3, 4, layers=2, bidirectional=True).random(0, "float32")
    weights.save(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert list(file) == list(weights)
        assert all(np.array_equal(file[name], weights[name]) for name in weights)
        assert file["l1.reverse.W_f"].dtype == np.float32


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    lstm(3, 4).random(0).save(str(tmp_path / "weights"))
    assert (tmp_path / "weights").exists()


def test_holding_takes_readonly_arrays_and_any_strides() -> None:
    weights = {name: np.asfortranarray(array)[::-1][::-1] for name, array in small().items()}
    for array in weights.values():
        array.flags.writeable = False
    assert hold_weights(SMALL, weights)[1]["l0.W"] is weights["l0.W"]


def test_weights_are_a_mapping() -> None:
    weights = Weights({"l0.W": np.zeros((4, 3))})
    assert repr(weights) == "Weights(l0.W: float64 (4, 3))"
    assert len(weights) == 1
    with pytest.raises(KeyError, match="W"):
        weights["W"]


def test_states_have_short_names_where_there_is_one_cell() -> None:
    h, c = np.zeros((2, 4)), np.ones((2, 4))
    state = State({"l0.h": h, "l0.c": c})
    assert state["h"] is state["l0.h"] is h
    assert state["c"] is c
    assert list(state) == ["l0.h", "l0.c"]
    with pytest.raises(KeyError, match="q"):
        state["q"]
    stacked = State({"l0.h": h, "l0.reverse.h": c})
    with pytest.raises(KeyError, match="h"):
        stacked["h"]
    with pytest.raises(KeyError, match="h"):
        State({})["h"]
