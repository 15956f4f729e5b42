"""A path → an open regular file and, of a part of it, bytes or an array; with the words for what is wrong.

A reader says `raise malformed(…)` without knowing the path; `blamed_on` adds it, once, at the boundary.
Promises: never waits for a pipe or a device, never trusts a size before it is compared with the file's, and
reads later only from the file that was read first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedIOBase, BufferedReader
from math import prod
from typing import Any

import numpy as np

from lstm_spec.errors import FileError, Finding, safe

Array = np.ndarray[Any, Any]

OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
CHUNK = 1 << 20


class Malformed(Exception):
    """What is wrong with a file, before anyone has said which file."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


def malformed(
    code: str,
    message: str,
    *,
    where: str = "",
    expected: str = "",
    found: str = "",
    because: str = "",
    help: str = "",
) -> Malformed:
    """The error to raise; `where` is a place inside the file."""
    return Malformed(Finding(code, message, where, expected, found, because, help))


@contextmanager
def blamed_on(path: str) -> Iterator[None]:
    """Whatever a stranger's file can make go wrong inside becomes a `FileError` that names it."""
    try:
        yield
    except Malformed as error:
        finding = error.finding
    except MemoryError:
        finding = Finding("too-large", "the file needs more memory than there is")
    except RecursionError:
        finding = Finding("nesting", "the file is nested too deeply")
    except OSError as error:
        finding = _unreadable(error)
    else:
        return
    at = " : ".join(filter(None, (safe(path, None), finding.at)))
    raise FileError(replace(finding, at=at)) from None


def _unreadable(error: OSError) -> Finding:
    if isinstance(error, FileNotFoundError):
        return Finding("missing", "there is no such file")
    return Finding("unreadable", "the file cannot be read", because=safe(error.strerror or error))


def open_regular(path: str) -> BufferedReader:
    """The file at `path`, open for reading. Raises Malformed when it is a directory, a pipe or a device."""
    if "\0" in path:
        raise malformed("missing", "there is no such file", because="its name holds a NUL character")
    descriptor = os.open(path, OPEN_FLAGS)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    found = "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
    raise malformed("not-a-file", "this is not a regular file", expected="a regular file", found=found)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was when it was read: `path` as the user wrote it, `open` opens it again, `stamp` tells it apart.

    `full` is its absolute path; empty for a file that is not on this machine.
    """

    path: str
    full: str
    size: int
    stamp: object
    open: Callable[[], tuple[BufferedReader, object]]

    @contextmanager
    def reopened(self) -> Iterator[BufferedReader]:
        """The same file again. Holding it open instead would cost a descriptor for each file of an audit."""
        with blamed_on(self.path):
            stream, stamp = self.open()
            with stream:
                if stamp != self.stamp:
                    raise malformed("changed", "the file has changed since its shapes were read", help="read it again")
                yield stream


@contextmanager
def opened(path: str) -> Iterator[tuple[File, BufferedReader]]:
    """A local file, and the stream to read it from. Raises Malformed when it is no regular file."""
    full = os.path.abspath(path)
    stream, stamp = open_stamped(path)
    with stream:
        yield File(path, full, os.fstat(stream.fileno()).st_size, stamp, partial(open_stamped, full)), stream


def open_stamped(path: str) -> tuple[BufferedReader, object]:
    """A local file, and what tells it from another of the same name."""
    stream = open_regular(path)
    return stream, stamp_of(os.fstat(stream.fileno()))


def stamp_of(now: os.stat_result) -> object:
    """What tells a file from another one of its name."""
    return now.st_size, now.st_dev, now.st_ino, now.st_mtime_ns


def take(stream: BufferedReader, offset: int, size: int, what: str) -> bytes:
    """`size` bytes from `offset`, all of them. The caller has bounded `size`."""
    stream.seek(offset)
    data = stream.read(size)
    if len(data) < size:
        raise truncated(what, size, len(data))
    return data


def truncated(what: str, expected: int, found: int) -> Malformed:
    """The error for a file that ends too early."""
    return malformed("truncated", f"the file ends inside {what}", expected=f"{expected} bytes", found=f"{found} bytes")


def read_array(stream: BufferedIOBase, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The next values as an array of its own, in the machine's byte order. The caller has bounded the size."""
    flat = np.empty(prod(shape) * dtype.itemsize, np.uint8)
    view, at = flat.data, 0
    while at < flat.size and (got := stream.readinto(view[at : at + CHUNK])):
        at += got
    if at < flat.size:
        raise truncated("a tensor", flat.size, at)
    return flat.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """Reads one array that lies in the file as it is."""

    file: File
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __call__(self) -> Array:
        with self.file.reopened() as stream:
            stream.seek(self.offset)
            return read_array(stream, self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class Bfloat16:
    """Reads bfloat16, which NumPy has not, as float32: the same numbers, for it is float32's upper half."""

    halves: Callable[[], Array]

    def __call__(self) -> Array:
        wide = self.halves().astype(np.uint32)
        wide <<= 16  # in its place
        return wide.view(np.float32)
