"""The ZIP archive of `torch.save` and of TorchScript → the tensors that its pickle names, and where their bytes are.

What an archive holds besides (code, debug information) is not looked at.
"""

from __future__ import annotations

import io
import zipfile
from bisect import bisect_right
from collections.abc import Mapping
from io import BufferedReader
from typing import Any

from lstm_spec.checkpoints.archives import KNOWN_FLAGS, LOCAL_SIZE, check_places, odd_member, read_directory
from lstm_spec.checkpoints.files import File, malformed, take
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.checkpoints.torch.names import Found, find_tensors
from lstm_spec.checkpoints.torch.pickles import MAX_PICKLE, Source, read_pickle
from lstm_spec.checkpoints.torch.tensors import KNOWN, Storage, collector
from lstm_spec.checkpoints.torch.values import Order, Region, begin_of
from lstm_spec.errors import safe

PICKLE = "data.pkl"
MAX_SMALL = 100
ORDERS: Mapping[bytes, Order] = {b"little": "<", b"big": ">"}


def read_archive(file: File, stream: BufferedReader) -> tuple[Found, Mapping[str, Region]]:
    """The tensors, and for each storage's key its bytes. Raises Malformed for an archive that PyTorch did not write."""
    members = read_directory(stream)
    check_count(len(members))
    by_name = _checked_members(members)
    check_places(members, file.size)
    pickles = [name for name in by_name if name == PICKLE or name.endswith(f"/{PICKLE}")]
    if len(pickles) != 1:
        found = ", ".join(map(safe, pickles[:3])) or "none"
        raise malformed("archive", f"the archive must hold one {PICKLE}", found=found)
    root = pickles[0].removesuffix(PICKLE)
    order = ORDERS.get(_small(stream, by_name, f"{root}byteorder", b"little"))
    if order is None:
        raise malformed("archive", "the archive's byteorder is none", expected="little or big")
    if not _small(stream, by_name, f"{root}version", b"3").strip().isdigit():
        raise malformed("archive", "the archive's version is no number")
    storages: dict[str, Storage] = {}
    record = _read_data(stream, _stored(by_name, pickles[0], MAX_PICKLE), storages)
    starts = [*sorted(info.header_offset for info in members), file.size]
    regions = {}
    for key, storage in storages.items():
        info = _checked_storage(by_name, f"{root}data/{key}", storage)
        regions[key] = Region(0, starts[bisect_right(starts, info.header_offset)], order, info)
    return find_tensors(record), regions


def _checked_members(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    by_name: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        name = info.orig_filename
        if name in by_name:
            raise malformed("duplicate", f"the archive holds {safe(name)} twice")
        if info.flag_bits & ~KNOWN_FLAGS:
            raise odd_member(name, "it is encrypted or has unknown flags")
        if name != info.filename or name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise odd_member(name, "its name is that of a file elsewhere")
        by_name[name] = info
    return by_name


def _stored(by_name: Mapping[str, zipfile.ZipInfo], name: str, most: int) -> zipfile.ZipInfo:
    """A member as it is read: not compressed, and not larger than it may be."""
    info = by_name[name]
    if info.compress_type != zipfile.ZIP_STORED:
        raise odd_member(name, "it is compressed, which PyTorch never does")
    if info.file_size > most:
        raise odd_member(name, f"it has {info.file_size} bytes, more than {most}")
    return info


def _small(stream: BufferedReader, by_name: Mapping[str, zipfile.ZipInfo], name: str, default: bytes) -> bytes:
    if name not in by_name:
        return default
    return _read_member(stream, _stored(by_name, name, MAX_SMALL))


def _read_data(stream: BufferedReader, info: zipfile.ZipInfo, storages: dict[str, Storage]) -> Any:
    data = _read_member(stream, info)
    source = Source(io.BytesIO(data), len(data))
    record = read_pickle(source, KNOWN, collector(storages))
    if source.tell() != len(data):
        raise malformed("pickle", "bytes follow after the pickle", found=f"{len(data) - source.tell()} bytes")
    return record


def _checked_storage(by_name: Mapping[str, zipfile.ZipInfo], name: str, storage: Storage) -> zipfile.ZipInfo:
    """The member of a storage. Raises Malformed unless it is there and has the size of its values."""
    if name not in by_name:
        raise malformed("storage", f"the storage {safe(storage.key)} is missing", expected=f"the member {safe(name)}")
    info = _stored(by_name, name, 2**62)
    if info.file_size != storage.size:
        expected = f"{storage.size} bytes for {storage.count} {storage.dtype.name}"
        message = f"the storage {safe(storage.key)} does not have the size of its values"
        raise malformed("storage", message, expected=expected, found=f"{info.file_size} bytes")
    return info


def _read_member(stream: BufferedReader, info: zipfile.ZipInfo) -> bytes:
    """A small member, without its checksum: `torch.serialization.set_crc32_options(False)` writes none."""
    return take(
        stream,
        begin_of(stream, info, info.header_offset + LOCAL_SIZE + info.file_size + 2**17),
        info.file_size,
        safe(info.filename),
    )
