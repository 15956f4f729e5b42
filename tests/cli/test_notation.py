"""`--notation`: whole printed cells, shapes and counts in the schools' symbols (`notations.txt`)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lstm_spec as ls

WRITTEN = (Path(__file__).parent / "notations.txt").read_text(encoding="utf-8")
CASES = {line: out.rstrip("\n") for line, _, out in (b.partition("\n") for b in WRITTEN.split("$ lstm-spec ")[1:])}


@pytest.mark.parametrize("line", CASES)
def test_what_is_printed(command, line):
    outcome = command(*line.split())
    assert (outcome.code, outcome.err) == (0, "")
    assert without_description(outcome.out, line) == CASES[line]


def without_description(out: str, line: str) -> str:
    """What is printed but for the catalogue's own words about a cell."""
    name = line.partition("--cell ")[2].partition(" ")[0]
    for told in ls.cells.get(name).description.splitlines() if name else ():
        out = re.sub(f"^[#% ]*{re.escape(told)}\n", "", out, count=1, flags=re.MULTILINE)
    return out.strip("\n")


def test_markdown_says_what_the_text_says(command):
    lines = command("equations", "--notation", "udacity", "--format", "markdown").out.splitlines()
    assert lines[0].startswith("Notation: Udacity, Deep Learning Nanodegree: Learn, Forget, Remember and Use (")
    assert lines[2].startswith("Note: not the cell that Udacity teaches: its Use gate is ")
    assert (lines[4], lines[-1]) == ("$$", "$$")


def test_the_names_of_a_stack_keep_their_layer(command):
    out = command("params", "3", "4", "--layers", "2", "--notation", "keras").out
    assert "l1.recurrent_kernel_c  k**2               16\n" in out
    assert "total                  4*k*(3*k + n + 2)  272\n" in out


def test_json_has_the_names_and_the_stored_shapes(command):
    tensors = json.loads(command("shapes", "3", "4", "--notation", "keras", "--json").out)["tensors"]
    assert {"name": "kernel_c", "kind": "parameter", "symbolic": ["n", "k"], "shape": [3, 4]} in tensors
    joined = {"name": "[kernel_c; recurrent_kernel_c]", "kind": "joined", "symbolic": ["n + k", "k"], "shape": [7, 4]}
    assert joined in tensors


def test_without_the_option_nothing_changes(command):
    assert command("equations").out.splitlines()[3] == "i  = sigmoid(W_i x + U_i h + b_i)"


@pytest.mark.parametrize("name", ["equations", "shapes", "params"])
def test_a_notation_that_is_none(command, name):
    outcome = command(name, "--notation", "Colla")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error[notation]: no notation is called Colla\n"
        "  expected colah, ng, greff, graves, keras, pytorch, onnx, tf1, slater, udacity\n"
        "  help     did you mean colah?\n"
    )


def test_two_names_that_would_look_alike(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text("input x[n]\nstate h[k]\ni = tanh(W_i x)\nh' = i * it\n")
    outcome = command("equations", "--cell", path, "--notation", "onnx")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error[notation]: it and i would both be shown as it\n"
        "  because  that is how the notation onnx writes them\n"
        "  help     give one of them another name in the equations, or choose another notation\n"
    )
