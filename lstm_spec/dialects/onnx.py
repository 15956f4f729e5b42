"""ONNX: the operator LSTM.

Source: the operator's schema, onnx/defs/rnn/defs.cc (opsets 7, 14 and 22): W [D, 4k, n] and R [D, 4k, k] with rows
i, o, f, c; B [D, 8k] is the bias of W, then that of R; P [D, 3k] is i, o, f: another order than the weights'. With
input_forget = 1 ONNX Runtime computes f = 1 - i and reads nothing of f's rows (the schema only says "couple").
"""

from __future__ import annotations

import re
from dataclasses import replace

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

ONNX = Dialect(
    name="onnx",
    title="the ONNX operator LSTM: gates i, o, f, c as rows; directions on an axis; two biases or none; peepholes",
    source="onnx/defs/rnn/defs.cc, opsets 7, 14 and 22",
    packings=(
        Packing("W", ("W_{}",), "iofg"),
        Packing("R", ("U_{}",), "iofg"),
        Packing("B", ("b_W{}", "b_U{}"), "iofg", option=("bias", "two")),
        Packing("P", ("p_{}",), "iof", option=("peephole", True)),
    ),
    pattern=re.compile(r"(?s)(?P<prefix>(?:.*[./])?)(?P<tensor>[WRBP])"),
    template="{tensor}",
    directions="axis",
    dead={"f": "f = 1 - i"},
    outside=("gate_activation", "candidate_activation", "output_activation", "clip"),
    engine="onnxruntime",
    ranks=(3,),
    step_ranks=(),
    realigned=True,
    padding="zero (sequence_lens)",
    traps=(
        "the rows are i, o, f, c: read as i, f, g, o three gates change places, and every shape fits",
        "P is i, o, f: not the order of W, R and B; its o sees c'",
        "Y is (T, D, B, k): to join the directions it must be transposed, not only reshaped",
        "input_forget couples f = 1 - i in ONNX Runtime, and the rows of f are read by nobody; TensorFlow 1: i = 1 - f",
        "clip bounds the gates' sums before the activation; TensorFlow 1 and TFLite clip the stored c",
        "HardSigmoid is 0.2 z + 0.5 unless alpha says otherwise; Keras 3's is z / 6 + 0.5",
        "onnx.reference passes over clip, activations, sequence_lens and input_forget without an error",
    ),
    assumed=(("activations = Sigmoid, Tanh, Tanh", ""), ("no clip", ""), ("input_forget = 0", "")),
)

# ONNX Runtime's DynamicQuantizeLSTM (com.microsoft): the same, with W and R turned; docs/ContribOperators.md.
QUANTIZED_ONNX = replace(
    ONNX, packings=tuple(replace(packing, transposed=packing.is_matrix) for packing in ONNX.packings)
)
