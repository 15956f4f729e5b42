"""Counts: golden numbers of the literature and of frameworks, and three ways to the same number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Integer, expand

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.symbolic.cell import letter
from lstm_spec.symbolic.counts import parameter_count, parameter_counts
from lstm_spec.symbolic.joins import joined_products
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.shapes import infer
from tests.strategies import Drawn, cells, law

SMALL = {letter("n"): Integer(3), letter("k"): Integer(4), letter("r"): Integer(2)}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (LstmOptions(), 128),
        (LstmOptions(bias="two"), 144),
        (LstmOptions(bias="none"), 112),
        (LstmOptions(peephole=True), 140),
        (LstmOptions(bias="two", peephole=True), 156),  # ONNX with P
        (LstmOptions(bias="two", projection=True), 120),  # PyTorch, proj_size=2
        (LstmOptions(projection=True), 104),  # TensorFlow 1, num_proj=2
        (LstmOptions(projection=True, peephole=True), 116),
        (LstmOptions(bias="none", projection=True, peephole=True), 100),  # Sak, Senior & Beaufays 2014
        (LstmOptions(coupled="f=1-i"), 96),
        (LstmOptions(coupled="i=1-f"), 96),
        (LstmOptions(coupled="i=1-f", forget_bias=1), 96),  # type: ignore[arg-type]  # a constant is no parameter
    ],
)
def test_small_lstms(options: LstmOptions, count: int) -> None:
    assert parameter_count(infer(lstm_cell(options))).xreplace(SMALL) == count


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        (LstmOptions(), "4*k*(k + n + 1)"),
        (LstmOptions(bias="two"), "4*k*(k + n + 2)"),
        (LstmOptions(bias="none"), "4*k*(k + n)"),
        (LstmOptions(peephole=True), "k*(4*k + 4*n + 7)"),
        (LstmOptions(projection=True), "k*(4*n + 5*r + 4)"),
        (LstmOptions(coupled="f=1-i"), "3*k*(k + n + 1)"),
    ],
)
def test_formulas(options: LstmOptions, formula: str) -> None:
    assert str(parameter_count(infer(lstm_cell(options)))) == formula


def test_counts_by_name() -> None:
    assert {name: str(count) for name, count in parameter_counts(infer(lstm_cell())).items()} == {
        f"{kind}_{gate}": count for gate in "ifgo" for kind, count in (("W", "k*n"), ("U", "k**2"), ("b", "k"))
    }


@law
@given(cells(), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_the_polynomial_is_the_sum_over_the_shapes(drawn: Drawn, numbers: list[int]) -> None:
    at = {letter(name): Integer(number) for name, number in zip(drawn.cell.letters, numbers, strict=False)}
    total = 0
    for name in drawn.cell.parameters:
        entries = 1
        for size in drawn.shapes[name]:
            entries *= int(size.xreplace(at))
        total += entries
    polynomial = parameter_count(infer(drawn.cell))
    assert polynomial.xreplace(at) == total
    assert expand(polynomial - sum(parameter_counts(infer(drawn.cell)).values())) == 0


# ---- joins ----


def joins(equations: str) -> list[str]:
    shapes = infer(parse(f"input x[n]\nstate h[k]\n{equations}"))
    return [
        f"{j.gate}: {j.matrix_name} {j.matrix.size} {j.vector_name} {j.vector.size}" for j in joined_products(shapes)
    ]


def test_every_gate_of_an_lstm_joins_its_products() -> None:
    found = joined_products(infer(lstm_cell()))
    assert [(j.gate, j.matrix_name, j.vector_name) for j in found] == [
        (gate, f"[W_{gate} U_{gate}]", "[x, h]") for gate in "ifgo"
    ]
    assert {str(j.vector.rows) for j in found} == {"k + n"}


@pytest.mark.parametrize(
    ("equations", "found"),
    [
        ("h' = tanh(W x + U h + b)", ["h': [W U] (k, k + n) [x, h] (k + n,)"]),
        ("h' = W x + b + U h", ["h': [W U] (k, k + n) [x, h] (k + n,)"]),
        ("h' = U h - b + W x", ["h': [U W] (k, k + n) [h, x] (k + n,)"]),
        ("h' = W x - U h", []),  # [W U] [x, h] would add
        ("h' = -(W x + U h)", []),
        ("h' = W x + tanh(U h)", []),
        ("h' = W x + tanh(U h + V x)", []),
        ("h' = W x", []),
        ("h' = (W x) * (U h)", []),
        ("h' = W x + U (h * b)", []),
        ("h' = W [h, x]", []),
    ],
)
def test_joins(equations: str, found: list[str]) -> None:
    assert joins(equations) == found
