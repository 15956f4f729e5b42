"""What `check`, `convert` and `compare` tell beside their result: a GRU, halves, numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import OptionError, TensorError
from tests.conformance.sets import keras_names, torch_names

GRU = "gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"


def broken(value=np.nan):
    given = torch_names("enc.")
    given["enc.weight_ih_l0"][2, 1] = value
    return given


def test_what_cannot_be_read_stays_behind_and_is_told(command, tmp_path):
    path, made = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(path, **torch_names("enc."), **torch_names("gru.", gates=3), head=np.zeros(3))
    done = command("convert", path, "--to", "onnx", "-o", made)
    assert (done.code, done.out, done.err) == (
        0,
        "",
        "enc: pytorch -> onnx, the same to rounding\n"
        "left out, for they are in no recurrent layer: head\n"
        f"left out, for it cannot be read: {GRU}\n"
        f"wrote {made}: 3 tensors\n",
    )
    assert ls.compare(torch_names("enc."), made).ok
    assert [finding["message"] for finding in ls.convert(path, "onnx").to_dict()["unread"]] == [GRU]
    assert ls.convert(path, "onnx", at="enc").unread == ()


def test_a_gru_alone_is_still_refused():
    with pytest.raises(TensorError) as caught:
        ls.convert(torch_names("gru.", gates=3), "onnx")
    assert str(caught.value) == (
        f"error[unread]: {GRU}\n  at       arrays : gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0"
    )


def test_a_tensor_that_changes_the_equations_is_never_left_out():
    given = keras_names("enc/") | {"enc/state_norm/gamma:0": np.ones(4)} | torch_names("gru.", gates=3)
    with pytest.raises(TensorError, match=r"^error\[unread\]: enc/state_norm/gamma:0: keras has no such tensor"):
        ls.convert(given, "onnx")


def test_halves_are_written_as_float32():
    given = {name: array.astype("float16") for name, array in torch_names(both=True).items()}
    made = ls.convert(given, "onnx")
    assert made.layers[0].adapted.notes == ("float16 is written as float32, which holds it exactly",)
    assert {str(array.dtype) for array in made.tensors.values()} == {"float32"}
    assert ls.convert(torch_names(), "onnx").layers[0].adapted.notes == ()


def test_a_stack_of_halves_says_it_once():
    parts = {name: ls.lstm(3 + index, 4) for index, name in enumerate(("l0", "l1"))}
    given = {
        f"{prefix}.{name}": array.astype("float16")
        for prefix, layer in parts.items()
        for name, array in ls.dialects.get("keras").pack(layer.random(0, "float32"), layer).items()
    }
    notes = ls.convert(given, "onnx").layers[0].adapted.notes
    assert notes.count("float16 is written as float32, which holds it exactly") == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_a_warning(value):
    pytest.importorskip("torch")
    report = ls.check(broken(value))
    assert report.ok
    assert [str(finding) for finding in report.findings] == [
        "warning[values]: enc.weight_ih_l0 holds NaN or infinity\n"
        "  at       arrays : enc\n"
        "  because  the shapes conform; what is computed from such numbers is none, or fixed, and was not compared"
    ]
    assert ls.check(torch_names()).findings == ls.check(broken(value), numbers=False).findings == ()


def test_equal_numbers_that_are_none():
    comparison = ls.compare(broken(), broken())
    assert comparison.ok
    assert str(comparison) == (
        "enc (pytorch) and enc (pytorch): equal to the bit\n"
        "  both hold NaN or infinity in W_i\n"
        "the same: 1 of 1 cells are equal"
    )
    assert comparison.to_dict()["cells"][0]["strange"] == ["W_i"]
    assert ls.compare(torch_names(), torch_names()).pairs[0].strange == ()


def test_a_proof_over_numbers_that_are_none():
    (converted,) = ls.convert(broken(), "onnx").layers
    assert converted.adapted.notes == ("l0.W_i holds NaN or infinity: the outputs that are compared prove little",)


def test_a_dialect_that_was_asked_for_and_is_another():
    report = ls.check(torch_names("enc."), dialect="keras")
    assert [str(finding) for finding in report.findings] == [
        "error[unread]: enc looks recurrent by its 4 names, and keras has no such names\n"
        "  at       arrays : enc\n"
        "  expected the names of keras: lstm-spec dialects show keras\n"
        "  found    enc.weight_ih_l0 (16, 3), enc.weight_hh_l0 (16, 4), enc.bias_ih_l0 (16,), enc.bias_hh_l0 (16,)\n"
        "  help     another dialect, or none, for all of them"
    ]


def test_an_operator_is_of_no_dialect_but_its_own(command, tmp_path):
    path = tmp_path / "a.onnx"
    ls.convert(torch_names("enc."), "onnx", output=str(path))
    wrong = (
        "error[unread]: enc is an operator of onnx, and keras was asked for\n"
        f"  at       {path} : enc\n"
        "  help     --dialect onnx, or none\n"
    )
    checked = command("check", path, "--dialect", "keras")
    assert (checked.code, checked.out) == (1, f"{wrong}does not conform: 0 LSTM layers, 1 error\n")
    converted = command("convert", path, "--dialect", "keras", "--to", "pytorch", "-o", tmp_path / "a.npz")
    assert (converted.code, converted.err) == (2, wrong)
    assert ls.check(path, dialect="onnx").ok
    assert ls.compare(path, torch_names("enc.")).ok


def test_one_loss_may_be_named_without_a_list():
    assert ls.convert(torch_names(), "keras", allow="two-biases").losses[0].name == "two-biases"
    with pytest.raises(OptionError) as caught:
        ls.convert(torch_names(), "keras", allow="two-bias")
    assert str(caught.value) == (
        "error[allow]: no loss is called two-bias\n"
        "  expected two-biases, forget-bias, options, merge, initial-state, lengths"
    )


def test_a_layer_of_each_source_is_named():
    with pytest.raises(OptionError) as caught:
        ls.compare(torch_names("ab."), torch_names("ab."), at="ab")
    assert str(caught.value) == ("error[at]: at names one layer of each source\n  expected at=('ab', 'ab')")
