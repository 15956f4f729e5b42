"""Compiled networks: the shapes that were derived, numbers held to a hand-written loop, steps, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import lstm_spec as ls
from tests.networks.generated import Drawn, networks
from tests.reference import lstm as reference
from tests.reference import sigmoid
from tests.strategies import few, law

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-12}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# ---- what comes out ----


@law
@given(networks())
def test_what_comes_out_has_the_derived_shape(drawn: Drawn) -> None:
    network = drawn.network
    weights, x = network.random(drawn.seed), drawn.x()
    y, state = ls.compile_network(network)(x, weights)
    assert y.shape == network.shapes(batch=drawn.batch, time=drawn.time).answer
    assert {n: a.shape for n, a in state.items()} == {n: (drawn.batch, *s) for n, s in network.state_shapes().items()}
    assert not any(np.may_share_memory(y, array) for array in (x, *weights.values()))


@few
@given(networks())
def test_dropout_is_the_identity_at_inference(drawn: Drawn) -> None:
    """The same network without its dropout gives the same numbers; and in training others of the same shape."""
    members = {n: m for n, m in drawn.network.modules if not isinstance(m, ls.Dropout)}
    weights = drawn.network.random(0)
    run, x = ls.compile_network(drawn.network), drawn.x()
    y, _ = run(x, weights)
    if len(members) > 1:
        bare = ls.Network(layout=drawn.network.layout, **members)
        np.testing.assert_array_equal(y, ls.compile_network(bare)(x, weights)[0])
    trained, _ = run(x, weights, dropout=np.random.default_rng(1))
    assert trained.shape == y.shape
    masks = run.masks(x, weights, np.random.default_rng(1))
    np.testing.assert_array_equal(trained, run(x, weights, dropout=masks)[0])


def test_open_sizes_are_taken_from_the_weights() -> None:
    lettered = ls.Network(embed=ls.Embedding("v", "e"), first=ls.lstm(bidirectional=True), head=ls.Dense("m"))
    numbers = lettered.at(v=9, e=2, k=3, m=4)
    weights, x = numbers.random(0), np.random.default_rng(0).integers(0, 9, (7, 2))
    run = ls.compile_network(lettered)
    np.testing.assert_array_equal(run(x, weights)[0], ls.compile_network(numbers)(x, weights)[0])
    np.testing.assert_array_equal(run(x, run.pack(weights))[0], run(x, weights)[0])


def plain(weights: ls.Weights, member: str) -> tuple[dict[str, np.ndarray], ...]:
    """W, U and b by gate."""
    return tuple({g: weights[f"{member}.l0.{kind}_{g}"] for g in "ifgo"} for kind in "WUb")


def by_hand(x: np.ndarray, weights: ls.Weights, member: str, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    w, u, b = plain(weights, member)
    return reference(x, w, u, h, c, biases=[b])


def test_an_encoder_and_its_decoder_by_hand() -> None:
    network = ls.build_form("encoder-decoder", ls.lstm(5, 4), 3, "softmax")
    weights, x, target = network.random(0), normal(7, 2, 5), normal(6, 2, 3)
    y, state = ls.compile_network(network)({"x": x, "target": target}, weights)
    zeros = np.zeros((2, 4))
    _, h, c = by_hand(x, weights, "encoder", zeros, zeros)
    decoded, h, c = by_hand(target, weights, "decoder", h, c)
    z = np.exp(decoded @ weights["head.W"].T + weights["head.b"])
    np.testing.assert_allclose(y, z / z.sum(-1, keepdims=True), **CLOSE)
    np.testing.assert_allclose(state["decoder.l0.c"], c, **CLOSE)


def test_feeding_back_is_the_decoder_step_by_step() -> None:
    """At inference the decoder and the head are a network of their own, with the same weights."""
    network = ls.build_form("encoder-decoder", ls.lstm(5, 4), 3)
    weights, x = network.random(0), normal(7, 2, 5)
    decoder = ls.Network(decoder=ls.lstm(3, 4), head=ls.Dense(3))
    _, state = ls.compile_network(network)({"x": x, "target": np.zeros((0, 2, 3))}, weights)
    own = {name: a for name, a in weights.items() if not name.startswith("encoder.")}
    after = {name: a for name, a in state.items() if name.startswith("decoder.")}
    step, answer, answers = ls.compile_network(decoder).step, np.zeros((2, 3)), []
    for _ in range(4):
        answer, after = step(answer, own, after)
        answers.append(answer)
    target = np.stack([np.zeros((2, 3)), *answers[:-1]])
    whole, _ = ls.compile_network(network)({"x": x, "target": target}, weights)
    np.testing.assert_allclose(np.stack(answers), whole, **CLOSE)


@pytest.mark.parametrize("layout", ["time", "batch"])
def test_steps_are_the_whole(layout: Any) -> None:
    network = ls.Network(layout=layout, embed=ls.Embedding(9, 2), a=ls.lstm(k=3), b=ls.lstm(k=2), head=ls.Dense(4))
    weights, run = network.random(0), ls.compile_network(network)
    x = np.random.default_rng(0).integers(0, 9, (7, 2) if layout == "time" else (2, 7))
    y, final = run(x, weights)
    state = None
    for t in range(7):
        y_t, state = run.step(x[t] if layout == "time" else x[:, t], weights, state)
        np.testing.assert_allclose(y_t, y[t] if layout == "time" else y[:, t], **CLOSE)
    for name, array in final.items():
        np.testing.assert_allclose(state[name], array, **CLOSE)


def test_activations() -> None:
    x = np.array([[-800.0, 0, 800], [1, 2, 3]])
    identity = {"head.W": np.eye(3), "head.b": np.zeros(3)}

    def of(activation: Any) -> np.ndarray:
        return ls.compile_network(ls.Network(x=ls.Input(3, None), head=ls.Dense(3, activation)))(x, identity)[0]

    np.testing.assert_array_equal(of("identity"), x)
    np.testing.assert_array_equal(of("relu"), np.maximum(x, 0))
    np.testing.assert_allclose(of("sigmoid"), sigmoid(x), **CLOSE)
    np.testing.assert_allclose(of("softmax")[0], [0, 0, 1], **CLOSE)
    np.testing.assert_allclose(of("softmax").sum(-1), [1, 1], **CLOSE)


def test_lengths_end_the_first_input() -> None:
    network = ls.Network(layout="batch", encoder=ls.lstm(5, 4, bidirectional=True), head=ls.Dense(3))
    weights, x = network.random(0), normal(3, 7, 5)
    run = ls.compile_network(network)
    lengths = np.array([7, 2, 0])
    y, state = run(x, weights, lengths=lengths)
    masked, _ = run(x, weights, mask=np.arange(7) < lengths[:, None])
    np.testing.assert_array_equal(y, masked)
    alone, short = run(x[1:2, :2], weights)
    np.testing.assert_allclose(y[1, :2], alone[0], **CLOSE)
    np.testing.assert_allclose(state["encoder.l0.reverse.c"][1], short["encoder.l0.reverse.c"][0], **CLOSE)


# ---- training ----


def test_masks_drop_at_their_rate_and_keep_the_mean() -> None:
    network = ls.Network(x=ls.Input(50), drop=ls.Dropout("0.3"))
    masks = ls.compile_network(network).masks(np.ones((40, 50, 50)), {}, np.random.default_rng(0))
    assert set(np.round(masks["drop"], 12).flat) == {0, round(1 / 0.7, 12)}
    assert abs(np.mean(masks["drop"] == 0) - 0.3) < 0.01
    assert abs(np.mean(masks["drop"]) - 1) < 0.01


@pytest.mark.parametrize(("kind", "shape"), [("element", (3, 7, 5)), ("sequence", (3, 1, 5)), ("unit", (1, 1, 5))])
def test_a_mask_is_one_long_along_what_it_is_the_same_along(kind: Any, shape: tuple[int, ...]) -> None:
    network = ls.Network(layout="batch", x=ls.Input(5), drop=ls.Dropout(0.5, mask=kind))
    run, x = ls.compile_network(network), normal(3, 7, 5)
    masks = run.masks(x, {}, np.random.default_rng(2))
    assert masks["drop"].shape == shape
    np.testing.assert_array_equal(run(x, {}, dropout=np.random.default_rng(2))[0], x * masks["drop"])


def noisy_loop(
    x: np.ndarray, weights: ls.Weights, masks: dict[str, np.ndarray], on: str
) -> tuple[np.ndarray, np.ndarray]:
    """One LSTM with noise, in the open: y and the last c."""
    w, u, b = plain(weights, "cell")
    h = c = np.zeros((x.shape[1], 4))
    y = []
    for t in range(len(x)):
        m = {name: mask[min(t, len(mask) - 1)] for name, mask in masks.items()}
        read = h * m["cell.m_h"] if on == "h" else h
        z = {gate: x[t] @ w[gate].T + read @ u[gate].T + b[gate] for gate in "ifgo"}
        g = np.tanh(z["g"]) * (m["cell.m_g"] if on == "g" else 1)
        new_c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * g
        new_h = sigmoid(z["o"]) * np.tanh(new_c)
        if on == "zoneout":
            new_c, new_h = (
                np.where(m[f"cell.m_{s}"] == 1, old, new) for s, old, new in (("c", c, new_c), ("h", h, new_h))
            )
        h, c = new_h, new_c
        y.append(h)
    return np.stack(y), c


@pytest.mark.parametrize(
    ("noise", "on"),
    [
        (ls.RecurrentDropout(0.5), "h"),
        (ls.RecurrentDropout(0.5, mask="element"), "h"),
        (ls.RecurrentDropout(0.5, mask="unit"), "h"),
        (ls.RecurrentDropout(0.5, on="g", mask="element"), "g"),
        (ls.Zoneout(c=0.5, h="0.3"), "zoneout"),
    ],
    ids=str,
)
def test_noise_in_the_cell_by_hand(noise: Any, on: str) -> None:
    network = ls.Network(cell=ls.Recurrent(ls.lstm(5, 4), noise=noise))
    run, weights, x = ls.compile_network(network), network.random(0), normal(7, 3, 5)
    masks = run.masks(x, weights, np.random.default_rng(3))
    y, state = run(x, weights, dropout=np.random.default_rng(3))
    expected, c = noisy_loop(x, weights, masks, on)
    np.testing.assert_allclose(y, expected, **CLOSE)
    np.testing.assert_allclose(state["cell.l0.c"], c, **CLOSE)


def test_zoneout_at_inference_is_the_mean_of_its_draws() -> None:
    """Over one step: of more the mean of products is another."""
    network = ls.Network(cell=ls.Recurrent(ls.lstm(5, 4), noise=ls.Zoneout(c=0.3)))
    run, weights, x = ls.compile_network(network), network.random(0), normal(1, 1, 5).repeat(20000, axis=1)
    state = {"cell.l0.h": np.full((20000, 4), 0.5), "cell.l0.c": np.full((20000, 4), -0.5)}
    _, expected = run(x, weights, state)
    _, drawn = run(x, weights, state, dropout=np.random.default_rng(0))
    np.testing.assert_allclose(drawn["cell.l0.c"].mean(0), expected["cell.l0.c"][0], rtol=0, atol=0.02)


def test_the_same_generator_draws_the_same() -> None:
    network = ls.Network(a=ls.lstm(5, 4), drop=ls.Dropout(0.5), b=ls.Recurrent(ls.lstm(k=2), noise=ls.Zoneout(h=0.1)))
    run, weights, x = ls.compile_network(network), network.random(0), normal(7, 3, 5)
    first, second = (run(x, weights, dropout=np.random.default_rng(5))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
