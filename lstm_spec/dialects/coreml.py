"""Core ML: the operation `lstm` of its model intermediate language (MIL).

Source: coremltools/converters/mil/mil/ops/defs/iOS15/recurrent.py, coremltools 9.0: weight_ih (4k, n),
weight_hh (4k, k), bias (4k), rows i, f, o, z; peephole (3k); the second direction has names in _back. Core ML runs on a
Mac only; held in the tests, with torch 2.13.0, are what coremltools' converter writes from PyTorch's tensors (to the
bit, in MIL and in the NeuralNetwork format) and the NumPy reference of its own tests of Core ML
(mil/ops/tests/iOS14/test_recurrent.py).
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

COREML = Dialect(
    name="coreml",
    title="Core ML's MIL lstm: gates i, f, o, z as rows; one bias; peepholes",
    source="coremltools/converters/mil/mil/ops/defs/iOS15/recurrent.py, coremltools 9.0; its converter and tests",
    packings=(
        Packing("weight_ih", ("W_{}",), "ifog"),
        Packing("weight_hh", ("U_{}",), "ifog"),
        Packing("bias", ("b_{}",), "ifog", option=("bias", "one")),
        Packing("peephole", ("p_{}",), "ifo", option=("peephole", True)),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>weight_ih|weight_hh|bias|peephole)(?P<reverse>_back)?"),
    template="{tensor}{reverse}",
    reversed_="_back",
    claims=frozenset({"weight_ih", "weight_hh", "bias", "peephole"}),
    assumed=(("activations = sigmoid, tanh, tanh", ""), ("no clip", "")),
    evidence="published",
    realigned=True,
    traps=(
        "the states of two directions stand side by side, (B, 2k)",
        "its names are Equinox's with the last two gates in each other's place",
        "the flag forgetBias of the older NeuralNetwork format adds 1 in the equation",
        "clip holds the stored c, by coremltools' own tests; the text of cellClipThreshold puts it on the gates' sums",
        "where nothing is clipped, the converter writes cellClipThreshold = 500 and the builder 50000",
    ),
)
