"""HDF5: every layout's values bit for bit; what leads out of the file is refused."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import MissingPackageError
from tests.checkpoints.hdf5.files import external, made, message, put, with_place

VALUES = np.random.default_rng(0).standard_normal((30, 40))


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


def test_names_in_the_order_of_a_keras_list(write):
    """Texts of one length, layer by layer; a list of another kind orders nothing."""

    def make(file, texts):
        for layer in "ab":
            file[f"{layer}/w"], file[f"{layer}/v"] = np.zeros((2, 1), "f4")
            file[layer].attrs["weight_names"] = texts(["w", "v", "nowhere"])
        file.attrs["layer_names"] = texts(["b", "nowhere", "a"])

    def names(texts):
        return list(read_tensors(write("m.h5", made(lambda file: make(file, texts)))))

    assert names(lambda texts: np.array(texts, "S")) == ["b/w", "b/v", "a/w", "a/v"]
    for other in (["b", "a"], np.array([["b", "a"]], "S"), "b", h5py.Empty("S3"), np.zeros(0), 7):
        assert names(lambda _, other=other: other) == ["a/v", "a/w", "b/v", "b/w"]


def test_a_list_that_is_too_long(write):
    def make(file):
        file.attrs["layer_names"] = np.zeros(17, "S1000000")

    path = write("m.h5", made(make, libver="latest"))
    assert message(path) == (
        "error[too-large]: the attribute layer_names of the file is too long\n"
        f"  at       {path}\n"
        "  expected at most 16000000 characters"
    )


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


def test_without_h5py(write, monkeypatch):
    path = write("m.h5", made(put("w", np.zeros(2))))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingPackageError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[missing-package]: reading an HDF5 file needs the package h5py, which is not installed\n"
        '  help     pip install "lstm-spec[hdf5]"'
    )
