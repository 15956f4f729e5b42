"""Constant lengths of an operator's samples, `sequence_lens`: none may be below 0, or longer than the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lstm_spec.conformance.recognition.readings import Reading, place
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors

LENGTHS = "sequence_lens"
MOST_SHOWN = 4
DTYPE = "int32"  # the only one that the operator's schema allows


def hold_lengths(reading: Reading, tensors: Tensors) -> Iterator[Finding]:
    """What is wrong with the lengths of a node, where they are a constant of the right shape."""
    operator = reading.operator
    if operator is None or LENGTHS not in operator.tensors or tensors.format != "onnx":
        return
    tensor = tensors[operator.tensors[LENGTHS]]
    at = f"{place(tensors, reading.where)} : {safe(tensor.name)}"
    if tensor.dtype != DTYPE:
        yield Finding("dtype", f"{safe(tensor.name)} holds lengths of another type", at, DTYPE, safe(tensor.dtype))
        return
    if tensor.load is None or len(tensor.shape) != 1:
        return
    declared = operator.declared.get("X", ())
    steps = declared[1 if reading.layer.layout == "batch" else 0] if len(declared) == 3 else None
    lengths = tensor.load()
    wrong = np.flatnonzero((lengths < 0) | (lengths > (np.inf if steps is None else steps)))
    if wrong.size:
        shown = ", ".join(f"{lengths[sample]} (sample {sample})" for sample in wrong[:MOST_SHOWN])
        yield Finding(
            "lengths",
            f"{safe(tensor.name)} holds lengths that no sample has",
            at,
            expected="whole numbers from 0" + ("" if steps is None else f" to T = {steps}"),
            found=shown + (f" and {wrong.size - MOST_SHOWN} more" if wrong.size > MOST_SHOWN else ""),
            because="ONNX Runtime refuses to run such a node"
            + ("" if steps is None else f"; T = {steps} is what the graph declares of X"),
            help="a sample's length counts its steps without the padding",
        )
