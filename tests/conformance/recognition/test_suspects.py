"""What looks recurrent and is not read is told once for each place, with the way out where one is known."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from tests.conformance.sets import torch_names

NAMES = "the names of a dialect: lstm-spec dialects lists them"
NORM = "fold it in before saving: torch.nn.utils.remove_weight_norm"
PARAMETRIZED = "fold it in before saving: torch.nn.utils.parametrize.remove_parametrizations"
SPECTRAL = "fold it in before saving: torch.nn.utils.remove_spectral_norm"
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
        (
            "spectral",
            "enc.weight_hh_l0_orig (16, 4), enc.weight_hh_l0_u (16,), enc.weight_hh_l0_v (4,)",
            SPECTRAL,
        ),
        (
            "parametrize spectral",
            "enc.parametrizations.weight_hh_l0.original (16, 4), enc.parametrizations.weight_hh_l0.0._u (16,), "
            "enc.parametrizations.weight_hh_l0.0._v (4,)",
            PARAMETRIZED,
        ),
    ],
)
def test_a_weight_that_torch_keeps_in_parts(change, found, help, tmp_path):
    torch = pytest.importorskip("torch")
    from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

    changes = {
        "norm": lambda lstm: weight_norm(lstm, "weight_hh_l0"),
        "parametrize": lambda lstm: parametrizations.weight_norm(lstm, "weight_hh_l0"),
        "prune": lambda lstm: prune.random_unstructured(lstm, "weight_hh_l0", 0.5),
        "spectral": lambda lstm: spectral_norm(lstm, "weight_hh_l0"),
        "parametrize spectral": lambda lstm: parametrizations.spectral_norm(lstm, "weight_hh_l0"),
    }
    lstm = torch.nn.LSTM(3, 4, bias=False)
    with pytest.warns(FutureWarning, match="weight_norm") if change == "norm" else nullcontext():
        changes[change](lstm)
    path = tmp_path / "m.pt"
    torch.save({f"enc.{name}": value for name, value in lstm.state_dict().items()}, path)
    found = f"enc.weight_ih_l0 (16, 3), {found}"
    count = len(torch.load(path))
    assert str(ls.check(path, numbers=False)) == told("enc", count, found, help).format(path=path)


@pytest.mark.parametrize("asked", [None, "pytorch"])
@pytest.mark.parametrize("cell", [False, True])
def test_what_is_left_of_a_layer_with_a_pruned_weight_is_no_layer(cell, asked):
    """It was one LSTM layer with n = n, of which weight_ih_l0 was missing; the hint alone is left."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils import prune, spectral_norm

    pruned = torch.nn.LSTMCell(3, 4) if cell else torch.nn.LSTM(3, 4)
    own = "weight_ih" if cell else "weight_ih_l0"
    prune.random_unstructured(pruned, own, 0.5)
    arrays = {f"enc.{name}": value for name, value in pruned.state_dict().items()} | torch_names("dec.")
    report = ls.check(arrays, dialect=asked, numbers=False)
    assert [layer.where for layer in report.layers] == ["dec"]
    (finding,) = report.findings
    verdict = "pytorch has no such names" if asked else "no dialect reads it"
    assert finding.message == f"enc looks recurrent by its 5 names, and {verdict}"
    assert finding.help == PRUNED
    spectral_norm(pruned, own.replace("ih", "hh"))
    (finding,) = ls.check(pruned.state_dict(), numbers=False).findings
    assert finding.help == f"{PRUNED}, torch.nn.utils.remove_spectral_norm"
    prune.remove(pruned, own)
    torch.nn.utils.remove_spectral_norm(pruned, own.replace("ih", "hh"))
    assert ls.check(pruned.state_dict()).ok


def test_a_weight_that_is_there_beside_its_parts_is_read(tmp_path):
    """As in a pickled module; the parts are told with the way out."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils import prune

    pruned = torch.nn.LSTM(3, 4)
    prune.random_unstructured(pruned, "weight_ih_l0", 0.5)
    torch.save(pruned, path := tmp_path / "whole.pt")
    report = ls.check(path, numbers=False)
    assert len(report.layers) == 1
    assert [(f.code, f.help) for f in report.findings] == [("unread", PRUNED)]
    np.testing.assert_array_equal(
        read_tensors(path)["weight_ih_l0"].load(), (pruned.weight_ih_l0_orig * pruned.weight_ih_l0_mask).detach()
    )


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


@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell", "GRUCell"])
def test_a_live_quantized_layer_is_not_passed_over(kind, tmp_path):
    """Its packed weights are no tensors of the state dict: beside a plain LSTM a live module conformed; so did the file
    of a quantized cell, whose names end as an optimizer's do.
    """
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"plain": torch.nn.LSTM(3, 4), "small": torch.nn.Sequential()})
    part = getattr(torch.nn, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model["small"].append(part(3, 4))
        model["small"] = torch.ao.quantization.quantize_dynamic(model["small"], {part})
        torch.save(model.state_dict(), path := tmp_path / "state.pt")
    for source, origin in ((model, "ModuleDict"), (path, str(path))):
        report = ls.check(source, numbers=False)
        assert [layer.where for layer in report.layers] == ["plain"]
        assert [(f.code, f.at, f.help) for f in report.findings] == [("unread", f"{origin} : small.0", QUANTIZED)]


def test_many_are_counted_and_not_listed():
    arrays = {f"gru/w{index}": np.zeros((2, 2), "f4") for index in range(20)}
    finding = ls.check(torch_names("enc.") | arrays, numbers=False).findings[0]
    assert finding.message == "gru looks recurrent by its 20 names, and no dialect reads it"
    assert finding.found == ", ".join(f"gru/w{index} (2, 2)" for index in range(6)) + " and 14 more"
