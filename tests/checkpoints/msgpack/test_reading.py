"""Flax's MessagePack: what Flax writes is read bit for bit, what it does not write is refused, and nothing is built."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError


def text(value):
    data = value.encode()
    return (bytes([0xA0 | len(data)]) if len(data) < 32 else b"\xd9" + bytes([len(data)])) + data


def sized(kind, data):
    """A bin or an extension of whatever length."""
    marker = {"bin": 0xC6, "ext": 0xC9}[kind]
    return bytes([marker]) + struct.pack(">I", len(data)) + (b"\x01" if kind == "ext" else b"") + data


def array(shape=(2,), dtype="float32", data=None):
    data = bytes(int(np.prod(shape)) * 4) if data is None else data
    sizes = bytes([0x90 | len(shape)]) + b"".join(b"\xcf" + struct.pack(">Q", s) for s in shape)
    return sized("ext", b"\x93" + sizes + text(dtype) + sized("bin", data))


def table(**parts):
    return bytes([0x80 | len(parts)]) + b"".join(text(name) + part for name, part in parts.items())


def test_what_flax_writes(write, monkeypatch):
    flax = pytest.importorskip("flax.serialization", reason="flax is not installed")
    rng = np.random.default_rng(0)
    tree = {
        "params": {"lstm": {"hi": {"kernel": rng.standard_normal((4, 3)).astype("float32")}, "k": np.ones((2, 3, 4))}},
        "step": np.int64(7),
        "list": [np.zeros(3, "float16"), None, 2.5, -3, "x", 10**12, True, 1 + 2j],
        "empty": {},
        "scalar": np.float32(2.5),
        "nothing": np.zeros((0, 5), "float32"),
    }
    data = flax.msgpack_serialize(flax.to_state_dict(tree))
    tensors = read_tensors(write("m.msgpack", data))
    assert {name: (t.shape, t.dtype) for name, t in tensors.items()} == {
        "list/0": ((3,), "float16"),
        "nothing": ((0, 5), "float32"),
        "params/lstm/hi/kernel": ((4, 3), "float32"),
        "params/lstm/k": ((2, 3, 4), "float64"),
        "scalar": ((), "float32"),
        "step": ((), "int64"),
    }
    assert np.array_equal(tensors["params/lstm/hi/kernel"].load(), tree["params"]["lstm"]["hi"]["kernel"])
    assert np.array_equal(tensors["params/lstm/k"].load(), np.ones((2, 3, 4)))
    assert tensors["scalar"].load() == np.float32(2.5)
    assert tensors["step"].load is None
    monkeypatch.setattr(flax, "MAX_CHUNK_SIZE", 40)
    big = rng.standard_normal((7, 5)).astype("float32")
    again = read_tensors(write("m.msgpack", flax.msgpack_serialize({"a": {"w": big}, "v": np.zeros(2)})))
    assert (list(again), again["a/w"].shape) == (["a/w", "v"], (7, 5))
    assert np.array_equal(again["a/w"].load(), big)


def test_bfloat16_is_read_as_float32(write, monkeypatch):
    """Whole and in pieces, as Flax writes it."""
    jax = pytest.importorskip("jax.numpy", reason="jax is not installed")
    flax = pytest.importorskip("flax.serialization", reason="flax is not installed")
    stored = jax.asarray([[1, -2, float("inf")], [2.0**-133, 1 / 3, -0.0]], "bfloat16")
    for most in (2**30, 8):
        monkeypatch.setattr(flax, "MAX_CHUNK_SIZE", most)
        tensor = read_tensors(write("m.msgpack", flax.to_bytes({"w": stored})))["w"]
        assert (tensor.shape, tensor.dtype) == ((2, 3), "bfloat16")
        assert tensor.load().dtype == np.float32
        assert tensor.load().tobytes() == np.asarray(stored).astype(np.float32).tobytes()


HOSTILE = {
    "a shape of 4 EiB": (table(w=array((2**30, 2**30), data=b"")), "shape", "the shape of w is not one"),
    "a shape of 2**70": (table(w=array((2**63, 2**7), data=b"")), "shape", "the shape of w is not one"),
    "no values": (table(w=array((1000,), data=b"")), "shape", "w does not have the data of its shape"),
    "a length of 4 GB": (b"\x81\xa1w\xc9\xff\xff\xff\xff\x01\x93", "msgpack", "this is not what Flax writes"),
    "a table of 2**32": (b"\xdf\xff\xff\xff\xff\xa1w\xc0", "msgpack", "this is not what Flax writes"),
    "an array of 2**32": (b"\x81\xa1w\xdd\xff\xff\xff\xff\xc0", "msgpack", "this is not what Flax writes"),
    "2**32 bytes skipped": (b"\x81\xa1w\xc6\xff\xff\xff\xff", "msgpack", "this is not what Flax writes"),
    "a nest": (b"\x81\xa1w" * 5000 + b"\xc0", "nesting", "the file is nested too deeply"),
    "a nest of lists": (b"\x81\xa1w" + b"\x91" * 5000 + b"\xc0", "nesting", "the file is nested too deeply"),
    "a name twice": (b"\x82\xa1w\xc0\xa1w\xc0", "duplicate", "the table of the file names w twice"),
    "two ways to a name": (table(**{"a/b": array(), "a": table(b=array())}), "duplicate", "the file names a/b twice"),
    "a long name": (b"\x81\xda\xff\xff" + b"w" * 0xFFFF + b"\xc0", "msgpack", "this is not what Flax writes"),
    "a name of bytes": (b"\x81\xa1\xff\xc0", "msgpack", "this is not what Flax writes"),
    "a reserved marker": (b"\x81\xa1w\xc1", "msgpack", "this is not what Flax writes"),
    "a size below 0": (
        table(w=sized("ext", b"\x93\x91\xff\xa7float32\xc4\x00")),
        "msgpack",
        "this is not what Flax writes",
    ),
    "an unknown type": (table(w=array(dtype="object")), "dtype", "w has no type that Flax stores"),
    "a type with ESC": (table(w=array(dtype="\x1b[31m")), "dtype", "w has no type that Flax stores"),
    "bytes after the end": (table(w=array()) + b"\xc0", "msgpack", "this is not what Flax writes"),
    "a list": (b"\x91\xc0", "msgpack", "this is not what Flax writes"),
    "an inner length too long": (
        table(w=sized("ext", b"\x93\x91\x02" + text("float32") + b"\xc4\x08" + bytes(7)), v=array()),
        "msgpack",
        "this is not what Flax writes",
    ),
    "pieces that do not fit": (
        table(
            w=b"\x83" + text("__msgpack_chunked_array__") + b"\xc3" + text("shape") + b"\x81\xa10\x09"
            + text("chunks") + b"\x81\xa10" + array()
        ),
        "shape",
        "the pieces of w do not make its shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_lies_is_refused(write, refusal, case):
    data, code, message = HOSTILE[case]
    found = refusal(write("m.msgpack", data))
    assert (found.code, found.message) == (code, message)


def test_a_refusal_in_full(write):
    path = write("m.msgpack", HOSTILE["no values"][0])
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[shape]: w does not have the data of its shape\n"
        f"  at       {path}\n"
        "  expected 4000 bytes for float32 [1000]\n"
        "  found    0 bytes"
    )


WHOLE = table(params=table(kernel=array((2, 3)), bias=array((3,))), n=b"\x07", s=text("x" * 40))


def test_every_prefix_is_refused(tmp_path, survives):
    assert survives(tmp_path / "m.msgpack", WHOLE) is not None
    assert not any(survives(tmp_path / "m.msgpack", WHOLE[:size]) for size in range(len(WHOLE)))


def test_a_flipped_byte_is_refused_or_read(tmp_path, survives):
    rng = random.Random(0)
    for _ in range(2000):
        data = bytearray(WHOLE)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        survives(tmp_path / "m.msgpack", bytes(data))
