"""NumPy's archive of arrays → `Tensors`, from the directory and the arrays' headers.

The standard library reads the archive's directory; every member is then held against its own header, the file's
size and its neighbours before a value is read. Nothing is unpacked to disk, no pickle is ever loaded.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from io import BufferedReader

from lstm_spec.checkpoints.archives import KNOWN_FLAGS, METHODS, check_places, odd_member, opened_member, read_directory
from lstm_spec.checkpoints.files import Array, File, malformed, read_array
from lstm_spec.checkpoints.npy import Header, read_header
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

SUFFIX = ".npy"


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
                raise odd_member(self.info.orig_filename, "values follow after its last")
        return values.transpose().copy() if self.header.fortran else values


def read_npz(file: File, stream: BufferedReader) -> Tensors:
    """The arrays of the archive, named without `.npy`. Raises Malformed when a member is not what it should be."""
    members = read_directory(stream)
    check_count(len(members))
    check_members(members)
    check_places(members, file.size)
    tensors = (_tensor(file, stream, info) for info in members)
    return Tensors(safe(file.path, None), "npz", {tensor.name: tensor for tensor in tensors})


def check_members(members: list[zipfile.ZipInfo]) -> None:
    """Raises Malformed for a member that an npz does not have: another name, method or flag, or a name twice."""
    seen: set[str] = set()
    for info in members:
        name = info.orig_filename
        if name in seen:
            raise malformed("duplicate", f"the archive holds {safe(name)} twice")
        if info.flag_bits & ~KNOWN_FLAGS:
            raise odd_member(info.orig_filename, "it is encrypted or has unknown flags")
        if info.compress_type not in METHODS:
            raise odd_member(info.orig_filename, "it is neither stored nor deflated")
        if name != info.filename or not name.removesuffix(SUFFIX) or not name.endswith(SUFFIX) or _leaves(name):
            raise odd_member(info.orig_filename, f"its name is not that of an array, NAME{SUFFIX}")
        seen.add(name)


def _leaves(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


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
