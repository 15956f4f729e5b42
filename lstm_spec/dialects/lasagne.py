"""Lasagne: `LSTMLayer`.

Source: lasagne/layers/recurrent.py of Lasagne 0.1: a matrix for each gate, columns are units; peepholes unless they are
turned off. Release 0.1 adds the peephole of the output gate after the sigmoid, which its master branch mended: the
table is as that is. Run in tests/frameworks/lasagne_peer.py with 0.1, which differs there and nowhere else.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

WORDS = {"i": "ingate", "f": "forgetgate", "g": "cell", "o": "outgate"}

LASAGNE = Dialect(
    name="lasagne",
    title="Lasagne's LSTMLayer: a matrix for each gate, as columns; one bias; peepholes",
    source="lasagne/layers/recurrent.py, Lasagne 0.1; the peephole of o as in its master branch",
    packings=(
        *(Packing(f"W_in_to_{word}", (f"W_{g}",), transposed=True) for g, word in WORDS.items()),
        *(Packing(f"W_hid_to_{word}", (f"U_{g}",), transposed=True) for g, word in WORDS.items()),
        *(Packing(f"W_cell_to_{WORDS[g]}", (f"p_{g}",), option=("peephole", True)) for g in "ifo"),
        *(Packing(f"b_{word}", (f"b_{g}",), option=("bias", "one")) for g, word in WORDS.items()),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:W_(?:in|hid|cell)_to|b)_(?:ingate|forgetgate|cell|outgate)"
        r"|(?:hid|cell)_init)"
    ),
    template="{tensor}",
    batch_first=True,
    states_apart=True,
    initial=frozenset({"hid_init", "cell_init"}),
    assumed=(
        ("nonlinearities = sigmoid, tanh, tanh", ""),
        ("backwards = False", ""),
        ("the peephole of o = inside its sigmoid (release 0.1: behind it)", "p_o"),
    ),
    realigned=True,
    padding="repeats the last output; backwards the state it starts from",
    traps=(
        "release 0.1 adds the output gate's peephole after its sigmoid, so that o may exceed 1",
        "peepholes are on unless peepholes=False",
        "hid_init and cell_init, the state it starts from, are parameters too, trained with learn_init=True",
    ),
)
