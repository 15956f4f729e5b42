"""Sonnet 2: `snt.LSTM` and `snt.UnrolledLSTM`.

Source: sonnet/src/recurrent.py, l. 865-889, of dm-sonnet 2.0.2: w_i (n, 4k), w_h (r, 4k), b, projection (k, r); columns
i, f, g, o. forget_bias = 1 is added to the initial value of b, not in the equation. Run with TensorFlow 2.21; a
checkpoint of TensorFlow 2 has the names of the module's attributes, `_w_i/.ATTRIBUTES/VARIABLE_VALUE`.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

SONNET = Dialect(
    name="sonnet",
    title="Sonnet 2's snt.LSTM: gates i, f, g, o as columns; one bias; projection",
    source="sonnet/src/recurrent.py, dm-sonnet 2.0.2; run with TensorFlow 2.21",
    packings=(
        Packing("w_i", ("W_{}",), "ifgo", transposed=True),
        Packing("w_h", ("U_{}",), "ifgo", transposed=True),
        Packing("b", ("b_{}",), "ifgo", option=("bias", "one")),
        Packing("projection", ("W_proj",), transposed=True, option=("projection", True)),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>_?w_i|_?w_h|b|projection)"
        r"(?::0|/\.ATTRIBUTES/VARIABLE_VALUE)?"
    ),
    template="{tensor}",
    separator="/",
    aliases={"_w_i": "w_i", "_w_h": "w_h"},
    claims=frozenset({"w_i", "w_h", "b"}),
    said=re.compile(r"(?si).*lstm[^/.]*[/.]"),
    states_apart=True,
    padding="repeats the last output (sequence_length)",
    traps=(
        "the 1 of its forget gate is in the tensor b; Haiku, its heir, adds it in the equation",
        "a checkpoint names the matrices by the module's attributes: _w_i, _w_h, but b",
    ),
)
