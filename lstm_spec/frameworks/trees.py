"""Equinox, MLX and tinygrad: a live module's arrays, under the names that its own tree gives them.

None of their LSTMs has an option beside its arrays, so an operator says only that a cell is one, that it takes one
step, and whether a class of somebody's own computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lstm_spec.frameworks import not_checkable, tell_overridden, tensor_of_array
from lstm_spec.layers.tensors import Operator, Tensor, Tensors


def read_live(module: Any) -> Tensors:
    """The arrays of a live module by their paths, `cell.weight_ih`; values are copied when they are loaded.

    Raises TensorError for an object of these packages that holds no arrays.
    """
    package = next(owner.__module__.partition(".")[0] for owner in type(module).__mro__ if _package(owner) in READERS)
    leaves, cells = READERS[package]
    tensors = {name: _tensor(name, value) for name, value in leaves(module)}
    if not tensors:
        raise not_checkable(module)
    operators = tuple(
        _operator(path, cell, known, is_step, tensors, module) for path, cell, known, is_step in cells(module)
    )
    return Tensors(type(module).__name__, package, tensors, operators, live=module)


def _package(owner: type) -> str:
    return owner.__module__.partition(".")[0]


def _operator(path: str, cell: Any, known: type, is_step: bool, tensors: dict[str, Tensor], module: Any) -> Operator:
    prefix = f"{path}." if path else ""
    own = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
    said = {"step": is_step, **tell_overridden(cell, [known], ("__call__",))}
    return Operator("LSTM", path or type(module).__name__, own, said)


Cells = Iterator[tuple[str, Any, type, bool]]  # its path, itself, the class that it is of, whether it takes one step

# ---- Equinox ----


def _equinox(module: Any) -> Iterator[tuple[str, Any]]:
    from jax.tree_util import tree_leaves_with_path

    for path, leaf in tree_leaves_with_path(module):
        if hasattr(leaf, "shape"):
            yield ".".join(map(_key, path)), leaf


def _equinox_cells(module: Any) -> Cells:
    from equinox.nn import LSTMCell
    from jax.tree_util import tree_leaves_with_path

    for path, leaf in tree_leaves_with_path(module, is_leaf=lambda part: isinstance(part, LSTMCell)):
        if isinstance(leaf, LSTMCell):
            yield ".".join(map(_key, path)), leaf, LSTMCell, True


def _key(key: Any) -> str:
    """One step of a path in a tree: an attribute, a key or an index."""
    return str(next(getattr(key, kind) for kind in ("name", "key", "idx") if hasattr(key, kind)))


# ---- MLX ----


def _mlx(module: Any) -> Iterator[tuple[str, Any]]:
    from mlx.utils import tree_flatten

    if not hasattr(module, "parameters"):
        raise not_checkable(module)
    leaves: Any = tree_flatten(module.parameters())
    yield from leaves


def _mlx_cells(module: Any) -> Cells:
    from mlx.nn.layers.recurrent import LSTM

    yield from ((path, part, LSTM, False) for path, part in module.named_modules() if isinstance(part, LSTM))


# ---- tinygrad ----


def _tinygrad(module: Any) -> Iterator[tuple[str, Any]]:
    from tinygrad.nn.state import get_state_dict

    yield from get_state_dict(module).items()


def _tinygrad_cells(module: Any) -> Cells:
    from tinygrad.nn import LSTMCell
    from tinygrad.nn.state import get_state_dict

    found: Any = get_state_dict(module, tensor_type=LSTMCell)
    yield from ((path, cell, LSTMCell, True) for path, cell in found.items())


READERS = {"equinox": (_equinox, _equinox_cells), "mlx": (_mlx, _mlx_cells), "tinygrad": (_tinygrad, _tinygrad_cells)}


def _tensor(name: str, value: Any) -> Tensor:
    dtype = str(value.dtype).rpartition(".")[2]
    dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)  # tinygrad's words
    return tensor_of_array(name, value, dtype)
