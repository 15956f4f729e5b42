"""ONNX Runtime's quantized LSTM, and states of another size than the layer's: what is held is the shapes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import lstm_spec as ls
from tests.checkpoints.onnx.written_out import K, N, info, make


def quantized(tmp_path, directions=1, scales=None, **shapes):
    """A DynamicQuantizeLSTM, as ONNX Runtime's quantize_dynamic writes it."""
    d, rng = directions, np.random.default_rng(0)
    weights = {"W": (d, N, 4 * K), "R": (d, K, 4 * K)} | shapes
    constants = {name: rng.integers(-127, 127, shape).astype("i1") for name, shape in weights.items()}
    scales = scales or (d,)
    for name in "WR":
        constants |= {f"{name}s": np.full(scales, 0.01, "f4"), f"{name}z": np.zeros(scales, "i1")}
    constants["B"] = rng.standard_normal((d, 8 * K)).astype("f4")
    names = ["x", "W", "R", "B", "", "", "", "", "Ws", "Wz", "Rs", "Rz"]
    direction = "bidirectional" if d == 2 else "forward"
    node = make("DynamicQuantizeLSTM", names, ["y"], "/q", domain="com.microsoft", hidden_size=K, direction=direction)
    initializers = [numpy_helper.from_array(a, name) for name, a in constants.items()]
    graph = helper.make_graph([node], "g", [info("x", "T", "B", N)], [info("y", "T", d, "B", K)], initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "q.onnx")
    return tmp_path / "q.onnx"


@pytest.mark.parametrize(("directions", "scales"), [(1, (1,)), (2, (2,)), (2, (2, 4 * K))])
def test_a_quantized_lstm_is_read_by_its_shapes(tmp_path, directions, scales):
    """ONNX Runtime runs the model; its whole numbers are no values of ours."""
    path = quantized(tmp_path, directions, scales)
    (y,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {"x": np.zeros((5, 2, N), "f4")}
    )
    assert y.shape == (5, directions, 2, K)
    report = ls.check(path)
    assert report.ok
    (found,) = report.layers
    ways = "bidirectional" if directions == 2 else "forward"
    count = int(np.prod(scales))
    assert found.summary == f"n = 3, k = 4, {ways}, two biases"
    assert found.dtype == f"int8, {count} scale{'s' * (count > 1)}, float32"
    assert "the values of W (int8," in found.agreement.reason
    with pytest.raises(ls.LstmSpecError, match=r"the values of W \(int8, .*\) cannot be read"):
        ls.read(path)


@pytest.mark.parametrize(("shapes", "told"), [({"R": (1, K, 3 * K)}, "R"), ({"W": (1, 4 * K, N)}, "W")])
def test_a_quantized_lstm_of_another_shape(tmp_path, shapes, told):
    report = ls.check(quantized(tmp_path, **shapes))
    assert next((f.code, f.message) for f in report.findings if told in f.message) == (
        "shape",
        f"{told} does not fit",
    )


def test_scales_of_another_shape(tmp_path):
    (finding,) = ls.check(quantized(tmp_path, scales=(1, 3 * K))).findings[:1]
    assert (finding.code, finding.expected) == ("shape", "(1, 4*k) = (1, 16)")


def test_a_state_that_is_declared_with_other_units(tmp_path):
    """As PyTorch's exporter writes an LSTM with a projection, which the operator does not have."""
    weights = {"W": np.zeros((1, 8, N), "f4"), "R": np.zeros((1, 8, 2), "f4")}
    node = make("LSTM", ["x", "W", "R", "", "", "h0", "c0"], ["y"], "/lstm", hidden_size=2)
    inputs = [info("x", "T", "B", N), info("h0", 1, "B", 2), info("c0", 1, "B", 4)]
    initializers = [numpy_helper.from_array(a, name) for name, a in weights.items()]
    graph = helper.make_graph([node], "g", inputs, [info("y", "T", 1, "B", 2)], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    (finding,) = ls.check(tmp_path / "m.onnx").findings
    assert str(finding).splitlines()[0] == "error[input]: initial_c is declared with another shape"
    assert (finding.expected, finding.found) == ("(D, B, k) = (1, B, 2)", "(1, ?, 4)")
