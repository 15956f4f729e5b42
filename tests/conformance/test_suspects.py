"""What looks recurrent and is not read is told once for each place, with the way out where one is known."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import torch_names

NAMES = "the names of a dialect: lstm-spec dialects lists them"
RENAME = "name the dialect with --dialect, or rename the tensors"
NORM = "fold it in before saving: torch.nn.utils.remove_weight_norm"
PARAMETRIZED = "fold it in before saving: torch.nn.utils.parametrize.remove_parametrizations"
PRUNED = "fold it in before saving: torch.nn.utils.prune.remove"
QUANTIZED = "these weights are quantized; save the model as it was before quantize_dynamic"


def told(where, count, found, help):
    return (
        f"error[unread]: {where} looks recurrent by its {count} names, and no dialect reads it\n"
        f"  at       {{path}} : {where}\n  expected {NAMES}\n  found    {found}\n  help     {help}\n"
        "does not conform: 0 LSTM layers, 1 error"
    )


@pytest.mark.parametrize(
    ("change", "found", "help"),
    [
        ("norm", "enc.weight_hh_l0_g (16, 1), enc.weight_hh_l0_v (16, 4)", NORM),
        (
            "parametrize",
            "enc.parametrizations.weight_hh_l0.original0 (16, 1), enc.parametrizations.weight_hh_l0.original1 (16, 4)",
            PARAMETRIZED,
        ),
        ("prune", "enc.weight_hh_l0_orig (16, 4), enc.weight_hh_l0_mask (16, 4)", PRUNED),
    ],
)
def test_a_weight_that_torch_keeps_in_parts(change, found, help, tmp_path):
    torch = pytest.importorskip("torch")
    from torch.nn.utils import parametrizations, prune, weight_norm

    changes = {
        "norm": lambda lstm: weight_norm(lstm, "weight_hh_l0"),
        "parametrize": lambda lstm: parametrizations.weight_norm(lstm, "weight_hh_l0"),
        "prune": lambda lstm: prune.random_unstructured(lstm, "weight_hh_l0", 0.5),
    }
    lstm = torch.nn.LSTM(3, 4, bias=False)
    with pytest.warns(FutureWarning, match="weight_norm") if change == "norm" else nullcontext():
        changes[change](lstm)
    path = tmp_path / "m.pt"
    torch.save({f"enc.{name}": value for name, value in lstm.state_dict().items()}, path)
    found = f"enc.weight_ih_l0 (16, 3), {found}"
    assert str(ls.check(path, numbers=False)) == told("enc", 3, found, help).format(path=path)


def test_a_quantized_lstm_is_not_passed_over(tmp_path):
    """By PyTorch, as it names them: beside a plain LSTM the file conformed."""
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"enc": torch.nn.LSTM(3, 4), "dec": torch.nn.LSTMCell(3, 4)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that quantization is deprecated is said in three ways
        small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM})
        torch.save(small.state_dict(), tmp_path / "state.pt")
        torch.save(small, tmp_path / "model.pt")
    for name in ("state.pt", "model.pt"):
        report = ls.check(tmp_path / name, numbers=False)
        assert [layer.where for layer in report.layers] == ["dec"]
        assert [(f.code, f.at, f.help) for f in report.findings] == [("unread", f"{tmp_path / name} : enc", QUANTIZED)]


def test_a_gru_of_flax_is_told_once_and_also_when_it_stands_alone(tmp_path):
    shapes = {f"{a}{b}/kernel": (4, 4) for a in "ih" for b in "rzn"}
    arrays = {f"params/GRUCell_0/{name}": np.zeros(shape, "f4") for name, shape in shapes.items()}
    np.savez(tmp_path / "gru.npz", **arrays)
    listed = ", ".join(f"{name} (4, 4)" for name in arrays)
    assert str(ls.check(tmp_path / "gru.npz", numbers=False)) == told("params/GRUCell_0", 6, listed, RENAME).format(
        path=tmp_path / "gru.npz"
    )
    bare = {f"params/{name}": np.zeros(shape, "f4") for name, shape in shapes.items()}
    report = ls.check(bare, numbers=False)
    assert [f.found for f in report.findings] == ["params/hr/kernel (4, 4), params/hz/kernel (4, 4)"]


def test_many_are_counted_and_not_listed():
    arrays = {f"gru/w{index}": np.zeros((2, 2), "f4") for index in range(20)}
    finding = ls.check(torch_names("enc.") | arrays, numbers=False).findings[0]
    assert finding.message == "gru looks recurrent by its 20 names, and no dialect reads it"
    assert finding.found == ", ".join(f"gru/w{index} (2, 2)" for index in range(6)) + " and 14 more"
