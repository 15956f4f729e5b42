"""PyTorch's files, written by hand and without PyTorch: a pickle from its opcodes, an archive around it.

tensor("0", (2, 3))             the opcodes of a float32 tensor in the storage 0
state_dict({"w": tensor(…)})    a pickle
archive(pickle, {"0": bytes})   a file
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

KINDS = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "bool": "Bool"}


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def group(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def call(name: str, *arguments: bytes) -> bytes:
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + group(*arguments) + b"R"


def storage(key: str, count: int, kind: str = "Float", legacy: bool = False) -> bytes:
    more = (b"N",) if legacy else ()
    return (
        group(text("storage"), f"ctorch\n{kind}Storage\n".encode(), text(key), text("cpu"), number(count), *more) + b"Q"
    )


def contiguous(shape: Iterable[int]) -> tuple[int, ...]:
    shape = tuple(shape)
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def tensor(
    key: str = "0",
    shape: tuple[int, ...] = (2, 3),
    offset: int = 0,
    stride: tuple[int, ...] | None = None,
    count: int | None = None,
    kind: str = "Float",
    legacy: bool = False,
) -> bytes:
    stride = contiguous(shape) if stride is None else stride
    sizes, steps = (group(*map(number, values)) for values in (shape, stride))
    held = storage(key, prod(shape) if count is None else count, kind, legacy)
    return call(
        "torch._utils._rebuild_tensor_v2", held, number(offset), sizes, steps, b"\x89", call("collections.OrderedDict")
    )


def table(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def stream(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def state_dict(items: Mapping[str, bytes]) -> bytes:
    return stream(table(items))


def archive(
    data: bytes | None,
    storages: Mapping[str, bytes] | None = None,
    more: Iterable[tuple[str, bytes]] = (),
    method: int = zipfile.ZIP_STORED,
    order: bytes = b"little",
) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as target:
        members = [("m/data.pkl", data), ("m/byteorder", order), ("m/version", b"3\n")]
        members += [(f"m/data/{key}", value) for key, value in (storages or {}).items()]
        for name, value in (*members, *more):
            if value is not None:
                target.writestr(zipfile.ZipInfo(name), value, method)
    return held.getvalue()


def legacy(body: bytes, storages: Mapping[str, bytes], size: int = 4) -> bytes:
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    keys = stream(b"](" + b"".join(map(text, storages)) + b"e")
    values = b"".join(struct.pack("<q", len(value) // size) + value for value in storages.values())
    return magic + stream(b"M\xe9\x03") + stream(table({"little_endian": b"\x88"})) + stream(body) + keys + values


def saved(arrays: Mapping[str, Any]) -> bytes:
    """What `torch.save` would write of a state dict of these arrays."""
    items, storages = {}, {}
    for index, (name, array) in enumerate(arrays.items()):
        items[name] = tensor(str(index), array.shape, kind=KINDS[array.dtype.name])
        storages[str(index)] = np.ascontiguousarray(array).tobytes()
    return archive(state_dict(items), storages)
