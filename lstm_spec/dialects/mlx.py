"""MLX: `mlx.nn.LSTM`.

Source: mlx/nn/layers/recurrent.py, l. 275, of MLX 0.32. Compared with the framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

MLX = Dialect(
    name="mlx",
    title="mlx.nn.LSTM: gates i, f, g, o as rows; one bias or none",
    source="mlx/nn/layers/recurrent.py, MLX 0.32",
    packings=(
        Packing("Wx", ("W_{}",), "ifgo"),
        Packing("Wh", ("U_{}",), "ifgo"),
        Packing("bias", ("b_{}",), "ifgo", option=("bias", "one")),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>Wx|Wh|bias)"),
    template="{tensor}",
    claims=frozenset({"Wx", "Wh"}),
    batch_first=True,
    states_apart=True,
    step_ranks=(),
    more_axes=True,
    traps=("it returns two sequences, all h and all c, and no state",),
)
