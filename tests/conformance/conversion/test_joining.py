"""Layers that stand apart and are one: through a framework without such layers and back is the identity."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.conversion.joining import Piece, join_pieces
from lstm_spec.dialects import get
from tests.conformance.sets import PLAIN, keras_names, torch_names

ALLOWED = ("two-biases", "forget-bias")


def summed(tensors):
    """The biases added up: what a dialect of one bias keeps."""
    kept = {name: array for name, array in tensors.items() if "bias" not in name}
    both = {name: a + tensors[name.replace("_ih_", "_hh_")] for name, a in tensors.items() if "bias_ih" in name}
    return kept | both


@pytest.mark.parametrize(
    "layers", [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 3]
)
@pytest.mark.parametrize(
    "both", [pytest.param(False, marks=pytest.mark.slow, id="forward"), pytest.param(True, id="both")]
)
@pytest.mark.parametrize("name", PLAIN)
def test_there_and_back_is_the_identity(name, layers, both):
    given = torch_names("enc.", layers=layers, both=both)
    there = ls.convert(given, name, allow=ALLOWED)
    back = ls.convert(there.tensors, "pytorch", dialect=name, allow=ALLOWED)
    scope = {"haiku": "lstm.", "sonnet": "lstm.", "tf1": "rnn.basic_lstm_cell."}.get(name, "") * (
        layers == 1 and not both
    )
    assert back.tensors.keys() == {key.replace("enc.", f"enc.{scope}") for key in given}
    expected, found = summed(given), summed({key.replace(scope, ""): a for key, a in back.tensors.items()})
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-6 if "bias" in key else 0)
    (layer,) = back.layers
    assert layer.layer.layers == layers


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_a_bidirectional_keras_file_is_one_layer_of_pytorch(tmp_path, suffix):
    given = torch_names(both=True)
    ls.convert(given, "keras", allow=ALLOWED, output=str(path := f"{tmp_path}/k{suffix}"))
    made = ls.convert(path, "pytorch")
    (converted,) = made.layers
    assert converted.layer.direction == "both"
    names = [name.rpartition(".")[2] for name in made.tensors]
    assert sorted(names) == sorted(given)
    assert any(note.endswith("are one layer in both directions") for note in converted.adapted.notes)


PAIRS = {
    "keras": ("bidirectional/forward_lstm/lstm_cell/", "bidirectional/backward_lstm/lstm_cell/", "bidirectional"),
    "keras 3": ("layers/bi_1/forward_layer/cell/", "layers/bi_1/backward_layer/cell/", "layers/bi_1"),
    "tensorflow 1": ("birnn/fw/lstm/", "birnn/bw/lstm/", "birnn"),
    "apart": ("enc/forward_a/", "enc/backward_a/", "enc"),
    "alone": ("forward_lstm/", "backward_lstm/", "lstm"),
    "ours": ("x/l0_forward/", "x/l0_backward/", "x/l0"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_names_that_say_they_are_a_pair(case):
    forward, backward, where = PAIRS[case]
    made = ls.convert(keras_names(forward) | keras_names(backward), "pytorch")
    assert [c.where for c in made.layers] == [where]
    prefix = where.replace("/", ".")
    assert f"{prefix}.weight_ih_l0_reverse" in made.tensors
    one = ls.convert(keras_names(forward) | keras_names(backward), "pytorch", at=where)
    assert one.tensors.keys() == made.tensors.keys()


def test_two_pairs_of_one_place_are_two_layers():
    names = [f"enc/{turn}_{which}/" for which in "ab" for turn in ("forward", "backward")]
    tensors = {key: array for name in names for key, array in keras_names(name).items()}
    assert [c.where for c in ls.convert(tensors, "pytorch").layers] == ["enc", "enc/b"]


def test_other_sizes_are_no_pair():
    tensors = keras_names("bi/forward_lstm/", k=4) | keras_names("bi/backward_lstm/", k=6)
    made = ls.convert(tensors, "pytorch")
    assert [c.where for c in made.layers] == ["bi/forward_lstm", "bi/backward_lstm"]


def test_a_merge_that_is_not_known_leaves_two_halves():
    layer = ls.lstm(3, 4)
    forward, backward = (
        Piece(f"bi/{turn}_lstm", "keras", layer.with_(direction=way), layer.random(0), {"merge_mode": "max"})
        for turn, way in (("forward", "forward"), ("backward", "reverse"))
    )
    halves = join_pieces([backward, forward], "f")
    assert [(half.where, half.half_of) for half in halves] == [("bi/forward_lstm", "bi"), ("bi/backward_lstm", "bi")]
    words = "the outputs of both directions are merged (merge_mode = max), which no tensor says"
    assert [[loss.words for loss in half.losses] for half in halves] == [[words]] * 2


def test_numbered_layers_that_do_not_fit_are_no_stack():
    tensors = keras_names("l0/") | keras_names("l1/", n=9)
    assert [c.where for c in ls.convert(tensors, "pytorch").layers] == ["l0", "l1"]
    gap = keras_names("l0/") | keras_names("l2/", n=4)
    assert [c.where for c in ls.convert(gap, "pytorch").layers] == ["l0", "l2"]


def test_names_that_would_be_the_same_are_told_apart():
    tensors = keras_names("a.b/") | keras_names("a/b/")
    made = ls.convert(tensors, "pytorch")
    assert [part.place for c in made.layers for part in c.written] == ["a/b", "a/b_2"]
    assert len(made.tensors) == 8


def test_what_is_written_of_a_layer_of_torch_is_dotted():
    layer = ls.lstm(3, 4)
    tensors = {f"/enc/lstm.{n}": a for n, a in get("lstm-spec").pack(layer.random(0), layer).items()}
    assert next(iter(ls.convert(tensors, "pytorch").tensors)) == "enc.lstm.weight_ih_l0"
