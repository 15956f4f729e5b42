"""An index of shards: what it lists is there and nothing more, and it names no file but those beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.checkpoints import index as index_module
from lstm_spec.checkpoints.listing import list_models
from tests.conformance.sets import torch_names

FETCH = "fetch the files again, or save the model again"
TOGETHER = "put all of them into one folder; any of them, or the folder, then names the model"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def parted(folder: Path, names=(ONE, TWO), index=INDEX, lost=(), moved=(), stray=()) -> Path:
    """An LSTM in two files, as its index lists it, but for what is lost, moved into the other, or there besides."""
    files: dict[str, dict] = {name: {} for name in names}
    listed = {}
    for number, (name, array) in enumerate(torch_names("m.").items()):
        listed[name] = names[number // 2]
        if name not in lost:
            files[names[(number // 2 + (name in moved)) % 2]][name] = array
    files[names[1]] |= {name: np.zeros(2, "f4") for name in stray}
    for name, tensors in files.items():
        save_file(tensors, folder / name)
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 576}, "weight_map": listed}))
    return folder / index


def told(source) -> list[str]:
    return [str(finding) for finding in ls.check(source, numbers=False).findings]


def message(source, ask=ls.read) -> str:
    with pytest.raises(ls.LstmSpecError) as caught:
        ask(source)
    return str(caught.value)


@pytest.mark.parametrize("name", ["m.weight_hh_l0", "m.bias_hh_l0"])
def test_a_tensor_that_is_lost(tmp_path, name):
    """The shards are all there, and one was written anew without it: nothing said so; without a bias it conformed."""
    index = parted(tmp_path, lost=[name])
    shard = ONE if name == "m.weight_hh_l0" else TWO
    expected = (
        "error[index]: the index lists 1 tensor that no file of the model holds\n"
        f"  at       {index}\n"
        f"  expected {name} in {shard}\n"
        "  because  the model that was saved had more than there is here\n"
        f"  help     {FETCH}"
    )
    places = (tmp_path, index, tmp_path / ONE, tmp_path / TWO, f"{tmp_path}/*.safetensors", f"{tmp_path}//{TWO}")
    for place in places:
        report = ls.check(place, numbers=False)
        assert not report.ok
        assert [str(f) for f in report.findings if f.code == "index"] == [expected]
        assert message(place) == expected
        for ask in (lambda at: ls.convert(at, "keras"), lambda at: ls.compare(at, torch_names())):
            with pytest.raises(ls.LstmSpecError, match=r"^error\[index\]: the index lists 1 tensor that no file"):
                ask(place)


def test_many_that_are_lost_are_counted(tmp_path):
    index = parted(tmp_path)
    listed = json.loads(index.read_text())["weight_map"] | {f"head.{number}": TWO for number in range(9)}
    index.write_text(json.dumps({"weight_map": listed}))
    (finding,) = ls.check(index, numbers=False).findings
    assert finding.message == "the index lists 9 tensors that no file of the model holds"
    assert finding.expected.splitlines() == [*(f"head.{number} in {TWO}" for number in range(6)), "and 3 more"]


def test_a_tensor_that_the_index_does_not_list(tmp_path):
    """Which loader is asked decides whether it is part of the model: a warning, for the shapes conform either way."""
    index = parted(tmp_path, stray=["m.extra\x1b"])
    report = ls.check(index, numbers=False)
    assert report.ok
    assert [str(finding) for finding in report.findings] == [
        "warning[index]: the files of the model hold 1 tensor that the index does not list\n"
        f"  at       {index}\n"
        f"  found    m.extra\\x1b in {TWO}\n"
        "  because  a loader that goes by the index leaves out what one that loads whole files takes\n"
        f"  help     {FETCH}"
    ]
    assert ls.read(index)[0].parameter_count == 144
    assert [finding.severity for finding in ls.convert(index, "pytorch").told] == ["warning"]


def test_a_tensor_in_another_file_than_the_index_lists(tmp_path):
    index = parted(tmp_path, moved=["m.bias_ih_l0"])
    assert told(tmp_path) == [
        "warning[index]: 1 tensor of the model in another file than the index lists\n"
        f"  at       {index}\n"
        f"  expected m.bias_ih_l0 in {TWO}\n"
        f"  found    m.bias_ih_l0 in {ONE}\n"
        "  because  a loader that goes by the index does not look there; one that loads whole files does\n"
        f"  help     {FETCH}"
    ]


def test_warnings_of_files_are_no_layers(tmp_path):
    """A model without an LSTM does not conform by having a tensor too many."""
    save_file({"a": np.zeros(2, "f4"), "b": np.zeros(2, "f4")}, tmp_path / ONE)
    save_file({"c": np.zeros(2, "f4")}, tmp_path / TWO)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": ONE, "c": TWO}}))
    with pytest.raises(ls.LstmSpecError, match=r"^error\[no-lstm\]: there is no LSTM here"):
        ls.check(tmp_path, numbers=False)


OWN = ("decoder.safetensors", "encoder.safetensors")


def test_shards_with_names_of_their_own(tmp_path, monkeypatch):
    """Each was a model: one without a recurrent matrix, the other without a bias."""
    (tmp_path / "sub").mkdir()
    index = parted(tmp_path / "sub", OWN)
    for place in (index, index.parent, index.with_name(OWN[0]), index.with_name(OWN[1]), f"{tmp_path}/*/e*"):
        report = ls.check(place, numbers=False)
        assert (report.ok, report.findings) == (True, ())
        assert [found.summary for found in report.layers] == ["n = 3, k = 4, forward, two biases"]
        _, weights = ls.read(place)
        np.testing.assert_array_equal(weights["l0.W_i"], torch_names()["weight_ih_l0"][:4])
    assert [found.where for found in ls.check(tmp_path, numbers=False).layers] == [f"sub/{INDEX} : m"]
    monkeypatch.chdir(index.parent)
    for place in (INDEX, OWN[0], "."):
        assert ls.read(place)[0].parameter_count == 144


@pytest.mark.parametrize("names", [(ONE, TWO), OWN], ids=["numbered", "own"])
def test_a_file_that_is_listed_and_missing(tmp_path, names):
    index = parted(tmp_path, names)
    (tmp_path / names[1]).unlink()
    expected = (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {index}\n"
        "  expected 2 files\n"
        f"  found    without {names[1]}\n"
        f"  help     {TOGETHER}"
    )
    assert told(tmp_path) == told(f"{tmp_path}/*.safetensors") == [expected]
    for place in (index, tmp_path / names[0]):
        assert message(place, ls.check) == expected
    for place in (tmp_path, index, tmp_path / names[0]):
        assert message(place) == expected


def test_a_shard_beside_those_that_are_listed(tmp_path):
    """The files' own names count too: a third of three that no index lists, and one that names alone miss."""
    parted(tmp_path, ("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"))
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert (finding.code, finding.found) == ("shards", "without model-00003-of-00003.safetensors")
    save_file({"head": np.zeros(2, "f4")}, tmp_path / "model-00003-of-00003.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert (finding.severity, finding.found) == ("warning", "head in model-00003-of-00003.safetensors")


def test_what_an_index_does_not_list_is_a_model_of_its_own(tmp_path):
    parted(tmp_path, OWN)
    save_file(torch_names(n=5), tmp_path / "other.safetensors")
    assert [found.where for found in ls.check(tmp_path, numbers=False).layers] == [f"{INDEX} : m", "other.safetensors"]
    assert list_models(str(tmp_path / "other.safetensors")) is None
    assert ls.read(tmp_path / "other.safetensors")[0].given[0][1] == 5


def test_a_cache_that_holds_links(tmp_path):
    """As Hugging Face lays it out: the index and the shards are links into one other directory."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    parted(tmp_path / "blobs", OWN)
    for number, name in enumerate((INDEX, *OWN)):
        (tmp_path / f"blobs/{number}").write_bytes((tmp_path / "blobs" / name).read_bytes())
        (tmp_path / "blobs" / name).unlink()
        (tmp_path / "snapshots" / name).symlink_to(f"../blobs/{number}")
    for place in (INDEX, *OWN, ""):
        report = ls.check(tmp_path / "snapshots" / place, numbers=False)
        assert (report.ok, len(report.layers), report.findings) == (True, 1, ())
    (tmp_path / "blobs/2").unlink()
    assert message(tmp_path / "snapshots" / INDEX, ls.check).splitlines()[3] == f"  found    without {OWN[1]}"


def test_other_tables_are_no_index(tmp_path):
    """Neither a name without a checkpoint's suffix, nor what only Keras would take for one."""
    save_file(torch_names(), tmp_path / "plain.safetensors")
    for name in ("words.index.json", "tokenizer.json", "faiss.weights.json"):
        (tmp_path / name).write_text('{"a": 1}')
    (tmp_path / "long.weights.json").write_text("[0]")
    report = ls.check(tmp_path, numbers=False)
    assert (report.ok, report.findings) == (True, ())
    with pytest.raises(ls.LstmSpecError, match=r"^error\[unknown-format\]: "):
        ls.check(tmp_path / "long.weights.json")


def test_a_directory_that_cannot_be_listed_has_no_index(tmp_path, monkeypatch):
    parted(tmp_path, OWN)

    def denied(path):
        raise PermissionError

    monkeypatch.setattr(index_module.os, "scandir", denied)
    assert list_models(str(tmp_path / OWN[0])) is None
