"""Names that the old frameworks write and that say less, or more, than a layer's own: cells that are only numbered,
MXNet's two ways to save one layer, the state that Lasagne keeps with the weights, Chainer's snapshots.

The frameworks themselves are in `tests/frameworks`: chainer_peer, mxnet_peer, lasagne_peer.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get

NSTEP, MXNET, LASAGNE = get("chainer-nstep"), get("mxnet"), get("lasagne")


def nstep(n, k, prefix="rnn/", **options):
    layer = ls.lstm(n, k, bias="two", **options)
    return layer, {prefix + name: a for name, a in NSTEP.pack(layer.random(0), layer).items()}


# ---- Chainer: cells that are numbered through ----


SHAPES = [
    *((n, k, {"layers": layers}) for n, k in ((5, 4), (4, 4), (8, 4)) for layers in (1, 2, 3, 4)),
    *((n, k, {"layers": layers, "bidirectional": True}) for n, k in ((5, 4), (4, 4), (8, 4)) for layers in (1, 2, 3)),
]


@pytest.mark.parametrize(("n", "k", "options"), SHAPES, ids=str)
def test_the_widths_tell_a_stack_from_both_directions(n, k, options):
    """But for two cells of n = k units, which are told to be either; 2k features are no sign of a second direction."""
    layer, tensors = nstep(n, k, **options)
    if len(layer.members) == 2 and n == k:
        with pytest.raises(ls.LstmSpecError, match=f"with n = k = {k} both fit"):
            ls.read(tensors)
        return
    found, weights = ls.read(tensors)
    assert (found.layers, found.direction, found.cell) == (layer.layers, layer.direction, layer.cell)
    assert all(np.array_equal(weights[name], a) for name, a in layer.random(0).items())


def test_two_readings_are_told():
    _, tensors = nstep(4, 4, bidirectional=True)
    assert str(ls.check(tensors)) == (
        "error[ambiguous]: rnn is a stack of 2 layers or one layer in both directions: with n = k = 4 both fit\n"
        "  at       arrays : rnn\n"
        '  help     in Python a layer says it: ls.dialects.get("chainer-nstep").unpack(arrays, layer)\n'
        "does not conform: 0 LSTM layers, 1 error"
    )


def test_the_cells_have_the_numbers_of_their_children():
    layer, tensors = nstep(5, 4, "", layers=2, bidirectional=True)
    weights = layer.random(0)
    for number, member in enumerate(("l0", "l0.reverse", "l1", "l1.reverse")):
        assert np.array_equal(tensors[f"{number}/w2"], weights[f"{member}.W_g"])
    with pytest.raises(ls.LstmSpecError, match="chainer-nstep has no layer that only reads backwards"):
        NSTEP.pack(ls.lstm(5, 4, bias="two", reverse=True).random(0), ls.lstm(5, 4, bias="two", reverse=True))


def test_what_is_missing_has_its_own_number():
    _, tensors = nstep(5, 4, layers=2, bidirectional=True)
    del tensors["rnn/3/w5"]
    (finding,) = ls.check(tensors).findings
    assert finding.message == "rnn/3/w5 is missing"


def test_a_wrong_width_is_a_finding_and_no_other_reading():
    _, tensors = nstep(5, 4, layers=2, bidirectional=True)
    tensors["rnn/2/w0"] = np.zeros((4, 4))
    report = ls.check(tensors)
    assert [finding.message for finding in report.findings] == ["rnn/2/w0 does not fit"]
    assert report.layers[0].layer.direction == "both"


def test_a_gap_in_the_numbers():
    _, tensors = nstep(5, 4, layers=3)
    left = {name: a for name, a in tensors.items() if "/1/" not in name}
    (finding,) = ls.check(left).findings
    assert finding.message == "layer 1 is missing between 0 and 2"


def test_fewer_matrices_are_no_lstm():
    """NStepGRU has w0 to w5."""
    _, tensors = nstep(5, 4)
    with pytest.raises(ls.LstmSpecError, match="there is no LSTM here"):
        ls.check({name.replace("rnn", "net"): a for name, a in tensors.items() if name[-1] not in "67"})


def test_a_snapshot_holds_the_moments_beside_the_model():
    layer = ls.lstm(5, 4)
    model = get("chainer").pack(layer.random(0), layer)
    moments = {f"updater/optimizer:main/l1/{name}/{m}": a for name, a in model.items() for m in "mv"}
    model = {f"updater/model:main/l1/{name}": a for name, a in model.items()}
    report = ls.check(model | moments)
    assert report.ok, str(report)
    assert [found.where for found in report.layers] == ["updater/model:main/l1"]
    assert report.other == tuple(moments)


# ---- MXNet: two ways to save a layer, and cells ----


def unfused(name, both):
    """`l0_i2h_weight` as save_parameters writes it."""
    side, layer, rest = re.fullmatch(r"([lr])(\d+)_(.*)", name).groups()
    return f"0._unfused.{layer}.{f'{side}_cell.' if both else ''}{rest}"


@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"bidirectional": True, "layers": 2, "projection": 2}], ids=str)
def test_both_ways_are_one_layer(options):
    layer = ls.lstm(5, 4, bias="two", **options)
    weights = layer.random(0)
    tensors = MXNET.pack(weights, layer)
    renamed = {unfused(name, layer.directions == 2): a for name, a in tensors.items()}
    assert renamed.keys() != tensors.keys()
    found, read = ls.read(renamed)
    assert (found.cell, found.layers, found.direction) == (layer.cell, layer.layers, layer.direction)
    assert all(np.array_equal(read[name], a) for name, a in weights.items())
    del renamed[last := list(renamed)[-1]]
    (finding,) = ls.check(renamed).findings
    assert finding.message == f"{last} is missing"


@pytest.mark.parametrize("prefix", ["", "lstm0_", "cell0_", "0.", "arg:", "l_cell.", "model.rnn/"])
def test_a_cell_has_no_number(prefix):
    layer = ls.lstm(5, 4, bias="two")
    tensors = {prefix + name.removeprefix("l0_"): a for name, a in MXNET.pack(layer.random(0), layer).items()}
    report = ls.check(tensors)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == ["mxnet"]


@pytest.mark.parametrize(("rows", "kind"), [(12, "GRU"), (4, "simple RNN")])
def test_other_cells_with_these_names_are_told(rows, kind):
    shapes = {"i2h_weight": (rows, 5), "h2h_weight": (rows, 4), "i2h_bias": (rows,), "h2h_bias": (rows,)}
    report = ls.check({f"rnn0_{name}": np.zeros(shape) for name, shape in shapes.items()})
    assert not report.layers
    assert f"is a {kind}, by the rows of its recurrent matrix" in str(report)


# ---- Lasagne: the state it starts from ----


def test_the_initial_state_is_told_and_held():
    layer = ls.lstm(5, 4)
    tensors = {f"lstm.{name}": a for name, a in LASAGNE.pack(layer.random(0), layer).items()}
    states = {"lstm.cell_init": np.ones((1, 4)), "lstm.hid_init": np.ones((1, 4))}
    report = ls.check(tensors | states)
    assert report.ok
    (note,) = report.findings
    assert str(note) == (
        "note[state]: lstm.cell_init, lstm.hid_init: the state it starts from, unless it is given another\n"
        "  at       arrays : lstm\n"
        "  help     give it to what runs the weights, which starts from zeros"
    )
    assert ls.read(tensors | states)[1].keys() == layer.random(0).keys()
    wrong = ls.check(tensors | states | {"lstm.hid_init": np.ones((1, 3))})
    assert [f.message for f in wrong.findings if f.severity == "error"] == ["lstm.hid_init does not fit"]


def test_what_it_starts_from_is_lost_in_a_conversion():
    layer = ls.lstm(5, 4)
    tensors = LASAGNE.pack(layer.random(0), layer) | {"cell_init": np.zeros((1, 4))}
    assert ls.convert(tensors | {"hid_init": np.zeros((1, 4))}, "pytorch").losses == ()
    (lost,) = ls.convert(tensors | {"hid_init": np.ones((1, 4))}, "pytorch", allow="initial-state").losses
    assert lost.words == "hid_init: the state that the source starts from, which pytorch has no place for"


def test_with_peepholes_it_is_said_where_the_last_one_stands():
    for options, said in (({"peephole": True}, True), ({}, False)):
        layer = ls.lstm(5, 4, **options)
        report = ls.check(LASAGNE.pack(layer.random(0), layer))
        assert ("the peephole of o = inside its sigmoid (release 0.1: behind it)" in str(report)) is said
