"""`compare` and places: names that both files have, the order within a stack, and layers of other names."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import drawn, torch_names


def several(*prefixes, n=4, k=4):
    """Layers of one size with other numbers."""
    shapes = {name: array.shape for name, array in torch_names(n=n, k=k).items()}
    return {
        f"{prefix}{name}": array for seed, prefix in enumerate(prefixes) for name, array in drawn(shapes, seed).items()
    }


def stack(order=(0, 1), prefix=""):
    """A stack of PyTorch whose cells have one size, in this order."""
    shapes = {name: array.shape for name, array in torch_names(n=4, k=4).items()}
    return {
        f"{prefix}{name.removesuffix('0')}{place}": array
        for place, seed in enumerate(order)
        for name, array in drawn(shapes, seed).items()
    }


def renamed(arrays, **names):
    """With other prefixes: a="b" calls b what is called a."""
    split = ((*name.partition("."), array) for name, array in arrays.items())
    return {f"{names.get(prefix, prefix)}{dot}{rest}": array for prefix, dot, rest, array in split}


def test_two_cells_of_a_stack_that_changed_places():
    comparison = ls.compare(stack(), stack((1, 0)))
    assert str(comparison) == (
        "arrays l0 (pytorch) and arrays l1 (pytorch): equal to the bit\n"
        "arrays l1 (pytorch) and arrays l0 (pytorch): equal to the bit\n"
        "l0 and l1 have changed places\n"
        "not the same: 2 of 2 cells are equal, but not in their places"
    )
    assert not comparison.ok
    assert comparison.to_dict()["moved"] == ["l0 and l1 have changed places"]


def test_two_layers_that_changed_names():
    given = several("enc.", "dec.")
    comparison = ls.compare(given, renamed(given, enc="dec", dec="enc"))
    assert str(comparison) == (
        "enc (pytorch) and dec (pytorch): equal to the bit\n"
        "dec (pytorch) and enc (pytorch): equal to the bit\n"
        "enc and dec have changed places\n"
        "not the same: 2 of 2 cells are equal, but not in their places"
    )
    assert ls.compare(given, renamed(given, enc="dec", dec="enc"), at=("enc", "dec")).ok
    assert not ls.compare(given, renamed(given, enc="dec", dec="enc"), shared=True).ok


def test_three_layers_that_changed_names():
    given = several("a.", "b.", "c.", "d.")
    assert ls.compare(given, renamed(given, a="b", b="c", c="a")).moved == ("a, b and c have changed places",)


def test_a_layer_that_stands_where_another_stood():
    given = several("a.", "b.")
    other = renamed(given, a="b", b="a") | {f"a.{name}": array + 1 for name, array in torch_names(n=4, k=4).items()}
    comparison = ls.compare(given, other)
    assert comparison.moved == ("a of the first is b of the second",)
    assert str(comparison).endswith("not the same: 1 of 2 cells are equal")


def test_layers_of_other_names_find_each_other():
    given = several("enc.", "dec.")
    comparison = ls.compare(given, dict(reversed(renamed(given, enc="b", dec="a").items())))
    assert comparison.ok
    assert str(comparison) == (
        "enc (pytorch) and b (pytorch): equal to the bit\n"
        "dec (pytorch) and a (pytorch): equal to the bit\n"
        "paired by their numbers, for no name and no order that both have says it: "
        "enc is called b there, dec is called a there\n"
        "the same: 2 of 2 cells are equal"
    )
    assert [cell["paired_by"] for cell in comparison.to_dict()["cells"]] == ["numbers", "numbers"]
    assert comparison.to_dict()["renamed"] == list(comparison.renamed)
    same = ls.compare(given, dict(reversed(given.items())))
    assert (same.ok, same.renamed, same.moved) == (True, (), ())
    assert [pair.by for pair in same.pairs] == ["name", "name"]


def test_a_name_that_both_have_is_not_to_name_another_layer():
    given = several("enc.", "dec.")
    comparison = ls.compare(given, renamed(given, enc="dec", dec="out"))
    assert str(comparison).splitlines()[2:] == [
        "enc of the first is dec of the second",
        "dec of the first is out of the second",
        "not the same: 2 of 2 cells are equal, but not in their places",
    ]
    assert not comparison.ok


def test_a_name_that_was_given_on_counts_where_only_one_has_more():
    first, second = several("a."), renamed(several("b.", "a."), a="a")
    assert (first["a.weight_hh_l0"] == second["b.weight_hh_l0"]).all()
    comparison = ls.compare(first, second, shared=True)
    assert comparison.moved == ("a of the first is b of the second",)
    assert not comparison.ok


def test_a_stack_under_another_name_has_its_order():
    assert ls.compare(stack(prefix="a."), stack(prefix="b.")).ok
    assert ls.compare(stack((0, 1, 2), prefix="a."), stack((2, 0, 1), prefix="b.")).moved == (
        "a l0, a l1 and a l2 have changed places",
    )
    assert ls.compare(stack((0, 1, 2), prefix="a."), stack((0, 2, 1), prefix="b.")).moved == (
        "a l1 and a l2 have changed places",
    )


def test_both_directions_of_a_stack_change_places():
    given = torch_names(n=8, k=4, layers=2, both=True)
    turned = {name.replace("l0", "lx").replace("l1", "l0").replace("lx", "l1"): array for name, array in given.items()}
    assert ls.compare(given, turned).moved == (
        "l0 and l1 have changed places",
        "l0.reverse and l1.reverse have changed places",
    )


def test_a_stack_and_its_cells_apart_have_no_order_in_common():
    apart = {
        f"{'first' if name.endswith('0') else 'second'}.{name[:-1]}0": array for name, array in stack((1, 0)).items()
    }
    assert ls.compare(stack(), apart).ok


def test_equal_cells_are_in_their_places():
    """Of cells that are equal each stands beside its namesake, wherever it is in the file."""
    same = several("a.")
    many = {f"{prefix}.{name[2:]}": array for prefix in "abc" for name, array in same.items()}
    assert ls.compare(many, dict(reversed(many.items()))).ok
    assert ls.compare(stack((0, 0, 0), prefix="x."), stack((0, 0, 0), prefix="y.")).ok


def test_names_pair_before_likeness():
    """A layer that was trained on stands beside its namesake, though another is nearer."""
    first = several("a.", "b.")
    second = {name: array + np.float32(0.1) * (name[0] == "a") for name, array in first.items()}
    second |= {f"b.{name[2:]}": array + np.float32(0.01) for name, array in first.items() if name[0] == "a"}
    comparison = ls.compare(first, second)
    assert [(pair.first.where, pair.second.where) for pair in comparison.pairs] == [("a", "a"), ("b", "b")]
    assert not comparison.ok


def test_keras_layers_that_changed_names(tmp_path):
    h5py = pytest.importorskip("h5py")
    for file, order in (("a.h5", (0, 1)), ("b.h5", (1, 0))):
        with h5py.File(tmp_path / file, "w") as opened:
            for seed, name in zip(order, ("lstm", "lstm_1"), strict=True):
                shapes = {"kernel:0": (4, 16), "recurrent_kernel:0": (4, 16), "bias:0": (16,)}
                for tensor, array in drawn(shapes, seed).items():
                    opened[f"model_weights/{name}/{name}/{tensor}"] = array
    comparison = ls.compare(tmp_path / "a.h5", tmp_path / "b.h5")
    assert str(comparison) == (
        "lstm/lstm (keras) and lstm_1/lstm_1 (keras): equal to the bit\n"
        "lstm_1/lstm_1 (keras) and lstm/lstm (keras): equal to the bit\n"
        "lstm/lstm and lstm_1/lstm_1 have changed places\n"
        "not the same: 2 of 2 cells are equal, but not in their places"
    )
    assert ls.compare(tmp_path / "a.h5", tmp_path / "a.h5").ok


# ---- two dialects ----


def test_each_side_has_its_own_dialect(command, tmp_path):
    """OpenVINO's names are ONNX's, whose gates have another order."""
    given = torch_names()
    there = ls.convert(given, "openvino", allow=("two-biases",)).tensors
    assert ls.compare(given, there, dialect=(None, "openvino")).ok
    assert ls.compare(there, given, dialect=("openvino", None)).ok
    assert ls.compare(given, there, dialect=("pytorch", "openvino")).ok
    np.savez(tmp_path / "a.npz", **given)
    np.savez(tmp_path / "b.npz", **there)
    files = tmp_path / "a.npz", tmp_path / "b.npz"
    told = command("compare", *files, "--with-dialect", "openvino")
    assert told.code == 0
    assert told.out == (
        f"{files[0]} (pytorch) and {files[1]} (openvino): equal to the bit\nthe same: 1 of 1 cells are equal\n"
    )
    assert command("compare", *files, "--dialect", "pytorch", "--with-dialect", "openvino").code == 0
    assert command("compare", files[1], files[1], "--dialect", "openvino").code == 0
    wrong = command("compare", *files, "--dialect", "openvino")
    assert wrong.code == 2


def test_the_command_tells_of_places(command, tmp_path):
    np.savez(tmp_path / "a.npz", **stack())
    np.savez(tmp_path / "b.npz", **stack((1, 0)))
    told = command("compare", tmp_path / "a.npz", tmp_path / "b.npz")
    assert told.code == 1
    assert told.out.splitlines()[-2:] == [
        "l0 and l1 have changed places",
        "not the same: 2 of 2 cells are equal, but not in their places",
    ]
