"""A network → weights drawn for it, as its layers and PyTorch's `Linear` draw theirs."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_spec.errors import Finding, SizeError, TensorError, safe
from lstm_spec.layers.network import Network
from lstm_spec.layers.placing import Placed
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.weights import FLOATS, Array, Weights


def draw_network(network: Network, seed: int, dtype: Any) -> Weights:
    """Weights as `Network.random` says; a member's do not change when another is added behind it."""
    is_open = [n for n in network.open_letters if any(n in map(str, s.free_symbols) for s in _sizes(network))]
    if is_open:
        names = ", ".join(is_open)
        help = "network.at(n=5, k=10).random(0)"
        raise SizeError(Finding("size", f"{names} must be numbers to draw weights", help=help))
    if dtype not in FLOATS:
        found = safe(dtype, 40)
        raise TensorError(Finding("dtype", "weights are drawn as floats", expected="float32, or float64", found=found))
    drawn: dict[str, Array] = {}
    for index, placed in enumerate(network.members):
        if placed.owner == placed.name:
            generator = np.random.default_rng([seed, index])
            drawn |= {f"{placed.name}.{name}": array for name, array in _draw(placed, generator, dtype).items()}
    return Weights(drawn)


def _draw(placed: Placed, generator: np.random.Generator, dtype: Any) -> dict[str, Array]:
    if isinstance(placed.module, Recurrent):
        seed = int(generator.integers(2**32))
        return dict(placed.module.sized(placed.takes).random(seed, dtype))
    shapes = {name: tuple(map(int, shape)) for name, shape in placed.module.parameters(placed.takes).items()}
    bound = max((shape[-1] for shape in shapes.values() if len(shape) == 2), default=1) ** -0.5
    return {name: generator.uniform(-bound, bound, shape).astype(dtype) for name, shape in shapes.items()}


def _sizes(network: Network) -> list[Any]:
    return [size for shape in network.parameter_shapes().values() for size in shape]
