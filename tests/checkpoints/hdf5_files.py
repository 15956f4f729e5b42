"""HDF5 files as a test makes them, and what is said of one."""

import io

import h5py
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError


def made(make, **options):
    """The bytes of an HDF5 file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        make(file)
    return stream.getvalue()


def put(name, value):
    def make(file):
        file[name] = value

    return make


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
