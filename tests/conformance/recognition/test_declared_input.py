"""What a graph declares of X must fit the tensors; what it leaves open says nothing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import lstm_spec as ls
from tests.conformance.sets import drawn, node_attributes, node_tensors, onnx_model


def declaring(shape, layout, folder):
    tensors = {name: a for name, a in node_tensors().items() if name != "sequence_lens"}
    if layout:
        tensors |= drawn({"initial_h": (2, 1, 4), "initial_c": (2, 1, 4)})
    model = onnx.load_from_string(onnx_model(tensors, node_attributes(layout=layout)))
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, shape))
    path = folder / "node.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("layout", "shape", "expected"),
    [(0, (9, 5, 7), "(T, B, n) = (T, 2, 3)"), (1, (5, 9, 7), "(B, T, n) = (2, T, 3)")],
)
def test_another_width_and_batch(layout, shape, expected, tmp_path):
    path = declaring(shape, layout, tmp_path)
    assert [str(f) for f in ls.check(path).findings] == [
        "error[input]: X is declared with another shape\n"
        f"  at       {path} : node : X\n"
        f"  expected {expected}\n"
        f"  found    {shape}\n"
        "  because  B = 2 from initial_h, initial_c, n = 3 from W"
    ]


def test_another_rank(tmp_path):
    path = declaring([None, 3], 0, tmp_path)
    assert [str(f) for f in ls.check(path).findings] == [
        "error[input]: X is declared with another shape\n"
        f"  at       {path} : node : X\n"
        "  expected (T, B, n) = (T, 2, 3)\n"
        "  found    (?, 3)"
    ]


@pytest.mark.parametrize("shape", [["T", "B", 3], [9, 2, 3], None, [None, None, None], [-1, 0, 3]], ids=str)
def test_open_sizes(shape, tmp_path):
    assert ls.check(declaring(shape, 0, tmp_path)).findings == ()


def test_without_constant_states_any_batch_will_do(tmp_path):
    tensors = {name: a for name, a in node_tensors().items() if name in "WRBP"}
    (tmp_path / "m.onnx").write_bytes(onnx_model(tensors, node_attributes()))
    assert ls.check(tmp_path / "m.onnx").ok
    tensors["W"] = np.zeros((1, 16, 5), "float32")
    (tmp_path / "m.onnx").write_bytes(onnx_model(tensors, node_attributes()))
    (finding,) = ls.check(tmp_path / "m.onnx").findings
    assert (finding.code, finding.found, finding.because) == ("input", "(?, 2, 3)", "n = 5 from W")
