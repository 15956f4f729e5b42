"""MATLAB: `lstmLayer` of the Deep Learning Toolbox.

Source: its documentation, lstmLayer: InputWeights (4k, n), RecurrentWeights (4k, k), Bias (4k, 1), rows in the order
input gate, forget gate, cell candidate, output gate.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

MATLAB = Dialect(
    name="matlab",
    title="MATLAB's lstmLayer: gates i, f, g, o as rows; one bias, a column",
    source="MATLAB documentation, lstmLayer",
    packings=(
        Packing("InputWeights", ("W_{}",), "ifgo"),
        Packing("RecurrentWeights", ("U_{}",), "ifgo"),
        Packing("Bias", ("b_{}",), "ifgo", option=("bias", "one"), column=True),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>InputWeights|RecurrentWeights|Bias)"),
    template="{tensor}",
    claims=frozenset({"InputWeights", "RecurrentWeights"}),
    states_apart=True,
    assumed=(("StateActivationFunction = tanh, GateActivationFunction = sigmoid", ""),),
    evidence="cited",
    traps=("its arrays are column-major: a reader that takes them for row-major sees every matrix transposed",),
)
