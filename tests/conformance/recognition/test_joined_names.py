"""Names that are joined to a layer's by an underscore, `enc_weight_ih_l0`: read where the whole layer is there."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import drawn, keras_names, onnx_names, own_names, torch_names

ENC = torch_names("enc_")


def found(source, **options):
    report = ls.check(source, numbers=False, **options)
    assert report.ok, str(report)
    return {layer.where: (layer.dialect, layer.summary) for layer in report.layers}


TWO_BIASES = "n = 3, k = 4, forward, two biases"


@pytest.mark.parametrize("asked", [None, "pytorch"])
def test_two_layers_whose_names_are_joined(asked):
    """They were eight tensors that look recurrent, and eight again with the dialect that the help asked for."""
    assert found(ENC, dialect=asked) == {"enc": ("pytorch", TWO_BIASES)}
    both = ENC | torch_names("model.dec_rnn_", n=4, layers=2, both=True)
    stack = "n = 4, k = 4, 2 layers, bidirectional, two biases"
    assert found(both, dialect=asked) == {"enc": ("pytorch", TWO_BIASES), "model.dec_rnn": ("pytorch", stack)}
    _, weights = ls.read(both, at="enc", dialect=asked)
    np.testing.assert_array_equal(weights["l0.W_i"], ENC["enc_weight_ih_l0"][:4])


@pytest.mark.parametrize(
    ("tensors", "where", "dialect"),
    [
        (torch_names("a.enc_", cell=True), "a.enc", "pytorch"),
        (keras_names("lstm_1_"), "lstm_1", "keras"),
        (keras_names("lstm_", end=":0"), "lstm", "keras"),
        (drawn({"c_weight_ih": (16, 3), "c_weight_hh": (16, 4), "c_bias": (16,)}), "c", "equinox"),
    ],
)
def test_names_that_say_themselves_what_they_are(tensors, where, dialect):
    report = ls.check(tensors | drawn({"fc_kernel": (4, 2), "fc_bias": (2,)}), numbers=False)
    assert [(layer.where, layer.dialect) for layer in report.layers] == [(where, dialect)]
    assert (report.ok, report.other) == (True, ("fc_kernel", "fc_bias"))


@pytest.mark.parametrize(
    ("dialect", "tensors"),
    [("onnx", onnx_names()), ("lstm-spec", own_names()), ("mlx", drawn({"Wx": (16, 3), "Wh": (16, 4), "bias": (16,)}))],
)
def test_names_that_do_not_are_read_when_asked(dialect, tensors):
    joined = {f"enc_{name}": a for name, a in tensors.items()}
    other = drawn({"head_w": (3, 3)})
    with suppress(ls.LstmSpecError):  # there is no LSTM here
        assert not ls.check(joined | other, numbers=False).layers
    ((where, (read_as, _)),) = found(joined | other, dialect=dialect).items()
    assert (where, read_as) == ("enc", dialect)


@pytest.mark.parametrize("asked", [None, "pytorch"])
def test_a_gru_is_named_behind_an_underscore_too(asked):
    report = ls.check(torch_names("enc_", gates=3), dialect=asked, numbers=False)
    assert [f.message for f in report.findings] == [
        "enc is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"
    ]


@pytest.mark.parametrize("tensor", ENC)
def test_a_layer_that_is_not_whole_is_not_read_unasked(tensor):
    """Asked for, what is wrong with it is told."""
    for changed in ({}, drawn({tensor: (*ENC[tensor].shape[:-1], ENC[tensor].shape[-1] + 2)})):
        tensors = {name: a for name, a in ENC.items() if name != tensor} | changed
        if tensor == "enc_weight_ih_l0" and changed:  # its columns are n, and no other tensor's
            assert found(tensors) == {"enc": ("pytorch", TWO_BIASES.replace("3", "5"))}
            continue
        report = ls.check(tensors, numbers=False)
        assert (report.ok, report.layers) == (False, ())
        assert {f.code for f in report.findings} <= {"unread", "ambiguous"}  # three arrays may be another dialect's
        asked = ls.check(tensors, dialect="pytorch", numbers=False)
        assert not asked.ok
        if tensor != "enc_weight_hh_l0" or changed:
            assert [f.code for f in asked.findings] == ["shape" if changed else "missing"]
            assert asked.findings[0].at == f"arrays : enc : {tensor}"


def test_what_changes_the_equations_is_told_behind_an_underscore_too():
    report = ls.check(ENC | drawn({"enc_layer_norm_i.weight": (4,)}), numbers=False)
    assert [f.message for f in report.findings] == [
        "enc_layer_norm_i.weight: pytorch has no such tensor, and by its name it changes the equations"
    ]


def test_a_pruned_weight_behind_an_underscore_leaves_no_layer():
    parts = {"enc_weight_ih_l0_orig": ENC["enc_weight_ih_l0"], "enc_weight_ih_l0_mask": ENC["enc_weight_ih_l0"]}
    left = {name: a for name, a in ENC.items() if name != "enc_weight_ih_l0"}
    report = ls.check(left | parts, dialect="pytorch", numbers=False)
    assert report.layers == ()
    assert "fold it in before saving: torch.nn.utils.prune.remove" in {f.help for f in report.findings}
