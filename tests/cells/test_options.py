"""Every option of the LSTM: its counts, what is refused, and what it computes beside a loop written by hand."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.cells.options import LstmOptions
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.errors import LstmSpecError
from tests.cells.option_loop import step
from tests.laws import tried
from tests.strategies import family_options

SIZES = {"n": 3, "k": 4, "r": 2, "j": 5}
Bound = Fraction | None

GOLDEN = [  # at n = 3, k = 4, r = 2, j = 5; sources beside dialects' counts
    ({}, 128),
    ({"bias": "two"}, 144),
    ({"bias": "none"}, 112),
    ({"peephole": True}, 140),
    ({"peephole": True, "bias": "two"}, 156),
    ({"projection": 2, "bias": "two"}, 120),
    ({"projection": 2}, 104),
    ({"projection": 2, "peephole": True}, 116),
    ({"projection": 2, "peephole": True, "bias": "none"}, 100),
    ({"projection": 2, "projection_bias": True}, 106),
    ({"coupled": "i=1-f"}, 96),
    ({"coupled": "f=1-i"}, 96),
    ({"layer_norm": "tf1"}, 152),
    ({"layer_norm": "ba"}, 200),
    ({"layer_norm": "tfa"}, 200),
    ({"layer_norm": "tflite"}, 144),
    ({"peephole": "full"}, 128 + 3 * 16),
    ({"gate_hidden": 5}, 4 * (5 * (3 + 4 + 1) + 4 * (5 + 1))),
    ({"clip": 3, "clip_cell": 1, "gate_activation": "relu"}, 128),
]


@pytest.mark.parametrize(("options", "count"), GOLDEN, ids=str)
def test_golden_counts(options: dict[str, Any], count: int) -> None:
    layer = ls.lstm(3, 4, **options)
    assert layer.parameter_count == count == sum(a.size for a in layer.random(0).values())


@tried(150)
@given(made=family_options(), seed=st.integers(0, 9))
def test_any_options_compute_what_the_loop_does(made: LstmOptions, seed: int) -> None:
    """Compiled, interpreted and by hand; and the text parses back."""
    cell = ls.cells.family.lstm_cell(made)
    assert ls.parse(str(cell)) == cell
    layer = ls.Layer(cell, **{name: SIZES[name] for name in cell.letters})
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=tuple(map(int, s))) for name, s in layer.parameter_shapes().items()}
    x, batch = rng.normal(size=(3, 2, 3)), 2
    state = {name: rng.normal(size=(batch, int(s[0]))) for name, s in layer.state_shapes().items()}
    y, after = ls.compile(layer)(x, weights, state)
    told = interpret(lower(layer), x, weights, state)
    np.testing.assert_allclose(y, told.output, rtol=0, atol=1e-11)
    plain = {name.removeprefix("l0."): array for name, array in weights.items()}
    said = asdict(made)
    said |= {
        name: None if said[name] is None else float(said[name]) for name in ("clip", "clip_cell", "clip_projection")
    }
    said["forget_bias"] = float(said["forget_bias"])
    for b in range(batch):
        h, c = state["l0.h"][b], state["l0.c"][b]
        for t in range(3):
            h, c = step(x[t, b], h, c, plain, said)
            np.testing.assert_allclose(y[t, b], h, rtol=0, atol=1e-11)
        np.testing.assert_allclose(after["c"][b], c, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"gate_activation": "hard_sigmoid"},
            "error[option]: gate_activation='hard_sigmoid' names two functions\n"
            "  expected hard_sigmoid(1/5, 1/2), of Keras 1 and 2 and ONNX, or hard_sigmoid(1/6, 1/2), of Keras 3\n"
            "  help     write the slope and the offset",
        ),
        (
            {"output_activation": "elu"},
            "error[option]: output_activation='elu' has the wrong numbers\n  expected elu(number)",
        ),
        ({"clip": -1}, "error[option]: clip = -1 is too small\n  expected a number > 0"),
        ({"clip_cell": "much"}, "error[option]: clip_cell='much' is no number\n  expected e.g. 1, or 0.5"),
        (
            {"forget_bias": "1e999999999"},
            "error[option]: forget_bias='1e999999999' is no number\n  expected e.g. 1, or 0.5",
        ),
        (
            {"layer_norm": "tf1", "bias": "one"},
            "error[options]: bias='one' does not go with layer_norm='tf1'\n"
            "  because  its normalization brings a bias for each gate\n  help     bias none",
        ),
        (
            {"layer_norm": "ba", "gate_hidden": 5},
            "error[options]: gate_hidden does not go with layer_norm\n"
            "  because  no published cell says which sum is normalized\n  help     drop one",
        ),
        (
            {"projection_bias": True},
            "error[options]: projection_bias needs projection\n"
            "  because  there is no projected h without it\n  help     add projection",
        ),
        (
            {"peephole_output": "before"},
            "error[options]: peephole_output needs peephole\n"
            "  because  without peepholes o sees no cell state\n  help     add peephole",
        ),
        ({"gate_hidden": 3, "j": 3}, "error[options]: j is given twice\n  found    gate_hidden=3, j=3"),
    ],
)
def test_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(LstmSpecError) as caught:
        ls.lstm(3, 4, **chosen)
    assert str(caught.value) == message


def test_an_activation_is_never_code() -> None:
    for text in ("sigmoid(x); import os", "__import__('os')", "tanh\nh' = x", "sigmoid(1", "", "sigmoid)"):
        with pytest.raises(LstmSpecError):
            ls.lstm(3, 4, gate_activation=text)
