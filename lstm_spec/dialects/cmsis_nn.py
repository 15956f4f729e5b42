"""CMSIS-NN: `arm_lstm_unidirectional_s8` and `_s16`.

Source: CMSIS-NN Include/arm_nn_types.h, cmsis_nn_lstm_params: a struct for each gate, forget first. The tensors are
quantized, and f * c and i * g are rounded apart: a float model agrees within a tolerance only. Its test lstm_2
(95ea29e) is met within 0.63 of a step of the output's int8, with the halving below.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"f": "forget_gate", "i": "input_gate", "g": "cell_gate", "o": "output_gate"}

CMSIS_NN = Dialect(
    name="cmsis-nn",
    title="CMSIS-NN's unidirectional LSTM: a struct for each gate, forget, input, cell, output; one bias",
    source="CMSIS-NN Include/arm_nn_types.h, Source/LSTMFunctions, and the data of its test lstm_2 (95ea29e)",
    packings=(
        *(Packing(f"{word}.input_weights", (f"W_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"{word}.hidden_weights", (f"U_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"{word}.bias", (f"b_{g}",), option=("bias", "one")) for g, word in WORDS.items()),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:forget|input|cell|output)_gate\.(?:input_weights|hidden_weights|bias))"
    ),
    template="{tensor}",
    states_apart=True,
    assumed=(("no cell_clip", ""),),
    evidence="published",
    traps=(
        "quantized: products are rounded before the sum, so numbers agree within a tolerance only",
        "a cell of a scale finer than 2^-12 is shifted right in place before tanh, and so halved at every step or more",
    ),
)
