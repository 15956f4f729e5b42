"""An index that is left of a model in several files, beside the whole file; and what cannot be read as the argument."""

from __future__ import annotations

import json

import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from tests.checkpoints.test_index import INDEX, ONE, OWN, TOGETHER, TWO, message, parted, told
from tests.conformance.sets import torch_names

WHOLE = "the whole model is in one file beside it"


def stale(folder, whole="model.safetensors", index=INDEX):
    """The shards are gone, and the model lies in one file."""
    path = parted(folder, index=index)
    for name in (ONE, TWO):
        (folder / name).unlink()
    save_file(torch_names("m.", n=5), folder / whole)
    return path


def warning(path):
    return (
        "warning[index]: the index lists files of the model of which none is here\n"
        f"  at       {path}\n"
        f"  expected {ONE}, {TWO}\n"
        f"  because  {WHOLE}, which a loader takes first\n"
        "  help     delete the index, or fetch the files that it lists and delete the whole one"
    )


@pytest.mark.parametrize(
    ("whole", "index"),
    [("model.safetensors", INDEX), ("model.fp16.safetensors", "model.safetensors.index.fp16.json")],
)
def test_a_whole_file_is_taken_before_an_index_of_files_that_are_gone(tmp_path, whole, index):
    """As transformers does. It was an error that files are missing, and the whole model stood there beside it."""
    path = stale(tmp_path, whole, index)
    report = ls.check(tmp_path, numbers=False)
    assert (report.ok, [found.where for found in report.layers]) == (True, [f"{whole} : m"])
    assert [str(finding) for finding in report.findings] == [warning(path)]
    assert ls.read(tmp_path)[0].given[0][1] == 5
    assert [str(finding) for finding in ls.convert(tmp_path, "pytorch").told] == [warning(path)]
    assert told(tmp_path / whole) == []


def test_the_index_itself_says_where_the_model_is(tmp_path):
    path = stale(tmp_path)
    expected = (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {path}\n  expected 2 files\n  found    without {ONE}, {TWO}\n  help     {WHOLE}: name that"
    )
    assert message(path, ls.check) == message(path) == expected


def test_some_of_the_files_beside_the_whole_one_are_a_model_that_is_not_all_here(tmp_path):
    """Two models, then: which of them is meant is not known."""
    index = parted(tmp_path)
    (tmp_path / TWO).unlink()
    save_file(torch_names("m.", n=5), tmp_path / "model.safetensors")
    report = ls.check(tmp_path, numbers=False)
    assert [found.where for found in report.layers] == ["model.safetensors : m"]
    assert [str(finding) for finding in report.findings] == [
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {index}\n  expected 2 files\n  found    without {TWO}\n  help     {TOGETHER}"
    ]


def test_a_whole_file_beside_shards_is_a_model_of_its_own(tmp_path):
    """It was taken for one more shard: passed over beside an index, and without one "two shards hold m.…"."""
    index = parted(tmp_path)
    save_file(torch_names("m.", n=5), tmp_path / "model.safetensors")
    for _ in range(2):
        report = ls.check(tmp_path, numbers=False)
        assert (report.ok, report.findings) == (True, ())
        assert [found.where for found in report.layers] == [f"{ONE} : m", "model.safetensors : m"]
        index.unlink(missing_ok=True)


def test_no_whole_file_leaves_the_error(tmp_path):
    stale(tmp_path, "other.safetensors")
    report = ls.check(tmp_path, numbers=False)
    assert [(found.code, found.severity) for found in report.findings] == [("shards", "error")]


# ---- the argument itself ----


def broken(folder, names, how):
    """Something that is wrong with a model in several files, and the paths that name it."""
    index = parted(folder, names)
    if how == "index":
        index.write_text(index.read_text()[:50])
        return [index]
    if how == "listed":
        (folder / names[1]).unlink()
    if how == "hostile":
        index.write_text(json.dumps({"weight_map": {"m.w": "../secret.safetensors"}}))
        return [index]
    if how == "shard":
        (folder / names[1]).write_bytes(b"no safetensors")
        return [index, folder / names[0], folder / names[1]]
    return [index, folder / names[0]]


@pytest.mark.parametrize("how", ["index", "listed", "hostile", "shard"])
@pytest.mark.parametrize("names", [(ONE, TWO), OWN], ids=["numbered", "own"])
def test_what_cannot_be_read_is_a_wrong_question_and_below_a_directory_a_finding(command, tmp_path, names, how):
    """As of any other file: 2 where it is named, 1 where it is found."""
    paths = broken(tmp_path, names, how)
    below = command("check", str(tmp_path), "--no-numbers")
    assert below.code == 1
    for path in paths:
        result = command("check", str(path), "--no-numbers")
        assert (result.code, result.out) == (2, "")
        assert result.err.rstrip("\n") in below.out


def test_shards_that_are_not_all_here_without_an_index(command, tmp_path):
    parted(tmp_path).unlink()
    (tmp_path / TWO).unlink()
    below, named = (command("check", str(path), "--no-numbers") for path in (tmp_path, tmp_path / ONE))
    assert (below.code, named.code, named.out) == (1, 2, "")
    assert named.err.rstrip("\n") in below.out
