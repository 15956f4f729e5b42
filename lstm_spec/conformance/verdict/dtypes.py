"""The dtypes of a layer's parameters: whole numbers compute no gate, unless they are the codes of a quantized layer.

Told from what the source says of its tensors; no value is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from lstm_spec.conformance.recognition.readings import Reading, place
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors
from lstm_spec.phrases import shortened

MOST_NAMED = 4
WHOLE = re.compile(r"(?i)q?u?int(?P<bits>\d{1,3})(x\d+)?")  # int64, qint8 (PyTorch), uint4 (ONNX)
CODE_BITS = 8


def hold_parameter_dtypes(reading: Reading, tensors: Tensors) -> Iterator[Finding]:
    """An error where parameters are no floating-point numbers, a warning where they are codes without their scales.

    A quantized layer has codes of 8 bits, and may have wider whole numbers for biases. Where the source itself says
    the scales, they stand in the dtype: `int8, scale 0.025`.
    """
    kinds = {name: _kind(tensors[name].dtype) for name in reading.names.values()}
    codes = [name for name, kind in kinds.items() if kind == "code"]
    strange = ("other",) if codes else ("other", "whole")
    wrong = [name for name, kind in kinds.items() if kind in strange]
    at = place(tensors, reading.where)
    if wrong:
        message = f"{_listed(wrong)} {'hold' if len(wrong) > 1 else 'holds'} no floating-point numbers"
        because = "a gate is computed with weights of a floating-point dtype; no framework runs this layer"
        found = _dtypes(wrong, tensors)
        help = "save the weights as they were trained, in a floating-point dtype"
        yield Finding("dtype", message, at, "float32, or another floating-point dtype", found, because, help)
    elif codes:
        message = f"{_listed(codes)} {'hold' if len(codes) > 1 else 'holds'} whole numbers of 8 bits"
        because = "as those of a quantized layer, whose scales are not read here: the shapes conform, no number is held"
        found = _dtypes(codes, tensors)
        yield Finding("dtype", message, at, found=found, because=because, severity="warning")


def _kind(dtype: str) -> str:
    """`float`, `code` (8 bits or fewer), `whole`, or `other`: bool, complex, text; an unknown one passes as a float."""
    if "," in dtype:  # with its scales
        return "float"
    try:
        known = np.dtype(dtype)
    except (TypeError, ValueError):
        name, kind = dtype, {"string": "S", "complex32": "c"}.get(dtype, "f")
    else:
        name, kind = known.name, known.kind
    if whole := WHOLE.fullmatch(name):
        return "code" if int(whole["bits"]) <= CODE_BITS else "whole"
    return "other" if kind in "bcSUOMm" else "float"


def _listed(names: list[str]) -> str:
    return shortened(names, MOST_NAMED, lambda name: safe(name, 60))


def _dtypes(names: list[str], tensors: Tensors) -> str:
    return ", ".join(dict.fromkeys(safe(tensors[name].dtype, 40) for name in names))
