"""`compare` sees what a cell does beside its numbers, as `convert` does; and coupled gates as the two that they are."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.conformance.sets import node_attributes, onnx_model, onnx_names, torch_names

ALLOWED = ("two-biases", "forget-bias", "initial-state", "lengths", "merge")


def saved(tmp_path, name, arrays, **attributes):
    path = tmp_path / name
    path.write_bytes(onnx_model(arrays, node_attributes(**attributes)))
    return path


def started(h, c):
    return onnx_names() | {"initial_h": np.full((1, 2, 4), h, "float32"), "initial_c": np.full((1, 2, 4), c, "float32")}


def words(first, second):
    comparison = ls.compare(first, second)
    return comparison.ok, [word for pair in comparison.pairs for word in pair.words]


def test_where_it_begins(tmp_path):
    one, zeros = saved(tmp_path, "a.onnx", started(0.5, 0)), saved(tmp_path, "b.onnx", started(0, 0))
    other = saved(tmp_path, "c.onnx", started(0.25, 0))
    assert words(one, one) == (True, [])
    assert words(zeros, saved(tmp_path, "d.onnx", onnx_names())) == (True, [])
    assert words(one, zeros) == (False, ["the first begins with a constant h that is not zero, the second with zeros"])
    assert words(zeros, one) == (False, ["the first begins with zeros, the second with a constant h that is not zero"])
    assert words(one, other) == (False, ["both begin with a constant h, each with its own"])
    converted = ls.convert(one, "pytorch", allow="initial-state").tensors
    assert not ls.compare(one, converted).ok


def test_where_it_begins_and_nobody_can_tell(tmp_path):
    """The values of the state lie in a file that is not there: the cells are not called the same."""
    import onnx

    path = saved(tmp_path, "a.onnx", started(0.5, 0))
    model = onnx.load(path)
    state = next(tensor for tensor in model.graph.initializer if tensor.name == "initial_h")
    state.ClearField("raw_data")
    state.ClearField("float_data")
    state.data_location = onnx.TensorProto.EXTERNAL
    state.external_data.add(key="location", value="gone.bin")
    path.write_bytes(model.SerializeToString())
    comparison = ls.compare(path, path)
    assert not comparison.ok
    (pair,) = comparison.pairs
    assert pair.unreadable == "the values of initial_h cannot be read"


def test_where_samples_end(tmp_path):
    one = saved(tmp_path, "a.onnx", onnx_names() | {"sequence_lens": np.array([1, 2], "int32")})
    other = saved(tmp_path, "b.onnx", onnx_names() | {"sequence_lens": np.array([2, 1], "int32")})
    assert words(one, one) == (True, [])
    assert words(one, other) == (False, ["the samples end after other numbers of steps"])
    assert words(one, saved(tmp_path, "c.onnx", onnx_names()))[0] is False


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("merge", ["sum", "ave"])
def test_the_merge(tmp_path, merge):
    keras = pytest.importorskip("keras", reason="keras is not installed")
    model = keras.Sequential(
        [keras.layers.Input((5, 3)), keras.layers.Bidirectional(keras.layers.LSTM(4), merge_mode=merge)]
    )
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    torchs = ls.convert(tmp_path / "m.keras", "pytorch", allow=ALLOWED).tensors
    name = {"sum": "sum", "ave": "average"}[merge]
    assert words(tmp_path / "m.keras", torchs) == (False, [f"the outputs of both directions: {name} -> concat"] * 2)
    assert words(tmp_path / "m.keras", tmp_path / "m.weights.h5") == (True, [])  # a file of weights does not say it


@pytest.mark.parametrize("to", ["pytorch", "keras", "tf1", "tf1-coupled", "haiku", "flax"])
@pytest.mark.parametrize("bias", ["two", "none"])
def test_coupled_gates_are_the_two_that_they_are(tmp_path, to, bias):
    names = onnx_names() if bias == "two" else {n: a for n, a in onnx_names().items() if n != "B"}
    path = saved(tmp_path, "m.onnx", names, input_forget=1)
    converted = ls.convert(path, to, allow=ALLOWED)
    comparison = ls.compare(path, converted.tensors, dialect=(None, to))
    assert comparison.ok, str(comparison)
    tensors = dict(converted.tensors)
    name = next(name for name in tensors if not name.endswith(("bias", "b", "B")))
    tensors[name] = tensors[name] + np.float32(1e-3)
    assert not ls.compare(path, tensors, dialect=(None, to)).ok


def test_a_coupled_cell_is_none_whose_gates_are_free(tmp_path):
    layer = ls.lstm(3, 4, bias="two")
    weights = get("onnx").unpack(onnx_names(), layer)
    path = saved(tmp_path, "m.onnx", onnx_names(), input_forget=1)
    free = get("pytorch").pack(weights, layer)
    comparison = ls.compare(path, free)
    (pair,) = comparison.pairs
    assert set(pair.wrong) == {"W_f", "U_f", "b_f"}
    assert torch_names().keys() == free.keys()
