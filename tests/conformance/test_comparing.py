"""`compare`: the same model in other clothes, and what differs where it is another."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import EXECUTED
from tests.conformance.sets import drawn, keras_names, torch_names

ALLOWED = ("two-biases", "forget-bias")


@pytest.mark.parametrize("name", [d.name for d in EXECUTED])
def test_a_converted_model_is_the_same(name):
    given = torch_names(layers=2)
    if not (there := ls.convert(given, name, allow=ALLOWED)).tensors:
        raise AssertionError
    comparison = ls.compare(given, ls.convert(there.tensors, "lstm-spec", dialect=name, allow=ALLOWED).tensors)
    assert comparison.ok
    assert len(comparison.pairs) == 2


def test_the_same_to_the_bit():
    given = torch_names("enc.", both=True) | torch_names("dec.")
    comparison = ls.compare(given, ls.convert(given, "lstm-spec").tensors)
    assert str(comparison) == (
        "enc l0 (pytorch) and enc l0 (lstm-spec): equal to the bit\n"
        "enc l0.reverse (pytorch) and enc l0.reverse (lstm-spec): equal to the bit\n"
        "dec (pytorch) and dec (lstm-spec): equal to the bit\n"
        "the same: 3 of 3 cells are equal"
    )


def test_layers_in_another_order_find_each_other():
    first = drawn_layers("a.", "b.")
    second = {name.replace("a.", "z."): array for name, array in reversed(first.items())}
    comparison = ls.compare(first, second)
    assert [(p.first.where, p.second.where) for p in comparison.pairs] == [("a", "z"), ("b", "b")]
    assert comparison.ok


def drawn_layers(*prefixes):
    shapes = {name: array.shape for name, array in torch_names().items()}
    return {
        f"{prefix}{name}": array for seed, prefix in enumerate(prefixes) for name, array in drawn(shapes, seed).items()
    }


def test_gates_in_another_order():
    given = torch_names(bias=False)
    rolled = {name: np.concatenate([a[:4], a[12:], a[4:8], a[8:12]]) for name, a in given.items()}  # i, o, f, g
    comparison = ls.compare(given, rolled)
    assert not comparison.ok
    assert comparison.pairs[0].words == (
        "the gates of the second are in another order: "
        "o stands where f should, f stands where g should, g stands where o should",
    )


def test_a_transposed_square_matrix():
    given = ls.convert(torch_names(), "flax", allow=ALLOWED).tensors
    turned = {name: array.T.copy() if name.endswith("hf/kernel") else array for name, array in given.items()}
    comparison = ls.compare(given, turned)
    assert comparison.pairs[0].words == ("U_f of the second is transposed",)
    assert list(comparison.pairs[0].differences) == ["U_f"]


def test_what_differs_in_full():
    first = torch_names("enc.") | torch_names("dec.", n=7)
    second = {name: array.copy() for name, array in torch_names("enc.").items()}
    second["enc.weight_ih_l0"][5, 0] += 1  # in W_f
    assert str(ls.compare(first, second)) == (
        "enc (pytorch) and enc (pytorch): differs by up to 1.0e+00\n"
        "  W_f      differs by up to 1.0e+00\n"
        "dec (pytorch): only in the first\n"
        "not the same: 0 of 2 cells are equal"
    )


def test_other_sizes_and_equations_in_words():
    comparison = ls.compare(torch_names(k=6), torch_names(projection=2))
    assert comparison.pairs[0].verdict == "another cell"
    assert comparison.pairs[0].words[:2] == ("k: 6 -> 4", "r: none -> 2")
    assert any("W_proj" in words for words in comparison.pairs[0].words)


def test_directions():
    layer = ls.lstm(3, 4, reverse=True)
    weights = layer.random(0)
    backwards = ls.dialects.get("lstm-spec").pack(weights, layer)
    forwards = {name.replace("l0.reverse.", "l0."): array for name, array in backwards.items()}
    (pair,) = ls.compare(backwards, forwards).pairs
    assert pair.words == ("the first reads backwards, the second forwards",)
    assert not pair.same


def test_a_number_beside_none():
    first, second = keras_names(), keras_names()
    second["kernel"] = second["kernel"].copy()
    second["kernel"][0, 0] = np.nan
    (pair,) = ls.compare(first, second).pairs
    assert pair.differences == {"W_i": np.inf}
    assert ls.compare(second, second).ok


def test_a_constant_of_the_forget_gate_counts():
    """The same tensors as Keras and as TF1 are not the same function; with 1 less in b_f they are."""
    layer = ls.lstm(3, 4)
    weights = layer.random(0)
    plain = ls.dialects.get("lstm-spec").pack(weights, layer)
    tf1 = ls.convert(plain, "tf1", allow=ALLOWED).tensors
    assert ls.compare(plain, tf1).ok
    wrong = {
        name: array + 1 * (np.repeat([0, 0, 1, 0], 4) if name.endswith("bias") else 0) for name, array in tf1.items()
    }
    (pair,) = ls.compare(plain, wrong).pairs
    assert list(pair.differences) == ["b_f"]
    assert pair.largest == pytest.approx(1)


def test_the_command(command, tmp_path):
    np.savez(tmp_path / "a.npz", **torch_names())
    np.savez(tmp_path / "b.npz", **ls.convert(torch_names(), "onnx").tensors)
    np.savez(tmp_path / "c.npz", **torch_names(n=5))
    same = command("compare", tmp_path / "a.npz", tmp_path / "b.npz")
    assert (same.code, same.err) == (0, "")
    assert same.out == (
        f"{tmp_path}/a.npz (pytorch) and {tmp_path}/b.npz (onnx): equal to the bit\nthe same: 1 of 1 cells are equal\n"
    )
    assert command("compare", tmp_path / "a.npz", tmp_path / "c.npz").code == 1
    assert command("compare", tmp_path / "a.npz", tmp_path / "none.npz").code == 2
    assert command("compare", tmp_path / "a.npz", tmp_path / "c.npz", "--json").out.startswith('{"first": ')


def test_the_convert_command(command, tmp_path):
    np.savez(tmp_path / "a.npz", **torch_names("enc."), head=np.zeros(3))
    refused = command("convert", tmp_path / "a.npz", "--to", "keras", "-o", tmp_path / "k.npz")
    assert (refused.code, refused.out) == (2, "")
    assert not (tmp_path / "k.npz").exists()
    done = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "k.safetensors")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "enc: pytorch -> onnx, the same within 0.0e+00\n"
        "left out, for they are in no recurrent layer: head\n"
        f"wrote {tmp_path}/k.safetensors: 3 tensors\n"
    )
    assert ls.compare(tmp_path / "a.npz", tmp_path / "k.safetensors").ok
    wrong = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "k.bin")
    assert wrong.err.startswith(f"error[output]: {tmp_path}/k.bin names no format that is written\n")
    over = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "a.npz")
    assert over.err.startswith("error[output]: --output is a file that is read\n")
