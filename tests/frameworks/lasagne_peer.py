"""Lasagne 0.1's LSTMLayer on Theano, both directions; and the peephole that 0.1 adds behind the sigmoid.

Not collected with the other tests: Lasagne 0.1 and Theano-PyMC 1.1.2 want a NumPy below 1.24, which `.ci/run` installs
apart. Theano compiles nothing here (`cxx=`): its graphs run in Python.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects.lasagne import LASAGNE
from tests.frameworks.cell_peers import swap_parts
from tests.frameworks.old_theano import import_theano
from tests.frameworks.peers import TOLERANCE, WRONG, assert_equal, differences
from tests.frameworks.whole_peers import (
    DTYPES,
    SIZES,
    Peer,
    case_of,
    draw,
    hold_ours,
    hold_theirs,
    made_by_torch,
    miss,
    ours,
)

theano = import_theano()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from theano.scan.op import Scan

    lasagne = pytest.importorskip("lasagne", reason="Lasagne is not installed")


T = theano.tensor
pytestmark = pytest.mark.filterwarnings("ignore")

# Lasagne 0.1, lasagne/layers/recurrent.py, step: outgate = sigmoid(outgate), and after the cell
# outgate += cell * W_cell_to_outgate.
CELL_OF_0_1 = """
input x[n]
state h[k], c[k]

i = sigmoid(W_i x + U_i h + p_i * c + b_i)
f = sigmoid(W_f x + U_f h + p_f * c + b_f)
g = tanh(W_g x + U_g h + b_g)
c' = f * c + i * g
o = sigmoid(W_o x + U_o h + b_o) + p_o * c'
h' = o * tanh(c')
"""


def make(case, masked=False, **options):
    """Their layer, its initial states symbols, so that they can be given."""
    theano.config.floatX = case.dtype
    entry = lasagne.layers.InputLayer((None, None, case.n))
    options["mask_input"] = lasagne.layers.InputLayer((None, None)) if masked else None
    return lasagne.layers.LSTMLayer(
        entry,
        case.k,
        cell_init=T.matrix("c"),
        hid_init=T.matrix("h"),
        peepholes="p_i" in case.layer.cell.parameters,
        backwards=case.layer.direction == "reverse",
        **options,
    )


def tensors(live):
    return {p.name: p.get_value() for p in live.get_params()}


def load(live, arrays):
    assert arrays.keys() == tensors(live).keys()
    for p in live.get_params():
        p.set_value(arrays[p.name])


def call(live, x, *rest):
    """y, and the last states of the scan that computes it: the layer itself keeps the cell's to itself."""
    *mask, h, c = rest
    symbols = [T.tensor3("x"), *([T.matrix("mask")] if mask else [])]
    y = live.get_output_for(symbols)
    loop = next(v.owner for v in theano.graph.basic.ancestors([y]) if v.owner and isinstance(v.owner.op, Scan))
    cells, hiddens = loop.outputs
    run = theano.function([*symbols, live.hid_init, live.cell_init], [y, hiddens[-1], cells[-1]])
    return tuple(run(x, *mask, h, c))


PEER = Peer(LASAGNE, make, tensors, load, call)
PLAIN = {"layout": "batch"}
PEEPHOLES = PLAIN | {"peephole": True}
TURNS = {"forward": PLAIN, "backwards": PLAIN | {"reverse": True}}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("turn", TURNS)
def test_our_weights_in_lasagne(turn, sizes, dtype):
    """backwards=True: the output is in the order of the input."""
    hold_ours(PEER, case_of(sizes, dtype, **TURNS[turn]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES[::2], ids=str)
def test_a_layer_of_lasagne_in_our_code(sizes, dtype):
    """By the names of its own parameters, and as a file of them."""
    hold_theirs(PEER, case_of(sizes, dtype, **PLAIN))


@pytest.mark.parametrize("pair", ["go", "if", "fo"])
def test_another_order_misses(pair):
    miss(PEER, case_of((5, 4, 2), "float32", **PLAIN), swap_parts(LASAGNE, *pair))


# ---- the peephole of the output gate ----


def peeped(dtype, **options):
    """A layer with peepholes of 0.1, its tensors as they are read, and what it computes."""
    case = case_of((5, 4, 2), dtype, **PEEPHOLES, **options)
    live = draw(PEER, case)
    layer, _ = ls.read(tensors(live))
    assert layer.cell == case.layer.cell
    return case, live, case.layer, LASAGNE.unpack(tensors(live), case.layer)


@pytest.mark.parametrize("options", [{}, {"reverse": True}], ids=["forward", "backwards"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_release_0_1_adds_it_behind_the_sigmoid(dtype, options):
    """As its cell in our language says, to the last digits; by the equations of everyone else it misses."""
    case, live, layer, weights = peeped(dtype, **options)
    theirs = PEER.run(live, case)
    mended = ls.Layer(ls.parse(CELL_OF_0_1), 5, 4, layout="batch", direction=layer.direction)
    assert_equal(ours(mended, weights, case), theirs, TOLERANCE[dtype], f"lasagne 0.1's own cell, {dtype}")
    assert differences(ours(layer, weights, case), theirs) > WRONG


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_peepholes_of_the_other_gates_are_ours(dtype):
    """With p_o = 0 the release and the equations are one: i and f see c before the step."""
    case, live, layer, weights = peeped(dtype)
    load(live, tensors(live) | {"W_cell_to_outgate": np.zeros(4, dtype)})
    weights = ls.Weights(dict(weights) | {"l0.p_o": np.zeros(4, dtype)})
    theirs = PEER.run(live, case)
    assert_equal(ours(layer, weights, case), theirs, TOLERANCE[dtype], f"lasagne with p_o = 0, {dtype}")
    without = ls.Weights({name: a * ("p_" not in name) for name, a in weights.items()})
    assert differences(ours(layer, without, case), theirs) > WRONG


def test_its_output_gate_may_exceed_1():
    """What no gate of the equations can: |h'| ≤ |o| fails by what is added."""
    case, live, _, _ = peeped("float64")
    load(
        live,
        {name: a * 0 + (3.0 if name in ("W_cell_to_outgate", "b_cell") else 0) for name, a in tensors(live).items()},
    )
    y, _ = PEER.run(live, replace(case, time=8))
    assert np.abs(y).max() > 1.5


def test_the_report_says_which_peephole_is_assumed():
    _, live, _, _ = peeped("float32")
    assert "release 0.1: behind it" in str(ls.check(tensors(live)))
    assert "release 0.1" not in str(ls.check(tensors(make(case_of((5, 4, 2), "float32", **PLAIN)))))


# ---- masks and initial states ----


@pytest.mark.parametrize("turn", TURNS)
def test_a_masked_step_keeps_the_states(turn):
    """Forwards the last output is repeated; backwards the padding comes first, and shows the state it starts from."""
    case, lengths = case_of((5, 4, 3), "float64", **TURNS[turn]), [2, 5, 4]
    live = make(case, masked=True)
    weights = case.weights()
    load(live, LASAGNE.pack(weights, case.layer))
    mask = (np.arange(case.time) < np.array(lengths)[:, None]).astype("float64")
    h, c = LASAGNE.pack_state(case.state(), case.layer)
    theirs, *after = call(live, case.x(), mask, h, c)
    run = ls.compile(case.layer.with_(padding="repeat"))
    y, state = run(case.x(), weights, case.state(), lengths=lengths)
    for b, t in enumerate(lengths):
        np.testing.assert_allclose(y[b, :t], theirs[b, :t], rtol=0, atol=1e-12)
        last = theirs[b, t - 1] if turn == "forward" else h[b]
        np.testing.assert_array_equal(theirs[b, t:], np.broadcast_to(last, theirs[b, t:].shape))
    if turn == "forward":
        np.testing.assert_allclose(y, theirs, rtol=0, atol=1e-12)
    named = LASAGNE.unpack_state(after, case.layer)
    assert all(np.abs(state[name] - named[name]).max() < 1e-12 for name in state)


@pytest.mark.parametrize("name", [None, "lstm"])
def test_the_initial_states_are_kept_beside_the_weights(name):
    """hid_init and cell_init, (1, k), are parameters of the layer too; `check` says what they are."""
    theano.config.floatX = "float64"
    live = lasagne.layers.LSTMLayer(
        lasagne.layers.InputLayer((None, None, 5)), 4, peepholes=False, name=name, learn_init=True
    )
    rng = np.random.default_rng(0)
    load(live, {key: rng.uniform(-0.9, 0.9, a.shape) for key, a in tensors(live).items()})
    report = ls.check(tensors(live))
    assert report.ok, str(report)
    prefix = f"{name}." if name else ""
    assert not report.other
    assert [finding.message for finding in report.findings] == [
        f"{prefix}cell_init, {prefix}hid_init: the state it starts from, unless it is given another"
    ]
    layer, weights = ls.read(tensors(live))
    x = rng.standard_normal((2, 3, 5))
    symbol = T.tensor3("x")
    theirs = theano.function([symbol], live.get_output_for([symbol]))(x)
    state = {key[0]: np.repeat(tensors(live)[f"{prefix}{key}_init"], 2, axis=0) for key in ("hid", "cell")}
    y, _ = ls.compile(layer)(x, weights, state)
    assert np.abs(y - theirs).max() < 1e-12
    assert np.abs(ls.compile(layer)(x, weights)[0] - theirs).max() > WRONG


# ---- converted files ----


@pytest.mark.parametrize("bias", ["two", "none"])
def test_lasagne_takes_a_converted_file(tmp_path, bias):
    """Its own names, all of them, in a file of arrays; 0.1 has no loader but `set_value`."""
    x, y = made_by_torch(tmp_path / "out.npz", "lasagne", ("two-biases",), bias=bias)
    live = make(case_of((5, 4, 3), "float32", **PLAIN))
    with np.load(tmp_path / "out.npz") as archive:
        load(live, dict(archive))
    zeros = np.zeros((3, 4), "float32")
    found = call(live, np.ascontiguousarray(x.swapaxes(0, 1)), zeros, zeros)[0]
    np.testing.assert_allclose(found.swapaxes(0, 1), y, rtol=0, atol=2e-6)
