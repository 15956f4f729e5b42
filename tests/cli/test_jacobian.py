"""`lstm-spec jacobian`: derived without weights; numbers, arrays and a picture with them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

import lstm_spec as ls

BLOCKS = """\
dc'/dh = diag(c * f * (1 - f)) U_f + diag(g * i * (1 - i)) U_i + diag(i * (1 - g * g)) U_g
dc'/dc = diag(f)
dh'/dh = diag(tanh(c') * o * (1 - o)) U_o + diag(o * (1 - tanh(c') * tanh(c'))) dc'/dh
dh'/dc = diag(o * (1 - tanh(c') * tanh(c')) * f)

diag(v) has v on its diagonal, I is the identity

h, with c held: dh[T]/dh[0] = product over t = T, ..., 1 of dh[t]/dh[t-1]
  every step multiplies by weight matrices (U_o, U_f, U_i, U_g), and nothing on this path leads around them:
  over many steps it fades where the norm stays below 1, and can explode where it stays above

c, with h held: dc[T]/dc[0] = product over t = T, ..., 1 of diag(f[t])
  no weight matrix is multiplied: every unit keeps its own share, whatever the others do
  f is between 0 and 1: it never grows, and remembers while f is near 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ls.lstm(3, 4).random(seed=0).save("w.npz")
    np.savez("x.npz", x=np.random.default_rng(0).normal(size=(7, 2, 3)), lengths=np.array([7, 3]))
    return tmp_path


def test_what_is_derived_and_why_the_cell_remembers(command):
    outcome = command("jacobian")
    assert (outcome.code, outcome.out, outcome.err) == (0, BLOCKS, "")


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        (
            "elman",
            [
                "h: dh[T]/dh[0] = product over t = T, ..., 1 of diag(1 - h[t] * h[t]) U",
                "  every step multiplies by weight matrices (U), and nothing on this path leads around them:",
            ],
        ),
        (
            "gru",
            [
                "  one part is diagonal, diag(z), and multiplies by no weight matrix: that part keeps",
                "  z is between 0 and 1: it never grows, and remembers while z is near 1",
                "  the rest goes through U_z, U_g, U_r",
            ],
        ),
        (
            "hochreiter1997",
            [
                "c, with h held: dc[T]/dc[0] = product over t = T, ..., 1 of I",
                "  the share is 1: what is stored stays",
            ],
        ),
        ("mingru", ["  1 - z is between 0 and 1: it never grows, and remembers while 1 - z is near 1"]),
        ("layer-norm", ["M has 1/rows in every entry", "rows(z) takes the rows of z out of the whole"]),
    ],
)
def test_the_reasons_are_those_of_the_equations(command, cell, lines):
    printed = command("jacobian", "--cell", cell).out.splitlines()
    assert [line for line in printed if line in lines] == lines


@pytest.mark.parametrize("name", ls.cells.names())
def test_every_catalogue_cell_is_told_and_written_in_latex(command, name):
    assert command("jacobian", "--cell", name).code == 0
    written = command("jacobian", "--cell", name, "--format", "latex").out
    assert written.count("\\\\\n") + 1 == len(ls.derive_jacobian(ls.cells.get(name)).blocks)
    assert written.count("{") == written.count("}")
    assert written.count(r"\left(") == written.count(r"\right)")


def test_latex(command):
    assert r"\frac{\partial c_{t}}{\partial c_{t-1}} &= \operatorname{diag}\left(f_{t}\right) \\" in (
        command("jacobian", "--format", "latex").out.splitlines()
    )


def test_json_is_what_the_library_says(command, folder):
    assert json.loads(command("jacobian", "--json").out) == ls.derive_jacobian(ls.lstm().cell).to_dict()
    told = json.loads(command("jacobian", "w.npz", "--input", "x.npz", "--sample", "1", "--json").out)
    x = np.load("x.npz")["x"]
    found = ls.jacobian(ls.lstm(3, 4), ls.lstm(3, 4).random(seed=0), x[:, 1:], lengths=[3])
    assert told == json.loads(json.dumps(found.to_dict()))


def test_the_arrays_and_the_picture(command, folder):
    outcome = command("jacobian", "w.npz", "--input", "x.npz", "--output", "j.npz", "--picture", "j.svg")
    found = ls.jacobian(ls.lstm(3, 4), ls.lstm(3, 4).random(seed=0), np.load("x.npz")["x"][:, :1])
    with np.load("j.npz") as written:
        assert list(written) == list(found.arrays)
        assert written["l0.dc_dh"].shape == (7, 1, 4, 4)
        for name, array in found.arrays.items():
            np.testing.assert_array_equal(written[name], array)
    assert outcome.err.splitlines()[-1] == "wrote j.svg"
    lines = [p for p in ElementTree.parse("j.svg").iter() if p.get("class") == "line"]
    assert len(lines) == 2 + 2 + 3


def test_its_table(command, folder):
    zero = {n: a * 0 for n, a in ls.lstm(3, 4).random(seed=0).items()}
    zero["l0.b_f"] = np.log([9.0, 1, 1, 1])  # f = 0.9, and 0.5 thrice
    ls.Weights(zero).save("w.npz")
    lines = command("jacobian", "w.npz", "--input", "x.npz").out.splitlines()
    assert lines[:4] == [
        "   norm min  mean  max  radius  through  a step  along  kept",
        "",
        "h  0         0     0    0       0        0       0      -",
        "c  0.9       0.9   0.9  0.9     0.478    0.9     0.478  0.478",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["w.npz"], "error[options]: the numbers depend on x\n  help     add --input x.npz\n"),
        (
            ["--picture", "j.svg"],
            "error[options]: --picture goes with a file of weights\n  help     name FILE\n",
        ),
        (["--layers", "2"], "error[options]: --layers goes with a file of weights\n  help     name FILE\n"),
        (
            ["w.npz", "--input", "x.npz", "--format", "latex"],
            "error[options]: --format writes what is derived, and FILE asks for numbers\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--sample", "2"],
            "error[sample]: there is no sample 2\n  expected 0 to 1\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--sample", "one"],
            "error[sample]: --sample one is no number\n  expected 0, 1, …\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--member", "l1"],
            "error[options]: --member chooses what --picture shows\n  help     add --picture\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--member", "l1", "--picture", "j.svg"],
            "error[member]: there is no cell l1\n  expected l0\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--output", "j.csv"],
            "error[output]: --output is written as npz\n  at       j.csv\n  help     name it *.npz\n",
        ),
        (
            ["w.npz", "--input", "x.npz", "--picture", "j.png"],
            "error[picture]: a picture is SVG\n  found    j.png\n"
            "  help     name it j.svg; browsers show it, and rsvg-convert or Inkscape make a PNG of it\n",
        ),
        (
            ["--cell", "nonsense", "--format", "html"],
            "error[option]: format='html' is unknown\n  expected text, latex\n",
        ),
    ],
)
def test_a_wrong_question_is_answered_with_what_to_do(command, folder, arguments, message):
    outcome = command("jacobian", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == message


def test_json_is_text(command):
    outcome = command("jacobian", "--json", "--format", "latex")
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        "error[options]: --json has what is derived as text\n  help     leave out --format\n",
    )


def test_an_input_without_samples(command, folder):
    np.savez("none.npz", x=np.zeros((7, 0, 3)))
    outcome = command("jacobian", "w.npz", "--input", "none.npz")
    assert (outcome.code, outcome.err) == (
        2,
        "error[sample]: there is no sample 0\n  expected none: x has no samples, B = 0\n",
    )


def test_no_steps_and_weights_that_are_no_numbers(command, tmp_path):
    """A table of nan without a word would be an answer to nothing."""
    layer = ls.lstm(3, 4)
    layer.random(0).save(tmp_path / "w.npz")
    ls.Weights({n: a * np.nan for n, a in layer.random(0).items()}).save(tmp_path / "nan.npz")
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 2, 3)))
    np.savez(tmp_path / "x.npz", x=np.ones((5, 2, 3)))
    empty = command("jacobian", tmp_path / "w.npz", "--input", tmp_path / "none.npz")
    assert (empty.code, empty.out) == (2, "")
    assert empty.err == f"error[input]: x has no steps: T = 0\n  at       {tmp_path}/none.npz\n  expected T ≥ 1\n"
    strange = command("jacobian", tmp_path / "nan.npz", "--input", tmp_path / "x.npz")
    assert (strange.code, strange.err) == (0, "warning: the Jacobians of l0 hold NaN or infinity\n")


def test_one_file_under_two_names(command, tmp_path):
    ls.lstm(3, 4).random(0).save(tmp_path / "w.npz")
    np.savez(tmp_path / "x.npz", x=np.ones((5, 2, 3)))
    line = ("jacobian", tmp_path / "w.npz", "--input", tmp_path / "x.npz")
    outcome = command(*line, "--output", tmp_path / "a.svg", "--picture", f"{tmp_path}/./a.svg")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"error[output]: --output and --picture are one file\n  at       {tmp_path}/a.svg\n"
