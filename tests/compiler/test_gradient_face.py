"""What `gradient` takes and gives back: nothing to add up, what does not fit, packing and pickling."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.errors import LstmSpecError
from lstm_spec.layers.factory import lstm
from tests.compiler.oracle import random_inputs


@pytest.mark.parametrize(("time", "batch"), [(0, 2), (3, 0), (0, 0)])
def test_no_steps_and_no_samples(time: int, batch: int) -> None:
    layer = lstm(3, 2, peephole=True)
    x, weights, state = random_inputs(layer, time, batch, 0)
    d_state = {n: np.full_like(v, 2.0) for n, v in state.items()}
    y, _, grads = compile_layer(layer, gradient=True).gradient(x, weights, np.zeros((time, batch, 2)), state, d_state)
    assert y.shape == (time, batch, 2)
    assert grads.x.shape == x.shape
    assert all(np.array_equal(grads.weights[n], np.zeros_like(v)) for n, v in weights.items())
    assert time or all(np.array_equal(grads.state[n], d_state[n]) for n in d_state)
    assert not any(np.shares_memory(grads.state[n], d_state[n]) for n in d_state)


def test_a_dead_sample_adds_nothing_and_hands_the_gradient_through() -> None:
    layer = lstm(3, 2)
    x, weights, state = random_inputs(layer, 4, 2, 0)
    d_y, run = np.ones((4, 2, 2)), compile_layer(layer, gradient=True)
    d_state = {n: np.full_like(v, 3.0) for n, v in state.items()}
    _, _, both = run.gradient(x, weights, d_y, state, d_state, lengths=[4, 0])
    first = {n: v[:1] for n, v in state.items()}
    _, _, one = run.gradient(x[:, :1], weights, d_y[:, :1], first, {n: v[:1] for n, v in d_state.items()})
    assert all(np.allclose(both.weights[n], one.weights[n], atol=1e-14, rtol=0) for n in weights)
    assert all(np.array_equal(both.state[n][1], d_state[n][1]) for n in d_state)
    assert np.array_equal(both.x[:, 1], np.zeros((4, 3)))


# ---- the face ----

X, D_Y = np.zeros((4, 2, 3)), np.zeros((4, 2, 2))
LAYER = lstm(3, 2)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no gradient was compiled": (
        lambda: compile_layer(LAYER).gradient(X, LAYER.random(0), D_Y),
        "error[gradient]: this layer was compiled without its gradient\n  help     ls.compile(layer, gradient=True)",
    ),
    "d_y has another shape": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y[:3]),
        "error[shape]: d_y does not have the shape of y\n  expected (T, B, 2) = (4, 2, 2), as y\n  found    (3, 2, 2)",
    ),
    "d_y has another dtype": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y.astype(np.float32)),
        "error[dtype]: d_y is float32; x is float64\n"
        "  expected one dtype, float32 or float64\n"
        "  help     nothing is cast in silence: d_y.astype(np.float64), or cast x",
    ),
    "d_state has another name": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y, None, {"h": D_Y[0]}),
        "error[names]: the gradient of the state does not have the layer's names\n  expected l0.h, l0.c\n  found    h",
    ),
    "the last step of nothing": (
        lambda: compile_layer(lstm(3, 2, output="last"), gradient=True).gradient(X[:0], LAYER.random(0), D_Y[0]),
        "error[empty]: the last step of an empty sequence has no gradient to send back\n"
        "  expected T ≥ 1\n"
        "  found    T = 0",
    ),
    "padding runs on": (
        lambda: compile_layer(LAYER.with_(padding="run"), gradient=True).gradient(
            X, LAYER.random(0), D_Y, lengths=[4, 2]
        ),
        "error[padding]: padding='run' has no gradient: y and the states come from two runs\n"
        "  help     padding='zero', or 'repeat'",
    ),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_does_not_fit_is_refused(way: str) -> None:
    call, message = REFUSED[way]
    with pytest.raises(LstmSpecError) as caught:
        call()
    assert str(caught.value) == message


def test_a_layer_with_gradients_runs_packs_and_pickles() -> None:
    run = compile_layer(LAYER, gradient=True)
    x, weights, state = random_inputs(LAYER, 4, 2, 0)
    plain_y, plain_state = compile_layer(LAYER)(x, weights, state)
    y, after = run(x, run.pack(weights), state)
    assert np.array_equal(y, plain_y)
    assert np.array_equal(after["c"], plain_state["c"])
    again = pickle.loads(pickle.dumps(run))
    assert again.source == run.source
    d_y = np.ones_like(y)
    grads = [r.gradient(x, weights, d_y, state)[2] for r in (run, again)]
    assert np.array_equal(grads[0].x, grads[1].x)
