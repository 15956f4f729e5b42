"""Operations of a cell: by the rules of the nodes, and by doing them on numbers that count."""

from __future__ import annotations

from collections import Counter

import pytest
from sympy import Integer

from lstm_spec.cells.catalogue import get, names
from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.symbolic.cell import Cell, letter
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.operations import count_operations, total_operations
from tests.symbolic.counting import count_by_doing

SIZES = {"n": 3, "k": 4, "r": 2, "j": 5}


def totals(cell: Cell) -> dict[str, str]:
    """Each kind, and each activation, with its count in letters."""
    made: dict[str, object] = {}
    for operation in count_operations(cell):
        name = operation.function if operation.kind == "activations" else operation.kind
        made[name] = made.get(name, Integer(0)) + operation.count
    return {name: str(count) for name, count in made.items()}


def of(equation: str, declared: str = "") -> dict[str, str]:
    return totals(parse(f"input x[n]\nstate h[k]\n{declared}\n{equation}"))


def test_a_plain_lstm():
    assert totals(lstm_cell()) == {
        "macs": "4*k**2 + 4*k*n",
        "bias": "4*k",
        "sums": "5*k",
        "products": "3*k",
        "sigmoid": "3*k",
        "tanh": "2*k",
    }


@pytest.mark.parametrize(
    ("equation", "counted"),
    [
        ("h' = W x + b", {"macs": "k*n", "bias": "k"}),
        ("h' = b + W x", {"macs": "k*n", "bias": "k"}),
        ("h' = W x - b", {"macs": "k*n", "bias": "k"}),
        ("h' = (W + V) x + b", {"macs": "k*n", "bias": "k", "sums": "k*n"}),
        ("h' = W x + 1 / 3", {"macs": "k*n", "sums": "k"}),
        ("h' = W x + b * h", {"macs": "k*n", "products": "k", "sums": "k"}),
        ("h' = -(W x)", {"macs": "k*n", "negations": "k"}),
        ("h' = 2 * W x - h / 3", {"macs": "k*n", "products": "k", "divisions": "k", "sums": "k"}),
        ("h' = W V x", {"macs": "j*k + j*n"}),
        ("h' = identity(W [x, h])", {"macs": "k*(k + n)"}),
        ("h' = W^T x", {"macs": "k*n"}),
        ("h' = mean(W x)", {"macs": "k*n", "sums": "k - 1", "divisions": "1"}),
        ("h' = max(W x, clip(h, -1, 1))", {"macs": "k*n", "clip": "k", "max": "k"}),
        (
            "h' = layer_norm(W x, 1e-5)",
            {"macs": "k*n", "sums": "3*k - 1", "products": "k", "divisions": "k + 2", "sqrt": "1"},
        ),
    ],
)
def test_each_node(equation, counted):
    assert of(equation, "let V[j, n]" if "W V" in equation else "") == counted


def test_a_total_adds_in_its_product_or_once_an_entry():
    text = "input x[n], d_y[k]\nstate d_h[k]\noutput d_h\nd_h' = U d_h + d_y\nd_W += d_y x^T\nd_b += d_y"
    by_total = {o.equation: (o.kind, str(o.count)) for o in count_operations(parse(text))}
    assert (by_total["d_W"], by_total["d_b"]) == (("macs", "k*n"), ("sums", "k"))


def test_a_cell_of_several_inputs_has_its_totals_too():
    text = "input x[n], d_y[k], s[k]\nstate d_h[k]\noutput d_x\nlet d_x[n]\ne = (d_h + d_y) * (1 - s * s)\n"
    text += "d_h' = U^T e\nd_x = W^T e\nd_W += e x^T\nd_b += e"
    made = total_operations(parse(text))
    assert {name: str(count) for name, count in made.items() if count} == {
        "macs": "k**2 + 2*k*n",
        "sums": "3*k",
        "products": "2*k",
        "flops": "2*k**2 + 4*k*n + 5*k",
    }


CELLS = {name: get(name) for name in ("lstm", *names())} | {
    "peephole": lstm_cell(LstmOptions(peephole=True, projection=True)),
    "two": lstm_cell(LstmOptions(bias="two", coupled="f=1-i")),
    "tflite": lstm_cell(LstmOptions(layer_norm="tflite")),
    "hidden gates": lstm_cell(LstmOptions(gate_hidden=True)),
}


@pytest.mark.parametrize("name", CELLS)
def test_doing_them_on_numbers_that_count_gives_the_same(name):
    cell = CELLS[name]
    sizes = {letter(size): Integer(SIZES[size]) for size in cell.letters}
    counted: Counter[str] = Counter()
    for operation in count_operations(cell):
        count = int(operation.count.xreplace(sizes))
        match operation.kind:
            case "macs":
                counted["multiply"] += count
            case "products":
                counted["multiply"] += count
            case "bias" | "sums":
                counted["add"] += count
            case "divisions":
                counted["divide"] += count
            case "negations":
                counted["negate"] += count
            case "activations":
                counted[operation.function] += count
    done = count_by_doing(cell, sizes)
    # p·q·s multiply-accumulates are p·q·s products and p·(q - 1)·s additions: the first term is added to nothing
    macs = sum(int(o.count.xreplace(sizes)) for o in count_operations(cell) if o.kind == "macs")
    done["add"] += first_terms(cell, sizes)
    counted["add"] += macs
    assert counted == done


def first_terms(cell: Cell, sizes: dict[object, Integer]) -> int:
    """The entries of all products: one addition each that the schoolbook does not need."""
    from lstm_spec.symbolic.algebra import Product, walk
    from lstm_spec.symbolic.operations import shape_of
    from lstm_spec.symbolic.shapes import infer

    shapes = infer(cell)
    found = 0
    for equation in cell.equations:
        for node in walk(equation.expression):
            if isinstance(node, Product) and (shape := shape_of(node, shapes)):
                found += int((shape.rows * shape.columns).xreplace(sizes))
    return found
