"""The LSTM by option: what each option changes in the text, and nothing else."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import OptionError
from lstm_spec.symbolic.language import parse

PLAIN = """\
input x[n]
state h[k], c[k]

i  = sigmoid(W_i x + U_i h + b_i)
f  = sigmoid(W_f x + U_f h + b_f)
g  = tanh(W_g x + U_g h + b_g)
o  = sigmoid(W_o x + U_o h + b_o)
c' = f * c + i * g
h' = o * tanh(c')"""


def equations(options: LstmOptions) -> list[str]:
    return [str(equation) for equation in lstm_cell(options).equations]


def test_plain() -> None:
    assert str(lstm_cell()) == PLAIN
    assert lstm_cell() == lstm_cell(LstmOptions()) == parse(PLAIN)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (LstmOptions(bias="none"), {"f": "f = sigmoid(W_f x + U_f h)", "g": "g = tanh(W_g x + U_g h)"}),
        (LstmOptions(bias="two"), {"f": "f = sigmoid(W_f x + b_Wf + U_f h + b_Uf)"}),
        (
            LstmOptions(peephole=True),
            {
                "i": "i = sigmoid(W_i x + U_i h + p_i * c + b_i)",
                "f": "f = sigmoid(W_f x + U_f h + p_f * c + b_f)",
                "g": "g = tanh(W_g x + U_g h + b_g)",
                "o": "o = sigmoid(W_o x + U_o h + p_o * c' + b_o)",
            },
        ),
        (LstmOptions(coupled="f=1-i"), {"f": "f = 1 - i", "i": "i = sigmoid(W_i x + U_i h + b_i)"}),
        (LstmOptions(coupled="i=1-f"), {"i": "i = 1 - f", "f": "f = sigmoid(W_f x + U_f h + b_f)"}),
        (LstmOptions(projection=True), {"h'": "h' = W_proj (o * tanh(c'))"}),
        (LstmOptions(forget_bias=Fraction(1)), {"f": "f = sigmoid(W_f x + U_f h + b_f + 1)"}),
        (LstmOptions(forget_bias=Fraction(1, 2)), {"f": "f = sigmoid(W_f x + U_f h + b_f + 0.5)"}),
        (LstmOptions(forget_bias=Fraction(-1, 3)), {"f": "f = sigmoid(W_f x + U_f h + b_f - 1 / 3)"}),
        (LstmOptions(forget_bias=Fraction(1, 10**9)), {"f": "f = sigmoid(W_f x + U_f h + b_f + 1e-09)"}),
    ],
    ids=str,
)
def test_options(options: LstmOptions, changed: dict[str, str]) -> None:
    cell = lstm_cell(options)
    assert {name: str(cell.defined[name]) for name in changed} == changed


def test_projection_gives_the_state_a_width_of_its_own() -> None:
    cell = lstm_cell(LstmOptions(projection=True))
    assert [str(d) for d in cell.states] == ["h[r]", "c[k]"]
    assert cell.letters == ("n", "r", "k")


def test_a_cell_is_made_once() -> None:
    assert lstm_cell(LstmOptions(bias="two")) is lstm_cell(LstmOptions(bias="two"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": "both"}, "error[option]: bias='both' is unknown\n  expected none, one, two"),
        ({"bias": True}, "error[option]: bias=True is unknown\n  expected none, one, two"),
        ({"coupled": "yes"}, "error[option]: coupled='yes' is unknown\n  expected f=1-i, i=1-f"),
        ({"peephole": "yes"}, "error[option]: peephole='yes' is unknown\n  expected none, diagonal, full"),
        ({"projection": 3}, "error[option]: projection=3 is unknown\n  expected True, False"),
        (
            {"coupled": "f=1-i", "forget_bias": Fraction(1)},
            "error[options]: forget_bias does not go with coupled='f=1-i'\n"
            "  because  the forget gate is 1 - i there: it has no sum that a constant could join\n"
            "  help     drop one of the two, or couple the other way: i=1-f",
        ),
    ],
    ids=str,
)
def test_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        LstmOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == message
