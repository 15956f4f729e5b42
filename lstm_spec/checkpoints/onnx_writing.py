"""A layer and its weights → the bytes of an ONNX model with one node LSTM: the same bytes for the same layer.

No clock, no name of a machine and no version goes in. What the operator cannot express is refused, not left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.onnx_node import node_attributes
from lstm_spec.errors import Finding, MissingPackageError, OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import hold_weights

Array = np.ndarray[Any, Any]

# Opset 14 is the first with `layout`; every runtime of the last years reads it.
OPSET, IR_VERSION = 14, 8
INPUTS = ("X", "W", "R", "B", "", "", "", "P")


def onnx_model(layer: Layer, weights: Mapping[str, Array], name: str = "lstm") -> bytes:
    """A model that takes X and gives Y, Y_h and Y_c, its states beginning with zeros.

    `X (T, B, n)`, `Y (T, D, B, k)`; with `layout="batch"` `X (B, T, n)`, `Y (B, T, D, k)`, which ONNX Runtime 1.31 does
    not run. Raises OptionError when the operator cannot express the layer, TensorError when the weights are not its.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "writing an ONNX file") from None
    if layer.layers > 1:
        message = f"onnx has no layer of {layer.layers} cells on each other: every one is a node of its own"
        raise OptionError(Finding("dialect", message, help="write each layer of the stack"))
    layer, held = hold_weights(layer, weights)
    attributes = node_attributes(layer)
    arrays = {tensor.name: np.ascontiguousarray(tensor.pack(held)) for tensor in ONNX.tensors(layer)}
    kind = TensorProto.FLOAT if next(iter(arrays.values())).dtype == np.float32 else TensorProto.DOUBLE
    shapes = _shapes(layer)
    inputs = [role if role in {"X", *arrays} else "" for role in INPUTS]
    node = helper.make_node("LSTM", inputs, list(shapes)[1:], name=name, **dict(sorted(attributes.items())))
    values = [helper.make_tensor_value_info(value, kind, shape) for value, shape in shapes.items()]
    constants = [_constant(numpy_helper, array, own) for own, array in arrays.items()]
    graph = helper.make_graph([node], name, values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lstm-spec")
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString(deterministic=True))


def _constant(numpy_helper: Any, array: Array, name: str) -> Any:
    return numpy_helper.from_array(array.astype(array.dtype.newbyteorder("="), copy=False), name)


def _shapes(layer: Layer) -> dict[str, tuple[Any, ...]]:
    """What goes in and out, T and B left open."""
    n, k, d = (int(size) for size in (layer.sizes["n"], layer.sizes["k"], layer.directions))
    if layer.layout == "batch":
        return {"X": ("B", "T", n), "Y": ("B", "T", d, k), "Y_h": ("B", d, k), "Y_c": ("B", d, k)}
    return {"X": ("T", "B", n), "Y": ("T", d, "B", k), "Y_h": (d, "B", k), "Y_c": (d, "B", k)}
