"""Cells made in code are held to the same laws as those made from text, and to the grammar's besides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sympy import Integer

from lstm_spec.errors import CellError
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.cell import Cell, Declaration, Equation, letter
from lstm_spec.symbolic.language import parse

CELL = parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h)")
n, k = letter("n"), letter("k")
x, h = a.Name("x"), a.Name("h")


def with_equation(expression: a.Node, target: str = "y") -> Cell:
    return replace(CELL, source=None, outputs=("h", "y"), equations=(*CELL.equations, Equation((target,), expression)))


def with_let(*size: Any, name: str = "y") -> Cell:
    given = Declaration(name, size)
    return replace(
        CELL, source=None, lets=(given,), outputs=("h", "y"), equations=(*CELL.equations, Equation(("y",), x))
    )


def test_a_cell_made_in_code_prints_and_parses_back() -> None:
    cell = with_equation(a.Multiply(a.Number(2), a.Product(a.Transpose(a.Name("W")), h)))
    assert str(cell).endswith("output h, y\n\nh' = tanh(W x + U h)\ny  = 2 * W^T h")
    assert parse(str(cell)) == cell


def test_a_letter_has_no_prime() -> None:
    with pytest.raises(CellError, match=r"\[name\]: m' is no name"):
        with_let(letter("m'"))


def test_declarations_put_letters_in_order() -> None:
    assert str(Declaration("x", (n + k,))) == "x[k + n]"
    assert str(Declaration("x", (n + k,), order=("n", "k"))) == "x[n + k]"
    assert Declaration("x", (n + k,)).order == ("k", "n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tanh", "error[reserved]: tanh is a function: nothing can be named so"),
        ("let", "error[reserved]: let is a keyword: nothing can be named so"),
        ("a b", "error[name]: a b is no name"),
        ("__import__('os')", "error[name]: __import__('os') is no name"),
        ("h''", "error[name]: h'' is no name"),
        ("ｎ", "error[name]: ｎ is no name"),
        ("\x1b[31m", r"error[name]: \x1b[31m is no name"),
        ("", "error[name]:  is no name"),
    ],
)
def test_names(name: str, message: str) -> None:
    with pytest.raises(CellError) as caught:
        with_equation(a.Product(a.Name(name), x))
    assert str(caught.value).splitlines()[0] == message
    with pytest.raises(CellError) as caught:
        with_let(letter(name))
    assert str(caught.value).splitlines()[0] == message


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((), "error[size]: y has 0 sizes"),
        ((n, k, k), "error[size]: y has 3 sizes"),
        ((Integer(0),), "error[size]: 0 is no sum of letters"),
        ((Integer(5),), "error[size]: 5 is no sum of letters"),
        ((n + 1,), "error[size]: n + 1 is no sum of letters"),
        ((n - k,), "error[size]: -k + n is no sum of letters"),
        ((n / 2,), "error[size]: n/2 is no sum of letters"),
        ((n * k,), "error[size]: k*n is no sum of letters"),
    ],
)
def test_sizes(size: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CellError) as caught:
        with_let(*size)
    assert str(caught.value).splitlines()[0] == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (a.Call("shell", x), "error[function]: shell is no known function"),
        (a.Call("tanh"), "error[arguments]: tanh() has not the arguments of tanh"),
        (a.Call("tanh", x, x), "error[arguments]: tanh(x, x) has not the arguments of tanh"),
        (a.Call("elu", x, x), "error[arguments]: elu(x, x) has not the arguments of elu"),
        (a.Call("elu", x), "error[arguments]: elu(x) has not the arguments of elu"),
    ],
)
def test_calls(call: a.Call, message: str) -> None:
    with pytest.raises(CellError) as caught:
        with_equation(a.Add(x, call))
    assert str(caught.value).splitlines()[0] == message


def test_text_with_a_control_character_is_shown_harmlessly() -> None:
    with pytest.raises(CellError) as caught:
        parse("input x[n]\nstate h[k]\nh' = W \x1b[31m x")
    assert str(caught.value).splitlines()[:2] == [
        r"error[syntax]: \x1b is not in the language",
        r"  at       <text>:3   h' = W \x1b[31m x",
    ]
