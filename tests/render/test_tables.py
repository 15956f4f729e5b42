"""Tables as text, Markdown and HTML; what a notebook shows."""

from __future__ import annotations

import re

import pytest

import lstm_spec as ls
from lstm_spec.render import notebook
from lstm_spec.render.listings import equated, list_counts, list_shapes
from lstm_spec.render.tables import Table, html, markdown, plain

TABLE = Table(("a", "bc"), ((("1", "<b>"), ("234", "|")), (("", "ü"),)))


def test_plain():
    assert plain(TABLE) == "a    bc\n\n1    <b>\n234  |\n\n     ü"


def test_markdown():
    assert markdown(TABLE) == "| a | bc |\n|---|---|\n| 1 | <b> |\n| 234 | \\| |\n|  | ü |"


def test_html_escapes():
    shown = html(TABLE)
    assert "&lt;b&gt;" in shown
    assert re.findall(r"<(\w+)>", shown) == (
        ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "tr", "td", "td", "tbody", "tr", "td", "td"]
    )


def test_an_empty_table_shows_its_headings():
    assert plain(Table(("name",), ())) == "name"


def test_no_tensor_is_left_out():
    shapes = ls.lstm(5, "k", layers=2, bidirectional=True).shapes(batch=3)
    table = list_shapes(shapes)
    assert [row[0] for row in table.rows] == [str(tensor) for tensor in shapes.tensors]


def test_counts_are_grouped_by_cell():
    table = list_counts(ls.lstm(5, 10, layers=2, bidirectional=True))
    assert [len(group) for group in table.groups] == [12, 12, 12, 12, 1]
    assert table.groups[1][0] == ("l0.reverse.W_i", "k*n", "50")


@pytest.mark.parametrize(("sides", "text"), [(("k", "k"), "k"), (("k", 4), "k = 4")])
def test_one_side_where_both_are_the_same(sides, text):
    assert equated(*sides) == text


def test_a_notebook_shows_equations_and_shapes():
    layer = ls.lstm(5, 10)
    assert layer.cell._repr_latex_() == layer._repr_latex_()
    assert str(layer._repr_latex_()).startswith("$$\\begin{aligned}")
    assert (layer._repr_html_(), layer.cell._repr_html_()) == (None, None)
    shown = str(layer.shapes()._repr_html_())
    assert shown.startswith("<table>")
    assert shown.endswith("<p>4*k*(k + n + 1) = 640 parameters</p>")
    assert (notebook.latex(3), notebook.html(3), layer.shapes()._repr_latex_()) == (None, None, None)
