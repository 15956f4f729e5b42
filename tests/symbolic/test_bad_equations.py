"""Every kind of wrong equation, with its whole message; the cases stand in `bad_equations.txt`, to be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from lstm_spec.errors import CellError
from lstm_spec.symbolic.algebra import Name
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.shapes import infer


@dataclass(frozen=True)
class Case:
    """A wrong text and its whole message."""

    name: str
    text: str
    message: str


def read_cases() -> list[Case]:
    """The cases of the file beside this one."""
    blocks = re.split(
        r"^=== (.+)\n", Path(__file__).with_name("bad_equations.txt").read_text(encoding="utf-8"), flags=re.M
    )
    bodies = (body.rstrip("\n").split("\n---\n") for body in blocks[2::2])
    return [Case(name, text, message) for name, (text, message) in zip(blocks[1::2], bodies, strict=True)]


CASES = read_cases()


def test_every_kind_is_there() -> None:
    kinds = {re.match(r"error\[(.+?)\]", case.message)[1] for case in CASES}  # type: ignore[index]
    assert len({case.name for case in CASES}) == len(CASES) > 80
    assert kinds == {
        *("dimension", "product", "undetermined", "unused", "prime", "state", "twice", "cycle", "output", "total"),
        *("letter", "size", "empty", "function", "reserved", "syntax", "arguments", "number"),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case) -> None:
    with pytest.raises(CellError) as caught:
        infer(parse(case.text, "my.cell"))
    assert str(caught.value) == case.message


ABOUT_SIZES = ("error[dimension]", "error[product]", "error[undetermined]")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_sizes_wait_for_inference(case: Case) -> None:
    """A text whose names are wrong is no cell at all."""
    if case.message.startswith(ABOUT_SIZES) or case.name in ("syntax: numbers in a product", "syntax: an index"):
        parse(case.text)
    else:
        with pytest.raises(CellError):
            parse(case.text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_carets_stand_under_what_is_meant(case: Case) -> None:
    with pytest.raises(CellError) as caught:
        infer(parse(case.text, "my.cell"))
    quoted = caught.value.finding.at.split("\n")
    if len(quoted) == 2 and "never closed" not in case.message:
        line, carets = quoted
        meant = line[carets.index("^") : len(carets)]
        assert meant.strip() or "the end" in case.message


HEAD = "input x[n]\nstate h[k]\nh' = "
CHAIN = "\n  help     use two equations"


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("#" * (64 * 1024 + 1), "error[too-long]: the text has more than 64 kB", ""),
        (HEAD + "1" * 31 + " * x", "error[number]: a number has at most 30 digits, and 3 in its exponent", ""),
        (HEAD + "1e1000 * x", "error[number]: a number has at most 30 digits, and 3 in its exponent", ""),
        ("input x[" + "1" * 31 + "k]", "error[number]: a number has at most 30 digits, and 3 in its exponent", ""),
        (HEAD + "(" * 201 + "x", "error[too-deep]: brackets nest deeper than 200", ""),
        (HEAD + "tanh(" * 201 + "x", "error[too-deep]: brackets nest deeper than 200", ""),
        (HEAD + "x" + " + x" * 200, "error[too-deep]: more than 200 levels, or links of a chain", CHAIN),
        (HEAD + "A " * 200 + "x", "error[too-deep]: more than 200 levels, or links of a chain", CHAIN),
        (HEAD + "-" * 200 + "x", "error[too-deep]: more than 200 levels, or links of a chain", CHAIN),
        (HEAD + "x" + "^T" * 200, "error[too-deep]: more than 200 levels, or links of a chain", CHAIN),
    ],
    ids=["long", "digits", "exponent", "factor", "brackets", "calls", "sum", "product", "minus", "transpose"],
)
def test_bounds(text: str, message: str, help: str) -> None:
    with pytest.raises(CellError) as caught:
        parse(text)
    first, _, rest = str(caught.value).partition("\n")
    assert first == message
    assert rest.startswith("  at       <text>")
    assert f"\n{rest}".endswith(help)
    assert max(map(len, rest.splitlines())) <= 140


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "(" * 199 + "W x" + ")" * 199,
        HEAD + "tanh(" * 150 + "W x" + ")" * 150,
        HEAD + "W x" + " + b" * 197,
        HEAD + "-" * 197 + "W x",
        HEAD + f"{'1' * 30} * W x + 1e999 * b",
    ],
    ids=["brackets", "calls", "sum", "minus", "digits"],
)
def test_within_the_bounds(text: str) -> None:
    cell = parse(text)
    assert parse(str(cell)) == cell
    assert infer(cell).text("W") == "k×n"


def test_the_file_is_named_without_its_control_characters() -> None:
    with pytest.raises(CellError) as caught:
        parse(HEAD + "x +", "\x1b[31mmy.cell")
    assert caught.value.finding.at.startswith(r"\x1b[31mmy.cell:3   h' = x +")


def test_a_cell_made_in_code_is_quoted_as_its_equation() -> None:
    """Without a text there is no line to show."""
    whole = parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h)")
    wrong = parse("input x[n]\nstate h[k]\nh' = W x + x")
    with pytest.raises(CellError) as caught:
        infer(Cell(whole.inputs, whole.states, tuple(_bare(e) for e in wrong.equations)))
    assert str(caught.value) == dedent(
        """\
        error[dimension]: h' has k rows, and W x + x has n
          at       h' = W x + x
          because  h' is k (from the state h[k]);  W has n rows (from the input x[n])"""
    )


def _bare(equation: Equation) -> Equation:
    return Equation(equation.targets, equation.expression.xreplace({Name("x"): Name("x")}))
