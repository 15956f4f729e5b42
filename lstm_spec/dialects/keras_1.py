"""Keras 1: a matrix for each gate, `lstm_1_W_i`, and the candidate called c.

Source: keras/layers/recurrent.py of Keras 1.2.2, `LSTM.build` (W_i n×k, U_i k×k, b_i; gates i, c, f, o in the order of
the weights) and `step` (f = inner_activation(x_f + h U_f), inner_activation = hard_sigmoid, 0.2 z + 0.5). Run on
Theano-PyMC 1.1.2, with the files that it writes.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

GATES = {"i": "i", "c": "g", "f": "f", "o": "o"}

SAID = {"b": ("bias", "one")}

KERAS_1 = Dialect(
    name="keras-1",
    title="the LSTM of Keras 1: a matrix for each gate, with the gates as columns; one bias",
    source="keras/layers/recurrent.py, Keras 1.2.2; run on Theano-PyMC 1.1.2",
    packings=tuple(
        Packing(f"{family}_{theirs}", (f"{family}_{ours}",), transposed=True, option=SAID.get(family))
        for family in "WUb"
        for theirs, ours in GATES.items()
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*/)?[^/]*_)(?P<tensor>[WUb]_[icfo])(?::0)?"),
    template="{tensor}",
    separator="_",
    batch_first=True,
    states_apart=True,
    ranks=(3,),
    step_ranks=(2,),
    realigned=False,
    plain={"gate_activation": "hard_sigmoid(1/5, 1/2)"},
    outside=("gate_activation", "candidate_activation", "output_activation"),
    together=("candidate_activation", "output_activation"),
    padding="repeats the last output",
    traps=(
        "hard_sigmoid is 0.2 z + 1/2 here; Keras 3 calls z / 6 + 1/2 so",
        "with consume_less = gpu it has one W, U and b, gates i, f, c, o as columns: no dialect reads those names",
    ),
    assumed=(
        ("activation = tanh", ""),
        ("recurrent_activation = hard_sigmoid(1/5, 1/2)", ""),
        ("go_backwards = False", ""),
    ),
)
