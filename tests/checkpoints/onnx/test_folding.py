"""Chains between a model's constants and its LSTM: folded as ONNX's own evaluator computes them, within bounds."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.onnx.foldable import RULES
from tests.checkpoints.onnx.models import R, W, X, branching, constants, graph, lstm, model

make = helper.make_node
C = {
    "m": np.arange(24, dtype="f4").reshape(4, 6),
    "v": np.arange(6, dtype="f4"),
    "q": np.arange(24, dtype="i1").reshape(4, 6),
    "scale": np.array(0.5, "f4"),
    "scales": np.linspace(0.1, 0.6, 6, dtype="f4"),
    "zero": np.array(3, "i1"),
    "i0": np.array([0]),
    "i1": np.array([1]),
    "i2": np.array([2]),
    "im1": np.array([-1]),
    "low": np.array([-(2**63) + 1]),
    "i24": np.array([2, 4]),
    "shape": np.array([2, 0, -1]),
    "order": np.array([3, 0, 2, 1]),
    "s3": np.array([3, 1, 6]),
    "t": np.array([2, 3]),
}
CASES = {
    "Slice": [make("Slice", ["m", "i1", "i2", "i1"], ["y"])],
    "Slice backwards": [make("Slice", ["m", "im1", "low", "i0", "im1"], ["y"])],
    "Slice without axes": [make("Slice", ["v", "i1", "im1"], ["y"])],
    "Concat": [make("Concat", ["m", "m"], ["y"], axis=-1)],
    "Split": [make("Split", ["m", "i24"], ["x1", "y"], axis=1)],
    "Split evenly": [make("Split", ["m"], ["x1", "y"], num_outputs=2)],
    "Unsqueeze": [make("Unsqueeze", ["m", "im1"], ["y"])],
    "Squeeze": [make("Unsqueeze", ["m", "i0"], ["u"]), make("Squeeze", ["u"], ["y"])],
    "Squeeze an axis": [make("Unsqueeze", ["m", "i1"], ["u"]), make("Squeeze", ["u", "i1"], ["y"])],
    "Transpose": [make("Transpose", ["m"], ["y"])],
    "Transpose in an order": [make("Unsqueeze", ["m", "i0"], ["u"]), make("Transpose", ["u"], ["y"], perm=[1, 0, 2])],
    "Reshape": [make("Reshape", ["m", "im1"], ["y"])],
    "Reshape keeping an axis": [make("Reshape", ["m", "shape0"], ["y"])],
    "Flatten": [make("Flatten", ["m"], ["y"], axis=0)],
    "Identity": [make("Identity", ["m"], ["y"])],
    "Cast": [make("Cast", ["m"], ["y"], to=TensorProto.DOUBLE)],
    "Gather": [make("Gather", ["m", "order"], ["y"], axis=0)],
    "Gather one": [make("Gather", ["m", "im1"], ["y"], axis=1)],
    "Shape": [make("Shape", ["m"], ["y"])],
    "Shape of an end": [make("Shape", ["m"], ["y"], start=-1)],
    "ConstantOfShape": [make("ConstantOfShape", ["t"], ["y"], value=numpy_helper.from_array(np.array([7], "i8")))],
    "ConstantOfShape without a value": [make("ConstantOfShape", ["t"], ["y"])],
    "Expand": [make("Expand", ["v", "s3"], ["y"])],
    "Tile": [make("Tile", ["m", "t"], ["y"])],
    "DequantizeLinear": [make("DequantizeLinear", ["q", "scale", "zero"], ["y"])],
    "DequantizeLinear by axis": [make("DequantizeLinear", ["q", "scales"], ["y"], axis=1)],
    "Add": [make("Add", ["m", "v"], ["y"])],
    "Sub": [make("Sub", ["v", "m"], ["y"])],
    "Mul": [make("Mul", ["m", "v"], ["y"])],
    "Div": [make("Add", ["v", "scale"], ["u"]), make("Div", ["m", "u"], ["y"])],
    "Div of integers": [make("Div", ["low", "i2"], ["y"])],
}
C["shape0"] = np.array([0, -1])


def folded(nodes, tmp_path, name="y"):
    """What our reader makes of the value, which an LSTM takes as its W."""
    data = model(*nodes, lstm("x", name, "R0"), initializers=constants(**C, R0=R))
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    tensors = read_tensors(path)
    return tensors, tensors.operators[0]


def test_every_rule_has_a_case():
    assert {case.split(" ")[0] for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES)
def test_a_rule_computes_what_onnx_computes(tmp_path, case):
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in CASES[case]]
    nodes[-1].output[-1] = "W"
    out = helper.make_tensor_value_info("W", 0, None)
    one = helper.make_graph(nodes, "g", [], [out], constants(**C))
    opsets = [helper.make_opsetid("", 19)]
    (theirs,) = ReferenceEvaluator(helper.make_model(one, opset_imports=opsets)).run(None, {})
    tensors, operator = folded(nodes, tmp_path, "W")
    tensor = tensors[operator.tensors["W"]]
    ours = tensor.load()
    assert (tensor.shape, tensor.dtype) == (theirs.shape, str(theirs.dtype))
    np.testing.assert_array_equal(ours, theirs)
    assert tensor.sources or case.startswith("Identity")


def test_older_opsets_say_axes_and_bounds_in_attributes(tmp_path):
    nodes = [
        make("Slice", ["m"], ["a"], starts=[1], ends=[3], axes=[0]),
        make("Split", ["a"], ["s1", "s2"], split=[2, 4], axis=1),
        make("Unsqueeze", ["s2"], ["u"], axes=[0, 1]),
        make("Squeeze", ["u"], ["W"], axes=[0]),
    ]
    tensors, operator = folded(nodes, tmp_path, "W")
    np.testing.assert_array_equal(tensors[operator.tensors["W"]].load(), C["m"][1:3, 2:][None])


def test_shapes_need_no_weight(tmp_path, monkeypatch):
    """A check of the shapes alone computes no chain."""
    loaded = []
    monkeypatch.setattr("lstm_spec.checkpoints.onnx.folding.Folded.__call__", lambda self: loaded.append(self))
    nodes = [make("Transpose", ["w"], ["W"], perm=[0, 2, 1])]
    data = model(*nodes, lstm(hidden_size=2), initializers=constants(w=W.transpose(0, 2, 1).copy(), R=R))
    (tmp_path / "m.onnx").write_bytes(data)
    assert ls.check(tmp_path / "m.onnx", numbers=False).ok
    assert loaded == []


def test_names_outside_are_seen_from_within(tmp_path):
    inner = graph(make("Unsqueeze", ["w", "axis"], ["W"]), lstm(), initializers=constants(R=R), name="inner")
    data = model(branching(inner), initializers=constants(w=W[0], axis=np.array([0])))
    (tmp_path / "m.onnx").write_bytes(data)
    tensors = read_tensors(tmp_path / "m.onnx")
    (operator,) = tensors.operators
    assert operator.tensors == {"W": "If_0.then_branch/W", "R": "If_0.then_branch/R"}
    assert tensors["If_0.then_branch/W"].sources == ("w", "axis")
    np.testing.assert_array_equal(tensors["If_0.then_branch/W"].load(), W)


def test_a_chain_used_twice_is_one_tensor(tmp_path):
    nodes = [make("Transpose", ["w"], ["W"], perm=[0, 2, 1]), lstm(), lstm(name="two")]
    nodes[-1].output[0] = "y2"
    (tmp_path / "m.onnx").write_bytes(model(*nodes, initializers=constants(w=W.transpose(0, 2, 1).copy(), R=R)))
    tensors = read_tensors(tmp_path / "m.onnx")
    assert [operator.tensors["W"] for operator in tensors.operators] == ["W", "W"]
    assert list(tensors) == ["w", "R", "W"]


def test_quantized_weights_are_worked_out(tmp_path):
    """`DequantizeLinear` of constants, as QDQ models have it; ours and ONNX Runtime's LSTM agree on the result."""
    rng = np.random.default_rng(0)
    quantized = {n: rng.integers(-127, 127, a.shape).astype("i1") for n, a in (("W", W), ("R", R))}
    nodes = [make("DequantizeLinear", [f"{n}_q", f"{n}_s", f"{n}_z"], [n]) for n in quantized]
    arrays = {f"{n}_q": a for n, a in quantized.items()}
    arrays |= {f"{n}_s": np.array(0.01, "f4") for n in quantized} | {f"{n}_z": np.array(2, "i1") for n in quantized}
    (tmp_path / "m.onnx").write_bytes(model(*nodes, lstm(hidden_size=2), initializers=constants(**arrays)))
    report = ls.check(tmp_path / "m.onnx")
    assert report.ok
    assert report.layers[0].agreement.difference <= 1e-6
    _, weights = ls.read(tmp_path / "m.onnx")
    np.testing.assert_array_equal(weights["l0.W_i"], ((quantized["W"][0, :2].astype("f4") - 2) * np.float32(0.01)))


def test_a_folded_initial_state_of_zeros_is_checked_or_absent(tmp_path):
    zeros = make("ConstantOfShape", ["s"], ["h0"])
    node = lstm("x", "W", "R", "", "", "h0", "c0", hidden_size=2)
    inputs = [X, helper.make_tensor_value_info("c0", 1, [1, None, 2])]
    data = model(zeros, node, initializers=constants(s=np.array([1, 5, 2]), W=W, R=R), inputs=inputs)
    (tmp_path / "m.onnx").write_bytes(data)
    tensors = read_tensors(tmp_path / "m.onnx")
    assert tensors.operators[0].absent == ("initial_c",)
    assert tensors["h0"].shape == (1, 5, 2)


def test_double_weights_have_values(tmp_path):
    """`float64` begins like `float6_e2m3fn`, and is another thing."""
    (tmp_path / "m.onnx").write_bytes(model(lstm(), initializers=constants(W=W.astype("f8"), R=R)))
    np.testing.assert_array_equal(read_tensors(tmp_path / "m.onnx")["W"].load(), W)


def bfloat16(name, array):
    return helper.make_tensor(name, onnx.TensorProto.BFLOAT16, array.shape, array.reshape(-1))


@pytest.mark.parametrize("cast", [True, False])
def test_bfloat16_weights_have_values(tmp_path, cast):
    """As float32, also behind a Cast; our LSTM and ONNX Runtime's agree on them."""
    name = "w" if cast else "W"
    initializers = [bfloat16(name, W), *(constants(R=R) if cast else [bfloat16("R", R)])]
    nodes = [make("Cast", ["w"], ["W"], to=1)] if cast else []
    (tmp_path / "m.onnx").write_bytes(model(*nodes, lstm(hidden_size=2), initializers=initializers))
    report = ls.check(tmp_path / "m.onnx")
    assert report.ok
    assert report.layers[0].agreement.difference <= 1e-6
    _, weights = ls.read(tmp_path / "m.onnx")
    np.testing.assert_array_equal(weights["l0.W_i"], W[0, :2])


@pytest.mark.parametrize(
    "node", [make("Add", ["w", "w"], ["W"]), make("DequantizeLinear", ["q", "s"], ["W"])], ids=["sum", "scale"]
)
def test_arithmetic_in_bfloat16_has_a_shape_and_no_values(tmp_path, node):
    """ONNX rounds each result to 8 bits; float32 would not."""
    initializers = [bfloat16("w", W), bfloat16("s", np.array(0.1)), *constants(R=R, q=W.astype("i1"))]
    (tmp_path / "m.onnx").write_bytes(model(node, lstm(), initializers=initializers))
    tensor = read_tensors(tmp_path / "m.onnx")["W"]
    assert (tensor.shape, tensor.dtype, tensor.load) == ((1, 8, 3), "bfloat16", None)
