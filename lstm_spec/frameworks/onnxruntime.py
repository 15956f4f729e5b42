"""ONNX Runtime: the forward pass of one LSTM node, with the tensors and attributes that stood in the file.

The node is put in a model of its own, so that its file need not be run. The tensors are fed to it like x: as constants
of the model they are copied six times (a check took 7 times the size of its file, seen with 1.32). Source of the
conventions: the operator's schema; the CPU provider has float32 only and refuses layout = 1 (seen with 1.31).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_spec.errors import MissingPackageError
from lstm_spec.frameworks import Array, Refused, Request, named_states, stacked_states

DIRECTIONS = {"forward": "forward", "reverse": "reverse", "both": "bidirectional"}
OPSET, IR_VERSION = 14, 8
# Of the file's node; layout is refused, and output_sequence says nothing of the numbers.
ATTRIBUTES = (
    *("hidden_size", "direction", "clip", "input_forget"),
    *("activations", "activation_alpha", "activation_beta"),
)


def forward(request: Request) -> tuple[Array, dict[str, Array]]:
    """What ONNX Runtime computes: Y [T, D, B, k] as (T, B, D·k), and the final states.

    Raises Refused for float64 and for layout = 1.
    """
    if request.x.dtype != np.float32:
        raise Refused(f"its LSTM does not take {request.x.dtype}")
    if request.attributes.get("layout"):
        raise Refused("it does not support layout = 1")
    session = _session(_model(request))
    feeds = {
        "X": np.ascontiguousarray(request.x),
        "initial_h": stacked_states(request, "h"),
        "initial_c": stacked_states(request, "c"),
        **{name: np.ascontiguousarray(array) for name, array in request.tensors.items()},
    }
    y, h, c = session.run(None, feeds)
    steps, directions, batch, width = y.shape
    joined = y.transpose(0, 2, 1, 3).reshape(steps, batch, directions * width)
    return joined, named_states(request.layer, {"h": h, "c": c})


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackageError("onnxruntime", "onnx", "running an ONNX node") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _model(request: Request) -> bytes:
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "running an ONNX node") from None
    roles = ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"]
    present = [r if r in {*request.tensors, "X", "initial_h", "initial_c"} else "" for r in roles]
    attributes = {"hidden_size": int(request.layer.sizes["k"]), "direction": DIRECTIONS[request.layer.direction]}
    attributes |= {n: v for n, v in request.attributes.items() if n in ATTRIBUTES and v != []}
    node = helper.make_node("LSTM", present, ["Y", "Y_h", "Y_c"], **attributes)
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in filter(None, present)]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("Y", "Y_h", "Y_c")]
    graph = helper.make_graph([node], "one_lstm", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString())
