"""PyTorch: `torch.nn.LSTM` and `torch.nn.LSTMCell`.

Source: torch/nn/modules/rnn.py of PyTorch 2.13 (`weight_ih_l{k}`, rows i, f, g, o; `weight_hr` with proj_size; two
biases, a heritage of cuDNN); an LSTMCell's names have no `_l0`. Compared with the framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

PYTORCH = Dialect(
    name="pytorch",
    title="torch.nn.LSTM and LSTMCell: gates i, f, g, o as rows; two biases or none; projection",
    source="torch/nn/modules/rnn.py, PyTorch 2.13",
    packings=(
        Packing("weight_ih", ("W_{}",), "ifgo"),
        Packing("weight_hh", ("U_{}",), "ifgo"),
        Packing("bias_ih", ("b_W{}",), "ifgo", option=("bias", "two")),
        Packing("bias_hh", ("b_U{}",), "ifgo", option=("bias", "two")),
        Packing("weight_hr", ("W_proj",), option=("projection", True)),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)"
        r"(?:_l(?P<layer>\d{1,3})(?P<reverse>_reverse)?)?"
    ),
    template="{tensor}_l{layer}{reverse}",
    engine="torch",
    realigned=True,
    padding="zero (pad_packed_sequence); without packing the reverse direction starts in the padding",
    traps=(
        "batch_first moves the axes of x and y; h and c stay (L·D, B, width)",
        "out[-1] of a bidirectional layer holds the first step of the reverse direction; its last is in h_n",
        "with proj_size h is p wide and c k, weight_hh is (4k, p), and the next layer takes D·p",
        "there are two biases: 4k parameters more than with one, and none starts at 1",
        "dropout stands between layers, drawn anew for each element and step; Keras draws once for a sequence",
    ),
)
