"""Dropout inside a cell, and zoneout: the equations of training and of inference."""

from __future__ import annotations

from typing import Any

import pytest

import lstm_spec as ls
from lstm_spec.layers.noise import Noise
from lstm_spec.symbolic.shapes import infer

LSTM = ls.lstm().cell


def equations(cell: ls.Cell, *names: str) -> list[str]:
    return [str(cell.defined[name]) for name in names]


def test_dropout_on_what_the_matrices_read() -> None:
    made = ls.RecurrentDropout(0.5).trained(LSTM)
    assert str(made.cell).startswith(
        "input x_m[n + k]\nstate h[k], c[k]\nlet x[n], m_h[k]\n\n[x, m_h] = x_m\n"
        "i        = sigmoid(W_i x + U_i (m_h * h) + b_i)\n"
    )
    assert ls.parse(str(made.cell)) == made.cell


def test_a_mask_for_each_gate() -> None:
    made = ls.RecurrentDropout(0.5, apart=True).trained(ls.cells.get("gru"))
    assert equations(made.cell, "z", "r", "g", "h'") == [
        "z = sigmoid(W_z x + U_z (m_h1 * h) + b_z)",
        "r = sigmoid(W_r x + U_r (m_h2 * h) + b_r)",
        "g = tanh(W_g x + U_g (r * (m_h3 * h)) + b_g)",
        "h' = z * h + (1 - z) * g",
    ]


def test_dropout_on_the_candidate_only() -> None:
    made = ls.RecurrentDropout("0.1", on="g", mask="element").trained(LSTM)
    assert equations(made.cell, "g", "i") == [
        "g = m_g * tanh(W_g x + U_g h + b_g)",
        "i = sigmoid(W_i x + U_i h + b_i)",
    ]


def test_zoneout_in_training_and_its_expectation() -> None:
    noise = ls.Zoneout(c="0.5", h=0.05)
    assert equations(noise.trained(LSTM).cell, "c_new", "h_new", "c'", "h'") == [
        "c_new = f * c + i * g",
        "h_new = o * tanh(c_new)",
        "c' = m_c * c + (1 - m_c) * c_new",
        "h' = m_h * h + (1 - m_h) * h_new",
    ]
    assert equations(noise.tested(LSTM), "c'", "h'") == ["c' = 0.5 * c + 0.5 * c_new", "h' = 0.05 * h + 0.95 * h_new"]
    assert noise.tested(LSTM) == ls.zoneout(LSTM, {"c": "1/2", "h": "1/20"})


def test_zoneout_without_expectation_is_the_plain_cell() -> None:
    """MXNet and Chainer."""
    assert ls.Zoneout(expectation=False, c=0.5).tested(LSTM) is LSTM


def test_a_rate_without_a_decimal_is_a_fraction() -> None:
    assert equations(ls.zoneout(LSTM, {"c": "1/3"}), "c'") == ["c' = 1 / 3 * c + 2 / 3 * c_new"]
    assert ls.parse(str(ls.zoneout(LSTM, {"c": "1/3"}))) == ls.zoneout(LSTM, {"c": "1/3"})


@pytest.mark.parametrize("name", ["lstm", *ls.cells.names()])
@pytest.mark.parametrize(
    "noise", [ls.RecurrentDropout(0.5), ls.RecurrentDropout(0.5, apart=True), ls.Zoneout(h=0.5), ls.Zoneout(True, h=0)]
)
def test_the_parameters_of_any_cell_stay(name: str, noise: Noise) -> None:
    cell = LSTM if name == "lstm" else ls.cells.get(name)
    made = None
    try:
        made = noise.trained(cell)
    except ls.LstmSpecError as error:
        refused = error.code
    if made is None:
        assert refused == "noise"  # no matrix reads h, or it is a cell without it
        return
    shapes = {p: shape.size for p, shape in infer(cell).of("parameter").items()}
    for other in (made.cell, noise.tested(cell)):
        assert {p: shape.size for p, shape in infer(other).of("parameter").items()} == shapes
        assert ls.parse(str(other)) == other


WRONG: list[tuple[Any, str]] = [
    (
        lambda: ls.RecurrentDropout(0.5, on="W_f").trained(LSTM),
        """error[noise]: dropout on W_f, which is not a state or a gate
  expected states h, c; gates i, f, g, o""",
    ),
    (
        lambda: ls.RecurrentDropout(0.5, on="g", apart=True).trained(LSTM),
        """error[noise]: dropout on g, which is not a state
  expected states h, c; gates i, f, g, o""",
    ),
    (
        lambda: ls.RecurrentDropout(0.5, on="c").trained(LSTM),
        """error[noise]: no matrix reads the state c
  because  recurrent dropout masks what a matrix reads""",
    ),
    (
        lambda: ls.zoneout(LSTM, {"g": 0.5}),
        """error[noise]: zoneout on g, which is not a state
  expected states h, c; gates i, f, g, o""",
    ),
    (
        lambda: ls.Zoneout(c=1.5),
        """error[option]: c=1.5 is no share
  expected 0 ≤ rate < 1""",
    ),
    (
        lambda: ls.Zoneout(),
        """error[noise]: zoneout keeps states, and none is named
  help     Zoneout(c="0.5", h="0.05")""",
    ),
    (
        lambda: ls.Recurrent(ls.lstm(layers=2), noise=ls.Zoneout(c=0.5)),
        """error[noise]: zoneout 0.5 on c is put into one cell, and this layer has 2
  because  each cell has masks of its own
  help     make a member of the network of each cell""",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_has_no_place_is_told(make: Any, message: str) -> None:
    with pytest.raises(ls.LstmSpecError) as caught:
        make()
    assert str(caught.value) == message
