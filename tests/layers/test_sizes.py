"""How sizes bind, and every size that is none, with its whole message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Dummy, Float, Integer, Rational, Symbol

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import LstmSpecError, SizeError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.sizes import bind_sizes, read_size
from lstm_spec.symbolic.cell import letter
from lstm_spec.symbolic.language import parse
from tests.strategies import law

CELL = lstm_cell()
PROJECTED = lstm_cell(LstmOptions(projection=True))


def bound(cell: Any, *sizes: Any, **named: Any) -> dict[str, str]:
    return {name: str(value) for name, value in bind_sizes(cell, sizes, named).items()}


@pytest.mark.parametrize(
    ("sizes", "named", "found"),
    [
        ((), {}, {"n": "n", "k": "k"}),
        ((5,), {}, {"n": "5", "k": "k"}),
        ((5, 10), {}, {"n": "5", "k": "10"}),
        (("5", "k"), {}, {"n": "5", "k": "k"}),
        ((), {"k": 10}, {"n": "n", "k": "10"}),
        ((5,), {"k": "m"}, {"n": "5", "k": "m"}),
        (("k", "n"), {}, {"n": "k", "k": "n"}),
        (("m", "m"), {}, {"n": "m", "k": "m"}),
        ((5, "n"), {}, {"n": "5", "k": "n"}),
        ((np.int64(5), np.uint8(10)), {}, {"n": "5", "k": "10"}),
        ((np.array(5), Integer(10)), {}, {"n": "5", "k": "10"}),
        ((Symbol("k"), Symbol("n", positive=True)), {}, {"n": "k", "k": "n"}),
        ((10**9, "+7"), {}, {"n": "1000000000", "k": "7"}),
        (("E", "I"), {}, {"n": "E", "k": "I"}),
        (("S", "N"), {}, {"n": "S", "k": "N"}),
        (("O", "Q"), {}, {"n": "O", "k": "Q"}),
        (("beta", "gamma"), {}, {"n": "beta", "k": "gamma"}),
        (("zeta", "pi"), {}, {"n": "zeta", "k": "pi"}),
        (("hidden_size", "_1"), {}, {"n": "hidden_size", "k": "_1"}),
    ],
)
def test_plain_cells(sizes: tuple[Any, ...], named: dict[str, Any], found: dict[str, str]) -> None:
    assert bound(CELL, *sizes, **named) == found


def test_positions_fill_n_then_k_then_the_rest_by_appearance() -> None:
    assert bound(PROJECTED, 5, 10, 3) == {"n": "5", "r": "3", "k": "10"}
    cell = parse("input x[z + a]\nstate h[k]\nlet V[q, b]\nh' = V W x + U q_\nlet q_[b]".replace("V W x", "A V W x"))
    assert bound(cell, 1, 2, 3, 4, 5) == {"z": "2", "a": "3", "k": "1", "q": "4", "b": "5"}


def test_a_letter_is_one_symbol_however_it_was_given() -> None:
    for given_letter in ("m", Symbol("m"), Symbol("m", negative=True)):
        assert read_size(given_letter, "n", CELL) == letter("m")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "n = 0 is too small"),
        (-1, "n = -1 is too small"),
        ("0", "n = 0 is too small"),
        ("-1", "n = -1 is too small"),
        (np.int64(-3), "n = -3 is too small"),
        (5.0, "n = 5.0 is no size\n  found    float"),
        (np.float64(5), "n = 5.0 is no size\n  found    float64"),
        (True, "n = True is no size\n  found    bool"),
        (np.True_, "n = True is no size\n  found    bool"),
        (None, "n = None is no size\n  found    NoneType"),
        ([5], "n = [5] is no size\n  found    list"),
        (np.array([5, 6]), "n = [5 6] is no size\n  found    ndarray"),
        (Rational(1, 2), "n = 1/2 is no size\n  found    Half"),
        (Float(5), "n = 5.00000000000000 is no size\n  found    Float"),
        (2 * Symbol("k"), "n = 2*k is no size\n  found    Mul"),
        (b"5", "n = b'5' is no size\n  found    bytes"),
        ("5.0", "n = 5.0 is no size"),
        ("1e3", "n = 1e3 is no size"),
        ("2k", "n = 2k is no size"),
        ("", "n = '' is no size"),
        (" 5", "n =  5 is no size"),
        ("n\n", r"n = n\x0a is no size"),
        ("ｎ", "n = ｎ is no size"),
        ("٣", "n = ٣ is no size"),
        ("__import__('os')", "n = __import__('os') is no size"),
        ("\x1b[31m", r"n = \x1b[31m is no size"),
        (Symbol("a b"), "n = a b is no size"),
        ("m" * 65, f"n = {'m' * 39}… is no size"),
        (10**9 + 1, "n = 1000000001 is too large\n  found    more than 1,000,000,000"),
        ("9" * 5000, f"n = {'9' * 40} is too large\n  found    more than 1,000,000,000"),
        (10**400, f"n = 1{'0' * 38}… is too large\n  found    more than 1,000,000,000"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_size(size: Any, message: str) -> None:
    first, _, found = message.partition("\n")
    with pytest.raises(SizeError) as caught:
        bind_sizes(CELL, [size])
    expected = f"error[size]: {first}\n  expected a whole number ≥ 1, or a letter such as n"
    assert str(caught.value) == expected + (f"\n{found}" if found else "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("T", "T counts the time steps"),
        ("B", "B counts the batch"),
        ("L", "L counts the layers"),
        ("D", "D counts the directions"),
        ("lambda", "lambda is a keyword"),
        ("None", "None is a keyword"),
        ("input", "input is a keyword"),
        ("let", "let is a keyword"),
        ("tanh", "tanh is a function of the equation language"),
        ("f", "f is a tensor of this cell (gate)"),
        ("x", "x is a tensor of this cell (input)"),
        ("c", "c is a tensor of this cell (state)"),
        ("W_f", "W_f is a tensor of this cell (parameter)"),
    ],
)
@pytest.mark.parametrize("kind", [str, Symbol])
def test_what_is_no_letter(name: str, reason: str, kind: Any) -> None:
    with pytest.raises(SizeError) as caught:
        bind_sizes(CELL, (3, kind(name)))
    assert str(caught.value) == (
        f"error[size]: k = {name} cannot be a letter\n"
        "  expected a whole number ≥ 1, or a letter such as n\n"
        f"  found    {reason}\n"
        "  help     choose another letter, e.g. m"
    )


def test_a_dummy_is_a_letter_by_its_name() -> None:
    assert read_size(Dummy("m"), "n", CELL) == letter("_m")


@pytest.mark.parametrize(
    ("sizes", "named", "message"),
    [
        ((1, 2, 3), {}, "3 is one size too many\n  expected at most 2: n, k\n  help     remove it"),
        ((1, 2, "\x1b"), {}, "\\x1b is one size too many\n  expected at most 2: n, k\n  help     remove it"),
        ((1,), {"n": 2}, "n is given twice\n  found    1 and 2"),
        ((), {"q": 2}, "the cell has no size q\n  expected n, k\n  help     sizes are named as in the equations"),
    ],
)
def test_what_does_not_bind(sizes: tuple[Any, ...], named: dict[str, Any], message: str) -> None:
    with pytest.raises(SizeError) as caught:
        bind_sizes(CELL, sizes, named)
    assert str(caught.value) == f"error[size]: {message}"


def test_a_letter_may_not_be_an_option() -> None:
    with pytest.raises(SizeError) as caught:
        Layer(parse("input x[layers]\nstate h[k]\nh' = W x"))
    assert str(caught.value) == (
        "error[letter]: layers is a size letter of this cell and an option of every layer\n"
        "  help     choose another letter in the equations"
    )


def test_a_letter_may_be_self() -> None:
    layer = Layer(parse("input x[self]\nstate h[k]\nh' = W x"), self=3)
    assert str(layer.with_(self=4).parameter_count) == "4*k"
    assert lstm("self", 4).at(self=3).parameter_count == 128


@law
@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.booleans(), st.none()))
def test_anything_is_a_size_or_one_clear_error(anything: object) -> None:
    try:
        size = read_size(anything, "n", CELL)
    except LstmSpecError as error:
        told = str(error)
    else:
        assert size.is_Integer or size.is_Symbol
        return
    assert told.startswith("error[size]: n = ")
    assert all(line.isprintable() for line in told.split("\n"))
