"""Live Keras layers whose options are not the default ones: read as they run, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from tests.frameworks.live import (
    AGREES,
    BATCH,
    TIME,
    K,
    Live,
    N,
    X,
    agree,
    doubled,
    ran,
    refused,
    tanh,
    wrong_order,
)
from tests.frameworks.peers import WORST, WRONG


@pytest.fixture(scope="module")
def keras() -> Any:
    keras = pytest.importorskip("keras", reason="keras is not installed")
    keras.utils.set_random_seed(0)
    return keras


def of_keras(layer: Any, called: Any = None, at: str | None = None) -> Live:
    """A layer, built; `called` is the one that is called, if it is another."""
    layer.build((BATCH, TIME, N))
    own = called(layer) if called else layer
    return Live(layer, lambda x: own(x).detach().numpy(), X, at)


KERAS: dict[str, Callable[[Any], Any]] = {
    "ops.tanh": lambda L, ops: L.LSTM(K, activation=ops.tanh, recurrent_activation=ops.hard_sigmoid),
    "ops.leaky_relu": lambda L, ops: L.LSTM(K, activation=ops.leaky_relu),
    "sequence, backwards": lambda L, ops: L.LSTM(K, go_backwards=True, return_sequences=True),
    "backwards": lambda L, ops: L.LSTM(K, go_backwards=True),
    "stateful": lambda L, ops: L.LSTM(K, stateful=True),
    "unrolled": lambda L, ops: L.LSTM(K, unroll=True, return_sequences=True),
    "dropout": lambda L, ops: L.LSTM(K, dropout=0.5, recurrent_dropout=0.5),
    "RNN of a cell": lambda L, ops: L.RNN(L.LSTMCell(K)),
    "RNN of a cell, sequence": lambda L, ops: L.RNN(L.LSTMCell(K), return_sequences=True),
    "RNN of a cell, backwards": lambda L, ops: L.RNN(L.LSTMCell(K), return_sequences=True, go_backwards=True),
    "RNN of a cell with functions": lambda L, ops: L.RNN(L.LSTMCell(K, activation="relu"), go_backwards=True),
}


@pytest.mark.parametrize("name", KERAS)
def test_keras(keras, name):
    live = of_keras(KERAS[name](keras.layers, keras.ops))
    ours, theirs = ran(live)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < AGREES
    WORST["keras"] = max(WORST.get("keras", 0), float(np.abs(ours - theirs).max()))
    assert ls.check(live.source).ok


@pytest.mark.parametrize("side", ["forward_layer", "backward_layer"])
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
def test_keras_bidirectional(keras, side, merge):
    """Each half, also where the second is a layer of somebody's own."""
    lstm = keras.layers.LSTM
    own = lstm(K, activation="relu", go_backwards=True, return_sequences=True)
    made = keras.layers.Bidirectional(lstm(K, return_sequences=True), backward_layer=own, merge_mode=merge)
    made.build((BATCH, TIME, N))
    half = getattr(made, side)
    at = half.weights[0].path.rpartition("/")[0]
    agree(of_keras(made, lambda layer: getattr(layer, side), at), "keras")


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
def test_keras_merge_of_two_directions(keras, merge):
    """One layer in both directions; that its outputs are not joined is a loss, and apart they only need a note."""
    made = keras.layers.Bidirectional(keras.layers.LSTM(K, return_sequences=True), merge_mode=merge)
    made.build((BATCH, TIME, N))
    if merge in ("sum", "mul", "ave"):
        with pytest.raises(ls.LstmSpecError, match=rf"\(merge_mode = {merge}\), which no tensor says"):
            ls.convert(made, "pytorch")
    (layer,) = ls.convert(made, "pytorch", allow="merge").layers
    assert layer.layer.direction == "both"


@pytest.mark.parametrize("backwards", [True, False])
def test_keras_cells_on_each_other(keras, backwards):
    """The first is read from the end, the last gives the last step: run one after the other they are the RNN."""
    layers = keras.layers
    made = layers.RNN([layers.LSTMCell(K), layers.LSTMCell(3)], go_backwards=backwards)
    live = of_keras(made)
    y = live.x
    for place in [found.where for found in ls.check(made).layers]:
        layer, weights = ls.read(made, at=place)
        y, _ = ls.compile(layer)(y, weights)
    theirs = live.run(live.x)
    assert y.shape == theirs.shape
    assert np.abs(y - theirs).max() < AGREES


@pytest.mark.parametrize("option", ["activation", "recurrent_activation"])
def test_keras_function_of_somebodys_own(keras, option):
    """Its name is that of a function of Keras, which is how a configuration calls it."""
    made = of_keras(keras.layers.LSTM(K, name=f"own_{option}", **{option: tanh})).source
    assert made.get_config()[option] == "tanh"
    known = "sigmoid, tanh, relu, linear, softplus, softsign, exponential, elu, leaky_relu, hard_sigmoid"
    assert refused(made) == (
        f"error[unsupported]: {option} = tests.frameworks.live.tanh\n"
        f"  at       own_{option} : own_{option}/lstm_cell\n"
        f"  expected {known}\n"
        "  help     this version has no such option"
    )


def test_keras_that_goes_on_from_its_last_call(keras):
    made = keras.layers.LSTM(K, stateful=True, name="goes_on")
    live = of_keras(made)
    live.run(X)
    assert [str(f) for f in ls.check(made).findings] == [
        "warning[stateful]: goes_on is stateful, and holds the states of its last call\n"
        "  at       goes_on\n"
        "  help     reset_state() forgets them; or pass them where the layer runs, no state means zeros"
    ]
    layer, weights = ls.read(made)
    h, c = (state.value.detach().numpy() for state in made.states)
    ours, _ = ls.compile(layer)(X, weights, {"l0.h": h, "l0.c": c})
    assert np.abs(ours - live.run(X)).max() < AGREES
    made.reset_state()
    assert ls.check(made).findings == ()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("place", ["layer", "cell", "around a cell", "both directions"])
def test_keras_that_computes_in_halves(keras, policy, place):
    """Its variables are float32: a layer that was rebuilt in float32 agreed, and it is another."""
    layers = keras.layers
    made = {
        "layer": lambda: layers.LSTM(K, dtype=policy),
        "cell": lambda: layers.RNN(layers.LSTMCell(K, dtype=policy)),
        "around a cell": lambda: layers.RNN(layers.LSTMCell(K), dtype=policy),
        "both directions": lambda: layers.Bidirectional(layers.LSTM(K), dtype=policy),
    }[place]()
    made.build((BATCH, TIME, N))
    for found in ls.check(made).layers:
        assert found.dtype == "float32"
        dtype = policy.removeprefix("mixed_")
        assert str(found.agreement) == f"not compared with keras: the layer computes in {dtype}"


# ---- a class of somebody's own ----


def own_keras(what: str) -> Any:
    layers = pytest.importorskip("keras", reason="keras is not installed").layers
    if what == "layer":
        made = doubled(layers.LSTM, "call", 0)(K)
    elif what == "rnn":
        made = doubled(layers.RNN, "call", 0)(layers.LSTMCell(K))
    elif what == "both":
        made = doubled(layers.Bidirectional, "call", 0)(layers.LSTM(K))
    else:
        made = layers.RNN(doubled(layers.LSTMCell, "call", 0)(K))
    made.build((BATCH, TIME, N))
    return made


@pytest.mark.parametrize("what", ["layer", "rnn", "cell", "both"])
def test_a_class_that_computes_in_its_own_way(what):
    made = own_keras(what)
    lines = refused(made).splitlines()
    assert lines[0] == ("error[unsupported]: Doubled.call is somebody's own: what it computes is code, and is not read")
    assert lines[2:] == ["  help     hand over its arrays as a dict, to read them as those of a plain layer"]


# ---- the test itself ----


def test_a_wrong_gate_order_misses(keras):
    assert wrong_order(of_keras(keras.layers.LSTM(K, go_backwards=True, return_sequences=True))) > WRONG
