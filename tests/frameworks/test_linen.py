"""What people of Flax hand over: a module of linen, which holds no arrays, and trees of parameters of every kind."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError

flax = pytest.importorskip("flax", reason="flax is not installed")
K = 4
X = np.zeros((2, 3), "float32")


def cell_and_variables():
    import jax
    from flax import linen

    cell = linen.OptimizedLSTMCell(K)
    return cell, cell.init(jax.random.key(1), cell.initialize_carry(jax.random.key(0), X.shape), X)


@pytest.mark.parametrize("bound", [False, True])
def test_a_module_in_full(bound):
    cell, variables = cell_and_variables()
    with pytest.raises(TensorError) as caught:
        ls.check(cell.bind(variables) if bound else cell)
    assert str(caught.value) == (
        "error[source]: OptimizedLSTMCell is a module of flax.linen, which holds no arrays itself\n"
        "  expected its parameters\n"
        '  help     hand over variables["params"], of variables = module.init(…) or of what was trained'
    )


def test_a_module_of_ones_own():
    from flax import linen

    class Encoder(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.RNN(linen.LSTMCell(K))(x)

    with pytest.raises(TensorError, match=r"^error\[source\]: Encoder is a module of flax\.linen"):
        ls.read(Encoder())


def test_what_the_message_says_to_hand_over():
    _, variables = cell_and_variables()
    report = ls.check(variables["params"])
    assert report.ok
    assert report.layers[0].layer.sizes["k"] == K


def test_a_frozen_tree_and_a_state_are_trees_of_arrays():
    from flax import nnx
    from flax.core import freeze

    _, variables = cell_and_variables()
    assert ls.check(freeze(variables["params"])).layers == ls.check(variables["params"]).layers
    _, state = nnx.split(nnx.LSTMCell(3, K, rngs=nnx.Rngs(0)))
    report = ls.check(state)
    assert (report.ok, report.layers[0].dialect) == (True, "flax-nnx")
