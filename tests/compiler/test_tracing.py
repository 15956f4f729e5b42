"""A trace is what the layer computes: against PyTorch gate by gate, the interpreter, and the plain run."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.trace_summary import memory, summarize

X = np.random.default_rng(0).normal(size=(9, 3, 4))


def test_names_and_shapes_and_the_plain_run():
    layer = ls.lstm(4, 5, layers=2, bidirectional=True)
    weights = layer.random(seed=0)
    traced = ls.trace(layer, weights, X)
    y, state = ls.compile(layer)(X, weights)
    prefixes = ("l0", "l0.reverse", "l1", "l1.reverse")
    assert list(traced.arrays) == [f"{p}.{n}" for p in prefixes for n in "ifgoch"]
    assert {a.shape for a in traced.arrays.values()} == {(9, 3, 5)}
    np.testing.assert_array_equal(traced.y, y)
    np.testing.assert_allclose(np.concatenate([traced["l1.h"], traced["l1.reverse.h"]], axis=2), y, atol=1e-14)
    for name, final in state.items():
        np.testing.assert_allclose(traced[name][0 if "reverse" in name else -1], final, atol=1e-14)


def manual(torch, lstm, suffix, x, h, c):
    """One direction of a torch layer, gate by gate, in torch."""
    w, u, b, d = (getattr(lstm, f"{n}_l0{suffix}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    found = {name: [] for name in "ifgoch"}
    for x_t in x:
        i, f, g, o = (x_t @ w.T + b + h @ u.T + d).chunk(4, dim=1)
        values = {"i": torch.sigmoid(i), "f": torch.sigmoid(f), "g": torch.tanh(g), "o": torch.sigmoid(o)}
        values["c"] = c = values["f"] * c + values["i"] * values["g"]
        values["h"] = h = values["o"] * torch.tanh(c)
        for name, value in values.items():
            found[name].append(value.detach().numpy())
    return {name: np.stack(steps) for name, steps in found.items()}


def test_it_is_torch_step_by_step():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(4, 5, bidirectional=True).double()
    layer, weights = ls.read(lstm)
    zero = torch.zeros(3, 5, dtype=torch.float64)
    traced = ls.trace(layer, weights, X)
    forward = manual(torch, lstm, "", torch.tensor(X), zero, zero)
    reverse = manual(torch, lstm, "_reverse", torch.tensor(X[::-1].copy()), zero, zero)
    for name in "ifgoch":
        np.testing.assert_allclose(traced[f"l0.{name}"], forward[name], atol=1e-13)
        np.testing.assert_allclose(traced[f"l0.reverse.{name}"], reverse[name][::-1], atol=1e-13)
    y, _ = lstm(torch.tensor(X))
    both = np.concatenate([traced["l0.h"], traced["l0.reverse.h"]], axis=2)
    np.testing.assert_allclose(both, y.detach().numpy(), atol=1e-13)


def test_lengths_are_as_torch_packs():
    torch = pytest.importorskip("torch")
    lstm = torch.nn.LSTM(4, 5, bidirectional=True).double()
    layer, weights = ls.read(lstm)
    lengths = np.array([9, 4, 1])
    traced = ls.trace(layer, weights, X, lengths=lengths)
    for b, length in enumerate(lengths):
        y, _ = lstm(torch.tensor(X[:length, b : b + 1]))
        both = np.concatenate([traced["l0.h"], traced["l0.reverse.h"]], axis=2)
        np.testing.assert_allclose(both[:length, b], y.detach().numpy()[:, 0], atol=1e-13)
        for array in traced.arrays.values():
            assert np.isfinite(array[:length, b]).all()
            assert np.isnan(array[length:, b]).all()
    np.testing.assert_array_equal(traced.alive.sum(axis=0), lengths)


@pytest.mark.parametrize(
    "name", ["graves2013", "greff-cifg", "greff-fgr", "layer-norm", "minlstm", "qrnn", "slstm", "sru"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_interpreter_for_other_cells(name, dtype):
    layer = ls.Layer(ls.cells.get(name))
    layer = layer.at(**dict.fromkeys(layer.open_letters, 4))
    weights = layer.random(seed=1, dtype=dtype)
    rng = np.random.default_rng(2)
    state = {n: rng.uniform(0.1, 1, size=(3, 4)).astype(dtype) for n in layer.state_shapes()}
    traced = ls.trace(layer, weights, X.astype(dtype), state)
    steps = interpret(lower(layer), X.astype(dtype), weights, state).steps["l0"]
    states = [s.name for s in layer.cell.states]
    assert set(traced.arrays) == {f"l0.{n.rstrip(chr(39))}" for e in layer.cell.equations for n in e.targets}
    for full, array in traced.arrays.items():
        key = full + "'" * (full.removeprefix("l0.") in states)
        np.testing.assert_allclose(
            array, np.stack([s[key] for s in steps]), rtol=0, atol=1e-5 if dtype == "float32" else 1e-12
        )
        assert array.dtype == dtype


def test_layouts_and_the_last_step():
    layer = ls.lstm(4, 5)
    weights = layer.random(seed=0)
    plain = ls.trace(layer, weights, X)
    batch = ls.trace(layer.with_(layout="batch"), weights, X.swapaxes(0, 1))
    last = ls.trace(layer.with_(output="last"), weights, X)
    for name, array in plain.arrays.items():
        np.testing.assert_allclose(batch[name], array, atol=1e-14)
        np.testing.assert_allclose(last[name], array, atol=1e-14)
    assert batch.y.shape == (3, 9, 5)
    assert last.y.shape == (3, 5)


def test_a_bare_name_and_what_reads_only_weights():
    cell = ls.parse("input x[n]\nstate h[k], p[k]\nw = exp(b)\nh' = tanh(W x + U h + V p) * w\np' = h")
    layer = ls.Layer(cell, n=4, k=5)
    traced = ls.trace(layer, layer.random(seed=0), X)
    assert list(traced.arrays) == ["l0.h", "l0.p"]
    np.testing.assert_array_equal(traced["p"][1:], traced["h"][:-1])


def test_no_steps_and_no_samples():
    layer = ls.lstm(4, 5)
    weights = layer.random(seed=0)
    for x in (X[:0], X[:, :0]):
        traced = ls.trace(layer, weights, x)
        assert traced["f"].shape == (*x.shape[:2], 5)
        assert [row.memory for row in summarize(traced)] == [None] * 6


@pytest.mark.parametrize("name", ["gers2000", "greff-cifg", "gru", "janet", "mgu", "minlstm", "qrnn"])
def test_memory_is_of_the_share_that_is_kept(name):
    """The kept share is what the next state moves by when the state before moves and everything else stands."""
    layer = ls.Layer(ls.cells.get(name))
    layer = layer.at(**dict.fromkeys(layer.open_letters, 4))
    weights = layer.random(seed=1)
    rng = np.random.default_rng(2)
    state = {n: rng.normal(size=(3, 4)) for n in layer.state_shapes()}
    traced = ls.trace(layer, weights, X, state)
    shares = {
        "gers2000": lambda t: t["f"],
        "qrnn": lambda t: t["f"],
        "gru": lambda t: t["z"],
        "mgu": lambda t: 1 - t["f"],
        "greff-cifg": lambda t: 1 - t["i"],
        "janet": lambda t: 1 / (1 + np.exp(-t["z"])),
        "minlstm": lambda t: t["f"] / (t["f"] + t["i"]),
    }
    (kept,) = traced.kept
    expected = shares[name](traced)
    np.testing.assert_allclose(traced.kept[kept], expected, atol=1e-14)
    np.testing.assert_allclose(memory(traced, kept), -1 / np.log(expected.mean(axis=(0, 1))))


def test_a_summary_counts():
    layer = ls.lstm(2, 4)
    weights = {n: a * 0 for n, a in layer.random(seed=0).items()}
    weights["l0.b_f"] = np.array([100.0, 0, -100, 100])
    weights["l0.b_i"] = np.array([-100.0, -100, 0, 100])
    rows = {r.name: r for r in summarize(ls.trace(layer, weights, np.zeros((10, 2, 2))))}
    assert (rows["l0.f"].low, rows["l0.f"].high, rows["l0.f"].dead) == (0.25, 0.5, 1)
    assert (rows["l0.i"].low, rows["l0.i"].high, rows["l0.i"].dead) == (0.5, 0.25, 2)
    assert (rows["l0.g"].low, rows["l0.g"].dead, rows["l0.g"].mean) == (1, 4, 0)
    assert rows["l0.c"].memory == np.inf  # the median of inf, 1.44, 0.01 and inf
    assert rows["l0.c"].proven == "-10 to 10"
    assert all(row.within and row.strange == 0 for row in rows.values())


def test_nan_is_counted_where_there_are_steps():
    layer = ls.lstm(2, 4)
    x = np.zeros((5, 2, 2))
    x[2, 0] = np.nan
    rows = summarize(ls.trace(layer, layer.random(seed=0), x, lengths=np.array([4, 3])))
    assert {row.strange for row in rows} == {2 * 4}


def test_npz_holds_the_arrays(tmp_path):
    layer = ls.lstm(4, 5)
    traced = ls.trace(layer, layer.random(seed=0), X)
    traced.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as loaded:
        assert list(loaded) == list(traced.arrays)
        np.testing.assert_array_equal(loaded["l0.c"], traced["c"])


def test_what_a_run_refuses_a_trace_refuses():
    layer = ls.lstm(4, 5)
    with pytest.raises(ls.LstmSpecError) as error:
        ls.trace(layer, layer.random(seed=0), X[:, 0])
    assert str(error.value) == (
        "error[shape]: x does not have the derived shape\n  expected (T, B, n = 4)\n  found    (9, 4)\n"
        "  help     one sample has a batch of 1: x[:, None, :]"
    )
