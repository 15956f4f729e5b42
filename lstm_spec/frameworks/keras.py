"""Keras 3: a live layer's or model's tensors, and the forward pass of `keras.layers.LSTM`.

Source of the conventions: keras/src/layers/rnn/lstm.py, Keras 3.15. `go_backwards` reads from the end and leaves its
output in that order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, MissingPackageError, TensorError
from lstm_spec.frameworks import Array, Request, named_states
from lstm_spec.layers.tensors import Operator, Tensor, Tensors

KINDS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise MissingPackageError("keras", "frameworks", f"running Keras ({error})") from None
    return keras


def read_live(layer: Any) -> Tensors:
    """The weights of a built layer or model by their paths, and an operator for each recurrent layer.

    Raises TensorError for a layer that is not built: it has no shapes yet.
    """
    if not getattr(layer, "built", True) or not layer.weights:
        raise TensorError(
            Finding("unbuilt", f"{layer.name} is not built and has no tensors", help="call it once, or layer.build((B, T, n))")
        )
    tensors = {v.path: _tensor(v) for v in layer.weights}
    return Tensors(layer.name, "keras", tensors, tuple(_operators(layer)), live=layer)


def _tensor(variable: Any) -> Tensor:
    return Tensor(variable.path, tuple(variable.shape), str(variable.dtype), lambda: np.array(_to_numpy(variable)))


def _to_numpy(variable: Any) -> Any:
    return _keras().ops.convert_to_numpy(variable)


def _operators(layer: Any) -> Iterator[Operator]:
    for part in layer._flatten_layers(include_self=True):
        kind = type(part).__name__
        if kind in KINDS:
            own = {v.name: v.path for v in part.weights}
            config = part.get_config()
            where = next(iter(own.values())).rpartition("/")[0]
            yield Operator(KINDS[kind], where, own, config)


def forward(request: Request) -> tuple[Array, dict[str, Array]]:
    """What `keras.layers.LSTM` computes from these tensors, with its own options and both outputs turned on."""
    keras = _keras()
    config = _config(request) | {"return_sequences": True, "return_state": True, "dtype": str(request.x.dtype)}
    layer = keras.layers.LSTM.from_config(config)
    x = request.x.swapaxes(0, 1)
    layer.build(x.shape)
    layer.set_weights([request.tensors[v.name] for v in layer.weights])
    prefix = request.layer.members[0].prefix
    y, h, c = layer(x, initial_state=[request.state[f"{prefix}.h"], request.state[f"{prefix}.c"]])
    arrays = [np.asarray(keras.ops.convert_to_numpy(a)) for a in (y, h, c)]
    return arrays[0].swapaxes(0, 1), named_states(request.layer, {"h": arrays[1][None], "c": arrays[2][None]})


def _config(request: Request) -> dict[str, Any]:
    if request.attributes:
        return {**request.attributes, "stateful": False, "dropout": 0.0, "recurrent_dropout": 0.0}
    k = int(request.layer.sizes["k"])
    return {"units": k, "use_bias": "bias" in request.tensors, "go_backwards": request.layer.direction == "reverse"}
