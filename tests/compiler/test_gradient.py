"""The backward pass as it runs: against torch.autograd, and against torch's own layers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.compiler.compiled import compile_layer
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
@pytest.mark.parametrize("part", range(4))
def test_a_seventh_of_all_combinations_over_time(part: int) -> None:
    for case in over_time(7)[part::4]:
        check_over_time(case)


def test_every_pair_of_choices_meets_in_them() -> None:
    def pairs(step: int) -> set[Any]:
        axes = combinations(range(9), 2)
        choices = [(str(case[0]), *case[1:]) for case in over_time(step)]
        return {(one, other, case[one], case[other]) for one, other in axes for case in choices}

    assert pairs(7) == pairs(1)
    assert pairs(5) != pairs(1)


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


# ---- a wrong one ----

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
