"""Slips that a cell may have and still be a cell: each rule, its whole message, and what it leaves alone."""

from __future__ import annotations

import pytest

from lstm_spec.cells.family import BIASES, COUPLINGS, LstmOptions, lstm_cell
from lstm_spec.errors import CellError
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.lint import lint_cell

START = "input x[n]\nstate h[k], c[k]\n"
GATES = {
    "i": "i = sigmoid(W_i x + U_i h + b_i)",
    "f": "f = sigmoid(W_f x + U_f h + b_f)",
    "g": "g = tanh(W_g x + U_g h + b_g)",
    "o": "o = sigmoid(W_o x + U_o h + b_o)",
    "c'": "c' = f * c + i * g",
    "h'": "h' = o * tanh(c')",
}


def lstm_with(start: str = START, **changed: str) -> str:
    """The plain LSTM with other equations; "new" is one more."""
    names = {"c_": "c'", "h_": "h'"}
    return start + "\n".join((GATES | {names.get(name, name): text for name, text in changed.items()}).values()) + "\n"


def warnings(text: str) -> list[str]:
    return [str(finding) for finding in lint_cell(parse(text, "my.cell")).findings]


def test_a_bias_that_two_gates_share() -> None:
    """numpy-ml's issue 42: one bias read where another was meant."""
    assert warnings(lstm_with(g="g = tanh(W_g x + U_g h + b_o)")) == [
        "warning[reused]: b_o is read twice: in g and o\n"
        "  at       my.cell:6   o = sigmoid(W_o x + U_o h + b_o)\n"
        "                                                   ^^^\n"
        "  because  it is one tensor, counted and trained once\n"
        "  help     if two tensors are meant, give each a name of its own"
    ]


def test_a_matrix_read_three_times() -> None:
    (warning,) = warnings(lstm_with(i="i = sigmoid(W x + U_i h + b_i)", f="f = sigmoid(W x + U_f h + W x)"))
    assert warning.startswith("warning[reused]: W is read 3 times: in i and f\n")


def test_a_gate_that_is_another() -> None:
    """Its parameters are not told one by one as well."""
    assert warnings(lstm_with(f="f = sigmoid(b_i + W_i x + U_i h)")) == [
        "warning[equal]: i and f are the same\n"
        "  at       my.cell:4   f = sigmoid(b_i + W_i x + U_i h)\n"
        "                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  because  each is sigmoid(W_i x + U_i h + b_i)\n"
        "  help     give each its own parameters, or write the one in place of the other"
    ]


def test_a_gate_that_is_another_under_a_name() -> None:
    text = lstm_with(i="z = W_i x + U_i h + b_i\ni = sigmoid(z)", f="f = sigmoid(z)")
    assert [w.splitlines()[0] for w in warnings(text)] == ["warning[equal]: i and f are the same"]


def test_a_state_that_is_another_by_name_is_meant_so() -> None:
    assert warnings("input x[n]\nstate h[k], c[k]\nc' = tanh(W x + U h + V c)\nh' = c'\n") == []


def test_gates_that_change_nothing() -> None:
    assert warnings(lstm_with(h_="h' = o * tanh(W_h x)")) == [
        "warning[no-effect]: i, f, g and c' have no effect on h\n"
        "  at       my.cell:3   i = sigmoid(W_i x + U_i h + b_i)\n"
        "                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  because  nothing that h is computed from, at this step or before, reads them\n"
        "  help     read them, or remove them"
    ]


def test_an_input_that_changes_nothing() -> None:
    assert warnings("input x[n]\nstate h[k], c[k]\nh' = tanh(U h + b)\nc' = tanh(W x) + c\n") == [
        "warning[no-effect]: x and c' have no effect on h\n"
        "  at       my.cell:4   c' = tanh(W x) + c\n"
        "                       ^^^^^^^^^^^^^^^^^^\n"
        "  because  nothing that h is computed from, at this step or before, reads them\n"
        "  help     read them, or remove them"
    ]


def test_a_gate_that_nobody_reads_is_an_error_already() -> None:
    with pytest.raises(CellError, match="g is computed but never read"):
        parse(lstm_with(c_="c' = f * c + i"))


def test_a_state_that_is_not_read() -> None:
    gates = {gate: GATES[gate].replace(f"U_{gate} h", f"U_{gate} c") for gate in "ifgo"}
    assert warnings(lstm_with(**gates)) == [
        "warning[unread-state]: h is a state, and its value before the step is never read\n"
        "  at       my.cell:8   h' = o * tanh(c')\n"
        "                       ^^^^^^^^^^^^^^^^^\n"
        "  help     read h, or leave it out of the states and drop the prime: h = …"
    ]


def test_a_state_that_is_only_read_after_the_step() -> None:
    (warning,) = warnings(lstm_with(c_="c' = i * g", f="f = sigmoid(W_f x + b_f)", h_="h' = o * tanh(c') * f"))
    assert "  because  every equation that reads it reads c'\n" in warning


def test_a_gate_that_is_always_the_same() -> None:
    assert warnings(lstm_with(f="f = sigmoid(b_f)")) == [
        "warning[constant]: f reads no input and no state\n"
        "  at       my.cell:4   f = sigmoid(b_f)\n"
        "                       ^^^^^^^^^^^^^^^^\n"
        "  because  its value is the same at every step, and in every sequence\n"
        "  help     is a name misspelt?"
    ]


def test_a_parameter_that_looks_like_a_state() -> None:
    assert warnings(lstm_with(o="o = sigmoid(W_o x + U_o h + p_o * C + b_o)")) == [
        "warning[look-alike]: C is a parameter, and c a state\n"
        "  at       my.cell:6   o = sigmoid(W_o x + U_o h + p_o * C + b_o)\n"
        "                                                         ^\n"
        "  help     write c, or give the parameter a name that looks like no other"
    ]
    assert warnings("input x[n]\nstate h[k]\nh' = tanh(X x + H h)\n") == []  # matrices: X x is no slip


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("coupled", [None, *COUPLINGS])
@pytest.mark.parametrize("peephole", [False, True])
def test_the_lstm_has_no_slips(bias: str, coupled: str | None, peephole: bool) -> None:
    options = LstmOptions(bias=bias, coupled=coupled, peephole=peephole)  # type: ignore[arg-type]
    assert lint_cell(lstm_cell(options)).ok


def test_totals_are_no_slips() -> None:
    """A total is handed out at the end of the sequence; what leads to it has an effect."""
    assert warnings("input x[n], e[k]\nstate h[k]\nh' = tanh(U h + W x)\nd_W += e x^T\n") == []


def test_a_report() -> None:
    report = lint_cell(parse(lstm_with(g="g = tanh(W_g x + U_g h + b_o)", f="f = sigmoid(b_f)"), "my.cell"))
    assert str(report).splitlines()[-1] == "2 warnings"
    assert report.to_dict()["ok"] is False
    assert [finding["code"] for finding in report.to_dict()["findings"]] == ["reused", "constant"]
    assert lint_cell(lstm_cell()).to_dict() == {"ok": True, "findings": []}
    assert str(lint_cell(lstm_cell())) == "no warnings"
