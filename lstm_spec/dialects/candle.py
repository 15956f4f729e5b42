"""candle: `candle_nn::rnn::LSTM`.

Source: candle-nn/src/rnn.rs (2a13b0f): PyTorch's names and order. A layer of Direction::Backward takes the names in
_reverse and flips nothing.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

CANDLE = Dialect(
    name="candle",
    title="candle_nn::rnn::LSTM: gates i, f, g, o as rows; two biases or none",
    source="candle-nn/src/rnn.rs, 2a13b0f",
    packings=(
        Packing("weight_ih", ("W_{}",), "ifgo"),
        Packing("weight_hh", ("U_{}",), "ifgo"),
        Packing("bias_ih", ("b_W{}",), "ifgo", option=("bias", "two")),
        Packing("bias_hh", ("b_U{}",), "ifgo", option=("bias", "two")),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*\.)?)(?P<tensor>weight_ih|weight_hh|bias_ih|bias_hh)_l(?P<layer>\d{1,3})"
        r"(?P<reverse>_reverse)?"
    ),
    template="{tensor}_l{layer}{reverse}",
    claims=frozenset(),
    batch_first=True,
    reverse_alone=True,
    evidence="published",
    realigned=False,
    traps=(
        "names and packing are PyTorch's: unasked, its files are read as pytorch",
        "a backward layer does not flip its input: the caller does",
    ),
)
