"""The way back from the equations of an LSTM to its options: a law over the family, and the cells that have none."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_spec import cells
from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.cells.recovering import recover_options
from lstm_spec.errors import OptionError
from tests.laws import tried

numbers = st.sampled_from([Fraction(1), Fraction("0.25"), Fraction(-1, 3), Fraction(7)])
bounds = st.one_of(st.none(), st.sampled_from([Fraction(3), Fraction("0.5"), Fraction(1, 3)]))
activations = st.sampled_from(["sigmoid", "tanh", "relu", "identity", "hard_sigmoid(1/6, 1/2)", "leaky_relu(0.1)"])
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "bias": st.sampled_from(["none", "one", "two", None]),
    "peephole": st.sampled_from(["none", "diagonal", "full"]),
    "peephole_output": st.sampled_from(["after", "before"]),
    "coupled": st.sampled_from([None, "f=1-i", "i=1-f"]),
    "projection": st.booleans(),
    "projection_bias": st.booleans(),
    "forget_bias": st.one_of(st.just(Fraction(0)), numbers),
    "clip": bounds,
    "clip_cell": bounds,
    "clip_projection": bounds,
    "layer_norm": st.sampled_from(["none", "none", "ba", "tfa", "tf1", "tflite"]),
    "gate_activation": activations,
    "candidate_activation": activations,
    "output_activation": activations,
    "gate_hidden": st.booleans(),
}


@tried(300)
@given(chosen=st.fixed_dictionaries({}, optional=CHOICES))
def test_the_equations_of_every_option_lead_back_to_it(chosen: dict[str, Any]) -> None:
    try:
        options = LstmOptions(**chosen)
    except OptionError:
        assume(False)
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
