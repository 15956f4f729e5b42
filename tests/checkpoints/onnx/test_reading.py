"""The ONNX reader: constants, recurrent operators, graphs within graphs; models that lie are refused."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from onnx import TensorProto, helper, numpy_helper

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.onnx.initializers import ELEMENTS
from lstm_spec.layers.tensors import Operator
from tests.checkpoints.onnx.models import R, W, X, branching, constants, graph, lstm, model
from tests.laws import tried


@pytest.fixture
def read(write):
    return lambda data: read_tensors(write("m.onnx", data))


@pytest.fixture
def code(write, refusal):
    return lambda data: refusal(write("m.onnx", data)).code


def test_dtln_has_two_lstm_nodes(models):
    tensors = read_tensors(models / "DTLN_model_1.onnx")
    assert (tensors.format, tensors.findings, len(tensors)) == ("onnx", (), 24)
    assert tensors.operators == tuple(
        Operator(
            "LSTM",
            name,
            {role: f"{name}_{role}" for role in "WRB"},
            {"activations": ["Sigmoid", "Tanh", "Tanh"], "direction": "forward", "hidden_size": 128},
            ("initial_h", "initial_c"),
        )
        for name in ("lstm_4", "lstm_5")
    )
    assert [tensors[f"lstm_4_{role}"].shape for role in "WRB"] == [(1, 512, 257), (1, 512, 128), (1, 1024)]


def test_silero_has_lstm_nodes_within_if_and_weights_that_are_folded(models):
    tensors = read_tensors(models / "silero_vad_16k_op15.onnx")
    places = ["then_branch/model/decoder/rnn/", "else_branch/model/decoder/rnn_1/"]
    assert [(op.where, dict(op.tensors), op.attributes) for op in tensors.operators] == [
        (
            f"/model/decoder/If_1.{place}LSTM",
            {
                role: f"/model/decoder/If_1.{place}Unsqueeze_{number}_output_0"
                for role, number in zip("WRB", (6, 7, 8), strict=True)
            },
            {"hidden_size": 128},
        )
        for place in places
    ]
    # One branch goes on from the state that the model is given, the other begins with zeros.
    assert [op.absent for op in tensors.operators] == [("initial_h", "initial_c"), ()]
    assert tensors["model.decoder.rnn.weight_ih"].shape == (512, 128)


def test_cntk_has_a_reverse_and_a_forward_node(models):
    tensors = read_tensors(models / "ort_CNTK_LSTM_tanh_bidirectional.onnx")
    assert [op.attributes["direction"] for op in tensors.operators] == ["reverse", "forward"]
    assert tensors.operators[0].tensors == {
        "W": "Parameter5",
        "R": "Parameter6",
        "B": "Parameter4",
        "initial_h": "Block1237_Output_0_initial_h",
        "initial_c": "Block1237_Output_1_initial_c",
    }


@pytest.mark.parametrize("name", ["DTLN_model_1.onnx", "ort_CNTK_LSTM_tanh_bidirectional.onnx"])
def test_values_equal_those_of_onnx(models, name):
    tensors = read_tensors(models / name)
    theirs = onnx.load(models / name).graph.initializer
    assert list(tensors) == [proto.name for proto in theirs]
    for proto in theirs:
        values, array = tensors[proto.name].load(), numpy_helper.to_array(proto)
        assert (values.dtype, tensors[proto.name].dtype) == (array.dtype, array.dtype.name)
        assert values.flags.writeable
        np.testing.assert_array_equal(values, array)


@tried(100, HealthCheck.function_scoped_fixture)
@given(
    st.sampled_from([(number, element) for number, element in ELEMENTS.items() if element.name != "string"]),
    stn.arrays("u1", stn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=st.integers(0, 1)),
    st.booleans(),
)
def test_every_type_is_read_as_onnx_writes_it(write, numbered, ones, raw):
    number, element = numbered
    array = ones.astype(helper.tensor_dtype_to_np_dtype(number))
    if raw or element.name.startswith("float6"):
        proto = numpy_helper.from_array(array, "w")
    else:
        proto = helper.make_tensor("w", number, array.shape, array.flatten().tolist())
    tensor = read_tensors(write("m.onnx", model(initializers=[proto])))["w"]
    assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype.name)
    assert (tensor.load is not None) == (element.loadable or element.is_bfloat16)
    assert element.loadable == (array.dtype.isbuiltin == 1)
    if element.is_bfloat16:
        assert tensor.load().tobytes() == array.astype("float32").tobytes()
    elif tensor.load:
        assert tensor.load().tobytes() == array.tobytes()


def test_text_has_a_shape_and_no_values(read):
    tensor = read(model(initializers=[helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"\xff"])]))["s"]
    assert (tensor.shape, tensor.dtype, tensor.load) == ((2,), "string", None)


def test_roles_by_place_and_attributes_as_python_values(read):
    arrays = constants(W=W, R=R, P=np.zeros((1, 6), "f4"))
    node = lstm(
        *["x", "W", "R", "", "lengths", "", "c0", "P"],
        activation_alpha=[0.5, 0.25],
        activations=["Sigmoid", "Tanh", "Tanh"],
        clip=3.0,
        direction="reverse",
        hidden_size=2,
    )
    inputs = [X, *(helper.make_tensor_value_info(name, 1, None) for name in ("lengths", "c0"))]
    (found,) = read(model(node, initializers=arrays, inputs=inputs)).operators
    assert found == Operator(
        "LSTM",
        "LSTM:y",
        {"W": "W", "R": "R", "P": "P"},
        {
            "activation_alpha": [0.5, 0.25],
            "activations": ["Sigmoid", "Tanh", "Tanh"],
            "clip": 3.0,
            "direction": "reverse",
            "hidden_size": 2,
        },
        ("sequence_lens", "initial_c"),
        {"X": (None, None, 3)},
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_each_kind_in_each_spelling_of_the_domain(read, kind, domain):
    node = lstm(kind=kind, hidden_size=-4)
    node.domain = domain
    (found,) = read(model(node, initializers=constants(W=W, R=R))).operators
    assert (found.kind, found.attributes) == (kind, {"hidden_size": -4})


def test_constant_nodes_and_identities_count_as_initializers(read):
    make = helper.make_node
    nodes = [
        make("Identity", ["W1"], ["W2"]),  # before what it reads: not sorted, and still followed once
        make("Constant", [], ["W1"], value=numpy_helper.from_array(W)),
        make("Constant", [], ["f"], value_float=0.5),
        make("Constant", [], ["fs"], value_floats=[0.5, 0.25]),
        make("Constant", [], ["i"], value_int=3),
        make("Constant", [], ["is"], value_ints=[1, 2, 3]),
        make("Constant", [], ["s"], value_string="a"),
        make("Constant", [], ["ss"], value_strings=["a", "b"]),
        make("Identity", ["R0"], ["R1"]),
        make("Identity", ["R1"], ["R2"]),
        lstm("x", "W2", "R2"),
    ]
    tensors = read(model(*nodes, initializers=constants(R0=R)))
    assert {name: (t.shape, t.dtype) for name, t in tensors.items()} == {
        "R0": ((1, 8, 2), "float32"),
        "W1": ((1, 8, 3), "float32"),
        "f": ((), "float32"),
        "fs": ((2,), "float32"),
        "i": ((), "int64"),
        "is": ((3,), "int64"),
        "s": ((), "string"),
        "ss": ((2,), "string"),
    }
    assert tensors.operators[0].tensors == {"W": "W1", "R": "R0"}
    assert [tensors[name].load().tolist() for name in ("f", "fs", "i", "is")] == [0.5, [0.5, 0.25], 3, [1, 2, 3]]
    np.testing.assert_array_equal(tensors["W1"].load(), W)


def test_sparse_constants_have_a_shape_and_no_values(read):
    values, places = numpy_helper.from_array(np.ones(2, "f4"), "W"), numpy_helper.from_array(np.arange(2), "at")
    sparse = helper.make_sparse_tensor(values, places, [1, 8, 3])
    inner = graph(helper.make_node("Constant", [], ["v"], sparse_value=sparse))
    message = helper.make_model(graph(branching(inner), inputs=[X]))
    message.graph.sparse_initializer.append(sparse)
    tensors = read(message.SerializeToString())
    assert [(t.shape, t.dtype, t.load) for t in tensors.values()] == [((1, 8, 3), "float32", None)] * 2


def test_a_graph_within_a_node_sees_the_names_outside_and_may_hide_them(read):
    inner = graph(lstm(), initializers=constants(W=W * 2), name="inner")
    body = graph(branching(inner, "/deep/If"), lstm(), inputs=[helper.make_tensor_value_info("R", 1, None)])
    nodes = [branching(graph(lstm(), name="then")), helper.make_node("Loop", ["", ""], ["z"], "loop", body=body)]
    tensors = read(model(*nodes, initializers=constants(W=W, R=R)))
    assert [(op.where, dict(op.tensors), op.absent) for op in tensors.operators] == [
        ("If_0.then_branch/LSTM:y", {"W": "W", "R": "R"}, ()),
        ("loop.body/LSTM:y", {"W": "W"}, ("R",)),
        ("loop.body/deep/If.then_branch/LSTM:y", {"W": "loop.body/deep/If.then_branch/W"}, ("R",)),
    ]
    np.testing.assert_array_equal(tensors["loop.body/deep/If.then_branch/W"].load(), W * 2)


def test_names_that_would_collide_are_told_apart(read):
    nodes = [lstm(), lstm(), *(branching(graph(initializers=constants(W=W))) for _ in range(2))]
    nodes[1].output[0] = "y2"
    nodes[0].name = nodes[1].name = "lstm"
    nodes[3].output[0] = "other"
    first = {"If_0.then_branch/W": W, "W": W, "R": R}
    tensors = read(model(*nodes, initializers=[numpy_helper.from_array(a, n) for n, a in first.items()]))
    assert [op.where for op in tensors.operators] == ["lstm", "lstm#2"]
    assert list(tensors) == ["If_0.then_branch/W", "W", "R", "If_0.then_branch/W#2", "If_0.then_branch/W#3"]


def test_an_initializer_may_be_an_inputs_default(read):
    inputs = [X, *(helper.make_tensor_value_info(name, 1, None) for name in "WR")]
    (found,) = read(model(lstm(), initializers=constants(W=W, R=R), inputs=inputs)).operators
    assert found.tensors == {"W": "W", "R": "R"}


def test_what_is_not_read_is_a_finding(write):
    foreign = lstm(name="lstm\x1b[31m")
    foreign.domain = "com.acme"
    attention = helper.make_node("AttnLSTM", ["x"], ["z"], "attention")
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "Block", ["x"], ["y"], [branching(graph(lstm()))], opsets)
    message = helper.make_model(graph(foreign, attention, inputs=[X]), functions=[function], opset_imports=opsets)
    message.training_info.add().algorithm.node.append(lstm(kind="GRU"))
    path = write("m.onnx", message.SerializeToString())
    tensors = read_tensors(path)
    assert tensors.operators == ()
    assert [str(finding) for finding in tensors.findings] == [
        "error[unread]: LSTM of the domain 'com.acme' is not read\n"
        f"  at       {path} : lstm\\x1b[31m\n"
        "  because  only LSTM, GRU, RNN of the domain ai.onnx are read",
        "error[unread]: AttnLSTM of the domain '' is not read\n"
        f"  at       {path} : attention\n"
        "  because  only LSTM, GRU, RNN of the domain ai.onnx are read",
        f"error[unread]: LSTM in the function Block, which nothing calls, is not read\n  at       {path} : LSTM:y",
        f"error[unread]: GRU in the training graphs is not read\n  at       {path} : GRU:y",
    ]


def test_hostile_names_are_names(read):
    name = "\x1b]52;c;AAAA\x07\u202e"
    tensors = read(model(lstm("x", name, name, name=name), initializers=constants(**{name: W})))
    assert list(tensors) == [name]
    assert tensors.operators[0].where == "\\x1b]52;c;AAAA\\x07\\u202e"
