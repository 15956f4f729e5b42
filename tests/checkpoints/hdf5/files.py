"""HDF5 files as a test makes them, and what is said of one."""

import io
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError

ROOT = Path(__file__).parents[3]


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


def external(file):
    """A dataset whose values lie in another file."""
    file.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


BOUNDED = """
import resource, sys, time
import h5py, numpy
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
def peak():  # in kB; ru_maxrss begins at the size of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
start, before = time.process_time(), peak()
try:
    tensors = read_tensors(sys.argv[1])
    for tensor in tensors.values():
        if tensor.load:
            tensor.load()
except FileError as error:
    print(error)
grown = (peak() - before) >> 10
assert time.process_time() - start < 5, "time"
assert grown < 200, f"{grown} MB"
"""


def bounded(path):
    """What reading the file and its values says, within 1 GB, 200 MB of memory and 5 seconds of work."""
    command = [sys.executable, "-c", BOUNDED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")
