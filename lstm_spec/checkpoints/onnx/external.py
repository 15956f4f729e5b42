"""ONNX external data: where a tensor's values lie in a second file, held against the rules before it is touched.

The file must lie in the model's own directory or below it, be a regular file under one name, reached by no link, and be
as long as the tensor needs. Nothing of it is read here: its size comes from the directory. Source: onnx.proto3,
TensorProto.external_data, and onnx's docs/security.md (CVE-2024-27318, -2026-27489, -2026-34445).
"""

from __future__ import annotations

import os
import re
import stat
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lstm_spec.checkpoints.files import File, Malformed, Slice, malformed, open_stamped, stamp_of
from lstm_spec.errors import safe

if TYPE_CHECKING:
    from onnx import TensorProto

KEYS = ("location", "offset", "length", "checksum")
NUMBER = re.compile(r"[0-9]{1,19}")
INSIDE = "a path inside the model's own directory"


def external_slice(proto: TensorProto, name: str, model: File | None, needed: int, dtype: str | None) -> Slice | None:
    """What reads the tensor's `needed` bytes; None where the file is missing or NumPy lacks the `dtype`.

    Raises Malformed when the entries, the path or the place in the file are not what they must be.
    """
    if proto.HasField("raw_data"):
        raise malformed("external", f"{safe(name)} has its data in the model and in another file")
    entries = _entries(proto, name)
    offset = _number(entries.get("offset", "0"), "offset", name)
    length = _number(entries.get("length", str(needed)), "length", name)
    parts = _parts(entries.get("location", ""), name)
    if length != needed:
        raise _wrong(name, "has external data of another length", f"{needed} bytes for its shape", f"{length} bytes")
    if model is None:
        raise malformed("external", f"{safe(name)} has external data where none is allowed")
    found = _inside(os.path.dirname(model.full), parts, name) if model.full else None
    if found is None:
        return None
    if offset + length > found.size:
        ends = f"bytes {offset} to {offset + length}"
        raise _wrong(name, "lies beyond the end of its external data", ends, f"a file of {found.size} bytes")
    return Slice(found, offset, np.dtype(dtype).newbyteorder("<"), tuple(proto.dims)) if dtype else None


def location_of(proto: TensorProto) -> str:
    """The name of the external file, for people."""
    return safe(next((entry.value for entry in proto.external_data if entry.key == "location"), ""))


def is_missing(proto: TensorProto, model: File | None) -> bool:
    """Whether the external file, whose path has been checked, is not there; nothing is beside a model by address."""
    location = next((entry.value for entry in proto.external_data if entry.key == "location"), "")
    if model is None:
        return False
    return not model.full or not os.path.lexists(os.path.join(os.path.dirname(model.full), location))


def _entries(proto: TensorProto, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in proto.external_data:
        if entry.key not in KEYS:
            raise _wrong(name, "has an unknown entry for its external data", ", ".join(KEYS), safe(entry.key))
        if entry.key in found:
            raise _wrong(name, "has an entry for its external data twice", "", entry.key)
        found[entry.key] = entry.value
    return found


def _number(text: str, key: str, name: str) -> int:
    if not NUMBER.fullmatch(text):
        raise _wrong(
            name,
            f"has external data with {'an' if key == 'offset' else 'a'} {key} that is none",
            "a whole number, 0 or more",
            safe(text),
        )
    return int(text)


def _parts(location: str, name: str) -> list[str]:
    """The path's parts. Raises Malformed for whatever could lead out of a directory, here or on another system."""
    parts = location.split("/")
    odd = any(ch in location for ch in "\0\\:") or any(part in ("", ".", "..") for part in parts)
    if odd or location.startswith("~"):
        raise _wrong(name, "has external data at a place that is not read", INSIDE, f"'{safe(location)}'")
    return parts


def _inside(directory: str, parts: list[str], name: str) -> File | None:
    """The file as the directory tells of it, no link followed; None where there is none."""
    path = directory
    for number, part in enumerate(parts):
        path = os.path.join(path, part)
        try:
            now = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        last = number == len(parts) - 1
        if not (stat.S_ISREG if last else stat.S_ISDIR)(now.st_mode):
            raise _wrong(name, "has external data that is no plain file", "a regular file, no link", _kind(now.st_mode))
    if now.st_nlink != 1:
        found = f"{now.st_nlink} names"
        raise _wrong(name, "has external data that is a file under several names", "one name", found)
    return File(path, path, now.st_size, stamp_of(now), partial(open_stamped, path))


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe, a socket or a device" if not stat.S_ISREG(mode) else "a file where a directory must be"


def _wrong(name: str, what: str, expected: str, found: str) -> Malformed:
    return malformed("external", f"{safe(name)} {what}", expected=expected, found=found)
