"""External data: read from the model's own directory, lazily, and refused wherever it could lead elsewhere."""

import os
import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.onnx.models import R, W, constants, lstm, model


def outside(entries, name="W", dims=(1, 8, 3)):
    proto = TensorProto(name=name, data_type=1, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries:
        proto.external_data.add(key=key, value=value)
    return proto


def external(*entries):
    return model(lstm(hidden_size=2), initializers=[outside(entries), *constants(R=R)])


@pytest.fixture
def refused(write):
    """The whole message, without the path."""

    def message(*entries):
        path = write("m.onnx", external(*entries))
        with pytest.raises(FileError) as caught:
            read_tensors(path)
        return str(caught.value).replace(f"\n  at       {path}", "")

    return message


ESCAPES = {
    "absolute": "/etc/passwd",
    "parent": "../weights.bin",
    "nested parent": "a/../../weights.bin",
    "home": "~/weights.bin",
    "URL": "file:///etc/passwd",
    "empty": "",
    "NUL": "x\0y",
    "network": "\\\\host\\x",
    "here": "./weights.bin",
    "drive": "C:weights.bin",
}


@pytest.mark.parametrize("location", ESCAPES.values(), ids=ESCAPES)
def test_a_location_that_leads_elsewhere(refused, location):
    assert refused(("location", location)) == (
        "error[external]: W has external data at a place that is not read\n"
        "  expected a path inside the model's own directory\n"
        f"  found    '{location.replace(chr(0), chr(92) + 'x00')}'"
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [("__class__", "x")],
            "W has an unknown entry for its external data\n"
            "  expected location, offset, length, checksum\n  found    __class__",
        ),
        ([("offset", "0"), ("offset", "0")], "W has an entry for its external data twice\n  found    offset"),
        (
            [("offset", "-1")],
            "W has external data with an offset that is none\n  expected a whole number, 0 or more\n  found    -1",
        ),
        (
            [("length", "1e99")],
            "W has external data with an length that is none\n  expected a whole number, 0 or more\n  found    1e99",
        ),
        (
            [("length", "95")],
            "W has external data of another length\n  expected 96 bytes for its shape\n  found    95 bytes",
        ),
        (
            [("offset", "1")],
            "W lies beyond the end of its external data\n  expected bytes 1 to 97\n  found    a file of 96 bytes",
        ),
        (
            [("offset", "9" * 19)],
            "W lies beyond the end of its external data\n"
            f"  expected bytes {'9' * 19} to {int('9' * 19) + 96}\n  found    a file of 96 bytes",
        ),
    ],
    ids=["unknown key", "key twice", "negative", "no number", "short", "past the end", "far past the end"],
)
def test_entries_that_do_not_fit(refused, tmp_path, entries, message):
    (tmp_path / "w.bin").write_bytes(bytes(96))
    assert refused(("location", "w.bin"), *entries) == f"error[external]: {message.replace('an length', 'a length')}"


def links(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/real.bin").write_bytes(bytes(96))
    (tmp_path / "link.bin").symlink_to(tmp_path / "other/real.bin")
    (tmp_path / "linked").symlink_to(tmp_path / "other")
    os.link(tmp_path / "other/real.bin", tmp_path / "hard.bin")
    os.mkfifo(tmp_path / "pipe.bin")


@pytest.mark.parametrize(
    ("location", "what", "expected", "found"),
    [
        ("link.bin", "no plain file", "a regular file, no link", "a symbolic link"),
        ("linked/real.bin", "no plain file", "a regular file, no link", "a symbolic link"),
        ("other", "no plain file", "a regular file, no link", "a directory"),
        ("pipe.bin", "no plain file", "a regular file, no link", "a pipe, a socket or a device"),
        ("hard.bin/x", "no plain file", "a regular file, no link", "a file where a directory must be"),
        ("hard.bin", "a file under several names", "one name", "2 names"),
    ],
)
def test_files_that_are_not_plain(refused, tmp_path, location, what, expected, found):
    links(tmp_path)
    assert refused(("location", location)) == (
        f"error[external]: W has external data that is {what}\n  expected {expected}\n  found    {found}"
    )


def test_data_in_both_places(write):
    proto = outside([("location", "w.bin")])
    proto.raw_data = bytes(96)
    path = write("m.onnx", model(lstm(), initializers=[proto, *constants(R=R)]))
    with pytest.raises(FileError, match="W has its data in the model and in another file"):
        read_tensors(path)


def test_as_onnx_itself_writes_it(tmp_path):
    """Values are read when they are asked for, and only then."""
    message = onnx.load_from_string(model(lstm(hidden_size=2), initializers=constants(W=W, R=R)))
    onnx.save(message, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    tensors = read_tensors(tmp_path / "m.onnx")
    assert [(t.shape, t.outside) for t in tensors.values()] == [((1, 8, 3), True), ((1, 8, 2), True)]
    np.testing.assert_array_equal(tensors["W"].load(), W)
    np.testing.assert_array_equal(tensors["R"].load(), R)
    report = ls.check(tmp_path / "m.onnx")
    assert report.ok
    assert report.layers[0].agreement.difference <= 1e-6


def test_shapes_are_checked_without_a_byte_of_it(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(external(("location", "w.bin")))
    (tmp_path / "w.bin").write_bytes(bytes(96))
    opened = []
    monkeypatch.setattr(
        os, "open", lambda path, *a, _open=os.open, **k: opened.append(str(path)) or _open(path, *a, **k)
    )
    assert ls.check(tmp_path / "m.onnx", numbers=False).ok
    assert opened == [str(tmp_path / "m.onnx")]


def test_a_file_that_changed_meanwhile_is_not_read(tmp_path):
    (tmp_path / "m.onnx").write_bytes(external(("location", "w.bin")))
    (tmp_path / "w.bin").write_bytes(bytes(96))
    tensors = read_tensors(tmp_path / "m.onnx")
    (tmp_path / "w.bin").unlink()
    (tmp_path / "w.bin").symlink_to("/dev/zero")
    with pytest.raises(FileError, match="this is not a regular file"):
        tensors["W"].load()


def test_missing_data_leaves_the_shapes(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(external(("location", "gone.bin")))
    report = ls.check(path)
    assert report.ok
    assert [str(finding) for finding in report.findings] == [
        "warning[external]: the external data gone.bin is not there: shapes are read, values are not\n"
        f"  at       {path}\n"
        "  help     put it beside the model, under the name that the model gives it"
    ]
    assert report.layers[0].agreement.reason == "the values of W (float32) cannot be read"


def test_little_endian_and_an_offset(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"\xff" * 4 + struct.pack("<24f", *range(24)))
    (tmp_path / "m.onnx").write_bytes(external(("location", "w.bin"), ("offset", "4"), ("length", "96")))
    np.testing.assert_array_equal(read_tensors(tmp_path / "m.onnx")["W"].load(), W)


def test_no_external_data_inside_an_attribute(write, tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(4))
    value = outside([("location", "w.bin")], dims=[1])
    shape = numpy_helper.from_array(np.array([1, 8, 3]), "shape")
    node = helper.make_node("ConstantOfShape", ["shape"], ["W"], value=value)
    with pytest.raises(FileError, match="value has external data where none is allowed"):
        read_tensors(write("m.onnx", model(node, lstm(), initializers=[shape, *constants(R=R)])))


def test_bfloat16_outside_is_read_as_float32(tmp_path):
    """96 becomes 48 bytes; the numbers of W are small integers, which bfloat16 holds."""
    (tmp_path / "w.bin").write_bytes((W.view("<u4") >> 16).astype("<u2").tobytes())
    proto = outside([("location", "w.bin")])
    proto.data_type = TensorProto.BFLOAT16
    (tmp_path / "m.onnx").write_bytes(model(lstm(hidden_size=2), initializers=[proto, *constants(R=R)]))
    tensor = read_tensors(tmp_path / "m.onnx")["W"]
    assert (tensor.dtype, tensor.load().dtype) == ("bfloat16", np.float32)
    np.testing.assert_array_equal(tensor.load(), W)
