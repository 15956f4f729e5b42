"""WebNN: the operations lstm and lstmCell.

Source: the Web Neural Network API, and webmachinelearning/webnn-baseline src/lstm_cell.js (b7a6aae): weight [D, 4k, n],
recurrentWeight [D, 4k, k], bias and recurrentBias [D, 4k], rows i, o, f, g unless `layout` says ifgo; peepholeWeight
[D, 3k] is i, o, f with either layout. The baseline lets the output gate see the cell before the step.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WEBNN = Dialect(
    name="webnn",
    title="WebNN's lstm, layout iofg: gates as rows; directions on an axis; two biases; peepholes i, o, f",
    source="webmachinelearning/webnn-baseline, src/lstm_cell.js, b7a6aae",
    packings=(
        Packing("weight", ("W_{}",), "iofg"),
        Packing("recurrentWeight", ("U_{}",), "iofg"),
        Packing("bias", ("b_W{}",), "iofg", option=("bias", "two")),
        Packing("recurrentBias", ("b_U{}",), "iofg", option=("bias", "two")),
        Packing("peepholeWeight", ("p_{}",), "iof", option=("peephole", True)),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>weight|recurrentWeight|bias|recurrentBias|peepholeWeight)"
    ),
    template="{tensor}",
    claims=frozenset({"weight", "recurrentWeight"}),
    directions="axis",
    entails={"peepholeWeight": ("peephole_output", "before")},
    assumed=(("layout = iofg", ""), ("activations = sigmoid, tanh, tanh", "")),
    evidence="published",
    realigned=True,
    traps=(
        "its output gate's peephole sees the cell before the step; ONNX's sees the one after",
        "peepholeWeight is i, o, f even where the layout is ifgo",
    ),
)
