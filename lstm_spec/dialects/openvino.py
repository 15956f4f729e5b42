"""OpenVINO: the operations LSTMCell (opset 4) and LSTMSequence (opset 5).

Source: openvino/op/lstm_cell.hpp and lstm_sequence.hpp of OpenVINO 2026.4: W [D, 4k, n], R [D, 4k, k], B [D, 4k] with
rows f, i, c, o. (A comment in util/rnn_cell_base.hpp gives PyTorch another order than PyTorch has.) Both were run.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

OPENVINO = Dialect(
    name="openvino",
    title="OpenVINO's LSTMSequence: gates f, i, c, o as rows; directions on an axis; one bias",
    source="openvino/op/lstm_sequence.hpp, OpenVINO 2026.4",
    packings=(
        Packing("W", ("W_{}",), "figo"),
        Packing("R", ("U_{}",), "figo"),
        Packing("B", ("b_{}",), "figo", option=("bias", "one")),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>[WRB])"),
    template="{tensor}",
    claims=frozenset(),
    directions="axis",
    batch_first=True,
    states_axis=1,
    assumed=(("activations = sigmoid, tanh, tanh", ""), ("no clip", "")),
    realigned=True,
    padding="zero",
    traps=(
        "the forget gate stands first: read as i, f, g, o the input and the forget gate change places",
        "Y is (B, D, T, k); ONNX has (T, D, B, k)",
        "its ONNX reader drops peepholes and input_forget without an error",
    ),
)
