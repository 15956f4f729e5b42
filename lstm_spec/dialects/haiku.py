"""Haiku: `hk.LSTM`.

Source: haiku/_src/recurrent.py, l. 339-343, of dm-haiku 0.0.17: i, g, f, o = split(Linear(4k)([x, h])), and
f = sigmoid(f + 1), which the docstring's formula leaves out. Compared with the framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

HAIKU = Dialect(
    name="haiku",
    title="hk.LSTM: one matrix on [x, h], gates i, g, f, o as columns; 1 is added to the forget gate",
    source="haiku/_src/recurrent.py, dm-haiku 0.0.17",
    packings=(
        Packing("linear/w", ("W_{}", "U_{}"), "igfo", transposed=True, joined=True),
        Packing("linear/b", ("b_{}",), "igfo", option=("bias", "one")),
    ),
    always=frozenset({"bias"}),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>linear[/.][wb])"),
    template="{tensor}",
    separator="/",
    claims=frozenset({"linear/w", "linear/b"}),
    said=re.compile(r"(?si).*lstm[^/.]*[/.]"),
    states_apart=True,
    constants={"forget_bias": 1},
    assumed=(("forget_bias = 1, which is not in the file", ""),),
    traps=(
        "1 is added to the forget gate at every step and is in no tensor",
        "Sonnet 2 packs i, f, g, o and has the 1 in the tensor, though Haiku's comment says they are the same",
    ),
)
