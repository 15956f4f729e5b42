"""Equinox, Flax nnx, MLX and tinygrad: a live module's arrays, under the names that its own tree gives them.

None of these modules says how it uses its arrays, so there is no operator: the names decide, as in a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from lstm_spec.frameworks import Array, is_known_to_numpy, not_checkable
from lstm_spec.layers.tensors import Tensor, Tensors


def read_live(module: Any) -> Tensors:
    """The arrays of a live module by their paths, `cell.weight_ih`; values are copied when they are loaded.

    Raises TensorError for an object of these packages that holds no arrays.
    """
    package = next(owner.__module__.partition(".")[0] for owner in type(module).__mro__ if _package(owner) in LEAVES)
    tensors = {name: _tensor(name, value) for name, value in LEAVES[package](module)}
    if not tensors:
        raise not_checkable(module)
    return Tensors(type(module).__name__, package, tensors, live=module)


def _package(owner: type) -> str:
    return owner.__module__.partition(".")[0]


def _equinox(module: Any) -> Iterator[tuple[str, Any]]:
    from jax.tree_util import tree_leaves_with_path

    for path, leaf in tree_leaves_with_path(module):
        if hasattr(leaf, "shape"):
            yield ".".join(map(_key, path)), leaf


def _key(key: Any) -> str:
    """One step of a path in a tree: an attribute, a key or an index."""
    return str(next(getattr(key, kind) for kind in ("name", "key", "idx") if hasattr(key, kind)))


def _nnx(module: Any) -> Iterator[tuple[str, Any]]:
    from flax import nnx

    if not isinstance(module, nnx.Module):
        raise not_checkable(module)
    for path, variable in nnx.to_flat_state(nnx.state(module, nnx.Param)):
        yield "/".join(map(str, path)), variable[...]


def _mlx(module: Any) -> Iterator[tuple[str, Any]]:
    from mlx.utils import tree_flatten

    if not hasattr(module, "parameters"):
        raise not_checkable(module)
    leaves: Any = tree_flatten(module.parameters())
    yield from leaves


def _tinygrad(module: Any) -> Iterator[tuple[str, Any]]:
    from tinygrad.nn.state import get_state_dict

    yield from get_state_dict(module).items()


LEAVES = {"equinox": _equinox, "flax": _nnx, "mlx": _mlx, "tinygrad": _tinygrad}


def _tensor(name: str, value: Any) -> Tensor:
    dtype = str(value.dtype).rpartition(".")[2]
    dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)  # tinygrad's words
    load = partial(_values, value) if is_known_to_numpy(dtype) else None
    return Tensor(name, tuple(map(int, value.shape)), dtype, load)


def _values(value: Any) -> Array:
    return np.array(value.numpy() if hasattr(value, "numpy") else value)
