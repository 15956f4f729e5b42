"""Kaldi nnet3: `lstmp-layer` and `fast-lstmp-layer`.

Source: egs/wsj/s5/steps/libs/nnet3/xconfig/lstm.py, and its networks run by the nnet3 of vosk 0.3.45: affine components
W_i.xr, W_f.xr, W_c.xr, W_o.xr on Append(x, r), peepholes w_i.c, w_f.c, w_o.c, the projection W_rp.m; fast: W_all, W_rp,
with rows i, f, c, o and the three peepholes as LstmNonlinearityComponent keeps them, (3, k). Without a projection they
are lstm-layer and fast-lstm-layer. Each affine component has linear parameters and a bias; `.bias` is ours.
"""

from __future__ import annotations

import re
from fractions import Fraction

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing


def _projection(name: str) -> tuple[Packing, ...]:
    return (
        Packing(name, ("W_proj",), option=("projection", True)),
        Packing(f"{name}.bias", ("b_proj",), option=("projection_bias", True)),
    )


ALWAYS = frozenset({"bias", "peephole", "projection_bias"})
ASSUMED = (("delay = -1", ""), ("decay-time = -1", ""), ("no part of the projection but the recurrent one", "W_proj"))
SHARES = {"W_proj": Fraction(1, 2)}  # xconfig: non-recurrent-projection-dim is as large as the recurrent one
TRAPS = (
    "with delay = -3, as its recipes have it, the layer is three recurrences that take turns",
    "a positive delay reads the sequence backwards",
    "decay-time scales both recurrences by 1 - |delay|/decay-time; lstmp-layer scales c before o and tanh see it",
    "lstmp-layer and fast-lstmp-layer always have a part of the projection that does not recur, of r rows by default: "
    "only the first r rows of W_rp are h; all of them read as W_proj make r too large and n too small",
    "the projection has a bias; those of PyTorch, TensorFlow 1 and oneDNN have none",
    "clipping-threshold clips the gradient, nothing in the forward pass",
)

KALDI = Dialect(
    name="kaldi",
    title="Kaldi's lstmp-layer: a matrix for each gate on [x, r]; one bias; peepholes; projection with a bias",
    source="kaldi, egs/wsj/s5/steps/libs/nnet3/xconfig/lstm.py, vosk 0.3.45",
    packings=(
        *(Packing(f"W_{w}.xr", (f"W_{g}", f"U_{g}"), joined=True) for g, w in zip("ifog", "ifoc", strict=True)),
        *(Packing(f"W_{w}.xr.bias", (f"b_{g}",), option=("bias", "one")) for g, w in zip("ifog", "ifoc", strict=True)),
        *(Packing(f"w_{g}.c", (f"p_{g}",), option=("peephole", True)) for g in "ifo"),
        *_projection("W_rp.m"),
    ),
    always=ALWAYS,
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*?[/.])??)(?P<tensor>W_[ifoc]\.xr(?:\.bias)?|w_[ifo]\.c|W_rp\.m(?:\.bias)?)"
    ),
    template="{tensor}",
    claims=frozenset({"W_i.xr", "W_f.xr", "W_o.xr", "W_c.xr"}),
    states_apart=True,
    shares=SHARES,
    assumed=ASSUMED,
    traps=TRAPS,
)
KALDI_FAST = Dialect(
    name="kaldi-fast",
    title="Kaldi's fast-lstmp-layer: one matrix on [x, r], gates i, f, c, o as rows; peepholes (3, k); projection",
    source="kaldi, egs/wsj/s5/steps/libs/nnet3/xconfig/lstm.py, vosk 0.3.45",
    packings=(
        Packing("W_all", ("W_{}", "U_{}"), "ifgo", joined=True),
        Packing("W_all.bias", ("b_{}",), "ifgo", option=("bias", "one")),
        Packing("lstm_nonlin", ("p_{}",), "ifo", option=("peephole", True), arranged="axis"),
        *_projection("W_rp"),
    ),
    always=ALWAYS,
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*?[/.])??)(?P<tensor>W_all(?:\.bias)?|lstm_nonlin|W_rp(?:\.bias)?)"),
    template="{tensor}",
    claims=frozenset({"W_all", "lstm_nonlin"}),
    states_apart=True,
    shares=SHARES,
    assumed=ASSUMED,
    traps=TRAPS,
)
