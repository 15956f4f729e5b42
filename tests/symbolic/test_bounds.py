"""Bounds: what is proven of cells, whole messages, and that nothing exceeds it."""

from __future__ import annotations

import pytest
from sympy import Rational

from lstm_spec import cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.errors import OptionError
from lstm_spec.layers.factory import lstm
from lstm_spec.symbolic.bounds import bound_cell
from lstm_spec.symbolic.language import parse

HEAD = "input x[n]\nstate c[k]\noutput c\n"
GATES = "f = sigmoid(W x + b)\ni = sigmoid(V x)\ng = tanh(U x + t)\n"


@pytest.mark.parametrize(
    ("name", "state", "real", "rounded"),
    [
        ("gers2000", "c", "|c_t| <= |c_0| + t", "|c_t| <= (|c_0| + t) / (1 - 2u)"),
        ("gers2000", "h", "(-1, 1)", "[-1, 1]"),
        ("gers2002", "h", "|h_t| <= |c_0| + t", "|h_t| <= (|c_0| + t) / (1 - 2u)"),
        ("hochreiter1997", "c", "|c_t| <= |c_0| + 2 t", "|c_t| <= (|c_0| + 2 t) / (1 - 2u)"),
        ("greff-cifg", "c", "|c_t| <= max(|c_0|, 1)", "|c_t| <= max(|c_0|, 1) (1 + u)^(5t)"),
        ("greff-fgr", "f", "(0, 1)", "[0, 1]"),
        ("gru", "h", "|h_t| <= max(|h_0|, 1)", "|h_t| <= max(|h_0|, 1) (1 + u)^(5t)"),
        ("mgu", "h", "|h_t| <= max(|h_0|, 1)", "|h_t| <= max(|h_0|, 1) (1 + u)^(5t)"),
        ("mut2", "h", "|h_t| <= max(|h_0|, 1)", "|h_t| <= max(|h_0|, 1) (1 + u)^(5t)"),
        ("janet", "h", "|h_t| <= |h_0| + t", "|h_t| <= (|h_0| + t) / (1 - 2u)"),
        ("elman", "h", "(-1, 1)", "[-1, 1]"),
        ("slstm", "c", "|c_t| <= |c_0| + t", "no bound proven"),
        ("slstm", "h", "no bound proven", "no bound proven"),
        ("minlstm", "h", "no bound proven", "no bound proven"),
        ("sak2014", "h", "no bound proven", "no bound proven"),
        ("sru", "c", "no bound proven", "no bound proven"),
    ],
)
def test_the_literature(name, state, real, rounded):
    bound = bound_cell(cells.get(name))[state]
    assert (bound.real_text(), bound.float_text()) == (real, rounded)


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("c' = f * c + (1 - f) * g", "|c_t| <= max(|c_0|, 1)"),
        ("c' = g - f * g + c * f", "|c_t| <= max(|c_0|, 1)"),
        ("c' = g + f * (c - g)", "|c_t| <= max(|c_0|, 1)"),
        ("c' = f / (f + i) * c + i / (f + i) * g", "|c_t| <= max(|c_0|, 1)"),
        ("c' = c - i * (c - 3 * g)", "|c_t| <= max(|c_0|, 3)"),
        ("c' = f * i * c + g", "|c_t| <= |c_0| + t"),
        ("c' = g - f * c", "|c_t| <= |c_0| + t"),
        ("c' = 1/2 * f * c + i * g", "|c_t| <= max(|c_0|, 2)"),
        ("c' = f * c", "|c_t| <= |c_0|"),
        ("c' = clip(f * c + i * g, -3, 3)", "[-3, 3]"),
        ("c' = relu(f * c + i * g)", "|c_t| <= |c_0| + t"),
        ("c' = 2 * f * c + i * g", "no bound proven"),
        ("c' = f * c * c + g", "no bound proven"),
        ("c' = f * c + i * relu(U x)", "no bound proven"),
        ("c' = (f + i) * c + g", "no bound proven"),
    ],
)
def test_a_cell_of_ones_own(text, real):
    names = {word for word in ("f", "i", "g") if word in text.replace("relu", "").replace("clip", "")}
    gates = "".join(line + "\n" for line in GATES.splitlines() if line[0] in names)
    assert bound_cell(parse(HEAD + gates + text))["c"].real_text() == real


def test_the_proof_is_told():
    assert bound_cell(lstm(coupled="f=1-i").cell)["c"].reasons == (
        "c' = f * c + i * g",
        "this is a * c + (1 - a) * m with a = 1 - i in [0, 1] and m = g",
        "|m| <= 1, and a mix of two is no larger than the larger",
    )
    assert bound_cell(cells.get("minlstm"))["h"].reasons == (
        "h' = f / (f + i) * h + i / (f + i) * g: what is mixed in, W_g x + b_g, has no bound of its own",
    )
    own = parse(HEAD + "f = sigmoid(W x)\nc' = 2 * f * c + 1 * f")
    assert bound_cell(own)["c"].reasons == (
        "c' = 2 * f * c + 1 * f: what the state is multiplied by, 2*f, may be 2: more than 1",
    )


def test_a_largest_forget_gate_makes_it_geometric():
    proven = bound_cell(lstm_cell(), ["f <= 0.9"])["c"]
    assert proven.real_text() == "|c_t| <= max(|c_0|, 10)"
    assert proven.over(Rational(0), Rational(10**6)).high == 10
    assert bound_cell(lstm_cell(), ["i <= 1/4", "f <= 0.75"])["c"].real_text() == "|c_t| <= max(|c_0|, 1)"
    assert bound_cell(lstm(coupled="i=1-f").cell, ["f <= 0.9"])["c"].real_text() == "|c_t| <= max(|c_0|, 1)"


def test_a_bound_holds_for_longer_than_any_other():
    """(|c_0| + t) / (1 - 2u) needs t below 2^24 in float32; beyond, each addition may round."""
    proven = bound_cell(lstm_cell())["c"]
    assert proven.over_floats("float16", Rational(0), Rational(2**10)).high == Rational(2**20, 2**10 - 1)
    assert proven.over_floats("float16", Rational(0), Rational(2**11)).high > 2**12
    assert proven.over_floats("float32", Rational(0), Rational(2**25)).high > 2**25 * (1 + Rational(1, 2**26))
    assert proven.over_floats("float16", Rational(0), Rational(10**4)) is None


@pytest.mark.parametrize(
    ("assume", "message"),
    [
        (
            "f ~ 1",
            "error[assume]: the assumption 'f ~ 1' is not read\n  expected a name, <= or >=, and a number: f <= 0.9",
        ),
        (
            "q <= 1",
            "error[assume]: no gate, input or parameter is called q\n"
            "  expected x, W_i, U_i, b_i, W_f, U_f, b_f, W_g, U_g, b_g, W_o, U_o, b_o, i, f, g, o\n"
            "  found    q <= 1",
        ),
        (
            "f > 1",
            "error[assume]: f cannot be so\n  found    f > 1\n  because  f is in (0, 1), from its equation",
        ),
        ("f < 1/0", "error[assume]: 1/0 divides by 0\n  found    f < 1/0"),
    ],
)
def test_wrong_assumptions(assume, message):
    with pytest.raises(OptionError) as error:
        bound_cell(lstm_cell(), [assume])
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("c' = 1001 * c - 1000 * c + g", "|c_t| <= (|c_0| + t) (1 + u)^(8004t)"),
        ("c' = c + 1001 * g - 1000 * g", "|c_t| <= (|c_0| + t) (1 + u)^(8004t)"),
        ("c' = f * c + i * (g - c)", "|c_t| <= (|c_0| + t) (1 + u)^(8t)"),
        ("c' = c + f * (g - c)", "|c_t| <= max(|c_0|, 1) (1 + u)^(10t)"),
        ("c' = f * c + i * g - f * c", "no bound proven"),
    ],
)
def test_rounding_of_terms_that_cancel(text, rounded):
    gates = "".join(line + "\n" for line in GATES.splitlines() if line[0] in text)
    assert bound_cell(parse(HEAD + gates + text))["c"].float_text() == rounded


def test_what_cancels_to_nothing_says_so():
    own = parse(HEAD + GATES + "c' = f * c + i * g - f * c")
    assert bound_cell(own)["c"].reasons[-1] == (
        "in floats nothing is proven: terms cancel that are larger than what is left, and rounding is relative to them"
    )
