"""`eqx.nn.LSTMCell` is ours: PyTorch's names and order, one bias; one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.dialects.equinox import EQUINOX
from tests.frameworks.cell_peers import MISS, hold_ours, hold_theirs, miss, plain, small_cases, try_few

jax = pytest.importorskip("jax", reason="jax is not installed")
eqx = pytest.importorskip("equinox", reason="equinox is not installed")

cases = small_cases(st.fixed_dictionaries({"bias": st.sampled_from(["one", "none"])}), ("float32", "float64"))
with_bias = small_cases(plain(bias="one"), ("float32", "float64"))


def run(tensors, x, h, c):
    with jax.enable_x64(x.dtype == np.float64):
        bias = "bias" in tensors
        cell = eqx.nn.LSTMCell(x.shape[-1], h.shape[-1], bias, dtype=x.dtype, key=jax.random.key(0))
        for name, array in tensors.items():
            cell = eqx.tree_at(lambda m, name=name: getattr(m, name), cell, jax.numpy.asarray(array))
        state, outputs = (jax.numpy.asarray(h), jax.numpy.asarray(c)), []
        for x_t in jax.numpy.asarray(x):
            state = jax.vmap(cell)(x_t, state)
            outputs.append(state[0])
        return np.stack(outputs), *map(np.asarray, state)


def fresh(case):
    cell = eqx.nn.LSTMCell(case.n, case.k, key=jax.random.key(case.seed))
    return {name: np.asarray(getattr(cell, name)) for name in ("weight_ih", "weight_hh", "bias")}


@given(case=cases)
@try_few
def test_our_weights_in_their_cell(case):
    hold_ours(EQUINOX, run, case)


@given(case=with_bias)
@try_few
def test_their_weights_in_our_code(case):
    hold_theirs(EQUINOX, run, fresh(case), case, "model.cell.")


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
def test_another_order_of_gates_misses(gates):
    miss(EQUINOX, run, MISS, gates)
