"""What the names of written tensors say when nobody says the dialect: it is told where they mislead."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS, get
from tests.conformance.sets import torch_names

ALLOWED = ("two-biases", "forget-bias")


def notes(to, **options):
    made = ls.convert(torch_names(**options), to, allow=ALLOWED)
    told = dict.fromkeys(note for layer in made.layers for note in layer.adapted.notes)
    return [note for note in told if "names" in note]


READ_AS = {
    ("coreml", False): "its names are read as pytorch's unless --dialect coreml is given",
    ("coreml", True): "its names are read as equinox's unless --dialect coreml is given",
    ("cudnn", True): "its names are not read unless --dialect cudnn is given",
}


@pytest.mark.parametrize(("to", "bias"), READ_AS)
def test_names_that_mislead(to, bias):
    assert notes(to, bias=bias) == [READ_AS[to, bias]]


@pytest.mark.parametrize("name", [name for name in DIALECTS if name not in ("keras-1", "tf1-coupled")])
def test_a_note_stands_where_the_file_would_be_read_wrongly(name):
    """Against reading the result itself: the same numbers come back, or it is told."""
    layer = ls.lstm(3, 4, bias="one")
    given = layer.random(0, "float32")
    made = ls.convert(get("lstm-spec").pack(given, layer), name, allow=ALLOWED)
    told = [note for note in made.layers[0].adapted.notes if "names" in note]
    own = ls.read(made.tensors, dialect=name)[1]
    try:
        alone = ls.read(made.tensors)[1]
    except ls.LstmSpecError:
        alone = {}
    same = own.keys() == alone.keys() and all(np.array_equal(own[key], alone[key]) for key in own)
    assert bool(told) == (not same)


@pytest.mark.parametrize("to", ["openvino", "tf-keras-cudnn"])
def test_a_bias_of_zeros_tells_a_dialect_that_is_never_without(to):
    """Without it ONNX's names are OpenVINO's, and Keras's are CuDNNLSTM's: its length is another."""
    assert notes(to, bias=False) == []


@pytest.mark.parametrize("to", ["tf-keras", "tinygrad", "equinox", "onednn"])
def test_names_of_the_same_tensors_are_nothing_to_tell(to):
    assert notes(to, bias=False, both=to != "equinox") == []


def test_a_file_that_holds_the_operators_needs_no_names(tmp_path):
    made = ls.convert(torch_names(), "onnx", output=str(tmp_path / "m.onnx"))
    assert made.layers[0].adapted.notes == ()


@pytest.mark.parametrize("dialect", ["onednn", None])
def test_both_directions_of_onednn_are_read_again(dialect):
    given = torch_names(both=True)
    there = ls.convert(given, "onednn", allow=ALLOWED).tensors
    back = ls.convert(there, "pytorch", dialect=dialect, allow=ALLOWED).tensors
    assert all(np.array_equal(back[name], given[name]) for name in given if "weight" in name)
