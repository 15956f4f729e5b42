"""embARC MLI: `mli_krn_lstm_cell`.

Source: embARC MLI documentation and headers of mli_krn_lstm_cell: weights_in (4, n, k), weights_out (4, k, k),
bias (4, k), gates i, g, f, o on the first axis; each gate is y = x W.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

EMBARC = Dialect(
    name="embarc-mli",
    title="embARC MLI's lstm_cell: gates i, g, f, o on the first axis, each as columns; one bias",
    source="embARC MLI, mli_krn_lstm_cell, and the floats of its user test 1 (ac2eed4)",
    packings=(
        Packing("weights_in", ("W_{}",), "igfo", transposed=True, arranged="axis"),
        Packing("weights_out", ("U_{}",), "igfo", transposed=True, arranged="axis"),
        Packing("bias", ("b_{}",), "igfo", option=("bias", "one"), arranged="axis"),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>weights_in|weights_out|bias)"),
    template="{tensor}",
    claims=frozenset({"weights_in", "weights_out"}),
    states_apart=True,
    assumed=(("output activation = tanh", ""),),
    evidence="published",
    traps=(
        "each gate is (n, k): a reader of 4k rows must transpose every gate",
        "the candidate is the second gate, the forget gate the third",
        "it has no batch: x is (T, n)",
    ),
)
