"""Cells as LaTeX: time indices, subscripts, sizes; the written order is kept."""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec.render.mathematics import aligned, document, symbol

LSTM = r"""
\begin{aligned}
x_{t} &\in \mathbb{R}^{n} \\
h_{t} &\in \mathbb{R}^{k} \\
c_{t} &\in \mathbb{R}^{k} \\
i_{t} &= \sigma\left(W_{i}\, x_{t} + U_{i}\, h_{t-1} + b_{i}\right) \\
f_{t} &= \sigma\left(W_{f}\, x_{t} + U_{f}\, h_{t-1} + b_{f}\right) \\
g_{t} &= \tanh\left(W_{g}\, x_{t} + U_{g}\, h_{t-1} + b_{g}\right) \\
o_{t} &= \sigma\left(W_{o}\, x_{t} + U_{o}\, h_{t-1} + b_{o}\right) \\
c_{t} &= f_{t} \odot c_{t-1} + i_{t} \odot g_{t} \\
h_{t} &= o_{t} \odot \tanh\left(c_{t}\right)
\end{aligned}
""".strip()

ODD = """
# saved values, a total, a split and stated shapes
input x[n], c[k], c'[k], d_y[k]
state d_c[k]
let M_a[2k + big, k], V_b[n + k]
output d_x

[z_one, alpha_2] = V_b * [d_y, x]
d_c' = z_one * c' + d_c * c
d_x = alpha_2 + M^T d_c
d_M += d_c x^T
q = M_a^T (M_a d_y)
d_q += q
"""


def test_the_lstm():
    assert aligned(ls.lstm().cell) == LSTM


def test_a_cell_with_everything_else():
    lines = aligned(ls.parse(ODD)).splitlines()
    assert r"c_{t-1} &\in \mathbb{R}^{k} \\" in lines
    assert r"c_{t} &\in \mathbb{R}^{k} \\" in lines
    assert r"M_{a} &\in \mathbb{R}^{(2k + \mathrm{big}) \times k} \\" in lines
    assert r"V_{b} &\in \mathbb{R}^{n + k} \\" in lines
    assert r"\left[z_{\mathrm{one},t}, \alpha_{2,t}\right] &= V_{b} \odot \left[d_{y,t}, x_{t}\right] \\" in lines
    assert r"d_{c,t} &= z_{\mathrm{one},t} \odot c_{t} + d_{c,t-1} \odot c_{t-1} \\" in lines
    assert r"d_{M} &\mathrel{+}= d_{c,t-1}\, {x_{t}}^{\top} \\" in lines


@pytest.mark.parametrize(
    ("name", "written"),
    [("W_proj", r"W_{\mathrm{proj}}"), ("h", "h_{t-1}"), ("h'", "h_{t}"), ("o", "o_{t}"), ("U_i", "U_{i}")],
)
def test_symbols(name, written):
    assert symbol(ls.lstm(projection=True).cell, name) == written


def test_nested_subscripts():
    cell = ls.parse("input x[n]\nstate h[k]\n_ = W_a_b x\nh' = tanh(_ + U_ h)")
    assert [symbol(cell, name) for name in ("W_a_b", "_", "U_")] == ["W_{a_{b}}", r"\__{t}", "U"]


def test_a_document_begins_with_the_description():
    cell = ls.parse("# Elman 1990\ninput x[n]\nstate h[k]\nh' = tanh(W x + U h + b)")
    assert document(cell) == f"Elman 1990\n\n$$\n{aligned(cell)}\n$$"
    assert document(ls.lstm().cell) == f"$$\n{LSTM}\n$$"


@pytest.mark.parametrize(
    "cell", [ls.lstm(bias="two", peephole=True, projection=True, forget_bias=1).cell, ls.parse(ODD)]
)
def test_braces_balance_and_every_line_is_aligned_once(cell):
    text = aligned(cell)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert [line.count("&") for line in text.splitlines()[1:-1]] == [1] * (len(cell.declarations) + len(cell.equations))


def test_a_number_is_no_vector() -> None:
    """A product with a number is scalar: no Hadamard sign; an underscore in front stays."""
    from lstm_spec.symbolic.language import parse
    from lstm_spec.symbolic.printing import latex

    cell = parse("input x[n]\nstate h[n]\nh' = 4 * x / 2 - h * _u")
    assert latex(cell.equations[0].expression) == r"4 \cdot x / 2 - h \odot \_u"
