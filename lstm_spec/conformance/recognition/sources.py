"""Whatever people hand in → `Tensors`: a path, a dict of arrays, a live layer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.frameworks import is_known_to_numpy, not_checkable
from lstm_spec.layers.tensors import Tensor, Tensors

# the package that a live object's class comes from → the module that reads it
LIVE = {name: f"lstm_spec.frameworks.{name}" for name in ("torch", "keras", "flax")}
LIVE |= dict.fromkeys(("equinox", "mlx", "tinygrad"), "lstm_spec.frameworks.trees")
TREES = ("flax",)  # packages with mappings of their own, that are plain trees of arrays: FrozenDict, State
MOST_NESTED = 32


def open_source(source: Any) -> Tensors:
    """The tensors of a file, a dict of arrays, a live layer, or `Tensors` as they are.

    Raises FileError for a path that cannot be read, TensorError for an object that is none of these.
    """
    if isinstance(source, Tensors):
        return source
    if isinstance(source, str | os.PathLike):
        from lstm_spec.checkpoints import read_tensors
        from lstm_spec.checkpoints.listing import list_models
        from lstm_spec.conformance.recognition.choosing import read_only_model

        models = list_models(path := os.fsdecode(source))
        return read_tensors(source) if models is None else read_only_model(path, models)
    for owner in type(source).__mro__:
        package = owner.__module__.partition(".")[0]
        if package in TREES and isinstance(source, Mapping):
            break
        if package in LIVE:
            read: Tensors = import_module(LIVE[package]).read_live(source)
            return read
    if isinstance(source, Mapping):
        return _from_arrays(source)
    raise not_checkable(source)


def _from_arrays(arrays: Mapping[Any, Any]) -> Tensors:
    """Arrays by name; a torch state dict's tensors are arrays too, and a tree's (Flax, Haiku) have names like paths."""
    try:
        return Tensors("arrays", "arrays", {name: tensor_of(name, value) for name, value in _flat(arrays)})
    except TensorError as error:  # a whole checkpoint, say, with its epoch and its optimizer
        parts = [f"[{safe(repr(key), 60)}]" for key, value in arrays.items() if _holds_only_arrays(value)]
        help = f"hand over the part that holds the arrays: {' or '.join(parts)}" if parts else ""
        raise TensorError(replace(error.finding, help=help)) from None


def _holds_only_arrays(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0 and all(map(_is_array, (part for _, part in _flat(value))))


def _flat(arrays: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in arrays.items():
        if isinstance(value, Mapping) and depth < MOST_NESTED:
            yield from _flat(value, f"{prefix}{name}/", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def tensor_of(name: str, value: Any) -> Tensor:
    """An array as a tensor. Raises TensorError for what is none."""
    if not _is_array(value):
        raise TensorError(Finding("type", f"{safe(name, 60)} is no array", "", "an array", type(value).__name__))
    if hasattr(value, "is_meta"):
        from lstm_spec.frameworks import torch

        return torch.tensor_of(name, value)
    dtype = str(value.dtype)
    load = partial(np.asarray, value) if is_known_to_numpy(dtype) else None
    return Tensor(name, tuple(int(d) for d in value.shape), dtype, load)
