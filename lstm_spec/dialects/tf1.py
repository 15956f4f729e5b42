"""TensorFlow 1: `BasicLSTMCell`, `LSTMCell`, and the contrib cell with coupled gates.

Source: tf_keras/src/layers/rnn/legacy_cells.py, l. 821-829 and 1124-1151 (i, j, f, o = split(kernel · [x, h] + bias),
j the candidate; f = sigmoid(f + forget_bias); c clipped before o's peephole reads it), and
tensorflow/contrib/rnn/python/ops/rnn_cell.py of TensorFlow 1.15.5 (j, f, o; i = 1 - f; W and W_P in shards, W_0). Both
were run, the second's own file on TensorFlow 2.21.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

FORGET = "forget_bias = 1, which is not in the file"
CLIPS = (("no cell_clip, no proj_clip", ""),)
TRAPS = (
    "j is the candidate: read as i, f, g, o the forget gate and the candidate change places",
    "forget_bias = 1 is added at every step and is in no tensor",
    "the state is (c, h), and h is the projected one",
)

TF1 = Dialect(
    name="tf1",
    title="BasicLSTMCell, LSTMCell of TensorFlow 1: a kernel on [x, h], gates i, j, f, o as columns; forget_bias = 1",
    source="tf_keras/src/layers/rnn/legacy_cells.py, tf_keras 2.21",
    packings=(
        Packing("kernel", ("W_{}", "U_{}"), "igfo", transposed=True, joined=True),
        Packing("bias", ("b_{}",), "igfo", option=("bias", "one")),
        *(Packing(f"w_{g}_diag", (f"p_{g}",), option=("peephole", True)) for g in "fio"),
        Packing("projection/kernel", ("W_proj",), transposed=True, option=("projection", True)),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*?/)??)(?P<tensor>kernel|weights|bias|biases|w_[fio]_diag|projection/(?:kernel|weights)"
        r"|Linear/(?:Matrix|Bias))(?::0)?"
    ),
    template="{tensor}",
    separator="/",
    aliases={
        "weights": "kernel",
        "biases": "bias",
        "projection.weights": "projection/kernel",
        "Linear.Matrix": "kernel",
        "Linear.Bias": "bias",
    },
    claims=frozenset({"kernel", "bias"}),
    said=re.compile(r"(?s).*(basic_lstm_cell|BasicLSTMCell|(rnn|fw|bw|cell_\d+)/(lstm_cell|LSTMCell))(_\d+)?/"),
    states=("c", "h"),
    states_apart=True,
    constants={"forget_bias": 1},
    assumed=((FORGET, ""), *CLIPS, ("activation = tanh", "")),
    padding="zero (dynamic_rnn's sequence_length)",
    traps=TRAPS,
)
TF1_COUPLED = Dialect(
    name="tf1-coupled",
    title="CoupledInputForgetGateLSTMCell of TensorFlow 1: a kernel on [x, h], gates j, f, o as columns; i = 1 - f",
    source="tensorflow/contrib/rnn/python/ops/rnn_cell.py, TensorFlow 1.15.5",
    packings=(
        Packing("W_0", ("W_{}", "U_{}"), "gfo", transposed=True, joined=True),
        Packing("B", ("b_{}",), "gfo", option=("bias", "one")),
        *(Packing(f"W_{g.upper()}_diag", (f"p_{g}",), option=("peephole", True)) for g in "fo"),
        Packing("W_P_0", ("W_proj",), transposed=True, option=("projection", True)),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*/)?)(?P<tensor>W_0|B|W_[FO]_diag|W_P_0)(?::0)?"),
    template="{tensor}",
    separator="/",
    claims=frozenset({"W_0", "B"}),
    said=re.compile(r"(?s).*coupled_input_forget_gate_lstm_cell(_\d+)?/"),
    states=("c", "h"),
    states_apart=True,
    constants={"forget_bias": 1, "coupled": "i=1-f"},
    assumed=((FORGET, ""), ("no proj_clip", ""), ("activation = tanh", "")),
    padding="zero (dynamic_rnn's sequence_length)",
    traps=(
        "the gates are coupled i = 1 - f; ONNX Runtime, Burn and Greff et al. couple f = 1 - i",
        "its matrices are called W_0 and W_P_0: the first and only shards",
        *TRAPS,
    ),
)
