"""PyTorch's format before 1.6 → its tensors: five pickles one after another, then every storage after its count."""

from __future__ import annotations

from collections.abc import Mapping
from io import BufferedReader
from typing import Any

from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.checkpoints.torch.names import Found, find_tensors
from lstm_spec.checkpoints.torch.pickles import Source, read_pickle
from lstm_spec.checkpoints.torch.records import Table
from lstm_spec.checkpoints.torch.tensors import KNOWN, Storage, collector
from lstm_spec.checkpoints.torch.values import Region
from lstm_spec.errors import safe

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
COUNT_SIZE = 8
Regions = Mapping[str, Region]


def read_legacy(file: File, stream: BufferedReader) -> tuple[Found, Regions]:
    """The tensors, and for each storage's key its bytes. Raises Malformed for any other pickle."""
    storages: dict[str, Storage] = {}

    def read() -> Any:
        return read_pickle(Source(stream, file.size), KNOWN, collector(storages))

    if read() != MAGIC:
        raise malformed(
            "pickle",
            "this pickle is no PyTorch checkpoint",
            expected="the number with which torch.save begins",
            because="a plain pickle keeps its arrays inside other pickles, which are not read",
            help="save it with torch.save(model.state_dict(), 'model.pt'), or convert it to safetensors",
        )
    protocol, system = read(), read()
    if protocol != PROTOCOL or not isinstance(system, Table) or system.get("little_endian") is False:
        expected = f"protocol {PROTOCOL}, little-endian"
        raise malformed("pickle", "the checkpoint is of a machine or protocol that is not read", expected=expected)
    record, keys = read(), read()
    return find_tensors(record), _legacy_regions(file, stream, storages, keys)


def _legacy_regions(
    file: File, stream: BufferedReader, storages: Mapping[str, Storage], keys: Any
) -> dict[str, Region]:
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) < len(keys):
        raise malformed("pickle", "the list of storages is none")
    check_count(len(keys))
    begins = _begins(file, stream, keys, {s.whole or s.key: s for s in storages.values()})
    regions = {}
    for key, storage in storages.items():
        begin, count = begins.get(storage.whole or key, (0, -1))
        if storage.begin + storage.count > count or (not storage.whole and storage.count != count):
            found = "none" if count < 0 else f"{count} values"
            message = f"the storage {safe(key)} does not have the size of its values"
            raise malformed("storage", message, expected=f"{storage.count} values", found=found)
        begin += storage.begin * storage.dtype.size
        regions[key] = Region(begin, begin + storage.size)
    return regions


def _begins(file: File, stream: BufferedReader, keys: list[str], sizes: Mapping[str, Storage]) -> dict[str, Any]:
    """Where each storage's values begin, and how many there are."""
    at, begins = stream.tell(), dict[str, tuple[int, int]]()
    for key in keys:
        if key not in sizes:
            raise malformed("storage", f"the storage {safe(key)} is listed, and no tensor lies in it")
        stream.seek(at)
        count = int.from_bytes(stream.read(COUNT_SIZE), "little")
        begins[key] = at + COUNT_SIZE, count
        at += COUNT_SIZE + count * sizes[key].dtype.size
        if at > file.size:
            what = f"the file ends inside the storage {safe(key)}"
            raise malformed("truncated", what, expected=f"{at} bytes", found=f"{file.size} bytes")
    if at != file.size:
        what = "bytes follow that belong to no storage"
        raise malformed("storage", what, expected=f"{at} bytes", found=f"{file.size} bytes")
    return begins
