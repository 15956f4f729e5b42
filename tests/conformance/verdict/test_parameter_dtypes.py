"""Parameters that are no floating-point numbers make no LSTM that anybody runs, whatever their names and shapes."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.layers.tensors import Tensor, Tensors
from tests.conformance.sets import keras_names, messages, node_attributes, onnx_model, onnx_names, torch_names

NAMES = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"


def told(names, dtype, at="arrays"):
    return (
        f"error[dtype]: {names} hold{'' if ',' in names else 's'} no floating-point numbers\n"
        f"  at       {at}\n"
        "  expected float32, or another floating-point dtype\n"
        f"  found    {dtype}\n"
        "  because  a gate is computed with weights of a floating-point dtype; no framework runs this layer\n"
        "  help     save the weights as they were trained, in a floating-point dtype"
    )


@pytest.mark.parametrize("compared", [True, False])
@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint16", "bool", "complex64", "<U3", "object"])
def test_they_are_an_error(dtype, compared):
    """They conformed, and only the line of the numbers said so, where there was one."""
    report = ls.check({name: np.ones(a.shape).astype(dtype) for name, a in torch_names().items()}, numbers=compared)
    assert messages(report) == [told(NAMES, dtype)]
    assert not report.ok
    assert report.layers[0].agreement is None
    assert [row.ok for row in report.layers[0].tensors] == [True] * 4


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_in_files(suffix, tmp_path):
    arrays = {name: a.astype("int64") for name, a in sorted(keras_names("lstm/").items())}
    path = tmp_path / f"m.{suffix}"
    np.savez(path, **arrays) if suffix == "npz" else save_file(arrays, path)
    assert messages(ls.check(path, numbers=False)) == [
        told("lstm/bias, lstm/kernel, lstm/recurrent_kernel", "int64", f"{path} : lstm")
    ]


def test_one_of_them(tmp_path):
    tensors = torch_names("rnn.") | {"rnn.bias_hh_l0": np.zeros(16, "int64")}
    assert messages(ls.check(tensors)) == [told("rnn.bias_hh_l0", "int64", "arrays : rnn")]
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(onnx_names() | {"R": np.ones((1, 16, 4), "int32")}, node_attributes()))
    assert messages(ls.check(path)) == [told("R", "int32", f"{path} : node")]


def test_of_a_tall_stack_some_are_named():
    tensors = {name: a.astype("int64") for name, a in torch_names(layers=3).items()}
    (found,) = ls.check(tensors, numbers=False).findings
    assert found.message == f"{NAMES} and 8 more hold no floating-point numbers"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floating_point_numbers_are_none(dtype):
    assert ls.check({name: a.astype(dtype) for name, a in torch_names().items()}, numbers=False).findings == ()


@pytest.mark.parametrize(
    ("dtype", "severity"),
    [("qint8", "warning"), ("quint4x2", "warning"), ("uint4", "warning"), ("INT4", "warning"), ("qint32", "error")],
)
def test_whole_numbers_that_numpy_has_not(dtype, severity):
    """PyTorch's and ONNX's: they passed as floating-point numbers of a new kind."""
    tensors = {name: Tensor(name, a.shape, dtype, None) for name, a in torch_names().items()}
    (found,) = ls.check(Tensors("arrays", "arrays", tensors), numbers=False).findings
    assert (found.code, found.severity, found.found) == ("dtype", severity, dtype)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("biases", ["float32", "int32"])
def test_codes_of_a_quantized_layer_are_told(dtype, biases):
    """Their scales may stand anywhere: the shapes can be held."""
    tensors = {name: a.astype(dtype if "weight" in name else biases) for name, a in torch_names().items()}
    report = ls.check(tensors, numbers=False)
    assert report.ok
    assert messages(report) == [
        "warning[dtype]: weight_ih_l0, weight_hh_l0 hold whole numbers of 8 bits\n"
        "  at       arrays\n"
        f"  found    {dtype}\n"
        "  because  as those of a quantized layer, whose scales are not read here: the shapes conform, "
        "no number is held"
    ]
