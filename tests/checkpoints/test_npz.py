"""The npz reader: what NumPy writes is read alike; archives and headers that lie are refused."""

import io
import random
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.archives import MAX_DIRECTORY
from lstm_spec.errors import FileError
from tests.laws import tried

DTYPES = [
    np.dtype(order + code)
    for order in "<>"
    for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "b1")
]


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def with_header(text, data=b"", version=(1, 0)):
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def archive(*members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as target:
        for name, data in members:
            target.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@tried(100, HealthCheck.function_scoped_fixture)
@given(
    st.dictionaries(
        st.text("abcW_.é0", min_size=1).filter(lambda name: name not in ("file", "..")),
        st.tuples(
            st.sampled_from(DTYPES).flatmap(
                lambda dtype: stn.arrays(dtype, stn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
            ),
            st.sampled_from("CF"),
        ),
        max_size=4,
    ),
    st.sampled_from([np.savez, np.savez_compressed]),
)
def test_what_numpy_writes_is_read_alike(write, arrays, save):
    written = {name: np.asarray(array, order=order) for name, (array, order) in arrays.items()}
    path = write("a.npz", saved(save, **written))
    tensors = read_tensors(path)
    assert tensors.format == "npz"
    with np.load(path) as theirs:
        assert list(tensors) == theirs.files
        for name in theirs.files:
            array, values = theirs[name], tensors[name].load()
            assert (tensors[name].shape, tensors[name].dtype) == (array.shape, array.dtype.name)
            assert (values.shape, values.dtype) == (array.shape, array.dtype.newbyteorder("="))
            assert values.tobytes() == array.astype(values.dtype).tobytes()
            assert values.flags.writeable
            assert values.flags.c_contiguous


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_header(write, version):
    tensors = read_tensors(write("a.npz", archive(("a.npy", npy(np.arange(3.0), version=version)))))
    np.testing.assert_array_equal(tensors["a"].load(), np.arange(3.0))


def test_text_has_a_shape_and_no_values(write):
    tensors = read_tensors(write("a.npz", saved(a=np.array(["ab", "c"]), t=np.array(3, "M8[s]"))))
    assert [(t.shape, t.dtype, t.load) for t in tensors.values()] == [
        ((2,), "str64", None),
        ((), "datetime64[s]", None),
    ]


def test_an_empty_archive_holds_nothing(write):
    assert len(read_tensors(write("a.npz", saved()))) == 0


def test_zeros_compress_well_and_are_read(write):
    tensors = read_tensors(write("a.npz", saved(np.savez_compressed, a=np.zeros((1000, 1000)))))
    assert not tensors["a"].load().any()


GOOD = npy(np.arange(3, dtype="<f4"))
PLAIN = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"


def header(text):
    return archive(("a.npy", with_header(text, bytes(12))))


def patched(data, signature, offset, format_, *values):
    """`data` with other numbers in the first record that begins with the signature."""
    changed = bytearray(data)
    struct.pack_into(format_, changed, data.index(signature) + offset, *values)
    return bytes(changed)


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
ONE = archive(("a.npy", GOOD))
TWO = archive(("a.npy", GOOD), ("b.npy", GOOD))
SECOND = TWO.index(CENTRAL, TWO.index(CENTRAL) + 1) - TWO.index(CENTRAL)

with pytest.warns(UserWarning, match="Duplicate name"):
    TWICE = archive(("a.npy", GOOD), ("a.npy", GOOD))

HOSTILE = {
    "no directory": (ONE[: ONE.index(CENTRAL)], "archive"),
    "not an array": (archive(("a.npy", GOOD), ("evil.py", b"import os")), "archive"),
    "no name": (archive(("dir/a.npy", GOOD), (".npy", GOOD)), "archive"),
    "a folder": (archive(("a.npy", GOOD), ("b.npy/", b"")), "archive"),
    "leaves": (archive(("../a.npy", GOOD)), "archive"),
    "absolute": (archive(("/etc/a.npy", GOOD)), "archive"),
    "backslash": (archive(("a.npy", GOOD), ("..\\a.npy", GOOD)), "archive"),
    "NUL in the name": (ONE.replace(b"a.npy", b"a\0npy"), "mismatch"),
    "names differ": (patched(ONE, CENTRAL, 46, "c", b"b"), "archive"),
    "duplicates": (TWICE, "duplicate"),
    "bzip2": (archive(("a.npy", GOOD), method=zipfile.ZIP_BZIP2), "archive"),
    "lzma": (archive(("a.npy", GOOD), method=zipfile.ZIP_LZMA), "archive"),
    "encrypted": (patched(ONE, CENTRAL, 8, "<H", 1), "archive"),
    "encrypted inside only": (patched(ONE, LOCAL, 6, "<H", 1), "archive"),
    "other method inside": (patched(ONE, LOCAL, 8, "<H", 8), "archive"),
    "patched data": (patched(ONE, CENTRAL, 8, "<H", 0x20), "archive"),
    "two sizes": (patched(ONE, CENTRAL, 24, "<I", len(GOOD) + 1), "archive"),
    "longer than the file": (patched(ONE, CENTRAL, 20, "<II", 10_000, 10_000), "archive"),
    "wrong size": (patched(ONE, CENTRAL, 20, "<II", len(GOOD) - 1, len(GOOD) - 1), "archive"),
    "overlap": (patched(TWO, CENTRAL, SECOND + 42, "<I", 0), "archive"),
    "places": (patched(ONE, CENTRAL, 42, "<I", 2**31), "archive"),
    "bomb": (patched(archive(("a.npy", GOOD), method=8), CENTRAL, 24, "<I", 2**31), "archive"),
    "broken stream": (patched(archive(("a.npy", GOOD), method=8), LOCAL, 35, "<I", 2**32 - 1), "archive"),
    "large directory": (patched(ONE, END, 12, "<I", MAX_DIRECTORY + 1), "archive"),
    "empty member": (archive(("a.npy", b"")), "truncated"),
    "no magic": (archive(("a.npy", b"\x80\x04" + GOOD)), "header"),
    "version 4": (archive(("a.npy", b"\x93NUMPY\x04\0" + GOOD[8:])), "header"),
    "header past the end": (archive(("a.npy", GOOD[:40])), "truncated"),
    "long header": (archive(("a.npy", with_header(PLAIN + b" " * 20_000, bytes(12)))), "header"),
    "4 GB header": (archive(("a.npy", b"\x93NUMPY\2\0\xff\xff\xff\xff" + PLAIN)), "header"),
    "objects": (archive(("a.npy", npy(np.array([{}], object), allow_pickle=True))), "pickle"),
    "records": (archive(("a.npy", npy(np.zeros(2, "<f4,<i4")))), "header"),
    "code": (header(PLAIN.replace(b"(3,)", b"__import__('os').system('true')")), "header"),
    "expression": (header(PLAIN.replace(b"(3,)", b"(1+2,)")), "header"),
    "deep": (header(b"(" * 9000), "header"),
    "negative size": (header(PLAIN.replace(b"(3,)", b"(-3,)")), "header"),
    "float size": (header(PLAIN.replace(b"(3,)", b"(3.0,)")), "header"),
    "bool size": (header(PLAIN.replace(b"(3,)", b"(True,)")), "header"),
    "no tuple": (header(PLAIN.replace(b"(3,)", b"(3)")), "header"),
    "long number": (header(PLAIN.replace(b"(3,)", b"(%s,)" % (b"9" * 5000))), "header"),
    "4 EiB": (header(PLAIN.replace(b"(3,)", b"(1152921504606846976,)")), "shape"),
    "2**70": (header(PLAIN.replace(b"(3,)", b"(34359738368, 34359738368)")), "shape"),
    "nothing of 2**62": (header(PLAIN.replace(b"(3,)", b"(0, 4611686018427387904)")), "shape"),
    "too many values": (header(PLAIN.replace(b"(3,)", b"(2,)")), "shape"),
    "too few values": (header(PLAIN.replace(b"(3,)", b"(4,)")), "shape"),
    "odd dtype": (header(PLAIN.replace(b"<f4", b"<f3")), "header"),
    "long dtype": (header(PLAIN.replace(b"<f4", b"<U999999999")), "header"),
    "wide dtype": (header(PLAIN.replace(b"<f4", b"<U99999999")), "shape"),
    "a name as dtype": (header(PLAIN.replace(b"<f4", b"float")), "header"),
    "key twice": (header(PLAIN.replace(b"}", b"'shape': (3,)}")), "header"),
    "key missing": (header(b"{'descr': '<f4', 'shape': (3,), }"), "header"),
    "other key": (header(PLAIN.replace(b"}", b"'x': (3,)}")), "header"),
    "wrong kind": (header(b"{'descr': False, 'fortran_order': '<f4', 'shape': (3,), }"), "header"),
    "no table": (header(PLAIN.strip(b"{}")), "header"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_lies_is_refused(write, refusal, case):
    data, code = HOSTILE[case]
    assert refusal(write("a.npz", data)).code == code


def test_a_directory_is_not_read_before_its_size_is_checked(tmp_path, refusal):
    path = tmp_path / "sparse.npz"
    with path.open("wb") as file:
        file.write(ONE[: ONE.index(CENTRAL)])
        file.truncate(10_000_000_000)
        file.seek(0, 2)
        file.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 9, 9, 2_000_000_000, 0xFFFF, 0))
    assert refusal(path).code == "too-large"


def test_objects_are_told_to_be_a_pickle(write):
    path = write("a.npz", HOSTILE["objects"][0])
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[pickle]: a is an array of objects, which is a pickle; it is not read\n"
        f"  at       {path}\n"
        "  help     save arrays of numbers: numpy.savez without object arrays"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_values_that_do_not_match_their_checksum_are_refused(write, method):
    data = archive(("a.npy", npy(np.arange(5000.0))), method=method)
    tensors = read_tensors(write("a.npz", patched(data, CENTRAL, 16, "<I", 0)))
    with pytest.raises(FileError) as caught:
        tensors["a"].load()
    assert caught.value.code == "archive"


def test_a_stream_that_ends_early_is_refused(write):
    short, long = npy(np.arange(5000.0)), npy(np.arange(5020.0))
    data = archive(("a.npy", long[:-160]), method=zipfile.ZIP_DEFLATED)
    assert len(short) == len(long) - 160
    tensors = read_tensors(write("a.npz", patched(data, CENTRAL, 24, "<I", len(long))))
    with pytest.raises(FileError) as caught:
        tensors["a"].load()
    assert caught.value.code in ("archive", "truncated")


SMALL = saved(np.savez_compressed, w=np.arange(6, dtype="<f4").reshape(2, 3))


def test_every_prefix_is_refused(tmp_path, survives):
    assert survives(tmp_path / "a.npz", TWO) is not None
    assert not any(survives(tmp_path / "a.npz", TWO[:size]) for size in range(len(TWO)))


@pytest.mark.parametrize("original", [SMALL, TWO])
def test_a_flipped_byte_is_refused_or_read_as_numpy_reads_it(tmp_path, survives, original):
    rng = random.Random(0)
    for _ in range(1000):
        data = bytearray(original)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        if (read := survives(tmp_path / "a.npz", bytes(data))) is not None:
            with np.load(io.BytesIO(data)) as theirs:
                assert list(read[0]) == theirs.files
                for name, values in read[1].items():
                    assert values.tobytes() == theirs[name].astype(values.dtype).tobytes()
