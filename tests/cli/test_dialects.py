"""`lstm-spec dialects`: the list and the drawings, as they are typed."""

from __future__ import annotations

import json

import pytest

from lstm_spec.dialects import DIALECTS
from lstm_spec_cli.app import main


def answer(capsys, *arguments, code=0):
    assert main(["dialects", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_the_list_names_every_dialect_and_fits_eighty_columns(capsys):
    lines = answer(capsys).splitlines()
    assert lines[0].split() == ["dialect", "gates", "as", "biases", "state", "evidence"]
    assert [line.split()[0] for line in lines[1:] if line] == [
        name for kind in ("run", "published", "cited") for name, d in DIALECTS.items() if d.evidence == kind
    ]
    assert max(map(len, lines)) <= 80


def test_the_list_as_json(capsys):
    told = json.loads(answer(capsys, "--json"))["dialects"]
    assert [d["name"] for d in told] == list(DIALECTS)
    assert told[2] == {
        "name": "onnx",
        "title": DIALECTS["onnx"].title,
        "gates": "iofg",
        "orientation": "rows",
        "biases": "0, 2",
        "extras": ["peephole", "coupled"],
        "states": ["h", "c"],
        "evidence": "run",
    }


HAIKU = """\
haiku: hk.LSTM: one matrix on [x, h], gates i, g, f, o as columns; 1 is added to the forget gate

linear/w (k + n, 4*k)
+--------------------------------------------------------------------------+
| W_i^T           W_g^T             W_f^T               W_o^T              |
| [0:n, 0:k]      [0:n, k:2*k]      [0:n, 2*k:3*k]      [0:n, 3*k:4*k]     |
+--------------------------------------------------------------------------+
| U_i^T           U_g^T             U_f^T               U_o^T              |
| [n:k + n, 0:k]  [n:k + n, k:2*k]  [n:k + n, 2*k:3*k]  [n:k + n, 3*k:4*k] |
+--------------------------------------------------------------------------+

linear/b (4*k,)
+--------------------------------------+
| b_i    b_g      b_f        b_o       |
| [0:k]  [k:2*k]  [2*k:3*k]  [3*k:4*k] |
+--------------------------------------+

state     h, c
constant  forget_bias = 1, in no tensor
evidence  compared with the framework in the tests
source    haiku/_src/recurrent.py, dm-haiku 0.0.17

note      1 is added to the forget gate at every step and is in no tensor
note      Sonnet 2 packs i, f, g, o and has the 1 in the tensor, though Haiku's comment says they are the same
"""


def test_one_drawn(capsys):
    assert answer(capsys, "show", "haiku") == HAIKU


def test_with_numbers(capsys):
    drawn = answer(capsys, "show", "chainer", "3", "4")
    assert "lateral/W (16, 4)\n" in drawn
    assert "| U_f  [2::4, :] |" in drawn
    told = json.loads(answer(capsys, "show", "onnx", "3", "4", "--json"))
    assert told["tensors"][0]["shape"] == ["1", "16", "3"]
    assert told["tensors"][0]["blocks"][1] == {"parameter": "W_o", "transposed": False, "index": "[0, 4:8, :]"}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_can_be_shown(capsys, name):
    assert answer(capsys, "show", name).startswith(f"{name}: ")


def test_wrong_questions(capsys):
    assert answer(capsys, "show", "theano", code=2).startswith("error[dialect]: no dialect is called theano\n")
    assert answer(capsys, "show", "keras", "-3", code=2).startswith("error[size]: n = -3 is too small\n")
    assert answer(capsys, "show", "keras", "3", "4", "5", code=2).startswith("error[size]: ")
    assert "--json stands before" not in answer(capsys, "show", "keras", "--json")
    assert answer(capsys, "--json", "show", "keras", code=2) == (
        "error[option]: --json stands before the command\n  help     lstm-spec dialects show … --json\n"
    )
