"""`lstm-spec solve`: sizes from budgets, with the closed form, what is left, and the neighbours."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls


def test_one_size_from_a_budget(command):
    assert command("solve", "--params", "1e6", "--n", 128).out == (
        "k = (sqrt((n + 1)**2 + P) - (n + 1))/2 = 439.643\n"
        "P is parameters 1,000,000; the largest k that fits\n"
        "\n"
        "          k    parameters  left\n"
        "\n"
        "below     438  993,384     6,616\n"
        "solution  439  997,408     2,592\n"
        "above     440  1,001,440   -1,440\n"
    )


def test_two_sizes_are_a_list(command):
    lines = command("solve", "--params", 396).out.splitlines()
    assert lines[0] == "within parameters 396; every exact solution"
    assert [line.split()[:2] for line in lines[4:]] == [["1", "97"], ["3", "29"], ["9", "1"]]


def test_as_another_cell(command):
    out = command("solve", "--same-as", "gru-two-biases 128 256", "--n", 128, "--multiple", 8).out
    assert "P is parameters 296,448; the largest k that fits, a multiple of 8" in out
    assert "solution  208  280,384     16,064" in out
    stack = command("solve", "--same-as", "lstm n=5 k=10 layers=2 bidirectional", "--n", 5, "--layers", 2, "--exact")
    assert stack.code == 2  # a stack in one direction has other counts
    both = command(
        "solve", "--same-as", "lstm n=5 k=10 layers=2 bidirectional", "--n", 5, "--layers", 2, "--bidirectional"
    )
    assert "solution  10" in both.out


def test_layers_are_asked_for_with_their_letter(command):
    out = command("solve", "--params", "1e6", "--n", 128, "--k", 64, "--layers", "L").out
    assert out.splitlines()[0] == "L = (P + 4*k*(k - n))/(4*k*(2*k + 1)) = 29.7849"


def test_json_is_exactly_the_value(command):
    out = command("solve", "--params", "1e6", "--n", 128, "--json").out
    assert out == json.dumps(ls.solve(ls.lstm(n=128), parameters=10**6).to_dict()) + "\n"


def test_sizes_go_by_their_letters_in_any_way(command):
    assert command("solve", "--macs", "1e6", "--n", 9).out == command("solve", "--macs", "1M", "--size", "n=9").out


WRONG = {
    "--params x --n 3": "error[budget]: parameters = 'x' is no budget\n"
    "  expected a whole number, e.g. 1e6, 1_000_000 or 3.5M\n",
    "--n 3": "error[budget]: there is no budget\n  expected parameters, macs, bytes, memory, kept, same_as\n"
    "  help     e.g. parameters=10**6, --params 1e6\n",
    "--params 5 --n 128": "error[budget]: no size is small enough\n  found    parameters 5\n"
    "  because  k = 1 already has parameters 520\n",
    "--params 5 --n 3 --k 4": "error[size]: there is nothing to solve for\n  found    n = 3, k = 4\n"
    "  help     leave one size out, or ask for L\n",
    "--params 1e3 --n 3 --size n=3": "error[size]: n is given twice\n  found    3 and 3\n",
    "--params 1e3 --n 0": "error[size]: n = 0 is too small\n  expected a whole number ≥ 1, or a letter such as n\n",
    "--params 1e3 --r 2 --n 2": "error[size]: the cell has no size r\n  expected n, k\n"
    "  help     sizes are named as in the equations\n",
    "--same-as gru9 --n 3": "error[cell]: no cell is called gru9\n"
    "  help     did you mean gru? lstm-spec cells lists them; a file's name ends in .cell or has a slash\n",
    "--same-as gru --n 3": "error[size]: the layer to match has letters for sizes\n  found    n, k\n"
    "  help     give numbers\n",
    "--same-as= --n 3": "error[option]: --same-as names no cell\n  expected a cell and its sizes: 'gru 128 256'\n",
    "--params 1e3 --n 3 --multiple x": "error[option]: multiple = 'x' is no step\n  expected a whole number ≥ 1\n",
    "--params 1e3 --n 3 --time 0": "error[size]: time = 0 is no length of a budget\n  expected a whole number ≥ 1\n",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_question_gets_one_answer(command, arguments):
    outcome = command("solve", *arguments.split())
    assert (outcome.err, outcome.out, outcome.code) == (WRONG[arguments], "", 2)
