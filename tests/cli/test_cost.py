"""`lstm-spec cost`: every line with its polynomial, its number and its definition; and other counters' figures."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls


def rows(out: str) -> dict[str, list[str]]:
    """Line → the other columns, of the first table."""
    table = out.split("\n\nline  ")[0]
    cut = [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines() if line]
    return {row[0]: row[1:] for row in cut[1:]}


def test_formula_and_count_of_each_line(command):
    shown = rows(command("cost", 64, 64, "--batch", 1, "--time", 100).out)
    assert shown["macs"] == ["4*B*T*k*(k + n)", "3,276,800"]
    assert shown["parameter bytes"] == ["16*k*(k + n + 1)", "132,096"]
    assert shown["intensity"] == ["flops / moved bytes", f"{6_662_400 / 184_320:.4g}"]
    assert list(shown) == [line.name for line in ls.lstm(64, 64).cost(1, 100).lines]


def test_letters_have_no_count(command):
    shown = rows(command("cost", "n", "k").out)
    assert shown["macs"] == ["4*B*T*k*(k + n)"]
    assert {len(row) for row in shown.values()} == {1}


def test_every_line_has_a_definition(command):
    out = command("cost", 3, 4, "--cell", "layer-norm").out
    definitions = out.split("what it counts")[1]
    functions = ("sigmoid", "tanh", "sqrt")
    assert [name for name in rows(out) if name not in functions and f"\n{name}  " not in definitions] == []


def test_operations_of_one_step(command):
    out = command("cost", "n", "k", "--operations").out
    table = out[out.index("equation ") :]
    listed = [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines()[2:] if line]
    assert listed[:5] == [
        ["i", "macs", "k*n", "W_i x"],
        ["i", "macs", "k**2", "U_i h"],
        ["i", "sums", "k", "W_i x + U_i h"],
        ["i", "bias", "k", "W_i x + U_i h + b_i"],
        ["i", "activations, sigmoid", "k", "sigmoid(W_i x + U_i h + b_i)"],
    ]
    assert len(listed) == 25


def test_packed_lengths(command):
    assert rows(command("cost", 5, 10, "--lengths", "7,3,1").out)["evaluations"] == ["E", "11"]


def test_a_cell_of_ones_own_has_a_cost(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)\n")
    assert rows(command("cost", 3, 4, "--cell", path, "--time", 1, "--batch", 1).out)["macs"][1] == "28"


def test_json_is_exactly_the_value(command):
    out = command("cost", 5, "m", "--batch", 2, "--dtype", "float16", "--json").out
    assert out == json.dumps(ls.lstm(5, "m").cost(batch=2, dtype="float16").to_dict()) + "\n"


def test_what_a_counter_reports_and_why(command):
    assert command("cost", 64, 64, "--batch", 1, "--time", 100, "--as", "thop").out == (
        "thop ultralytics-thop 2.2.3\n"
        "  reports  total_ops = 4*B*T*k*(k + n + 4) = 3,379,200\n"
        "  layer    as PyTorch has it, with two biases a gate; --bias two writes them\n"
        "  true     3,276,800 MACs, 6,688,000 FLOPs\n"
        "  because  the matrix products' MACs, and each addition and elementwise product as one more; activations are"
        " free\n"
        "  source   thop/rnn_hooks.py, count_lstm\n"
    )


def test_all_counters_stand_in_one_table(command):
    out = command("cost", 64, 64, "--bias", "two", "--batch", 1, "--time", 100, "--as", "all").out
    table = out.split("\n\ntorchinfo 1.8.0\n")[0]
    shown = [line.split()[:2] for line in table.splitlines()[2:] if line]
    assert shown == [
        ["true", "MACs"],
        ["true", "FLOPs"],
        ["torchinfo", "3,328,000"],
        ["thop", "3,379,200"],
        ["ptflops", "3,392,000"],
        ["deepspeed", "6,617,600"],
        ["calflops", "6,617,600"],
        ["onnx-tool", "4,480,000"],
        ["fvcore", "0"],
    ]
    assert "as PyTorch has it" not in out


def test_counters_that_have_no_figure_are_told_apart(command):
    outcome = command("cost", 5, 7, "--lengths", "7,3,1", "--as", "all")
    assert [line.split()[0] for line in outcome.out.splitlines() if "4,928" in line] == ["thop", "reports"]
    assert outcome.err.splitlines()[0] == ("torchinfo has no count for this layer: it cannot be given a PackedSequence")
    refused = command("cost", 5, 7, "--cell", "gru", "--as", "all")
    assert (refused.code, refused.err) == (
        2,
        "error[counter]: no counter has a count for this layer\n"
        "  because  they count PyTorch's LSTM: no peepholes, no other activations, no cell of one's own\n"
        "  help     leave --as out for the true count\n",
    )


def test_letters_of_ones_own_are_counted_in_them(command):
    rows = [line.split() for line in command("cost", "n", "n").out.splitlines()]
    assert ["line", "formula", "count"] in rows
    assert ["macs", "4*B*T*k*(k", "+", "n)", "8*B*T*n**2"] in rows
    assert ["bias", "4*B*T*k", "64*T"] in [r.split() for r in command("cost", "n", 4, "--batch", 4).out.splitlines()]
    assert ["line", "formula"] in [line.split() for line in command("cost", "n", "k").out.splitlines()]


def test_json_of_a_counter(command):
    out = json.loads(command("cost", 64, 64, "--batch", 1, "--time", 100, "--as", "torchinfo", "--json").out)
    assert (out["counter"], out["count"], out["macs"]) == ("torchinfo", 3_328_000, 3_276_800)
    every = json.loads(command("cost", 64, 64, "--batch", 1, "--time", 100, "--as", "all", "--json").out)
    assert every["reports"][0] == out


WRONG = {
    "3 4 --as calflop": "error[counter]: no counter is called calflop\n"
    "  expected torchinfo, thop, ptflops, deepspeed, calflops, onnx-tool, fvcore\n"
    "  help     did you mean calflops?\n",
    "3 4 --cell gru --as thop": "error[counter]: thop has no count for this layer\n"
    "  because  thop counts PyTorch's LSTM: no peepholes, no other activations, no cell of one's own\n"
    "  help     leave --as out for the true count\n",
    "3 4 --as thop --operations": "error[options]: --operations lists lstm-spec's own count, --as another's\n"
    "  help     drop one of them\n",
    "3 4 --lengths 3,x": "error[size]: lengths: 'x' is no length\n  expected whole numbers ≥ 1, e.g. 7,3,1\n",
    "3 4 --lengths 3,,1": "error[size]: lengths: '' is no length\n  expected whole numbers ≥ 1, e.g. 7,3,1\n",
    "3 4 --lengths 3,0": "error[size]: lengths: 0 is no length\n  expected whole numbers ≥ 1, e.g. 7,3,1\n",
    "3 4 --dtype int4": "error[option]: dtype='int4' is unknown\n"
    "  expected float64, float32, float16, bfloat16, int8\n",
    "3 4 --batch x": "error[size]: batch = 'x' is no length\n  expected a whole number ≥ 0, or B\n",
    "-3 4": "error[size]: n = -3 is too small\n  expected a whole number ≥ 1, or a letter such as n\n",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_question_gets_one_answer(command, arguments):
    outcome = command("cost", *arguments.split())
    assert (outcome.err, outcome.out, outcome.code) == (WRONG[arguments], "", 2)


def test_the_axes_may_be_given_their_own_letters(command):
    """As people ask: `cost n k --batch B --time T`."""
    assert command("cost", "n", "k", "--batch", "B", "--time", "T").out == command("cost", "n", "k").out
    refused = command("cost", "n", "k", "--batch", "C")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error[size]: batch = 'C' is no length\n  expected a whole number ≥ 0, or B\n"
