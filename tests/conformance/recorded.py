"""One recorded step of a layer, and weights in one order under the names of another."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.identification.explaining import record_step
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.conformance.recognition.sources import open_source
from tests.conformance.sets import onnx_names, torch_names


def one_step(layer, weights, b=3):
    """What our compiled code computes."""
    rng = np.random.default_rng(3)
    n, k = (int(layer.sizes[name]) for name in "nk")
    r = int(layer.sizes.get("r", k))
    x, h, c = (rng.standard_normal((b, width)) for width in (n, r, k))
    y, after = ls.compile(layer).step(x, weights.astype("float64"), {"l0.h": h, "l0.c": c})
    return {"x": x, "h": h, "c": c, "h1": y, "c1": after["l0.c"]}


def onnx_as_torch(n=3, k=4):
    """ONNX weights under PyTorch's names, and a step that ONNX Runtime computed from them."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    arrays = {name: 2 * array for name, array in onnx_names(n, k).items()}
    tensors = open_source(arrays)
    (reading,) = recognize(tensors).readings
    step = record_step("onnxruntime", reading, solve(reading, tensors).layer, tensors)
    first, second = np.split(arrays["B"][0], 2)
    renamed = (arrays["W"][0], arrays["R"][0], first, second)
    recorded = {name: getattr(step, name).astype("float32") for name in ("x", "h", "c", "h1", "c1")}
    return dict(zip(torch_names(), renamed, strict=True)), recorded
