"""The shape that a graph declares for X goes with the node; what it leaves open stays open."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lstm_spec.checkpoints import read_tensors

SINGLE = TensorProto.FLOAT


def node_of(x="x", name="node"):
    return helper.make_node("LSTM", [x, "W", "R"], [f"y_{name}"], name=name, hidden_size=2)


def constants():
    return [numpy_helper.from_array(np.zeros(s, "f4"), n) for n, s in (("W", (1, 8, 3)), ("R", (1, 8, 2)))]


def declared(tmp_path, *nodes, inputs=(), values=()):
    graph = helper.make_graph(list(nodes), "g", list(inputs), [], constants(), value_info=list(values))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return [operator.declared for operator in read_tensors(path).operators]


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        (["T", 2, 3], (None, 2, 3)),
        ([None, None, 3], (None, None, 3)),
        ([0, -1, 3], (None, None, 3)),  # exporters write 0 and -1 where a size is open
        ([5, 3], (5, 3)),
    ],
)
def test_of_an_input(shape, read, tmp_path):
    value = helper.make_tensor_value_info("x", SINGLE, shape)
    assert declared(tmp_path, node_of(), inputs=[value]) == [{"X": read}]


def test_of_a_value_that_is_computed(tmp_path):
    value = helper.make_tensor_value_info("x", SINGLE, None)
    noted = helper.make_tensor_value_info("a", SINGLE, [7, 2, 3])
    relu = helper.make_node("Relu", ["x"], ["a"])
    assert declared(tmp_path, relu, node_of("a"), inputs=[value], values=[noted]) == [{"X": (7, 2, 3)}]
    assert declared(tmp_path, relu, node_of("a"), inputs=[value]) == [{}]


def test_of_what_is_no_tensor(tmp_path):
    value = helper.make_tensor_sequence_value_info("x", SINGLE, [7, 2, 3])
    assert declared(tmp_path, node_of(), inputs=[value]) == [{}]


def test_seen_from_an_inner_graph(tmp_path):
    inputs = [helper.make_tensor_value_info("x", SINGLE, [7, 2, 3]), helper.make_tensor_value_info("b", 9, [])]
    inner = helper.make_graph([node_of(name="inner")], "inner", [], [])
    choice = helper.make_node("If", ["b"], ["z"], then_branch=inner, else_branch=inner)
    assert declared(tmp_path, choice, inputs=inputs) == [{"X": (7, 2, 3)}] * 2
