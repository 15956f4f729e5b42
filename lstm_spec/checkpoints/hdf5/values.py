"""One dataset of an HDF5 file → its values, in memory that its own bytes in the file justify.

HDF5 reserves what a shape says, and unpacks a chunk as far as it unpacks: a file of a few kB could ask for all the
memory there is. So the bytes that are stored are counted first, and chunks are taken as they lie and unpacked here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import Array, malformed
from lstm_spec.checkpoints.hdf5.datasets import Dataset, Source
from lstm_spec.errors import safe

GZIP, SHUFFLE = 1, 2  # H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE
# Trained weights hardly compress (1.1 to 1); constant ones do, and those of 64 MB are let pass.
FREELY_UNPACKED, MAX_RATIO = 64_000_000, 8
MAX_CHUNKS = 1_000_000
FLOATS = ("IEEE_F16LE", "IEEE_F32LE", "IEEE_F64LE", "IEEE_F16BE", "IEEE_F32BE", "IEEE_F64BE")


@dataclass(frozen=True, slots=True)
class Values:
    """Reads the values of one dataset, from the same file that was walked."""

    source: Source
    dataset: Dataset

    def __call__(self) -> Array:
        file, path = self.source.file, self.dataset.path
        with file.reopened() as stream, self.source.opened(stream) as opened:
            return read_values(opened[path], path, self.dataset.shape)


def read_values(part: Any, path: str, shape: tuple[int, ...]) -> Array:
    """The numbers of an open dataset in the machine's byte order. Raises Malformed when the file does not hold them."""
    from h5py import h5d, h5t

    kind = part.id.get_type()
    if not any(kind.equal(getattr(h5t, name)) for name in FLOATS) or part.shape != shape:
        raise malformed("dtype", f"{safe(path)} has no plain floating-point numbers", found=safe(part.dtype))
    if part.id.get_create_plist().get_layout() == h5d.CHUNKED:
        return _joined(part, path)
    nbytes, stored = prod(shape) * part.dtype.itemsize, part.id.get_storage_size()
    if stored != nbytes:
        raise _not_stored(path, nbytes, stored)
    out = np.empty(shape, part.dtype.newbyteorder("="))
    if nbytes:
        part.read_direct(out)
    return out


def _not_stored(path: str, nbytes: int, stored: int) -> Exception:
    message = f"{safe(path)} has another size than its values in the file"
    return malformed("storage", message, expected=f"{nbytes} bytes of values", found=f"{stored} bytes stored")


def _joined(part: Any, path: str) -> Array:
    """The chunks, each unpacked and put in its place."""
    filters = _filters(part, path)
    nbytes, one = prod(part.shape) * part.dtype.itemsize, prod(part.chunks) * part.dtype.itemsize
    places = list(_places(part, path)) if nbytes else []
    sizes = [part.id.get_chunk_info_by_coord(place).size or 0 for place in places]
    stored, grown = sum(sizes), one * len(places)
    if not all(sizes) or (filters and grown > max(FREELY_UNPACKED, MAX_RATIO * stored)):
        raise _not_stored(path, nbytes, stored)
    if not filters and any(size != one for size in sizes):
        raise _not_stored(path, grown, stored)
    if any(size > one + one // 100 + 1024 for size in sizes):  # what does not compress grows by less than that
        raise _not_stored(path, grown, stored)
    out = np.empty(part.shape, part.dtype.newbyteorder("="))
    for place in places:
        mask, data = part.id.read_direct_chunk(place)
        for bit, number in reversed(list(enumerate(filters))):
            data = data if mask >> bit & 1 else _undone(number, data, part.dtype.itemsize, one, path)
        if len(data) != one:
            raise _not_stored(path, one, len(data))
        block = np.frombuffer(data, part.dtype).reshape(part.chunks)
        spans = [slice(at, min(at + step, end)) for at, step, end in zip(place, part.chunks, part.shape, strict=True)]
        out[tuple(spans)] = block[tuple(slice(0, s.stop - s.start) for s in spans)]
    return out


def _filters(part: Any, path: str) -> list[int]:
    plan = part.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if filters not in ([], [GZIP], [SHUFFLE], [SHUFFLE, GZIP]):
        found = ", ".join(map(str, filters[:8]))
        help = "write it again without: h5repack -f NONE"
        raise malformed("filter", f"{safe(path)} is packed by filters that are not read", found=found, help=help)
    return filters


def _places(part: Any, path: str) -> Iterator[tuple[int, ...]]:
    counts = [-(-end // step) for end, step in zip(part.shape, part.chunks, strict=True)]
    if prod(counts) > MAX_CHUNKS:
        expected = f"at most {MAX_CHUNKS} chunks"
        raise malformed(
            "too-large", f"{safe(path)} lies in too many chunks", expected=expected, found=f"{prod(counts)}"
        )
    return product(*(range(0, end, step) for end, step in zip(part.shape, part.chunks, strict=True)))


def _undone(number: int, data: bytes, itemsize: int, size: int, path: str) -> bytes:
    """A chunk before a filter; unpacks no further than the chunk is long."""
    if number == SHUFFLE:
        return np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes() if len(data) % itemsize == 0 else data
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise malformed("storage", f"a chunk of {safe(path)} cannot be unpacked", because=safe(error)) from None
    return data
