"""The TFLite reader: constants, slots, what is not read; files that point outside themselves are refused."""

import random
import struct

import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.tflite.models import UNIDIRECTIONAL, Model, Scalar, Table, Vector, flatbuffer, one_lstm, options

ARRAYS = {slot: np.full((2, 3), slot, "f4") for slot in range(1, 5)}
ARRAYS |= {slot: np.full((2, 2), slot, "f4") for slot in range(5, 9)} | {
    slot: np.full(2, slot, "f4") for slot in range(12, 16)
}


def one():
    return one_lstm(UNIDIRECTIONAL, ARRAYS, [18, 19], options(UNIDIRECTIONAL, cell=0.5, time_major=1))


def test_slots_options_and_values(write):
    tensors = read_tensors(write("m.tflite", one().data()))
    (operator,) = tensors.operators
    assert (operator.kind, operator.where, operator.absent) == ("UNIDIRECTIONAL_SEQUENCE_LSTM", "y", ())
    assert operator.attributes == {
        "activation": "tanh",
        "cell_clip": 0.5,
        "proj_clip": 0.0,
        "time_major": True,
        "diagonal": False,
    }
    assert dict(list(operator.tensors.items())[:5]) == {"W_i": "t1", "W_f": "t2", "W_g": "t3", "W_o": "t4", "U_i": "t5"}
    for slot, array in ARRAYS.items():
        np.testing.assert_array_equal(tensors[f"t{slot}"].load(), array)
    assert "x" not in tensors


def findings(path):
    return [str(finding).replace(str(path), "PATH") for finding in read_tensors(path).findings]


def test_what_is_not_read_is_a_finding(write):
    model = Model()
    x, y, z = (model.value(name) for name in ("x", "y", "z\x1b[31m"))
    model.operator(24, [x], [y])
    model.operator(32, [x], [z], custom="FlexCudnnRNNV3")
    assert findings(write("m.tflite", model.data())) == [
        "error[unread]: RNN is not read\n  at       PATH : y\n  because  LSTMs are",
        "error[unread]: the custom operator FlexCudnnRNNV3 is not read\n"
        "  at       PATH : z\\x1b[31m\n"
        "  because  what it computes is not in the file",
    ]


def test_gates_written_out_are_a_finding(write):
    model = Model()
    a, b, c, f, i, g, fc, ig, out = (model.value(name) for name in "a b c f i g fc ig c1".split())
    for code, inputs, output in (
        (14, [a], f),
        (14, [b], i),
        (28, [b], g),
        (18, [f, c], fc),
        (18, [i, g], ig),
        (0, [fc, ig], out),
    ):
        model.operator(code, inputs, [output])
    assert findings(write("m.tflite", model.data())) == [
        "error[unread]: this looks like a recurrent cell written out in simple operators, and it is not read\n"
        "  at       PATH : c1\n"
        "  because  it adds two gated values, one of them a tanh, as an LSTM's c does"
    ]


def changed(change):
    model = one()
    root = model.root()
    change(model, root)
    return flatbuffer(root)


def short_buffer(model, root):
    model.buffers[1].fields[0] = bytes(23)


def setting(place, number, value):
    def change(model, root):
        getattr(model, place)[-1].fields[number] = value

    return change


NO_TENSOR = (
    "error[flatbuffer]: an operator names a tensor that the file does not have\n  at       PATH\n  expected 16 tensors"
)
HOSTILE = {
    "no magic": (
        one().data().replace(b"TFL3", b"TFL2"),
        "error[mismatch]: the file is no TFLite model\n  at       PATH\n  expected TFL3 at byte 4",
    ),
    "eight bytes": (
        b"\x08\0\0\0TFL3",
        "error[truncated]: the file points outside itself, or ends too early\n  at       PATH\n  found    byte 8",
    ),
    "root far away": (
        b"\xff\xff\xff\x7fTFL3" + bytes(64),
        "error[truncated]: the file points outside itself, or ends too early\n"
        "  at       PATH\n  found    byte 2147483647",
    ),
    "vtable before the file": (
        struct.pack("<I4si", 8, b"TFL3", 100) + bytes(64),
        "error[flatbuffer]: a table of the file has no description\n  at       PATH\n  found    a vtable at byte -92",
    ),
    "vtable of zeros": (
        struct.pack("<I4si", 8, b"TFL3", -8) + bytes(64),
        "error[flatbuffer]: a table of the file has no description\n  at       PATH\n  found    a vtable at byte 16",
    ),
    "another version": (
        flatbuffer(Table({0: Scalar("I", 4)})),
        "error[unsupported]: this version of TFLite is not read\n  at       PATH\n  expected 3\n  found    4",
    ),
    "no graph": (
        flatbuffer(Table({0: Scalar("I", 3)})),
        "error[flatbuffer]: the model has no graph\n  at       PATH",
    ),
    "short data": (
        changed(short_buffer),
        "error[shape]: t1 does not have the data of its shape\n"
        "  at       PATH\n  expected 24 bytes for float32 [2, 3]\n  found    23 bytes",
    ),
    "negative size": (
        changed(lambda model, root: model.tensors[1].fields.update({0: Vector("i", (-2, 3))})),
        "error[shape]: the shape of t1 is not one\n"
        "  at       PATH\n  expected sizes from 0 to 2**63 - 1\n  found    [-2, 3]",
    ),
    "2**93 values": (
        changed(lambda model, root: model.tensors[1].fields.update({0: Vector("i", (2**31 - 1,) * 3)})),
        "error[shape]: the shape of t1 is not one\n"
        "  at       PATH\n  expected a shape that an array can have\n  found    [2147483647, 2147483647, 2147483647]",
    ),
    "unknown type": (
        changed(lambda model, root: model.tensors[1].fields.update({1: Scalar("b", 99)})),
        "error[dtype]: t1 has no type that TFLite defines\n  at       PATH\n  found    type 99",
    ),
    "buffer that is not there": (
        changed(lambda model, root: model.tensors[1].fields.update({2: Scalar("I", 999)})),
        "error[flatbuffer]: t1 has a buffer that the file does not have\n  at       PATH\n  found    999",
    ),
    "buffer behind the file": (
        changed(lambda model, root: model.buffers[1].fields.update({1: Scalar("Q", 2**40), 2: Scalar("Q", 24)})),
        "error[truncated]: t1 lies beyond the end of the file\n"
        "  at       PATH\n  expected bytes 1099511627776 to 1099511627800\n  found    a file of SIZE bytes",
    ),
    "operator code": (
        changed(setting("operators", 0, Scalar("I", 9))),
        "error[flatbuffer]: an operator has a code that the file does not list\n  at       PATH\n  found    9",
    ),
    "tensor number": (
        changed(setting("operators", 1, Vector("i", (0, 99)))),
        NO_TENSOR,
    ),
    "negative tensor number": (
        changed(setting("operators", 1, Vector("i", (0, -2)))),
        NO_TENSOR,
    ),
    "too many inputs": (
        changed(setting("operators", 1, Vector("i", (0,) * 25))),
        "error[operator]: UNIDIRECTIONAL_SEQUENCE_LSTM has too many inputs\n"
        "  at       PATH : y\n"
        "  expected at most 24: x, W_i, W_f, W_g, W_o, U_i, U_f, U_g, U_o, p_i, p_f, p_o, b_i, b_f, b_g, b_o, W_proj, "
        "b_proj, h, c, s_i, s_f, s_g, s_o",
    ),
    "long name": (
        changed(lambda model, root: model.tensors[1].fields.update({3: "a" * 5000})),
        "error[too-large]: a name in the file is too long\n  at       PATH\n  expected at most 4096 bytes",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_lies_is_refused(write, case):
    data, message = HOSTILE[case]
    path = write("m.tflite", data)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value).replace(str(path), "PATH").replace(f"of {len(data)} bytes", "of SIZE bytes") == message


def test_a_vector_longer_than_the_file(write):
    data = bytearray(one().data())
    at = data.index(struct.pack("<Iii", 2, 2, 3))
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    with pytest.raises(FileError, match="the file points outside itself, or ends too early"):
        read_tensors(write("m.tflite", bytes(data)))


def test_by_content_and_by_suffix(write, refusal):
    data = one().data()
    assert read_tensors(write("model.bin", data)).format == "tflite"
    assert refusal(write("m.onnx", data)).message == "the file is named .onnx but looks like a TFLite model"


def test_every_prefix_and_flipped_bytes(tmp_path, survives):
    data = one().data()
    assert survives(tmp_path / "m.tflite", data) is not None
    for size in range(0, len(data), 11):
        survives(tmp_path / "m.tflite", data[:size])
    rng = random.Random(0)
    for _ in range(400):
        flipped = bytearray(data)
        flipped[rng.randrange(len(flipped))] ^= rng.randrange(1, 256)
        survives(tmp_path / "m.tflite", bytes(flipped))
