"""Flax's four cells are ours: linen's two with one tree, nnx's with two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import lstm_spec as ls
from lstm_spec.dialects.flax import FLAX, FLAX_NNX, FLAX_NNX_OPTIMIZED
from tests.frameworks.cell_peers import (
    MISS,
    differences,
    hold_ours,
    hold_theirs,
    miss,
    ours,
    plain,
    small_cases,
    swap_parts,
    theirs,
    try_few,
)
from tests.frameworks.peers import WRONG

jax = pytest.importorskip("jax", reason="jax is not installed")
linen = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")

cases = small_cases(plain(), ("float32", "float64"))


def nested(tensors):
    """`hi/kernel` → a tree."""
    tree = {}
    for name, array in tensors.items():
        *path, last = name.split("/")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = jax.numpy.asarray(array)
    return tree


def flat(tree):
    return {"/".join(k.key for k in path): a for path, a in jax.tree_util.tree_leaves_with_path(tree)}


def steps(cell, x, h, c):
    carry, outputs = (jax.numpy.asarray(c), jax.numpy.asarray(h)), []
    for x_t in jax.numpy.asarray(x):
        carry, y = cell(carry, x_t)
        outputs.append(y)
    return np.stack(outputs), np.asarray(carry[1]), np.asarray(carry[0])


def linen_peer(kind):
    def run(tensors, x, h, c):
        with jax.enable_x64(x.dtype == np.float64):
            cell, variables = kind(h.shape[-1]), {"params": nested(tensors)}
            return steps(lambda carry, x_t: cell.apply(variables, carry, x_t), x, h, c)

    def fresh(case):
        cell, x = kind(case.k), np.zeros((1, case.n), "float32")
        carry = cell.initialize_carry(jax.random.key(0), x.shape)
        return flat(jax.eval_shape(cell.init, jax.random.key(0), carry, x)["params"])  # names and shapes: no drawing

    return run, fresh


def nnx_peer(kind):
    def run(tensors, x, h, c):
        with jax.enable_x64(x.dtype == np.float64):
            graph, state = nnx.split(
                nnx.eval_shape(lambda: kind(x.shape[-1], h.shape[-1], rngs=nnx.Rngs(0))), nnx.Param
            )
            given = [
                (path, v.replace(jax.numpy.asarray(tensors["/".join(path)]))) for path, v in nnx.to_flat_state(state)
            ]
            return steps(nnx.merge(graph, nnx.from_flat_state(given)), x, h, c)

    def fresh(case):
        cell = nnx.eval_shape(lambda: kind(case.n, case.k, rngs=nnx.Rngs(0)))
        return {"/".join(path): variable.get_raw_value() for path, variable in nnx.to_flat_state(nnx.state(cell))}

    return run, fresh


PEERS = {
    "linen": (FLAX, *linen_peer(linen.LSTMCell), "params/LSTMCell_0/"),
    "linen optimized": (FLAX, *linen_peer(linen.OptimizedLSTMCell), "params.RNN_0.cell."),
    "nnx": (FLAX_NNX, *nnx_peer(nnx.LSTMCell), "encoder/cell/"),
    "nnx optimized": (FLAX_NNX_OPTIMIZED, *nnx_peer(nnx.OptimizedLSTMCell), ""),
}


@pytest.mark.parametrize("peer", PEERS)
@given(case=cases)
@try_few
def test_our_weights_in_their_cell(peer, case):
    dialect, run, _, _ = PEERS[peer]
    hold_ours(dialect, run, case)


@pytest.mark.parametrize("peer", PEERS)
@given(case=cases)
@try_few
def test_their_weights_in_our_code(peer, case):
    dialect, run, fresh, prefix = PEERS[peer]
    hold_theirs(dialect, run, fresh(case), case, prefix)


def test_another_order_of_gates_misses():
    dialect, run, _, _ = PEERS["nnx optimized"]
    for gates in ("igfo", "iofg", "figo"):
        miss(dialect, run, MISS, gates)


@pytest.mark.parametrize("peer", ["linen", "nnx"])
@pytest.mark.parametrize(("one", "other"), [("i", "f"), ("g", "o"), ("f", "g")])
def test_two_gates_in_each_others_place_miss(peer, one, other):
    dialect, run, _, _ = PEERS[peer]
    weights = MISS.weights(4.0)
    tensors = dialect.pack(weights, MISS.layer)
    wrong = swap_parts(dialect, one, other).unpack(tensors, MISS.layer)
    assert differences(ours(MISS.layer, wrong, MISS), theirs(run, tensors, MISS)) > WRONG


def test_a_transposed_square_kernel_has_the_same_shapes_and_misses():
    """No shape can tell: the kernels on h are square. Only numbers do."""
    dialect, run, _, _ = PEERS["linen"]
    tensors = dialect.pack(MISS.weights(4.0), MISS.layer)
    turned = {name: a.T.copy() if name.startswith("h") else a for name, a in tensors.items()}
    assert ls.check(turned, numbers=False).ok
    wrong = dialect.unpack(turned, MISS.layer)
    assert differences(ours(MISS.layer, wrong, MISS), theirs(run, tensors, MISS)) > WRONG
