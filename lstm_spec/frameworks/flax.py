"""Flax nnx: a live module's arrays by their paths, and an operator for each LSTM cell in it.

A cell says its functions; the `RNN` that runs it, and the `Bidirectional` around that, say how it runs. Source of the
conventions: flax/nnx/nn/recurrent.py, Flax 0.12: `Bidirectional` decides layout and direction, whatever its two say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.frameworks import name_function, not_checkable, tell_overridden, tensor_of_array
from lstm_spec.layers.tensors import Operator, Tensor, Tensors

Said = dict[str, Any]
CELLS = ("LSTMCell", "OptimizedLSTMCell")
FUNCTIONS = ("gate_fn", "activation_fn")


def read_live(module: Any) -> Tensors:
    """The parameters of a module by their paths, `rnn/cell/hf/kernel`; values are copied when they are loaded.

    Raises TensorError for an object of Flax that holds none, as a module of flax.linen.
    """
    from flax import linen, nnx

    if isinstance(module, linen.Module):
        raise _without_arrays(module)
    if not isinstance(module, nnx.Module):
        raise not_checkable(module)
    variables = [(_path(path), part) for path, part in nnx.iter_graph(module) if isinstance(part, nnx.Param)]
    tensors = {name: _tensor(name, variable[...]) for name, variable in variables}
    if not tensors:
        raise not_checkable(module)
    names = {id(variable): name for name, variable in variables}
    origin = type(module).__name__
    operators = tuple(_operators(module, names))
    return Tensors(origin, "flax", tensors, operators, tuple(_started(module, origin)), live=module)


def _without_arrays(module: Any) -> TensorError:
    return TensorError(
        Finding(
            "source",
            f"{safe(type(module).__name__, 60)} is a module of flax.linen, which holds no arrays itself",
            expected="its parameters",
            help='hand over variables["params"], of variables = module.init(…) or of what was trained',
        )
    )


def _path(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))


def _tensor(name: str, value: Any) -> Tensor:
    return tensor_of_array(name, value, str(value.dtype))


def _cells(module: Any) -> Iterator[tuple[str, Any]]:
    from flax import nnx

    kinds = tuple(getattr(nnx, name) for name in CELLS)
    yield from ((_path(path), part) for path, part in nnx.iter_modules(module) if isinstance(part, kinds))


def _operators(module: Any, names: Mapping[int, str]) -> Iterator[Operator]:
    from flax import nnx

    runs = _runs(module)
    for where, cell in _cells(module):
        own = {_path(path): names[id(part)] for path, part in nnx.iter_graph(cell) if isinstance(part, nnx.Param)}
        said: Said = {option: _named(getattr(cell, option)) for option in FUNCTIONS}
        said |= tell_overridden(cell, [getattr(nnx, name) for name in CELLS], ("__call__",))
        said |= {} if cell.dtype is None else {"dtype": np.dtype(cell.dtype).name}
        users = runs.get(id(cell), {})
        said |= next(iter(users.values()), {"step": True})
        if any(user != next(iter(users.values())) for user in users.values()):
            said["shared"] = ", ".join(users)
        yield Operator("LSTM", where or type(module).__name__, own, said)


def _named(function: Any) -> str:
    """The name under which JAX has a function; `module.name` of another."""
    import jax

    return name_function(function, (jax.nn, jax.numpy, jax.lax))


def _runs(module: Any) -> dict[int, dict[str, Said]]:
    """By the identity of a cell: who runs it, and how. A cell inside of another one is run with it."""
    from flax import nnx

    parts = list(nnx.iter_modules(module))
    sides: dict[int, Said] = {}
    for _, part in parts:
        if isinstance(part, nnx.Bidirectional):
            both = {"time_major": part.time_major, **_merge(part)}
            both |= tell_overridden(part, [nnx.Bidirectional], ("__call__",))
            sides[id(part.forward_rnn)] = {"go_backwards": False, **both}
            sides[id(part.backward_rnn)] = {"go_backwards": True, "keep_order": True, **both}
    runs: dict[int, dict[str, Said]] = defaultdict(dict)
    for path, part in parts:
        if isinstance(part, nnx.RNN):
            said = {"time_major": part.time_major, "go_backwards": part.reverse, "keep_order": part.keep_order}
            said |= sides.get(id(part), {}) | tell_overridden(part, [nnx.RNN], ("__call__",))
            for _, cell in _cells(part.cell):
                runs[id(cell)][_path(path) or type(part).__name__] = {"step": False, **said}
    return runs


def _merge(both: Any) -> Said:
    """How a Bidirectional makes one output of two, where it does not join them."""
    from flax import nnx

    joins = nnx.Bidirectional.merge_fn
    return {} if both.merge_fn is joins else {"merge_mode": _named(both.merge_fn)}


def _started(module: Any, origin: str) -> Iterator[Finding]:
    """A warning for a cell that starts from something else than zeros, which no layer of ours does unasked."""
    from flax import nnx

    for where, cell in _cells(module):
        if cell.carry_init is None:
            continue
        carry = cell.initialize_carry((1, cell.in_features), nnx.Rngs(0))
        if any(np.asarray(state).any() for state in carry):
            message = f"{safe(where or origin)} starts from its carry_init, and that is not zero"
            help = "pass that state where the layer runs; no state means zeros"
            yield Finding("carry", message, safe(origin), help=help, severity="warning")
