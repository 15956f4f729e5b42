"""Tensors of a cell of your own: under the names of its equations, `l0.W` or `W`; the sizes are solved from them."""

from __future__ import annotations

import re
from dataclasses import replace

from lstm_spec.dialects.packing import Array
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import Weights, hold_weights

OWN_NAMES = "a described layer's tensors have its equations' names; describe none to read a framework's"
NUMBERED = re.compile(r"(?s)l(\d{1,3})(\.reverse)?\..+")


def read_custom(tensors: Tensors, layer: Layer) -> tuple[Layer, Weights]:
    """The layer with its sizes solved, and its weights; stack and directions come from the names.

    Raises TensorError when a name is missing or unknown, a shape does not fit, or a value cannot be read.
    """
    matches = [m for name in tensors if (m := NUMBERED.fullmatch(name))]
    if matches:
        layers = 1 + max(int(m.group(1)) for m in matches)
        both = any(m.group(2) for m in matches) and layer.direction == "forward"
        layer = layer.with_(layers=max(layer.layers, layers), direction="both" if both else layer.direction)
    try:
        return hold_weights(layer, {name: _loaded(tensors, name) for name in tensors})
    except TensorError as error:
        if error.finding.code != "names":
            raise
        raise TensorError(replace(error.finding, help=OWN_NAMES)) from None


def _loaded(tensors: Tensors, name: str) -> Array:
    load = tensors[name].load
    if load is None:
        raise TensorError(Finding("dtype", f"the values of {safe(name)} cannot be read", found=tensors[name].dtype))
    return load()
