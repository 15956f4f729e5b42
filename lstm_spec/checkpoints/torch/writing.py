"""Tensors by name → the bytes of a PyTorch state dict, without PyTorch: `torch.load(path, weights_only=True)` reads it.

A ZIP archive, nothing in it compressed: a pickle of protocol 2 that builds an OrderedDict, and one member for the
numbers of each tensor. Only the opcodes that this needs are written. No clock goes in: the same tensors are the same
bytes. Source: torch/serialization.py, torch/_weights_only_unpickler.py and torch/_utils.py (`_rebuild_tensor_v2`) of
PyTorch 2.13.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage"}
ROOT = "archive"
LOCAL_HEADER = 30  # bytes of a member's header before its name
ALIGNMENT = 64  # as PyTorch's own writer: what lets `torch.load(mmap=True)` point into the file


def torch_bytes(tensors: Mapping[str, Array]) -> bytes:
    """A `.pt` file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, file, "data.pkl", b"".join(_pickled(tensors)))
        _add(archive, file, "byteorder", b"little")
        for key, array in enumerate(tensors.values()):
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            _add(archive, file, f"data/{key}", little.tobytes())
        _add(archive, file, "version", b"3\n")
    return file.getvalue()


def _add(archive: zipfile.ZipFile, file: io.BytesIO, name: str, data: bytes) -> None:
    """One member whose bytes begin at a multiple of 64, by padding in its header's extra field."""
    info = zipfile.ZipInfo(f"{ROOT}/{name}")
    begin = file.tell() + LOCAL_HEADER + len(info.filename) + 4
    padding = -begin % ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, data)


def _pickled(tensors: Mapping[str, Array]) -> Iterable[bytes]:
    yield b"\x80\x02"
    yield _called("collections", "OrderedDict")
    yield b"("
    for key, (name, array) in enumerate(tensors.items()):
        yield _text(name)
        yield _tensor(str(key), array)
    yield b"u."


def _tensor(key: str, array: Array) -> bytes:
    """`_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`; the storage is named, not pickled."""
    storage = [_text("storage"), _global("torch", STORAGES[array.dtype.name]), _text(key), _text("cpu")]
    strides = list(accumulate(array.shape[:0:-1], lambda a, b: a * b, initial=1))[::-1] if array.ndim else []
    arguments = [
        _tuple([*storage, _whole(array.size)]) + b"Q",
        _whole(0),
        _tuple(map(_whole, array.shape)),
        _tuple(map(_whole, strides)),
        b"\x89",
        _called("collections", "OrderedDict"),
    ]
    return _global("torch._utils", "_rebuild_tensor_v2") + _tuple(arguments) + b"R"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode("ascii")


def _called(module: str, name: str) -> bytes:
    """A call without arguments."""
    return _global(module, name) + b")R"


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _whole(number: int) -> bytes:
    if number < 2**31:
        return b"J" + struct.pack("<i", number)
    data = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _tuple(parts: Iterable[bytes]) -> bytes:
    return b"(" + b"".join(parts) + b"t"
