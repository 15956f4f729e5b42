"""`lstm-spec check`: the report, and an exit code that a script can rely on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lstm_spec as ls

MODELS = Path(__file__).parents[3] / "shared/data/models"
needs_models = pytest.mark.skipif(not MODELS.exists(), reason="the real checkpoints are not here")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.npz"
    ls.lstm(3, 4).random(seed=0).save(path)
    return path


def test_a_file_that_conforms(command, weights):
    outcome = command("check", weights)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{ls.check(str(weights))}\n"
    assert outcome.out.splitlines()[-1] == "conforms: 1 LSTM layer"


def test_json_is_exactly_the_report(command, weights):
    outcome = command("check", weights, "--json")
    assert outcome.out == json.dumps(ls.check(str(weights)).to_dict()) + "\n"
    assert json.loads(outcome.out)["ok"] is True


def test_a_file_that_does_not_conform(command, tmp_path):
    arrays = {name: np.zeros(shape) for name, shape in (("weight_ih_l0", (16, 3)), ("weight_hh_l0", (16, 5)))}
    np.savez(tmp_path / "wrong.npz", **arrays)
    outcome = command("check", tmp_path / "wrong.npz")
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.splitlines()[-1].startswith("does not conform: ")
    assert json.loads(command("check", tmp_path / "wrong.npz", "--json").out)["ok"] is False


def test_a_cell_of_ones_own(command, tmp_path):
    (tmp_path / "my.cell").write_text("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)")
    np.savez(tmp_path / "w.npz", W=np.zeros((4, 3)), U=np.zeros((4, 4)), b=np.zeros(4))
    outcome = command("check", tmp_path / "w.npz", "--cell", tmp_path / "my.cell")
    assert (outcome.code, outcome.err) == (0, "")
    assert command("check", tmp_path / "w.npz", "--cell", tmp_path / "my.cell", "--dialect", "keras").err == (
        "error[options]: --dialect does not go with a layer that is described\n"
        "  because  the tensors are then read by the names of its equations: l0.W_f, or W_f\n"
        "  help     drop --dialect, or the options that describe the layer\n"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.onnx", None),
        ("empty.npz", b""),
        ("cut.safetensors", b"\x40\0\0\0\0\0\0\0{"),
        ("text.npz", b"not an archive"),
        ("page.onnx", b"<!doctype html>"),
    ],
)
def test_a_file_that_cannot_be_read(command, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    outcome = command("check", tmp_path / name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[")
    assert name in outcome.err


def test_names_from_a_file_are_harmless(command, tmp_path):
    np.savez(tmp_path / "odd.npz", **{"x\x1b[31m\u202e.weight_ih_l0": np.zeros((16, 3)), "[red]y": np.zeros(3)})
    outcome = command("check", tmp_path / "odd.npz")
    shown = outcome.out + outcome.err
    assert outcome.code in (1, 2)
    assert {ch for ch in shown if ch < " " or "\u202a" <= ch <= "\u202e"} == {"\n"}


@needs_models
@pytest.mark.parametrize(
    ("name", "verdict"),
    [("silero_vad_16k.safetensors", "conforms: 1 LSTM layer"), ("DTLN_model_1.onnx", "conforms: 2 LSTM layers")],
)
def test_real_checkpoints(command, name, verdict):
    outcome = command("check", MODELS / name)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == verdict
