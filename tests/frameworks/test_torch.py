"""Our compiled code is `torch.nn.LSTM` and `LSTMCell`: outputs and states, with their weights and with ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.pytorch import PYTORCH
from lstm_spec.frameworks import Request, forward
from tests.frameworks.peers import (
    LARGE,
    TOLERANCE,
    WRONG,
    Case,
    assert_equal,
    cases,
    differences,
    dtypes,
    misread,
    seeds,
    sizes,
    try_few,
    try_many,
    try_some,
)

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

options = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["two", "none"]),
        "layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "layout": st.sampled_from(["time", "batch"]),
        "share": st.sampled_from([0, 0.3, 0.9]),
    }
)
lstm_cases = cases(options)


def module_of(case: Case):
    """The peer, as its own users build it."""
    chosen = case.options
    torch.manual_seed(case.seed)
    module = torch.nn.LSTM(
        case.n,
        case.k,
        chosen["layers"],
        bias=chosen["bias"] == "two",
        batch_first=chosen["layout"] == "batch",
        bidirectional=chosen["bidirectional"],
        proj_size=chosen.get("projection", 0),
        dtype=getattr(torch, case.dtype),
    )
    return module.eval()


def loaded(module, weights, layer):
    """The module with our weights in it."""
    module.load_state_dict({name: torch.from_numpy(a) for name, a in PYTORCH.pack(weights, layer).items()})
    return module


def arrays_of(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def run_module(module, x, layer, state=None):
    """`(y, {name: state})`; h_n and c_n are L·D, layer by layer, forward then reverse."""
    members = [member.prefix for member in layer.members]
    initial = None
    if state is not None:
        initial = tuple(torch.from_numpy(np.stack([state[f"{m}.{s}"] for m in members])) for s in "hc")
    with torch.no_grad():
        y, (h, c) = module(torch.from_numpy(x), initial)
    states = {f"{m}.{s}": a[i].numpy() for i, m in enumerate(members) for s, a in (("h", h), ("c", c))}
    return y.numpy(), states


@given(lstm_cases)
@try_some
def test_their_weights_in_our_code(case):
    hold_theirs(case)


@pytest.mark.slow
@given(lstm_cases)
@try_many
def test_their_weights_in_our_code_many_times(case):
    hold_theirs(case)


def hold_theirs(case):
    module, layer = module_of(case), case.layer
    weights = PYTORCH.unpack(arrays_of(module), layer)
    x, state = case.x(), case.state()
    ours = ls.compile(layer)(x, weights, state)
    assert_equal(ours, run_module(module, x, layer, state), TOLERANCE[case.dtype], f"torch.nn.LSTM {case.dtype}")


@given(lstm_cases)
@try_some
def test_our_weights_in_their_layer(case):
    layer, weights = case.layer, case.weights()
    module = loaded(module_of(case), weights, layer)
    x, state = case.x(), case.state()
    ours = ls.compile(layer)(x, weights, state)
    assert_equal(ours, run_module(module, x, layer, state), TOLERANCE[case.dtype], f"torch.nn.LSTM {case.dtype}")


@given(cases(options))
@try_few
def test_large_weights_step_by_step(case):
    """A recurrence with large weights is chaotic: each step begins at the peer's own state."""
    single = {**case.options, "layout": "time", "layers": 1}
    case = replace(case, time=min(case.time, 10), with_state=True, options=single)
    layer, weights = case.layer, case.weights(scale=3)
    module = loaded(module_of(case), weights, layer)
    run, state = ls.compile(layer), case.state()
    packed = run.pack(weights)
    for x_t in case.x():
        theirs = run_module(module, x_t[None], layer, state)
        ours = run(x_t[None], packed, state)
        assert_equal(ours, theirs, LARGE[case.dtype], f"torch.nn.LSTM {case.dtype}, weights ±3, one step")
        state = theirs[1]


@given(sizes, sizes, st.integers(1, 4), st.integers(1, 8), seeds, dtypes, st.booleans(), st.booleans())
@try_few
def test_lstm_cell(n, k, batch, time, seed, dtype, with_bias, with_state):
    """LSTMCell has the names of a layer without `_l0`; stepping ours is stepping theirs."""
    torch.manual_seed(seed)
    cell = torch.nn.LSTMCell(n, k, bias=with_bias, dtype=getattr(torch, dtype))
    layer, weights = ls.read(cell)
    assert layer.sizes == {"n": n, "k": k}
    assert [tuple(weights["l0.W_g"].shape), ("l0.b_Uo" in weights)] == [(k, n), with_bias]
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((time, batch, n)).astype(dtype)
    state = {s: rng.uniform(-1, 1, (batch, k)).astype(dtype) for s in "hc"} if with_state else None
    theirs = None if state is None else (torch.from_numpy(state["h"]), torch.from_numpy(state["c"]))
    run = ls.compile(layer)
    for x_t in x:
        y, state = run.step(x_t, weights, state)
        with torch.no_grad():
            theirs = cell(torch.from_numpy(x_t), theirs)
        expected = theirs[0].numpy(), {"l0.h": theirs[0].numpy(), "l0.c": theirs[1].numpy()}
        assert_equal((y, dict(state)), expected, TOLERANCE[dtype], f"torch.nn.LSTMCell {dtype}")


@given(lstm_cases)
@try_few
def test_the_layer_that_check_runs_is_the_module(case):
    """`frameworks.forward` rebuilds the module from the file's tensors; it must be the module."""
    module, layer = module_of(case), case.layer.with_(layout="time")
    x = case.x() if case.layer.layout == "time" else np.ascontiguousarray(case.x().swapaxes(0, 1))
    state = replace(case, with_state=True).state()
    for live in (None, module):
        y, states = forward("torch", Request(layer, arrays_of(module), x, state, live=live))
        if case.layer.layout == "batch":
            expected = run_module(module, np.ascontiguousarray(x.swapaxes(0, 1)), layer, state)
            expected = expected[0].swapaxes(0, 1), expected[1]
        else:
            expected = run_module(module, x, layer, state)
        assert differences((y, states), expected) <= TOLERANCE[case.dtype]


def test_a_wrong_gate_order_shows():
    """Before the tests above say anything, they must be able to fail."""
    case = Case(5, 6, 8, 3, 0, "float64", True, {"bias": "two", "layers": 1, "bidirectional": False, "layout": "time"})
    module, layer = module_of(case), case.layer
    expected = run_module(module, case.x(), layer, case.state())
    for gates in ("iofg", "igfo", "ifog", "figo"):
        weights = misread(PYTORCH, gates).unpack(arrays_of(module), layer)
        ours = ls.compile(layer)(case.x(), weights, case.state())
        assert differences(ours, expected) > WRONG, gates
        with pytest.raises(AssertionError):
            assert_equal(ours, expected, TOLERANCE["float64"], "meta")


@given(sizes, sizes, options)
@try_some
def test_three_counts_agree(n, k, chosen):
    """The polynomial in letters, the sum over derived shapes, and `numel`."""
    case = Case(n, k, 1, 1, 0, "float32", False, {name: v for name, v in chosen.items() if name != "share"})
    if chosen["share"] and k > 1:
        case = replace(case, options={**case.options, "projection": max(1, k // 2)})
    layer = case.layer
    letters = ls.lstm("n", "k", **{name: name == "projection" or v for name, v in case.options.items()})
    polynomial = letters.at(n=n, k=k, **({"r": case.options["projection"]} if "projection" in case.options else {}))
    derived = sum(int(np.prod(tuple(map(int, shape)))) for shape in layer.parameter_shapes().values())
    packed = sum(int(np.prod(tuple(map(int, t.shape)))) for t in PYTORCH.tensors(layer))
    theirs = sum(p.numel() for p in module_of(case).parameters())
    polynomial_itself = letters.parameter_count
    evaluated = polynomial_itself.xreplace({s: layer.sizes[str(s)] for s in polynomial_itself.free_symbols})
    assert evaluated == polynomial.parameter_count == derived == packed == theirs


class Counting(torch.nn.LSTM):
    """Remembers how many threads it ran with, and runs only once."""

    def forward(self, x, state=None):
        THREADS.append(torch.get_num_threads())
        if len(THREADS) > 1:
            raise RuntimeError("no more")
        return super().forward(x, state)


THREADS = []


def test_a_module_runs_in_one_thread():
    """And the process has its threads back, whether that went well or not."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert ls.check(Counting(3, 4)).layers[0].agreement.difference < 1e-6
        assert str(ls.check(Counting(3, 4)).layers[0].agreement).endswith("RuntimeError: no more")
        assert (THREADS, torch.get_num_threads()) == ([1, 1], 3)
    finally:
        torch.set_num_threads(before)
