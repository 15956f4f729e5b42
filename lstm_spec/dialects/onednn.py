"""oneDNN: the LSTM primitive, weights in `ldigo`.

Source: oneDNN doc/primitives/rnn.md, held against oneDNN 3.2.0 and 3.13.2: gates i, f, c, o; weights_layer
(L, D, n, 4, k), weights_iter (L, D, r, 4, k), bias (L, D, 4, k), weights_peephole (L, D, 3, k) of i, f, o,
weights_projection `ldio` (L, D, k, r).
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

ONEDNN = Dialect(
    name="onednn",
    title="oneDNN's LSTM, ldigo: gates i, f, c, o on an axis of their own; one bias; peepholes; projection",
    source="oneDNN doc/primitives/rnn.md, oneDNN 3.2",
    packings=(
        Packing("weights_layer", ("W_{}",), "ifgo", transposed=True, arranged="axis", axis=1),
        Packing("weights_iter", ("U_{}",), "ifgo", transposed=True, arranged="axis", axis=1),
        Packing("bias", ("b_{}",), "ifgo", option=("bias", "one"), arranged="axis"),
        Packing("weights_peephole", ("p_{}",), "ifo", option=("peephole", True), arranged="axis"),
        Packing("weights_projection", ("W_proj",), transposed=True, option=("projection", True)),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>weights_(?:layer|iter|peephole|projection)|bias)"),
    template="{tensor}",
    claims=frozenset({"weights_layer", "weights_iter"}),
    directions="axis",
    layer_axis=True,
    realigned=True,
    traps=(
        "layers on one axis L all have the same input width; here every layer is a primitive of its own, L = 1",
        "without a bias the primitive cannot be made; a zero descriptor switches off only peepholes and the projection",
        "a GRU of oneDNN says u, r, o",
    ),
)
