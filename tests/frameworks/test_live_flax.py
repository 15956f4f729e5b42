"""Live Flax nnx layers whose attributes are not the default ones: read as they run, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from tests.frameworks.live import (
    BATCH,
    TIME,
    TIME_MAJOR,
    K,
    Live,
    N,
    X,
    agree,
    doubled,
    ran,
    refused,
    tanh,
    wrong_order,
)
from tests.frameworks.peers import WRONG


def of_nnx(make: Callable[[Any], Any], x: np.ndarray = X, at: str | None = None, part: str = "") -> Live:
    """A module; with `part`, that one of a Bidirectional's halves of the output."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    module = make(nnx)
    halves = {"": slice(None), "forward": slice(None, K), "backward": slice(K, None)}
    return Live(module, lambda x: np.asarray(module(x))[..., halves[part]], x, at)


def rnn(nnx: Any, cell: str = "LSTMCell", functions: Any = None, **options: Any) -> Any:
    said = {name: getattr(nnx, function) for name, function in (functions or {}).items()}
    return nnx.RNN(getattr(nnx, cell)(N, K, rngs=nnx.Rngs(0), **said), **options)


def both(nnx: Any, **options: Any) -> Any:
    return nnx.Bidirectional(rnn(nnx), rnn(nnx, "OptimizedLSTMCell", {"activation_fn": "relu"}), **options)


NNX_FUNCTIONS = (
    *("sigmoid", "tanh", "relu", "hard_sigmoid", "hard_tanh", "relu6", "leaky_relu", "elu", "softplus", "soft_sign"),
    "identity",
)
NNX = {
    "reverse": partial(rnn, reverse=True),
    "reverse, in order": partial(rnn, reverse=True, keep_order=True),
    "in order, not reversed": partial(rnn, keep_order=True),
    "optimized, reverse, in order": partial(rnn, cell="OptimizedLSTMCell", reverse=True, keep_order=True),
    "unrolled": partial(rnn, unroll=3),
} | {
    f"{option} = {name}": partial(rnn, functions={option: name})
    for option in ("activation_fn", "gate_fn")
    for name in NNX_FUNCTIONS
}


@pytest.mark.parametrize("name", NNX)
def test_nnx(name):
    agree(of_nnx(NNX[name]), "nnx")


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"reverse": True, "keep_order": True}])
def test_nnx_time_major(options):
    agree(of_nnx(partial(rnn, time_major=True, **options), TIME_MAJOR), "nnx")


@pytest.mark.parametrize("part", ["forward", "backward"])
@pytest.mark.parametrize("time_major", [True, False])
def test_nnx_bidirectional_decides_for_its_two(part, time_major):
    made = partial(both, time_major=time_major)
    agree(of_nnx(made, TIME_MAJOR if time_major else X, f"{part}_rnn/cell", part), "nnx")


def test_nnx_cell_alone_takes_steps():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    cell = nnx.LSTMCell(N, K, rngs=nnx.Rngs(0), activation_fn=nnx.relu)

    def run(x):
        carry, outputs = (np.zeros((BATCH, K), "float32"),) * 2, []
        for step in range(TIME):
            carry, y = cell(carry, x[:, step])
            outputs.append(y)
        return np.stack(outputs, 1)

    agree(Live(cell, run), "nnx")


def test_nnx_functions_of_jax():
    """One function has several names; another that bears a known name is another."""
    jax = pytest.importorskip("jax", reason="jax is not installed")
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    made = nnx.RNN(nnx.LSTMCell(N, K, rngs=nnx.Rngs(0), activation_fn=jax.lax.tanh, gate_fn=jax.lax.logistic))
    agree(Live(made, made), "nnx")


KNOWN = "sigmoid, logistic, tanh, relu, hard_sigmoid, hard_tanh, relu6, leaky_relu, elu, softplus, soft_sign, identity"


def test_nnx_function_that_there_is_no_option_for():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    assert refused(nnx.LSTMCell(N, K, rngs=nnx.Rngs(0), activation_fn=nnx.silu)) == (
        "error[unsupported]: activation_fn = silu\n"
        "  at       LSTMCell\n"
        f"  expected {KNOWN}\n"
        "  help     this version has no such option"
    )


def test_nnx_function_of_somebodys_own():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    made = nnx.RNN(nnx.OptimizedLSTMCell(N, K, rngs=nnx.Rngs(0), gate_fn=tanh))
    assert refused(made) == (
        f"error[unsupported]: gate_fn = tests.frameworks.live.tanh\n"
        "  at       RNN : cell\n"
        f"  expected {KNOWN}\n"
        "  help     this version has no such option"
    )


def test_nnx_one_cell_in_two_directions():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    one = nnx.LSTMCell(N, K, rngs=nnx.Rngs(0))
    assert refused(nnx.Bidirectional(nnx.RNN(one), nnx.RNN(one))) == (
        "error[unsupported]: one cell is run by backward_rnn, forward_rnn, each in its own way\n"
        "  at       Bidirectional : backward_rnn/cell\n"
        "  help     hand over one of them alone"
    )


def test_nnx_merge_of_two_directions():
    """One that joins is one layer in both directions; another is not."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    two = nnx.RNN(nnx.LSTMCell(N, K, rngs=nnx.Rngs(1)))
    (joined,) = ls.convert(nnx.Bidirectional(rnn(nnx), two), "pytorch", allow="two-biases").layers
    assert (joined.layer.direction, joined.layer.realign) == ("both", True)
    with pytest.raises(ls.LstmSpecError, match="which no tensor says"):
        ls.convert(nnx.Bidirectional(rnn(nnx), two, merge_fn=lambda a, b: a + b), "pytorch")


def test_nnx_reversed_is_not_converted_to_what_only_reads_forwards():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    with pytest.raises(ls.LstmSpecError, match="pytorch has no layer that only reads backwards"):
        ls.convert(rnn(nnx, reverse=True, keep_order=True), "pytorch")


@pytest.mark.filterwarnings("ignore:carry_init is provided in __init__")
def test_nnx_that_does_not_start_from_zeros():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    start = jax.nn.initializers
    for carry, told in ((start.ones, True), (start.zeros, False)):
        made = nnx.RNN(nnx.LSTMCell(N, K, rngs=nnx.Rngs(0), carry_init=carry))
        assert [str(f) for f in ls.check(made).findings] == [
            "warning[carry]: cell starts from its carry_init, and that is not zero\n"
            "  at       RNN\n"
            "  help     pass that state where the layer runs; no state means zeros"
        ] * told
        ours, theirs = ran(Live(made, made))
        assert (np.abs(ours - theirs).max() > WRONG) == told


# ---- a class of somebody's own ----


def own_nnx(what: str) -> Any:
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    cells = {"cell": doubled(nnx.LSTMCell, "__call__", 1)}
    cell = cells.get(what, nnx.LSTMCell)(N, K, rngs=nnx.Rngs(0))
    return doubled(nnx.RNN, "__call__", 0)(cell) if what == "rnn" else nnx.RNN(cell)


@pytest.mark.parametrize("what", ["cell", "rnn"])
def test_a_class_that_computes_in_its_own_way(what):
    made = own_nnx(what)
    lines = refused(made).splitlines()
    assert lines[0] == (
        "error[unsupported]: Doubled.__call__ is somebody's own: what it computes is code, and is not read"
    )
    assert lines[2:] == ["  help     hand over its arrays as a dict, to read them as those of a plain layer"]


def test_a_class_that_only_has_another_name():
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    mine = type("Mine", (nnx.LSTMCell,), {"__module__": __name__})
    made = nnx.RNN(mine(N, K, rngs=nnx.Rngs(0)))
    agree(Live(made, made), "nnx")


# ---- the test itself ----


def test_a_wrong_gate_order_misses():
    made = partial(rnn, reverse=True, functions={"activation_fn": "hard_tanh"})
    assert wrong_order(of_nnx(made)) > WRONG


@pytest.mark.parametrize("name", [n for n in NNX if n not in ("in order, not reversed", "unrolled")])
def test_the_attribute_matters(name):
    """A plain forward layer of the same weights is another one, but for the attributes' default values."""
    live = of_nnx(NNX[name])
    weights = {n.replace("reverse.", ""): a for n, a in ls.read(live.source)[1].items()}
    plain = ls.lstm(N, K).with_(layout="batch")
    difference = np.abs(ls.compile(plain)(4 * X, weights)[0] - np.asarray(live.run(4 * X))).max()
    default = name in ("activation_fn = tanh", "gate_fn = sigmoid")
    assert (difference > WRONG) != default
