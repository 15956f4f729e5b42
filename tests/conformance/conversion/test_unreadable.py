"""Why numbers cannot be read, in words: not the dtype, where it is not the dtype."""

from __future__ import annotations

import onnx
import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError
from lstm_spec.layers.tensors import Tensor, Tensors
from tests.conformance.sets import node_attributes, node_tensors, onnx_model


def refusal(source):
    with pytest.raises(TensorError) as caught:
        ls.convert(source, "lstm-spec")
    return str(caught.value)


def test_external_data_that_is_not_there(tmp_path):
    path = tmp_path / "m.onnx"
    model = onnx.load_from_string(onnx_model(node_tensors(), node_attributes()))
    onnx.save(model, path, save_as_external_data=True, location="m.bin", size_threshold=0)
    (tmp_path / "m.bin").unlink()
    assert refusal(path) == (
        "error[values]: the values of W, R, B, P, initial_h, … cannot be read\n"
        f"  at       {path} : node\n"
        "  because  the external data m.bin is not there: shapes are read, values are not\n"
        "  help     put it beside the model, under the name that the model gives it"
    )


def test_a_sparse_constant(tmp_path):
    model = onnx.load_from_string(onnx_model(node_tensors(), node_attributes()))
    (own,) = [constant for constant in model.graph.initializer if constant.name == "W"]
    model.graph.initializer.remove(own)
    values = onnx.helper.make_tensor("W", own.data_type, [1], [1.0])
    places = onnx.helper.make_tensor("places", onnx.TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, list(own.dims)))
    onnx.save(model, tmp_path / "m.onnx")
    assert refusal(tmp_path / "m.onnx") == (
        "error[values]: the values of W cannot be read\n"
        f"  at       {tmp_path}/m.onnx : node\n"
        "  because  the source gives their shapes alone"
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_meta_tensors(dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = torch.nn.LSTM(3, 4, bias=False, device="meta", dtype=getattr(torch, dtype))
    for source, name in ((module, "LSTM"), (module.state_dict(), "arrays")):
        assert refusal(source) == (
            "error[values]: the values of weight_ih_l0, weight_hh_l0 cannot be read\n"
            f"  at       {name}\n"
            "  because  a meta tensor has a shape and no values\n"
            "  help     load the weights first"
        )


def test_a_dtype_that_is_not_read():
    tensors = {n: Tensor(n, s, "float8_e4m3fn") for n, s in (("weight_ih_l0", (16, 3)), ("weight_hh_l0", (16, 4)))}
    assert refusal(Tensors("m.safetensors", "safetensors", tensors)) == (
        "error[values]: the values of weight_ih_l0, weight_hh_l0 cannot be read\n"
        "  at       m.safetensors\n"
        "  because  they are float8_e4m3fn, which is not read here"
    )
