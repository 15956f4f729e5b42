"""Directories, patterns, shards and addresses: a checkpoint wherever it lies."""

from __future__ import annotations

import io
import os
import uuid

import fsspec
import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.listing import list_models
from lstm_spec.checkpoints.opening import _readable
from tests.checkpoints import every_format
from tests.checkpoints.torch.pickled import saved
from tests.conformance.sets import torch_names

KNOWN = (
    "*.bin, *.ckpt, *.h5, *.hdf5, *.keras, *.model, *.msgpack, *.npy, *.npz, *.onnx, *.params, *.pkl, *.pt, *.pth, "
    "*.safetensors, *.tar, *.tflite"
)


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
    (tmp_path / "README.md").write_text("no model")
    expected = f"\n  expected files named {KNOWN}"
    for place in (tmp_path, f"{tmp_path}/*"):
        head = "error[no-files]: there is no checkpoint file here"
        assert message(place) == f"{head}\n  at       {place}{expected}"


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


def test_too_many_files_are_refused(models, monkeypatch):
    for module in ("listing", "shards"):
        monkeypatch.setattr(f"lstm_spec.checkpoints.{module}.MOST_FILES", 1)
    assert message(models) == (
        f"error[too-many]: there are too many files here\n  at       {models}\n  expected at most 1\n  found    2"
    )


# ---- suffixes that say nothing ----


@pytest.mark.parametrize("suffix", ["ckpt", "bin", "pth.tar", "model", "params", "dat", "", "PT"])
def test_content_decides_in_a_directory_too(tmp_path, suffix):
    """A wrong `last.ckpt` beside a good file was not looked at."""
    np.savez(tmp_path / "good.npz", **torch_names())
    bad = torch_names() | {"bias_hh_l0": np.zeros(15, "f4")}
    name = f"last.{suffix}".rstrip(".")
    (tmp_path / name).write_bytes(saved(bad))
    report = ls.check(tmp_path, numbers=False)
    assert (heads(report), [f.code for f in report.findings]) == (["good.npz", name], ["shape"])
    assert heads(ls.check(f"{tmp_path}/l*", numbers=False)) == [f"{tmp_path}/{name}"]


@pytest.mark.parametrize("content", every_format.GOOD)
def test_every_format_is_known_without_its_suffix(tmp_path, content):
    (tmp_path / "checkpoint_1").write_bytes(every_format.GOOD[content]())
    (tmp_path / "notes.txt").write_text("safetensors, {not} one")
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 16)
    (tmp_path / "plain.bin").write_bytes(b"\x80\x04N.")
    os.mkfifo(tmp_path / "pipe")
    if content == "onnx":  # it has no mark of its own, unless its maker's name stands first
        assert message(tmp_path).startswith("error[no-files]: ")
    else:
        assert len(ls.check(tmp_path, numbers=False).layers) == 1


def test_an_onnx_model_is_known_by_its_maker(tmp_path):
    (tmp_path / "a.model").write_bytes(b"\x08\x08\x12\x07pytorch" + every_format.GOOD["onnx"]()[2:])
    assert len(ls.check(tmp_path, numbers=False).layers) == 1


def test_a_pointer_to_a_checkpoint_is_no_other_file(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "pytorch_model.bin").write_text(pointer)
    (tmp_path / "picture.png").write_text(pointer)
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert (finding.code, finding.help) == ("unsupported", "fetch the file: git lfs pull")


def test_a_ckpt_is_never_passed_over(tmp_path):
    np.savez(tmp_path / "good.npz", **torch_names())
    (tmp_path / "last.ckpt").write_bytes(b"")
    assert [f.code for f in ls.check(tmp_path, numbers=False).findings] == ["empty"]


def test_a_file_under_two_names_is_one_and_hidden_ones_are_not_looked_into(tmp_path):
    """As a cache of Hugging Face links them, and as Git LFS keeps them."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/0123").write_bytes(saved(torch_names()))
    (tmp_path / "pytorch_model.pt").symlink_to(tmp_path / "blobs/0123")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/4567").write_bytes(saved(torch_names()))
    assert heads(ls.check(tmp_path, numbers=False)) == ["pytorch_model.pt"]


def test_a_checkpoint_of_tensorflow_is_named_once(tmp_path):
    names = ["model.ckpt-1000.index", "model.ckpt-1000.data-00000-of-00002", "model.ckpt-1000.data-00001-of-00002"]
    for name in (*names, "model.ckpt-1000.meta", "checkpoint", "lists.index"):
        (tmp_path / name).write_bytes(b"\0" * 64)

    def told(name):
        return (
            "error[unsupported]: this version does not read a TensorFlow checkpoint\n"
            f"  at       {tmp_path / name}\n"
            f"  expected {_readable()}\n"
            "  help     tf.train.load_checkpoint reads it; numpy.savez its arrays"
        )

    for name in names:
        assert message(tmp_path / name) == told(name)
    report = ls.check(tmp_path, numbers=False)
    assert [str(finding) for finding in report.findings] == [told(names[1])]


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


def test_what_is_shared_by_address(address):
    """A `.bin` is looked into, a shard stands for its model, one that is missing is named."""
    system, name = fsspec.filesystem("memory"), address.removeprefix("memory://")
    parts = list(torch_names("m.").items())
    system.pipe(f"{name}/data.bin", bytes(100))
    system.pipe(f"{name}/pytorch_model-00001-of-00002.bin", saved(dict(parts[:2])))
    shard = f"{address}/pytorch_model-00001-of-00002.bin"
    expected = f"error[missing]: there is no such file\n  at       {address}/pytorch_model-00002-of-00002.bin"
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(shard, numbers=False)
    assert str(caught.value) == expected
    system.pipe(f"{name}/pytorch_model-00002-of-00002.bin", saved(dict(parts[2:])))
    assert heads(ls.check(shard, numbers=False)) == [f"{shard} : m"]
    assert heads(ls.check(address, numbers=False)) == [f"{address}/a.npz : enc", f"{shard} : m"]


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
