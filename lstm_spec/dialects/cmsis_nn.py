"""CMSIS-NN: `arm_lstm_unidirectional_s8` and `_s16`.

Source: CMSIS-NN Include/arm_nn_types.h, cmsis_nn_lstm_params: a struct for each gate, forget first. The tensors are
quantized, and f * c and i * g are rounded apart: a float model agrees within a tolerance only.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"f": "forget_gate", "i": "input_gate", "g": "cell_gate", "o": "output_gate"}

CMSIS_NN = Dialect(
    name="cmsis-nn",
    title="CMSIS-NN's unidirectional LSTM: a struct for each gate, forget, input, cell, output; one bias",
    source="CMSIS-NN Include/arm_nn_types.h, Source/LSTMFunctions",
    packings=(
        *(Packing(f"{word}.input_weights", (f"W_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"{word}.hidden_weights", (f"U_{g}",)) for g, word in WORDS.items()),
        *(Packing(f"{word}.bias", (f"b_{g}",), option=("bias", "one")) for g, word in WORDS.items()),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:forget|input|cell|output)_gate\.(?:input_weights|hidden_weights|bias))"
    ),
    template="{tensor}",
    states_apart=True,
    assumed=(("no cell_clip", ""),),
    evidence="cited",
    traps=("quantized: products are rounded before the sum, so numbers agree within a tolerance only",),
)
