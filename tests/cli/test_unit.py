"""`lstm-spec unit`: one unit of a cell, from its equations."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls
from lstm_spec.cells.family import lstm_cell
from lstm_spec.render.units import tell_unit
from lstm_spec.symbolic.units import describe_unit


def test_the_classic_question(command):
    unit = describe_unit(lstm_cell(), 3, {"n": 5, "k": 10})
    outcome = command("unit", 3, "--n", 5, "--k", 10)
    assert (outcome.code, outcome.err, outcome.out) == (0, "", tell_unit(unit) + "\n")
    assert "in all 4·(15 + 1) = 64\n" in outcome.out
    assert json.loads(command("unit", 3, "--n", 5, "--k", 10, "--json").out) == unit.to_dict()


def test_options_and_cells(command):
    described = describe_unit(ls.lstm(peephole=True, projection=2).cell, 1, {"n": 5, "k": 10, "r": 2})
    assert command("unit", 1, "--n", 5, "--k", 10, "--peephole", "--projection", 2).out == tell_unit(described) + "\n"
    by_letter = command("unit", 1, "--n", 5, "--k", 10, "--cell", "sak2014", "--size", "r=2")
    assert "reads          x[1…5]: all 5 entries of the input\n" in by_letter.out
    square = command("unit", 4, "--k", 4, "--cell", "mut1")
    assert "tanh(x[4])" in square.out


ERRORS = {
    "0 --n 5 --k 10": "error[unit]: there is no unit 0\n  expected 1 to 10: units count from 1, and k = 10\n",
    "11 --n 5 --k 10": "error[unit]: there is no unit 11\n  expected 1 to 10: units count from 1, and k = 10\n",
    "-1 --n 5 --k 10": "error[unit]: there is no unit -1\n  expected 1 to 10: units count from 1, and k = 10\n",
    "h --n 5 --k 10": "error[unit]: there is no unit h\n  expected 1 to 10: units count from 1, and k = 10\n",
    "3 --n 5": "error[size]: k is not given\n  because  a unit is one of a number of units\n"
    "  help     give it one, e.g. k=10\n",
    "3 --n 5 --k m": "error[size]: k = m is no number\n  because  a unit is one of a number of units\n"
    "  help     give it one, e.g. k=10\n",
    "3 --n 5 --k 0": "error[size]: k = 0 is too small\n  expected a whole number ≥ 1, or a letter such as n\n",
    "3 --n 5 --k 10 --size k=4": "error[size]: k is given twice\n  found    10 and 4\n",
    "3 --n 5 --k 10 --cell mut1": "error[size]: the cell has no size n\n  expected k\n"
    "  help     sizes are named as in the equations\n",
    "3 --n 5 --k 10 --projection r": "error[size]: r is not given\n  because  a unit is one of a number of units\n"
    "  help     give it one, e.g. r=10\n",
    "--peephle --n 5 --k 10": "error[option]: there is no option --peephle\n  help     did you mean --peephole?\n",
    "3 --n 5 --k 10 --peephle": "error[usage]: Got unexpected extra argument(s) (--peephle)\n"
    "  help     lstm-spec unit --help\n",
    "--n 5 --k 10": "error[usage]: Missing argument 'UNIT'.\n  help     lstm-spec unit --help\n",
}


@pytest.mark.parametrize("arguments", ERRORS)
def test_wrong_questions(command, arguments):
    outcome = command("unit", *arguments.split())
    assert (outcome.code, outcome.out, outcome.err) == (2, "", ERRORS[arguments])


def test_help(command):
    assert command("unit", "--help").out.startswith("Usage: lstm-spec unit ")
