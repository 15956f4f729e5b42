"""A node that ONNX Runtime refuses does not conform: attributes of another opset, lengths that no sample has."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
N, K, T, B = 3, 4, 5, 2
TENSORS = {"W": (1, 4 * K, N), "R": (1, 4 * K, K), "B": (1, 8 * K)}


def model(attributes=None, lengths=None, given=(), opset=14, x=(T, B, N), op="LSTM", domain=""):
    """A model of one node; `given` are weights that are inputs of the graph."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    value = helper.make_tensor_value_info
    constants = {name: rng.standard_normal(shape).astype("f4") for name, shape in TENSORS.items()}
    inputs = [value("X", 1, list(x)), *(value(name, 1, TENSORS[name]) for name in given)]
    names = ["X", *TENSORS]
    if lengths is not None:
        constants["lens"] = np.asarray(lengths)
        names.append("lens")
    stored = [onnx.numpy_helper.from_array(a, name) for name, a in constants.items() if name not in given]
    node = helper.make_node(op, names, ["Y"], name="node", domain=domain, hidden_size=K, **(attributes or {}))
    graph = helper.make_graph([node], "g", inputs, [value("Y", 1, None)], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def runs(data):
    """Whether ONNX Runtime loads the model and runs it."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        feeds = {
            i.name: np.zeros([s if isinstance(s, int) else B for s in i.shape], "f4") for i in session.get_inputs()
        }
        session.run(None, feeds)
    except Exception:
        return False
    return True


def told(data, folder):
    (folder / "m.onnx").write_bytes(data)
    report = ls.check(folder / "m.onnx")
    found = [str(f).replace(str(folder / "m.onnx"), "PATH") for f in report.findings if f.severity == "error"]
    assert report.ok == (not found)
    return found


REFUSED = "ONNX Runtime refuses a node with an attribute that its operator does not have"


@pytest.mark.parametrize(
    ("name", "value", "opset", "has"),
    [
        ("output_sequence", 1, 7, "opset 6 or earlier"),
        ("output_sequence", 0, 14, "opset 6 or earlier"),
        ("layout", 0, 13, "opset 14 or later"),
        ("layout", 1, 7, "opset 14 or later"),
    ],
)
def test_an_attribute_of_another_opset_in_full(tmp_path, name, value, opset, has):
    data = model({name: value}, opset=opset)
    assert not runs(data)
    assert told(data, tmp_path) == [
        f"error[option]: {name} is no attribute of LSTM at opset {opset}\n"
        "  at       PATH : node\n"
        f"  expected {has}\n"
        f"  found    {value}\n"
        f"  because  {REFUSED}\n"
        "  help     leave the attribute out, or declare the opset that has it"
    ]


@pytest.mark.parametrize(
    ("name", "opset"), [("output_sequence", 1), ("output_sequence", 6), ("layout", 14), ("layout", 22)]
)
def test_an_attribute_of_its_own_opset(tmp_path, name, opset):
    """What the schemas say; ONNX Runtime runs none of opset 6 and earlier."""
    assert name in onnx.defs.get_schema("LSTM", opset).attributes
    assert told(model({name: 0}, opset=opset), tmp_path) == []


def test_the_table_is_that_of_the_schemas():
    from lstm_spec.conformance.recognition.operators import ATTRIBUTES, has_attribute
    from lstm_spec.layers.tensors import Operator

    for opset in range(1, onnx.defs.onnx_opset_version() + 1):
        ours = {name for name in ATTRIBUTES if has_attribute(Operator("LSTM", "", {}, opset=opset), name)}
        assert ours == set(onnx.defs.get_schema("LSTM", opset).attributes)


def test_an_unknown_attribute_in_full(tmp_path):
    data = model({"fast": 1}, opset=13)
    assert not runs(data)
    assert told(data, tmp_path) == [
        "error[option]: fast is no attribute of LSTM\n"
        "  at       PATH : node\n"
        "  expected activation_alpha, activation_beta, activations, clip, direction, hidden_size, input_forget\n"
        "  found    1\n"
        f"  because  {REFUSED}\n"
        "  help     leave the attribute out"
    ]


def test_a_function_says_its_own_opset(tmp_path):
    helper = onnx.helper
    node = helper.make_node("LSTM", ["X", "W", "R"], ["Y"], name="node", hidden_size=K, layout=0)
    function = helper.make_function("own", "f", ["X", "W", "R"], ["Y"], [node], [helper.make_opsetid("", 13)])
    message = onnx.load_from_string(model())
    del message.graph.node[:]
    message.graph.node.append(helper.make_node("f", ["X", "W", "R"], ["Y"], domain="own"))
    message.functions.append(function)
    message.opset_import.append(helper.make_opsetid("own", 1))
    assert "layout is no attribute of LSTM at opset 13" in told(message.SerializeToString(), tmp_path)[0]


def int32(*lengths):
    return np.array(lengths, "int32")


@pytest.mark.parametrize(
    ("lengths", "found"),
    [
        (int32(5, 9), "9 (sample 1)"),
        (int32(-1, 5), "-1 (sample 0)"),
        (int32(6, -2), "6 (sample 0), -2 (sample 1)"),
    ],
)
def test_lengths_that_no_sample_has_in_full(tmp_path, lengths, found):
    data = model(lengths=lengths)
    assert not runs(data)
    assert told(data, tmp_path) == [
        "error[lengths]: lens holds lengths that no sample has\n"
        "  at       PATH : node : lens\n"
        "  expected whole numbers from 0 to T = 5\n"
        f"  found    {found}\n"
        "  because  ONNX Runtime refuses to run such a node; T = 5 is what the graph declares of X\n"
        "  help     a sample's length counts its steps without the padding"
    ]


def test_lengths_where_the_steps_are_open(tmp_path):
    """Nothing is too long then; below 0 is no length at all."""
    assert told(model(lengths=int32(5, 900), x=("T", B, N)), tmp_path) == []
    (finding,) = told(model(lengths=int32(5, -9), x=("T", B, N)), tmp_path)
    assert "  expected whole numbers from 0\n  found    -9 (sample 1)\n" in finding


def test_lengths_with_the_batch_first(tmp_path):
    assert told(model({"layout": 1}, int32(5, 0), x=(B, T, N)), tmp_path) == []
    assert "to T = 5" in told(model({"layout": 1}, int32(5, 6), x=(B, T, N)), tmp_path)[0]


@pytest.mark.parametrize("lengths", [int32(5, 5), int32(0, 1)])
def test_lengths_that_run(tmp_path, lengths):
    data = model(lengths=lengths)
    assert runs(data)
    assert told(data, tmp_path) == []


def test_lengths_of_another_type(tmp_path):
    data = model(lengths=np.array([5, 5], "int64"))
    assert not runs(data)
    assert told(data, tmp_path) == [
        "error[dtype]: lens holds lengths of another type\n"
        "  at       PATH : node : lens\n"
        "  expected int32\n"
        "  found    int64"
    ]


def test_lengths_of_another_batch(tmp_path):
    data = model(lengths=int32(5, 5, 5))
    assert not runs(data)
    (finding,) = told(data, tmp_path)
    assert "(T, 3, 3)" in finding
    assert "because  B = 3 from lens" in finding


EXPORT = (
    "export the weights into the model (torch.onnx.export with export_params=True), or check the file that has them"
)


@pytest.mark.parametrize(
    ("given", "message", "because"),
    [
        ("WRB", "W, R, B of node are no constants", "they are given when the model runs"),
        ("W", "W of node is no constant", "it is given when the model runs"),
    ],
)
def test_weights_that_are_given_in_full(tmp_path, given, message, because):
    data = model(given=given)
    assert runs(data)
    assert told(data, tmp_path) == [
        f"error[unread]: {message}\n  at       PATH : node\n  because  {because}\n  help     {EXPORT}"
    ]


def test_weights_that_are_given_and_made(tmp_path):
    """What is made can be folded, what is given cannot."""
    message = onnx.load_from_string(model(given="W"))
    made = onnx.helper.make_node("Einsum", ["R"], ["made"], name="mix", equation="abc->abc")
    message.graph.node.insert(0, made)
    message.graph.node[1].input[2] = "made"
    (finding,) = told(message.SerializeToString(), tmp_path)
    assert finding == (
        "error[unread]: W, R of node are no constants\n"
        "  at       PATH : node\n"
        "  because  W: it is given when the model runs; R: Einsum (mix) makes it at run time\n"
        f"  help     {EXPORT}\n"
        "           fold the constants (onnx-simplifier, or ONNX Runtime's offline optimizer) and check the result"
    )
