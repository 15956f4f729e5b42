"""Which tensors make a layer: names, prefixes, several layers, other cells, arrays without names."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.errors import OptionError, TensorError
from tests.conformance.sets import (
    drawn,
    found,
    keras_names,
    messages,
    node_attributes,
    node_tensors,
    onnx_model,
    onnx_names,
    own_names,
    torch_names,
)

# ---- names ----


@pytest.mark.parametrize("prefix", ["", "encoder.rnn.", "module.", "module.encoder.0.", "a b.", "ж."])
def test_a_prefix_is_the_place(prefix):
    where = prefix.rstrip(".") or "arrays"
    assert found(torch_names(prefix)) == {where: ("pytorch", "n = 3, k = 4, forward, two biases")}
    assert found(torch_names(prefix, cell=True)) == {where: ("pytorch", "n = 3, k = 4, forward, two biases")}


@pytest.mark.parametrize(
    ("options", "summary"),
    [
        ({"bias": False}, "n = 3, k = 4, forward, no bias"),
        ({"layers": 3}, "n = 3, k = 4, 3 layers, forward, two biases"),
        ({"both": True}, "n = 3, k = 4, bidirectional, two biases"),
        ({"layers": 2, "both": True, "projection": 2}, "n = 3, r = 2, k = 4, 2 layers, bidirectional, two biases"),
        ({"n": 4, "k": 4}, "n = 4, k = 4, forward, two biases"),
        ({"n": 1, "k": 1}, "n = 1, k = 1, forward, two biases"),
        ({"n": 12, "k": 3, "layers": 11}, "n = 12, k = 3, 11 layers, forward, two biases"),
    ],
)
def test_pytorch_sizes_from_shapes_alone(options, summary):
    assert found(torch_names(**options)) == {"arrays": ("pytorch", summary)}


@pytest.mark.parametrize("prefix", ["", "lstm/lstm_cell/", "model_weights/lstm/lstm/lstm_cell/", "a.b/"])
@pytest.mark.parametrize("end", ["", ":0"])
@pytest.mark.parametrize("bias", [True, False])
def test_keras_names(prefix, end, bias):
    """Files of Keras 2 write `kernel:0`; a Dense layer beside it has a kernel and a bias too."""
    tensors = keras_names(prefix, bias=bias, end=end) | drawn({"dense/kernel:0": (4, 16), "dense/bias:0": (16,)})
    report = ls.check(tensors, numbers=False)
    (layer,) = report.layers
    assert (layer.where, layer.dialect) == (prefix.rstrip("./") or "arrays", "keras")
    assert layer.summary == f"n = 3, k = 4, forward, {'one bias' if bias else 'no bias'}"
    assert layer.layer.layout == "batch"
    twice = () if bias else ("as keras; tf-keras-cudnn has the same names and another layout",)
    assert layer.assumed == ("activation = tanh", "recurrent_activation = sigmoid", "go_backwards = False", *twice)
    assert (report.ok, report.other) == (True, ("dense/kernel:0", "dense/bias:0"))


@pytest.mark.parametrize("prefix", ["", "encoder.", "encoder/"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("peephole", [True, False])
def test_onnx_names(prefix, d, peephole):
    tensors = {prefix + name: a for name, a in onnx_names(d=d, peephole=peephole).items()}
    report = ls.check(tensors)
    (layer,) = report.layers
    turn = "bidirectional" if d == 2 else "forward"
    assert (layer.where, layer.dialect) == (prefix.rstrip("./") or "arrays", "onnx")
    assert layer.summary == f"n = 3, k = 4, {turn}, two biases"
    assert ("direction = forward" in layer.assumed) == (d == 1)
    assert layer.agreement.difference < 1e-6


OWN = [
    {"bias": bias, "peephole": peephole, "coupled": coupled, **extra}
    for bias in ("one", "two", "none")
    for peephole in (False, True)
    for coupled in (None, "f=1-i", "i=1-f")
    for extra in (
        {},
        {"projection": 2},
        {"layers": 2},
        {"bidirectional": True},
        {"reverse": True},
        {"layers": 2, "bidirectional": True, "projection": 2},
    )
]


@pytest.mark.parametrize("options", OWN, ids=str)
def test_our_own_npz_comes_back(options, tmp_path):
    layer = ls.lstm(3, 4, **options)
    weights = layer.random(0)
    weights.save(tmp_path / "w.npz")
    again, read = ls.read(tmp_path / "w.npz")
    assert again == layer
    assert list(read) == list(weights)
    assert all(np.array_equal(read[name], a) for name, a in weights.items())
    report = ls.check(tmp_path / "w.npz")
    assert report.ok
    assert report.layers[0].layer == layer
    assert str(report.layers[0].agreement) == "not compared: these tensors are this package's own"


def test_several_layers_of_several_kinds():
    tensors = torch_names("enc.") | torch_names("dec.", n=4, k=5, cell=True) | keras_names("head/lstm/")
    tensors |= {f"own.{name}": a for name, a in own_names().items()} | drawn({"fc.weight": (2, 5), "fc.bias": (2,)})
    assert found(tensors) == {
        "enc": ("pytorch", "n = 3, k = 4, forward, two biases"),
        "dec": ("pytorch", "n = 4, k = 5, forward, two biases"),
        "head/lstm": ("keras", "n = 3, k = 4, forward, one bias"),
        "own": ("lstm-spec", "n = 3, k = 4, forward, one bias"),
    }
    assert ls.check(tensors, numbers=False).other == ("fc.weight", "fc.bias")
    layer, weights = ls.read(tensors, at="dec")
    assert (layer.sizes, weights["l0.W_f"].shape) == ({"n": 4, "k": 5}, (5, 4))
    with pytest.raises(TensorError, match="there are 4 layers, and they are no stack"):
        ls.read(tensors)


def test_two_layers_of_one_place_are_told_apart():
    tensors = torch_names() | keras_names()
    assert list(found(tensors)) == ["arrays", "arrays#2"]
    assert ls.read(tensors, at="arrays#2")[0].cell == ls.lstm(3, 4).cell


def test_one_place_taken_twice():
    """`kernel` and `kernel:0`, or a cell's names beside a layer's: neither is left out in silence."""
    report = ls.check(keras_names() | drawn({"kernel:0": (3, 16)}), numbers=False)
    assert messages(report) == [
        "error[names]: kernel:0: there is another tensor of that kind\n"
        "  at       arrays\n"
        "  found    kernel, recurrent_kernel, bias\n"
        "  help     keras has one of each; rename or remove what is no part of the layer"
    ]
    assert not ls.check(torch_names("x.") | torch_names("x.", cell=True), numbers=False).ok


def test_a_dialect_leaves_only_its_own_names():
    tensors = torch_names("enc.") | keras_names("lstm/")
    report = ls.check(tensors, dialect="keras", numbers=False)
    assert [f.where for f in report.layers] == ["lstm"]
    assert [f.code for f in report.findings] == ["unread"]  # enc, all four tensors
    assert not report.ok
    with pytest.raises(OptionError, match="no dialect is called caffe"):
        ls.check(tensors, dialect="caffe")


# ---- ties and majorities ----


def test_a_majority_names_the_one_that_is_wrong():
    tensors = torch_names("enc.") | drawn({"enc.weight_ih_l0": (20, 3)})
    assert messages(ls.check(tensors)) == [
        "error[shape]: enc.weight_ih_l0 does not fit\n"
        "  at       arrays : enc : enc.weight_ih_l0\n"
        "  expected (4*k, n) = (16, 3)\n"
        "  found    (20, 3)\n"
        "  because  k = 4 from enc.weight_hh_l0, enc.bias_ih_l0, enc.bias_hh_l0, n = 3 from enc.weight_ih_l0"
    ]


def test_a_tie_names_both_parties():
    tensors = drawn({"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 4), "bias_ih_l0": (16,), "bias_hh_l0": (12,)})
    report = ls.check(tensors)
    assert messages(report) == [
        "error[tie]: the tensors of arrays do not agree on k, and no side has the majority\n"
        "  at       arrays\n"
        "  found    k = 4 from weight_hh_l0, bias_ih_l0; k = 5 from weight_ih_l0, weight_hh_l0\n"
        "  help     one of these tensors has a wrong shape"
    ]
    assert "(4*k, n) = ?, found (20, 3)  <--" in str(report)


def test_a_tie_of_batches(tmp_path):
    """Two constant initial states of different batches: either could be wrong."""
    tensors = node_tensors() | drawn({"initial_h": (1, 3, 4)})
    del tensors["sequence_lens"]
    (tmp_path / "m.onnx").write_bytes(onnx_model(tensors, node_attributes()))
    (finding,) = ls.check(tmp_path / "m.onnx").findings
    assert finding.message == "the tensors of node do not agree on B, and no side has the majority"
    assert finding.found == "B = 2 from initial_c; B = 3 from initial_h"


# ---- dtypes ----


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_shapes_are_checked_where_numbers_cannot_be(dtype, tmp_path):
    save_file({name: a.astype(dtype) for name, a in torch_names().items()}, tmp_path / "half.safetensors")
    report = ls.check(tmp_path / "half.safetensors")
    assert report.ok
    pytest.importorskip("torch", reason="torch is not installed")
    assert str(report.layers[0].agreement) == (
        f"not compared with torch: the weights are {dtype}; compiled code takes one dtype, float32 or float64"
    )


def test_live_bfloat16_is_read_as_its_file_is(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import save_file as save_torch

    tensors = {f"\x1b[31m.{n}": torch.from_numpy(a).bfloat16() for n, a in torch_names().items()}
    save_torch(tensors, tmp_path / "b.safetensors")
    for source in (tmp_path / "b.safetensors", tensors):
        report = ls.check(source)
        assert str(report.layers[0].agreement).startswith("agrees with torch within ")
        assert "\x1b" not in str(report)


def test_live_float8_has_shapes_and_no_numbers():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensors = {f"\x1b[31m.{n}": torch.from_numpy(a).to(torch.float8_e4m3fn) for n, a in torch_names().items()}
    report = ls.check(tensors)
    assert report.ok
    assert "(float8_e4m3fn) cannot be read" in str(report.layers[0].agreement)
    assert "\x1b" not in str(report)
    with pytest.raises(TensorError, match="cannot be read"):
        ls.read(tensors)


def test_mixed_dtypes_are_said():
    tensors = torch_names()
    tensors["bias_hh_l0"] = tensors["bias_hh_l0"].astype("float64")
    with pytest.raises(TensorError) as caught:
        ls.read(tensors)
    assert str(caught.value) == (
        "error[dtype]: the weights are float32, float64; compiled code takes one dtype, float32 or float64\n"
        "  at       arrays"
    )
    assert ls.check(tensors).ok


def test_a_value_that_is_no_array():
    with pytest.raises(TensorError) as caught:
        ls.check({"weight_ih_l0": [[1.0]]})
    assert str(caught.value) == ("error[type]: weight_ih_l0 is no array\n  expected an array\n  found    list")


def test_a_whole_checkpoint_names_its_part_that_is_a_state_dict():
    """As torch.load gives it; the file itself can be checked."""
    weights = {"weight_ih_l0": np.zeros((16, 3)), "weight_hh_l0": np.zeros((16, 4))}
    given = {"epoch": 3, "model_state_dict": weights, "optimizer": {"state": {0: {"step": np.zeros(())}}, "lr": 1}}
    with pytest.raises(TensorError) as caught:
        ls.check(given)
    assert str(caught.value) == (
        "error[type]: epoch is no array\n"
        "  expected an array\n"
        "  found    int\n"
        "  help     hand over the part that holds the arrays: ['model_state_dict']"
    )
    assert ls.check(given["model_state_dict"], numbers=False).ok
