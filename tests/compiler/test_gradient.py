"""The backward pass as it runs: against torch.autograd, against finite differences, interpreted and compiled alike."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.passes import GRADIENT_PASSES, optimize
from lstm_spec.compiler.program import Op, Program
from lstm_spec.compiler.verifier import verify
from lstm_spec.errors import InternalError, LstmSpecError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse
from tests.compiler.generated import moderate_cells
from tests.compiler.oracle import Array, random_inputs
from tests.laws import tried

torch = pytest.importorskip("torch")
from tests.compiler.torch_oracle import autograd  # noqa: E402

Found = dict[str, Array]
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}
SEVERAL = parse("input x[n]\nstate h[k], c[k]\noutput h, m, c\nm = sigmoid(V x)\nc' = tanh(W x + U h) * m\nh' = c' * m")


def sized(cell: Cell, **options: Any) -> Layer:
    return Layer(cell, **options).at(**dict(zip(cell.letters, (3, 2, 4, 2), strict=False)))


def both_ways(
    layer: Layer, mask: Array | None = None, dtype: Any = np.float64, time: int = 4, seed: int = 0
) -> tuple[Found, Found]:
    """What autograd and the compiled code find, by name."""
    batch = 3
    x, weights, state = random_inputs(layer, time, batch, seed, dtype)
    rng = np.random.default_rng(seed + 1)
    d_state = {n: rng.normal(size=v.shape).astype(dtype) for n, v in state.items()}
    alive = np.ones((time, batch, 1), bool) if mask is None else mask[:time]
    y, d_y, wanted = autograd(
        layer, x, weights, state, lambda shape: rng.normal(size=shape).astype(dtype), d_state, alive
    )
    given_mask = {}
    if mask is not None:
        given_mask = {"mask": alive[:, :, 0] if layer.layout == "time" else alive[:, :, 0].T}
    found_y, _, grads = compile_layer(layer, gradient=True).gradient(x, weights, d_y, state, d_state, **given_mask)
    assert list(grads.weights) == list(weights)
    assert list(grads.state) == list(state)
    return wanted | {"y": y}, {"x": grads.x, **grads.weights, **grads.state, "y": found_y}


def agree(pair: tuple[Found, Found], dtype: Any = np.float64) -> None:
    for name, wanted in pair[0].items():
        found = pair[1][name]
        assert (found.dtype, found.shape) == (dtype, wanted.shape), name
        scale = max(float(np.abs(wanted).max(initial=0)), 1e-3)
        assert float(np.abs(found - wanted).max(initial=0)) <= TOLERANCE[dtype] * scale, name


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", cells.names())
def test_every_catalogue_cell_has_the_gradients_of_autograd(name: str, dtype: Any) -> None:
    agree(both_ways(sized(cells.get(name)), dtype=dtype), dtype)


FAMILY: list[dict[str, Any]] = [
    {"bias": "two", "peephole": True},
    {"bias": "none"},
    {"coupled": "f=1-i", "peephole": True},
    {"coupled": "i=1-f", "forget_bias": 1},
    {"projection": 4, "projection_bias": True, "clip_projection": "1/2"},
    {"peephole": "full"},
    *({"layer_norm": norm} for norm in ("ba", "tfa", "tf1", "tflite")),
    {"clip": "1/2"},
    {"clip_cell": "1/3"},
    {"gate_hidden": 2},
    {"gate_activation": "hard_sigmoid(1/5, 1/2)"},
    {"gate_activation": "hard_sigmoid(1/6, 1/2)", "candidate_activation": "relu", "output_activation": "softsign"},
    {"candidate_activation": "elu(1)"},
    {"candidate_activation": "leaky_relu(0.1)", "output_activation": "softplus"},
]


@pytest.mark.parametrize("options", FAMILY, ids=str)
def test_every_option_of_the_family_has_the_gradients_of_autograd(options: dict[str, Any]) -> None:
    layer = lstm(3, 3, **options)
    agree(both_ways(layer))
    agree(both_ways(layer, dtype=np.float32), np.float32)


MASK = np.random.default_rng(0).random((4, 3, 1)) < 0.6


def over_time(step: int) -> list[tuple[Any, ...]]:
    every = product(
        (lstm().cell, cells.get("gru"), SEVERAL),
        (1, 2),
        ("forward", "reverse", "both"),
        ("time", "batch"),
        ("sequence", "last"),
        (True, False),
        ("concat", "sum", "mul", "average", "apart"),
        ("zero", "repeat"),
        (False, True),
    )
    real = [c for c in every if (c[6] == "concat" or c[2] == "both") and not (c[6] == "apart" and c[1] > 1)]
    no_padding = [c for c in real if not (c[8] and c[0] is SEVERAL and (c[7] == "repeat" or c[4] == "last"))]
    return no_padding[::step]


def check_over_time(case: tuple[Any, ...]) -> None:
    cell, layers, direction, layout, output, realign, merge, padding, masked = case
    options: dict[str, Any] = {"direction": direction, "layout": layout, "output": output, "realign": realign}
    layer = sized(cell, layers=layers, merge=merge, padding=padding, **options)
    agree(both_ways(layer, MASK if masked else None))


@pytest.mark.parametrize("case", over_time(23), ids=lambda c: " ".join(map(str, c[1:])))
def test_stacks_directions_merges_layouts_and_masks(case: tuple[Any, ...]) -> None:
    check_over_time(case)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_every_combination_over_time(part: int) -> None:
    for case in over_time(1)[part::20]:
        check_over_time(case)


@tried(40, *HealthCheck)
@given(cell=moderate_cells(), both=st.booleans())
def test_any_cell_has_the_gradients_of_autograd(cell: Cell, both: bool) -> None:
    agree(both_ways(sized(cell, direction="both" if both else "forward"), time=3))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_torchs_own_lstm_on_packed_sequences(bidirectional: bool) -> None:
    layer = ls.lstm(5, 7, layers=2, bidirectional=bidirectional, bias="two")
    theirs = torch.nn.LSTM(5, 7, num_layers=2, bidirectional=bidirectional).double()
    dialect = ls.dialects.get("pytorch")
    weights = dialect.unpack({n: p.detach().numpy() for n, p in theirs.state_dict().items()}, layer)
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(6, 3, 5)), np.array([6, 4, 1])
    leaf = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(leaf, lengths)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], total_length=6)
    d_y = rng.normal(size=y.shape)
    (y * torch.tensor(d_y)).sum().backward()
    wanted = dialect.unpack({n: p.grad.numpy() for n, p in theirs.named_parameters()}, layer)
    run = ls.compile(layer, gradient=True)
    poisoned = np.where(np.arange(6)[:, None, None] < lengths[:, None], x, np.nan)
    _, _, grads = run.gradient(poisoned, run.pack(weights), d_y, lengths=lengths)
    assert np.allclose(grads.x, leaf.grad.numpy(), atol=1e-12, rtol=0)
    for name, gradient in wanted.items():
        assert np.allclose(grads.weights[name], gradient, atol=1e-12, rtol=0), name


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_torchs_gru_and_rnn(kind: str) -> None:
    theirs = getattr(torch.nn, kind)(3, 4).double()
    layer = Layer(cells.get("gru-two-biases" if kind == "GRU" else "elman"), n=3, k=4)
    parts = {n.rpartition("_l0")[0]: p for n, p in theirs.named_parameters()}

    def ours(value: Callable[[Any], Array]) -> Found:
        arrays = {n: value(p) for n, p in parts.items()}
        if kind == "RNN":
            return {"W": arrays["weight_ih"], "U": arrays["weight_hh"], "b": arrays["bias_ih"] + arrays["bias_hh"]}
        stems = {"weight_ih": "W_", "weight_hh": "U_", "bias_ih": "b_W", "bias_hh": "b_U"}
        return {stem + gate: arrays[n][4 * i : 4 * i + 4] for n, stem in stems.items() for i, gate in enumerate("rzg")}

    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    leaf = torch.tensor(x, requires_grad=True)
    y = theirs(leaf)[0]
    d_y = np.random.default_rng(1).normal(size=y.shape)
    (y * torch.tensor(d_y)).sum().backward()
    _, _, grads = compile_layer(layer, gradient=True).gradient(x, ours(lambda p: p.detach().numpy()), d_y)
    wanted = ours(lambda p: p.grad.numpy())
    assert np.allclose(grads.x, leaf.grad.numpy(), atol=1e-13, rtol=0)
    for name, gradient in wanted.items():
        scale = 2 if name == "b" else 1  # both of PyTorch's biases get the gradient of their sum
        assert np.allclose(grads.weights[f"l0.{name}"] * scale, gradient, atol=1e-13, rtol=0), name


# ---- kinks ----

KINKED = {
    "relu(x + 0 * b)": 0.0,
    "clip(x + 0 * b, -1, 0)": 1.0,
    "hard_sigmoid(x + 0 * b, 1/5, 0)": 0.0,
    "max(x, 0 * b)": 0.5,
    "abs(x + 0 * b)": 0.0,
}


@pytest.mark.parametrize("right", KINKED)
def test_a_kink_has_pytorchs_derivative_when_it_runs(right: str) -> None:
    layer = Layer(parse(f"input x[k]\nstate s[k]\noutput y\ny = {right} + 0 * s\ns' = s"), k=2)
    x, ones = np.zeros((1, 1, 2)), np.ones((1, 1, 2))
    _, _, grads = compile_layer(layer, gradient=True).gradient(x, {"b": np.ones(2)}, ones)
    assert np.array_equal(grads.x, KINKED[right] * ones)


# ---- nothing to add up ----


@pytest.mark.parametrize(("time", "batch"), [(0, 2), (3, 0), (0, 0)])
def test_no_steps_and_no_samples(time: int, batch: int) -> None:
    layer = lstm(3, 2, peephole=True)
    x, weights, state = random_inputs(layer, time, batch, 0)
    d_state = {n: np.full_like(v, 2.0) for n, v in state.items()}
    y, _, grads = compile_layer(layer, gradient=True).gradient(x, weights, np.zeros((time, batch, 2)), state, d_state)
    assert y.shape == (time, batch, 2)
    assert grads.x.shape == x.shape
    assert all(np.array_equal(grads.weights[n], np.zeros_like(v)) for n, v in weights.items())
    assert time or all(np.array_equal(grads.state[n], d_state[n]) for n in d_state)
    assert not any(np.shares_memory(grads.state[n], d_state[n]) for n in d_state)


def test_a_dead_sample_adds_nothing_and_hands_the_gradient_through() -> None:
    layer = lstm(3, 2)
    x, weights, state = random_inputs(layer, 4, 2, 0)
    d_y, run = np.ones((4, 2, 2)), compile_layer(layer, gradient=True)
    d_state = {n: np.full_like(v, 3.0) for n, v in state.items()}
    _, _, both = run.gradient(x, weights, d_y, state, d_state, lengths=[4, 0])
    first = {n: v[:1] for n, v in state.items()}
    _, _, one = run.gradient(x[:, :1], weights, d_y[:, :1], first, {n: v[:1] for n, v in d_state.items()})
    assert all(np.allclose(both.weights[n], one.weights[n], atol=1e-14, rtol=0) for n in weights)
    assert all(np.array_equal(both.state[n][1], d_state[n][1]) for n in d_state)
    assert np.array_equal(both.x[:, 1], np.zeros((4, 3)))


# ---- stages ----


def interpreted(program: Program, seed: int = 0) -> list[Array]:
    x, weights, state = random_inputs(program.layer, 3, 2, seed)
    rng = np.random.default_rng(seed)
    gradients = program.gradients
    assert gradients is not None
    given = state | {d: rng.normal(size=state[s].shape) for s, d in gradients.states.items()}
    d_y = rng.normal(size=(3, 2, int(program.layer.output_width)))
    return list(interpret(program, x, weights, given, None, d_y).results)


@pytest.mark.parametrize("cell", [lstm().cell, lstm(peephole=True, projection=True).cell, cells.get("layer-norm")])
def test_each_pass_keeps_the_gradients(cell: Cell) -> None:
    for options in ({}, {"direction": "both", "layers": 2}):
        program = verify(lower(sized(cell, **options), gradient=True))
        before = interpreted(program)
        listings = [str(program)]
        for change in GRADIENT_PASSES:
            program = verify(change(program))
            listings.append(str(program))
            for one, other in zip(before, interpreted(program), strict=True):
                assert np.allclose(one, other, atol=1e-12, rtol=1e-12), change.__name__
        assert not any(loop.totals for loop in program.loops)
        assert len(set(listings)) > 6


def test_totals_leave_the_loop_as_one_product() -> None:
    program = optimize(lower(lstm(3, 2), gradient=True))
    assert [op.kind for op in program.loops[1].body if op.kind in ("product", "turned")] == ["turned"]
    sums = [(op.kind, op.args) for op in program.after if op.kind in ("outer_sum", "sum", "turned")]
    assert sums == [
        ("turned", ("l0.W", "l0.d_z.all")),
        ("outer_sum", ("l0.d_z.all", "x")),
        ("outer_sum", ("l0.d_z.all", "l0.h.before")),
        ("sum", ("l0.d_z.all",)),
    ]


def in_backward(change: Callable[[tuple[Op, ...]], tuple[Op, ...]]) -> Callable[[Program], Program]:
    def broken(program: Program) -> Program:
        stage = program.stages[1]
        loop = replace(stage.loops[0], body=change(stage.loops[0].body))
        return replace(program, stages=(program.stages[0], replace(stage, loops=(loop,))))

    return broken


BROKEN: dict[str, tuple[Callable[[Program], Program], str]] = {
    "a gradient is dropped": (
        in_backward(lambda body: tuple(op for op in body if op.out != "l0.e_h")),
        "step l0.backward: l0.e_c.5 = multiply(l0.e_h, l0.e_c.factor) reads l0.e_h, which is not known there",
    ),
    "a weight is turned the wrong way": (
        in_backward(
            lambda body: tuple(replace(op, args=("l0.W", "l0.d_z")) if op.kind == "turned" else op for op in body)
        ),
        "step l0.backward: l0.d_h' = turned(l0.W, l0.d_z) has the shape (3,), not (2,)",
    ),
    "a total is lost": (
        lambda program: replace(program, after=tuple(op for op in program.after if op.out != "l0.d_b_f")),
        "the output l0.d_b_f is not computed",
    ),
    "a block is out of range": (
        lambda program: replace(
            program,
            after=tuple(replace(op, args=("l0.d_U",)) if op.out == "l0.d_W_i" else op for op in program.after),
        ),
        "after: l0.d_W_i = block(l0.d_U, 0, 2) reads l0.d_U, which is not known there",
    ),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_pass_over_gradients_is_caught(way: str) -> None:
    broken, message = BROKEN[way]
    with pytest.raises(InternalError) as caught:
        optimize(lower(lstm(3, 2), gradient=True), (*GRADIENT_PASSES, broken))
    assert str(caught.value) == message


WRONG = {"tanh": ("1 - v * v", "1 - v"), "sigmoid": ("v * (1 - v)", "v"), "relu": ("step(v)", "1 - step(-v)")}


@pytest.mark.parametrize("function", WRONG)
def test_a_wrong_derivative_would_be_seen(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above is no rubber stamp: with one derivative changed it fails."""
    from sympy import Symbol

    from lstm_spec.symbolic import derivatives
    from lstm_spec.symbolic.gradient import _differentiated

    old, y = derivatives._derived, derivatives.Y
    wrong = {"tanh": 1 - y, "sigmoid": y, "relu": Symbol("y", real=True) * 0 + 1}[function]
    monkeypatch.setattr(derivatives, "_derived", lambda f, side: wrong if f == function else old(f, side))
    cell = parse(f"input x[n]\nstate h[k]\nh' = {function}(W x + U h + b) + 0.1 * tanh(h)")
    with pytest.raises(AssertionError):
        agree(both_ways(sized(cell)))
    monkeypatch.undo()
    _differentiated.cache_clear()
    from lstm_spec.compiler.compiled import _compiled

    _compiled.cache_clear()
    agree(both_ways(sized(cell)))


# ---- the face ----

X, D_Y = np.zeros((4, 2, 3)), np.zeros((4, 2, 2))
LAYER = lstm(3, 2)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no gradient was compiled": (
        lambda: compile_layer(LAYER).gradient(X, LAYER.random(0), D_Y),
        "error[gradient]: this layer was compiled without its gradient\n  help     ls.compile(layer, gradient=True)",
    ),
    "d_y has another shape": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y[:3]),
        "error[shape]: d_y does not have the shape of y\n  expected (T, B, 2) = (4, 2, 2), as y\n  found    (3, 2, 2)",
    ),
    "d_y has another dtype": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y.astype(np.float32)),
        "error[dtype]: d_y is float32; x is float64\n"
        "  expected one dtype, float32 or float64\n"
        "  help     nothing is cast in silence: d_y.astype(np.float64), or cast x",
    ),
    "d_state has another name": (
        lambda: compile_layer(LAYER, gradient=True).gradient(X, LAYER.random(0), D_Y, None, {"h": D_Y[0]}),
        "error[names]: the gradient of the state does not have the layer's names\n  expected l0.h, l0.c\n  found    h",
    ),
    "the last step of nothing": (
        lambda: compile_layer(lstm(3, 2, output="last"), gradient=True).gradient(X[:0], LAYER.random(0), D_Y[0]),
        "error[empty]: the last step of an empty sequence has no gradient to send back\n"
        "  expected T ≥ 1\n"
        "  found    T = 0",
    ),
    "padding runs on": (
        lambda: compile_layer(LAYER.with_(padding="run"), gradient=True).gradient(
            X, LAYER.random(0), D_Y, lengths=[4, 2]
        ),
        "error[padding]: padding='run' has no gradient: y and the states come from two runs\n"
        "  help     padding='zero', or 'repeat'",
    ),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_does_not_fit_is_refused(way: str) -> None:
    call, message = REFUSED[way]
    with pytest.raises(LstmSpecError) as caught:
        call()
    assert str(caught.value) == message


def test_a_layer_with_gradients_runs_packs_and_pickles() -> None:
    run = compile_layer(LAYER, gradient=True)
    x, weights, state = random_inputs(LAYER, 4, 2, 0)
    plain_y, plain_state = compile_layer(LAYER)(x, weights, state)
    y, after = run(x, run.pack(weights), state)
    assert np.array_equal(y, plain_y)
    assert np.array_equal(after["c"], plain_state["c"])
    again = pickle.loads(pickle.dumps(run))
    assert again.source == run.source
    d_y = np.ones_like(y)
    grads = [r.gradient(x, weights, d_y, state)[2] for r in (run, again)]
    assert np.array_equal(grads[0].x, grads[1].x)


# ---- the source ----

GOLDEN = Path(__file__).parent / "golden_gradients"
EMITTED = {"plain": lstm("n", "k"), "stack": lstm(3, 2, peephole=True, layers=2, bidirectional=True)}


@pytest.mark.parametrize("name", EMITTED)
def test_the_source_is_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    path, source = GOLDEN / f"{name}.py", compile_layer(EMITTED[name], gradient=True).source
    if request.config.getoption("--refresh"):
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EMITTED)
def test_the_golden_file_runs_by_itself(name: str) -> None:
    layer = EMITTED[name].at(**dict.fromkeys(EMITTED[name].open_letters, 3))
    x, weights, state = random_inputs(layer, 4, 2, 0)
    d_y = np.random.default_rng(1).normal(size=(4, 2, int(layer.output_width)))
    module = run_path(str(GOLDEN / f"{name}.py"))
    zeros = [np.zeros_like(s) for s in state.values()]
    y, _, d_x, d_weights, _ = module["gradient"](module["pack_gradient"](weights), x, d_y, *state.values(), *zeros)
    found_y, _, grads = compile_layer(EMITTED[name], gradient=True).gradient(x, weights, d_y, state)
    assert np.array_equal(y, found_y)
    assert np.array_equal(d_x, grads.x)
    assert all(np.array_equal(d_weights[n], grads.weights[n]) for n in weights)
