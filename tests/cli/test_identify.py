"""`lstm-spec identify`: the verdict, what can be done with it, and an exit code that a script can rely on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.conformance.conventions import record


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Writes the arrays and the step of a convention."""
    monkeypatch.chdir(tmp_path)

    def save(said, **changes):
        arrays, step = record(3, 4, said)
        np.savez("weights.npz", **arrays)
        np.savez("step.npz", **{**step, **changes})
        return arrays, step

    return save


HAIKU = {"order": "igfo", "form": "columns", "join": "xh", "forget": 1}


def test_a_convention_in_words(command, saved):
    saved(HAIKU)
    outcome = command("identify", "weights.npz", "--step", "step.npz")
    assert (outcome.code, outcome.err) == (0, "")
    head, axes, drawn, misses, *_ = outcome.out.split("\n\n")
    assert head.startswith("identified: one convention fits, within ")
    assert head.endswith("\n  weights.npz: n = 3, k = 4, 3 samples")
    assert axes.splitlines()[:4] == [
        "  gates                 i, g, f, o",
        "  one matrix on x and h gates as columns; [x, h]",
        "  biases                one a gate",
        "  forget constant       1",
    ]
    assert drawn == (
        "  kernel (7, 16)  multiplies x and h: [x, h]  columns [ i 0:4 | g 4:8 | f 8:12 | o 12:16 ]\n"
        "  bias0 (16,)     bias                        [ i 0:4 | g 4:8 | f 8:12 | o 12:16 ]"
    )
    assert "forget constant: 0" in misses
    assert outcome.out.endswith("\n  lstm-spec run own.npz --forget-bias 1 --input x.npz --output y.npz\n")


@pytest.mark.parametrize(
    "said",
    [
        HAIKU,
        {"order": "iofg", "bias": 2, "gate": "hard_sigmoid(1/6, 1/2)"},
        {"peephole": "vector", "sees": "c", "peepholes": "oif", "coupled": "i=1-f"},
        {"peephole": "full", "output": "relu", "form": "rows units", "bias": 0},
        {"form": "apart, turned"},
    ],
)
def test_what_it_writes_runs_as_it_says(command, saved, said):
    """The command that the answer names is typed, and gives the recorded step."""
    import shlex

    _, step = saved(said)
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--output", "own.npz")
    assert outcome.code == 0, outcome.out
    assert outcome.err.startswith("wrote own.npz: l0.W_")
    np.savez("x.npz", x=step["x"][None], h0=step["h"], c0=step["c"])
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("  lstm-spec run")]
    ran = command(*shlex.split(line)[1:])
    assert ran.code == 0, ran.err
    with np.load("y.npz") as y:
        np.testing.assert_allclose(y["h"], step["h1"], atol=1e-9)
        np.testing.assert_allclose(y["c"], step["c1"], atol=1e-9)


def test_what_is_not_identified_is_not_written(command, saved, tmp_path):
    saved({}, h1=np.ones((3, 4)))
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--output", "own.npz")
    assert outcome.code == 1
    assert outcome.out.startswith("no convention fits: the nearest misses by ")
    assert outcome.err == "own.npz is not written: nothing was identified\n"
    assert not (tmp_path / "own.npz").exists()


def test_a_source_is_not_overwritten(command, saved):
    saved({})
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--output", "step.npz")
    assert outcome.code == 2
    assert outcome.out == ""


def test_json_is_the_values_own(command, saved):
    import lstm_spec as ls

    saved(HAIKU)
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--json")
    found = json.loads(outcome.out)
    assert found == json.loads(json.dumps(ls.identify("weights.npz", "step.npz").to_dict()))
    assert (found["identified"], found["best"]["gates"]) == (True, "i, g, f, o")


def test_one_of_several_layers(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, step = record(3, 4, {"order": "iofg"}, seed=1)
    second, _ = record(3, 4, {}, seed=2)
    layers = {f"a.{n}": a for n, a in first.items()} | {f"b.{n}": a for n, a in second.items()}
    np.savez("weights.npz", **layers)
    np.savez("step.npz", **step)
    assert command("identify", "weights.npz", "--step", "step.npz").code == 0
    assert command("identify", "weights.npz", "--step", "step.npz", "--at", "a.").code == 0
    assert command("identify", "weights.npz", "--step", "step.npz", "--at", "b.").code == 1
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--at", "c.")
    listed = ", ".join(f"{name} {array.shape}" for name, array in layers.items())
    message = f"error[at]: no array's name begins with c.\n  at       weights.npz\n  found    {listed}\n"
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


def test_a_wrong_question(command, saved):
    saved({})
    np.savez("step.npz", x=np.ones((1, 3)))
    outcome = command("identify", "weights.npz", "--step", "step.npz")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[step]: the step has no h, c, h1, c1\n  at       step.npz\n")
    assert command("identify", "weights.npz", "--step", "none.npz").code == 2
    assert command("identify", "weights.npz").code == 2


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("own.txt", "error[output]: --output is written as npz\n  at       own.txt\n  help     name it *.npz\n"),
        (
            "nowhere/own.npz",
            "error[unwritable]: the output cannot be written\n"
            "  at       nowhere/own.npz\n  because  No such file or directory\n",
        ),
    ],
)
def test_an_output_that_cannot_be_written(command, saved, output, message):
    saved(HAIKU)
    outcome = command("identify", "weights.npz", "--step", "step.npz", "--output", output)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


def test_the_arrays_of_the_layer_can_be_named(command, saved):
    arrays, _ = saved(HAIKU)
    np.savez("weights.npz", **arrays, **{f"m{i}": np.ones((4, 16)) for i in range(24)})
    asked = ["identify", "weights.npz", "--step", "step.npz"]
    assert command(*asked).code == 2
    outcome = command(*asked, "--only", "kernel", "--only", "bias0")
    assert outcome.code == 0
    assert outcome.out.splitlines()[2] == "  left out: m0, m1, m2, m3, m4, m5, m6, m7 and 16 more"
