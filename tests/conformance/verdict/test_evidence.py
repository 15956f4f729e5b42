"""A difference in numbers is explained: a reading beside what an engine computes, or what somebody recorded."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict import evidence
from lstm_spec.errors import OptionError
from tests.conformance.conventions import record
from tests.conformance.recorded import one_step, onnx_as_torch
from tests.conformance.sets import node_attributes, onnx_model, onnx_names, own_names, torch_names

torch = pytest.importorskip("torch", reason="torch is not installed")


class OnnxOrder(torch.nn.LSTM):
    """Its parameters hold the blocks i, o, f, g, and its own forward pass knows."""

    def forward(self, x, state=None):
        for parameter in self.parameters():
            i, o, f, g = parameter.data.chunk(4)
            parameter.data = torch.cat([i, f, g, o])
        return super().forward(x, state)


def numbers(text):
    """The text with each measured number as #, and the numbers."""
    pattern = re.compile(
        r"(?<![\w.])\d+\.\d+(?:e[-+]\d+)?|(?<![\w.])\d+e-\d+(?=:|$|,)|(?<=pytorch )\d+(?=,)", re.MULTILINE
    )
    return pattern.sub("#", text), [float(n) for n in pattern.findall(text)]


def test_a_live_layer_of_another_order_in_full():
    torch.manual_seed(0)
    (finding,) = ls.check(OnnxOrder(3, 4)).findings
    text, (limit, found, as_pytorch, as_onnx, *gates) = numbers(str(finding))
    assert text == (
        "error[numbers]: OnnxOrder computes something else than torch\n"
        "  at       OnnxOrder\n"
        "  expected a difference of at most #\n"
        "  found    #\n"
        "  because  read as pytorch: torch.nn.LSTM and LSTMCell: gates i, f, g, o as rows; two biases or none;"
        " projection\n"
        "           as pytorch #, as onnx #: the blocks are i, o, f, g\n"
        "           gate by gate, read as pytorch: i 0, f #, g #, o #"
    )
    assert min(found, as_pytorch, *gates) > 0.05
    assert limit == 1e-3
    assert as_onnx < 1e-6


class Late(torch.nn.LSTM):
    """The first step is right; the second layer is not."""

    def forward(self, x, state=None):
        y, (h, c) = super().forward(x, state)
        h[1] += 1
        return y, (h, c)


def test_what_differs_later_is_said_to_be_later():
    (finding,) = ls.check(Late(3, 4, num_layers=2)).findings
    assert finding.because.splitlines()[1:] == [
        "the first cell agrees in one step: what differs is the output, a later step, layer or direction"
    ]


def test_a_large_layer_is_not_searched(monkeypatch):
    monkeypatch.setattr(evidence, "MOST_UNITS", 3)
    (finding,) = ls.check(OnnxOrder(3, 4)).findings
    assert len(finding.because.splitlines()) == 1


def test_onnx_weights_read_as_pytorchs_in_full():
    """PyTorch itself runs them without a word; the recorded step is what tells."""
    arrays, step = onnx_as_torch()
    assert ls.check(arrays).ok
    report = ls.check(arrays, step=step)
    assert not report.ok
    (finding,) = report.findings
    text, (limit, found, as_pytorch, as_onnx, *gates) = numbers(str(finding))
    assert text == (
        "error[numbers]: arrays computes something else than the recorded step\n"
        "  at       arrays\n"
        "  expected a difference of at most #\n"
        "  found    #\n"
        "  because  read as pytorch: torch.nn.LSTM and LSTMCell: gates i, f, g, o as rows; two biases or none;"
        " projection\n"
        "           as pytorch #, as onnx #: the blocks are i, o, f, g\n"
        "           gate by gate, read as pytorch: i 0, f #, g #, o #\n"
        "  help     lstm-spec identify --step … --output own.npz writes the weights in their places"
    )
    assert min(found, as_pytorch, *gates) > 0.05
    assert limit == 2e-5
    assert as_onnx < 1e-6
    assert "DIFFERS from the recorded step within " in str(report)


def test_the_command(command, tmp_path):
    arrays, step = onnx_as_torch()
    np.savez(tmp_path / "w.npz", **arrays)
    np.savez(tmp_path / "step.npz", **step)
    assert command("check", tmp_path / "w.npz").code == 0
    outcome = command("check", tmp_path / "w.npz", "--step", tmp_path / "step.npz")
    assert (outcome.code, outcome.err) == (1, "")
    assert ": the blocks are i, o, f, g\n" in outcome.out
    ran = command("identify", tmp_path / "w.npz", "--step", tmp_path / "step.npz", "--output", tmp_path / "own.npz")
    assert ran.code == 0
    outcome = command("check", tmp_path / "own.npz", "--step", tmp_path / "step.npz")
    assert outcome.code == 0
    assert "  agrees with the recorded step within " in outcome.out


def test_a_step_that_agrees_names_its_layer_among_others():
    """Of two layers of one size the step is of one; the other is not blamed."""
    first, second = torch_names("a."), {name: 2 * a for name, a in torch_names("b.").items()}
    tensors = {**first, **second}
    _, weights = ls.read(second)
    step = one_step(ls.lstm(3, 4, bias="two"), weights)
    report = ls.check(tensors, step=step)
    assert report.ok
    assert [found.recorded is not None for found in report.layers] == [False, True]
    assert report.to_dict()["layers"][1]["recorded"]["engine"] == "the recorded step"


@pytest.mark.parametrize(
    "options",
    [{}, {"projection": 2}, {"coupled": "f=1-i"}, {"peephole": True}, {"bias": "none"}],
    ids=str,
)
def test_our_own_files_agree_with_their_steps(options):
    layer = ls.lstm(3, 4, **options)
    weights = layer.random(0, "float64")
    step = one_step(layer, weights)
    assert ls.check(dict(weights), step=step).ok
    wrong = step | {"h1": step["h1"] + 0.1}
    (finding,) = ls.check(dict(weights), step=wrong).findings
    assert (finding.code, finding.help) == ("numbers", "")


def test_the_options_of_a_layer_are_its_own():
    """A file that says hard_sigmoid is held against a step with hard_sigmoid, and its node with its clip."""
    layer = ls.lstm(3, 4, gate_activation="hard_sigmoid(1/6, 1/2)")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    live = keras.layers.LSTM(4, recurrent_activation="hard_sigmoid")
    live.build((1, 2, 3))
    found, weights = ls.read(live)
    assert str(found.cell.defined["f"]) == str(layer.cell.defined["f"])
    step = one_step(layer, weights)
    assert ls.check(live, step=step).ok
    plain = one_step(ls.lstm(3, 4), weights)
    (finding,) = (f for f in ls.check(live, step=plain).findings if f.severity == "error")
    assert ", with gate activation sigmoid " in finding.because


@pytest.mark.parametrize("step", ["sound", "off"])
def test_a_node_with_a_clip(tmp_path, step):
    arrays = {name: 9 * array for name, array in onnx_names().items()}
    (tmp_path / "m.onnx").write_bytes(onnx_model(arrays, node_attributes(clip=0.5)))
    layer, weights = ls.read(str(tmp_path / "m.onnx"))
    recorded = one_step(layer, weights)
    recorded["c1"] = recorded["c1"] + (step == "off")
    report = ls.check(str(tmp_path / "m.onnx"), step=recorded)
    assert report.ok == (step == "sound")
    if step == "off":  # no convention of identify has a clip: the number stands alone
        assert len(report.findings[0].because.splitlines()) == 1


def test_a_step_of_other_sizes_in_full():
    _, step = record(5, 4, {})
    (finding,) = ls.check(torch_names(), step=step).findings
    assert str(finding) == (
        "error[step]: no layer here has the sizes of the recorded step\n"
        "  at       arrays\n"
        "  expected arrays: n = 3, k = 4\n"
        "  found    x is 5 wide, h 4, c 4\n"
        "  help     record the step of one layer: x (B, n), h and h1 (B, r), c and c1 (B, k)"
    )


def test_a_step_needs_a_layer_that_conforms():
    _, step = record(3, 4, {})
    report = ls.check(torch_names() | {"bias_hh_l0": np.zeros(3, "float32")}, step=step)
    assert [(f.code, f.expected) for f in report.findings] == [
        ("shape", "(4*k,) = (16,)"),
        ("step", "a layer that conforms"),
    ]
    assert [f.code for f in ls.check({"a": np.zeros((16, 4)), "b": np.zeros((16, 4))}, step=step).findings] == [
        "ambiguous"
    ]


def test_a_cell_of_ones_own_has_no_step():
    with pytest.raises(OptionError) as caught:
        ls.check(own_names(), cell=ls.lstm(3, 4), step={})
    assert str(caught.value) == (
        "error[options]: a recorded step does not go with a cell of your own\n"
        "  help     lstm-spec run computes it; compare its output with what was recorded"
    )
