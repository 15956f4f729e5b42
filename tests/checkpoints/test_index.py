"""An index of shards: what it lists is there and nothing more, and it names no file but those beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import lstm_spec as ls
from lstm_spec.checkpoints import index as index_module
from lstm_spec.checkpoints.listing import list_models
from tests.conformance.sets import torch_names

FETCH = "fetch the files again, or save the model again"
AWAY = "fetch it again, or move it away: the files are then read by their own names"
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


def message(source) -> str:
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.read(source)
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
    for place in (tmp_path, index, tmp_path / ONE, tmp_path / TWO, f"{tmp_path}/*.safetensors"):
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
    for place in (tmp_path, index, tmp_path / names[0]):
        assert told(place) == [expected]
        assert message(place) == expected


def test_a_shard_beside_those_that_are_listed(tmp_path):
    """The files' own names count too: a third of three that no index lists, and one that names alone miss."""
    index = parted(tmp_path, ("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"))
    (finding,) = ls.check(index, numbers=False).findings
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
    assert told(tmp_path / "snapshots" / INDEX)[0].splitlines()[3] == f"  found    without {OWN[1]}"


# ---- an index is a stranger's ----


def listing(value):
    return json.dumps({"weight_map": {"m.w": value}})


def refused(where, expected, found):
    return f"error[index]: the index has m.w {where}\n  expected {expected}\n  found    {found}"


def elsewhere(name, shown=None):
    inside = "a name in the index's own directory"
    return listing(name), refused("at a place that is not opened", inside, f"'{shown or name}'")


def no_tensors(data, found):
    expected = "weight_map: a table of each tensor's file"
    return (
        data,
        f"error[index]: the index lists no tensors\n  expected {expected}\n  found    {found}\n  help     {AWAY}",
    )


def no_name(value, shown):
    return listing(value), f"error[index]: the file of m.w is no name\n  expected a name\n  found    {shown}"


def too_large(what, expected, found=""):
    return f"error[too-large]: the index {what}\n  expected at most {expected}" + (
        f"\n  found    {found}" * bool(found)
    )


HOSTILE = {
    "up": elsewhere("../secret.safetensors"),
    "below": elsewhere("sub/secret.safetensors"),
    "absolute": elsewhere("/etc/secret.safetensors"),
    "itself": elsewhere("."),
    "parent": elsewhere(".."),
    "empty": elsewhere(""),
    "home": elsewhere("~root.safetensors"),
    "windows": elsewhere("..\\secret.safetensors"),
    "drive": elsewhere("C:secret.safetensors"),
    "stream": elsewhere("a.safetensors:secret.safetensors"),
    "url": elsewhere("https://example.invalid/a.safetensors"),
    "chain": elsewhere("zip::a.safetensors"),
    "nul": elsewhere("a\0.safetensors", "a\\x00.safetensors"),
    "escape": elsewhere("a\x1b[2J.safetensors", "a\\x1b[2J.safetensors"),
    "surrogate": elsewhere("a\ud800.safetensors", "a\\ud800.safetensors"),
    "long": elsewhere("a" * 300 + ".safetensors", "a" * 199 + "…"),
    "another format": (
        listing("id_rsa"),
        refused("in a file of another format", "a file named *.safetensors", "'id_rsa'"),
    ),
    "link": (
        listing("link.safetensors"),
        refused("behind a link that leads elsewhere", "a file in the index's own directory", "'link.safetensors'"),
    ),
    "link to a link": (
        listing("again.safetensors"),
        refused("behind a link that leads elsewhere", "a file in the index's own directory", "'again.safetensors'"),
    ),
    "a number": no_name(3, "int"),
    "no file": no_name([], "[]"),
    "a list of more": no_name(["a.safetensors", None], "['a.safetensors', None]"),
    "a table": no_name({"a": "b"}, "dict"),
    "nothing listed": no_tensors('{"weight_map": {}}', "nothing in it"),
    "no table": no_tensors('{"weight_map": ["a"], "metadata": {}}', "weight_map, metadata"),
    "nothing": no_tensors("{}", "an empty table"),
    "a list": ("[]", "error[index]: the index is not a table\n  found    list"),
    "no JSON": (
        "version https://git-lfs",
        "error[index]: the index is not JSON\n  because  Expecting value: line 1 column 1 (char 0)",
    ),
    "no text": (
        b"\xff{}",
        "error[index]: the index is not JSON\n"
        "  because  'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "twice": ('{"weight_map": {"a": "b", "a": "c"}}', "error[duplicate]: the index names a twice"),
    "NaN": ('{"weight_map": NaN}', "error[index]: the index holds a number that is none\n  found    NaN"),
    "deep": (
        '{"weight_map": ' + "[" * 5000 + "]" * 5000 + "}",
        "error[nesting]: the index is nested too deeply\n  expected at most 100 levels\n  found    5001",
    ),
    "long text": (
        '{"weight_map": {"a": "b"}}' + " " * 20_000_000,
        too_large("is too long", "20000000 bytes", "20000026"),
    ),
    "parts": (
        '{"weight_map": [' + "0," * 300_000 + "0]}",
        too_large("has too many parts", "300000", "300002"),
    ),
    "strings": ('""' * 600_001, too_large("has too many strings", "600000")),
    "tensors": (
        json.dumps({"weight_map": {str(number): "a.safetensors" for number in range(100_001)}}),
        too_large("lists too many tensors", "100000"),
    ),
    "files": (
        json.dumps({"weight_map": {str(number): f"{number}.safetensors" for number in range(10_001)}}),
        too_large("lists too many files", "10000"),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_index_that_lies_is_refused(tmp_path, case):
    """As the argument, in a folder and beside a file, which it may list: told, and nothing that it names is read."""
    data, expected = HOSTILE[case]
    save_file(torch_names(), tmp_path / "secret.safetensors")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (folder / "again.safetensors").symlink_to("link.safetensors")
    (folder / "plain.safetensors").write_bytes(save(torch_names(n=5)))
    (folder / INDEX).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    first, *rest = expected.split("\n")
    expected = "\n".join([first, f"  at       {folder / INDEX}", *rest])
    assert told(folder / INDEX) == [expected]
    assert message(folder / INDEX) == expected
    for link in ("link.safetensors", "again.safetensors"):
        (folder / link).unlink() if case not in ("link", "link to a link") else None
    report = ls.check(folder / "plain.safetensors", numbers=False)
    assert [str(finding) for finding in report.findings] == [expected]
    assert [dict(found.layer.given)["n"] for found in report.layers] == [5]
    assert expected in told(folder)


def test_an_index_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / INDEX)
    assert told(tmp_path / INDEX) == [
        f"error[not-a-file]: this is not a regular file\n  at       {tmp_path / INDEX}\n"
        "  expected a regular file\n  found    a pipe, a socket or a device"
    ]


def test_a_listed_name_of_what_is_no_file(tmp_path):
    (tmp_path / "pipe.safetensors").mkdir()
    (tmp_path / INDEX).write_text(listing("pipe.safetensors"))
    assert told(tmp_path / INDEX) == [
        f"error[not-a-file]: this is not a regular file\n  at       {tmp_path / 'pipe.safetensors'}\n"
        "  expected a regular file\n  found    a directory"
    ]


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
