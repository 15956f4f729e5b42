"""Live modules of Equinox, Flax nnx, MLX and tinygrad, and the trees of Flax linen and Haiku, checked as they are."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("DEV", "PYTHON")

import lstm_spec as ls

N, K = 5, 3


def held(source, dialect):
    report = ls.check(source)
    assert report.ok, str(report)
    (layer,) = report.layers
    assert layer.dialect == dialect
    assert {name: int(size) for name, size in layer.layer.sizes.items()} == {"n": N, "k": K}
    return ls.read(source)[1]


def test_equinox():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    cell = eqx.nn.LSTMCell(N, K, key=jax.random.key(0))
    weights = held(cell, "equinox")
    np.testing.assert_array_equal(weights["l0.W_g"], np.asarray(cell.weight_ih)[2 * K : 3 * K])


def test_nnx():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    cell = nnx.LSTMCell(N, K, rngs=nnx.Rngs(0))
    weights = held(cell, "flax-nnx")
    np.testing.assert_array_equal(weights["l0.U_f"], np.asarray(cell.hf.kernel[...]).T)
    held(nnx.OptimizedLSTMCell(N, K, rngs=nnx.Rngs(0)), "flax-nnx-optimized")


def test_mlx():
    pytest.importorskip("mlx.core", reason="mlx is not installed")
    import mlx.nn as nn

    layer = nn.LSTM(N, K)
    weights = held(layer, "mlx")
    np.testing.assert_array_equal(weights["l0.W_o"], np.array(layer.Wx)[3 * K :])


def test_tinygrad():
    pytest.importorskip("tinygrad", reason="tinygrad is not installed")
    from tinygrad.nn import LSTMCell

    cell = LSTMCell(N, K)
    weights = held(cell, "pytorch")  # its names and its packing
    np.testing.assert_array_equal(weights["l0.b_Wf"], cell.bias_ih.numpy()[K : 2 * K])


def test_the_tree_of_a_linen_cell():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    linen = pytest.importorskip("flax.linen", reason="flax is not installed")
    cell, x = linen.LSTMCell(K), np.zeros((1, N), "float32")
    tree = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(0), x.shape), x)
    weights = held(tree, "flax")
    np.testing.assert_array_equal(weights["l0.W_i"], np.asarray(tree["params"]["ii"]["kernel"]).T)


def test_the_tree_of_haiku():
    tree = {"encoder/lstm/linear": {"w": np.ones((N + K, 4 * K), "float32"), "b": np.zeros(4 * K, "float32")}}
    held(tree, "haiku")


def test_a_module_without_arrays_cannot_be_checked():
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")

    class Empty(eqx.Module):
        pass

    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(Empty())
    assert str(caught.value).startswith("error[source]: Empty is no source of tensors\n")


def test_a_layer_of_another_kind_holds_no_lstm():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    with pytest.raises(ls.LstmSpecError, match="there is no LSTM here"):
        ls.check(eqx.nn.Linear(3, 4, key=jax.random.key(0)))
