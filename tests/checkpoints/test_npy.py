"""A file that is one NumPy array."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
def test_its_values_under_the_files_name(write, order, dtype):
    array = np.arange(12, dtype=dtype).reshape(3, 4, order=order)
    tensors = read_tensors(write("kernel.npy", npy(array)))
    (tensor,) = tensors.values()
    assert (tensors.format, tensor.name, tensor.shape) == ("npy", "kernel", (3, 4))
    values = tensor.load()
    assert np.array_equal(values, array)
    assert (values.dtype.isnative, values.flags.c_contiguous, values.flags.writeable) == (True, True, True)


ONE = npy(np.zeros(3, "<f4"))
HOSTILE = {
    "pickle": (ONE.replace(b"<f4", b"|O8"), "pickle"),
    "shape": (ONE.replace(b"(3,), ", b"(2,), "), "shape"),
    "truncated": (ONE[:-1], "truncated"),
    "header": (ONE.replace(b"(3,), ", b"(-3,),"), "header"),
}


@pytest.mark.parametrize("code", HOSTILE)
def test_what_lies_is_refused(write, refusal, code):
    assert refusal(write("m.npy", HOSTILE[code][0])).code == code


def test_4_eib_in_full(write):
    path = write("m.npy", ONE.replace(b"(3,), }" + b" " * 18, b"(576460752303423487,), }  "[:25]))
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        "error[truncated]: the file does not have the size of its shape\n"
        f"  at       {path}\n"
        "  expected 2305843009213694076 bytes for float32 [576460752303423487]\n"
        "  found    140"
    )


def test_every_prefix_is_refused(tmp_path, survives):
    assert survives(tmp_path / "m.npy", ONE) is not None
    assert not any(survives(tmp_path / "m.npy", ONE[:size]) for size in range(len(ONE)))
