"""Nodes: what they are equal to, and how they are shown."""

from __future__ import annotations

import copy
import pickle

import pytest
from sympy import Rational

from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.printing import latex, shape_text, size_text, subscripted, text

x, W = a.Name("x"), a.Name("W")


def read(expression: str) -> a.Node:
    return parse(f"output y\ny = {expression}").equations[0].expression


def test_nodes_are_values() -> None:
    assert a.Product(W, x) == a.Product(a.Name("W"), a.Name("x"))
    assert a.Product(W, x) != a.Multiply(W, x)
    assert a.Add(W, x) != a.Add(x, W)
    assert len({a.Product(W, x), a.Product(W, x), x}) == 2


def test_a_span_takes_no_part_in_equality() -> None:
    placed = a.Name("x").at(a.Span(3, 1, 3, 2))
    assert placed == x
    assert hash(placed) == hash(x)
    assert placed.span is not None
    assert pickle.loads(pickle.dumps(placed)) == x


def test_sympy_does_not_reorder() -> None:
    """SymPy's own matrix expressions would give b + a + 0 and (-1)f + 1."""
    node = read("b + a - b + (1 - f)")
    assert text(node) == "b + a - b + (1 - f)"
    assert text(node.xreplace({a.Name("f"): a.Name("i")})) == "b + a - b + (1 - i)"


def test_numbers_keep_their_writing_through_copies() -> None:
    number = a.Number(Rational(1, 100_000), "1e-5")
    assert number == a.Number(Rational(1, 100_000))
    for again in (pickle.loads(pickle.dumps(number)), copy.copy(number), copy.deepcopy(number)):
        assert again.written == "1e-5"
    assert str(a.Add(number, x).xreplace({x: W})) == "1e-5 + W"


def test_call_parts() -> None:
    call = read("clip(x, -1, 1/2)")
    assert isinstance(call, a.Call)
    assert call.tensors == (x,)
    assert call.numbers == (-1, Rational(1, 2))
    larger = read("max(x, W)")
    assert isinstance(larger, a.Call)
    assert (larger.tensors, larger.numbers) == ((x, W), ())


def test_walk_goes_in_the_written_order() -> None:
    assert [n.name for n in a.names(read("tanh(W x + U [h, x]) * f"))] == ["W", "x", "U", "h", "x", "f"]


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("W_f x + U_f h + b_f", r"W_{f}\, x + U_{f}\, h + b_{f}"),
        ("f * c + i * g", r"f \odot c + i \odot g"),
        ("sigmoid(W x)", r"\sigma\left(W\, x\right)"),
        ("(a + b) * c", r"\left(a + b\right) \odot c"),
        ("a / b", r"a \oslash b"),
        ("W^T x", r"{W}^{\top}\, x"),
        ("-(a + b)", r"-\left(a + b\right)"),
        ("[h, x]", r"\left[h, x\right]"),
        ("layer_norm(z, 1e-5)", r"\mathrm{LN}\left(z, 10^{-5}\right)"),
        ("elu(z, -2.5e-05/3)", r"\mathrm{elu}\left(z, -\tfrac{2.5 \cdot 10^{-5}}{3}\right)"),
        ("hard_sigmoid(z, 1/5, 0.5)", r"\mathrm{hard\_sigmoid}\left(z, \tfrac{1}{5}, 0.5\right)"),
    ],
)
def test_latex(expression: str, shown: str) -> None:
    assert latex(read(expression)) == shown


def test_latex_in_another_notation() -> None:
    assert latex(read("f * c"), lambda name: {"f": r"\phi", "c": "s_{t-1}"}[name]) == r"\phi \odot s_{t-1}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("c", "c"), ("c'", "c'"), ("W_f", "W_{f}"), ("d_W_f", "d_{W_{f}}"), ("d_c'", "d'_{c}"), ("W_proj", "W_{proj}")],
)
def test_subscripts(name: str, shown: str) -> None:
    assert subscripted(name) == shown


def test_sizes_are_shown_in_the_order_of_the_letters() -> None:
    size = parse("input x[2k + n]\nstate h[k]\nh' = W x").inputs[0].size[0]
    assert size_text(size, ["n", "k"]) == "n + 2k"
    assert size_text(size, ["k", "n"]) == "2k + n"
    assert shape_text((size, size), ["k", "n"]) == "(2k + n)×(2k + n)"


@pytest.mark.parametrize("foreign", ["tanh", None, 3])
def test_only_nodes_have_text(foreign: object) -> None:
    with pytest.raises(TypeError, match="not a node of an equation"):
        text(foreign)  # type: ignore[arg-type]
