"""NumPy's archive of arrays → `Tensors`, from the directory and the arrays' headers.

The standard library reads the archive's directory; every member is then held against its own header, the file's
size and its neighbours before a value is read. Nothing is unpacked to disk, no pickle is ever loaded.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import pairwise
from typing import IO, cast

from lstm_spec.checkpoints.files import Array, File, Malformed, malformed, read_array, take
from lstm_spec.checkpoints.npy import Header, read_header
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

SUFFIX = ".npy"
LOCAL_SIZE = 30
# zipfile makes an object of about 1 kB from each 46 bytes or more of the directory.
MAX_DIRECTORY = 8_000_000
# deflate hints, data descriptor, UTF-8 name; every other flag encrypts, patches or hides something.
KNOWN_FLAGS = 0x80E
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# zlib's technical page: a deflated stream expands at most 1032 to 1.
MAX_RATIO = 1032
NO_END = "it should stand at the file's end and does not: the file was cut short, or is no archive"
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OverflowError, ValueError)


@dataclass(frozen=True, slots=True)
class Member:
    """Reads one array of the archive."""

    file: File
    info: zipfile.ZipInfo
    header: Header

    def __call__(self) -> Array:
        with self.file.reopened() as stream, opened_member(stream, self.info) as member:
            member.read(self.header.length)
            order = self.header.shape[::-1] if self.header.fortran else self.header.shape
            values = read_array(member, self.header.dtype, order)
            if member.read(1):
                raise _odd(self.info, "values follow after its last")
        return values.transpose().copy() if self.header.fortran else values


class Guarded:
    """The archive as zipfile sees it: it reads the directory in one piece, which must not be too large."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:
            raise malformed(
                "too-large", "the archive's directory is too large", expected=f"at most {MAX_DIRECTORY} bytes"
            )
        return self._stream.read(size if size >= 0 else MAX_DIRECTORY)


def read_npz(file: File, stream: BufferedReader) -> Tensors:
    """The arrays of the archive, named without `.npy`. Raises Malformed when a member is not what it should be."""
    members = read_directory(stream)
    check_count(len(members))
    check_members(members)
    check_places(members, file.size)
    tensors = (_tensor(file, stream, info) for info in members)
    return Tensors(safe(file.path, None), "npz", {tensor.name: tensor for tensor in tensors})


def read_directory(stream: BufferedReader) -> list[zipfile.ZipInfo]:
    """The archive's members in its own order."""
    try:
        with zipfile.ZipFile(cast(IO[bytes], Guarded(stream))) as archive:
            return archive.infolist()
    except ZIP_ERRORS as error:
        because = NO_END if "not a zip file" in str(error) else safe(error)
        raise malformed("archive", "the archive's directory cannot be read", because=because) from None


def check_members(members: list[zipfile.ZipInfo]) -> None:
    """Raises Malformed for a member that an npz does not have: another name, method or flag, or a name twice."""
    seen: set[str] = set()
    for info in members:
        name = info.orig_filename
        if name in seen:
            raise malformed("duplicate", f"the archive holds {safe(name)} twice")
        if info.flag_bits & ~KNOWN_FLAGS:
            raise _odd(info, "it is encrypted or has unknown flags")
        if info.compress_type not in METHODS:
            raise _odd(info, "it is neither stored nor deflated")
        if name != info.filename or not name.removesuffix(SUFFIX) or not name.endswith(SUFFIX) or _leaves(name):
            raise _odd(info, f"its name is not that of an array, NAME{SUFFIX}")
        seen.add(name)


def _leaves(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def check_places(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raises Malformed when members overlap, end after the file, or claim more than they can unpack to."""
    ordered = sorted(members, key=lambda info: info.header_offset)
    ends = [info.header_offset + LOCAL_SIZE + info.compress_size for info in ordered]
    begins = [info.header_offset for info in ordered] + [size]
    for info, end, (begin, following) in zip(ordered, ends, pairwise(begins), strict=True):
        if begin < 0 or end > following:
            raise _odd(info, "it overlaps another, or ends after the file")
        if info.file_size > MAX_RATIO * (info.compress_size + 1):
            raise _odd(info, f"it claims to unpack to {info.file_size} bytes from {info.compress_size}")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise _odd(info, "it is stored, yet has two sizes")


def _tensor(file: File, stream: BufferedReader, info: zipfile.ZipInfo) -> Tensor:
    name = info.filename.removesuffix(SUFFIX)
    with opened_member(stream, info) as member:
        header = read_header(member, name)
    if header.size != info.file_size:
        raise malformed(
            "shape",
            f"{safe(name)} does not have the size of its shape",
            expected=f"{header.size} bytes for {header.dtype.name} {list(header.shape)}",
            found=f"{info.file_size}",
        )
    load = Member(file, info, header) if header.loadable else None
    return Tensor(name, header.shape, header.dtype.name, load)


@contextmanager
def opened_member(stream: BufferedReader, info: zipfile.ZipInfo) -> Iterator[zipfile.ZipExtFile]:
    """The member's unpacked bytes; its local header must say what the directory says."""
    local = take(stream, info.header_offset, LOCAL_SIZE, f"the member {safe(info.filename)}")
    signature, flags, method, name_size, extra_size = struct.unpack("<4s2xHH16xHH", local)
    name = stream.read(name_size).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    if (signature, flags, method, name) != (b"PK\3\4", info.flag_bits, info.compress_type, info.orig_filename):
        raise _odd(info, "its local header and the archive's directory differ")
    stream.seek(extra_size, 1)
    try:
        with zipfile.ZipExtFile(stream, "r", info) as member:
            yield member
    except ZIP_ERRORS as error:
        raise _odd(info, f"it cannot be unpacked: {safe(error)}") from None


def _odd(info: zipfile.ZipInfo, because: str) -> Malformed:
    return malformed("archive", f"the member {safe(info.orig_filename)} is refused", because=because)
