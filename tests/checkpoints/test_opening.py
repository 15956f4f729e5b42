"""Opening: only regular files, recognised by content, held against their suffix, opened once and alone."""

import errno
import gzip
import json
import os
import pickle
import socket
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from lstm_spec.checkpoints import opening, read_tensors
from lstm_spec.errors import FileError, MissingPackageError
from tests.checkpoints.torch.pickled import saved

ROOT = Path(__file__).parents[2]
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)
ONNX = b"\x08\x08\x12\x02me:\x03\x12\x01gB\x02\x10\x0f"


def member(name):
    return b"PK\3\4" + bytes(22) + len(name).to_bytes(2, "little") + bytes(2) + name


CONTENT = {
    "safetensors": SAFETENSORS,
    "onnx": ONNX,
    "npz": member(b"w.npy"),
    "npy": b"\x93NUMPY\x01\0",
    "torch": member(b"model/data.pkl"),
    "pickle": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    "keras": member(b"metadata.json"),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(90),
    "msgpack": b"\x81\xa6params\x80",
    "zip": member(b"readme.txt"),
    "gzip": gzip.compress(b"w"),
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "html": b"\n<!DOCTYPE html><html></html>",
}
AGREED = {
    "safetensors": [".safetensors"],
    "onnx": [".onnx"],
    "npz": [".npz"],
    "npy": [".npy"],
    "torch": [".pt", ".pth", ".pkl"],
    "pickle": [".pt", ".pth", ".pkl"],
    "keras": [".keras"],
    "hdf5": [".h5", ".hdf5"],
    "msgpack": [".msgpack"],
}
SUFFIXES = sorted({suffix for suffixes in AGREED.values() for suffix in suffixes})


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_that_the_content_denies_is_refused(write, refusal, content, suffix):
    if suffix not in AGREED.get(content, []):
        assert refusal(write(f"m{suffix}", CONTENT[content])).code == "mismatch"


@pytest.mark.parametrize("name", ["m", "m.bin", "m.SAFETENSORS", "m.tar"])
def test_the_content_decides_where_the_suffix_is_silent(write, name):
    assert read_tensors(write(name, SAFETENSORS)).format == "safetensors"


def test_every_sort_of_path(write, monkeypatch, tmp_path):
    path = write("-m.safetensors", SAFETENSORS)
    (tmp_path / "link.safetensors").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    relative = read_tensors("-m.safetensors")
    monkeypatch.chdir("/")
    assert relative.origin == "-m.safetensors"
    assert relative["w"].load().shape == (2,)
    assert list(read_tensors(str(path))) == list(read_tensors(tmp_path / "link.safetensors")) == ["w"]


def test_a_name_that_is_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\x1b.safetensors"
    Path(os.fsdecode(path)).write_bytes(SAFETENSORS)
    assert read_tensors(os.fsdecode(path)).origin.endswith("/\\udcff\\x1b.safetensors")


def message(path):
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    return str(caught.value)


def test_mismatch_in_full(write):
    path = write("m.safetensors", ONNX)
    assert message(path) == (
        "error[mismatch]: the file is named .safetensors but looks like an ONNX model\n"
        f"  at       {path}\n"
        "  expected a safetensors file\n"
        "  found    an ONNX model\n"
        "  help     if that is what it is, name it *.onnx"
    )


def test_unsupported_in_full(write):
    path = write("m.gz", CONTENT["gzip"])
    assert message(path) == (
        "error[unsupported]: this version does not read a gzip-compressed file\n"
        f"  at       {path}\n"
        f"  expected {opening._readable()}\n"
        "  help     unpack it first"
    )


def test_missing_in_full(tmp_path):
    path = tmp_path / "no\x1b[31m.onnx"
    assert message(path) == f"error[missing]: there is no such file\n  at       {tmp_path}/no\\x1b[31m.onnx"


def test_a_directory_in_full(tmp_path):
    assert message(tmp_path) == (
        "error[not-a-file]: this is not a regular file\n"
        f"  at       {tmp_path}\n"
        "  expected a regular file\n"
        "  found    a directory"
    )


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, refusal):
    os.mkfifo(tmp_path / "pipe.onnx")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.onnx"))
        assert refusal(tmp_path / "s.onnx").code == "unreadable"
    assert refusal(tmp_path / "pipe.onnx").code == "not-a-file"
    assert refusal(Path("/dev/zero")).code == "not-a-file"


def test_empty_unknown_and_impossible(write, refusal, tmp_path):
    assert refusal(write("m.onnx", b"")).code == "empty"
    assert refusal(write("m.dat", b"hello")).code == "unknown-format"
    listing = refusal(write("model.safetensors.index.json", b'{"weight_map": {}}'))
    assert (listing.code, listing.help) == ("unknown-format", "it lists the shards of a model; name their folder")
    assert refusal(tmp_path / "m.onnx" / "x").code == "unreadable"
    assert refusal(tmp_path / ("x" * 5000)).code == "unreadable"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(tmp_path / "loop").code == "unreadable"
    with pytest.raises(FileError, match="NUL"):
        read_tensors("a\0b")


def test_no_permission(write, refusal, monkeypatch):
    """The system's refusal is stood in for: root, as whom CI may run, reads a file of mode 0."""
    path = write("m.onnx", ONNX)

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert refusal(path).because == "Permission denied"


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".npz", ""])
def test_a_sparse_terabyte(tmp_path, refusal, suffix):
    path = tmp_path / f"sparse{suffix}"
    with path.open("wb") as file:
        try:
            file.truncate(2**40)
        except OSError:
            pytest.skip("no sparse files here")
    assert refusal(path).code in ("header", "too-large", "archive", "unknown-format")


def test_values_come_from_the_file_that_was_read(write):
    path = write("m.safetensors", SAFETENSORS)
    tensors = read_tensors(path)
    path.write_bytes(SAFETENSORS + b"more")
    with pytest.raises(FileError) as caught:
        tensors["w"].load()
    assert str(caught.value) == (
        f"error[changed]: the file has changed since its shapes were read\n  at       {path}\n  help     read it again"
    )
    path.unlink()
    with pytest.raises(FileError, match="there is no such file"):
        tensors["w"].load()


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt", "npy", "h5"])
def test_what_was_read_travels_to_another_process(write, tmp_path, suffix):
    np.savez(tmp_path / "m.npz", w=np.zeros(2, np.float32))
    np.save(tmp_path / "m.npy", np.zeros(2, np.float32))
    with h5py.File(tmp_path / "m.h5", "w") as target:
        target["w"] = np.zeros(2, np.float32)
    write("m.safetensors", SAFETENSORS)
    write("m.pt", saved({"w": np.zeros(2, np.float32)}))
    tensors = read_tensors(tmp_path / f"m.{suffix}")
    again = pickle.loads(pickle.dumps(tensors))
    assert again == tensors
    (tensor,) = again.values()
    np.testing.assert_array_equal(tensor.load(), np.zeros(2))


def test_without_onnx(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError) as caught:
        read_tensors(write("m.onnx", ONNX))
    assert str(caught.value) == (
        "error[missing-package]: reading an ONNX file needs the package onnx, which is not installed\n"
        '  help     pip install "lstm-spec[onnx]"'
    )


def run(script, *arguments):
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_file_library_is_imported_before_it_is_needed(write):
    script = """
import sys
from lstm_spec.checkpoints import read_tensors
read_tensors(sys.argv[1])
print(*sorted({"onnx", "safetensors", "h5py", "torch", "google.protobuf", "sympy"} & set(sys.modules)))
"""
    assert run(script, write("m.safetensors", SAFETENSORS)).split() == []


CODE = json.dumps(
    {
        "module": "os",
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAA"}}, "name": "system"},
        "registered_name": "subprocess.Popen",
    }
)
AUDITED = """
import codecs, sys
import h5py, numpy, onnx, onnx.numpy_helper
from lstm_spec.checkpoints import read_tensors
codecs.lookup("cp437")
opened, other = [], []
def hook(event, arguments):
    if event == "open":
        opened.append(arguments[0])
    elif event.split(".")[0] in FORBIDDEN:
        other.append(event)
FORBIDDEN = {"exec", "compile", "import", "subprocess", "socket", "os", "shutil", "pickle", "marshal", "ctypes"}
sys.addaudithook(hook)
for tensor in read_tensors(sys.argv[1]).values():
    if tensor.load is not None and not tensor.outside:
        tensor.load()
hooked, seen = list(other), {name for name in opened if not isinstance(name, int)}
print(hooked, seen == {sys.argv[1]})
"""


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "onnx", "pt", "npy", "h5", "keras", "msgpack"])
def test_only_the_given_path_is_opened_and_nothing_is_executed(tmp_path, write, suffix):
    from onnx import TensorProto, helper

    np.savez_compressed(tmp_path / "m.npz", w=np.zeros((2, 3)), v=np.zeros((2, 3), order="F"))
    np.save(tmp_path / "m.npy", np.zeros((2, 3)))
    with h5py.File(tmp_path / "m.h5", "w") as target:
        target.attrs["model_config"] = CODE
        target.create_dataset("lstm/kernel:0", data=np.zeros((2, 3)), chunks=(1, 3), compression="gzip")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as target:
        target.writestr("metadata.json", "{}")
        target.writestr("config.json", CODE)
        target.write(tmp_path / "m.h5", "model.weights.h5")
    write("m.msgpack", b"\x81\xa1w\xc7\x15\x01\x93\x91\x02\xa7float32\xc4\x08" + bytes(8))
    write("m.safetensors", SAFETENSORS)
    write("m.pt", saved({"w": np.zeros((2, 3), np.float32)}))
    outside = TensorProto(name="W", data_type=1, dims=[1, 8, 3], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(96))
    inside = helper.make_tensor("R", 1, [1, 8, 2], [0.0] * 16)
    node = helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=2)
    x = helper.make_tensor_value_info("x", 1, [None, None, 3])
    model = helper.make_model(helper.make_graph([node], "g", [x], [], [outside, inside]))
    write("m.onnx", model.SerializeToString())
    assert run(AUDITED, tmp_path / f"m.{suffix}").split() == ["[]", "True"]


def test_a_real_archive_of_each_kind_is_recognised(tmp_path, refusal):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(2)}, tmp_path / "a.pt")
    torch.save({"w": torch.zeros(2)}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript itself is
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "c.pt")
    with zipfile.ZipFile(tmp_path / "d.keras", "w") as target:
        target.writestr("metadata.json", "{}")
        target.writestr("model.weights.h5", b"")
    for name in ("a.pt", "b.pt", "c.pt", "d.keras"):
        (tmp_path / name).rename(tmp_path / "renamed.safetensors")
        assert refusal(tmp_path / "renamed.safetensors").code == "mismatch"
