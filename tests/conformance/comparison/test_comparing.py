"""`compare`: the same model in other clothes, and what differs where it is another."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.layers.tensors import Tensor
from tests.conformance.sets import PLAIN, drawn, keras_names, torch_names

ALLOWED = ("two-biases", "forget-bias")


@pytest.mark.parametrize("name", PLAIN)
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
        "  only the forget gate differs\n"
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


# ---- real files, other dtypes, what cannot be compared ----


def test_dtln_in_two_formats(models):
    """The two LSTMs of the ONNX file are the first two of the HDF5 file, which has two more."""
    sources = models / "DTLN_model.h5", models / "DTLN_model_1.onnx"
    whole, shared = ls.compare(*sources), ls.compare(*sources, shared=True)
    assert (whole.ok, shared.ok) == (False, True)
    assert str(whole) == (
        "lstm/lstm (keras) and lstm_4 (onnx): equal to the bit\n"
        "lstm_1/lstm_1 (keras) and lstm_5 (onnx): equal to the bit\n"
        "lstm_2/lstm_2 (keras): only in the first\n"
        "lstm_3/lstm_3 (keras): only in the first\n"
        "not the same: 2 of 4 cells are equal; --shared leaves out what only one has"
    )
    assert str(shared).splitlines()[-1] == "the same in what both have: 2 of 2 cells are equal, 2 left out"
    assert ls.compare(sources[0], sources[1], at=("lstm_1/lstm_1", "lstm_5")).ok
    assert not ls.compare(sources[0], sources[1], at=("lstm_1/lstm_1", "lstm_4")).ok


def test_two_trainings_of_silero(models):
    comparison = ls.compare(models / "silero_vad_16k.safetensors", models / "silero_vad_16k_op15.onnx")
    (words,) = comparison.pairs[0].words
    assert words == "the matrices resemble each other (correlation 0.97), as after further training"
    assert not comparison.ok


def test_half_precision():
    """float16 is the same model, as float16 rounds; and the same as itself to the bit."""
    given = torch_names()
    half = {name: array.astype("float16") for name, array in given.items()}
    comparison = ls.compare(given, half)
    assert comparison.ok
    assert comparison.pairs[0].verdict.endswith(", as float16 rounds")
    assert ls.compare(half, half).pairs[0].verdict == "equal to the bit"
    half["weight_hh_l0"] = half["weight_hh_l0"] + np.float16(0.01)
    assert not ls.compare(given, half).ok


def test_bfloat16_is_compared_as_it_rounds(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in torch_names().items()}
    torch.save({name: tensor.bfloat16() for name, tensor in tensors.items()}, tmp_path / "b.pt")
    comparison = ls.compare(torch_names(), tmp_path / "b.pt")
    assert comparison.ok
    assert comparison.pairs[0].verdict == "equal within 1.4e-03, as bfloat16 rounds"
    other = ls.compare(torch_names(n=7), tmp_path / "b.pt")
    assert other.pairs[0].words == ("n: 7 -> 3",)
    assert str(other).endswith("not the same: 0 of 1 cells are equal")


def test_the_narrowest_of_several_dtypes_rounds(tmp_path):
    torch = pytest.importorskip("torch")
    given = torch_names()
    tensors = {name: torch.from_numpy(array).half() for name, array in given.items()}
    tensors["weight_hh_l0"] = torch.from_numpy(given["weight_hh_l0"]).bfloat16()
    torch.save(tensors, tmp_path / "mixed.pt")
    (pair,) = ls.compare(given, tmp_path / "mixed.pt").pairs
    assert pair.same
    assert pair.verdict.endswith(", as bfloat16 rounds")


def test_what_cannot_be_read_is_compared_in_sizes_and_equations():
    given = torch_names()
    shapes_only = ls.Tensors(
        "shapes", "arrays", {name: Tensor(name, array.shape, "float8_e4m3fn") for name, array in given.items()}
    )
    comparison = ls.compare(given, shapes_only)
    assert not comparison.ok
    assert str(comparison) == (
        "arrays (pytorch) and shapes (pytorch): the same sizes and equations; the numbers are not compared\n"
        "  the values of weight_ih_l0 (float8_e4m3fn) cannot be read\n"
        "undecided: 0 of 1 cells are equal, and 1 was not compared"
    )


def test_a_gru_beside_it_is_told():
    given = torch_names("enc.") | torch_names("gru.", gates=3)
    comparison = ls.compare(given, torch_names("enc."))
    assert str(comparison) == (
        "enc (pytorch) and enc (pytorch): equal to the bit\n"
        "not compared, in the first: gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs\n"
        "undecided: 1 of 1 cells are equal, and 1 was not compared"
    )
    assert not comparison.ok
    assert comparison.to_dict()["unread"][0]["in"] == "first"


@pytest.mark.parametrize("more", [1.0, -0.5])
def test_a_forget_constant_in_one_equation_only(more):
    first, second = keras_names(), keras_names()
    second["bias"] = second["bias"] + np.repeat([0, more, 0, 0], 4).astype("float32")
    words = f"{abs(more):g} {'more' if more > 0 else 'less'}"
    (pair,) = ls.compare(first, second).pairs
    assert pair.words == (
        f"b_f of the second is {words} in every unit: a forget constant that only one of them has in its equation",
    )


def test_another_bias_of_the_forget_gate_is_no_constant():
    first, second = keras_names(), keras_names()
    second["bias"] = second["bias"] + np.repeat([0, 1, 0, 0], 4).astype("float32") * np.arange(16, dtype="float32")
    (pair,) = ls.compare(first, second).pairs
    assert pair.words == ("only the forget gate differs",)
    second["bias"] = second["bias"] + 1
    (pair,) = ls.compare(first, second).pairs
    assert pair.words == ("only biases differ",)


def test_what_only_one_has_is_no_pair_where_only_what_both_have_counts():
    first, second = torch_names("a."), torch_names("a.") | torch_names("b.", n=9)
    third = torch_names("a.") | torch_names("c.", n=8)
    assert [pair.verdict for pair in ls.compare(second, third).pairs] == ["equal to the bit", "another cell"]
    shared = ls.compare(second, third, shared=True)
    assert [pair.verdict for pair in shared.pairs] == ["equal to the bit", "only in the first", "only in the second"]
    assert shared.ok
    assert ls.compare(first, second, shared=True).ok
    nothing = ls.compare(torch_names(n=9), torch_names(n=8), shared=True)
    assert not nothing.ok
    assert str(nothing).endswith("not the same: 0 of 0 cells are equal")


def test_strangers_of_one_shape():
    shapes = {name: array.shape for name, array in torch_names(k=32, n=32).items()}
    (pair,) = ls.compare(drawn(shapes, 1), drawn(shapes, 2)).pairs
    assert pair.words[0].startswith("the same shapes, other numbers: no order of the gates makes them agree")


def test_a_stack_and_its_layers_apart():
    """PyTorch's two directions and two layers against Keras's four cells."""
    given = torch_names(layers=2, both=True)
    comparison = ls.compare(given, ls.convert(given, "keras", allow=ALLOWED).tensors)
    assert comparison.ok
    assert [pair.first.reverse for pair in comparison.pairs] == [False, True, False, True]


def test_a_folder_of_shards(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    given = torch_names("a.") | torch_names("b.", n=6)
    names = [f"model-{i}-of-00002.safetensors" for i in ("00001", "00002")]
    for name, prefix in zip(names, "ab", strict=True):
        save_file({key: a for key, a in given.items() if key.startswith(prefix)}, tmp_path / name)
    assert ls.compare(tmp_path, given).ok


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
    assert (refused.code, refused.out) == (1, "")
    assert not (tmp_path / "k.npz").exists()
    done = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "k.safetensors")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "enc: pytorch -> onnx, the same to rounding\n"
        "left out, for they are in no recurrent layer: head\n"
        f"wrote {tmp_path}/k.safetensors: 3 tensors\n"
    )
    assert ls.compare(tmp_path / "a.npz", tmp_path / "k.safetensors").ok
    wrong = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "k.bin")
    assert wrong.err.startswith(f"error[output]: {tmp_path}/k.bin names no format that is written\n")
    over = command("convert", tmp_path / "a.npz", "--to", "onnx", "-o", tmp_path / "a.npz")
    assert over.err.startswith("error[output]: --output is a file that is read\n")
