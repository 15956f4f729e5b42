"""lstm-spec's own: every parameter is a tensor of its own, `l0.W_f`, in the shape of the equations."""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

GATED: dict[str, tuple[str, object] | None] = {
    "W_{}": None,
    "U_{}": None,
    "b_{}": ("bias", "one"),
    "b_W{}": ("bias", "two"),
    "b_U{}": ("bias", "two"),
    "p_{}": ("peephole", True),
}


def _of_gate(gate: str) -> frozenset[str]:
    return frozenset(family.format(gate) for family in GATED)


NATIVE = Dialect(
    name="lstm-spec",
    title="one tensor for each parameter of the equations",
    source="this package",
    packings=(
        *(
            Packing(family.format(gate), (family.format(gate),), option=option)
            for family, option in GATED.items()
            for gate in ("ifo" if family == "p_{}" else "ifgo")
        ),
        Packing("W_proj", ("W_proj",), option=("projection", True)),
        Packing("b_proj", ("b_proj",), option=("projection_bias", True)),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*\.)?)l(?P<layer>\d{1,3})(?P<reverse>\.reverse)?\.(?P<tensor>[A-Za-z_]\w*)"
    ),
    template="l{layer}{reverse}.{tensor}",
    reversed_=".reverse",
    reverse_alone=True,
    any_equations=True,
    outside=(
        *("gate_activation", "candidate_activation", "output_activation"),
        *("clip", "clip_cell", "clip_projection", "forget_bias", "peephole_output"),
    ),
    assumed=(
        ("activations = sigmoid, tanh, tanh", ""),
        ("forget_bias = 0", "W_f"),
        ("p_i and p_f see c, p_o sees c'", "p_o"),
    ),
    missing={_of_gate("f"): ("coupled", "f=1-i"), _of_gate("i"): ("coupled", "i=1-f")},
)
