"""lstm-spec's own: every parameter is a tensor of its own, `l0.W_f`, in the shape of the equations."""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect, Packing

GATED: dict[str, tuple[str, object] | None] = {
    "W_{}": None,
    "U_{}": None,
    "b_{}": ("bias", "one"),
    "b_W{}": ("bias", "two"),
    "b_U{}": ("bias", "two"),
    "p_{}": ("peephole", True),
}

NATIVE = Dialect(
    name="lstm-spec",
    title="one tensor for each parameter of the equations",
    source="this package",
    packings=(
        *(
            Packing(family.format(gate), (family.format(gate),), option=option)
            for family, option in GATED.items()
            for gate in "ifgo"
        ),
        Packing("W_proj", ("W_proj",), option=("projection", True)),
    ),
    pattern=re.compile(r"(?P<prefix>(?:.*\.)?)l(?P<layer>\d{1,3})(?P<reverse>\.reverse)?\.(?P<tensor>[A-Za-z_]\w*)"),
    template="l{layer}{reverse}.{tensor}",
    reversed_=".reverse",
    missing={"W_f": ("coupled", "f=1-i"), "W_i": ("coupled", "i=1-f")},
)
