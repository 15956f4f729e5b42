"""`mlx.nn.LSTM` is ours; it returns every h and every c.

Float32 only: its float64 has 1e-8 of error on a CPU (seen with MLX 0.32.4).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.dialects.mlx import MLX
from tests.frameworks.cell_peers import MISS, hold_ours, hold_theirs, miss, plain, small_cases, try_few

mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
nn = pytest.importorskip("mlx.nn", reason="mlx is not installed")

cases = small_cases(st.fixed_dictionaries({"bias": st.sampled_from(["one", "none"])}), ("float32",))
with_bias = small_cases(plain(bias="one"), ("float32",))


def run(tensors, x, h, c):
    with mx.stream(mx.cpu):
        layer = nn.LSTM(x.shape[-1], h.shape[-1], bias="bias" in tensors)
        layer.load_weights([(name, mx.array(a)) for name, a in tensors.items()])
        hidden, cell = layer(mx.array(x.swapaxes(0, 1)), mx.array(h), mx.array(c))
        every_h, every_c = np.array(hidden).swapaxes(0, 1), np.array(cell).swapaxes(0, 1)
    assert every_h.shape == every_c.shape
    return every_h, every_h[-1], every_c[-1]


def fresh(case):
    mx.random.seed(case.seed)
    return {name: np.array(a) for name, a in nn.LSTM(case.n, case.k).parameters().items()}


@given(case=cases)
@try_few
def test_our_weights_in_their_layer(case):
    hold_ours(MLX, run, case)


@given(case=with_bias)
@try_few
def test_their_weights_in_our_code(case):
    hold_theirs(MLX, run, fresh(case), case, "encoder.rnn.")


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
def test_another_order_of_gates_misses(gates):
    miss(MLX, run, MISS, gates)
