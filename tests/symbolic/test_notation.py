"""Notations: every name has one sign and every sign its names, nothing is dropped, and the numbers stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Integer

import lstm_spec as ls
from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import OptionError
from lstm_spec.render.notated import (
    notated_latex,
    notated_markdown,
    notated_text,
    rename_counts,
    rename_shapes,
    sign_latex,
)
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.cell import Cell, letter
from lstm_spec.symbolic.notation import Notated, notate
from lstm_spec.symbolic.schools import NOTATIONS, get
from lstm_spec.symbolic.shapes import infer, matrices
from tests.strategies import OPTIONS, cells, few, law

FULL = "input x[n]\nstate h[k], c[k]\nf = sigmoid(W_f x + U_f h + P_f c + b_f)\nc' = f * c\nh' = tanh(c')"
TURNED = "input x[n]\nstate h[k]\nlet M[k, k]\nh' = tanh(W x + M^T h + M h + b)"

notations = st.sampled_from(sorted(NOTATIONS))


def hold_laws(notated: Notated) -> None:
    """What is true of any cell in any notation."""
    cell, signs = notated.cell, notated.signs
    for shown in ([sign.text for sign in signs.values()], [sign_latex(sign) for sign in signs.values()]):
        assert len(set(shown)) == len(shown)
    for sign in signs.values():
        assert notated.originals(sign.text) == sign.names
    assert sorted(name for sign in signs.values() for name in sign.names) == sorted(cell.roles)
    keys = {key for e in notated.equations for key in (*e.targets, *(n.name for n in a.names(e.expression)))}
    assert keys | {d.name for d in cell.inputs + cell.states} == set(signs)
    assert sorted(e.targets for e in notated.equations) == sorted(e.targets for e in cell.equations)
    lines = notated_text(notated).partition("\n\n")[2].splitlines()
    assert len(lines) == len(cell.equations)
    for line, equation in zip(lines, notated.equations, strict=True):
        assert line.startswith(("[" * (len(equation.targets) > 1)) + signs[equation.targets[0]].text)
    latex = notated_latex(notated)
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    assert latex[latex.index(r"\begin") :] in notated_markdown(notated)


@law
@given(notations, st.sampled_from(OPTIONS))
def test_any_lstm_in_any_notation(name, options):
    hold_laws(notate(lstm_cell(options), get(name)))


@pytest.mark.parametrize(("name", "cell"), list(product(NOTATIONS, ls.cells.names())))
def test_the_catalogue_in_any_notation(name, cell):
    hold_laws(notate(ls.cells.get(cell), get(name)))


def further() -> dict[str, Cell]:
    """LSTMs with the options that change most of the text."""
    chosen: dict[str, dict[str, Any]] = {
        "full peepholes": {"peephole": "full"},
        "tf1 norm": {"layer_norm": "tf1"},
        "tflite norm": {"layer_norm": "tflite", "peephole": True},
        "tfa norm": {"layer_norm": "tfa", "projection": True},
        "hidden layers": {"gate_hidden": True, "bias": "two"},
    }
    return {name: lstm_cell(LstmOptions(**options)) for name, options in chosen.items()}


@pytest.mark.parametrize(("name", "cell"), list(product(NOTATIONS, further())))
def test_further_options_in_any_notation(name, cell):
    hold_laws(notate(further()[cell], get(name)))


@few
@given(notations, cells())
def test_any_cell_in_any_notation(name, drawn):
    hold_laws(notate(drawn.cell, get(name)))


# ---- the same numbers ----


def test_a_joined_and_a_turned_equation_compute_the_same():
    """The plain interpreter below reads the rearranged trees, with matrices joined and stored as the school does."""
    chosen = {name: ls.cells.get(name) for name in ls.cells.names()} | further()
    for name, (title, cell) in product(NOTATIONS, chosen.items()):
        notated = notate(cell, get(name))
        size = {letter(name): Integer(3 + i) for i, name in enumerate(cell.letters)}
        rng = np.random.default_rng(0)
        values = {}
        for tensor, shape in infer(cell).items():
            values[tensor] = rng.uniform(0.1, 1, [int(rows.xreplace(size)) for rows in shape.size])
        stored = {key: store(notated, key, values) for key in notated.signs}
        for own in cell.equations:
            (other,) = (e for e in notated.equations if e.targets == own.targets)
            expected, found = compute(own.expression, values), compute(other.expression, stored)
            np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=f"{title} in {name}: {own}")


def store(notated: Notated, key: str, values: Mapping[str, Any]) -> Any:
    """A matrix as the school keeps it: joined ones side by side, transposed where vectors are rows."""
    parts = [values[name] for name in notated.signs[key].names]
    value = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    return value.T if notated.form == "rows" and value.ndim > 1 else value


def compute(node: a.Node, values: Mapping[str, Any]) -> Any:
    """A tree's value; a vector has one axis, so a row times a matrix is `x @ W`."""
    match node:
        case a.Name():
            return values[node.name]
        case a.Number():
            return float(node.value)
        case a.Join():
            return np.concatenate([compute(o, values) for o in node.operands])
        case a.Negate():
            return -compute(node.operand, values)
        case a.Transpose():
            return compute(node.operand, values).T
        case a.Call():
            given = [compute(o, values) for o in node.operands]
            return CALLS[node.function](*given)
    return SIGNS[type(node)](compute(node.operands[0], values), compute(node.operands[1], values))


SIGNS = {a.Add: np.add, a.Subtract: np.subtract, a.Multiply: np.multiply, a.Divide: np.divide, a.Product: np.matmul}
CALLS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "exp": np.exp,
    "max": np.maximum,
    "softplus": lambda z: np.log1p(np.exp(z)),
    "layer_norm": lambda z, e: (z - z.mean()) / np.sqrt(z.var() + e),
}


# ---- what each school does ----


def test_matrices_become_rows_only_where_the_school_has_rows():
    forms = {name: notate(lstm_cell(), notation).form for name, notation in NOTATIONS.items()}
    assert {name for name, form in forms.items() if form == "rows"} == {"keras", "tf1"}
    assert {name for name, form in forms.items() if form == "rows transposed"} == {"onnx"}


def test_a_cell_that_transposes_keeps_its_columns_and_says_so():
    notated = notate(ls.parse(TURNED), get("keras"))
    remark = "this cell transposes a matrix or derives one: its vectors stay columns, as in lstm-spec"
    assert remark in notated.remarks
    assert notated_text(notated).splitlines()[-1] == "h = tanh(kernel x + M^T h_tm1 + M h_tm1 + bias)"


def test_a_full_peephole_joins_as_colah_draws_it():
    lines = notated_text(notate(ls.parse(FULL), get("colah"))).splitlines()
    assert lines[-3] == "f_t = σ(W_f [C_{t-1}, h_{t-1}, x_t] + b_f)"


def test_a_matrix_that_is_read_twice_is_not_joined():
    cell = ls.parse("input x[n]\nstate h[k]\ng = tanh(W_g x + U_g h)\nh' = g + U_g h")
    lines = notated_text(notate(cell, get("colah"))).splitlines()
    assert lines[-2:] == ["C~_t = tanh(W_C x_t + U_C h_{t-1})", "h_t  = C~_t + U_C h_{t-1}"]


def test_equations_that_do_not_stand_together_keep_their_places():
    cell = ls.parse("input x[n]\nstate h[k], c[k]\no = W_o x + U_o h\nq = tanh(o)\nf = W_f x\nc' = f * c\nh' = q * c'")
    assert [e.targets[0] for e in notate(cell, get("colah")).equations] == ["o", "q", "f", "c'", "h'"]


def test_a_gru_has_its_own_words():
    shown = {name: notate(ls.cells.get("gru-two-biases"), n).signs["g"].text for name, n in NOTATIONS.items()}
    assert shown == {
        "colah": "h~_t",
        "ng": "c~^{<t>}",
        "greff": "g^t",
        "graves": "g_t",
        "keras": "hh",
        "pytorch": "n_t",
        "onnx": "ht",
        "tf1": "c",
        "slater": "g_t",
        "udacity": "N_t",
    }


def test_udacity_is_the_real_cell_only_in_the_catalogue():
    remark = (
        "not the cell that Udacity teaches: its Use gate is STM_t = V_t * tanh(W_u (f_t * LTM_{t-1}) + b_u);"
        " that one is --cell udacity"
    )
    assert notate(lstm_cell(), get("udacity")).remarks == (remark,)
    real = notate(ls.cells.get("udacity"), get("udacity"))
    assert real.remarks == ()
    assert notated_text(real).splitlines()[-1] == "STM_t = V_t * tanh(W_u (f_t * LTM_{t-1}) + b_u)"


def test_a_letter_that_is_taken_stays():
    cell = ls.parse("input x[n]\nstate h[k]\na = W_a x + U_a h\ng = tanh(a)\nh' = g * a")
    assert [notate(cell, get("ng")).signs[name].text for name in ("h", "a", "g")] == [
        "h^{<t-1>}",
        "a^{<t>}",
        "c~^{<t>}",
    ]


def test_two_names_with_one_sign_both_keep_their_own():
    cell = ls.parse("input x[n]\nstate h[k]\ng = tanh(W_g x)\nh' = g * (W_c x)")
    assert {notate(cell, get("greff")).signs[name].text for name in ("W_g", "W_c")} == {"W_z", "W_c"}
    assert {notate(cell, get("keras")).signs[name].text for name in ("W_g", "W_c")} == {"W_g", "W_c"}


def test_two_names_that_must_look_alike_are_an_error():
    cell = ls.parse("input x[n]\nstate h[k]\ni = tanh(W_i x)\nh' = i * it")
    with pytest.raises(OptionError) as caught:
        notate(cell, get("onnx"))
    assert str(caught.value) == (
        "error[notation]: it and i would both be shown as it\n"
        "  because  that is how the notation onnx writes them\n"
        "  help     give one of them another name in the equations, or choose another notation"
    )


def test_every_notation_has_a_title_and_a_source():
    assert all(n.title and n.source and n.name == name for name, n in NOTATIONS.items())
    assert NOTATIONS["slater"].source.startswith("not verified")


def test_the_order_of_a_school_names_what_exists():
    known = {*lstm_cell().roles, *ls.cells.get("gru").roles}
    assert {target for n in NOTATIONS.values() for target in n.order} <= known


# ---- tensors and counts ----


@few
@given(notations, st.sampled_from(OPTIONS), st.sampled_from([1, 2]))
def test_a_layers_tensors_and_counts(name, options, stack):
    layer = ls.Layer(lstm_cell(options), n=5, k=10, layers=stack)
    notated = notate(layer.cell, get(name))
    tensors = rename_shapes(layer.shapes(), notated).tensors
    assert len({tensor.name for tensor in tensors}) == len(tensors)
    counts = rename_counts(layer.parameter_counts(), notated)
    assert (sum(counts.values()) - layer.parameter_count).expand() == 0
    prefix = "l0." if stack == 1 else ""
    parameters = {prefix + t.name: t.letters for t in tensors if t.kind == "parameter"}
    assert set(parameters) == set(counts)


def test_the_matrices_that_keras_stores():
    notated = notate(lstm_cell(), get("keras"))
    shapes = rename_shapes(ls.lstm(5, 10).shapes(), notated)
    assert [str(shapes[name]) for name in ("kernel_f", "recurrent_kernel_f", "bias_f")] == [
        "kernel_f (n, k) = (5, 10)",
        "recurrent_kernel_f (k, k) = (10, 10)",
        "bias_f (k,) = (10,)",
    ]
    assert matrices(lstm_cell()) == {name for name in lstm_cell().parameters if name[0] in "WU"}
