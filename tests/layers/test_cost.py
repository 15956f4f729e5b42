"""What a layer costs: golden numbers, and each line against another way to the same number."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Integer, Symbol

import lstm_spec as ls
from lstm_spec.layers.cost import DTYPES
from lstm_spec.symbolic.cell import letter


def counts(cost: Any) -> dict[str, Any]:
    return {line.name: line.count for line in cost.lines}


def test_the_true_figures_of_the_lstm_that_counters_disagree_on():
    made = counts(ls.lstm(64, 64).cost(batch=1, time=100))
    assert {name: made[name] for name in ("macs", "bias", "products", "activations", "flops", "parameters")} == {
        "macs": 3_276_800,
        "bias": 25_600,
        "products": 19_200,
        "activations": 32_000,
        "flops": 6_662_400,
        "parameters": 33_024,
    }


def test_formulas():
    cost = ls.lstm().cost()
    assert {line.name: str(line.formula) for line in cost.lines if line.unit != "operations a byte"} == {
        "evaluations": "B*T",
        "macs": "4*B*T*k*(k + n)",
        "bias": "4*B*T*k",
        "sums": "5*B*T*k",
        "products": "3*B*T*k",
        "activations": "5*B*T*k",
        "sigmoid": "3*B*T*k",
        "tanh": "2*B*T*k",
        "flops": "B*T*k*(8*k + 8*n + 17)",
        "parameters": "4*k*(k + n + 1)",
        "parameter bytes": "16*k*(k + n + 1)",
        "inference bytes": "4*B*(T*k + T*n + 8*k)",
        "kept bytes": "4*B*T*(7*k + n)",
        "moved bytes": "4*(B*T*k + B*T*n + 4*B*k + 4*k**2 + 4*k*n + 4*k)",
        "moved bytes, streaming": "4*(B*T*k + B*T*n + 4*B*k + 4*T*k**2 + 4*T*k*n + 4*T*k)",
    }


def test_a_stack_in_letters_has_L_and_D():
    cost = ls.lstm(projection=True, layers=2, bidirectional=True).cost()
    assert str(cost["macs"].formula) == "B*D*T*k*(4*D*L*r - 4*D*r + 5*L*r + 4*n)"
    assert str(ls.lstm(layers=3).cost()["parameters"].formula) == "4*k*(2*L*k + L - k + n)"
    assert str(ls.lstm().cost()["macs"].general) == "4*B*D*T*k*(D*L*k - D*k + L*k + n)"


STACKS: list[dict[str, Any]] = [
    {},
    {"layers": 3},
    {"layers": 4, "bidirectional": True},
    {"layers": 2, "bidirectional": True, "merge": "sum"},
    {"layers": 2, "projection": 2, "bidirectional": True},
    {"reverse": True, "peephole": True},
]


@pytest.mark.parametrize("options", STACKS, ids=str)
def test_the_polynomials_in_L_and_D_are_the_sums_over_the_members(options):
    layer = ls.lstm(5, 7, **options)
    cost = layer.cost(batch=3, time=11)
    matrices = [shape for shape in layer.parameter_shapes().values() if len(shape) == 2]
    assert cost["macs"].count == 33 * sum(rows * columns for rows, columns in matrices)
    assert cost["parameters"].count == layer.parameter_count == sum(layer.parameter_counts().values())
    assert cost["evaluations"].count == 33 * len(layer.members)
    at = {letter(name): value for name, value in layer.given}
    axes = {"B": 3, "T": 11, "L": layer.layers, "D": layer.directions}
    at |= {Symbol(name): Integer(value) for name, value in axes.items()}
    assert [line.general.xreplace(at) for line in cost.lines] == [line.count for line in cost.lines]


def test_merging_two_directions_is_work_too():
    plain = counts(ls.lstm(5, 7, bidirectional=True).cost(batch=2, time=3))
    for merge, sums, products in (("sum", 42, 0), ("mul", 0, 42), ("average", 42, 42)):
        made = counts(ls.lstm(5, 7, bidirectional=True).with_(merge=merge).cost(batch=2, time=3))
        assert (made["sums"] - plain["sums"], made["products"] - plain["products"]) == (sums, products)
        assert made["flops"] - plain["flops"] == sums + products


def test_packed_lengths_are_evaluated_where_there_is_something():
    cost = ls.lstm(5, 10).cost(lengths=[7, 3, 1])
    assert (cost["evaluations"].count, cost.batch, cost.time) == (11, 3, 7)
    assert cost["macs"].count == 11 * 4 * 10 * 15
    assert str(cost["macs"].formula) == "4*E*k*(k + n)"
    running = ls.lstm(5, 10).with_(padding="run").cost(lengths=[7, 3, 1])
    assert running["evaluations"].count == 21


def test_bytes_are_entries_in_the_dtype():
    lines = ("parameter bytes", "inference bytes", "kept bytes", "moved bytes")
    one = ls.lstm(5, 10).cost(batch=2, time=3, dtype="int8")
    for dtype, size in DTYPES.items():
        cost = ls.lstm(5, 10).cost(batch=2, time=3, dtype=dtype)
        assert [cost[name].count for name in lines] == [size * one[name].count for name in lines]


def test_what_lives_at_once_in_inference():
    # x and y; h and c; i, f, g, o, c' and h' of one step
    assert ls.lstm(5, 10).cost(batch=2, time=3, dtype="int8")["inference bytes"].count == 2 * (3 * 15 + 20 + 60)
    last = ls.lstm(5, 10, output="last").cost(batch=2, time=3, dtype="int8")
    assert last["inference bytes"].count == 2 * (3 * 5 + 10 + 20 + 60)
    # the widest pair is between two layers of 20 columns; the states of all four cells
    deep = ls.lstm(5, 10, layers=3, bidirectional=True).cost(batch=2, time=3, dtype="int8")
    assert deep["inference bytes"].count == 2 * (3 * 40 + 6 * 20 + 60)
    # the last layer of three gives one step: the widest pair is below it
    one = ls.lstm(5, 10, layers=3, output="last").cost(batch=2, time=3, dtype="int8")
    assert one["inference bytes"].count == 2 * (3 * 20 + 3 * 20 + 60)
    two = ls.lstm(5, 10, layers=2, output="last").cost(batch=2, time=3, dtype="int8")
    assert two["inference bytes"].count == 2 * (3 * 15 + 2 * 20 + 60)


def test_bytes_moved_are_those_of_every_layer():
    deep = ls.lstm(5, 10, layers=3, bidirectional=True).cost(batch=2, time=3, dtype="int8")
    sequences = 6 * (5 + 20 + 20 + 20 + 20 + 20)  # each layer reads one and writes one
    assert deep["moved bytes"].count == deep["parameters"].count + sequences + 2 * 2 * 6 * 20


def test_intensity_is_flops_over_bytes():
    cost = ls.lstm(64, 64).cost(batch=1, time=100)
    assert cost["intensity"].count == cost["flops"].count / cost["moved bytes"].count
    assert cost["moved bytes"].count == 4 * (33_024 + 100 * 128 + 4 * 64)
    assert cost["moved bytes, streaming"].count == 4 * (100 * 33_024 + 100 * 128 + 4 * 64)


@pytest.mark.parametrize(("batch", "time"), [(0, 5), (5, 0), (0, 0)])
def test_nothing_to_do_costs_nothing(batch, time):
    cost = ls.lstm(3, 4).cost(batch=batch, time=time)
    assert cost["macs"].count == 0
    assert cost["parameters"].count == 128
    assert cost.to_dict()["lines"][0]["count"] == 0


def test_a_cell_that_cannot_stand_on_itself_has_one_layer():
    square = ls.Layer(ls.parse("input x[k]\nstate h[k]\noutput h, x2\nx2 = x * x\nh' = U h + x2"))
    assert str(square.cost()["macs"].general) == "B*D*T*k**2"


def test_a_backward_cell_has_a_cost_and_its_totals_carry_no_batch():
    text = "input d_y[k], x[n]\nstate d_h[k]\noutput d_h\nd_h' = U d_h + d_y\nd_W += d_y x^T"
    with pytest.raises(ls.LstmSpecError, match="one input sequence"):
        ls.Layer(ls.parse(text))
    cell = ls.parse("input d_y[k]\nstate d_h[k]\noutput d_h\nd_h' = U d_h + d_y\nd_U += d_y d_h^T")
    cost = ls.Layer(cell, k=4).cost(batch=2, time=3, dtype="int8")
    assert cost["macs"].count == 6 * 2 * 16
    assert cost["inference bytes"].count == 2 * (3 * 8 + 4 + 4) + 16


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "batch": ({"batch": -1}, "error[size]: batch = -1 is no length\n  expected a whole number ≥ 0, or B"),
    "dtype": (
        {"dtype": "int4"},
        "error[option]: dtype='int4' is unknown\n  expected float64, float32, float16, bfloat16, int8",
    ),
    "lengths": (
        {"lengths": [3, 0]},
        "error[size]: lengths: 0 is no length\n  expected whole numbers ≥ 1, e.g. 7,3,1",
    ),
    "no lengths": ({"lengths": []}, "error[size]: lengths: there are none\n  expected whole numbers ≥ 1, e.g. 7,3,1"),
    "both": (
        {"lengths": [3, 1], "batch": 3},
        "error[size]: batch = 3 does not go with these lengths\n  expected 2, or none\n  found    2 lengths",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_questions(name):
    given, message = WRONG[name]
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.lstm(3, 4).cost(**given)
    assert str(caught.value) == message


def test_a_notebook_shows_tables():
    assert "<td>macs</td><td>4*B*T*k*(k + n)</td>" in (ls.lstm().cost()._repr_html_() or "")
    shown = ls.solve(ls.lstm(n=128), parameters=10**6)._repr_html_() or ""
    assert "439.643" in shown
    assert "<td>solution</td><td>439</td>" in shown


@pytest.mark.parametrize(("cell", "count"), [("gru", 150), ("gru-two-biases", 165)])
def test_the_two_grus_of_keras(cell, count):
    assert ls.Layer(ls.cells.get(cell), 4, 5).cost()["parameters"].count == count
