"""PyTorch: a live module's tensors, and the forward pass of `torch.nn.LSTM`.

Source of the conventions: torch/nn/modules/rnn.py, PyTorch 2.13.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import numpy as np

from lstm_spec.errors import MissingPackageError
from lstm_spec.frameworks import Array, Request, is_known_to_numpy, named_states, not_checkable, stacked_states
from lstm_spec.layers.tensors import Operator, Tensor, Tensors

MOST_NESTED = 16
COUNTING = RLock()  # held while the number of threads, which is the process's, is another


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingPackageError("torch", "frameworks", "running PyTorch") from None
    return torch


def read_live(module: Any) -> Tensors:
    """The state dict of a live module, read without changing it; an operator for each LSTM that is not quantized.

    Shapes: as in the module. A tensor's values are copied when they are loaded. Raises TensorError for what is no
    module.
    """
    if not isinstance(module, _torch().nn.Module):
        raise not_checkable(module)
    tensors = {
        name: tensor_of(name, value) for key, own in module.state_dict().items() for name, value in _flat(key, own)
    }
    return Tensors(type(module).__name__, "torch", tensors, tuple(_operators(module)), live=module)


def _flat(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The tensors of an entry, under the names that they have in a file: the packed weights of a quantized LSTM are an
    object whose state holds them.
    """
    if hasattr(value, "shape"):
        yield name, value
    elif depth < MOST_NESTED and isinstance(value, _torch().ScriptObject) and hasattr(value, "__getstate__"):
        yield from _flat(f"{name}.state", value.__getstate__(), depth + 1)
    elif depth < MOST_NESTED and isinstance(value, tuple | list):
        for number, part in enumerate(value):
            yield from _flat(f"{name}.{number}", part, depth + 1)


def tensor_of(name: str, value: Any) -> Tensor:
    """One torch tensor; without values where it has none (meta), or none that NumPy knows. bfloat16 is widened."""
    dtype = str(value.dtype).removeprefix("torch.")
    readable = (dtype == "bfloat16" or is_known_to_numpy(dtype)) and not value.is_meta
    return Tensor(name, tuple(value.shape), dtype, partial(_values, value) if readable else None)


def _values(value: Any) -> Array:
    plain = value.detach().cpu()
    return np.array((plain.float() if plain.dtype == _torch().bfloat16 else plain).numpy())


def _operators(module: Any) -> Iterator[Operator]:
    torch = _torch()
    for prefix, part in module.named_modules():
        if isinstance(part, torch.nn.LSTM | torch.nn.LSTMCell):
            own = {name: f"{prefix}.{name}" if prefix else name for name, _ in part.named_parameters()}
            attributes = {"batch_first": getattr(part, "batch_first", False)}
            yield Operator("LSTM", prefix or type(part).__name__, own, attributes)


def forward(request: Request) -> tuple[Array, dict[str, Array]]:
    """What `torch.nn.LSTM` computes from these tensors; a live module is used itself, as a copy on the CPU."""
    torch = _torch()
    layer = request.layer
    module = _live_copy(request.live) if request.live is not None else _rebuilt(torch, request)
    h, c = (torch.from_numpy(stacked_states(request, name)) for name in ("h", "c"))
    x = torch.from_numpy(np.ascontiguousarray(request.x))
    with torch.no_grad(), _one_thread(torch), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        if isinstance(module, torch.nn.LSTMCell):
            y, h, c = _stepped(torch, module, x, h[0], c[0])
        else:
            y, (h, c) = module(x.transpose(0, 1) if module.batch_first else x, (h, c))
            y = y.transpose(0, 1) if module.batch_first else y
    return y.numpy(), named_states(layer, {"h": h.numpy(), "c": c.numpy()})


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """One thread for a few small steps: several wait for each other where the cores are busy with other things.

    2000 LSTMs of 4 units, on two cores that others used too: 322 s with two threads, 49 s with one.
    """
    with COUNTING:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _live_copy(live: Any) -> Any:
    from copy import deepcopy

    return deepcopy(live).cpu().eval()


def _stepped(torch: Any, cell: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
    outputs = []
    for x_t in x:
        h, c = cell(x_t, (h, c))
        outputs.append(h)
    return torch.stack(outputs), h[None], c[None]


def _rebuilt(torch: Any, request: Request) -> Any:
    """An `nn.LSTM` of the layer's sizes on these very arrays: it is made without any of its own, and only reads."""
    layer = request.layer
    sizes = {name: int(value) for name, value in layer.given}
    dtype = getattr(torch, str(request.x.dtype))
    projection = {"proj_size": sizes["r"]} if "r" in sizes else {}
    module = torch.nn.LSTM(
        sizes["n"],
        sizes["k"],
        layer.layers,
        bias=any(name.startswith("bias") for name in request.tensors),
        bidirectional=layer.direction == "both",
        dtype=dtype,
        device="meta",
        **projection,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        shared = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in request.tensors.items()}
    module.load_state_dict(shared, assign=True)
    return module.eval()
