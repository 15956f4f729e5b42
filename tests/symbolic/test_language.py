"""The grammar of design §4, case by case: what binds, what breaks a line, what a number is."""

from __future__ import annotations

import pytest
from sympy import Rational

from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.cell import Cell, letter
from lstm_spec.symbolic.language import parse


def read(expression: str) -> a.Node:
    return parse(f"output y\ny = {expression}").equations[0].expression


def spelled(node: a.Node) -> str:
    """A tree with all its brackets: `(a + (b c))`."""
    inner = [spelled(o) for o in node.operands]
    match node:
        case a.Name() | a.Number():
            return str(node)
        case a.Call():
            return f"{node.function}({', '.join(inner)})"
        case a.Join():
            return f"[{', '.join(inner)}]"
        case a.Negate():
            return f"(-{inner[0]})"
        case a.Transpose():
            return f"({inner[0]}^T)"
        case a.Elementwise():
            return f"({inner[0]} {node.sign} {inner[1]})"
    return f"({inner[0]} {inner[1]})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # juxtaposition, then unary minus, then * /, then + -
        ("a + f * U h", "(a + (f * (U h)))"),
        ("W x * f", "((W x) * f)"),
        ("-W x", "(-(W x))"),
        ("-a * b", "((-a) * b)"),
        ("a * -b", "(a * (-b))"),
        ("-(a * b)", "(-(a * b))"),
        ("- -a", "(-(-a))"),
        ("a - -b", "(a - (-b))"),
        ("W -x", "(W - x)"),
        ("W (-x)", "(W (-x))"),
        ("1 - i", "(1 - i)"),
        # sums and elementwise products to the left, matrix products to the right
        ("a - b - c", "((a - b) - c)"),
        ("a - (b - c)", "(a - (b - c))"),
        ("a / b / c", "((a / b) / c)"),
        ("a / b * c", "((a / b) * c)"),
        ("a / (b * c)", "(a / (b * c))"),
        ("A B x", "(A (B x))"),
        ("(A B) x", "((A B) x)"),
        # a transpose belongs to what stands at its left, and ends the word
        ("W^T x", "((W^T) x)"),
        ("d x^T", "(d (x^T))"),
        ("W^T^T x", "(((W^T)^T) x)"),
        ("(A + B)^T x", "(((A + B)^T) x)"),
        ("W ^T x", "((W^T) x)"),
        ("W^T(x)", "((W^T) x)"),
        ("[a, b]^T W", "(([a, b]^T) W)"),
        # a call has no space before its bracket; a product may have
        ("U (f * h)", "(U (f * h))"),
        ("W tanh(x)", "(W tanh(x))"),
        ("(U) (x)", "(U x)"),
        ("(U)(x)", "(U x)"),
        ("W [h, x]", "(W [h, x])"),
        ("W[h, x]", "(W [h, x])"),
        ("max(a, b) + tanh( x )", "(max(a, b) + tanh(x))"),
        ("[x]", "[x]"),
        ("((x))", "x"),
        # white space
        ("a+b*c", "(a + (b * c))"),
        ("\ta \t +\tb", "(a + b)"),
        ("tanh(\n  W x +\n  b\n)", "tanh(((W x) + b))"),
        ("[\nh,\r\nx]", "[h, x]"),
        ("(a # why\n + b)", "(a + b)"),
        ("x # done", "x"),
    ],
)
def test_binding(text: str, tree: str) -> None:
    assert spelled(read(text)) == tree
    assert spelled(read(str(read(text)))) == tree


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-5", Rational(1, 100_000)),
        ("1E+3", Rational(1000)),
        ("0.1", Rational(1, 10)),
        (".5", Rational(1, 2)),
        ("5.", Rational(5)),
        ("007", Rational(7)),
        ("9" * 30, Rational(10**30 - 1)),
        ("1e999", Rational(10**999)),
    ],
)
def test_numbers_are_exact_and_print_as_written(written: str, value: Rational) -> None:
    node = read(f"{written} * x")
    assert isinstance(node, a.Multiply)
    assert isinstance(node.left, a.Number)
    assert node.left.value == value
    assert str(node) == f"{written} * x"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1/6", Rational(1, 6)),
        ("-1/6", Rational(-1, 6)),
        ("1/-6", None),
        ("(-1)/6", Rational(-1, 6)),
        ("-(1/6)", Rational(-1, 6)),
        ("1 / 6", Rational(1, 6)),
        ("1e-5", Rational(1, 100_000)),
        ("--2", Rational(2)),
    ],
)
def test_numbers_in_calls_may_be_fractions(written: str, value: Rational | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match=r"\[arguments\]: 1 / -6 is no number"):
            read(f"elu(x, {written})")
        return
    call = read(f"elu(x, {written})")
    assert isinstance(call, a.Call)
    assert call.numbers == (value,)
    assert read(str(call)) == call


def test_numbers_compare_by_value() -> None:
    assert read("0.5 * x") == read(".50 * x") == read("5e-1 * x")
    assert read("clip(x, 0.5, 1)") == read("clip(x, 1/2, 1.0)")
    assert hash(read("0.5 * x")) == hash(read(".50 * x"))
    assert read("0.5 * x") != read("0.6 * x")


def test_sums_keep_their_order_in_equality() -> None:
    assert read("a + b") != read("b + a")
    assert read("a * b") != read("b * a")


TEXT = "input x[n]\nstate h[k], c[k]\n\nc' = tanh(W x + U h) + c\nh' = tanh(c')"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        "\ufeff" + TEXT,
        TEXT + "\n\n\n",
        "\n\n" + TEXT,
        TEXT.replace("\n", " # a comment\n"),
        "\n".join("\t  " + line for line in TEXT.split("\n")),
        TEXT.replace("W x + U h", "\n  W x\n  + U h\n"),
        TEXT.replace("h[k], c[k]", "h[k]\nstate c[k]"),
        "h' = tanh(c')\nstate h[k], c[k]\ninput x[n]\nc' = tanh(W x + U h) + c".replace("h' = tanh(c')\n", "")
        + "\nh' = tanh(c')",
    ],
    ids=["crlf", "cr", "bom", "after", "before", "comments", "indented", "broken", "twice", "moved"],
)
def test_white_space_changes_nothing(text: str) -> None:
    assert parse(text) == parse(TEXT)
    assert str(parse(text)) == TEXT


def test_equations_are_kept_in_the_written_order_and_computed_in_another() -> None:
    cell = parse("input x[n]\nstate h[k]\nh' = o * g\ng = tanh(W x)\no = sigmoid(U h)")
    assert [e.left for e in cell.equations] == ["h'", "g", "o"]
    assert [e.left for e in cell.ordered] == ["o", "g", "h'"]
    written = parse("input x[n]\nstate h[k]\ng = tanh(W x)\no = sigmoid(U h)\nh' = o * g")
    assert written.ordered == written.equations


def test_a_long_chain_of_equations_is_ordered_without_recursion() -> None:
    lines = [f"a{i} = a{i + 1}" for i in range(3000)]
    cell = parse("input x[n]\nstate h[n]\nh' = a0\n" + "\n".join(lines) + "\na3000 = x")
    assert cell.ordered[0].left == "a3000"


@pytest.mark.parametrize(
    ("size", "shown", "value"),
    [
        ("k", "k", letter("k")),
        ("4k", "4k", 4 * letter("k")),
        ("4 k", "4k", 4 * letter("k")),
        ("4*k", "4k", 4 * letter("k")),
        ("n + k", "n + k", letter("n") + letter("k")),
        ("k + n", "k + n", letter("n") + letter("k")),
        ("2n + 3k", "2n + 3k", 2 * letter("n") + 3 * letter("k")),
        ("k + k", "2k", 2 * letter("k")),
        ("4*e2", "4*e2", 4 * letter("e2")),  # 4e2 is a number
        ("4 e", "4e", 4 * letter("e")),
    ],
)
def test_sizes(size: str, shown: str, value: object) -> None:
    cell = parse(f"input x[{size}]\nstate h[m]\nh' = W x")
    assert str(cell.inputs[0]) == f"x[{shown}]"
    assert cell.inputs[0].size == (value,)
    assert parse(str(cell)) == cell


def test_letters_come_by_first_appearance() -> None:
    cell = parse("input x[b + a]\nstate h[z], c[a]\nlet V[q, p]\nh' = V W x\nc' = c + U h")
    assert cell.letters == ("b", "a", "z", "q", "p")
    assert parse(str(cell)).letters == cell.letters


def test_a_step_number_of_the_state_may_be_an_input() -> None:
    cell = parse("input c[k], c'[k]\noutput y\ny = c' - c")
    assert [d.name for d in cell.inputs] == ["c", "c'"]
    assert cell.roles["c'"] == "input"


def test_roles() -> None:
    cell = parse("input x[n]\nstate h[k]\noutput y\n[z, y] = W [h, x]\nlet z[k]\nh' = z * b\nd_b += h")
    assert dict(cell.roles) == {
        "x": "input",
        "h": "state",
        "W": "parameter",
        "b": "parameter",
        "z": "gate",
        "y": "gate",
        "h'": "next",
        "d_b": "total",
    }


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("# Gers, Schmidhuber & Cummins 2000\n", "Gers, Schmidhuber & Cummins 2000"),
        ("\n\n  # one\n\t#two\n#\n# three\n", "one\ntwo\n\nthree"),
        ("# one\n\n# two\n", "one"),
        ("", ""),
        ("# a\u2028b = 1\n", "a\u2028b = 1"),  # only \n, \r\n and \r end a line
    ],
)
def test_leading_comments_are_the_description(text: str, description: str) -> None:
    cell = parse(text + TEXT + " # not this\n# nor this")
    assert cell.description == description
    assert cell == parse(TEXT)
    shown = "".join(f"# {line}".rstrip() + "\n" for line in description.split("\n")) if description else ""
    assert str(cell) == shown + TEXT


def test_printed_equations_line_up() -> None:
    assert str(parse("input x[n]\nstate h[k]\n[a, b]=W x\nd += a\nh'=a*b")) == (
        "input x[n]\nstate h[k]\n\n[a, b] = W x\nd      += a\nh'     = a * b"
    )


def test_cells_made_in_code_print_what_they_mean() -> None:
    """A negative number or a fraction in a tree is written with brackets where the text would mean another tree."""
    x, sixth = a.Name("x"), a.Number(Rational(1, 6))
    assert str(a.Divide(x, sixth)) == "x / (1/6)"
    assert str(a.Multiply(a.Number(-2), x)) == "(-2) * x"
    assert str(a.Call("elu", x, sixth)) == "elu(x, 1/6)"


def test_source_is_no_part_of_a_cell() -> None:
    one, other = parse(TEXT, "a.cell"), parse(TEXT, "b.cell")
    assert one == other
    assert isinstance(one, Cell)
    assert one.source != other.source


@pytest.mark.parametrize(
    "name", ["inputs", "state_", "let1", "Output", "sigmoid_", "T", "B", "lambda", "if", "E", "None"]
)
def test_words_that_only_look_reserved(name: str) -> None:
    cell = parse(f"input x[n]\nstate h[k]\n{name} = W x\nh' = {name}")
    assert parse(str(cell)) == cell
