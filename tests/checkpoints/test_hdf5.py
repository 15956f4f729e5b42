"""HDF5: every layout's values bit for bit; what leads out of the file, or claims more than it holds, is refused."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.files import Malformed
from lstm_spec.checkpoints.hdf5_heaps import check_heap
from lstm_spec.errors import FileError, MissingPackageError

ROOT = Path(__file__).parents[2]
VALUES = np.random.default_rng(0).standard_normal((30, 40))


def made(make, **options):
    """The bytes of an HDF5 file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        make(file)
    return stream.getvalue()


LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": (7, 9)},
    "gzip": {"chunks": (7, 9), "compression": "gzip"},
    "shuffle": {"chunks": (30, 40), "shuffle": True},
    "both": {"chunks": (30, 3), "compression": "gzip", "shuffle": True},
    "growing": {"maxshape": (None, None), "chunks": (8, 64)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_values_of_every_layout(write, layout, dtype, libver):
    values = VALUES.astype(dtype)
    data = made(lambda file: file.create_dataset("a/kernel:0", data=values, **LAYOUTS[layout]), libver=libver)
    tensors = read_tensors(write("m.h5", data))
    assert {name: (t.shape, t.dtype) for name, t in tensors.items()} == {
        "a/kernel:0": ((30, 40), np.dtype(dtype).newbyteorder("=").name)
    }
    read = tensors["a/kernel:0"].load()
    assert np.array_equal(read, values)
    assert read.dtype.isnative


def test_compact_empty_and_scalar_values(write):
    def make(file):
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3,))
        compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, plan)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 3], "f4"))
        file["empty"] = np.zeros((0, 5), "f4")
        file["empty_chunked"] = file.create_dataset("e", (0, 5), "f4", maxshape=(None, 5), chunks=(1, 5))
        file["scalar"] = np.float32(7)

    tensors = read_tensors(write("m.hdf5", made(make)))
    assert tensors["compact"].load().tolist() == [1, 2, 3]
    assert tensors["empty"].load().shape == tensors["empty_chunked"].load().shape == (0, 5)
    assert tensors["scalar"].load() == 7


def test_names_in_the_order_of_their_numbers(write):
    names = [f"lstm_{i}" for i in (10, 2, 1, 11)]
    tensors = read_tensors(write("m.h5", made(lambda file: [file.create_dataset(n, data=[1.0]) for n in names])))
    assert list(tensors) == ["lstm_1", "lstm_2", "lstm_10", "lstm_11"]


def test_what_is_no_array_of_numbers_is_no_tensor(write):
    def make(file):
        file["text"] = "x"
        file.create_dataset("vlen", (2,), h5py.vlen_dtype("f4"))
        file.create_dataset("record", (2,), [("a", "f4"), ("b", "f4")])
        file.create_dataset("reference", (2,), h5py.ref_dtype)
        file.create_dataset("region", (2,), h5py.regionref_dtype)
        file.create_dataset("array", (2,), np.dtype(("f4", (3,))))
        file.create_dataset("enum", (2,), h5py.enum_dtype({"a": 1}))
        file["null"] = h5py.Empty("f4")
        file["type"] = np.dtype("f4")
        file["complex"] = np.zeros(2, "c8")
        file["whole"] = np.zeros(2, "i8")
        file["number"] = np.zeros(2, "f4")

    tensors = read_tensors(write("m.h5", made(make)))
    assert list(tensors) == ["number", "whole"]
    assert tensors["whole"].load is None


# ---- what leads elsewhere ----


def external(file):
    file.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def cycle(file):
    file.create_group("a/b")
    file["a/b/c"] = file["a"]


def twice(file):
    file.create_group("a")
    file["b"] = file["a"]


def deep(file):
    file.create_dataset("/".join(["g"] * 80), data=[1.0])


def no_text(file):
    file.attrs["model_config"] = [1, 2]


def no_json(file):
    file.attrs["model_config"] = "{'a': os.system('id')}"


def deep_json(file):
    file.attrs["model_config"] = "[" * 10_000 + "]" * 10_000


def wide_json(file):
    file.attrs.create("model_config", b"[" + b"0," * 700_000 + b"0]", dtype=h5py.string_dtype())


def put(name, value):
    def make(file):
        file[name] = value

    return make


HOSTILE = {
    "external storage": (
        external,
        "error[external]: the values of w lie in another file, which is not opened\n  found    /etc/passwd",
    ),
    "external link": (
        put("w", h5py.ExternalLink("/etc/passwd", "/x\x1b[2J")),
        "error[link]: w is a link into another file, which is not opened\n  found    /etc/passwd : /x\\x1b[2J",
    ),
    "virtual dataset": (
        virtual,
        "error[external]: w is put together from other datasets, which is not followed",
    ),
    "soft link loop": (
        put("w", h5py.SoftLink("/w")),
        "error[link]: w is a symbolic link, which is not followed\n  found    /w",
    ),
    "dangling link": (
        put("w", h5py.SoftLink("/nowhere")),
        "error[link]: w is a symbolic link, which is not followed\n  found    /nowhere",
    ),
    "group cycle": (
        cycle,
        "error[link]: a/b/c is a group that was met before\n"
        "  because  a group that is part of itself, or has two names, has no end or no place",
    ),
    "group twice": (
        twice,
        "error[link]: b is a group that was met before\n"
        "  because  a group that is part of itself, or has two names, has no end or no place",
    ),
    "nest": (deep, "error[nesting]: the groups are nested too deeply\n  expected at most 64 levels"),
    "4 EiB": (
        lambda file: file.create_dataset("w", (2**30, 2**30), "f4", chunks=(1, 1)),
        "error[shape]: the shape of w is not one\n"
        "  expected a shape that an array can have\n"
        "  found    [1073741824, 1073741824]",
    ),
    "config no text": (no_text, "error[attribute]: the attribute model_config of the file is no text"),
    "config no json": (
        no_json,
        "error[config]: model_config is not JSON\n"
        "  because  Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    "config nest": (
        deep_json,
        "error[nesting]: model_config is nested too deeply\n  expected at most 100 levels\n  found    10000",
    ),
    "config wide": (
        wide_json,
        "error[too-large]: model_config has too many parts\n  expected at most 600000\n  found    700001",
    ),
}


def loaded(path, load):
    tensors = read_tensors(path)
    if load:
        tensors["w"].load()


def message(path, load=False):
    with pytest.raises(FileError) as caught:
        loaded(path, load)
    return str(caught.value)


def with_place(text, path):
    first, *rest = text.split("\n")
    return "\n".join([first, f"  at       {path}", *rest])


@pytest.mark.parametrize("case", HOSTILE)
def test_what_leads_elsewhere_or_has_no_end_is_refused(write, case):
    make, expected = HOSTILE[case]
    path = write("m.h5", made(make))
    assert message(path) == with_place(expected, path)


def test_a_user_block_is_refused(write):
    data = made(put("w", np.zeros(2)), userblock_size=512)
    path = write("m.h5", data)
    assert message(path) == (
        "error[hdf5]: the file does not begin as HDF5 does\n"
        f"  at       {path}\n"
        "  because  HDF5 that begins later, after a user block, could be a file of another format as well"
    )
    polyglot = write("p.h5", b"PK\3\4" + data[4:])
    assert message(polyglot).startswith("error[mismatch]: the file is named .h5 but looks like a ZIP archive\n")


# ---- what claims more than it holds ----


def unwritten(file):
    file.create_dataset("w", (2**20, 2**10), "f4", chunks=(1024, 1024))


def contiguous_unwritten(file):
    file.create_dataset("w", (2**20, 2**10), "f4")


def zeros_packed(file):
    """Four chunks of 32 MB from 32 kB each."""
    dataset = file.create_dataset("w", (2**12, 2**13), "f4", chunks=(2**10, 2**13), compression="gzip")
    chunk = zlib.compress(bytes(2**25), 9)
    for row in range(4):
        dataset.id.write_direct_chunk((row * 2**10, 0), chunk)


def inflating(file):
    """One small chunk whose stream unpacks to 256 MiB."""
    dataset = file.create_dataset("w", (16,), "f4", chunks=(16,), compression="gzip")
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    dataset.id.write_direct_chunk((0,), bomb)


def inflating_a_little(file):
    dataset = file.create_dataset("w", (16,), "f4", chunks=(16,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(500_000), 9))


def many_chunks(file):
    file.create_dataset("w", (2**12, 2**12), "f4", chunks=(1, 1))


def scaled(file):
    file.create_dataset("w", (16,), "f4", chunks=(16,), scaleoffset=2)


def broken_stream(file):
    dataset = file.create_dataset("w", (16,), "f4", chunks=(16,), compression="gzip")
    dataset.id.write_direct_chunk((0,), b"no stream")


def too_short(file):
    dataset = file.create_dataset("w", (16,), "f4", chunks=(16,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(60)))


OTHER_SIZE = "error[storage]: w has another size than its values in the file\n"
BOMBS = {
    "unwritten": (unwritten, OTHER_SIZE + "  expected 4294967296 bytes of values\n  found    0 bytes stored"),
    "contiguous": (
        contiguous_unwritten,
        OTHER_SIZE + "  expected 4294967296 bytes of values\n  found    0 bytes stored",
    ),
    "zeros": (zeros_packed, None),
    "inflating": (inflating, None),
    "a little": (inflating_a_little, OTHER_SIZE + "  expected 64 bytes of values\n  found    65 bytes stored"),
    "chunks": (
        many_chunks,
        "error[too-large]: w lies in too many chunks\n  expected at most 1000000 chunks\n  found    16777216",
    ),
    "filter": (
        scaled,
        "error[filter]: w is packed by filters that are not read\n"
        "  found    6\n"
        "  help     write it again without: h5repack -f NONE",
    ),
    "stream": (
        broken_stream,
        "error[storage]: a chunk of w cannot be unpacked\n"
        "  because  Error -3 while decompressing data: incorrect header check",
    ),
    "short": (too_short, OTHER_SIZE + "  expected 64 bytes of values\n  found    60 bytes stored"),
}

BOUNDED = """
import resource, sys, time
import h5py, numpy
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    tensors = read_tensors(sys.argv[1])
    for tensor in tensors.values():
        if tensor.load:
            tensor.load()
except FileError as error:
    print(error)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
assert time.process_time() - start < 5, "time"
assert grown < 200, f"{grown} MB"
"""


def bounded(path):
    """What reading the file and its values says, within 1 GB, 200 MB of memory and 5 seconds of work."""
    command = [sys.executable, "-c", BOUNDED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("case", BOMBS)
def test_memory_is_asked_for_what_is_there(write, case):
    make, expected = BOMBS[case]
    path = write("m.h5", made(make))
    said = bounded(path) if expected is None else message(path, load=True)
    if expected is None:
        assert said.startswith(OTHER_SIZE.rstrip("\n"))
    else:
        assert said == with_place(expected, path)


@pytest.mark.slow
def test_a_file_of_many_groups(write):
    path = write("m.h5", made(lambda file: [file.create_group(f"g{i}") for i in range(10_001)]))
    assert message(path) == with_place("error[too-large]: the file has too many groups\n  expected at most 10000", path)


def test_the_whole_file_is_not_read_for_its_shapes(tmp_path):
    """200 MB of weights: the walk reads a few kB of them."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for i in range(4):
            file.create_dataset(f"lstm_{i}/kernel:0", (3200, 4096), "f4")[0, 0] = 1
    script = """
import sys
from lstm_spec.checkpoints import windows, read_tensors
count, original = [0], windows.Window.readinto
def counted(self, buffer):
    got = original(self, buffer)
    count[0] += got
    return got
windows.Window.readinto = counted
print(len(read_tensors(sys.argv[1])), count[0])
"""
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    number, read = map(int, done.stdout.split())
    assert (number, read < 100_000) == (4, True), read


def test_without_h5py(write, monkeypatch):
    path = write("m.h5", made(put("w", np.zeros(2))))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingPackageError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[missing-package]: reading an HDF5 file needs the package h5py, which is not installed\n"
        '  help     pip install "lstm-spec[hdf5]"'
    )


# ---- broken at random; HDF5 is C, so it is done in another process ----


def small(file):
    file.attrs["keras_version"] = "2.15.0"
    file.attrs["model_config"] = '{"class_name": "Sequential", "config": {"layers": []}}'
    file.create_dataset("lstm/lstm_cell/kernel:0", data=np.ones((3, 8), "f4"))
    file.create_dataset("lstm/lstm_cell/recurrent_kernel:0", data=np.ones((2, 8), "f4"), chunks=(1, 8))
    file.create_dataset("lstm/lstm_cell/bias:0", data=np.ones(8, "f4"), chunks=(8,), compression="gzip")


FUZZED = """
import random, resource, sys
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
path, flips, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
original = open(path, "rb").read()
rng, refused = random.Random(seed), 0
def tried(data):
    global refused
    with open(path, "wb") as file:
        file.write(data)
    try:
        for tensor in read_tensors(path).values():
            tensor.load and tensor.load()
    except FileError as error:
        assert "".join(str(error).splitlines()).isprintable()
        refused += 1
for _ in range(flips):
    data = bytearray(original)
    for _ in range(rng.choice([1, 1, 3])):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    tried(bytes(data))
flipped, refused = refused, 0
sizes = range(0, len(original), max(1, len(original) // 300))
for size in sizes:
    tried(original[:size])
print(flipped, refused == len(sizes))
"""


def fuzzed(path, flips, seed=0):
    command = [sys.executable, "-c", FUZZED, str(path), str(flips), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_flipped_bytes_and_prefixes(write, libver):
    refused, all_prefixes = fuzzed(write("m.h5", made(small, libver=libver)), 300)
    assert int(refused) > 10
    assert all_prefixes == "True"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_flipped_bytes(write, seed):
    fuzzed(write("m.h5", made(small)), 3000, seed)


@pytest.mark.parametrize(
    ("size", "left", "step"),
    [(0x8A, 3896, 0), (2**63, 4056, 2**63 + 16), (2**64 - 16, 4056, 2**64)],
    ids=["leads nowhere", "leads out", "wraps around"],
)
def test_a_heap_that_has_no_end(write, size, left, step):
    """HDF5 2.0 goes round in the first one for ever: the size of the second text in the heap, `model_config`."""
    data = bytearray(made(small))
    heap = data.index(b"GCOL")
    data[heap + 48 : heap + 56] = size.to_bytes(8, "little")
    path = write("m.h5", bytes(data))
    assert bounded(path) == (
        "error[heap]: a text lies in a heap whose objects have no end\n"
        f"  at       {path}\n"
        f"  expected 1 to {left} bytes\n"
        f"  found    {step} bytes"
    )


@pytest.mark.parametrize("width", [2, 4, 8])
def test_a_heap_of_any_width_of_lengths(width):
    def length(number):
        return number.to_bytes(width, "little")

    header = 8 + -(-width // 8) * 8  # what stands before the objects, and before each object's bytes
    one = b"\1\0\1\0\0\0\0\0" + length(5) + bytes(header - 8 - width) + b"12345\0\0\0"
    free = bytes(8) + length(header) + bytes(header - 8 - width)
    begin = (b"GCOL\1\0\0\0" + length(2 * header + 8 + len(free))).ljust(header, b"\0")
    check_heap(begin + one + free, width)
    with pytest.raises(Malformed):
        check_heap(begin + one + bytes(header), width)


def test_random_bytes_after_the_signature(write, survives, tmp_path):
    rng = random.Random(0)
    for _ in range(50):
        survives(tmp_path / "m.h5", b"\x89HDF\r\n\x1a\n" + rng.randbytes(200))
