"""`tinygrad.nn.LSTMCell` is ours: the names and the packing of PyTorch's cell."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

os.environ.setdefault("DEV", "PYTHON")  # tinygrad's own interpreter: no C compiler is asked for

import lstm_spec as ls
from lstm_spec.dialects.tinygrad import TINYGRAD
from tests.frameworks.cell_peers import MISS, hold_ours, hold_theirs, miss, plain, small_cases, try_few

tinygrad = pytest.importorskip("tinygrad", reason="tinygrad is not installed")

cases = small_cases(st.fixed_dictionaries({"bias": st.sampled_from(["two", "none"])}), ("float32", "float64"))
with_bias = small_cases(plain(bias="two"), ("float32", "float64"))


def run(tensors, x, h, c):
    from tinygrad.nn import LSTMCell

    cell = LSTMCell(x.shape[-1], h.shape[-1], bias="bias_ih" in tensors)
    for name, array in tensors.items():
        setattr(cell, name, tinygrad.Tensor(np.ascontiguousarray(array)))
    state, outputs = (tinygrad.Tensor(h), tinygrad.Tensor(c)), []
    for x_t in x:
        state = cell(tinygrad.Tensor(np.ascontiguousarray(x_t)), state)
        outputs.append(state[0].numpy())
    return np.stack(outputs), state[0].numpy(), state[1].numpy()


def fresh(case):
    from tinygrad.nn import LSTMCell

    tinygrad.Tensor.manual_seed(case.seed)
    cell = LSTMCell(case.n, case.k)
    return {name: getattr(cell, name).numpy() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}


@given(case=cases)
@try_few
def test_our_weights_in_their_cell(case):
    hold_ours(TINYGRAD, run, case)


@given(case=with_bias)
@try_few
def test_their_weights_in_our_code(case):
    hold_theirs(TINYGRAD, run, fresh(case), case, "")


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
def test_another_order_of_gates_misses(gates):
    case = MISS.__class__(5, 4, 3, 2, 7, "float32", True, {"bias": "two"})
    miss(TINYGRAD, run, case, gates)


def test_unasked_its_tensors_are_read_as_pytorchs_and_are_the_same():
    layer = ls.lstm(5, 4, bias="two")
    tensors = TINYGRAD.pack(layer.random(0), layer)
    found, weights = ls.read(tensors)
    assert ls.check(tensors, numbers=False).layers[0].dialect == "pytorch"
    assert found.cell == layer.cell
    assert all(np.array_equal(weights[name], a) for name, a in layer.random(0).items())
