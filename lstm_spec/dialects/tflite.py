"""TensorFlow Lite: the operators LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM, and the LSTM of kernel type BASIC.

Source: tensorflow/lite/kernels/lstm_shared.h (the 24 input slots) and lstm_eval.cc: a matrix for each gate; i = 1 - f
where input_to_input_weights is missing; layer normalization with a gain and then the bias. BASIC:
kernels/internal/reference/lstm_cell.h: one matrix on [x, h], gates i, g, f, o as rows. Both were run in the
interpreter of TensorFlow 2.21, in float32, with every option.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"i": "input", "f": "forget", "g": "cell", "o": "output"}

TFLITE = Dialect(
    name="tflite",
    title="TFLite's sequence LSTM: a matrix for each gate; one bias; peepholes; projection; without i's i = 1 - f",
    source="tensorflow/lite/kernels/lstm_shared.h, lstm_eval.cc; run in TensorFlow 2.21's interpreter",
    packings=(
        *(Packing(f"input_to_{word}_weights", (f"W_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"recurrent_to_{word}_weights", (f"U_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"cell_to_{WORDS[g]}_weights", (f"p_{g}",), option=("peephole", True)) for g in "ifo"),
        *(Packing(f"{word}_gate_bias", (f"b_{g}",), option=("bias", "one")) for g, word in WORDS.items()),
        Packing("projection_weights", ("W_proj",), option=("projection", True)),
        Packing("projection_bias", ("b_proj",), option=("projection_bias", True)),
        *(
            Packing(f"{word}_layer_norm_coefficients", (f"s_{g}",), option=("layer_norm", "tflite"))
            for g, word in WORDS.items()
        ),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:input|recurrent|cell)_to_(?:input|forget|cell|output)_weights"
        r"|(?:input|forget|cell|output)_(?:gate_bias|layer_norm_coefficients)|projection_(?:weights|bias))"
    ),
    template="{tensor}",
    batch_first=True,
    states_apart=True,
    missing={
        frozenset({"input_to_input_weights", "recurrent_to_input_weights", "input_gate_bias"}): ("coupled", "i=1-f")
    },
    assumed=(("fused_activation = tanh", ""), ("no cell_clip, no proj_clip", "")),
    traps=(
        "a missing tensor is an option: without input_to_input_weights the gates are coupled, i = 1 - f",
        "its state lives in variable tensors and persists from one call to the next",
        "with fused_activation NONE h is o * g: its kernel writes no c into the buffer that h reads",
    ),
)
TFLITE_BASIC = Dialect(
    name="tflite-basic",
    title="TFLite's LSTM of kernel type BASIC: one matrix on [x, h], gates i, g, f, o as rows",
    source="tensorflow/lite/kernels/internal/reference/lstm_cell.h; run in TensorFlow 2.21's interpreter",
    packings=(
        Packing("weights", ("W_{}", "U_{}"), "igfo", joined=True),
        Packing("biases", ("b_{}",), "igfo", option=("bias", "one")),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>weights|biases)"),
    template="{tensor}",
    claims=frozenset(),
    states_apart=True,
    traps=("the forget gate is the third block; it adds no 1, where TensorFlow 1's cell of the same order does",),
)
