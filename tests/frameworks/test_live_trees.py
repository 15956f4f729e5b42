"""Live Equinox, MLX and tinygrad layers with and without biases, and of classes of somebody's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("DEV", "PYTHON")  # tinygrad: no compiler is needed

from tests.frameworks.live import TIME_MAJOR, K, Live, N, agree, doubled, refused, wrong_order
from tests.frameworks.peers import WRONG


def of_equinox(base: Callable[[Any], Any] = lambda eqx: eqx.nn.LSTMCell, **options: Any) -> Live:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    cell = base(eqx)(N, K, key=jax.random.key(0), **options)

    def run(x):
        outputs = []
        for sample in x:
            state = (np.zeros(K, "float32"),) * 2
            states = [state := cell(step, state) for step in sample]
            outputs.append([h for h, _ in states])
        return np.asarray(outputs).swapaxes(0, 1)

    return Live(cell, lambda x: run(x.swapaxes(0, 1)), TIME_MAJOR)


def of_mlx(base: Callable[[Any], Any] = lambda nn: nn.LSTM, **options: Any) -> Live:
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    import mlx.nn as nn

    mx.random.seed(0)
    layer = base(nn)(N, K, **options)
    return Live(layer, lambda x: np.array(layer(mx.array(x))[0]))


def of_tinygrad(base: Callable[[Any], Any] = lambda nn: nn.LSTMCell, **options: Any) -> Live:
    pytest.importorskip("tinygrad", reason="tinygrad is not installed")
    from tinygrad import Tensor, nn

    cell = base(nn)(N, K, **options)

    def run(x):
        state, outputs = None, []
        for step in x:
            state = cell(Tensor(step), state)
            outputs.append(state[0].numpy())
        return np.stack(outputs)

    return Live(cell, run, TIME_MAJOR)


TREES = {"equinox": (of_equinox, "use_bias"), "mlx": (of_mlx, "bias"), "tinygrad": (of_tinygrad, "bias")}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("package", TREES)
def test_trees(package, bias):
    make, option = TREES[package]
    agree(make(**{option: bias}), package)


# ---- a class of somebody's own ----

BASES = {
    "equinox": (of_equinox, lambda eqx: doubled(eqx.nn.LSTMCell, "__call__", 0)),
    "mlx": (of_mlx, lambda nn: doubled(nn.LSTM, "__call__", 0)),
    "tinygrad": (of_tinygrad, lambda nn: doubled(nn.LSTMCell, "__call__", 0)),
}


@pytest.mark.parametrize("package", BASES)
def test_a_class_that_computes_in_its_own_way(package):
    made = BASES[package][0](BASES[package][1]).source
    lines = refused(made).splitlines()
    assert lines[0] == (
        "error[unsupported]: Doubled.__call__ is somebody's own: what it computes is code, and is not read"
    )
    assert lines[2:] == ["  help     hand over its arrays as a dict, to read them as those of a plain layer"]


# ---- the test itself ----


@pytest.mark.parametrize("package", TREES)
def test_a_wrong_gate_order_misses(package):
    assert wrong_order(TREES[package][0]()) > WRONG
