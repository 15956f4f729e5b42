"""MXNet: `gluon.rnn.LSTM`.

Source: mxnet/gluon/rnn/rnn_layer.py of MXNet 1.9.1: `l0_i2h_weight` forward, `r0_i2h_weight` reverse; rows i, f, c, o;
two biases; h2r_weight with projection.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

MXNET = Dialect(
    name="mxnet",
    title="MXNet's gluon.rnn.LSTM: gates i, f, c, o as rows; two biases; projection",
    source="mxnet/gluon/rnn/rnn_layer.py, MXNet 1.9.1",
    packings=(
        Packing("i2h_weight", ("W_{}",), "ifgo"),
        Packing("h2h_weight", ("U_{}",), "ifgo"),
        Packing("i2h_bias", ("b_W{}",), "ifgo", option=("bias", "two")),
        Packing("h2h_bias", ("b_U{}",), "ifgo", option=("bias", "two")),
        Packing("h2r_weight", ("W_proj",), option=("projection", True)),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[._/])?)(?:l|(?P<reverse>r))(?P<layer>\d{1,3})_(?P<tensor>[ih]2h_(?:weight|bias)|h2r_weight)"
    ),
    template="{reverse}{layer}_{tensor}",
    forward="l",
    reversed_="r",
    assumed=(("no state clip", ""),),
    evidence="cited",
    realigned=True,
    padding="zero (use_sequence_length)",
    traps=("the documentation says the forget gate's bias starts at 1; the code starts it at 0",),
)
