"""Laws of the equation language, over generated expressions and cells."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import CellError
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.printing import latex, text
from tests.expressions import NAMES, expressions
from tests.strategies import OPTIONS, Drawn, cells, law


def read(expression: str) -> a.Node:
    """An expression by the parser: the right side of the only equation."""
    return parse(f"output y\ny = {expression}").equations[0].expression


@law
@given(expressions())
def test_expression_text_parses_back(node: a.Node) -> None:
    again = read(text(node))
    assert again == node
    assert text(again) == text(node)
    assert hash(again) == hash(node)


@law
@given(expressions())
def test_expressions_survive_pickle_and_copy_as_written(node: a.Node) -> None:
    for other in (pickle.loads(pickle.dumps(node)), copy.deepcopy(node)):
        assert other == node
        assert text(other) == text(node)


@law
@given(expressions(), st.sampled_from(NAMES))
def test_xreplace_renames_and_keeps_the_rest_as_written(node: a.Node, name: str) -> None:
    renamed = node.xreplace({a.Name(name): a.Name("fresh")})
    assert name not in {n.name for n in a.names(renamed)}
    assert renamed.xreplace({a.Name("fresh"): a.Name(name)}) == node
    assert text(renamed.xreplace({a.Name("fresh"): a.Name(name)})) == text(node)


@law
@given(expressions())
def test_brackets_of_latex_match(node: a.Node) -> None:
    shown = latex(node)
    assert shown.count(r"\left(") == shown.count(r"\right)")
    assert shown.count("{") == shown.count("}")


@law
@given(cells())
def test_cell_text_parses_back(drawn: Drawn) -> None:
    again = parse(str(drawn.cell))
    assert again == drawn.cell
    assert str(again) == str(drawn.cell)
    assert hash(again) == hash(drawn.cell)
    assert again.letters == drawn.cell.letters
    assert again.parameters == drawn.cell.parameters


@law
@given(cells())
def test_cells_survive_pickle(drawn: Drawn) -> None:
    again = pickle.loads(pickle.dumps(drawn.cell))
    assert again == drawn.cell
    assert str(again) == str(drawn.cell)


@law
@given(cells())
def test_order_is_computable_and_keeps_every_equation(drawn: Drawn) -> None:
    done: set[str] = set()
    for equation in drawn.cell.ordered:
        assert {name for name in equation.reads if name in drawn.cell.defined} <= done
        done |= set(equation.targets)
    assert sorted(map(str, drawn.cell.ordered)) == sorted(map(str, drawn.cell.equations))
    assert parse(str(replace(drawn.cell, equations=drawn.cell.ordered))).ordered == drawn.cell.ordered


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_lstm_parses_back(options: LstmOptions) -> None:
    cell = lstm_cell(options)
    assert parse(str(cell)) == cell
    assert str(parse(str(cell))) == str(cell)
    assert pickle.loads(pickle.dumps(cell)) == cell


@law
@given(st.text(), st.sampled_from(OPTIONS))
def test_description_is_kept_and_ignored_by_equality(description: str, options: LstmOptions) -> None:
    cell = lstm_cell(options)
    described = replace(cell, description=description)
    assert described == cell
    assert hash(described) == hash(cell)
    again = parse(str(described))
    assert again == cell
    assert bare(again.description) == bare(description)


def bare(text: str) -> str:
    """A text without the white space at the ends of its lines."""
    return "\n".join(line.strip() for line in re.split("\r\n|\r|\n", text)).strip()


def hold_to_the_language(text: str) -> None:
    """A text is a cell, which then parses back, or one error in our own form."""
    try:
        cell = parse(text)
    except CellError as error:
        told = str(error)
    else:
        assert parse(str(cell)) == cell
        return
    assert re.match(r"error\[[a-z-]+\]: \S", told)


@law
@given(st.text(max_size=60))
def test_any_text_is_a_cell_or_one_clear_error(noise: str) -> None:
    hold_to_the_language(f"input x[n]\nstate h[k]\nh' = tanh(W x)\n{noise}")


@law
@given(st.text("xWh'=+-*/^T()[],.19e \n#", max_size=40))
def test_any_text_of_the_alphabet_is_a_cell_or_one_clear_error(noise: str) -> None:
    hold_to_the_language(f"input x[n]\nstate h[k]\nh' = x + {noise}")
