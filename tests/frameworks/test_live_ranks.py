"""Which ranks a live layer takes: `check` accepts and refuses what the framework's own layer does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("DEV", "PYTHON")  # tinygrad: no compiler is needed

import lstm_spec as ls
from tests.frameworks.live import K, N

Called = Callable[[np.ndarray, Any, Any], Any]


def torch_layer(**options: Any) -> tuple[Any, Called]:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.LSTM(N, K, **options)
    return layer, lambda x, h, c: layer(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))


def torch_cell() -> tuple[Any, Called]:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    cell = torch.nn.LSTMCell(N, K)
    return cell, lambda x, h, c: cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))


def keras_layer() -> tuple[Any, Called]:
    keras = pytest.importorskip("keras", reason="keras is not installed")
    layer = keras.layers.LSTM(K)
    layer.build((None, None, N))
    return layer, lambda x, h, c: layer(x, initial_state=[keras.ops.convert_to_tensor(s) for s in (h, c)])


def keras_cell() -> tuple[Any, Called]:
    keras = pytest.importorskip("keras", reason="keras is not installed")
    cell = keras.layers.LSTMCell(K)
    cell.build((None, N))
    return cell, lambda x, h, c: cell(*(keras.ops.convert_to_tensor(a) for a in (x,)), [h, c])


def equinox_cell() -> tuple[Any, Called]:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    cell = eqx.nn.LSTMCell(N, K, key=jax.random.key(0))
    return cell, lambda x, h, c: cell(x, (h, c))


def nnx_cell() -> tuple[Any, Called]:
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    cell = nnx.LSTMCell(N, K, rngs=nnx.Rngs(0))
    return cell, lambda x, h, c: cell((c, h), x)


def nnx_layer(**options: Any) -> tuple[Any, Called]:
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    layer = nnx.RNN(nnx_cell()[0], **options)
    return layer, lambda x, h, c: layer(x, initial_carry=(c, h))


def mlx_layer() -> tuple[Any, Called]:
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    import mlx.nn as nn

    layer = nn.LSTM(N, K)
    return layer, lambda x, h, c: [np.array(a) for a in layer(*map(mx.array, (x, h, c)))]


def tinygrad_cell() -> tuple[Any, Called]:
    pytest.importorskip("tinygrad", reason="tinygrad is not installed")
    from tinygrad import Tensor
    from tinygrad.nn import LSTMCell

    cell = LSTMCell(N, K)
    return cell, lambda x, h, c: [a.numpy() for a in cell(Tensor(x), (Tensor(h), Tensor(c)))]


STEPS = [((N,), (K,)), ((2, N), (2, K)), ((3, 2, N), (3, 2, K))]
BATCH_FIRST = [((7, N), (K,)), ((2, 7, N), (2, K)), ((3, 2, 7, N), (3, 2, K))]
TIME_MAJOR = [((7, N), (K,)), ((7, 2, N), (2, K)), ((7, 3, 2, N), (3, 2, K))]
OF_LAYER = [((7, N), (1, K)), ((7, 2, N), (1, 2, K)), ((7, 3, 2, N), (1, 3, 2, K))]
# A layer, x with its states, and which of them it takes: of one sample, of samples, of samples on two axes.
LAYERS: dict[str, tuple[Callable[[], tuple[Any, Called]], list[Any], str]] = {
    "torch.nn.LSTM": (torch_layer, OF_LAYER, "yes yes no"),
    "torch.nn.LSTMCell": (torch_cell, STEPS, "yes yes no"),
    "keras.layers.LSTM": (keras_layer, BATCH_FIRST, "no yes no"),
    "keras.layers.LSTMCell": (keras_cell, STEPS, "no yes no"),
    "eqx.nn.LSTMCell": (equinox_cell, STEPS, "yes no no"),
    "nnx.LSTMCell": (nnx_cell, STEPS, "yes yes yes"),
    "nnx.RNN": (nnx_layer, BATCH_FIRST, "yes yes yes"),
    "nnx.RNN, time major": (lambda: nnx_layer(time_major=True), TIME_MAJOR, "yes yes yes"),
    "mlx.nn.LSTM": (mlx_layer, BATCH_FIRST, "yes yes yes"),
    "tinygrad.nn.LSTMCell": (tinygrad_cell, STEPS, "no yes no"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_ranks_that_a_layer_takes(name):
    make, shapes, takes = LAYERS[name]
    layer, call = make()
    for (x, state), wanted in zip(shapes, takes.split(), strict=True):
        arrays = [np.zeros(shape, "float32") for shape in (x, state, state)]
        if wanted == "yes":
            call(*arrays)
        else:
            with pytest.raises(Exception, match=r"."):
                call(*arrays)
        found = [str(f) for f in ls.check(layer, x, state, state, numbers=False).findings]
        assert bool(found) == (wanted == "no"), (x, found)
        assert found == [] or found[0].startswith(f"error[input]: x has {len(x)} ax")


@pytest.mark.parametrize("name", LAYERS)
def test_states_alone(name):
    """Without x they may be of one sample or of several, where the layer takes both."""
    make, shapes, takes = LAYERS[name]
    layer, _ = make()
    for (_, state), wanted in zip(shapes, takes.split(), strict=True):
        found = ls.check(layer, h=state, c=state, numbers=False).findings
        assert [f.message for f in found] == ["h does not fit", "c does not fit"] * (wanted == "no")


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (
            equinox_cell,
            {"x": (2, N)},
            "error[input]: x has 2 axes\n  at       LSTMCell : x\n  expected (n,) = (5,)\n  found    (2, 5)",
        ),
        (
            equinox_cell,
            {"h": (2, K)},
            "error[state]: h does not fit\n  at       LSTMCell : h\n  expected (width,) = (4,)\n  found    (2, 4)",
        ),
        (
            torch_cell,
            {"x": (7, 2, N)},
            "error[input]: x has 3 axes\n  at       LSTMCell : x\n  expected (B, n) = (B, 5)\n  found    (7, 2, 5)",
        ),
        (
            torch_layer,
            {"x": (N,)},
            "error[input]: x has 1 axis\n  at       LSTM : x\n  expected (T, B, n) = (T, B, 5)\n  found    (5,)",
        ),
        (
            nnx_layer,
            {"x": (3, 2, 7, N), "h": (2, K)},
            "error[state]: h does not fit\n"
            "  at       RNN : cell : h\n"
            "  expected (B1, B2, width) = (3, 2, 4)\n"
            "  found    (2, 4)",
        ),
        (
            nnx_layer,
            {"x": (7, 2, N), "h": (2, K)},
            "error[state]: h does not fit\n"
            "  at       RNN : cell : h\n"
            "  expected (B, width) = (7, 4)\n"
            "  found    (2, 4)\n"
            "  because  h has as many samples as x has steps: batch and time of x look swapped\n"
            "  help     x is read as (B, T, n); the layer's layout is 'batch'",
        ),
    ],
)
def test_what_is_told(make, given, message):
    layer, _ = make()
    assert [str(f) for f in ls.check(layer, numbers=False, **given).findings] == [message]
