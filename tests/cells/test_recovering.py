"""The way back from the equations of an LSTM to its options: a law over the family, and the cells that have none."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given

from lstm_spec import cells
from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.cells.recovering import recover_options
from tests.laws import tried
from tests.strategies import family_options


@tried(300)
@given(options=family_options())
def test_the_equations_of_every_option_lead_back_to_it(options: LstmOptions) -> None:
    cell = lstm_cell(options)
    recovered = recover_options(cell)
    assert recovered is not None
    assert lstm_cell(recovered) == cell


@pytest.mark.parametrize("constant", [Fraction(1), Fraction(-1, 3), Fraction("-0.5")])
def test_the_constant_of_the_forget_gate_with_its_sign(constant: Fraction) -> None:
    recovered = recover_options(lstm_cell(LstmOptions(forget_bias=constant)))
    assert recovered is not None
    assert recovered.forget_bias == constant


@pytest.mark.parametrize("name", ["gru", "udacity", "janet", "mlstm", "graves2013", "elman"])
def test_a_cell_that_no_option_gives_has_none(name: str) -> None:
    assert recover_options(cells.get(name)) is None
