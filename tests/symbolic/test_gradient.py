"""The backward pass as a cell: its text, its shapes, its names, and the derivatives that SymPy gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given

from lstm_spec import cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.errors import CellError
from lstm_spec.layers.factory import lstm
from lstm_spec.symbolic.algebra import FUNCTIONS, Call, Name, Node
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.derivatives import CONSTANT, FORMS, derivative, number
from lstm_spec.symbolic.gradient import differentiate, name_gradients
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.shapes import infer
from tests.compiler.oracle import evaluate
from tests.laws import tried
from tests.strategies import OPTIONS, Drawn
from tests.strategies import cells as drawn_cells

PLAIN = """\
input x[n], h[k], c[k], i[k], f[k], g[k], o[k], c'[k], d_y[k]
state d_h[k], d_c[k]
let d_x[n]
output d_x

e_h    = d_h + d_y
tanh_c = tanh(c')
e_c    = d_c + e_h * o * (1 - tanh_c * tanh_c)
d_o    = e_h * tanh_c * o * (1 - o)
d_g    = e_c * i * (1 - g * g)
d_f    = e_c * c * f * (1 - f)
d_i    = e_c * g * i * (1 - i)
d_W_i  += d_i x^T
d_U_i  += d_i h^T
d_b_i  += d_i
d_W_f  += d_f x^T
d_U_f  += d_f h^T
d_b_f  += d_f
d_W_g  += d_g x^T
d_U_g  += d_g h^T
d_b_g  += d_g
d_W_o  += d_o x^T
d_U_o  += d_o h^T
d_b_o  += d_o
d_x    = W_i^T d_i + W_f^T d_f + W_g^T d_g + W_o^T d_o
d_h'   = U_i^T d_i + U_f^T d_f + U_g^T d_g + U_o^T d_o
d_c'   = e_c * f"""
PARTS: dict[str, tuple[dict[str, Any] | str, list[str]]] = {
    "peephole": (
        {"peephole": True},
        [
            "e_c    = d_c + d_o * p_o + e_h * o * (1 - tanh_c * tanh_c)",
            "d_p_o  += d_o * c'",
            "d_p_f  += d_f * c",
            "d_c'   = d_i * p_i + d_f * p_f + e_c * f",
        ],
    ),
    "projection": (
        {"projection": True},
        ["d_h1   = W_proj^T e_h", "d_o    = d_h1 * tanh_c * o * (1 - o)", "d_W_proj += e_h (o * tanh_c)^T"],
    ),
    "coupled": ({"coupled": "f=1-i"}, ["e_i    = e_c * g - e_c * c", "d_i    = e_i * i * (1 - i)"]),
    "layer norm": (
        "layer-norm",
        [
            "centred_c  = c' - mean(c')",
            "scale_c    = sqrt(mean(centred_c * centred_c) + 1e-5)",
            "norm_c     = centred_c / scale_c",
            "e_c        = d_c + (d_h2 - mean(d_h2) - norm_c * mean(d_h2 * norm_c)) / scale_c",
            "d_z        = [d_z_i, d_z_f, d_z_g, d_z_o]",
            "d_s_W      += d_z * norm_z",
        ],
    ),
    "gru": (
        "gru",
        [
            "d_g  = e_h * (1 - z) * (1 - g * g)",
            "d_g1 = U_g^T d_g",
            "e_z  = e_h * h - e_h * g",
            "d_U_g += d_g (r * h)^T",
            "d_h' = U_z^T d_z + U_r^T d_r + d_g1 * r + e_h * z",
        ],
    ),
    "joined": ("joined", ["[d_h11, d_h12] = W^T d_h1", "d_W += d_h1 [h, x]^T", "d_x            = d_h12"]),
}
JOINED = "input x[n]\nstate h[k]\nh' = tanh(W [h, x] + b)"


def cell_of(given: dict[str, Any] | str) -> Cell:
    if isinstance(given, dict):
        return lstm(**given).cell
    return parse(JOINED) if given == "joined" else cells.get(given)


def test_the_backward_pass_of_the_plain_lstm() -> None:
    assert str(differentiate(lstm_cell())) == PLAIN


@pytest.mark.parametrize("name", PARTS)
def test_lines_of_other_backward_passes(name: str) -> None:
    source, lines = PARTS[name]
    written = str(differentiate(cell_of(source))).splitlines()
    squeezed = [" ".join(line.split()) for line in written]
    assert [line for line in lines if " ".join(line.split()) not in squeezed] == []


def holds(cell: Cell) -> None:
    """It parses back, and each gradient has the shape of what it is the gradient of."""
    backward = differentiate(cell)
    again = parse(str(backward))
    assert again == backward
    assert str(again) == str(backward)
    names, shapes, own = name_gradients(cell), infer(backward), infer(cell)
    for role in (names.parameters, names.inputs, names.states):
        for name, gradient in role.items():
            assert shapes[gradient] == own[name], gradient


@pytest.mark.parametrize("name", cells.names())
def test_every_catalogue_cell_parses_back_with_the_shapes_of_its_tensors(name: str) -> None:
    holds(cells.get(name))


def test_every_fifth_option_of_the_lstm_parses_back() -> None:
    for options in OPTIONS[::5]:
        holds(lstm_cell(options))


@tried(60, *HealthCheck)
@given(drawn=drawn_cells())
def test_any_cell_parses_back(drawn: Drawn) -> None:
    cell = drawn.cell
    if not any(e.total for e in cell.equations):
        holds(cell)


@pytest.mark.parametrize(
    "text",
    [
        "let q[n], s[n], z[n]\noutput h, w, z, y\n[s, w] = [x, q]\n[z, y] = [s, p]\nlet p[n]",
        "let q[2n], s[n], z[2n]\noutput h, w, z, y\n[s, w] = [x, q]\n[z, y] = [w, s]",
        "let q[2n], s[n], z[2n], y[n]\noutput h, w, z, y\n[s, w] = [x, q]\n[y, z] = [w, s]",
    ],
)
def test_parts_of_a_join_that_is_taken_apart_keep_their_sizes(text: str) -> None:
    """What only the forward equations say is stated: nothing in the backward cell tells how long the parts are."""
    lets = [line for line in text.split("\n") if line.startswith("let")]
    rest = [line for line in text.split("\n") if not line.startswith("let")]
    holds(parse("\n".join(["input x[n]", "state h[k]", *lets, *rest, "h' = tanh(h + W x)"])))


def test_a_prefix_that_is_taken_is_lengthened() -> None:
    cell = parse("input x[n]\nstate d_h[k]\noutput y\ny = tanh(W x + U d_h + d_x + e_h)\nd_h' = y")
    backward = differentiate(cell)
    assert backward.states[0].name == "dd_d_h"
    assert backward.outputs == ("dd_x",)
    assert {"dd_d_x", "dd_e_h"} <= set(backward.defined)
    holds(cell)


def test_what_no_path_leads_to_has_the_gradient_0() -> None:
    backward = differentiate(parse("input x[n]\nstate h[k]\nh' = h + step(W x + b)"))
    lines = [" ".join(line.split()) for line in str(backward).splitlines()]
    assert {"d_W += 0 * W", "d_b += 0 * b", "d_x = 0 * x"} <= set(lines)


def test_a_gradient_that_only_a_step_reads_is_read() -> None:
    cell = parse("input x[n]\nstate h[k]\nz = step(W x)\nh' = z")
    lines = [" ".join(line.split()) for line in str(differentiate(cell)).splitlines()]
    assert lines[lines.index("e_h = d_h + d_y") :] == [
        "e_h = d_h + d_y",
        "d_z = 0 * e_h",
        "d_W += d_z x^T",
        "d_x = W^T d_z",
        "d_h' = 0 * d_h",
    ]


def test_a_total_has_no_gradient() -> None:
    cell = parse("input x[n]\nstate h[k]\nh' = tanh(W x + h)\ns += h'")
    with pytest.raises(CellError) as caught:
        differentiate(cell)
    assert str(caught.value) == (
        "error[gradient]: s is a total, and a total has no gradient here\n  at       <text>:4   s += h'\n"
        "                      ^^^^^^^"
    )


NUMBERS = {"hard_sigmoid": ("0.2", "0.5"), "leaky_relu": ("0.1",), "elu": ("1.5",), "clip": ("-1/3", "2")}
POINTS = np.array([-2.7, -1.1, -0.4, 0.3, 0.9, 1.7, 2.6])


def call_of(function: str) -> Call:
    from sympy import Rational

    tensors = [Name("z"), Name("w")][: FUNCTIONS[function].tensors]
    made: Call = Call(function, *tensors, *(parse_number(Rational(n)) for n in NUMBERS.get(function, ())))
    return made


def parse_number(value: Any) -> Node:
    from lstm_spec.symbolic.algebra import Number

    made: Node = Number(value)
    return made


@pytest.mark.parametrize("function", FORMS)
def test_a_derivative_is_the_slope(function: str) -> None:
    call, step = call_of(function), 1e-6
    points = np.abs(POINTS) if function in ("log", "sqrt") else POINTS
    known = {"z": points, "w": points[::-1] + 0.05}
    for side, name in enumerate(("z", "w")[: len(call.tensors)]):
        slope = derivative(call, Name("y"), side)
        up, down = (evaluate(call, known | {name: known[name] + s}) for s in (step, -step))
        found = evaluate(slope, known | {"y": evaluate(call, known)})
        assert np.allclose(found * np.ones(len(points)), (up - down) / (2 * step), atol=1e-8), (function, str(slope))


def test_every_function_has_a_derivative() -> None:
    across = {name for name, function in FUNCTIONS.items() if function.across}
    assert set(FUNCTIONS) == set(FORMS) | across | {*CONSTANT, "identity"}


KINKS = [("relu", 0.0, 0.0), ("abs", 0.0, 0.0), ("leaky_relu", 0.0, 0.1), ("elu", 0.0, 1.5)]
KINKS += [("clip", 2.0, 1.0), ("hard_sigmoid", 2.5, 0.0), ("hard_sigmoid", -2.5, 0.0), ("max", 0.7, 0.5)]


@pytest.mark.parametrize(("function", "at", "slope"), KINKS)
def test_a_kink_has_the_derivative_of_pytorch(function: str, at: float, slope: float) -> None:
    call = call_of(function)
    known = {"z": np.array([at]), "w": np.array([at])}
    found = evaluate(derivative(call, Name("y")), known | {"y": evaluate(call, known)})
    assert math.isclose(found[0], slope)


@pytest.mark.parametrize(("value", "written"), [("-3", "-3"), ("1/2", "0.5"), ("1/6", "1 / 6"), ("-1/3", "-(1 / 3)")])
def test_numbers_are_written_so_that_they_parse_back(value: str, written: str) -> None:
    from sympy import Rational

    assert str(number(Rational(value))) == written


def test_the_parts_of_outputs_that_are_only_moved():
    """Gradients of outputs meet the parts of a join: each has the rows of the value that it is the gradient of."""
    cell = parse(
        "input x[n]\nstate h[n]\nlet q[n], s[n], p[n], u[n]\noutput h, t, u, v\n"
        "[s, t] = [x, q]\n[u, v] = [s, p]\nh' = tanh(W x)"
    )
    backward = differentiate(cell)
    assert parse(str(backward)) == backward
    assert str(backward.defined["d_q"].expression) == "d_y_t"
    assert str(infer(backward)["d_p"].rows) == "n"
