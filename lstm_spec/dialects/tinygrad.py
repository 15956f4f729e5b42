"""tinygrad: `nn.LSTMCell`.

Source: tinygrad/nn/__init__.py of tinygrad 0.14: PyTorch's names and order. Compared with the framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

TINYGRAD = Dialect(
    name="tinygrad",
    title="tinygrad.nn.LSTMCell: gates i, f, g, o as rows; two biases or none",
    source="tinygrad/nn/__init__.py, tinygrad 0.14",
    packings=(
        Packing("weight_ih", ("W_{}",), "ifgo"),
        Packing("weight_hh", ("U_{}",), "ifgo"),
        Packing("bias_ih", ("b_W{}",), "ifgo", option=("bias", "two")),
        Packing("bias_hh", ("b_U{}",), "ifgo", option=("bias", "two")),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>weight_ih|weight_hh|bias_ih|bias_hh)"),
    template="{tensor}",
    claims=frozenset(),
    states_apart=True,
    ranks=(),
    step_ranks=(2,),
    traps=("names and packing are those of PyTorch's LSTMCell: unasked, its files are read as pytorch",),
)
