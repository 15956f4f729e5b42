"""Lengths, masks and merges, each held against runs of single samples or single directions, put together by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.passes import optimize
from lstm_spec.compiler.targets.numpy import emit_numpy
from lstm_spec.errors import LstmSpecError
from tests.laws import tried

B, T = 4, 7
OPTIONS = [
    {},
    {"reverse": True},
    {"reverse": True, "realign": False},
    {"bidirectional": True, "layers": 2},
    {"layers": 2, "projection": 3, "bias": "two"},
    {"bidirectional": True, "peephole": True, "layout": "batch"},
    {"bidirectional": True, "output": "last"},
    {"output": "last", "layout": "batch"},
]


def drawn(layer: Any, seed: int = 0) -> tuple[Any, Any, Any]:
    """Weights, x in time order, and a state."""
    rng = np.random.default_rng(seed)
    state = {n: rng.normal(size=(B, int(s[0]))) for n, s in layer.state_shapes().items()}
    return layer.random(seed), rng.normal(size=(T, B, int(layer.sizes["n"]))), state


def in_layout(layer: Any, array: Any) -> Any:
    return array.swapaxes(0, 1) if layer.layout == "batch" else array


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@tried(15)
@given(lengths=st.lists(st.integers(0, T), min_size=B, max_size=B))
def test_each_sample_is_as_if_alone(options: dict[str, Any], lengths: list[int]) -> None:
    """A sample of length s is the first s steps of it, run alone; after its end y is 0."""
    layer = ls.lstm(5, 4, **options)
    weights, x, state = drawn(layer)
    run = ls.compile(layer)
    y, after = run(in_layout(layer, x), weights, state, lengths=lengths)
    for b, length in enumerate(lengths):
        own = {name: array[b : b + 1] for name, array in state.items()}
        alone, end = run(in_layout(layer, x[:length, b : b + 1]), weights, own)
        for name in end:
            np.testing.assert_allclose(after[name][b], end[name][0], rtol=0, atol=1e-13)
        if layer.output == "last":
            np.testing.assert_allclose(y[b], alone[0], rtol=0, atol=1e-13)
            continue
        shown = in_layout(layer, y)[:, b]
        if not layer.realign:  # left in reversed time: the padding comes first
            shown = np.roll(shown, length - T, axis=0)
        np.testing.assert_allclose(shown[:length], in_layout(layer, alone)[:, 0], rtol=0, atol=1e-13)
        assert not shown[length:].any()


@tried(25)
@given(mask=st.lists(st.lists(st.booleans(), min_size=B, max_size=B), min_size=T, max_size=T))
def test_a_mask_leaves_steps_out(mask: list[list[bool]]) -> None:
    """The steps that are there, run alone, are what a masked run computes; y repeats where they are not."""
    layer = ls.lstm(5, 4, padding="repeat")
    weights, x, state = drawn(layer)
    y, after = ls.compile(layer)(x, weights, state, mask=np.array(mask))
    for b in range(B):
        there = [t for t in range(T) if mask[t][b]]
        alone, end = ls.compile(layer)(x[there, b : b + 1], weights, {n: a[b : b + 1] for n, a in state.items()})
        np.testing.assert_allclose(y[there, b], alone[:, 0], rtol=0, atol=1e-13)
        np.testing.assert_allclose(after["c"][b], end["c"][0], rtol=0, atol=1e-13)
        before = state["l0.h"][b]
        for t in range(T):
            before = y[t, b] if mask[t][b] else before
            np.testing.assert_array_equal(y[t, b], before)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_compiled_is_interpreted(options: dict[str, Any]) -> None:
    layer = ls.lstm(5, 4, **options).with_(layout="time")
    weights, x, state = drawn(layer)
    lengths = np.array([7, 0, 3, 1])
    y, after = ls.compile(layer)(x, weights, state, lengths=lengths)
    alive = (np.arange(T)[:, None] < lengths)[:, :, None]
    told = interpret(lower(layer, masked=True), x, weights, state, alive)
    np.testing.assert_allclose(y, told.output, rtol=0, atol=1e-12)
    for carried in lower(layer, masked=True).states:
        np.testing.assert_allclose(after[carried.before], told.finals[carried.final], rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_masked_code_reads_the_same_packed_weights(options: dict[str, Any]) -> None:
    layer = ls.lstm(5, 4, **options)
    sources = [emit_numpy(optimize(lower(layer, masked)), "title") for masked in (False, True)]
    plain, masked = (source[source.index("def pack") : source.index("def step")] for source in sources)
    assert plain == masked


MERGES = {
    "sum": lambda f, b: f + b,
    "mul": lambda f, b: f * b,
    "average": lambda f, b: (f + b) / 2,
    "apart": lambda f, b: np.stack([f, b], axis=-3),
}


@pytest.mark.parametrize(("merge", "output"), list(product(MERGES, ("sequence", "last"))))
def test_a_merge_is_of_both_directions(merge: str, output: Any) -> None:
    """Merged outputs are those of a forward and of a reverse layer with the same weights."""
    layer = ls.lstm(5, 4, bidirectional=True, merge=merge, output=output)
    weights, x, _ = drawn(layer)
    y, _ = ls.compile(layer)(x, weights)
    sides = []
    for direction in ("forward", "reverse"):
        own = layer.with_(direction=direction, merge="concat")
        named = {name: weights[name] for name in own.parameter_shapes()}
        sides.append(ls.compile(own)(x, named)[0])
    np.testing.assert_allclose(y, MERGES[merge](*sides), rtol=0, atol=1e-14)
    assert y.shape == tuple(map(int, layer.shapes(batch=B, time=T)["y"].sizes))
    batched = ls.compile(layer.with_(layout="batch"))(x.swapaxes(0, 1), weights)[0]
    assert batched.shape == tuple(map(int, layer.with_(layout="batch").shapes(batch=B, time=T)["y"].sizes))
    expected = np.moveaxis(y, -2, 0) if y.ndim > 2 else y
    np.testing.assert_array_equal(batched, expected)


def test_a_stack_of_sums_is_narrow() -> None:
    layer = ls.lstm("n", "k", bidirectional=True, layers=2, merge="sum")
    assert str(layer.parameter_shapes()["l1.W_f"]) == "(k, k)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"lengths": [7, 7, 8, -1]},
            "error[lengths]: a length is out of range\n  expected 0 to T = 7\n  found    8 of sample 2, -1 of sample 3",
        ),
        (
            {"lengths": [7, 7]},
            "error[lengths]: the lengths do not fit x\n  expected 4 whole numbers, one a sample\n  found    int64 (2,)",
        ),
        (
            {"mask": np.ones((4, 7), bool)},
            "error[mask]: the mask does not fit x\n  expected booleans (T, B) = (7, 4)\n  found    bool (4, 7)",
        ),
        (
            {"mask": np.ones((7, 4))},
            "error[mask]: the mask does not fit x\n  expected booleans (T, B) = (7, 4)\n  found    float64 (7, 4)",
        ),
        (
            {"mask": np.ones((7, 4), bool), "lengths": [7] * 4},
            "error[options]: lengths do not go with a mask\n  help     put the ends into the mask",
        ),
    ],
)
def test_what_does_not_fit(options: dict[str, Any], message: str) -> None:
    layer = ls.lstm(5, 4)
    weights, x, _ = drawn(layer)
    with pytest.raises(LstmSpecError) as caught:
        ls.compile(layer)(x, weights, **options)
    assert str(caught.value) == message


def test_a_cell_may_keep_running() -> None:
    """y is that of whole sequences, the states those at each sample's own end: as Flax's RNN returns them."""
    layer = ls.lstm(5, 4, layers=2, padding="run")
    weights, x, state = drawn(layer)
    lengths = [7, 0, 3, 1]
    y, after = ls.compile(layer)(x, weights, state, lengths=lengths)
    np.testing.assert_array_equal(y, ls.compile(layer)(x, weights, state)[0])
    kept = ls.compile(layer.with_(padding="zero"))(x, weights, state, lengths=lengths)[1]
    assert all(np.array_equal(after[name], kept[name]) for name in kept)
    last = ls.compile(layer.with_(output="last"))(x, weights, state, lengths=lengths)[0]
    np.testing.assert_array_equal(last, after["l1.h"])


def test_an_output_that_is_no_state_is_not_repeated() -> None:
    cell = ls.parse("input x[n]\nstate h[k]\noutput g\ng = tanh(W x)\nh' = tanh(U h + g)")
    layer = ls.Layer(cell, n=5, k=4, padding="repeat")
    with pytest.raises(LstmSpecError, match="the output g is no state"):
        ls.compile(layer)(np.zeros((T, B, 5)), layer.random(0), lengths=[1] * B)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"merge": "sum"},
            "error[options]: merge='sum' needs two directions\n  found    forward\n"
            "  help     bidirectional, or no merge",
        ),
        (
            {"merge": "apart", "bidirectional": True, "layers": 2},
            "error[options]: merge='apart' goes with one layer only\n"
            "  because  the layer above would read two sequences",
        ),
        ({"padding": "none"}, "error[option]: padding='none' is unknown\n  expected zero, repeat, run"),
        (
            {"padding": "run", "reverse": True},
            "error[options]: padding='run' goes with forward layers only\n"
            "  because  a cell that reads backwards would run through the padding first\n"
            "  help     padding='zero', or 'repeat'",
        ),
    ],
)
def test_layers_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LstmSpecError) as caught:
        ls.lstm(5, 4, **options)
    assert str(caught.value) == message
