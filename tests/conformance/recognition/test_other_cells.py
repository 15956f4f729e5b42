"""Recurrent cells that are no LSTM are named for what they are, by the tensors that their frameworks make."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.recognition.test_dialect_names import tensors_of
from tests.conformance.sets import torch_names

B, N, K = 2, 3, 4


def linen(name, **options):
    """`{path: array}` of a cell of Flax Linen inside a model."""
    jax, flax = pytest.importorskip("jax"), pytest.importorskip("flax")
    x = jax.numpy.ones((B, 5, 5, N) if "Conv" in name else (B, N))
    cell = getattr(flax.linen, name)(features=K, **options)
    tree = cell.init(jax.random.PRNGKey(0), cell.initialize_carry(jax.random.PRNGKey(0), x.shape), x)
    return {f"params/{name}_0/{path}": a for path, a in flatten(tree["params"])}


def haiku(name, *arguments, x=(B, N)):
    jax, hk = pytest.importorskip("jax"), pytest.importorskip("haiku")

    def run(x):
        cell = getattr(hk, name)(*arguments)
        return cell(x, cell.initial_state(B))

    return dict(flatten(hk.transform(run).init(jax.random.PRNGKey(0), jax.numpy.ones(x))))


def flatten(tree):
    for name, value in tree.items():
        inner = flatten(value) if hasattr(value, "items") else [("", np.asarray(value))]
        yield from ((f"{name}/{path}".rstrip("/"), array) for path, array in inner)


CELLS = {
    "GRU of Flax": (lambda: linen("GRUCell"), "params/GRUCell_0", "GRU"),
    "MGU of Flax": (lambda: linen("MGUCell"), "params/MGUCell_0", "minimal gated unit"),
    "simple cell of Flax": (lambda: linen("SimpleCell"), "params/SimpleCell_0", "simple RNN"),
    "convolution of Flax": (lambda: linen("ConvLSTMCell", kernel_size=(3, 3)), "params/ConvLSTMCell_0", "ConvLSTM"),
    "GRU of Haiku": (lambda: haiku("GRU", K), "gru", "GRU"),
    "vanilla RNN of Haiku": (lambda: haiku("VanillaRNN", K), "vanilla_rnn", "simple RNN"),
    "convolution of Haiku": (lambda: haiku("Conv2DLSTM", (5, 5), K, 3, x=(B, 5, 5, N)), "conv2_dlstm", "ConvLSTM"),
}
PREFIXES = {"flax": "params/LSTMCell_0/", "haiku": "lstm/", "sonnet": "lstm/"}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("separator", ["/", "."])
def test_a_cell_is_named_and_nothing_else_is_said(case, separator):
    make, where, kind = CELLS[case]
    arrays = {name.replace("/", separator): a for name, a in make().items()}
    assert str(ls.check(arrays, numbers=False)) == (
        f"error[unread]: {where.replace('/', separator)} is a {kind}, by the names and shapes of its tensors; this"
        " version reads LSTMs\n"
        f"  at       arrays : {', '.join(arrays)}\n"
        "does not conform: 0 LSTM layers, 1 error"
    )


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("asked", ["flax", "haiku", "sonnet", "keras"])
def test_asked_for_as_an_lstm_it_is_named_too(case, asked):
    make, _, kind = CELLS[case]
    report = ls.check(make(), dialect=asked, numbers=False)
    assert (report.layers, [f" is a {kind}, " in f.message for f in report.findings]) == ((), [True])


HIDDEN = ("hr/kernel", "hn/kernel", "/h/kernel", "hh/kernel", "w_h", "linear_1/w", "hidden_to_hidden/w")


@pytest.mark.parametrize("case", CELLS)
def test_a_shape_that_does_not_fit_is_no_such_cell(case):
    """With a column more in a recurrent matrix it is not named, nor does it pass."""
    make, _, kind = CELLS[case]
    arrays = make()
    (matrix, *_) = (name for name in arrays if name.endswith(HIDDEN))
    arrays[matrix] = np.concatenate([arrays[matrix], arrays[matrix][..., :1]], -1)
    try:
        report = ls.check(arrays, numbers=False)
        messages = [f.message for f in report.findings]
        assert not report.ok
    except ls.LstmSpecError as error:
        messages = [error.finding.message]
    assert not any(f" is a {kind}, " in message for message in messages)


@pytest.mark.parametrize("dialect", PREFIXES)
def test_an_lstm_beside_it_is_read(dialect):
    arrays = linen("GRUCell") | tensors_of(dialect, PREFIXES[dialect]) | torch_names("enc.")
    report = ls.check(arrays, numbers=False)
    assert sorted(layer.dialect for layer in report.layers) == sorted([dialect, "pytorch"])
    assert [f.message.partition(",")[0] for f in report.findings] == ["params/GRUCell_0 is a GRU"]


def test_two_dense_layers_are_no_vanilla_rnn():
    mlp = {"mlp/linear/w": np.zeros((3, 4)), "mlp/linear_1/w": np.zeros((4, 4)), "mlp/linear/b": np.zeros(4)}
    report = ls.check(mlp | torch_names("enc."), numbers=False)
    assert (report.ok, sorted(report.other)) == (True, sorted(mlp))
