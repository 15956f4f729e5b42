"""Equinox: `eqx.nn.LSTMCell`.

Source: equinox/nn/_rnn.py, l. 197, of Equinox 0.13: PyTorch's names and order, with one bias. Compared with the
framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

EQUINOX = Dialect(
    name="equinox",
    title="eqx.nn.LSTMCell: gates i, f, g, o as rows; one bias or none",
    source="equinox/nn/_rnn.py, Equinox 0.13",
    packings=(
        Packing("weight_ih", ("W_{}",), "ifgo"),
        Packing("weight_hh", ("U_{}",), "ifgo"),
        Packing("bias", ("b_{}",), "ifgo", option=("bias", "one")),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>weight_ih|weight_hh|bias)"),
    template="{tensor}",
    claims=frozenset({"weight_ih", "weight_hh", "bias"}),
    states_apart=True,
    ranks=(),
    step_ranks=(1,),
    traps=(
        "it takes one sample, x (n,): a batch goes through jax.vmap",
        "its names are PyTorch's; the tensor bias tells them apart, and without biases they are the same",
    ),
)
