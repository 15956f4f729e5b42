"""`lstm-spec trace`: arrays, a table, a picture; each written whole or not at all."""

from __future__ import annotations

import json
import os
from xml.etree import ElementTree

import numpy as np
import pytest

import lstm_spec as ls


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ls.lstm(3, 4).random(seed=0).save("w.npz")
    np.savez("x.npz", x=np.random.default_rng(0).normal(size=(7, 2, 3)), lengths=np.array([7, 3]))
    return tmp_path


def test_it_writes_what_the_library_traces(command, folder):
    outcome = command("trace", "w.npz", "--input", "x.npz", "--output", "t.npz", "--picture", "t.svg")
    x = np.load("x.npz")["x"]
    traced = ls.trace(ls.lstm(3, 4), ls.lstm(3, 4).random(seed=0), x, lengths=[7, 3])
    with np.load("t.npz") as written:
        assert list(written) == list(traced.arrays)
        for name, array in traced.arrays.items():
            np.testing.assert_array_equal(written[name], array)
    shapes = ", ".join(f"l0.{n} (7, 2, 4)" for n in "ifgoch")
    assert (outcome.code, outcome.err) == (0, f"wrote t.npz: {shapes}\nwrote t.svg\n")
    assert ElementTree.parse("t.svg").getroot().tag.endswith("svg")


def test_its_table(command, folder):
    zero = {n: a * 0 for n, a in ls.lstm(3, 4).random(seed=0).items()}
    zero["l0.b_f"] = np.array([100.0, 100, -100, 100])
    zero["l0.b_i"] = np.array([-100.0, -100, 0, 100])
    ls.Weights(zero).save("w.npz")
    assert command("trace", "w.npz", "--input", "x.npz").out == (
        "   min       mean   max  low   high  dead    memory  proven\n\n"
        "i  3.72e-44  0.375  1    50%   25%   2 of 4  -       0 to 1\n"
        "f  3.72e-44  0.75   1    25%   75%   1 of 4  -       0 to 1\n"
        "g  0         0      0    100%  0%    4 of 4  -       -1 to 1\n"
        "o  0.5       0.5    0.5  0%    0%    0 of 4  -       0 to 1\n"
        "c  0         0      0    -     -     4 of 4  all     -7 to 7\n"
        "h  0         0      0    100%  0%    4 of 4  -       -1 to 1\n\n"
        "low: the share below 0.05; high: above 0.95, of the absolute value where it has a sign\n"
        "dead: units whose absolute value never exceeds 0.05\n"
        "memory: the median unit's -1/ln(mean share kept), in steps\n"
        "proven: the range that holds over these steps, from these initial states\n"
    )


def test_json_is_the_summary(command, folder):
    told = json.loads(command("trace", "w.npz", "--input", "x.npz", "--json").out)
    assert (told["steps"], told["samples"]) == (7, 2)
    assert told["arrays"]["l0.f"] == [7, 2, 4]
    assert [row["name"] for row in told["summary"]] == [f"l0.{n}" for n in "ifgoch"]
    assert all(row["within"] for row in told["summary"])


def test_what_is_not_finite_is_told(command, folder):
    x = np.zeros((5, 1, 3))
    x[3] = np.nan
    np.savez("x.npz", x=x)
    outcome = command("trace", "w.npz", "--input", "x.npz")
    assert outcome.out.endswith("warning: l0.h has 8 entries that are NaN or infinite\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--picture", "a.png"),
            "error[picture]: a picture is SVG\n  found    a.png\n"
            "  help     name it a.svg; browsers show it, and rsvg-convert or Inkscape make a PNG of it\n",
        ),
        (
            ("--output", "x.npz"),
            "error[output]: --output is a file that is read\n  at       x.npz\n  help     name another file\n",
        ),
        (
            ("--output", "a.svg", "--picture", "a.svg"),
            "error[output]: --output and --picture are one file\n  at       a.svg\n",
        ),
        (
            ("--sample", "1"),
            "error[options]: --sample and --member choose what --picture shows\n  help     add --picture\n",
        ),
        (
            ("--sample", "a", "--picture", "a.svg"),
            "error[sample]: --sample a is no number\n  expected 0, 1, …\n",
        ),
        (
            ("--sample", "2", "--picture", "a.svg", "--output", "a.npz"),
            "error[sample]: there is no sample 2\n  expected 0 to 1\n",
        ),
        (("--member", "l1", "--picture", "a.svg"), "error[member]: there is no cell l1\n  expected l0\n"),
    ],
)
def test_wrong_questions_write_nothing(command, folder, arguments, message):
    outcome = command("trace", "w.npz", "--input", "x.npz", *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)
    assert sorted(os.listdir()) == ["w.npz", "x.npz"]


def test_one_file_by_two_names_is_still_one(command, folder):
    outcome = command("trace", "w.npz", "--input", "x.npz", "--output", "a.svg", "--picture", "./a.svg")
    assert (outcome.code, outcome.err) == (2, "error[output]: --output and --picture are one file\n  at       a.svg\n")
    assert not os.path.exists("a.svg")


def test_no_steps_have_no_numbers(command, folder):
    np.savez("x.npz", x=np.zeros((0, 2, 3)))
    rows = [line.split() for line in command("trace", "w.npz", "--input", "x.npz").out.splitlines()]
    assert ["i", "-", "-", "-", "-", "-", "0", "of", "4", "-", "0", "to", "1"] in rows
    assert ["c", "-", "-", "-", "-", "-", "0", "of", "4", "-", "-1", "to", "1"] in rows


def test_the_memory_of_what_is_not_finite_is_no_number(command, folder):
    np.savez("x.npz", x=np.full((3, 2, 3), np.nan))
    rows = [line.split() for line in command("trace", "w.npz", "--input", "x.npz").out.splitlines()]
    assert ["c", "-", "-", "-", "-", "-", "0", "of", "4", "-", "-3", "to", "3"] in rows
