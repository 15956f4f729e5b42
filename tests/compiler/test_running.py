"""How compiled code behaves: steps, chunks, packed weights, strides, aliasing, threads, repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.compiler.compiled import Compiled, compile_layer
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.language import parse
from tests.compiler.oracle import Array, random_inputs
from tests.laws import tried

FULL: dict[str, Any] = {"bias": "two", "peephole": True, "coupled": "i=1-f", "projection": 2, "layers": 2}
LAYERS: dict[str, Layer] = {
    "plain": lstm(3, 4),
    "full": lstm(3, 4, **FULL),
    "batch": lstm(3, 4, layout="batch"),
    "reverse": lstm(3, 4, reverse=True),
    "both": lstm(3, 4, bidirectional=True, layers=2),
    "both last batch": lstm(3, 4, bidirectional=True, output="last", layout="batch"),
    "last": lstm(3, 4, output="last"),
    "h' = c'": Layer(parse("input x[n]\nstate h[k], c[k]\nc' = tanh(W x + U h + c)\nh' = c'"), n=3, k=4),
    "h' = x": Layer(parse("input x[k]\nstate h[k]\nh' = x"), k=4),
    "h' = c, c' = x": Layer(parse("input x[k]\nstate h[k], c[k]\nc' = x\nh' = c"), k=4),
    "h' = b": Layer(parse("input x[n]\nstate h[k], c[k]\noutput h, c\nh' = b\nc' = tanh(W x + c)"), n=3, k=4),
    "h' = x, last": Layer(parse("input x[k]\nstate h[k]\nh' = x"), k=4, output="last"),
    "no state": Layer(parse("input x[n]\nlet y[k]\noutput y\ny = W x"), n=3, k=4),
}
STREAMS = ("plain", "full", "batch", "last", "h' = c'", "h' = c, c' = x", "h' = b", "no state")


def equal(one: tuple[Array, Any], other: tuple[Array, Any]) -> bool:
    """Bit for bit."""
    pairs = [(one[0], other[0]), *((one[1][name], other[1][name]) for name in other[1])]
    return set(one[1]) == set(other[1]) and all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def close(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= 1e-13))


def time_axis(layer: Layer) -> int:
    return 0 if layer.layout == "time" else 1


# ---- one step at a time ----


@pytest.mark.parametrize("name", STREAMS)
def test_steps_equal_the_whole_sequence(name: str) -> None:
    layer = LAYERS[name]
    run = compile_layer(layer)
    x, weights, state = random_inputs(layer, 6, 2, 0)
    whole, finals = run(x, weights, state)
    packed = run.pack(weights)
    outputs = []
    now: Any = state
    for t in range(6):
        y_t, now = run.step(x.take(t, time_axis(layer)), packed, now)
        outputs.append(y_t)
    if layer.output == "last":
        assert close(outputs[-1], whole)
    else:
        assert close(np.stack(outputs, time_axis(layer)), whole)
    assert all(close(now[n], finals[n]) for n in finals)


def test_a_first_step_without_a_state_starts_from_zeros() -> None:
    run = compile_layer(LAYERS["full"])
    x, weights, _ = random_inputs(LAYERS["full"], 2, 3, 0)
    zeros = {name: np.zeros((3, int(s[0]))) for name, s in LAYERS["full"].state_shapes().items()}
    assert equal(run.step(x[0], weights), run.step(x[0], weights, zeros))


@tried(40)
@given(name=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 9), max_size=4))
def test_chunks_equal_the_whole_sequence(name: str, cuts: list[int]) -> None:
    layer = LAYERS[name]
    run = compile_layer(layer)
    x, weights, state = random_inputs(layer, 9, 2, 0)
    whole, finals = run(x, weights, state)
    if layer.output == "last":
        cuts = sorted({0, *cuts} - {9})
    outputs = []
    now: Any = state
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 9], strict=True):
        y, now = run(x.take(range(start, stop), time_axis(layer)), weights, now)
        outputs.append(y)
    joined = outputs[-1] if layer.output == "last" else np.concatenate(outputs, time_axis(layer))
    assert close(joined, whole)
    assert all(close(now[n], finals[n]) for n in finals)


# ---- packed weights ----


@pytest.mark.parametrize("name", LAYERS)
def test_packed_weights_go_wherever_weights_go(name: str) -> None:
    run = compile_layer(LAYERS[name])
    for time, batch in ((5, 2), (1, 1), (5, 2)):
        x, weights, state = random_inputs(LAYERS[name], time, batch, 0)
        assert equal(run(x, run.pack(weights), state), run(x, weights, state))


def test_packed_weights_go_to_the_same_code_in_another_layout() -> None:
    one, other = compile_layer(LAYERS["plain"]), compile_layer(LAYERS["batch"])
    x, weights, state = random_inputs(LAYERS["plain"], 5, 3, 0)
    y, finals = other(x.swapaxes(0, 1), one.pack(weights), state)
    assert equal((y.swapaxes(0, 1), finals), one(x, weights, state))


def test_packed_weights_carry_the_sizes_of_a_layer_in_letters() -> None:
    run = compile_layer(lstm("n", "k", bidirectional=True))
    for n, k in ((3, 2), (1, 5)):
        x, weights, state = random_inputs(lstm(n, k, bidirectional=True), 3, 2, n)
        assert equal(run(x, run.pack(weights), state), compile_layer(lstm(n, k, bidirectional=True))(x, weights, state))


# ---- arrays as they come ----


def strided(array: Array) -> dict[str, Array]:
    """The same numbers lying otherwise in memory."""
    turned = array[tuple(slice(None, None, -1) for _ in array.shape)]
    wide = np.repeat(array, 2, axis=-1)[..., ::2]
    deep = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, -1)), -1, 0)
    backwards = turned.copy()[tuple(slice(None, None, -1) for _ in array.shape)]
    readonly = array.copy()
    readonly.flags.writeable = False
    offset = np.frombuffer(b"1" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
    return {
        "Fortran": np.asfortranarray(array),
        "every second": wide,
        "other axis first": deep,
        "backwards": backwards,
        "read-only": readonly,
        "unaligned": offset,
    }


@pytest.mark.parametrize("name", ["full", "both", "batch", "h' = x", "h' = b"])
@pytest.mark.parametrize("way", strided(np.zeros((2, 2))))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_layout_changes_nothing(name: str, way: str, dtype: str) -> None:
    run = compile_layer(LAYERS[name])
    x, weights, state = random_inputs(LAYERS[name], 4, 3, 0, dtype)
    wanted, finals = run(x, weights, state)
    other = [{n: strided(a)[way] for n, a in some.items()} for some in ({"x": x}, weights, state)]
    y, found = run(other[0]["x"], other[1], other[2])
    bound = 1e-15 if dtype == "float64" else 1e-6  # BLAS may add in another order
    assert np.max(np.abs(y - wanted)) <= 10 * bound
    assert all(np.max(np.abs(found[n] - finals[n])) <= 10 * bound for n in finals)


def test_arrays_without_strides_of_their_own() -> None:
    layer = lstm(3, 4, bias="two", peephole=True)
    run = compile_layer(layer)
    x = np.broadcast_to(np.array(0.25), (5, 2, 3))
    weights = {n: np.broadcast_to(np.array(0.5), tuple(map(int, s))) for n, s in layer.parameter_shapes().items()}
    state = {n: np.broadcast_to(np.array(-0.5), (2, 4)) for n in layer.state_shapes()}
    copies = [{n: a.copy() for n, a in some.items()} for some in (weights, state)]
    y, finals = run(x, weights, state)
    wanted, wanted_finals = run(x.copy(), *copies)
    assert close(y, wanted)
    assert all(close(finals[n], wanted_finals[n]) for n in finals)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("time", "batch"), [(4, 2), (1, 1), (0, 2), (2, 0), (0, 0)])
@pytest.mark.parametrize("with_state", [True, False])
def test_nothing_given_is_changed_and_nothing_returned_is_shared(
    name: str, time: int, batch: int, with_state: bool
) -> None:
    if name == "no state" and time == 0:
        time = 1
    layer = LAYERS[name]
    run = compile_layer(layer)
    x, weights, state = random_inputs(layer, time, batch, 0)
    given_arrays = [x, *weights.values(), *state.values()]
    before = [a.tobytes() for a in given_arrays]
    y, finals = run(x, weights, state if with_state else None)
    outcome = [y, *finals.values()]
    assert [a.tobytes() for a in given_arrays] == before
    assert not any(np.shares_memory(a, b) for a in outcome for b in given_arrays)
    assert not any(np.shares_memory(a, b) for a, b in combinations(outcome, 2))
    assert all(a.flags.writeable and type(a) is np.ndarray for a in outcome)
    kept = [a.copy() for a in outcome]
    for array in outcome:
        array.fill(7)  # what came back is the caller's own
    assert [a.tobytes() for a in given_arrays] == before
    again, finals_again = run(x, weights, state if with_state else None)
    assert all(np.array_equal(a, b) for a, b in zip([again, *finals_again.values()], kept, strict=True))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("batch", [0, 2])
def test_an_empty_sequence_gives_the_states_back(name: str, batch: int) -> None:
    layer = LAYERS[name]
    if name == "no state":
        layer = layer.with_(direction="both")
    run = compile_layer(layer)
    x, weights, state = random_inputs(layer, 0, batch, 0)
    y, finals = run(x, weights, state)
    assert all(np.array_equal(finals[n], state[n]) for n in state)
    width = int(layer.output_width)
    empty = (0, batch, width) if layer.layout == "time" else (batch, 0, width)
    assert y.shape == ((batch, width) if layer.output == "last" else empty)


# ---- more than once, and at once ----


@pytest.mark.parametrize("name", ["full", "both"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_call_repeats_bit_for_bit(name: str, dtype: str) -> None:
    run = compile_layer(LAYERS[name])
    inputs = random_inputs(LAYERS[name], 7, 3, 0, dtype)
    first = run(*inputs)
    run(*random_inputs(LAYERS[name], 5, 2, 1, dtype))
    assert all(equal(run(*inputs), first) for _ in range(5))


def test_eight_threads_get_what_one_gets() -> None:
    layer = LAYERS["full"]
    run = compile_layer(layer)
    jobs = [random_inputs(layer, 20, 16, seed) for seed in range(8)]
    packed = run.pack(jobs[0][1])
    wanted = [run(x, packed, state) for x, _, state in jobs]

    def work(job: int) -> list[bool]:
        x, _, state = jobs[job]
        return [equal(run(x, packed, state), wanted[job]) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        assert all(all(results) for results in pool.map(work, range(8)))


def test_two_streams_may_be_stepped_in_turn() -> None:
    run = compile_layer(LAYERS["plain"])
    jobs = [random_inputs(LAYERS["plain"], 5, 2, seed) for seed in (0, 1)]
    alone = [streamed(run, *job) for job in jobs]
    for pair in zip(*(stream(run, *job) for job in jobs), strict=True):
        assert all(np.array_equal(y, alone[job].pop(0)) for job, y in enumerate(pair))


def stream(run: Compiled, x: Array, weights: Any, state: Any) -> Iterable[Array]:
    for x_t in x:
        y, state = run.step(x_t, weights, state)
        yield y


def streamed(run: Compiled, x: Array, weights: Any, state: Any) -> list[Array]:
    return list(stream(run, x, weights, state))


# ---- not a number ----


@pytest.mark.parametrize("name", ["full", "both", "batch"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")
def test_what_is_not_finite_stays_in_its_sample(name: str, poison: float) -> None:
    layer = LAYERS[name]
    run = compile_layer(layer)
    x, weights, state = random_inputs(layer, 4, 3, 0)
    clean, clean_finals = run(x, weights, state)
    x[(2, 1) if layer.layout == "time" else (1, 2)] = poison
    y, finals = run(x, weights, state)
    batch = 1 - time_axis(layer)
    assert np.array_equal(np.delete(y, 1, batch), np.delete(clean, 1, batch))
    assert not np.array_equal(y.take(1, batch), clean.take(1, batch))
    assert all(np.array_equal(np.delete(finals[n], 1, 0), np.delete(clean_finals[n], 1, 0)) for n in finals)
    if np.isnan(poison):
        assert np.isnan(y.take(1, batch)).any()


def test_compiling_again_gives_the_same_object() -> None:
    make: Callable[[], Layer] = lambda: lstm(5, 10, peephole=True)  # noqa: E731
    assert compile_layer(make()) is compile_layer(make())
