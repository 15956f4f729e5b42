"""Keras's other ways to a recurrent layer: cells on each other, other activations, calls that remember, GRU, SimpleRNN.

In float32: see test_keras_masks.py. The weights are put under our names by hand where no dialect does it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, cases, difference, differences, try_few

pytest.importorskip("torch", reason="torch is not installed")
keras = pytest.importorskip("keras", reason="keras is not installed")

LIMIT = TOLERANCE["float32"]
biases = st.fixed_dictionaries({"bias": st.sampled_from(["one", "none"]), "layout": st.just("batch")})
some_cases = cases(biases, st.just("float32")).map(lambda case: replace(case, time=min(case.time, 8)))
FIXED = Case(3, 4, 7, 3, 0, "float32", True, {"bias": "one", "layout": "batch"})


def to_numpy(tensor):
    return tensor.detach().numpy()


def to_keras(array):
    return keras.ops.convert_to_tensor(array)


def arrays_of(layer):
    return {v.name: to_numpy(v.value) for v in layer.weights}


def drawn(layer, case, scale=1.0):
    """The layer, built, with biases that are not the zeros they begin with."""
    layer.build((None, None, case.n))
    generator, bound = case.generator, scale * case.k**-0.5
    layer.set_weights([generator.uniform(-bound, bound, v.shape).astype("float32") for v in layer.weights])
    return layer


def run_layer(peer, case, states="hc"):
    state = case.state()
    initial = None if state is None else [to_keras(state[f"l0.{s}"]) for s in states]
    y, *finals = map(to_numpy, peer(to_keras(case.x()), initial_state=initial))
    return y, {f"l0.{s}": a for s, a in zip(states, finals, strict=True)}


# ---- cells on each other ----


@given(some_cases, st.lists(st.integers(1, 9), min_size=2, max_size=3), st.booleans())
@try_few
def test_cells_on_each_other(case, widths, with_state):
    """`RNN([cell, …])` is one layer a cell, whatever their widths; its states are a list of lists."""
    biased, rng = case.options["bias"] == "one", case.generator
    cells = [keras.layers.LSTMCell(width, use_bias=biased) for width in widths]
    peer = drawn(keras.layers.RNN(cells, return_sequences=True, return_state=True), case)
    states = [[rng.uniform(-1, 1, (case.batch, width)).astype("float32") for _ in "hc"] for width in widths]
    initial = [[to_keras(a) for a in pair] for pair in states] if with_state else None
    theirs, *finals = peer(to_keras(case.x()), initial_state=initial)
    y, width = case.x(), case.n
    for cell, pair, final in zip(cells, states, finals, strict=True):
        layer = ls.lstm(width, cell.units, **case.options)
        given_state = dict(zip("hc", pair, strict=True)) if with_state else None
        y, after = ls.compile(layer)(y, KERAS.unpack(arrays_of(cell), layer), given_state)
        for name, own in zip("hc", final, strict=True):
            assert difference(after[name], to_numpy(own)) <= LIMIT
        width = cell.units
    assert difference(y, to_numpy(theirs)) <= LIMIT


def test_cells_of_one_width_are_a_stack():
    peer = drawn(keras.layers.RNN([keras.layers.LSTMCell(4) for _ in "ab"], return_sequences=True), FIXED)
    layer = ls.lstm(3, 4, layers=2, layout="batch")
    parts = [(layer, index, arrays_of(cell)) for index, cell in enumerate(peer.cell.cells)]
    below = [KERAS.unpack(arrays, ls.lstm(3 if index == 0 else 4, 4)) for _, index, arrays in parts]
    weights = {f"l{i}.{name.removeprefix('l0.')}": a for i, own in enumerate(below) for name, a in own.items()}
    theirs = to_numpy(peer(to_keras(FIXED.x())))
    assert difference(ls.compile(layer)(FIXED.x(), weights)[0], theirs) <= LIMIT
    swapped = dict(weights) | {f"l{i}.U_g": weights[f"l{1 - i}.U_g"] for i in (0, 1)}
    large = {name: 4 * a if ".U_g" in name else a for name, a in swapped.items()}
    assert difference(ls.compile(layer)(FIXED.x(), large)[0], theirs) > WRONG


# ---- activations: keras/src/activations/activations.py ----

GATES = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid(1/6, 1/2)",  # Keras 1 and 2: z/5 + 1/2
    "linear": "identity",
    "tanh": "tanh",
}
OUTPUTS = {
    "tanh": "tanh",
    "relu": "relu",
    "softsign": "softsign",
    "elu": "elu(1)",
    "softplus": "softplus",
    "leaky_relu": "leaky_relu(0.2)",
    "linear": "identity",
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid(1/6, 1/2)",
    "relu6": "clip(0, 6)",
    "hard_tanh": "clip(-1, 1)",
}


def activated(case, gate, output, **other):
    """Keras has one activation for the candidate and for the cell where h reads it."""
    ours = {"gate_activation": GATES[gate]} | dict.fromkeys(
        ("candidate_activation", "output_activation"), OUTPUTS[output]
    )
    peer = keras.layers.LSTM(
        case.k,
        activation=output,
        recurrent_activation=gate,
        use_bias=case.options["bias"] == "one",
        return_sequences=True,
        return_state=True,
    )
    return drawn(peer, case, 0.7), replace(case, options={**case.options, **ours, **other}).layer


@given(some_cases, st.sampled_from(sorted(GATES)), st.sampled_from(sorted(OUTPUTS)))
@try_few
def test_activations(case, gate, output):
    case = replace(case, time=min(case.time, 4))  # unbounded ones grow
    peer, layer = activated(case, gate, output)
    ours = ls.compile(layer)(case.x(), KERAS.unpack(arrays_of(peer), layer), case.state())
    assert_equal(ours, run_layer(peer, case), LIMIT, "keras.layers.LSTM, activations, float32")


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_each_activation(name):
    peer, layer = activated(FIXED, "sigmoid", name)
    ours = ls.compile(layer)(FIXED.x(), KERAS.unpack(arrays_of(peer), layer), FIXED.state())
    assert_equal(ours, run_layer(peer, FIXED), LIMIT, "keras.layers.LSTM, activations, float32")


@pytest.mark.parametrize(
    ("gate", "output", "wrong"),
    [
        ("hard_sigmoid", "tanh", {"gate_activation": "hard_sigmoid(1/5, 1/2)"}),
        ("hard_sigmoid", "tanh", {"gate_activation": "sigmoid"}),
        ("sigmoid", "relu", {"output_activation": "tanh"}),
        ("sigmoid", "leaky_relu", {"candidate_activation": "leaky_relu(0.01)"}),
        ("sigmoid", "elu", {"candidate_activation": "elu(1/2)"}),
        ("sigmoid", "softsign", {"output_activation": "tanh", "candidate_activation": "tanh"}),
    ],
    ids=str,
)
def test_another_activation_shows(gate, output, wrong):
    """Read with large inputs: z/5 and z/6 are never far apart."""
    peer, right = activated(FIXED, gate, output)
    _, layer = activated(FIXED, gate, output, **wrong)
    peer.set_weights([3 * a for a in arrays_of(peer).values()])
    weights = KERAS.unpack(arrays_of(peer), layer)
    ours = [ls.compile(each)(FIXED.x(), weights, FIXED.state()) for each in (right, layer)]
    assert_equal(ours[0], run_layer(peer, FIXED), 1e-5, "keras.layers.LSTM, activations, weights × 3")
    assert differences(ours[1], run_layer(peer, FIXED)) > WRONG


# ---- calls that remember ----


@given(some_cases.filter(lambda case: not case.with_state), st.integers(2, 3))
@try_few
def test_a_stateful_layer_is_a_state_that_is_passed_on(case, calls):
    chosen = {"use_bias": case.options["bias"] == "one", "return_sequences": True, "return_state": True}
    peer = keras.layers.LSTM(case.k, stateful=True, **chosen)
    peer.build((case.batch, None, case.n))
    layer, state = case.layer, None
    run, weights = ls.compile(layer), KERAS.unpack(arrays_of(peer), layer)
    for seed in range(calls):
        x = replace(case, seed=case.seed + seed).x()
        y, state = run(x, weights, state)
        theirs, h, c = map(to_numpy, peer(to_keras(x)))
        assert_equal((y, state), (theirs, {"l0.h": h, "l0.c": c}), LIMIT, "keras.layers.LSTM, stateful, float32")


def test_a_state_that_is_forgotten_shows():
    peer = keras.layers.LSTM(4, stateful=True, return_sequences=True)
    peer.build((3, None, 3))
    run, weights = ls.compile(FIXED.layer), KERAS.unpack(arrays_of(peer), FIXED.layer)
    first, second = (to_numpy(peer(to_keras(FIXED.x()))) for _ in range(2))
    assert difference(run(FIXED.x(), weights)[0], first) <= LIMIT
    assert difference(run(FIXED.x(), weights)[0], second) > WRONG


# ---- GRU and SimpleRNN as cells of the catalogue: kernel columns z, r, h ----


def gru_weights(arrays, gates="zrg"):
    """keras/src/layers/rnn/gru.py: with reset_after the bias is (2, 3k): that of the input, then the recurrent one."""
    parts = {"W_": arrays["kernel"].T, "U_": arrays["recurrent_kernel"].T}
    if arrays["bias"].ndim == 2:
        parts |= {"b_W": arrays["bias"][0], "b_U": arrays["bias"][1]}
    else:
        parts["b_"] = arrays["bias"]
    blocks = {stem: np.split(part, 3) for stem, part in parts.items()}
    return {f"{stem}{gate}": block for stem, split in blocks.items() for gate, block in zip(gates, split, strict=True)}


def simple_weights(arrays, gates=""):
    return {"W": arrays["kernel"].T, "U": arrays["recurrent_kernel"].T, "b": arrays["bias"]}


KINDS = {
    "GRU, reset after": ("GRU", {"reset_after": True}, "gru-two-biases", gru_weights),
    "GRU, reset before": ("GRU", {"reset_after": False}, "gru", gru_weights),
    "SimpleRNN": ("SimpleRNN", {}, "elman", simple_weights),
}


@pytest.mark.parametrize("kind", KINDS)
@given(case=some_cases, backwards=st.booleans())
@try_few
def test_other_layers_are_cells_of_the_catalogue(kind, case, backwards):
    name, chosen, cell, named = KINDS[kind]
    over_time = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    peer = drawn(getattr(keras.layers, name)(case.k, **chosen, **over_time), case)
    direction = "reverse" if backwards else "forward"
    layer = ls.Layer(ls.cells.get(cell), n=case.n, k=case.k, layout="batch", direction=direction, realign=not backwards)
    state = case.state()
    initial = None if state is None else to_keras(state["l0.h"])
    theirs = [to_numpy(a) for a in peer(to_keras(case.x()), initial_state=initial)]
    y, after = ls.compile(layer)(case.x(), named(arrays_of(peer)), state and {"h": state["l0.h"]})
    peers = f"keras.layers.{name} float32"
    assert_equal((y, {"h": after["h"]}), (theirs[0], {"h": theirs[1]}), LIMIT, peers)


@pytest.mark.parametrize(
    ("kind", "cell", "gates"),
    [
        ("GRU, reset after", "gru-two-biases", "rzg"),
        ("GRU, reset before", "gru", "rzg"),
        ("GRU, reset before", "gru", "gzr"),
        ("GRU, reset before", "after", "zrg"),
    ],
)
def test_another_gru_shows(kind, cell, gates):
    name, chosen, right, named = KINDS[kind]
    peer = drawn(getattr(keras.layers, name)(4, return_sequences=True, **chosen), FIXED, 6)
    theirs = to_numpy(peer(to_keras(FIXED.x())))
    own = ls.cells.get(right)
    assert (
        difference(ls.compile(ls.Layer(own, n=3, k=4, layout="batch"))(FIXED.x(), named(arrays_of(peer)))[0], theirs)
        <= 1e-5
    )
    wrong = ls.parse(str(own).replace("U_g (r * h)", "r * (U_g h)")) if cell == "after" else own
    layer = ls.Layer(wrong, n=3, k=4, layout="batch")
    assert difference(ls.compile(layer)(FIXED.x(), named(arrays_of(peer), gates))[0], theirs) > WRONG
