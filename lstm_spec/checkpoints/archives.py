"""A ZIP archive → its members, each held against the directory, the file's size and its neighbours.

The standard library reads the directory and unpacks; what it takes on trust is checked here. Which members a format
may have is its reader's business. Nothing is unpacked to disk. Source: PKWARE's APPNOTE.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import pairwise
from typing import IO, cast

from lstm_spec.checkpoints.files import Malformed, malformed, take
from lstm_spec.errors import safe

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


def read_directory(stream: BufferedReader) -> list[zipfile.ZipInfo]:
    """The archive's members in its own order."""
    try:
        with zipfile.ZipFile(cast(IO[bytes], Guarded(stream))) as archive:
            return archive.infolist()
    except ZIP_ERRORS as error:
        because = NO_END if "not a zip file" in str(error) else safe(error)
        raise malformed("archive", "the archive's directory cannot be read", because=because) from None


def check_places(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raises Malformed when members overlap, end after the file, or claim more than they can unpack to."""
    ordered = sorted(members, key=lambda info: info.header_offset)
    ends = [info.header_offset + LOCAL_SIZE + info.compress_size for info in ordered]
    begins = [info.header_offset for info in ordered] + [size]
    for info, end, (begin, following) in zip(ordered, ends, pairwise(begins), strict=True):
        if begin < 0 or end > following:
            raise odd_member(info.orig_filename, "it overlaps another, or ends after the file")
        if info.file_size > MAX_RATIO * (info.compress_size + 1):
            raise odd_member(
                info.orig_filename, f"it claims to unpack to {info.file_size} bytes from {info.compress_size}"
            )
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise odd_member(info.orig_filename, "it is stored, yet has two sizes")


@contextmanager
def opened_member(stream: BufferedReader, info: zipfile.ZipInfo) -> Iterator[zipfile.ZipExtFile]:
    """The member's unpacked bytes; its local header must say what the directory says."""
    local = take(stream, info.header_offset, LOCAL_SIZE, f"the member {safe(info.filename)}")
    signature, flags, method, name_size, extra_size = struct.unpack("<4s2xHH16xHH", local)
    name = stream.read(name_size).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    if (signature, flags, method, name) != (b"PK\3\4", info.flag_bits, info.compress_type, info.orig_filename):
        raise odd_member(info.orig_filename, "its local header and the archive's directory differ")
    stream.seek(extra_size, 1)
    try:
        with zipfile.ZipExtFile(stream, "r", info) as member:
            yield member
    except ZIP_ERRORS as error:
        raise odd_member(info.orig_filename, f"it cannot be unpacked: {safe(error)}") from None


def odd_member(name: str, because: str) -> Malformed:
    """The error for a member that is not as the archive's format has it."""
    return malformed("archive", f"the member {safe(name)} is refused", because=because)
