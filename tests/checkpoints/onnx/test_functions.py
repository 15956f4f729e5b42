"""A model's own functions: entered where they are called, with the names and options of the call."""

import numpy as np
import onnxruntime
import pytest
from onnx import AttributeProto, helper

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.onnx.models import R, W, X, branching, constants, graph

make = helper.make_node
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def referring(node, attribute, to, kind):
    node.attribute.append(AttributeProto(name=attribute, ref_attr_name=to, type=kind))
    return node


def block(name="Block", body=None, inputs=("x", "w", "r")):
    """Unsqueezes its matrices and runs an LSTM of `units` units."""
    nodes = body or [
        make("Constant", [], ["first"], value_ints=[0]),
        make("Unsqueeze", ["w", "first"], ["W"]),
        make("Unsqueeze", ["r", "first"], ["R"]),
        referring(make("LSTM", ["x", "W", "R"], ["y"], "rnn"), "hidden_size", "units", AttributeProto.INT),
    ]
    return helper.make_function("local", name, list(inputs), ["y"], nodes, OPSETS, ["units"])


def written(write, nodes, functions, **arrays):
    inner = helper.make_graph(nodes, "g", [X], [helper.make_tensor_value_info("y", 1, None)], constants(**arrays))
    message = helper.make_model(inner, functions=functions, opset_imports=OPSETS, ir_version=8)
    return write("m.onnx", message.SerializeToString())


def call(*inputs, name="call", op="Block", output="y", **attributes):
    return make(op, list(inputs), [output], name, domain="local", **attributes)


def test_a_call_is_entered_with_its_arguments(write):
    nodes = [call("x", "w", "r", units=2), call("x", "w2", "r", name="other", output="y2", units=2)]
    path = written(write, nodes, [block()], w=W[0], w2=W[0] * 2, r=R[0])
    tensors = read_tensors(path)
    assert [(op.where, op.tensors["W"], op.attributes) for op in tensors.operators] == [
        ("call/rnn", "call/W", {"hidden_size": 2}),
        ("other/rnn", "other/W", {"hidden_size": 2}),
    ]
    np.testing.assert_array_equal(tensors["other/W"].load(), W * 2)
    report = ls.check(path)
    assert report.ok
    assert all(found.agreement.difference <= 1e-6 for found in report.layers)
    layer, weights = ls.read(path, at="call/rnn")
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype("f4")
    (theirs,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert np.abs(ls.compile(layer)(x, weights)[0] - theirs[:, 0]).max() <= 1e-6


def test_a_function_within_a_function_and_an_option_handed_on(write):
    outer = block("Outer", [referring(call("x", "w", "r", name="in"), "units", "units", AttributeProto.INT)])
    path = written(write, [call("x", "w", "r", op="Outer", units=2)], [outer, block()], w=W[0], r=R[0])
    (operator,) = read_tensors(path).operators
    assert (operator.where, operator.attributes) == ("call/in/rnn", {"hidden_size": 2})
    assert ls.check(path).ok


def test_an_option_that_the_call_leaves_out_is_the_operators_default(write):
    path = written(write, [call("x", "w", "r")], [block()], w=W[0], r=R[0])
    assert read_tensors(path).operators[0].attributes == {}
    (finding,) = ls.check(path).findings
    assert finding.message == "call/rnn does not say its hidden_size"


def test_a_branch_in_a_function_sees_its_names(write):
    body = [branching(graph(make("LSTM", ["x", "w", "r"], ["z"], hidden_size=2), name="then"), "/if")]
    path = written(write, [call("x", "W", "R")], [block(body=body)], W=W, R=R)
    (operator,) = read_tensors(path).operators
    assert (operator.where, operator.tensors) == ("call/if.then_branch/LSTM:z", {"W": "W", "R": "R"})


def test_an_argument_that_is_left_out(write):
    body = [make("LSTM", ["x", "w", "r", "b"], ["y"], "rnn", hidden_size=2)]
    path = written(write, [call("x", "W", "R")], [block(body=body, inputs="xwrb")], W=W, R=R)
    assert read_tensors(path).operators[0].absent == ("B",)


def test_a_constant_that_refers_to_an_option_is_no_constant(write):
    body = [
        referring(make("Constant", [], ["w"]), "value_float", "units", AttributeProto.FLOAT),
        make("LSTM", ["x", "w", "r"], ["y"], "rnn", hidden_size=2),
    ]
    path = written(write, [call("x", "R", units=2.0)], [block(body=body, inputs="xr")], R=R)
    assert read_tensors(path).operators[0].absent == ("W",)


def refusal(path):
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    return str(caught.value).replace(str(path), "PATH")


def test_a_function_that_calls_itself_is_refused(write):
    body = [call("x", "w", "r", name="again")]
    assert refusal(written(write, [call("x", "W", "R")], [block(body=body)], W=W, R=R)) == (
        "error[circle]: the function Block calls itself\n  at       PATH : call"
    )


def test_a_tree_of_calls_is_bounded(write):
    """Each of 20 functions calls the next one twice."""
    names = [f"F{i}" for i in range(20)]
    functions = [
        block(name, [call("x", "w", "r", op=after, name="a"), call("x", "w", "r", op=after, name="b", output="y2")])
        for name, after in zip(names, [*names[1:], "Block"], strict=True)
    ]
    assert refusal(written(write, [call("x", "w", "r", op="F0")], [*functions, block()], w=W[0], r=R[0])) == (
        "error[too-large]: the model has too many graphs\n  at       PATH\n  expected at most 10000"
    )
