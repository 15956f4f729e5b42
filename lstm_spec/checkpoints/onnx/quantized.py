"""ONNX Runtime's quantized LSTM, as `quantize_dynamic` writes it: the same inputs, then scales and zero points.

W and R are held by their shapes. Their whole numbers are no values of the layer, and are not read as such.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from lstm_spec.checkpoints.onnx.scopes import Contents
from lstm_spec.layers.tensors import Operator
from lstm_spec.phrases import counted

# ONNX Runtime's docs/ContribOperators.md: W (D, n, 4k) and R (D, k, 4k) of whole numbers, gates as columns.
QUANTIZED = ("com.microsoft", "DynamicQuantizeLSTM")
SCALES = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")


def mark_quantized(operator: Operator, contents: Contents) -> Operator:
    """Says of W and R that they are whole numbers with scales, and so are no values yet: `int8, 2 scales`."""
    scales = {role: contents.tensors[key].shape for role, key in operator.tensors.items() if role in SCALES}
    for role in ("W", "R"):
        key, count = operator.tensors.get(role), prod(scales.get(f"{role}_scale", (0,)))
        if key is not None and (tensor := contents.tensors[key]).dtype in ("int8", "uint8"):
            dtype = f"{tensor.dtype}, {counted(count, 'scale')}"
            contents.tensors[key] = replace(tensor, dtype=dtype, load=None)
    return replace(operator, declared={**operator.declared, **scales})
