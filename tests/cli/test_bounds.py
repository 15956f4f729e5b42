"""`lstm-spec bounds`: tables, JSON, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lstm_spec as ls


def test_the_lstm(command):
    out = command("bounds").out
    assert out.startswith(
        "name  in real numbers     in floating point\n\n"
        "i     (0, 1)              [0, 1]\n"
        "f     (0, 1)              [0, 1]\n"
        "g     (-1, 1)             [-1, 1]\n"
        "o     (0, 1)              [0, 1]\n\n"
        "c     |c_t| <= |c_0| + t  |c_t| <= (|c_0| + t) / (1 - 2u)\n"
        "h     (-1, 1)             [-1, 1]\n"
    )
    assert "  c' = f * c + i * g\n    |f| <= 1\n    |g*i| <= 1\n    so each step adds at most that\n" in out
    assert "h      1         Q0.7*   Q0.15*   Q0.31*   0.007874    3.052e-05\n" in out
    assert out.endswith("no format holds c: no bound of its own; weights with --input-max, or --time T, may bound it\n")


def test_numbers_for_a_time(command):
    out = command("bounds", "--time", 100, "--initial-max", "0.5").out
    assert (
        "most over 100 steps  in real numbers  float16    bfloat16    float32     float64\n\n"
        "c                    100.5            100.59824  101.291339  100.500012  100.5\n"
    ) in out
    assert "\nc      100.5     Q7.0    Q7.8     Q7.24    0.7913      0.003067\n" in out


def test_an_assumption_and_a_cell_of_ones_own(command, tmp_path):
    assert "c     |c_t| <= max(|c_0|, 10)" in command("bounds", "--assume", "f <= 0.9").out
    (tmp_path / "my.cell").write_text(
        "input x[n]\nstate c[k]\noutput c\nf = sigmoid(W x)\nc' = f * c + (1 - f) * tanh(V x)\n"
    )
    assert "|c_t| <= max(|c_0|, 1)" in command("bounds", "--cell", tmp_path / "my.cell").out


def test_weights(command, tmp_path):
    layer, path = ls.lstm(3, 4), tmp_path / "w.npz"
    weights = {n: a.copy() for n, a in layer.random(seed=0, dtype="float32").items()}
    weights["l0.b_f"][:] = [90, 90, -90, 0]
    ls.Weights(weights).save(path)
    out = command("bounds", path, "--input-max", 1.5, "--time", 10).out
    units = ls.bounds(layer, weights, input_max=1.5, time=10).members[0]
    row = next(line.split() for line in out.splitlines() if line.startswith("before o "))
    assert row[2:4] == [f"{units.before['o'].low.min():.5g}", f"{units.before['o'].high.max():.5g}"]
    assert "for |x| <= 1.5, every |s_0| <= 0, steps 1 to 10; rounding in float32 included" in out
    assert "l0.f: 1 of 4 units never rise above 0.05, whatever comes in\n" in out
    assert "l0.f: 2 of 4 units never fall below 0.95, whatever comes in\n" in out
    told = json.loads(command("bounds", path, "--input-max", 1.5, "--time", 10, "--json").out)
    assert told == json.loads(json.dumps(ls.bounds(layer, weights, input_max=1.5, time=10).to_dict()))
    assert told["members"][0]["units"]["f"]["high"] == units.units["f"].high.tolist()
    forever = command("bounds", path, "--input-max", 1.5).out
    assert "unbounded: nothing bounds it for ever; --time T may bound it over T steps" in forever


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "q"), "error[options]: --at is of a file, and none is given\n  help     drop --at\n"),
        (("--time", "x"), "error[time]: time='x' is no count of steps\n  expected 1, 2, …\n"),
        (("--initial-max", "-1"), "error[bound]: initial_max='-1' is no bound\n  expected a number ≥ 0\n"),
        (
            ("w.npz",),
            "error[input-max]: weights bound nothing without a bound of the input\n"
            "  help     give one: input_max=1.5, or --input-max 1.5\n",
        ),
        (("no.npz", "--input-max", "1"), "error[missing]: there is no such file\n  at       no.npz\n"),
    ],
)
def test_wrong_questions(command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ls.lstm(3, 4).random(seed=0).save("w.npz")
    outcome = command("bounds", *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


def test_a_range_fits_its_format():
    """A range lies within its format, but for one step at the upper end, and the next finer format would not do."""
    layer = ls.lstm(3, 4)
    for row in ls.bounds(layer, layer.random(seed=0), input_max=2, time=50).formats():
        low, high = float(row["low"]), float(row["high"])
        for bits, fit in row["fixed_point"].items():
            step = 2.0 ** fit["scale_power"]
            least, most = -(2.0 ** (int(bits) - 1)) * step, (2.0 ** (int(bits) - 1) - 1) * step
            assert low >= least * (1 + 1e-5)
            assert high <= most + step * fit["saturates"] + abs(high) * 1e-5
            assert max(-low, high) > 2.0 ** (int(bits) - 3) * step  # and the next finer would not do
        assert row["scales"]["8"] == pytest.approx(max(-low, high) / 127, rel=1e-4)
        assert np.isfinite(low)
