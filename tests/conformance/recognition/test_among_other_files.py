"""A trainer's folder, as people have it: the model among the optimizer's state, the options and the generators'."""

from __future__ import annotations

import argparse
import json
import random

import numpy as np
import pytest

import lstm_spec as ls

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")


class Tagger(torch.nn.Module):
    """An LSTM with a layer behind it."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


def stepped(module, optimizer):
    """The optimizer after a step."""
    y = module(torch.randn(5, 2, 3))
    (y[0] if isinstance(y, tuple) else y).sum().backward()
    optimizer.step()
    return optimizer


@pytest.fixture
def trained(tmp_path):
    """What transformers' Trainer leaves in `checkpoint-2`, written by the same calls."""
    model = Tagger()
    optimizer = stepped(model, torch.optim.AdamW(model.parameters()))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.random.get_rng_state()}
    safetensors.save_file(model.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.pt")
    torch.save(states, tmp_path / "rng_state.pth")
    torch.save(argparse.Namespace(learning_rate=1e-3, output_dir="out"), tmp_path / "training_args.bin")
    for name in ("config", "tokenizer", "trainer_state"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"model_type": "tagger"}))
    return model, tmp_path


PASSED = (
    "note[no-lstm]: 4 files hold no recurrent layer, and were passed over\n"
    "  at       {folder}\n"
    "  found    optimizer.pt: 18 tensors: state.0.step, state.0.exp_avg, state.0.exp_avg_sq, state.1.step,"
    " state.1.exp_avg and 13 more\n"
    "           rng_state.pth: 1 tensor: cpu\n"
    "           scheduler.pt: no tensors\n"
    "           training_args.bin: no tensors; the pickle holds objects of other classes, first argparse.Namespace"
)


def test_check_passes_over_what_is_no_model(trained, command):
    """Two of the files were errors, and the folder did not conform."""
    _, folder = trained
    report = ls.check(folder)
    assert report.ok
    assert [str(finding) for finding in report.findings] == [PASSED.format(folder=folder)]
    assert [found.where for found in report.layers] == ["model.safetensors : lstm"]
    assert report.layers[0].agreement.engine == "torch"
    assert set(report.other) == {f"model.safetensors : head.{name}" for name in ("weight", "bias")}
    outcome = command("check", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "conforms: 1 LSTM layer"


def test_a_contract_of_the_folder(trained, command):
    _, folder = trained
    outcome = command("spec", folder)
    assert (outcome.code, outcome.err) == (0, "")
    (folder.parent / "spec.toml").write_text(outcome.out)
    assert command("check", folder, "--spec", folder.parent / "spec.toml").code == 0
    assert "optimizer" not in outcome.out


def test_convert_and_compare_take_the_one_model(trained, command, tmp_path_factory):
    """They said that there are five files."""
    model, folder = trained
    out = tmp_path_factory.mktemp("out") / "m.onnx"
    outcome = command("convert", folder, "--to", "onnx", "-o", out)
    assert outcome.code == 0
    assert outcome.err == (
        "lstm: pytorch -> onnx, the same to rounding\n"
        "left out, for they are in no recurrent layer: head.bias, head.weight\n"
        "note: 4 files hold no recurrent layer, and were passed over\n"
        f"wrote {out}: 3 tensors\n"
    )
    outcome = command("compare", folder, out)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1:] == [
        "note, of the first: 4 files hold no recurrent layer, and were passed over",
        "the same: 1 of 1 cells are equal",
    ]
    assert [finding.code for finding in ls.convert(folder, "pytorch").told] == ["no-lstm"]
    assert ls.compare(folder, model).ok
    _, weights = ls.read(folder)
    np.testing.assert_array_equal(weights["l0.W_i"], model.lstm.weight_ih_l0[:4].detach().numpy())
    with torch.no_grad():
        model.lstm.weight_hh_l0.copy_(model.lstm.weight_hh_l0.roll(4, 0))
    assert not ls.compare(folder, model).ok


def test_two_models_are_still_several(trained):
    model, folder = trained
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(folder, "keras")
    assert str(caught.value) == (
        f"error[several]: there are 2 files\n  at       {folder}\n  expected one file\n"
        f"  found    {folder}/model.safetensors, {folder}/pytorch_model.bin"
    )
    assert len(ls.check(folder).layers) == 2


def test_a_gru_is_no_other_file(trained):
    """What recurs and is not read is a model as well: nothing recurrent is passed over."""
    _, folder = trained
    torch.save(torch.nn.GRU(3, 4).state_dict(), folder / "gru.pt")
    assert not ls.check(folder).ok
    with pytest.raises(ls.LstmSpecError, match=r"^error\[several\]: there are 2 files"):
        ls.read(folder)


def test_a_file_that_cannot_be_read_is_no_other_file(trained):
    _, folder = trained
    (folder / "last.pt").write_bytes(b"\x80\x02cut")
    assert not ls.check(folder).ok
    with pytest.raises(ls.LstmSpecError, match=r"(?s)^error\[pickle\]: .*last\.pt"):
        ls.convert(folder, "keras")


def test_no_model_at_all(trained):
    _, folder = trained
    (folder / "model.safetensors").unlink()
    message = f"error[no-lstm]: there is no LSTM here\n  at       {folder}\n  found    "
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(folder)
    assert str(caught.value) == f"{message}4 files without one"
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.read(folder)
    held = PASSED.partition("found    ")[2]
    assert str(caught.value) == f"{message}{held}\n  help     name the one file that is meant"


def test_a_shard_without_a_tensor_is_not_passed_over(tmp_path):
    """With what the other shard holds it would be passed over, an LSTM and all."""
    safetensors.save_file(torch.nn.LSTM(5, 4).state_dict(), tmp_path / "other.safetensors")
    torch.save(torch.nn.LSTM(3, 4).state_dict(), tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({}, tmp_path / "pytorch_model-00002-of-00002.bin")
    report = ls.check(tmp_path, numbers=False)
    assert [(f.code, f.severity) for f in report.findings] == [("no-tensors", "error")]
    with pytest.raises(ls.LstmSpecError, match=r"^error\[no-tensors\]: "):
        ls.read(tmp_path)


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "rprop": torch.optim.Rprop,
    "adafactor": torch.optim.Adafactor,
}


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_no_optimizer_is_a_layer(tmp_path, name, bias):
    """SGD's momentum of a bare LSTM has an LSTM's shapes, and names that say nothing: it was an `ambiguous` error."""
    module = torch.nn.LSTM(3, 4, bias=bias)
    optimizer = stepped(module, OPTIMIZERS[name](module.parameters()))
    safetensors.save_file(module.state_dict(), tmp_path / "model.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    report = ls.check(tmp_path, numbers=False)
    assert (report.ok, [found.where for found in report.layers]) == (True, ["model.safetensors"])
    (finding,) = report.findings
    assert finding.message == "1 file holds no recurrent layer, and was passed over"
    assert finding.found.startswith("optimizer.pt: ")
    assert ls.read(tmp_path)[0].parameter_count == 4 * 4 * (3 + 4 + 2 * bias)


def test_an_optimizer_that_names_its_parameters(tmp_path):
    """As a state that was gathered from several machines has them, each slot under its parameter."""
    module = Tagger()
    optimizer = stepped(module, torch.optim.Adam(module.parameters()))
    names = [name for name, _ in module.named_parameters()]
    state = {names[number]: slots for number, slots in optimizer.state_dict()["state"].items()}
    safetensors.save_file(module.state_dict(), tmp_path / "model.safetensors")
    torch.save({"state": state, "param_groups": []}, tmp_path / "optimizer.bin")
    report = ls.check(tmp_path, numbers=False)
    assert (report.ok, len(report.layers), len(report.findings)) == (True, 1, 1)
