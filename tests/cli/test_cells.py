"""`lstm-spec cells`: the list, one cell, two cells, and a cell's slips."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls
from lstm_spec.cells.catalogue import Entry, catalogue
from lstm_spec.cells.differences import compare_cells

SLIP = "input x[n]\nstate h[k]\nf = sigmoid(W_f x + U_f h + b_g)\nh' = tanh(W x + U (f * h) + b_g)\n"


def test_the_list(command):
    outcome = command("cells")
    heading, blank, *rows = outcome.out.splitlines()
    assert (outcome.code, heading.split(), blank) == (0, ["name", "parameters", "cell"], "")
    assert [row.split()[0] for row in rows] == list(ls.cells.names())
    assert "gru              3*k*(k + n + 1)       Cho et al. 2014: the GRU, reset gate before the product" in rows


def test_the_list_in_json(command):
    assert json.loads(command("cells", "--json").out) == catalogue().to_dict()


SHOWN = """\
# Zhou et al. 2016: the minimal gated unit
# Minimal Gated Unit for Recurrent Neural Networks, IJAC 13(3), arXiv:1603.09420.
input x[n]
state h[k]

f  = sigmoid(W_f x + U_f h + b_f)
g  = tanh(W_g x + U_g (f * h) + b_g)
h' = (1 - f) * h + f * g

shape  parameters

k×n    W_f, W_g
k×k    U_f, U_g
k      b_f, b_g

parameters  2*k*(k + n + 1)
"""


def test_a_cell(command):
    assert command("cells", "show", "mgu").out == SHOWN
    assert json.loads(command("cells", "show", "mgu", "--json").out) == Entry("mgu", ls.cells.get("mgu")).to_dict()


@pytest.mark.parametrize("name", ls.cells.names())
def test_every_cell_is_shown_and_lints_clean(command, name):
    assert command("cells", "show", name).out.startswith(str(ls.cells.get(name)))
    assert command("cells", "lint", name).code == 0


def test_a_cell_of_ones_own(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text(SHOWN.partition("\n\nshape")[0])
    assert command("cells", "show", path).out == SHOWN


DIFFERENCE = """\
udacity beside lstm

h' is o * tanh(W_u (f * c) + b_u), not o * tanh(c')
  - h' = o * tanh(c')
  + h' = o * tanh(W_u (f * c) + b_u)

parameter  lstm             udacity

W_u        0                k**2
b_u        0                k

total      4*k*(k + n + 1)  k*(5*k + 4*n + 5)

parameters  k*(k + 1) more
"""


def test_what_differs(command):
    assert command("cells", "diff", "lstm", "udacity").out == DIFFERENCE
    expected = compare_cells(ls.cells.get("lstm"), ls.cells.get("udacity")).to_dict()
    assert json.loads(command("cells", "diff", "lstm", "udacity", "--json").out) == expected


def test_cells_that_compute_the_same(command):
    out = command("cells", "diff", "greff-vanilla", "graves2013").out
    assert out.startswith(
        "graves2013 beside greff-vanilla\n\nboth compute the same; they are written in other ways\n\n"
    )
    assert out.endswith("\n\nparameters  as many\n")
    assert command("cells", "diff", "gru", "gru").out == "gru beside gru\n\nthe equations are the same\n"


def test_a_file_beside_a_name(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.cell").write_text(command("equations", "--peephole").out)
    assert command("cells", "diff", "my.cell", "lstm").out.endswith("\n\nparameters  3*k fewer\n")


def test_slips_are_exit_code_1(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text(SLIP)
    outcome = command("cells", "lint", path)
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out == (
        "warning[reused]: b_g is read twice: in f and h'\n"
        "  at       my.cell:4   h' = tanh(W x + U (f * h) + b_g)\n"
        "                                                   ^^^\n"
        "  because  it is one tensor, counted and trained once\n"
        "  help     if two tensors are meant, give each a name of its own\n"
        "1 warning\n"
    )
    in_json = command("cells", "lint", path, "--json")
    assert (in_json.code, json.loads(in_json.out)["ok"]) == (1, False)


def test_no_slips(command):
    assert command("cells", "lint", "gru").out == "no warnings\n"
    assert command("cells", "lint", "gru", "--json").out == '{"ok": true, "findings": []}\n'


@pytest.mark.parametrize(
    "arguments", [("show", "gr"), ("diff", "lstm", "gr"), ("diff", "gr", "lstm"), ("lint", "gr")], ids=" ".join
)
def test_a_name_that_is_not_there(command, arguments):
    outcome = command("cells", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error[cell]: no cell is called gr\n"
        "  help     did you mean gru? lstm-spec cells lists them; a file's name ends in .cell or has a slash\n"
    )


@pytest.mark.parametrize("verb", ["show", "lint"])
def test_wrong_dimensions_are_told(command, tmp_path, verb):
    path = tmp_path / "my.cell"
    path.write_text("input x[n]\nstate h[k]\nh' = tanh(W x + U h) + x\n")
    outcome = command("cells", verb, path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[dimension]: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("shwo gru", "error[usage]: No such command 'shwo'. Did you mean 'show'?\n  help     lstm-spec cells --help\n"),
        ("show", "error[usage]: Missing argument 'NAME|FILE.cell'.\n  help     lstm-spec cells show --help\n"),
        ("diff gru", "error[usage]: Missing argument 'B'.\n  help     lstm-spec cells diff --help\n"),
        (
            "--json show gru",
            "error[option]: --json stands before the command\n  help     lstm-spec cells show … --json\n",
        ),
    ],
)
def test_wrong_questions(command, arguments, message):
    outcome = command("cells", *arguments.split())
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


@pytest.mark.parametrize("verb", ["show", "diff", "lint"])
def test_help(command, verb):
    assert command("cells", verb, "--help").out.startswith(f"Usage: lstm-spec cells {verb} ")


@pytest.mark.parametrize("arguments", ["shapes 3 4", "equations", "params 3 4", "code 3 4", "unit 1 --n 3 --k 4"])
def test_a_name_goes_wherever_a_file_goes(command, tmp_path, arguments):
    path = tmp_path / "gru.cell"
    path.write_text(str(ls.cells.get("gru")))
    by_name = command(*arguments.split(), "--cell", "gru")
    assert (by_name.code, by_name.err) == (0, "")
    assert by_name.out == command(*arguments.split(), "--cell", path).out


def test_the_plain_lstm_by_name(command):
    assert command("shapes", 3, 4, "--cell", "lstm").out == command("shapes", 3, 4).out
