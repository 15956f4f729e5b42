"""`hk.LSTM` is ours with forget_bias = 1, which is in none of its tensors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import lstm_spec as ls
from lstm_spec.dialects.haiku import HAIKU
from tests.frameworks.cell_peers import MISS, hold_ours, hold_theirs, miss, ours, plain, small_cases, theirs, try_few
from tests.frameworks.peers import WRONG, Case, differences

jax = pytest.importorskip("jax", reason="jax is not installed")
hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")

cases = small_cases(plain(forget_bias=1), ("float32", "float64"))
WITH_CONSTANT = Case(MISS.n, MISS.k, MISS.time, MISS.batch, MISS.seed, MISS.dtype, True, {"forget_bias": 1})


def transformed(k):
    return hk.without_apply_rng(hk.transform(lambda x, h, c: hk.LSTM(k)(x, hk.LSTMState(h, c))))


def run(tensors, x, h, c):
    with jax.enable_x64(x.dtype == np.float64):
        cell = transformed(h.shape[-1])
        parameters = {"lstm/linear": {name[-1]: jax.numpy.asarray(a) for name, a in tensors.items()}}
        h, c, outputs = jax.numpy.asarray(h), jax.numpy.asarray(c), []
        for x_t in jax.numpy.asarray(x):
            y, (h, c) = cell.apply(parameters, x_t, h, c)
            outputs.append(y)
        return np.stack(outputs), np.asarray(h), np.asarray(c)


def fresh(case):
    x, state = np.zeros((1, case.n), "float32"), np.zeros((1, case.k), "float32")
    found = jax.eval_shape(transformed(case.k).init, jax.random.key(0), x, state, state)  # names and shapes
    return {f"linear/{name}": a for name, a in found["lstm/linear"].items()}


@given(case=cases)
@try_few
def test_our_weights_in_their_cell(case):
    hold_ours(HAIKU, run, case)


@given(case=cases)
@try_few
def test_their_weights_in_our_code(case):
    hold_theirs(HAIKU, run, fresh(case), case, "lstm/")


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "figo"])
def test_another_order_of_gates_misses(gates):
    """`ifgo` is the reading as PyTorch: the forget gate and the candidate change places."""
    miss(HAIKU, run, WITH_CONSTANT, gates)


def test_without_the_constant_it_misses():
    weights = WITH_CONSTANT.weights(2.0)
    found = theirs(run, HAIKU.pack(weights, WITH_CONSTANT.layer), WITH_CONSTANT)
    assert differences(ours(MISS.layer, weights, WITH_CONSTANT), found) > WRONG
    assert differences(ours(WITH_CONSTANT.layer, weights, WITH_CONSTANT), found) < 1e-5


def test_the_report_says_what_is_not_in_the_file():
    report = ls.check({f"lstm/{n}": a for n, a in HAIKU.pack(WITH_CONSTANT.weights(), WITH_CONSTANT.layer).items()})
    assert report.layers[0].assumed == ("forget_bias = 1, which is not in the file",)
    assert "forget_bias = 1, which is not in the file" in str(report)
