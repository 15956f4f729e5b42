"""Layers: what they hold, in letters and numbers; stacks, directions, options; what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from sympy import Integer

from lstm_spec.cells.family import BIASES
from lstm_spec.errors import CellError, LstmSpecError, OptionError, SizeError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import letter
from lstm_spec.symbolic.language import parse
from tests.strategies import Drawn, cells, few, law, layers

RNN = "input x[n]\nstate h[k]\n"


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (lstm(3, 4), 128),
        (lstm(3, 4, bias="two"), 144),
        (lstm(3, 4, bias="none"), 112),
        (lstm(5, 10), 640),
        (lstm(4096, 256), 4_457_472),
        (lstm(64, 64, bias="two"), 33_280),
        (lstm(300, 512, bias="two", layers=2), 3_768_320),
        (lstm(300, 300, bias="two", bidirectional=True), 1_444_800),
        (lstm(300, 300, bidirectional=True), 1_442_400),
        (lstm(3, 4, bias="two", projection=2), 120),
        (lstm(3, 4, projection=2, peephole=True), 116),
        (lstm(3, 4, reverse=True), 128),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_golden_counts(layer: Layer, count: int) -> None:
    assert layer.parameter_count == count
    assert sum(array.size for array in layer.random(0).values()) == count


@law
@given(layers())
def test_three_counts_agree(layer: Layer) -> None:
    open_layer = Layer(layer.cell, layers=layer.layers, direction=layer.direction)
    at = {letter(name): value for name, value in layer.given}
    assert open_layer.parameter_count.xreplace(at) == layer.parameter_count
    assert layer.parameter_count == sum(np.prod(shape) for shape in layer.parameter_shapes().values())
    assert layer.parameter_count == sum(array.size for array in layer.random(0).values())


@few
@given(cells(inputs=1))
def test_three_counts_agree_for_generated_cells(drawn: Drawn) -> None:
    numbers = dict(zip(drawn.cell.letters, (2, 3, 5), strict=False))
    layer = Layer(drawn.cell)
    assert layer.at(**numbers).parameter_count == layer.parameter_count.xreplace(
        {letter(name): Integer(value) for name, value in numbers.items()}
    )
    assert layer.at(**numbers).parameter_count == sum(a.size for a in layer.at(**numbers).random(0).values())


@law
@given(layers())
def test_layers_are_values(layer: Layer) -> None:
    again = pickle.loads(pickle.dumps(layer))
    assert again == layer
    assert hash(again) == hash(layer)
    assert layer.with_() == layer


# ---- stacks and directions ----


def test_a_stack_reads_the_output_below_d_times_as_wide() -> None:
    layer = lstm("n", "k", layers=3, bidirectional=True)
    shapes = layer.parameter_shapes()
    assert [str(shapes[f"{prefix}.W_f"]) for prefix in ("l0", "l0.reverse", "l1", "l1.reverse", "l2")] == [
        "(k, n)",
        "(k, n)",
        "(k, 2*k)",
        "(k, 2*k)",
        "(k, 2*k)",
    ]
    assert str(layer.output_width) == "2*k"
    assert [m.prefix for m in layer.members] == ["l0", "l0.reverse", "l1", "l1.reverse", "l2", "l2.reverse"]


def test_a_projected_stack_reads_r() -> None:
    shapes = lstm(3, 4, projection=2, layers=2, bidirectional=True).parameter_shapes()
    assert shapes["l1.W_f"] == (4, 4)
    assert shapes["l1.U_f"] == (4, 2)
    assert shapes["l1.W_proj"] == (2, 4)


def test_letters_exchanged_stay_apart_in_a_stack() -> None:
    """n is k and k is n: one substitution at once, not one after the other."""
    layer = lstm("k", "n", layers=2)
    assert str(layer.parameter_shapes()["l0.W_f"]) == "(n, k)"
    assert str(layer.parameter_shapes()["l1.W_f"]) == "(n, n)"
    assert str(layer.parameter_count.expand()) == "4*k*n + 12*n**2 + 8*n"
    assert layer.at(k=3, n=4).parameter_count == lstm(3, 4, layers=2).parameter_count


def test_the_same_letter_twice() -> None:
    layer = lstm("m", "m")
    assert str(layer.parameter_count) == "4*m*(2*m + 1)"
    assert layer.open_letters == ("m",)
    assert layer.at(m=7) == lstm(7, 7)


def test_several_outputs_stand_side_by_side() -> None:
    cell = parse(RNN + "output y, h\ny = V h'\nlet y[m]\nh' = tanh(W x)")
    assert str(Layer(cell).output_width) == "k + m"
    assert str(Layer(cell, layers=2, direction="both").parameter_shapes()["l1.W"]) == "(k, 2*k + 2*m)"


def test_a_cell_whose_input_is_its_state_stacks_while_it_fits() -> None:
    cell = parse("input x[k]\nstate h[k]\nh' = W x")
    assert str(Layer(cell, layers=2).parameter_count) == "2*k**2"
    with pytest.raises(OptionError) as caught:
        Layer(cell, layers=2, direction="both")
    assert str(caught.value) == (
        "error[stack]: this cell cannot stand on itself\n"
        "  because  its input is x[k], and the output below is 2k wide\n"
        "  help     use one layer, or a cell whose input has a size of its own"
    )


# ---- other sizes, other options ----


def test_at_fills_open_letters_all_at_once() -> None:
    layer = lstm("n", "k")
    assert layer.at(n=5, k=10) == lstm(5, 10)
    assert layer.at(n="k", k="n") == lstm("k", "n")
    assert layer.at(k=10).open_letters == ("n",)
    assert lstm("k", "n").at(n=3, k=5) == lstm(5, 3)
    assert lstm("m", 4).at(m=3) == lstm(3, 4)


@pytest.mark.parametrize(
    ("layer", "name", "is_open"),
    [
        (lstm("n", "k"), "q", "n, k"),
        (lstm(5, "k"), "n", "k"),
        (lstm("m", "k"), "n", "m, k"),
        (lstm(5, 10), "n", "none: every size is a number"),
    ],
    ids=["unknown", "given", "renamed", "none"],
)
def test_at_refuses_what_is_not_open(layer: Layer, name: str, is_open: str) -> None:
    with pytest.raises(SizeError) as caught:
        layer.at(**{name: 3})
    assert str(caught.value) == f"error[size]: the layer has no open size {name}\n  expected {is_open}"


def test_with_changes_options_and_sizes() -> None:
    layer = lstm(5, 10, layers=2)
    assert layer.with_(layout="batch", n=6) == lstm(6, 10, layers=2, layout="batch")
    assert layer.with_(cell=lstm(bias="two").cell) == lstm(5, 10, layers=2, bias="two")
    assert layer.layout == "time"


@pytest.mark.parametrize("bias", BIASES)
def test_the_cell_of_a_layer_is_the_option_s(bias: Any) -> None:
    assert lstm(bias=bias, peephole=True, coupled="i=1-f", projection="q", forget_bias="1/3").given[1] == (
        "r",
        letter("q"),
    )


def test_numpy_numbers_count_layers() -> None:
    assert lstm(5, 10, layers=np.int64(2)) == lstm(5, 10, layers=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "error[size]: layers = 0 is no count of layers\n  expected 1 to 1000"),
        ({"layers": 1001}, "error[size]: layers = 1001 is no count of layers\n  expected 1 to 1000"),
        ({"layers": True}, "error[size]: layers = True is no count of layers\n  expected 1 to 1000"),
        ({"layers": 2.0}, "error[size]: layers = 2.0 is no count of layers\n  expected 1 to 1000"),
        ({"layout": "batch_first"}, "error[option]: layout='batch_first' is unknown\n  expected time, batch"),
        ({"output": "all"}, "error[option]: output='all' is unknown\n  expected sequence, last"),
        ({"realign": 1}, "error[option]: realign=1 is unknown\n  expected True, False"),
        ({"bidirectional": "yes"}, "error[option]: bidirectional='yes' is unknown\n  expected True, False"),
        ({"reverse": 1}, "error[option]: reverse=1 is unknown\n  expected True, False"),
        (
            {"reverse": True, "bidirectional": True},
            "error[options]: reverse does not go with bidirectional\n  help     a bidirectional layer reads both ways",
        ),
        ({"bias": "zero"}, "error[option]: bias='zero' is unknown\n  expected none, one, two"),
        ({"peephole": "yes"}, "error[option]: peephole='yes' is unknown\n  expected none, diagonal, full"),
        ({"peephol": True}, "error[option]: peephol is no option\n  help     did you mean peephole?"),
        ({"projection": 3, "r": 3}, "error[options]: r is given twice\n  found    projection=3, r=3"),
        (
            {"projection": 0},
            "error[size]: r = 0 is too small\n  expected a whole number ≥ 1, or a letter such as n",
        ),
        ({"forget_bias": "one"}, "error[option]: forget_bias='one' is no number\n  expected e.g. 1, or 0.5"),
        ({"forget_bias": True}, "error[option]: forget_bias=True is no number\n  expected e.g. 1, or 0.5"),
        ({"forget_bias": float("nan")}, "error[option]: forget_bias=nan is no number\n  expected e.g. 1, or 0.5"),
        (
            {"forget_bias": 1e-12},
            "error[option]: forget_bias=1e-12 is out of range\n  expected -1000 to 1000, with nine decimals at most",
        ),
        (
            {"r": 3},
            "error[size]: the cell has no size r\n  expected n, k\n  help     sizes are named as in the equations",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_lstm_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LstmSpecError) as caught:
        lstm(5, 10, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("number", [0.1, np.float64(0.1), "0.1", "1/10"])
def test_the_forget_constant_is_the_number_people_write(number: Any) -> None:
    assert str(lstm(forget_bias=number).cell.defined["f"]) == "f = sigmoid(W_f x + U_f h + b_f + 0.1)"


# ---- cells that are no layer ----


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "input x[n], z[n]\nstate h[k]\nh' = W x + U z",
            "error[inputs]: a layer feeds its cell one input sequence\n  found    x, z",
        ),
        ("state h[k]\nh' = U h", "error[inputs]: a layer feeds its cell one input sequence\n  found    none"),
        (
            "input x[n, m]\nstate h[k]\nh' = W x b",
            "error[matrix]: x is a matrix; the sequences of a layer are of vectors\n  found    x is n×m",
        ),
        (
            RNN + "output S\nS = h x^T\nh' = W x",
            "error[matrix]: S is a matrix; the sequences of a layer are of vectors\n  found    S is k×n",
        ),
    ],
    ids=["two inputs", "no input", "matrix in", "matrix out"],
)
def test_cells_that_are_no_layer(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Layer(parse(text))
    assert str(caught.value) == message


def test_a_cell_that_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(CellError, match=r"\[dimension\]: h' has k rows, and x has n"):
        Layer(parse(RNN + "h' = x"))


def test_a_cell_may_carry_a_matrix() -> None:
    layer = Layer(parse("input x[n]\nstate S[k, n], h[k]\nS' = S + h x^T\nh' = tanh(S x)"), 3, 4)
    assert layer.state_shapes() == {"l0.S": (4, 3), "l0.h": (4,)}


def test_it_says_what_it_is() -> None:
    assert str(lstm(5, 10, layers=2, bidirectional=True)).splitlines()[0] == "layer with n = 5, k = 10, 2 layers, both"
