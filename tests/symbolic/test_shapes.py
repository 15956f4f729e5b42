"""Dimension inference: known cells, and an evaluator of its own that knows nothing of unification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from sympy import Integer

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import CellError
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.cell import Cell, Equation, letter
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.shapes import infer
from tests.strategies import OPTIONS, Drawn, cells, few, law

RNN = "input x[n]\nstate h[k]\n"
LSTM = "input x[n]\nstate h[k], c[k]\n"


def shapes_of(text: str) -> dict[str, str]:
    shapes = infer(parse(text))
    return {name: shapes.text(name) for name in shapes}


def shapes_of_parameters(cell: Cell) -> dict[str, str]:
    shapes = infer(cell)
    return {name: shapes.text(name) for name in cell.parameters}


# ---- an independent evaluator ----


class Misfit(Exception):
    """Two arrays do not fit: what NumPy would refuse, and broadcasting too."""


def evaluate(node: a.Node, arrays: Mapping[str, Any]) -> Any:
    """The value of a node on two-dimensional arrays; numbers are scalars, and nothing else spreads."""
    values = [evaluate(o, arrays) for o in node.operands]
    shaped = [v for v in values if np.ndim(v)]
    match node:
        case a.Name():
            return arrays[node.name]
        case a.Number():
            return 1.0
        case a.Transpose():
            return np.transpose(values[0])
        case a.Product():
            if len(shaped) < 2 or values[0].shape[1] != values[1].shape[0]:
                raise Misfit(str(node))
            return values[0] @ values[1]
        case a.Join():
            if len(shaped) < len(values) or any(v.shape[1] != 1 for v in shaped):
                raise Misfit(str(node))
            return np.concatenate(values)
    if len({v.shape for v in shaped}) > 1:
        raise Misfit(str(node))
    return shaped[0] if shaped else 1.0


def run(cell: Cell, shapes: Mapping[str, tuple[Any, ...]], numbers: Mapping[str, int]) -> None:
    """Evaluate every equation with arrays of these shapes. Raises Misfit where they do not fit."""
    sizes = {letter(name): Integer(value) for name, value in numbers.items()}
    found = {name: tuple(int(s.xreplace(sizes)) for s in (*size, Integer(1))[:2]) for name, size in shapes.items()}
    arrays = {name: np.ones(size) for name, size in found.items()}
    for equation in cell.equations:
        value = evaluate(equation.expression, arrays)
        rows = sum(found[t][0] for t in equation.targets)
        if np.shape(value) != (rows, found[equation.targets[0]][1]):
            raise Misfit(str(equation))


# Sums of a few of these are all different, so that an accident cannot pass for a law.
primes = st.permutations([3, 11, 47])


@law
@given(cells(), primes)
def test_inference_finds_the_shapes_a_cell_was_made_with(drawn: Drawn, numbers: list[int]) -> None:
    shapes = infer(drawn.cell)
    assert {name: shapes[name].size for name in shapes} == {name: drawn.shapes[name] for name in shapes}
    assert set(shapes) == set(drawn.shapes)
    run(drawn.cell, drawn.shapes, dict(zip(drawn.cell.letters, numbers, strict=False)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_lstm_fits(options: LstmOptions) -> None:
    cell = lstm_cell(options)
    shapes = infer(cell)
    run(cell, {name: shapes[name].size for name in shapes}, {"n": 3, "k": 11, "r": 47})


def rename_one(cell: Cell, at: int, new: str) -> Cell:
    """The cell with one mention of a name, the `at`-th of all, changed; the text is parsed anew."""
    counter = iter(range(10**6))

    def visit(node: a.Node) -> a.Node:
        if isinstance(node, a.Name):
            return a.Name(new) if next(counter) == at else node
        args = [visit(arg) if isinstance(arg, a.Node) and not isinstance(arg, a.Number) else arg for arg in node.args]
        changed: a.Node = node.func(*args)
        return changed

    equations = tuple(Equation(e.targets, visit(e.expression), e.total) for e in cell.equations)
    return Cell(cell.inputs, cell.states, equations, cell.lets, cell.outputs)


@law
@given(cells(), primes, st.data())
def test_inference_of_a_mutant_agrees_with_the_evaluator(drawn: Drawn, numbers: list[int], data: st.DataObject) -> None:
    mentions = [n.name for e in drawn.cell.equations for n in a.names(e.expression)]
    at = data.draw(st.integers(0, len(mentions) - 1))
    others = [n for n in drawn.shapes if drawn.shapes[n] != drawn.shapes[mentions[at]]]
    assume(others)
    at_sizes = dict(zip(drawn.cell.letters, numbers, strict=False))
    try:
        mutant = rename_one(drawn.cell, at, data.draw(st.sampled_from(others)))
    except CellError:
        event("not well formed")
        assume(False)  # no longer well formed: a cycle, a name that nobody reads
    try:
        shapes = infer(mutant)
    except CellError as error:
        event(f"rejected: {error.code}")
        if error.code != "undetermined":  # then no shapes fit, so those it was made with do not
            with pytest.raises(Misfit):
                run(mutant, drawn.shapes, at_sizes)
    else:
        event("accepted")
        run(mutant, {name: shapes[name].size for name in shapes}, at_sizes)


# ---- known cells ----


def test_plain() -> None:
    assert shapes_of_parameters(lstm_cell()) == {
        f"{kind}_{gate}": shape for gate in "ifgo" for kind, shape in (("W", "k×n"), ("U", "k×k"), ("b", "k"))
    }


def test_peephole_and_projection() -> None:
    shapes = infer(lstm_cell(LstmOptions(bias="two", peephole=True, projection=True)))
    found = {
        name: shapes.text(name)
        for name in ("h", "c", "W_f", "U_f", "b_Wf", "b_Uf", "p_f", "p_i", "p_o", "W_proj", "h'")
    }
    assert found == {
        "h": "r",
        "c": "k",
        "W_f": "k×n",
        "U_f": "k×r",
        "b_Wf": "k",
        "b_Uf": "k",
        "p_f": "k",
        "p_i": "k",
        "p_o": "k",
        "W_proj": "r×k",
        "h'": "r",
    }


def test_layer_norm_split_in_four() -> None:
    """Ba, Kiros & Hinton 2016, as design §4 writes it."""
    found = shapes_of(
        LSTM
        + "[i_, f_, g_, o_] = layer_norm(W x, 1e-5) * s_W + t_W + layer_norm(U h, 1e-5) * s_U + t_U + b\n"
        + "i = sigmoid(i_)\nf = sigmoid(f_)\ng = tanh(g_)\no = sigmoid(o_)\n"
        + "c' = f * c + i * g\n"
        + "h' = o * tanh(layer_norm(c', 1e-5) * s_c + t_c)"
    )
    wide = dict.fromkeys(("s_W", "t_W", "s_U", "t_U", "b"), "4k")
    assert {n: found[n] for n in ("W", "U", *wide, "s_c", "t_c", "i_", "o_")} == {
        "W": "4k×n",
        "U": "4k×k",
        **wide,
        "s_c": "k",
        "t_c": "k",
        "i_": "k",
        "o_": "k",
    }


def test_joined_gate_input() -> None:
    assert shapes_of(RNN + "h' = tanh(W [h, x] + b)")["W"] == "k×(n + k)"
    assert shapes_of(RNN + "z = [h, x]\nh' = tanh(W z)")["z"] == "n + k"


def test_totals_take_their_shape_from_what_they_add() -> None:
    found = shapes_of(RNN + "d = h * h\nd_W += d x^T\nd_U += d h^T\nd_b += d\nh' = tanh(d)")
    assert (found["d_W"], found["d_U"], found["d_b"]) == ("k×n", "k×k", "k")


def test_multiplicative_lstm_needs_its_let() -> None:
    """Krause, Lu, Murray & Renals 2016: m has a width of its own."""
    equations = "m = (W_mx x) * (W_mh h)\nh' = tanh(W_h m + U_h x)"
    found = shapes_of(RNN + "let m[j]\n" + equations)
    assert (found["W_mx"], found["W_mh"], found["W_h"], found["m"]) == ("j×n", "j×k", "k×j", "j")


def test_gate_with_a_hidden_layer_of_its_own() -> None:
    found = shapes_of(RNN + "let V[k, j]\nh' = tanh(V tanh(W x + U h + b) + a)")
    assert (found["V"], found["W"], found["U"], found["b"], found["a"]) == ("k×j", "j×n", "j×k", "j", "k")


def test_backward_cell_reads_saved_values() -> None:
    """In a cell without a state c, `c'` may be an input."""
    found = shapes_of(
        "input c'[k], f[k], d_y[k], x[n]\nstate d_c[k]\nlet d_x[n]\noutput d_x\n"
        "e_c = d_c + d_y * (1 - tanh(c') * tanh(c'))\nd_c' = e_c * f\nd_x = W^T e_c\nd_W += e_c x^T"
    )
    assert (found["W"], found["d_W"], found["c'"], found["d_x"]) == ("k×n", "k×n", "k", "n")


@pytest.mark.parametrize(
    ("equations", "found"),
    [
        # 2u = 2k, found only after the split was seen
        ("[a, b] = W x\nh' = a * b", {"W": "2k×n", "a": "k", "b": "k"}),
        ("[a, b] = [h, h]\nh' = a * b * W x", {"a": "k", "b": "k"}),
        ("[a, b] = [h, x]\nh' = a * W b", {"a": "k", "b": "n", "W": "k×n"}),
        ("[a, b, d] = W x\nh' = a * b * d", {"W": "3k×n"}),
        # a sum of unknowns that is known later
        ("z = [h, p]\nh' = W z + V p\ny = p + x\noutput h, y", {"W": "k×(n + k)", "V": "k×n", "p": "n"}),
        # an equation may define a matrix, also below the line that reads it
        ("let A[k, n], B[k, n]\nh' = S x\nS = A * B", {"S": "k×n"}),
        ("let A[k, n]\nh' = (A + B) x", {"B": "k×n"}),
        ("let A[n, k]\nh' = A^T x", {"A": "n×k"}),
        ("h' = W^T x", {"W": "n×k"}),
        ("h' = (-W) x", {"W": "k×n"}),
        ("h' = (P * W) x", {"W": "k×n", "P": "k×n"}),
        ("h' = (A B) x + A h", {"A": "k×k", "B": "k×n"}),
        ("h' = A B x + A h", {"A": "k×k", "B": "k×n"}),
        # one row is a size: x^T x
        ("s = x^T x\nh' = tanh(h s)", {"s": "1"}),
        ("s = x^T x\nh' = W [s, h]", {"W": "k×(k + 1)"}),
        # numbers spread
        ("i = 1 - W x\nh' = i * 1e-5 / max(h, 0)", {"i": "k", "W": "k×n"}),
        ("h' = max(1, 2) * W x", {"W": "k×n"}),
        ("h' = u x^T x", {"u": "k"}),
    ],
)
def test_unification(equations: str, found: dict[str, str]) -> None:
    shapes = shapes_of(RNN + equations)
    assert {name: shapes[name] for name in found} == found


def test_several_outputs() -> None:
    cell = parse("input x[n]\nstate h[k]\noutput y, h\ny = W_y h'\nh' = tanh(W x)\nlet y[m]")
    assert infer(cell).text("y") == "m"
    assert [cell.value_of(name) for name in cell.outputs] == ["y", "h'"]


@pytest.mark.parametrize("name", ["E", "I", "S", "N", "O", "Q", "beta", "gamma", "zeta", "pi", "oo", "e2"])
def test_letters_that_sympy_means_something_by(name: str) -> None:
    text = f"input x[{name}]\nstate h[4*{name} + k]\n\nh' = tanh(W x + b)"
    cell = parse(text)
    assert parse(str(cell)) == cell
    shapes = infer(cell)
    assert shapes["W"].size == (4 * letter(name) + letter("k"), letter(name))


@few
@given(st.integers(2, 400))
def test_large_cells_are_inferred_in_time(count: int) -> None:
    lines = [f"a{i} = a{i + 1} + V x" for i in range(count)]
    shapes = infer(parse(RNN + "\n".join(lines) + f"\na{count} = h\nh' = a0"))
    assert shapes.text("a7") == "k" if count > 7 else True
