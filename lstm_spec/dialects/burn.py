"""Burn: `burn::nn::Lstm`.

Source: burn, crates/burn-nn/src/modules/rnn/lstm.rs: a gate controller for each gate, weights (in, out); two biases;
input_forget is f = 1 - i, and newer versions have no forget gate then.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"i": "input_gate", "f": "forget_gate", "o": "output_gate", "g": "cell_gate"}


def _kinds(gate: str) -> tuple[Packing, ...]:
    word = WORDS[gate]
    return (
        Packing(f"{word}.input_transform.weight", (f"W_{gate}",), transposed=True),
        Packing(f"{word}.hidden_transform.weight", (f"U_{gate}",), transposed=True),
        Packing(f"{word}.input_transform.bias", (f"b_W{gate}",), option=("bias", "two")),
        Packing(f"{word}.hidden_transform.bias", (f"b_U{gate}",), option=("bias", "two")),
    )


BURN = Dialect(
    name="burn",
    title="Burn's Lstm: a matrix for each gate, as columns; two biases; f = 1 - i without the forget gate",
    source="burn, crates/burn-nn/src/modules/rnn/lstm.rs",
    packings=tuple(packing for gate in WORDS for packing in _kinds(gate)),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:input|forget|output|cell)_gate[/.](?:input|hidden)_transform"
        r"[/.](?:weight|bias))"
    ),
    template="{tensor}",
    batch_first=True,
    states=("c", "h"),
    states_apart=True,
    missing={frozenset(p.name for p in _kinds("f")): ("coupled", "f=1-i")},
    assumed=(("activations = sigmoid, tanh, tanh", ""), ("no clip", "")),
    evidence="published",
    traps=(
        "its clip holds the cell; its ONNX importer passes it ONNX's clip, which holds the gates' sums",
        "older versions keep a forget gate that input_forget = true does not read",
    ),
)
