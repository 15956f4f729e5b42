"""Chainer: `links.LSTM` and `StatefulPeepholeLSTM`, unit by unit; `links.NStepLSTM`, a matrix for each gate.

Source: Chainer 7.8.1, functions/rnn/lstm.py, _extract_gates (reshape (B, k, 4): a, i, f, o), links/rnn/peephole.py
(full matrices), functions/rnn/n_step_lstm.py, _lstm (w0-w3 are i, f, a, o; the docstring has w2 = o, and is wrong),
links/rnn/n_step_rnn.py (the cells of NStepBiLSTM are numbered through). Run in tests/frameworks/chainer_peer.py.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

CHAINER = Dialect(
    name="chainer",
    title="Chainer's links.LSTM: row 4j + q is gate q of unit j, q of a, i, f, o; one bias; full peepholes",
    source="chainer/functions/rnn/lstm.py, chainer/links/rnn/peephole.py, Chainer 7.8.1",
    packings=(
        Packing("upward/W", ("W_{}",), "gifo", arranged="units"),
        Packing("lateral/W", ("U_{}",), "gifo", arranged="units"),
        Packing("upward/b", ("b_{}",), "gifo", option=("bias", "one"), arranged="units"),
        *(Packing(f"peep_{g}/W", (f"P_{g}",), option=("peephole", "full")) for g in "ifo"),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*/)?)(?P<tensor>upward/[Wb]|lateral/W|peep_[ifo]/W)"),
    template="{tensor}",
    separator="/",
    claims=frozenset({"upward/W", "lateral/W"}),
    states=("c", "h"),
    states_apart=True,
    traps=(
        "the gates lie unit by unit: four rows a unit, no blocks of k rows",
        "the forget gate's bias starts at 1 in LSTM and StatelessLSTM, at 0 in StatefulPeepholeLSTM",
    ),
)
CHAINER_NSTEP = Dialect(
    name="chainer-nstep",
    title="Chainer's NStepLSTM: w0-w3 i, f, a, o on x, w4-w7 on h; two biases",
    source="chainer/functions/rnn/n_step_lstm.py, Chainer 7.8.1",
    packings=(
        *(Packing(f"w{i}", (f"W_{g}",)) for i, g in enumerate("ifgo")),
        *(Packing(f"w{i + 4}", (f"U_{g}",)) for i, g in enumerate("ifgo")),
        *(Packing(f"b{i}", (f"b_W{g}",), option=("bias", "two")) for i, g in enumerate("ifgo")),
        *(Packing(f"b{i + 4}", (f"b_U{g}",), option=("bias", "two")) for i, g in enumerate("ifgo")),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*/)?)(?P<layer>\d{1,3})/(?P<tensor>[wb][0-7])"),
    template="{layer}/{tensor}",
    separator="/",
    cells_numbered=True,
    claims=frozenset(f"{letter}{number}" for letter in "wb" for number in range(8)),
    realigned=True,
    padding="none: a list of sequences, each of its own length",
    traps=(
        "the docstring's equations say w2 is the output gate; the code and its tests have the candidate there",
        "in NStepBiLSTM child 2l is the forward, 2l + 1 the reverse direction of layer l: no stack of 2L layers",
        "two children of n = k units are one layer in both directions or two layers: nothing in the file tells",
    ),
)
