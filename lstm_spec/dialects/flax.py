"""Flax: `linen.LSTMCell` and `OptimizedLSTMCell` (one tree), `nnx.LSTMCell`, `nnx.OptimizedLSTMCell`.

Source: flax/linen/recurrent.py, l. 167-170 and 355-358, and flax/nnx/nn/recurrent.py, l. 151-186 and 343-399, of Flax
0.12: a kernel for each gate, columns are units; one bias, on the side of h. In nnx the forget gate's input kernel is
called `if_`, and the optimized cell's tree is another one, whatever its docstring says. All were run.
"""

from __future__ import annotations

import re
from functools import partial

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

VALUE = r"(?:[./](?:value|raw_value))?"  # nnx keeps a variable's array under this name


def _packings(forget: str) -> tuple[Packing, ...]:
    """A kernel for each gate on x and on h, and the bias on h."""
    words = {"i": "i", "f": forget, "g": "g", "o": "o"}
    return (
        *(Packing(f"i{words[g]}/kernel", (f"W_{g}",), transposed=True) for g in "ifgo"),
        *(Packing(f"h{g}/kernel", (f"U_{g}",), transposed=True) for g in "ifgo"),
        *(Packing(f"h{g}/bias", (f"b_{g}",), option=("bias", "one")) for g in "ifgo"),
    )


_dialect = partial(
    Dialect,
    template="{tensor}",
    separator="/",
    always=frozenset({"bias"}),
    states=("c", "h"),
    states_apart=True,
    more_axes=True,
    batch_first=True,
    assumed=(("gate_fn = sigmoid, activation_fn = tanh", ""),),
    realigned=False,
    padding="runs on: outputs behind the end are no zeros",
)
SQUARE = "the kernels on h are k×k for each gate: no shape tells one from its transpose"

FLAX = _dialect(
    name="flax",
    title="flax.linen.LSTMCell and OptimizedLSTMCell: a kernel for each gate, as columns; one bias, on h",
    source="flax/linen/recurrent.py, Flax 0.12",
    packings=_packings("f"),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:i[ifgo]|h[ifgo])[/.]kernel|h[ifgo][/.]bias)"),
    traps=(SQUARE, "the carry is (c, h)"),
)
FLAX_NNX = _dialect(
    name="flax-nnx",
    title="flax.nnx.LSTMCell: a kernel for each gate, as columns; one bias, on h; the forget gate's is called if_",
    source="flax/nnx/nn/recurrent.py, Flax 0.12",
    packings=_packings("f_"),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>(?:i[igo]|if_|h[ifgo])[/.]kernel|h[ifgo][/.]bias)" + VALUE
    ),
    claims=frozenset({"if_/kernel"}),
    traps=(SQUARE, "the carry is (c, h)"),
)
FLAX_NNX_OPTIMIZED = _dialect(
    name="flax-nnx-optimized",
    title="flax.nnx.OptimizedLSTMCell: gates i, f, g, o as columns; one bias, on h",
    source="flax/nnx/nn/recurrent.py, Flax 0.12",
    packings=(
        Packing("dense_i/kernel", ("W_{}",), "ifgo", transposed=True),
        Packing("dense_h/kernel", ("U_{}",), "ifgo", transposed=True),
        Packing("dense_h/bias", ("b_{}",), "ifgo", option=("bias", "one")),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>dense_[ih][/.]kernel|dense_h[/.]bias)" + VALUE),
    traps=("its tree is not that of nnx.LSTMCell, though its docstring says so", "the carry is (c, h)"),
)
