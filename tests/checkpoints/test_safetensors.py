"""The safetensors reader: what the reference writes is read alike, what breaks the format is refused."""

import json
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.safetensors import DTYPES, MAX_HEADER
from lstm_spec.checkpoints.shapes import MAX_TENSORS
from lstm_spec.errors import FileError
from tests.laws import tried

NUMPY_DTYPES = [np.dtype(dtype.code) for dtype in DTYPES.values() if dtype.code and dtype.code != "|b1"]


def packed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_real_file_equals_the_reference_reader(models):
    path = models / "silero_vad_16k.safetensors"
    ours, theirs = read_tensors(path), load_file(path)
    assert ours.format == "safetensors"
    assert ours.origin == str(path)
    assert set(ours) == set(theirs)
    assert ours["lstm_cell.weight_ih"].shape == (512, 128)
    for name, array in theirs.items():
        tensor = ours[name]
        values = tensor.load()
        assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype.name)
        assert values.dtype == array.dtype
        assert values.flags.writeable
        np.testing.assert_array_equal(values, array)


@tried(100, HealthCheck.function_scoped_fixture)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != "__metadata__"),
        st.sampled_from(NUMPY_DTYPES).flatmap(
            lambda dtype: stn.arrays(dtype, stn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=4,
    ),
    # Empty metadata without tensors comes out as broken JSON: github.com/safetensors/safetensors/issues/466.
    st.none() | st.dictionaries(st.text("ab{[\\\"'é"), st.text("ab{[\\\"'é"), min_size=1),
)
def test_what_the_reference_writes_is_read_alike(write, arrays, metadata):
    tensors = read_tensors(write("a.safetensors", save(arrays, metadata)))
    assert set(tensors) == set(arrays)
    for name, array in arrays.items():
        assert (tensors[name].shape, tensors[name].dtype) == (array.shape, array.dtype.name)
        assert tensors[name].load().tobytes() == array.tobytes()


def test_a_type_that_numpy_lacks_has_a_shape_and_no_values(write):
    tensor = read_tensors(write("a.safetensors", packed({"q": entry("F4", (2, 3), (0, 3))}, bytes(3))))["q"]
    assert (tensor.shape, tensor.dtype, tensor.load) == ((2, 3), "float4_e2m1fn", None)


def test_bfloat16_is_read_as_float32(write):
    """1, -2, infinity, the smallest and a third; the bits are those of torch.bfloat16."""
    halves = np.array([0x3F80, 0xC000, 0x7F80, 0x0001, 0x3EAB], "<u2")
    tensor = read_tensors(write("a.safetensors", packed({"w": entry("BF16", (5,), (0, 10))}, halves.tobytes())))["w"]
    values = tensor.load()
    assert (tensor.dtype, values.dtype) == ("bfloat16", np.dtype(np.float32))
    assert values.tolist() == [1, -2, np.inf, 2.0**-133, 0.333984375]


@pytest.mark.parametrize("name", ["a\x1b[31m", "\u202egpj.exe", ":skull:", "", "[red]", "\x00", "a\nb"])
def test_a_hostile_name_is_a_name(write, name):
    tensors = read_tensors(write("a.safetensors", packed({name: entry()}, bytes(8))))
    assert list(tensors) == [name]


def test_padding_and_metadata_are_read_over(write):
    header = json.dumps({"__metadata__": {"format": "pt", "tags": '{"a": [[[[1]]]]}'}, "w": entry()}).encode()
    assert list(read_tensors(write("a.safetensors", packed(header + b"   ", bytes(8))))) == ["w"]


def test_mlx_writes_null_where_it_has_no_metadata(write):
    """As MLX 0.30 writes it; the safetensors library reads it too."""
    path = write("a.safetensors", packed(b'{"__metadata__":null,' + json.dumps({"w": entry()}).encode()[1:], bytes(8)))
    assert list(read_tensors(path)) == list(load_file(path)) == ["w"]


@pytest.mark.slow
def test_as_many_tensors_as_are_read_and_one_more(write, refusal):
    header = {f"layer.{i}.weight": entry(offsets=(8 * i, 8 * i + 8)) for i in range(MAX_TENSORS)}
    assert len(read_tensors(write("a.safetensors", packed(header, bytes(8 * MAX_TENSORS))))) == MAX_TENSORS
    header["more"] = entry(shape=[0], offsets=(8 * MAX_TENSORS, 8 * MAX_TENSORS))
    assert refusal(write("a.safetensors", packed(header, bytes(8 * MAX_TENSORS)))).code == "too-large"


def one(**changes):
    return packed({"w": entry() | changes}, bytes(8))


HOSTILE = {
    "seven bytes": (b"\x02\0\0\0\0\0\0", "truncated"),
    "only a length": (b"\x02\0\0\0\0\0\0\0", "truncated"),
    "zero header": (bytes(8), "header"),
    "zero header and data": (bytes(64), "header"),
    "largest u64": (b"\xff" * 8 + b"{}", "header"),
    "200 MB header": ((200_000_000).to_bytes(8, "little") + b"{}", "header"),
    "header past the end": ((100).to_bytes(8, "little") + b"{}", "truncated"),
    "leading space": (packed(b" {}"), "header"),
    "a list": (packed(b"[]"), "header"),
    "not json": (packed(b"{nope}"), "header"),
    "two values": (packed(b"{}{}"), "header"),
    "not utf-8": (packed(b'{"\xff": 1}'), "header"),
    "utf-16": (packed("{}".encode("utf-16-le")), "header"),
    "open string": (packed(b'{"' + b'\\"' * 5000), "header"),
    "deep lists": (packed(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nesting"),
    "deep tables": (packed(b'{"w":' * 100_000 + b"1" + b"}" * 100_000), "nesting"),
    "many lists": (packed(b'{"w":[' + b"[]," * 300_001 + b"[]]}"), "too-large"),
    "many strings": (packed(b'{"w":[' + b'"",' * 1_000_001 + b'""]}'), "too-large"),
    "NaN": (packed(b'{"w": NaN}'), "header"),
    "a float": (packed(b'{"w": 1.5}'), "header"),
    "6000 digits": (packed(b'{"w": ' + b"9" * 6000 + b"}"), "header"),
    "duplicate names": (packed(b'{"w": {}, "w": {}}'), "duplicate"),
    "duplicate inside": (packed(b'{"w": {"dtype": "F32", "dtype": "F16"}}'), "duplicate"),
    "metadata of numbers": (packed({"__metadata__": {"a": 1}}), "header"),
    "metadata of tables": (packed({"__metadata__": {"a": {}}}), "header"),
    "metadata a list": (packed({"__metadata__": []}), "header"),
    "entry a list": (packed({"w": []}), "header"),
    "entry a text": (packed({"w": "dtype shape data_offsets"}), "header"),
    "missing key": (packed({"w": {"dtype": "F32", "shape": [2]}}, bytes(8)), "header"),
    "extra key": (one(stride=[1]), "header"),
    "unknown dtype": (one(dtype="F128"), "header"),
    "dtype a list": (one(dtype=["F32"]), "header"),
    "dtype a number": (one(dtype=1), "header"),
    "shape a text": (one(shape="2"), "header"),
    "float size": (one(shape=[2.0]), "header"),
    "bool size": (one(shape=[True, 2]), "shape"),
    "text size": (one(shape=["2"]), "shape"),
    "negative size": (one(shape=[-2]), "shape"),
    "two negative sizes": (one(shape=[-1, -2]), "shape"),
    "size of 2**63": (one(shape=[0, 2**63]), "shape"),
    "product beyond 2**64": (one(shape=[2**32, 2**32]), "shape"),
    "nothing of 2**62": (packed({"w": entry(shape=(0, 2**62), offsets=(0, 0))}), "shape"),
    "rank 1000": (one(shape=[1] * 999 + [2]), "shape"),
    "offsets of bools": (one(data_offsets=[False, 8]), "header"),
    "three offsets": (one(data_offsets=[0, 8, 8]), "header"),
    "one offset": (one(data_offsets=[8]), "header"),
    "reversed offsets": (one(data_offsets=[8, 0]), "header"),
    "negative offset": (one(data_offsets=[-8, 0]), "header"),
    "huge offset": (one(data_offsets=[0, 2**64]), "header"),
    "offsets too near": (one(data_offsets=[0, 4]), "offsets"),
    "overlap": (packed({"a": entry(), "b": entry(offsets=(0, 8))}, bytes(8)), "offsets"),
    "partial overlap": (packed({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)), "offsets"),
    "hole": (packed({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)), "offsets"),
    "hole at the start": (packed({"a": entry(offsets=(4, 12))}, bytes(12)), "offsets"),
    "bytes at the end": (packed({"a": entry()}, bytes(9)), "offsets"),
    "no tensors, some bytes": (packed({}, bytes(1)), "offsets"),
    "bytes missing": (packed({"a": entry()}, bytes(7)), "truncated"),
    "half a byte": (packed({"a": entry("F4", (3,), (0, 1))}, bytes(1)), "offsets"),
    "lone surrogate": (packed(b'{"\\ud800": {}}'), "header"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_breaks_the_format_is_refused(write, refusal, case):
    data, code = HOSTILE[case]
    assert refusal(write("a.safetensors", data)).code == code


def test_the_whole_message(write):
    path = write("a.safetensors", packed({"w\x1b[2J": entry(shape=(3, 2))}, bytes(8)))
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[offsets]: the offsets of w\\x1b[2J do not fit its shape\n"
        f"  at       {path}\n"
        "  expected 24 bytes for float32 [3, 2]\n"
        "  found    8"
    )


def test_a_header_is_not_read_before_its_length_is_checked(tmp_path, refusal):
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write((90_000_000).to_bytes(8, "little") + b"{")
        file.truncate(10_000_000_000)
    tracemalloc.start()
    found = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.code, found.expected) == ("header", f"at most {MAX_HEADER} bytes")
    assert peak < 1_000_000


SMALL = save({"w": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.ones(2, "<i8")}, {"by": "us"})


def test_every_prefix_is_refused(tmp_path, survives):
    assert survives(tmp_path / "a.safetensors", SMALL) is not None
    assert not any(survives(tmp_path / "a.safetensors", SMALL[:size]) for size in range(len(SMALL)))


def test_a_flipped_byte_is_refused_or_read_as_the_reference_reads_it(tmp_path, survives):
    rng = random.Random(0)
    for _ in range(2000):
        data = bytearray(SMALL)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        if (read := survives(tmp_path / "a.safetensors", bytes(data))) is not None:
            theirs = load(bytes(data))
            assert {name: (a.dtype, a.tobytes()) for name, a in read[1].items()} == {
                name: (a.dtype, a.tobytes()) for name, a in theirs.items() if name in read[1]
            }
            assert set(read[0]) == set(theirs)


def test_what_the_reference_refuses_is_refused(write, refusal):
    for case, (data, _) in HOSTILE.items():
        try:
            load(data)
        except (SafetensorError, KeyError, ValueError, TypeError):
            assert refusal(write("a.safetensors", data)), case
