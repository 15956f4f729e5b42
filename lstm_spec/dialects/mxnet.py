"""MXNet: `gluon.rnn.LSTM`, and its cells.

Source: mxnet/gluon/rnn/rnn_layer.py of MXNet 1.9.1: `l0_i2h_weight` forward, `r0_i2h_weight` reverse; rows i, f, c, o;
two biases; h2r_weight with projection. Run in tests/frameworks/mxnet_peer.py, on a CPU.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

# lstm0_l0_i2h_weight (collect_params), 0._unfused.1.r_cell.i2h_weight (save_parameters), lstm0_i2h_weight (a cell):
# two looks ahead find the direction and the number of the layer, wherever they stand.
NAMES = re.compile(
    r"""(?s)(?P<prefix>(?:.*?[._/:])??)
    (?:(?=(?:_unfused[./]\d{1,3}[./])?(?P<reverse>r)(?:\d{1,3}_|_cell[./]))|)
    (?:(?=(?:[lr]|_unfused[./])(?P<layer>\d{1,3})[_./])|)
    (?:[lr]\d{1,3}_|_unfused[./]\d{1,3}[./](?:[lr]_cell[./])?)?
    (?P<tensor>[ih]2h_(?:weight|bias)|h2r_weight)""",
    re.VERBOSE,
)

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
    always=frozenset({"bias"}),
    pattern=NAMES,
    template="{reverse}{layer}_{tensor}",
    forward="l",
    reversed_="r",
    assumed=(("no state clip", ""),),
    realigned=True,
    padding="zero (use_sequence_length with cuDNN); on a CPU every step is computed",
    traps=(
        "the documentation says the forget gate's bias starts at 1; the code starts it at 0",
        "on a CPU use_sequence_length, state_clip_min and state_clip_max are ignored without a word",
        "save_parameters writes _unfused.0.i2h_weight for what collect_params().save calls l0_i2h_weight",
    ),
)
