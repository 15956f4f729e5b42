"""Directories, patterns, shards and addresses: a checkpoint wherever it lies."""

from __future__ import annotations

import io
import os
import uuid

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.listing import list_models
from tests.conformance.sets import torch_names

KNOWN = "*.h5, *.hdf5, *.keras, *.msgpack, *.npy, *.npz, *.onnx"


@pytest.fixture
def models(tmp_path):
    np.savez(tmp_path / "a.npz", **torch_names("enc."))
    (tmp_path / "sub").mkdir()
    np.savez(tmp_path / "sub/b.npz", **torch_names(n=5))
    (tmp_path / "README.md").write_text("other files stand beside models")
    return tmp_path


def heads(report):
    return [found.where for found in report.layers]


def message(source, **options):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(source, numbers=False, **options)
    return str(caught.value)


def test_a_directory(models):
    report = ls.check(models, numbers=False)
    assert heads(report) == ["a.npz : enc", "sub/b.npz"]
    assert report.ok
    assert report.verdict == "conforms: 2 LSTM layers"


def test_a_pattern(models):
    assert heads(ls.check(f"{models}/*.npz", numbers=False)) == [f"{models}/a.npz : enc"]
    assert heads(ls.check(f"{models}/**/*.npz", numbers=False)) == [f"{models}/a.npz : enc", f"{models}/sub/b.npz"]


def test_a_file_whose_name_is_a_pattern(tmp_path):
    np.savez(tmp_path / "a[1].npz", **torch_names())
    assert list_models(str(tmp_path / "a[1].npz")) is None
    assert ls.check(tmp_path / "a[1].npz", numbers=False).ok


def test_a_broken_file_among_others_is_a_finding(models):
    (models / "bad.npz").write_bytes(b"PK\5\6")
    np.savez(models / "other.npz", a=np.zeros(3))
    report = ls.check(models, numbers=False)
    assert not report.ok
    assert heads(report) == ["a.npz : enc", "sub/b.npz"]
    assert [(f.code, f.severity) for f in report.findings] == [("archive", "error"), ("no-lstm", "note")]


def test_a_directory_without_an_lstm(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    assert (
        message(tmp_path)
        == f"error[no-lstm]: there is no LSTM here\n  at       {tmp_path}\n  found    1 file without one"
    )


def test_a_directory_without_a_checkpoint(tmp_path):
    assert message(tmp_path).startswith(
        f"error[no-files]: there is no checkpoint file here\n  at       {tmp_path}\n  expected files named *."
    )
    assert KNOWN in message(tmp_path)


def test_links_to_directories_are_not_followed(models):
    os.symlink(models, models / "sub/round")
    assert heads(ls.check(models, numbers=False)) == ["a.npz : enc", "sub/b.npz"]


def test_one_layer_out_of_several_files(models):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.read(models)
    assert str(caught.value) == (
        f"error[several]: there are 2 files\n  at       {models}\n  expected one file\n"
        f"  found    {models}/a.npz, {models}/sub/b.npz"
    )
    layer, _ = ls.read(models / "sub")
    assert dict(layer.given) == {"n": 5, "k": 4}


# ---- shards ----


def test_shards_are_one_model(tmp_path):
    parts = list(torch_names().items())
    save_file(dict(parts[:2]), tmp_path / "model-00001-of-00002.safetensors")
    save_file(dict(parts[2:]), tmp_path / "model-00002-of-00002.safetensors")
    report = ls.check(tmp_path, numbers=False)
    assert heads(report) == ["model-00001-of-00002.safetensors"]
    assert report.ok
    assert len(report.layers[0].tensors) == 4
    layer, weights = ls.read(tmp_path)
    np.testing.assert_array_equal(weights["l0.W_i"], torch_names()["weight_ih_l0"][:4])
    assert layer.parameter_count == 144


def test_a_shard_that_is_missing(tmp_path):
    save_file(torch_names(), tmp_path / "model-00001-of-00003.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert str(finding) == (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {tmp_path}/model-00001-of-00003.safetensors\n"
        "  expected 3 files\n"
        "  found    without 2, 3"
    )


def test_shards_of_several_counts(tmp_path):
    for name in ("model-00001-of-00002", "model-00002-of-00003"):
        save_file({name: np.zeros(2, "float32")}, tmp_path / f"{name}.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert str(finding) == (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {tmp_path}/model-00001-of-00002.safetensors\n"
        "  expected 2 files\n"
        "  found    of several counts"
    )


def test_too_many_files_are_refused(models, monkeypatch):
    monkeypatch.setattr("lstm_spec.checkpoints.listing.MOST_FILES", 1)
    assert message(models) == (
        f"error[too-many]: there are too many files here\n  at       {models}\n  expected at most 1\n  found    2"
    )


def test_a_tensor_in_two_shards(tmp_path):
    for number in (1, 2):
        save_file(torch_names(), tmp_path / f"model-0000{number}-of-00002.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert str(finding) == (
        f"error[names]: two shards hold bias_hh_l0\n  at       {tmp_path}/model-00002-of-00002.safetensors"
    )


# ---- addresses ----


@pytest.fixture
def address():
    """A directory of fsspec's own in-memory file system, with one model."""
    system, name = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    data = io.BytesIO()
    np.savez(data, **torch_names("enc."))
    system.pipe(f"{name}/a.npz", data.getvalue())
    yield f"memory://{name}"
    system.rm(name, recursive=True)


def test_an_address(address):
    assert heads(ls.check(f"{address}/a.npz", numbers=False)) == ["enc"]
    assert heads(ls.check(address, numbers=False)) == [f"{address}/a.npz : enc"]
    assert heads(ls.check(f"{address}/*.npz", numbers=False)) == [f"{address}/a.npz : enc"]
    _, weights = ls.read(f"{address}/a.npz")
    np.testing.assert_array_equal(weights["l0.W_i"], torch_names()["weight_ih_l0"][:4])


def test_an_address_whose_file_changes_is_noticed(address):
    tensors = read_tensors(f"{address}/a.npz")
    fsspec.filesystem("memory").pipe(f"{address}/a.npz", b"another")
    with pytest.raises(ls.LstmSpecError, match="the file has changed since its shapes were read"):
        tensors["enc.weight_ih_l0"].load()


def test_a_local_address_is_a_path(models):
    assert heads(ls.check(f"file://{models}/a.npz", numbers=False)) == ["enc"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://none/x.npz", "error[missing]: there is no such file\n  at       memory://none/x.npz"),
        (
            "zip://a::memory://b",
            "error[url]: this is a chain of addresses\n  at       zip://a::memory://b\n"
            "  expected one address\n  found    '::'",
        ),
        (
            "nothing://x",
            "error[url]: fsspec knows no such address\n  at       nothing://x\n  because  Protocol not known: nothing",
        ),
    ],
)
def test_addresses_that_are_none(url, expected):
    assert message(url) == expected


def test_a_local_address_of_a_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "p.npz")
    assert message(f"file://{tmp_path}/p.npz") == (
        f"error[not-a-file]: this is not a regular file\n  at       file://{tmp_path}/p.npz\n"
        "  expected a regular file\n  found    a pipe, a socket or a device"
    )


def test_only_what_is_needed_is_fetched(monkeypatch):
    """The header of a large safetensors file, over a file system that counts."""
    from fsspec.implementations.memory import MemoryFile

    header = b'{"enc.weight_ih_l0":{"dtype":"F32","shape":[4000000,16],"data_offsets":[0,256000000]}}'
    system, fetched = fsspec.filesystem("memory"), []
    system.pipe("/large/a.safetensors", len(header).to_bytes(8, "little") + header + bytes(256_000_000))
    read = MemoryFile.read
    monkeypatch.setattr(MemoryFile, "read", lambda self, *a: fetched.append(len(d := read(self, *a))) or d)
    assert read_tensors("memory://large/a.safetensors")["enc.weight_ih_l0"].shape == (4000000, 16)
    assert sum(fetched) < 1_000_000
    system.rm("/large", recursive=True)
