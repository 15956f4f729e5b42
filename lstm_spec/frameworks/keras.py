"""Keras 3: a live layer's or model's tensors, and the forward pass of `keras.layers.LSTM`.

Source of the conventions: keras/src/layers/rnn/lstm.py, Keras 3.15. `go_backwards` reads from the end and leaves its
output in that order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from lstm_spec.dialects.keras_activations import HARD_SIGMOIDS, function_of
from lstm_spec.errors import Finding, MissingPackageError, TensorError, safe
from lstm_spec.frameworks import (
    Array,
    Refused,
    Request,
    is_known_to_numpy,
    name_function,
    named_states,
    not_checkable,
    tell_overridden,
)
from lstm_spec.layers.tensors import Operator, Tensor, Tensors

# A layer stands before its cell: it says more.
KINDS = {"LSTM": "LSTM", "LSTMCell": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
OPTIONS = ("units", "use_bias", "go_backwards", "return_sequences")
FUNCTIONS = ("activation", "recurrent_activation")
HALVES = ("float16", "bfloat16")
METHODS = ("__call__", "call", "inner_loop")  # what computes
# Keras 3.15: sigmoid and tanh of float64 come back rounded (3e-8), on JAX even with JAX_ENABLE_X64.
SINGLE = ("numpy", "jax")


def _keras() -> Any:
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name == "keras":
            raise MissingPackageError("keras", "frameworks", "running Keras") from None
        raise Refused(f"its backend {safe(error.name)} is not installed; KERAS_BACKEND names another") from None
    return keras


def read_live(layer: Any) -> Tensors:
    """The weights of a built layer or model by their paths, and an operator for each recurrent layer.

    Raises TensorError for what is no layer, and for one that is not built: it has no shapes yet.
    """
    if not isinstance(layer, _keras().layers.Layer):
        raise not_checkable(layer)
    if not layer.built or not layer.weights:
        found = Finding(
            "unbuilt",
            f"{safe(layer.name)} is not built and has no tensors",
            help="call it once, or layer.build((B, T, n))",
        )
        raise TensorError(found)
    tensors = {v.path: _tensor(v) for v in layer.weights}
    return Tensors(layer.name, "keras", tensors, tuple(_operators(layer)), tuple(_stateful(layer)), live=layer)


def _tensor(variable: Any) -> Tensor:
    dtype = str(variable.dtype)
    load = partial(_values, variable) if is_known_to_numpy(dtype) else None
    return Tensor(variable.path, tuple(variable.shape), dtype, load)


def _values(variable: Any) -> Array:
    return np.array(_to_numpy(variable.value))


def _to_numpy(value: Any) -> Array:
    """A backend's tensor as an array; torch is asked itself, for NumPy 2.4 deprecates the way Keras 3.15 takes."""
    if hasattr(value, "detach"):
        return np.asarray(value.detach().cpu().numpy())
    return np.asarray(_keras().ops.convert_to_numpy(value))


def _operators(layer: Any) -> Iterator[Operator]:
    kinds = {getattr(_keras().layers, name): kind for name, kind in KINDS.items()}
    around = _around(layer)
    for part in layer._flatten_layers(include_self=True):
        known = next((known for known in kinds if isinstance(part, known)), None)
        if known and part.weights:
            own = {v.name: v.path for v in part.weights}
            where = next(iter(own.values())).rpartition("/")[0]
            yield Operator(kinds[known], where, own, _said(part, known) | around.get(id(part), {}))


def _said(part: Any, known: type) -> dict[str, Any]:
    """What a layer or a cell says of itself, asked of the object: a configuration knows functions by name only."""
    keras = _keras()
    said = {option: getattr(part, option) for option in OPTIONS if hasattr(part, option)}
    owners = (keras.activations, keras.ops)
    said |= {o: name_function(getattr(part, o), owners) for o in FUNCTIONS if hasattr(part, o)}
    cell = getattr(part, "cell", None)
    if isinstance(cell, keras.layers.LSTMCell):
        said |= tell_overridden(cell, [keras.layers.LSTMCell], METHODS)
    is_cell = known is keras.layers.LSTMCell
    said |= _rounding(part)
    return said | tell_overridden(part, [known], METHODS) | {"step": is_cell, "keras_version": keras.__version__}


def _rounding(part: Any) -> dict[str, str]:
    """The half floats that a layer computes in, whatever its variables are: the policy mixed_float16 says it."""
    dtype = str(part.compute_dtype)
    return {"compute_dtype": dtype} if dtype in HALVES else {}


def _around(layer: Any) -> dict[int, dict[str, Any]]:
    """By the identity of a layer or a cell: what the layers around it say, an RNN of cells or a Bidirectional.

    Of cells on each other the first takes the sequence from its end, and the last gives only the last step.
    """
    layers = _keras().layers
    whole = tuple(getattr(layers, name) for name in KINDS)  # each with a cell that it says all about
    around: dict[int, dict[str, Any]] = defaultdict(dict)
    for part in layer._flatten_layers(include_self=True):
        if isinstance(part, layers.Bidirectional):
            said = {"half_of": str(part.path or part.name)} | _rounding(part)
            said |= {} if part.merge_mode == "concat" else {"merge_mode": str(part.merge_mode or "none")}
            said |= tell_overridden(part, [layers.Bidirectional], METHODS)
            for half, side in (("forward", part.forward_layer), ("backward", part.backward_layer)):
                for inside in side._flatten_layers(include_self=True):
                    around[id(inside)] |= said | {"half": half}
        elif isinstance(part, layers.RNN) and not isinstance(part, whole):
            cells = getattr(part.cell, "cells", [part.cell])
            for cell in cells:
                around[id(cell)] |= {"step": False, "go_backwards": False, "return_sequences": True}
                around[id(cell)] |= tell_overridden(part, [layers.RNN], METHODS) | _rounding(part)
            around[id(cells[0])]["go_backwards"] = part.go_backwards
            around[id(cells[-1])]["return_sequences"] = part.return_sequences
    return around


def _stateful(layer: Any) -> Iterator[Finding]:
    """A warning for a layer that goes on from the states of its last call, which no layer of ours does unasked."""
    for part in layer._flatten_layers(include_self=True):
        held = getattr(part, "states", None) if getattr(part, "stateful", False) else None
        if any(_values(state).any() for state in _leaves(held)):
            message = f"{safe(part.name, 60)} is stateful, and holds the states of its last call"
            help = "reset_state() forgets them; or pass them where the layer runs, no state means zeros"
            yield Finding("stateful", message, safe(layer.name), help=help, severity="warning")


def _leaves(states: Any) -> list[Any]:
    return [] if states is None else _keras().tree.flatten(states)


def forward(request: Request) -> tuple[Array, dict[str, Array]]:
    """What `keras.layers.LSTM` computes from these tensors, with its own options and both outputs turned on.

    Raises Refused for float64 on a backend that has none, or when the backend is not installed.
    """
    keras = _keras()
    backend = keras.backend.backend()
    if request.x.dtype == np.float64 and backend in SINGLE:
        raise Refused(f"its {backend} backend computes float64 layers in float32")
    config = _config(request) | {"return_sequences": True, "return_state": True, "dtype": str(request.x.dtype)}
    layer = keras.layers.LSTM(**config)
    x = request.x.swapaxes(0, 1)
    layer.build(x.shape)
    layer.set_weights([request.tensors[v.name] for v in layer.weights])
    prefix = request.layer.members[0].prefix
    # As tensors: Keras would round a float64 array to its default float32 on the way.
    given = (x, request.state[f"{prefix}.h"], request.state[f"{prefix}.c"])
    sequence, *state = (keras.ops.convert_to_tensor(a, dtype=str(a.dtype)) for a in given)
    y, h, c = layer(sequence, initial_state=state)
    arrays = [_to_numpy(value) for value in (y, h, c)]
    return arrays[0].swapaxes(0, 1), named_states(request.layer, {"h": arrays[1][None], "c": arrays[2][None]})


def _config(request: Request) -> dict[str, Any]:
    """What the layer is made of: never a stranger's configuration, which could name code, only these options of it."""
    k = int(request.layer.sizes["k"])
    config: dict[str, Any] = {"units": k, "use_bias": "bias" in request.tensors}
    config["go_backwards"] = request.layer.direction == "reverse"
    # They are replaced: drawing an orthogonal matrix of k = 4000 takes half a minute, and three times its size.
    config |= dict.fromkeys(("kernel_initializer", "recurrent_initializer", "bias_initializer"), "zeros")
    return config | {
        option: _activation(request.attributes[option], str(request.attributes.get("keras_version", "")))
        for option in ("activation", "recurrent_activation")
        if option in request.attributes
    }


def _activation(name: Any, version: str) -> Any:
    """A function of Keras 3, or the one that an older Keras has under the same name."""
    function = function_of(name, version) if isinstance(name, str) else None
    if function is None:
        raise Refused(f"its activation {safe(name, 60)} is none that is run here")
    if function == HARD_SIGMOIDS["old"]:
        return lambda z: _keras().ops.clip(0.2 * z + 0.5, 0, 1)
    return getattr(_keras().activations, name)
