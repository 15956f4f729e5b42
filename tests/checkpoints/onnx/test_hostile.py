"""ONNX models that lie are refused: each with its whole message; flipped and missing bytes never more than that."""

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.onnx.models import (
    GOOD,
    R,
    W,
    branching,
    constants,
    field,
    graph,
    lstm,
    model,
    nested,
    weight,
    without,
)


@pytest.fixture
def read(write):
    return lambda data: read_tensors(write("m.onnx", data))


@pytest.fixture
def code(write, refusal):
    return lambda data: refusal(write("m.onnx", data)).code


def test_nested_graphs(read, code):
    assert read(nested(30)).operators == ()
    assert code(nested(40)) == "nesting"
    assert code(nested(5000)) == "nesting"


def twisted(**attribute):
    node = lstm()
    node.attribute.append(onnx.AttributeProto(**attribute))
    return model(node, initializers=constants(W=W, R=R))


HOSTILE = {
    "empty message": (b"\x08", "protobuf"),
    "garbage": (b"\xff" * 100, "protobuf"),
    "zeros": (bytes(100), "protobuf"),
    "length of 2 GiB": (b"\x08\x08\x3a\xff\xff\xff\xff\x07", "protobuf"),
    "no graph": (without("graph"), "protobuf"),
    "no opset": (without("opset_import"), "protobuf"),
    "no IR version": (without("ir_version"), "protobuf"),
    "name not UTF-8": (GOOD.replace(b"LSTM", b"LST\xff"), "protobuf"),
    "name not UTF-8 inside": (model(branching(graph(lstm()))).replace(b"LSTM", b"LST\xff"), "protobuf"),
    "initializer not UTF-8": (GOOD.replace(b"\x01WJ", b"\x01\xffJ"), "protobuf"),
    "negative size": (weight([-1, 2], raw_data=b""), "shape"),
    "two negative sizes": (weight([-1, -2], raw_data=bytes(8)), "shape"),
    "2**80 values": (weight([2**40, 2**40], raw_data=b""), "shape"),
    "nothing of 2**62": (weight([0, 2**62], raw_data=b""), "shape"),
    "rank 33": (weight([1] * 33, raw_data=bytes(4)), "shape"),
    "short raw data": (weight([2, 2], raw_data=bytes(15)), "shape"),
    "long raw data": (weight([2, 2], raw_data=bytes(17)), "shape"),
    "no data": (weight([2, 2]), "shape"),
    "few entries": (weight([2], float_data=[1.0]), "shape"),
    "many entries": (weight([], float_data=[1.0, 2.0]), "shape"),
    "entries of another type": (weight([1], int32_data=[1]), "shape"),
    "text as raw data": (weight([1], 8, raw_data=b"abc"), "shape"),
    "4-bit raw data": (weight([3], 22, raw_data=bytes(3)), "shape"),
    "a segment": (weight([1], raw_data=bytes(4), segment=TensorProto.Segment(begin=0, end=1)), "shape"),
    "no type": (weight([1], 0, raw_data=bytes(4)), "dtype"),
    "unknown type": (weight([1], 99, raw_data=bytes(4)), "dtype"),
    "no name": (model(initializers=[numpy_helper.from_array(W)]), "protobuf"),
    "duplicate initializers": (model(initializers=[*constants(W=W), *constants(W=W)]), "duplicate"),
    "defined by a node too": (
        model(helper.make_node("Add", ["x", "x"], ["W"]), initializers=constants(W=W)),
        "duplicate",
    ),
    "duplicate outputs": (model(lstm(), lstm(), initializers=constants(W=W, R=R)), "duplicate"),
    "undefined input": (model(lstm(), initializers=constants(W=W)), "undefined"),
    "nine inputs": (model(lstm("x", "x", "x", *["x"] * 6)), "operator"),
    "seven inputs to a GRU": (model(lstm(*["x"] * 7, kind="GRU")), "operator"),
    "attribute without type": (twisted(name="hidden_size", i=2), "operator"),
    "attribute a tensor": (twisted(name="hidden_size", type=4), "operator"),
    "attribute a reference": (twisted(name="hidden_size", type=2, i=2, ref_attr_name="k"), "operator"),
}


WRITTEN = (Path(__file__).parent / "refusals.txt").read_text(encoding="utf-8")
REFUSALS = dict(part.strip("\n").split("\n", 1) for part in WRITTEN.split("== ")[1:])


@pytest.mark.parametrize("case", HOSTILE)
def test_what_lies_is_refused(write, refusal, case):
    """Each message in full, as `refusals.txt` has it."""
    data, code = HOSTILE[case]
    path = write("m.onnx", data)
    finding = refusal(path)
    assert finding.code == code
    assert str(finding).replace(str(path), "PATH") == REFUSALS[case]


def test_every_refusal_has_a_case():
    assert list(REFUSALS) == list(HOSTILE)


def test_an_attribute_twice(code):
    node = lstm(hidden_size=2)
    node.attribute.append(node.attribute[0])
    assert code(model(node, initializers=constants(W=W, R=R))) == "operator"


@pytest.mark.parametrize("size", [0, -4, 2**62])
def test_a_bogus_size_is_handed_on_as_it_is(read, size):
    (found,) = read(model(lstm(hidden_size=size, direction="sideways"), initializers=constants(W=W, R=R))).operators
    assert found.attributes == {"hidden_size": size, "direction": "sideways"}


def test_limits(code):
    empty = TensorProto(dims=[0], data_type=1).SerializeToString()
    tensors = b"".join(field(5, empty + field(8, b"%d" % i)) for i in range(100_001))
    assert code(b"\x08\x08" + field(7, tensors) + field(8, b"\x10\x0f")) == "too-large"
    node = field(1, helper.make_node("LSTM", [], []).SerializeToString())
    assert code(b"\x08\x08" + field(7, node * 10_001) + field(8, b"\x10\x0f")) == "too-large"


def test_whole_messages(write):
    def message(data):
        with pytest.raises(FileError) as caught:
            read_tensors(write("m.onnx", data))
        return str(caught.value).replace(caught.value.finding.at.split(" : ")[0], "PATH")

    assert message(HOSTILE["short raw data"][0]) == (
        "error[shape]: w does not have the data of its shape\n"
        "  at       PATH\n"
        "  expected 16 bytes for float32 [2, 2]\n"
        "  found    15 bytes"
    )
    assert message(HOSTILE["no opset"][0]) == (
        "error[protobuf]: the file is not an ONNX model\n  at       PATH\n  because  it has no opset_import"
    )
    inner = graph(lstm(*["x"] * 9), name="inner")
    assert message(model(branching(inner))) == (
        "error[operator]: the LSTM has too many inputs\n"
        "  at       PATH : If_0.then_branch/LSTM:y\n"
        "  expected at most 8: X, W, R, B, sequence_lens, initial_h, initial_c, P\n"
        "  found    9"
    )


def test_more_memory_than_there_is(write, monkeypatch):
    path = write("m.onnx", GOOD)
    tensors = read_tensors(path)

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(numpy_helper, "to_array", exhausted)
    with pytest.raises(FileError, match="the file needs more memory than there is"):
        tensors["W"].load()


def test_every_prefix_is_refused_or_read(tmp_path, survives):
    assert survives(tmp_path / "m.onnx", GOOD) is not None
    whole = [size for size in range(len(GOOD)) if survives(tmp_path / "m.onnx", GOOD[:size])]
    assert whole == []


@pytest.mark.parametrize("seed", [0, 1])
def test_a_flipped_byte_is_refused_or_read(tmp_path, survives, seed):
    rng = random.Random(seed)
    inner = graph(lstm(hidden_size=2, activations=["Tanh"]), helper.make_node("Constant", [], ["k"], value_ints=[1, 2]))
    original = [GOOD, model(branching(inner), initializers=constants(W=W[:, :, :1], R=R[:, :, :1]))][seed]
    for _ in range(1000):
        data = bytearray(original)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        if (read := survives(tmp_path / "m.onnx", bytes(data))) is not None:
            theirs = {proto.name: proto for proto in ModelProto.FromString(bytes(data)).graph.initializer}
            for name in theirs.keys() & read[1].keys():
                np.testing.assert_array_equal(read[1][name], numpy_helper.to_array(theirs[name]))


def test_the_real_model_with_flipped_bytes(tmp_path, models, survives):
    original = (models / "ort_CNTK_LSTM_tanh_bidirectional.onnx").read_bytes()
    rng = random.Random(0)
    for _ in range(1000):
        data = bytearray(original)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        survives(tmp_path / "m.onnx", bytes(data))
    for size in range(0, len(original), 3):
        survives(tmp_path / "m.onnx", original[:size])
