"""From budgets back to sizes: golden numbers, closed forms against the polynomials, and exhaustive search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Integer, Symbol, simplify, sympify

import lstm_spec as ls
from lstm_spec.cells.catalogue import names
from lstm_spec.layers.integers import Curve, close_form, largest, read_budget
from lstm_spec.symbolic.cell import letter
from tests.strategies import law


def gru(n: int, k: int) -> ls.Layer:
    return ls.Layer(ls.cells.get("gru-two-biases"), n, k)


@pytest.mark.parametrize(
    ("n", "k", "count"),
    [(4096, 256, 4_457_472), (25, 100, 50_400), (1, 9, 396), (3, 50, 10_800), (1, 1, 12)],
)
def test_keras_counts_lead_back_to_their_sizes(n, k, count):
    assert ls.lstm(n, k).parameter_count == count
    found = ls.solve(ls.lstm(n=n), parameters=count, exact=True)
    assert (found.sizes, found.root.value) == ({"k": k}, k)
    assert ls.solve(ls.lstm(k=k), parameters=count, exact=True).sizes == {"n": n}
    assert {"k": k, "n": n} in [c.sizes for c in ls.solve(ls.lstm(), parameters=count).choices]


def test_pytorch_counts_lead_back_to_their_sizes():
    assert ls.solve(ls.lstm(n=64, bias="two"), parameters=33_280, exact=True).sizes == {"k": 64}
    two = ls.lstm(n=300, bias="two", layers=2)
    assert ls.solve(two, parameters=3_768_320, exact=True).sizes == {"k": 512}
    both = ls.lstm(n=300, bias="two", bidirectional=True)
    assert ls.solve(both, parameters=1_444_800, exact=True).sizes == {"k": 300}
    assert ls.solve(ls.lstm(n=300, bidirectional=True), parameters=1_442_400, exact=True).sizes == {"k": 300}


def test_elmo_has_4096_units_behind_a_projection_to_512():
    elmo = ls.lstm(512, 4096, projection=512)
    assert elmo.parameter_count == 1024 * 16384 + 4096 * 512 + 4 * 4096
    found = ls.solve(ls.lstm(n=512, projection=512), parameters=elmo.parameter_count, exact=True)
    assert found.sizes == {"k": 4096}
    width = ls.solve(ls.lstm(512, 4096, projection=True), parameters=elmo.parameter_count, exact=True)
    assert width.sizes == {"r": 512}


def test_one_unknown_stands_between_its_neighbours():
    found = ls.solve(ls.lstm(n=128), parameters="1e6")
    assert found.root.text == "k = (sqrt((n + 1)**2 + P) - (n + 1))/2"
    assert found.root.decimal == "439.643"
    assert [(c.sizes["k"], c.residuals["parameters"]) for c in (found.below, *found.choices, found.above)] == [
        (438, 6616),
        (439, 2592),
        (440, -1440),
    ]
    assert found.solved.parameter_count == 997_408


def test_multiples_of_eight():
    found = ls.solve(ls.lstm(n=128), parameters=10**6, multiple=8)
    assert [c.sizes["k"] for c in (found.below, *found.choices, found.above)] == [424, 432, 440]
    pairs = ls.solve(ls.lstm(), parameters=10**6, multiple=8).choices
    assert [c.sizes for c in pairs] == [
        {"k": k, "n": 250_000 // k - k - 1} for k in range(8, 500, 8) if 250_000 % k == 0
    ]


def test_as_many_parameters_as_another_cell():
    found = ls.solve(ls.lstm(n=128), same_as=gru(128, 256))
    assert found.budgets == {"parameters": 296_448}
    assert found.sizes == {"k": 215}
    same = ls.solve(ls.Layer(ls.cells.get("gru-two-biases"), n=128), same_as=gru(128, 256))
    assert (same.sizes, same.choices[0].residuals) == ({"k": 256}, {"parameters": 0})


CLOSED = {
    "plain": (ls.lstm(n=7), "k = (sqrt((n + 1)**2 + P) - (n + 1))/2"),
    "two biases": (ls.lstm(n=7, bias="two"), "k = (sqrt((n + 2)**2 + P) - (n + 2))/2"),
    "no bias": (ls.lstm(n=7, bias="none"), "k = (sqrt(n**2 + P) - n)/2"),
    "coupled": (ls.lstm(n=7, coupled="f=1-i"), "k = (sqrt((n + 1)**2 + 4*P/3) - (n + 1))/2"),
    "peephole": (ls.lstm(n=7, peephole=True), "k = (sqrt((4*n + 7)**2 + 16*P) - (4*n + 7))/8"),
    "bidirectional": (ls.lstm(n=7, bidirectional=True), "k = (sqrt((n + 1)**2 + P/2) - (n + 1))/2"),
    "stack": (ls.lstm(n=7, layers=3), "k = (sqrt((n + 3)**2 + 5*P) - (n + 3))/10"),
    "input": (ls.lstm(k=7), "n = (P - 4*k*(k + 1))/(4*k)"),
    "projection": (ls.lstm(n=7, projection=2), "k = P/(4*n + 5*r + 4)"),
    "square": (ls.lstm("k", "k"), "k = (sqrt(1 + 2*P) - 1)/4"),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    layer, text = CLOSED[name]
    found = ls.solve(layer, parameters=123_456)
    assert found.root.text == text
    # the text, read as mathematics, is a root of the layer's own count
    unknown = found.unknowns[0]
    own = {s: letter(s) for s in layer.cell.letters}
    written = sympify(text.partition(" = ")[2], locals=own).xreplace(
        {letter(s): v for s, v in layer.given if v.is_Integer}
    )
    at_root = layer.parameter_count.xreplace({letter(unknown): written.xreplace({Symbol("P"): Integer(123_456)})})
    assert simplify(at_root - 123_456) == 0


@pytest.mark.parametrize("name", ["lstm", *names()])
def test_every_cell_of_the_catalogue_leads_back(name):
    cell = ls.cells.get(name)
    known = {size: 5 for size in cell.letters if size != "k"}
    count = ls.Layer(cell, k=13, **known).parameter_count
    assert ls.solve(ls.Layer(cell, **known), parameters=int(count), exact=True).sizes == {"k": 13}


def test_layers_are_an_unknown_too():
    found = ls.solve(ls.lstm(128, 64), parameters=10**6, layers=True)
    counts = [ls.lstm(128, 64, layers=layers).parameter_count for layers in (29, 30)]
    assert (found.sizes, found.choices[0].counts["parameters"], found.above.counts["parameters"]) == (
        {"L": 29},
        *counts,
    )
    pairs = ls.solve(ls.lstm(n=128), parameters=10**6, layers=True)
    assert pairs.rule == "no exact solution; each L up to 32, with the largest k that fits"
    fitting = ls.solve(ls.lstm(n=128), parameters=10**6, layers=True, exact=False)
    assert (fitting.rule, fitting.choices) == (pairs.rule.removeprefix("no exact solution; "), pairs.choices)
    for choice in pairs.choices[:5]:
        layers, k = choice.sizes["L"], choice.sizes["k"]
        assert ls.lstm(128, k, layers=layers).parameter_count <= 10**6
        assert ls.lstm(128, k + 1, layers=layers).parameter_count > 10**6


def test_other_budgets_bound_what_they_say():
    for budget, line in (
        ("macs", "macs"),
        ("bytes", "parameter bytes"),
        ("memory", "inference bytes"),
        ("kept", "kept bytes"),
    ):
        found = ls.solve(ls.lstm(n=20), **{budget: 10**7}, batch=4, time=25, dtype="float16")
        k = found.sizes["k"]
        at = [ls.lstm(20, k + more).cost(4, 25, dtype="float16")[line].count for more in (0, 1)]
        assert at[0] <= 10**7 < at[1]
        assert at[0] == found.choices[0].counts[budget]


@pytest.mark.parametrize("n", [1, 64])
def test_memory_of_a_stack_is_the_widest_layers(n):
    found = ls.solve(ls.lstm(n, 8), memory=40_000, layers=True, time=100)
    at = [ls.lstm(n, 8, layers=found.sizes["L"] + more).cost(1, 100)["inference bytes"].count for more in (0, 1)]
    assert at[0] <= 40_000 < at[1]


def test_every_budget_holds():
    found = ls.solve(ls.lstm(n=128), parameters=10**6, macs=10**5)
    assert (found.sizes["k"], found.root) == (106, None)
    assert 4 * 106 * (128 + 106) <= 10**5 < 4 * 107 * (128 + 107)


@law
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["none", "one", "two"]))
def test_all_integer_solutions_are_found(n, k, bias):
    layer = ls.lstm(bias=bias)
    count = int(ls.lstm(n, k, bias=bias).parameter_count)
    b = {"none": 0, "one": 1, "two": 2}[bias]
    by_hand = [(u, count // (4 * u) - u - b) for u in range(1, count + 1) if count % (4 * u) == 0]
    found = [(c.sizes["k"], c.sizes["n"]) for c in ls.solve(layer, parameters=count).choices]
    assert found == [(u, v) for u, v in by_hand if v >= 1]


def test_a_bounded_search_claims_no_more_than_it_tried():
    found = ls.solve(ls.lstm(), memory=4 * 10**9 + 1, time=3)
    assert found.rule.startswith("no exact solution with k up to 200,000; k doubled from 1, with the largest n")
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.solve(ls.lstm(), memory=4 * 10**9 + 1, time=3, exact=True)
    assert caught.value.finding.found == "k up to 200,000"


def test_big_budgets_take_their_factors_only():
    found = ls.solve(ls.lstm(), parameters=10**18)
    assert found.rule == "every exact solution"
    assert all(4 * c.sizes["k"] * (c.sizes["n"] + c.sizes["k"] + 1) == 10**18 for c in found.choices)
    assert len(found.choices) == 8


def test_a_list_says_what_it_left_out():
    found = ls.solve(ls.lstm(), memory=4 * 10**9, time=3)
    assert found.rule == "the first 1000 exact solutions with k up to 200,000"
    assert len(found.choices) == 1000


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ("1e6", 10**6),
        ("1_000_000", 10**6),
        ("3.5M", 3_500_000),
        ("64KiB", 65536),
        ("1.5e1", 15),
        (1e6, 10**6),
        ("2k", 2000),
        ("123456789012345678", 123456789012345678),
    ],
)
def test_budgets_are_read_exactly(given, budget):
    assert read_budget(given, "parameters") == budget


@law
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 9), st.integers(1, 9))
def test_curves_and_bisection_agree_with_trying(u, v, a, b):
    x, y = Symbol("x"), Symbol("y")
    for polynomial in (a * x * y + b * x**2, a * x + b * y, a * x * y**2 + b * x * y):
        value = int(polynomial.xreplace({x: Integer(u), y: Integer(v)}))
        curve = Curve.of(polynomial, x, y)
        tried = (
            [(i, j) for i in range(1, value + 1) for j in range(1, 200) if curve.at(i, j) == value]
            if value < 300
            else None
        )
        found = list(curve.solutions(value, value))
        assert (u, v) in found
        if tried is not None:
            assert [pair for pair in found if pair[1] < 200] == tried
    assert largest(lambda w: a * w * w <= b * u, 1000) == max(
        (w for w in range(1, 1001) if a * w * w <= b * u), default=0
    )


def test_no_closed_form_of_the_third_degree():
    k = letter("k")
    assert close_form(k**3 + k, k, 10, {}) is None


def test_a_solution_shows_enough_digits_to_be_told_from_its_neighbours():
    solved = ls.solve(ls.lstm(n=128), parameters=10**18)
    assert (solved.root.decimal, solved.sizes) == ("499999935.5", {"k": 499_999_935})
    close = ls.solve(ls.Layer(ls.cells.get("sak2014"), n=100, k=3), parameters="3.5M")
    assert (close.root.decimal, close.sizes) == ("233251.933", {"r": 233_251})
