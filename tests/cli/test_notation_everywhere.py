"""`--notation` where cells are told in words: a unit, a cell of the catalogue, two cells beside each other."""

from __future__ import annotations

import json
import re

import pytest

import lstm_spec as ls
from lstm_spec.symbolic.schools import NOTATIONS

STAND_IN = re.compile(r"q[0-9a-f]{4,}q")
UNIT = ("unit", 3, "--n", 5, "--k", 10)


def test_a_unit_as_colah_writes_it(command):
    lines = command(*UNIT, "--notation", "colah").out.splitlines()
    assert lines[2] == "f_t[3] = σ(Σ_q W_f[3,q] [h_{t-1}, x_t][q] (q = 1…15) + b_f[3])"
    assert "learns         f_t[3]: 15 of W_f + 1 of b_f = 16" in lines
    assert "puts out       h_t[3] and C_t[3]: h_{t-1}[3] and C_{t-1}[3] of the next step" in lines
    assert "               ∂C_t[i]/∂C_{t-1}[j] = 0 for i ≠ j, with h_{t-1} held fixed" in lines


def test_a_unit_whose_matrices_are_stored_the_other_way_round(command):
    out = command(*UNIT, "--notation", "tf1", "--cell", "lstm").out
    assert "new_c[3] = f[3] * c[3] + i[3] * j[3]\n" in out
    assert "j[3] = tanh(Σ_q kernel_j[q,3] [x, h][q] (q = 1…15) + bias_j[3])\n" in out
    assert "∂new_c[i]/∂c[j] = 0 for i ≠ j, with h held fixed\n" in out


def test_what_is_unlike_the_plain_one_has_the_same_symbols(command):
    out = command(*UNIT, "--notation", "udacity", "--peephole").out
    assert "i_t, f_t and V_t depend on LTM_{t-1}[3] alone; there on no LTM_{t-1}\n" in out


def test_a_symbol_that_means_another_thing_in_the_plain_one(command):
    """TF1 calls a GRU's candidate c, as an LSTM's state: the unit is told, without the plain LSTM beside it."""
    outcome = command("unit", 3, "--n", 5, "--k", 10, "--cell", "gru", "--notation", "tf1")
    assert (outcome.code, outcome.err) == (0, "")
    assert "new_h[3] = u[3] * h[3] + (1 - u[3]) * c[3]\n" in outcome.out
    assert "unlike the plain LSTM" not in outcome.out


def test_a_unit_as_json(command):
    told = json.loads(command(*UNIT, "--notation", "ng", "--json").out)
    assert told["learns"]["by_equation"][1] == {"equation": "Γ_u^{<t>}[3]", "parameters": {"W_u": 15, "b_u": 1}}
    assert told["learns"]["whole_cell"] == 640


def test_a_cell_of_the_catalogue(command):
    out = command("cells", "show", "graves2013", "--notation", "tf1").out
    assert out.endswith(
        "i     = σ([x, h] kernel_i + w_i_diag * c + bias_i)\n"
        "f     = σ([x, h] kernel_f + w_f_diag * c + bias_f)\n"
        "o     = σ([x, h] kernel_o + w_o_diag * new_c + bias_o)\n"
        "new_c = f * c + i * tanh([x, h] kernel_j + bias_j)\n"
        "new_h = o * tanh(new_c)\n"
        "\n"
        "shape      parameters\n"
        "\n"
        "(n + k)×k  kernel_i, kernel_f, kernel_o, kernel_j\n"
        "k          w_i_diag, bias_i, w_f_diag, bias_f, w_o_diag, bias_o, bias_j\n"
        "\n"
        "parameters  k*(4*k + 4*n + 7)\n"
    )
    shapes = json.loads(command("cells", "show", "graves2013", "--notation", "tf1", "--json").out)["parameters"]
    assert shapes["by_shape"]["(n + k)×k"] == ["kernel_i", "kernel_f", "kernel_o", "kernel_j"]


def test_two_cells_beside_each_other(command):
    assert command("cells", "diff", "lstm", "udacity", "--notation", "keras").out == (
        "udacity beside lstm\n"
        "\n"
        "h is o * tanh((f * c_tm1) W_u + bias_u), not o * tanh(c)\n"
        "  - h = o * tanh(c)\n"
        "  + h = o * tanh((f * c_tm1) W_u + bias_u)\n"
        "\n"
        "parameter  lstm             udacity\n"
        "\n"
        "W_u        0                k**2\n"
        "bias_u     0                k\n"
        "\n"
        "total      4*k*(k + n + 1)  k*(5*k + 4*n + 5)\n"
        "\n"
        "parameters  k*(k + 1) more\n"
    )
    told = json.loads(command("cells", "diff", "lstm", "janet", "--notation", "colah", "--json").out)
    assert told["changes"][0] == {
        "name": "C_{t-1}",
        "first": "state C_t[k]",
        "second": "",
        "words": "there is no state C_t",
    }


def test_a_symbol_that_would_mean_two_things(command):
    outcome = command("cells", "diff", "lstm", "udacity", "--notation", "ng")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error[notation]: b_u would stand for two things in these cells\n"
        "  because  b_i of the one, b_u of the other\n"
        "  help     choose another notation\n"
    )


@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_cell_of_the_catalogue_in_every_notation(command, notation):
    for name in ls.cells.names():
        outcome = command("cells", "show", name, "--notation", notation)
        assert (outcome.code, outcome.err) == (0, ""), name
        assert not STAND_IN.search(outcome.out), name
        assert f"parameters  {ls.Layer(ls.cells.get(name)).parameter_count}" in outcome.out, name


@pytest.mark.parametrize(
    "line", [("unit", 3, "--n", 5, "--k", 10), ("cells", "show", "gru"), ("cells", "diff", "lstm", "gru")]
)
def test_a_notation_that_is_none(command, line):
    outcome = command(*line, "--notation", "Colla")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[notation]: no notation is called Colla\n")
