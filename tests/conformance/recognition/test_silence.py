"""Nothing passes in silence: a conforming set with one tensor changed is never `ok`, unless it conforms again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from tests.conformance.sets import (
    drawn,
    keras_names,
    node_attributes,
    node_tensors,
    onnx_model,
    onnx_names,
    own_names,
    torch_names,
)
from tests.laws import tried

SETS = {
    "torch": torch_names("enc."),
    "torch no bias": torch_names(bias=False),
    "torch stack": torch_names("m.", layers=2, both=True),
    "torch projection": torch_names(k=5, projection=2),
    "torch cell": torch_names("c.", cell=True),
    "torch n = k": torch_names(n=4),
    "torch n = 4k": torch_names(n=16),
    "keras": keras_names("lstm/lstm_cell/"),
    "keras no bias": keras_names("lstm/", bias=False, end=":0"),
    "keras n = k": keras_names("lstm/", n=4),
    "onnx": onnx_names(peephole=True),
    "onnx both": onnx_names(d=2),
    "own": own_names(),
    "own two": own_names(bias="two", peephole=True),
    "own coupled": own_names(coupled="f=1-i", bias="none"),
    "own stack": own_names(layers=2, bidirectional=True, projection=2),
    "own reverse": own_names(reverse=True),
}


def ok(tensors):
    try:
        return ls.check(tensors, numbers=False).ok
    except ls.LstmSpecError:
        return False


@pytest.mark.parametrize("name", SETS)
def test_the_sets_conform(name):
    assert ok(SETS[name])


def dropped_is_another_layer(name, tensor):
    """Dropping these leaves a set that is whole by itself: the option without them."""
    kind = tensor.rpartition(".")[2].rpartition("/")[2].removesuffix(":0")
    if name.startswith("keras"):
        return kind == "bias"
    return name.startswith("onnx") and kind in ("B", "P")


@pytest.mark.parametrize("name", SETS)
def test_a_dropped_tensor(name):
    for tensor in SETS[name]:
        left = {n: a for n, a in SETS[name].items() if n != tensor}
        assert ok(left) == dropped_is_another_layer(name, tensor), tensor


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("new", ["{}x", "x{}", "{}_l7", "weights", "{}.weight"])
def test_a_renamed_tensor(name, new):
    for tensor in SETS[name]:
        head, dot, last = tensor.rpartition("." if "." in tensor else "/")
        renamed = {(head + dot + new.format(last) if n == tensor else n): a for n, a in SETS[name].items()}
        assert ok(renamed) == dropped_is_another_layer(name, tensor), (tensor, list(renamed))


# The input width is one tensor's own word there, on this axis; nothing contradicts another one.
SAYS_N = {
    "torch": ("enc.weight_ih_l0", 1),
    "torch no bias": ("weight_ih_l0", 1),
    "torch projection": ("weight_ih_l0", 1),
    "torch cell": ("c.weight_ih", 1),
    "torch n = k": ("weight_ih_l0", 1),
    "torch n = 4k": ("weight_ih_l0", 1),
    "keras": ("lstm/lstm_cell/kernel", 0),
    "keras no bias": ("lstm/kernel:0", 0),
    "keras n = k": ("lstm/kernel", 0),
    "onnx": ("W", 2),
    "onnx both": ("W", 2),
}


def is_another_n(name, tensor, shape, new):
    holder, axis = SAYS_N.get(name, ("", 0))
    same = len(shape) == len(new) and all(a == b for i, (a, b) in enumerate(zip(shape, new, strict=True)) if i != axis)
    return tensor == holder and same and new[axis] > 0


# The shape of another dialect's bias under the same names: OpenVINO's has half of ONNX's, CuDNNLSTM's twice Keras'.
ANOTHER_BIAS = {
    ("onnx both", "B"): (2, 16),
    ("keras", "lstm/lstm_cell/bias"): (32,),
    ("keras n = k", "lstm/bias"): (32,),
}


@pytest.mark.parametrize("place", ANOTHER_BIAS)
def test_the_bias_of_another_dialect_is_read_as_its_own(place):
    name, tensor = place
    (layer,) = ls.check(SETS[name] | drawn({tensor: ANOTHER_BIAS[place]}), numbers=False).layers
    assert layer.dialect == ("openvino" if name == "onnx both" else "tf-keras-cudnn")


@pytest.mark.parametrize("name", SETS)
@given(data=st.data())
@tried(40)
def test_a_reshaped_tensor(name, data):
    tensor = data.draw(st.sampled_from(sorted(SETS[name])))
    shape = SETS[name][tensor].shape
    axis = data.draw(st.integers(0, len(shape) - 1))
    longer = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 8, 12, 16, 20, 32, shape[axis] + 1, 2 * shape[axis]]))
    resized = (*shape[:axis], longer, *shape[axis + 1 :])
    new = data.draw(st.sampled_from([resized, (*shape, 1), (1, *shape), shape[:-1], shape[::-1]]))
    if new in (shape, ANOTHER_BIAS.get((name, tensor))) or is_another_n(name, tensor, shape, new):
        return
    assert not ok(SETS[name] | drawn({tensor: new})), (tensor, shape, new)


@pytest.mark.parametrize("name", [name for name in SETS if name != "torch projection"])
@given(data=st.data())
@tried(15)
def test_two_tensors_in_each_others_place(name, data):
    """Unless their shapes are the same: then only their numbers could tell."""
    a, b = data.draw(st.permutations(sorted(SETS[name])))[:2]
    tensors = dict(SETS[name])
    tensors[a], tensors[b] = tensors[b], tensors[a]
    assert ok(tensors) == (tensors[a].shape == tensors[b].shape)


@pytest.mark.parametrize("name", SETS)
@given(data=st.data(), kind=st.sampled_from(["weight_ih_l0", "recurrent_kernel", "lstm.w", "gru_kernel", "l0.U_f"]))
@tried(8)
def test_one_more_recurrent_tensor(name, data, kind):
    shape = data.draw(st.sampled_from([(16, 4), (3, 7), (12, 4), (4, 4)]))
    assert not ok(SETS[name] | drawn({f"other.{kind}": shape}))


@pytest.mark.parametrize("role", ["W", "R", "B", "P", "initial_h", "initial_c", "sequence_lens"])
@given(data=st.data())
@tried(25)
def test_a_reshaped_input_of_a_node(role, data, tmp_path_factory):
    tensors = node_tensors()
    shape = tensors[role].shape
    axis = data.draw(st.integers(0, len(shape) - 1))
    length = data.draw(st.integers(0, 40))
    new = data.draw(st.sampled_from([(*shape[:axis], length, *shape[axis + 1 :]), (*shape, 1), shape[1:], shape[::-1]]))
    if new == shape or (role == "W" and new[:2] == shape[:2] and len(new) == 3 and new[2] > 0):
        return
    tensors[role] = np.zeros(new, tensors[role].dtype)
    path = tmp_path_factory.mktemp("node") / "m.onnx"
    path.write_bytes(onnx_model(tensors, node_attributes()))
    assert not ok(path), (role, shape, new)
