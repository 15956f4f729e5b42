"""Live layers and real engines: the only room that imports torch, keras and onnxruntime, each when it is asked for.

`ENGINES` maps an engine to its module; every module has `forward(request)`, those for live layers `read_live(object)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, MissingPackageError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensor

Array = np.ndarray[Any, Any]

ENGINES = {
    "torch": "lstm_spec.frameworks.torch",
    "keras": "lstm_spec.frameworks.keras",
    "onnxruntime": "lstm_spec.frameworks.onnxruntime",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a framework is asked to compute, with the tensors as the framework itself wrote them.

    `tensors` are under the dialect's names; `x (T, B, n)` and `state`, each (B, width) under the layer's names, are
    time-major; `attributes` are an operator's own, `live` the live layer, if there is one.
    """

    layer: Layer
    tensors: Mapping[str, Array]
    x: Array
    state: Mapping[str, Array]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    live: Any = None


class Refused(Exception):
    """The engine cannot run this layer; the message says why."""


def not_checkable(value: Any) -> TensorError:
    """The error for a live object that holds no layer's tensors."""
    return TensorError(
        Finding(
            "source",
            f"{safe(type(value).__name__, 60)} is no source of tensors",
            expected="a path, a dict of arrays, or a live layer of PyTorch, Keras, Flax nnx, Equinox, MLX or tinygrad",
        )
    )


def is_known_to_numpy(dtype: str) -> bool:
    """Whether NumPy itself has a dtype of that name; bfloat16 and quantized ones it has not."""
    try:
        return np.dtype(dtype).kind in "biufc"
    except TypeError:
        return False


def tensor_of_array(name: str, value: Any, dtype: str) -> Tensor:
    """One array of a live module, whatever package it is of; a copy is made when its values are loaded."""
    load = partial(_values, value) if is_known_to_numpy(dtype) else None
    return Tensor(name, tuple(map(int, value.shape)), dtype, load)


def _values(value: Any) -> Array:
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


def name_function(function: Any, owners: Iterable[Any]) -> str:
    """The name that one of the owners has a function under; `module.name` of somebody's own, whatever it is called.

    The object decides: a function that calls itself tanh need not be one.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if any(getattr(owner, name, None) is function for owner in owners):
        return str(name)
    return f"{getattr(function, '__module__', None) or type(function).__module__}.{name}"


def tell_overridden(part: Any, known: Iterable[type], methods: Iterable[str]) -> dict[str, str]:
    """`{"overrides": "Mine.call"}` where a class of somebody's own computes in its own way; else nothing."""
    base = next(owner for owner in known if isinstance(part, owner))
    own = type(part)
    found = [method for method in methods if getattr(own, method, None) is not getattr(base, method, None)]
    return {"overrides": f"{own.__name__}.{found[0]}"} if found else {}


def installed(engine: str) -> bool:
    """Whether an engine's package is there; imports nothing."""
    return find_spec(engine) is not None


def forward(engine: str, request: Request) -> tuple[Array, dict[str, Array]]:
    """The framework's output `(T, B, D·width)` and final states, under the layer's names.

    Raises Refused where the engine cannot run the layer, whatever it says itself.
    """
    module = import_module(ENGINES[engine])
    try:
        result: tuple[Array, dict[str, Array]] = module.forward(request)
    except (Refused, MissingPackageError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise Refused(f"it fails with {type(error).__name__}: {safe(said, 160)}") from error
    return result


def stacked_states(request: Request, name: str) -> Array:
    """One state of every member, `(L·D, B, width)`, as PyTorch, cuDNN and ONNX order them."""
    return np.stack([request.state[f"{m.prefix}.{name}"] for m in request.layer.members])


def named_states(layer: Layer, stacked: Mapping[str, Array]) -> dict[str, Array]:
    """Such stacks as states under the layer's names."""
    return {f"{m.prefix}.{name}": array[i] for i, m in enumerate(layer.members) for name, array in stacked.items()}
