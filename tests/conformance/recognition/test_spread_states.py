"""States spread over an open batch: zeros are none, others are a loss; only what x decides comes from outside."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.helper import make_node, make_tensor_value_info

import lstm_spec as ls
from tests.conformance.sets import K, N, node_attributes, node_tensors, onnx_model

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
T, B = 4, 3
X = np.random.default_rng(1).standard_normal((T, B, N)).astype("float32")
RNG = np.random.default_rng(2)
ROW, LISTED = RNG.standard_normal((1, 1, K)).astype("float32"), RNG.standard_normal((1, 9, K)).astype("float32")
ZEROS = np.zeros((1, 1, K), "float32")
SIZES = [
    make_node("Shape", ["X"], ["shape"]),
    make_node("Gather", ["shape", "one"], ["b"]),
    make_node("Concat", ["one", "b", "k"], ["sizes"], axis=0),
    make_node("Concat", ["one", "b", "one"], ["times"], axis=0),
]
NUMBERS = {"zero": [0], "one": [1], "two": [2], "k": [K], "end": [2**31]}


def fill(value):
    tensor = onnx.numpy_helper.from_array(np.array([value], "float32"))
    return [make_node("ConstantOfShape", ["sizes"], ["state"], name="fill", value=tensor)]


TILE = [make_node("Tile", ["h0", "times"], ["state"])]
EXPAND = [
    make_node("Identity", ["h0"], ["copy"]),
    make_node("Expand", ["copy", "sizes"], ["wide"]),
    make_node("Slice", ["wide", "zero", "one", "zero"], ["state"]),
]
CAST = [
    make_node("Cast", ["h0"], ["double"], to=TensorProto.DOUBLE),
    make_node("Tile", ["double", "times"], ["wide"]),
    make_node("Cast", ["wide"], ["state"], to=TensorProto.FLOAT),
]
TURN = [
    make_node("Tile", ["h0", "times"], ["wide"]),
    make_node("Squeeze", ["wide", "zero"], ["flat"]),
    make_node("Transpose", ["flat"], ["turned"], perm=[1, 0]),
    make_node("Transpose", ["turned"], ["back"], perm=[1, 0]),
    make_node("Reshape", ["back", "sizes"], ["square"]),
    make_node("Squeeze", ["square", "zero"], ["rows"]),
    make_node("Unsqueeze", ["rows", "zero"], ["state"]),
]
CUT = [make_node("Slice", ["h0", "zero", "b", "one"], ["state"])]
JOIN = [
    make_node("Sub", ["b", "one"], ["less"]),
    make_node("Concat", ["one", "less", "one"], ["others"], axis=0),
    make_node("Tile", ["h0", "others"], ["wide"]),
    make_node("Concat", ["h0", "wide"], ["state"], axis=1),
]
OF_X = [
    make_node("ReduceMax", ["X"], ["most"], axes=[0, 2], keepdims=1),
    make_node("Expand", ["most", "sizes"], ["state"]),
]
MASKED = [make_node("ReduceMax", ["X"], ["most"], keepdims=1), make_node("Mul", ["most", "h0"], ["product"])]
MASKED += [make_node("Expand", ["product", "sizes"], ["state"])]
PICKED = [
    make_node("ReduceMax", ["X"], ["most"], keepdims=0),
    make_node("Cast", ["most"], ["place"], to=TensorProto.INT64),
    make_node("Reshape", ["place", "one"], ["places"]),
    make_node("Gather", ["h0", "places"], ["picked"], axis=1),
    make_node("Tile", ["picked", "times"], ["state"]),
]


def save(folder, nodes, h0=ROW):
    """A node whose initial_h is `state`, as the nodes make it of h0 and of X."""
    tensors = {role: array for role, array in node_tensors().items() if role in "WRB"}
    extra = {name: np.array(value, "int64") for name, value in NUMBERS.items()} | {"h0": h0}
    model = onnx.load_from_string(onnx_model(tensors | {"initial_h": h0}, node_attributes(), more=extra))
    graph = model.graph
    (constant,) = [one for one in graph.initializer if one.name == "initial_h"]
    graph.initializer.remove(constant)
    (lstm,) = graph.node
    lstm.input[5] = "state"
    del graph.node[:], graph.input[:]
    graph.input.append(make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", N]))
    graph.node.extend([*SIZES, *nodes, lstm])
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def answer(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: X})[0]


def read_answer(path):
    """What is written, run by ONNX Runtime with the states that it has."""
    made = path.parent / "k.onnx"
    (layer,) = ls.convert(path, "onnx", allow="initial-state", output=str(made)).layers
    return answer(made), layer.adapted


NONE = {
    "filled with 0": (fill(0), ROW),
    "filled": ([make_node("ConstantOfShape", ["sizes"], ["state"])], ROW),
    "tiled": (TILE, ZEROS),
    "expanded": (EXPAND, ZEROS),
    "cast": (CAST, ZEROS),
    "turned": (TURN, ZEROS),
    "cut": (CUT, np.zeros((1, 9, K), "float32")),
    "joined": (JOIN, ZEROS),
    "picked": (PICKED, np.zeros((1, 9, K), "float32")),
}


@pytest.mark.parametrize("case", NONE)
def test_zeros_for_any_number_of_samples_are_no_state(tmp_path, case):
    path = save(tmp_path, *NONE[case])
    (made,) = ls.convert(path, "pytorch").layers
    assert (made.adapted.losses, made.adapted.notes) == ((), ())
    written, _ = read_answer(path)
    np.testing.assert_array_equal(written, answer(path))


EVERY, RUN = "the same for every sample", "the same in every run"
SPREAD = {
    "filled": (fill(1), ROW, f"fill, {EVERY}"),
    "tiled": (TILE, ROW, f"h0, {EVERY}"),
    "expanded": (EXPAND, ROW, f"h0, {EVERY}"),
    "cast": (CAST, ROW, f"double, {EVERY}"),
    "turned": (TURN, ROW, f"h0, {EVERY}"),
    "cut": (CUT, LISTED, f"h0, {RUN}"),
    "joined": (JOIN, ROW, f"h0, {EVERY}"),
}


@pytest.mark.parametrize("output", [None, "k.onnx"])
@pytest.mark.parametrize("case", SPREAD)
def test_a_state_for_any_number_of_samples_is_a_loss(tmp_path, case, output):
    nodes, h0, named = SPREAD[case]
    path = save(tmp_path, nodes, h0)
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(path, "onnx", output=output and str(tmp_path / output))
    words = f"initial_h ({named}): the state that the source starts from, which onnx has no place for"
    assert str(caught.value) == (
        "error[loss]: onnx cannot hold all of this layer as it is\n"
        f"  at       {path} : node\n"
        f"  because  {words}\n"
        "  help     --allow initial-state, if that is agreed"
    )
    written, adapted = read_answer(path)
    assert ([loss.words for loss in adapted.losses], adapted.notes) == ([words], ())
    assert np.abs(written - answer(path)).max() > 0.02  # what is lost


OUTSIDE = {"of x": (OF_X, ROW), "of x and a constant": (MASKED, ROW), "picked by x": (PICKED, LISTED)}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_state_of_what_the_graph_is_given_comes_from_outside(tmp_path, case):
    path = save(tmp_path, *OUTSIDE[case])
    answer(path)  # ONNX Runtime takes the graph
    (made,) = ls.convert(path, "pytorch").layers
    words = "initial_h comes from outside: what is written begins with zeros unless it is given others"
    assert (made.adapted.losses, made.adapted.notes) == ((), (words,))


def test_too_long_a_chain_is_not_followed(tmp_path):
    names = ["wide", *(f"n{i}" for i in range(300)), "state"]
    chain = [make_node("Identity", [one], [other]) for one, other in pairwise(names)]
    (made,) = ls.convert(save(tmp_path, [make_node("Tile", ["h0", "times"], ["wide"]), *chain]), "pytorch").layers
    words = "initial_h comes from outside: what is written begins with zeros unless it is given others"
    assert made.adapted.notes == (words,)


@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.parametrize("learned", [False, True])
def test_an_export_with_an_open_batch(tmp_path, learned):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(N, K)
            self.h = torch.nn.Parameter(torch.ones(1, 1, K))

        def forward(self, x):
            state = self.h.repeat(1, x.shape[1], 1)
            return self.lstm(x, (state, state) if learned else None)[0]

    path, dims = tmp_path / "m.onnx", ({1: torch.export.Dim("b")},)
    given = (torch.randn(T, 2, N),)
    torch.onnx.export(Model().eval(), given, str(path), dynamo=True, dynamic_shapes=dims, verbose=False)
    written, adapted = read_answer(path)
    off = np.abs(written[:, 0] - answer(path)).max()
    assert adapted.notes == ()
    if learned:
        (loss,) = adapted.losses
        assert loss.words.count("the same for every sample") == 2
        assert off > 0.05
    else:
        assert adapted.losses == ()
        assert off < 1e-6
