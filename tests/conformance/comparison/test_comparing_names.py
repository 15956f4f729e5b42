"""`compare` and what layers are called: words before all names, numbers that end them, and what no name says."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.comparison.test_comparing_places import renamed, several, stack
from tests.conformance.sets import torch_names


def prefixed(arrays, prefix):
    return {f"{prefix}{name}": array for name, array in arrays.items()}


# ---- words before all names, and behind them ----


@pytest.mark.parametrize("prefix", ["module.", "model.net."])
def test_words_before_all_names_are_no_part_of_them(prefix):
    given = several("enc.", "dec.", "head.")
    same = ls.compare(given, prefixed(given, prefix))
    assert (same.ok, same.renamed) == (True, ())
    assert [pair.by for pair in same.pairs] == ["name"] * 3
    exchanged = prefixed(renamed(given, enc="dec", dec="enc"), prefix)
    assert ls.compare(given, exchanged).moved == ("enc and dec have changed places",)
    assert ls.compare(exchanged, given).moved == (f"{prefix}dec and {prefix}enc have changed places",)


def test_words_before_most_names():
    """One more layer on each side has not the other's words."""
    given = several("enc.", "dec.", "own.")
    there = prefixed(renamed(given, enc="dec", dec="enc"), "module.")
    there = {name.replace("module.own.", "head."): array for name, array in there.items()}
    assert ls.compare(given, there).moved == ("enc and dec have changed places",)


def test_a_wrapped_model_of_torch_in_two_formats(tmp_path):
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    given = {name: torch.from_numpy(array) for name, array in several("enc.", "dec.").items()}
    torch.save({"model": given, "optimizer": {"state": {0: {"exp_avg": given["enc.weight_hh_l0"]}}}}, tmp_path / "a.pt")
    save_file(prefixed(given, "module."), tmp_path / "b.safetensors")
    save_file(prefixed(renamed(given, enc="dec", dec="enc"), "module."), tmp_path / "c.safetensors")
    assert ls.compare(tmp_path / "a.pt", tmp_path / "b.safetensors").ok
    assert ls.compare(tmp_path / "a.pt", tmp_path / "c.safetensors").moved == (
        "model.enc and model.dec have changed places",
    )


def test_a_folder_with_one_model(tmp_path):
    given = several("enc.", "dec.")
    for folder, arrays in (("a", given), ("b", renamed(given, enc="dec", dec="enc"))):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "model.npz", **prefixed(arrays, "module."))
    assert ls.compare(given, tmp_path / "a", dialect=("pytorch", None)).ok
    assert ls.compare(given, tmp_path / "b", dialect=(None, "pytorch")).moved == ("enc and dec have changed places",)


# ---- numbers ----


@pytest.mark.parametrize("names", ["lstm_2 lstm_3", "layers.1 layers.4", "rnn1 rnn2", "block.9.lstm block.10.lstm"])
def test_numbers_in_names_are_an_order(names):
    one, other = names.split()
    given = several("lstm.", "lstm_1.")
    there = renamed(given, lstm="one", lstm_1="other")
    straight = {name.replace("one.", f"{one}.").replace("other.", f"{other}."): a for name, a in there.items()}
    exchanged = {name.replace("one.", f"{other}.").replace("other.", f"{one}."): a for name, a in there.items()}
    same, moved = ls.compare(given, straight), ls.compare(given, exchanged)
    assert (same.ok, same.renamed, [pair.by for pair in same.pairs]) == (True, (), ["order", "order"])
    assert not moved.ok
    assert moved.moved == ("lstm and lstm_1 have changed places",)


def test_numbers_that_moved_on_name_the_same_layers():
    """Something was put before them: the order is the same, and that a name is another's is told."""
    given = several("0.", "1.", "2.")
    comparison = ls.compare(given, {f"{int(name[0]) + 1}{name[1:]}": array for name, array in given.items()})
    assert comparison.ok
    assert comparison.renamed == (
        "paired by the order of the layers, for their names say another: "
        "0 is called 1 there, 1 is called 2 there, 2 is called 3 there",
    )


def test_sizes_in_names_are_no_order():
    given = prefixed(torch_names(n=3, k=8), "lstm.") | prefixed(torch_names(n=8, k=4), "lstm_1.")
    assert ls.compare(given, renamed(given, lstm="lstm_64", lstm_1="lstm_32")).ok


def test_two_stacks_of_other_names_are_found_by_their_numbers():
    """Each has an order; none says which of them is which."""
    given = stack((0, 1), prefix="enc.") | stack((2, 3), prefix="dec.")
    comparison = ls.compare(given, renamed(given, enc="a", dec="b"))
    assert comparison.ok
    assert comparison.renamed == (
        "paired by their numbers, for no name and no order that both have says it: "
        "enc is called a there, dec is called b there",
    )
    alone = ls.compare(stack(prefix="enc."), stack(prefix="a."))
    assert (alone.ok, alone.renamed) == (True, ())
    crossed = stack((0, 3), prefix="a.") | stack((2, 1), prefix="b.")
    assert [pair.by for pair in ls.compare(given, crossed).pairs] == ["numbers"] * 4
    assert len(ls.compare(given, crossed).renamed) == 1


# ---- what stands nowhere ----


def test_layers_of_other_sizes_need_no_name():
    given = prefixed(torch_names(k=4), "enc.") | prefixed(torch_names(k=5), "dec.")
    comparison = ls.compare(given, renamed(given, enc="a", dec="b"))
    assert (comparison.ok, comparison.renamed, [p.by for p in comparison.pairs]) == (True, (), ["size", "size"])


def test_a_layer_that_only_one_has_is_equal_to_another():
    given = several("a.")
    twice = given | renamed(given, a="b")
    assert str(ls.compare(given, twice)) == (
        "a (pytorch) and a (pytorch): equal to the bit\n"
        "b (pytorch): only in the second\n"
        "  equal to a, which stands beside another\n"
        "not the same: 1 of 2 cells are equal; --shared leaves out what only one has"
    )
    assert str(ls.compare(twice, given)).splitlines()[1:3] == [
        "b (pytorch): only in the first",
        "  equal to a, which stands beside another",
    ]


def test_directions_that_changed_places():
    given = torch_names("rnn.", both=True)
    turned = {
        name.removesuffix("_reverse") if name.endswith("_reverse") else f"{name}_reverse": array
        for name, array in given.items()
    }
    comparison = ls.compare(given, turned)
    assert not comparison.ok
    assert [pair.words for pair in comparison.pairs] == [
        ("its numbers are those of rnn l0.reverse there",),
        ("its numbers are those of rnn l0 there",),
    ]


def test_the_command_says_what_was_paired_by_numbers(command, tmp_path):
    given = several("enc.", "dec.")
    np.savez(tmp_path / "a.npz", **given)
    np.savez(tmp_path / "b.npz", **renamed(given, enc="rnn", dec="out"))
    told = command("compare", tmp_path / "a.npz", tmp_path / "b.npz")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[-2:] == [
        "paired by their numbers, for no name and no order that both have says it: "
        "enc is called rnn there, dec is called out there",
        "the same: 2 of 2 cells are equal",
    ]
    assert command("compare", tmp_path / "a.npz", tmp_path / "a.npz").out.splitlines()[-1] == (
        "the same: 2 of 2 cells are equal"
    )
