"""Where a PyTorch storage's bytes are, and how a view of it is read: contiguous, transposed, or a few of many."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from typing import Any, Literal

import numpy as np

from lstm_spec.checkpoints.archives import odd_member, opened_member
from lstm_spec.checkpoints.files import Array, File, read_array

Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Region:
    """A storage's bytes, from `begin` or, in an archive's `member`, after its local header; all before `end`."""

    begin: int
    end: int
    order: Order = "<"
    member: zipfile.ZipInfo | None = None


@dataclass(frozen=True, slots=True)
class Strided:
    """Reads one view: the bytes from its first value to its last, in rows where it leaves most of them out."""

    file: File
    region: Region
    code: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __call__(self) -> Array:
        dtype = np.dtype(self.code).newbyteorder(self.region.order)
        with self.file.reopened() as stream:
            begin = (
                self.region.begin
                if self.region.member is None
                else begin_of(stream, self.region.member, self.region.end)
            )
            if 0 in self.shape:
                return np.empty(self.shape, np.dtype(self.code))
            return self._read(stream, begin, dtype, self.offset, self.shape, self.stride)

    def _read(self, stream: BufferedReader, begin: int, dtype: Any, offset: int, shape: Any, stride: Any) -> Array:
        span = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if span > 2 * prod(shape) + 1024:
            axis = max(range(len(shape)), key=lambda a: (shape[a] > 1) * stride[a])
            rest = [(*values[:axis], *values[axis + 1 :]) for values in (shape, stride)]
            rows = (self._read(stream, begin, dtype, offset + i * stride[axis], *rest) for i in range(shape[axis]))
            return np.stack(list(rows), axis)
        stream.seek(begin + offset * dtype.itemsize)
        flat = read_array(stream, dtype, (span,))
        return np.lib.stride_tricks.as_strided(flat, shape, [step * flat.itemsize for step in stride]).copy()


def begin_of(stream: BufferedReader, info: zipfile.ZipInfo, end: int) -> int:
    """Where a member's bytes begin: after its local header, which must say what the directory says."""
    with opened_member(stream, info):
        begin = stream.tell()
    if begin + info.file_size > end:
        raise odd_member(info.filename, "it overlaps another, or ends after the file")
    return begin
