"""A Flax MessagePack file → `Tensors`, read by its headers: nothing is built that is not an array's name or shape.

Flax writes nested tables; an array is an extension whose payload is (shape, dtype's name, bytes), and one above 1 GB a
table of pieces. The bytes are skipped, and read when a tensor is asked for. Sources: the MessagePack specification;
flax/serialization.py of Flax 0.12, `_ndarray_to_bytes` and `_chunk`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import Array, Bfloat16, File, Malformed, Slice, malformed, take
from lstm_spec.checkpoints.shapes import MAX_RANK, check_count, checked_shape
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

MAX_DEPTH = 64
MAX_NAME = 4096
MAX_PARTS = 500_000
ARRAY, COMPLEX, SCALAR = 1, 2, 3
CHUNKED = "__msgpack_chunked_array__"
# NumPy's names of what Flax stores; the others have a shape and no values here.
LOADABLE = ("float16", "float32", "float64")
SIZES = {
    **{name: np.dtype(name).itemsize for name in (*LOADABLE, "bool", "complex64", "complex128")},
    **{f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3b11fnuz": 1,
    "int4": 1,
    "uint4": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
}
# marker → kind, and how many bytes its length (or its value) has
MARKERS = {
    **{0xC4 + i: ("bin", 1 << i) for i in range(3)},
    **{0xC7 + i: ("ext", 1 << i) for i in range(3)},
    **{0xD9 + i: ("str", 1 << i) for i in range(3)},
    **{0xDC + i: ("array", 2 << i) for i in range(2)},
    **{0xDE + i: ("map", 2 << i) for i in range(2)},
    0xCA: ("number", 4),
    0xCB: ("number", 8),
    **{0xCC + i: ("uint", 1 << i) for i in range(4)},
    **{0xD0 + i: ("int", 1 << i) for i in range(4)},
}


@dataclass(frozen=True, slots=True)
class Item:
    """One value's header: what it is, its number or how many bytes or parts follow; `tag` of an extension."""

    kind: str
    count: int = 0
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """One stored array: its shape, its type's name, and where its bytes begin."""

    shape: tuple[int, ...]
    dtype: str
    begin: int

    def values(self, file: File) -> Slice | Bfloat16 | None:
        """What reads it; None for types that NumPy has not, but for bfloat16."""
        if self.dtype == "bfloat16":
            return Bfloat16(Slice(file, self.begin, np.dtype("<u2"), self.shape))
        return Slice(file, self.begin, np.dtype(self.dtype), self.shape) if self.dtype in LOADABLE else None


@dataclass(frozen=True, slots=True)
class Joined:
    """Reads an array that was stored in pieces, one after the other."""

    pieces: tuple[Slice | Bfloat16, ...]
    shape: tuple[int, ...]

    def __call__(self) -> Array:
        return np.concatenate([piece() for piece in self.pieces]).reshape(self.shape)


class Reader:
    """A position in the stream, and bounds on how much is read from there."""

    def __init__(self, stream: BufferedReader, size: int) -> None:
        self.stream, self.size, self.at, self.parts = stream, size, 0, 0

    def take(self, size: int, end: int) -> bytes:
        """The next bytes, which lie before `end`; callers ask for a few."""
        if size > end - self.at:
            raise _broken(f"{size} bytes from byte {self.at}", f"{end - self.at}")
        data = take(self.stream, self.at, size, "a value")
        self.at += size
        return data

    def skip(self, size: int, end: int) -> int:
        """Passes over bytes that lie before `end`; where they begin."""
        if size > end - self.at:
            raise _broken(f"{size} bytes from byte {self.at}", f"{end - self.at}")
        begin = self.at
        self.at += size
        return begin

    def item(self, end: int) -> Item:
        """The next value's header."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise malformed("too-large", "the file has too many values", expected=f"at most {MAX_PARTS}")
        marker = self.take(1, end)[0]
        if marker < 0x80:
            return Item("uint", marker)
        if marker < 0xC0:
            kind = "map" if marker < 0x90 else "array" if marker < 0xA0 else "str"
            return Item(kind, marker & (0x1F if kind == "str" else 0x0F))
        if marker >= 0xE0:
            return Item("int", marker - 0x100)
        if marker in (0xC0, 0xC2, 0xC3):
            return Item("nil" if marker == 0xC0 else "bool", marker & 1)
        if 0xD4 <= marker <= 0xD8:
            return Item("ext", 1 << (marker - 0xD4), self.take(1, end)[0])
        if marker not in MARKERS:
            raise _broken("a marker of MessagePack", f"0x{marker:02x} at byte {self.at - 1}")
        return self._long(*MARKERS[marker], end)

    def _long(self, kind: str, width: int, end: int) -> Item:
        data = self.take(width, end)
        if kind == "number":
            return Item(kind)
        count = int.from_bytes(data, "big", signed=kind == "int")
        return Item(kind, count, self.take(1, end)[0] if kind == "ext" else 0)

    def text(self, item: Item, end: int) -> str:
        """A name or the name of a type. Raises Malformed for what is none."""
        if item.kind in ("uint", "int"):
            return str(item.count)
        if item.kind != "str" or item.count > MAX_NAME:
            raise _broken(f"a name of at most {MAX_NAME} bytes", f"{item.kind} {item.count}")
        try:
            return self.take(item.count, end).decode("utf-8")
        except UnicodeDecodeError:
            raise _broken("a name in UTF-8", "other bytes") from None


def read_msgpack(file: File, stream: BufferedReader) -> Tensors:
    """The arrays of nested tables, their names joined by `/`. Raises Malformed for what Flax does not write."""
    reader = Reader(stream, file.size)
    tensors: dict[str, Tensor] = {}
    for tensor in _read(reader, "", 0, file):
        if tensor.name in tensors:
            raise malformed("duplicate", f"the file names {safe(tensor.name)} twice")
        tensors[tensor.name] = tensor
        check_count(len(tensors))
    if reader.at != file.size:
        raise _broken(f"the end at byte {reader.at}", f"{file.size - reader.at} bytes more")
    return Tensors(safe(file.path, None), "msgpack", tensors)


def _read(reader: Reader, path: str, depth: int, file: File) -> Iterator[Tensor]:
    """The arrays of one value."""
    item = reader.item(reader.size)
    if depth > MAX_DEPTH:
        raise malformed("nesting", "the file is nested too deeply", expected=f"at most {MAX_DEPTH} levels")
    if depth == 0 and item.kind != "map":
        raise _broken("a table", item.kind)
    if item.kind == "map":
        yield from _table(reader, item.count, path, depth, file)
    elif item.kind == "array":
        for number in range(item.count):
            yield from _read(reader, f"{path}/{number}", depth + 1, file)
    elif item.kind == "ext" and item.tag in (ARRAY, SCALAR):
        piece = _piece(reader, item, path)
        yield Tensor(path, piece.shape, piece.dtype, piece.values(file))
    elif item.kind in ("ext", "bin", "str"):
        reader.skip(item.count, reader.size)


def _table(reader: Reader, count: int, path: str, depth: int, file: File) -> Iterator[Tensor]:
    seen: set[str] = set()
    for _ in range(count):
        key = reader.text(reader.item(reader.size), reader.size)
        if key in seen:
            raise malformed("duplicate", f"the table {safe(path) or 'of the file'} names {safe(key)} twice")
        seen.add(key)
        name = f"{path}/{key}" if path else key
        if key == CHUNKED:
            yield _chunked(reader, count, path, file)
            return
        yield from _read(reader, name, depth + 1, file)


def _piece(reader: Reader, item: Item, path: str) -> Piece:
    """An extension's payload: (shape, type, bytes), which agree and fill it."""
    end = reader.at + item.count
    if end > reader.size:
        raise _broken(f"{item.count} bytes for {safe(path)}", f"{reader.size - reader.at}")
    three, sizes = reader.item(end), reader.item(end)
    if (three.kind, three.count, sizes.kind) != ("array", 3, "array") or sizes.count > MAX_RANK:
        raise _broken(f"shape, type and bytes of {safe(path)}", f"{three.kind} {three.count}, {sizes.kind}")
    numbers = [reader.item(end) for _ in range(sizes.count)]
    if any(number.kind != "uint" for number in numbers):
        raise _broken(f"sizes in the shape of {safe(path)}", safe([number.kind for number in numbers]))
    shape = checked_shape([number.count for number in numbers], path)
    dtype, data = reader.text(reader.item(end), end), reader.item(end)
    nbytes = prod(shape) * SIZES.get(dtype, 0)
    if dtype not in SIZES or data.kind != "bin":
        raise malformed("dtype", f"{safe(path)} has no type that Flax stores", found=safe(dtype))
    if reader.at + data.count != end:
        raise _broken(f"the bytes of {safe(path)} up to byte {end}", f"byte {reader.at + data.count}")
    if data.count != nbytes:
        expected = f"{nbytes} bytes for {dtype} {list(shape)}"
        message = f"{safe(path)} does not have the data of its shape"
        raise malformed("shape", message, expected=expected, found=f"{data.count} bytes")
    return Piece(shape, dtype, reader.skip(data.count, end))


def _chunked(reader: Reader, count: int, path: str, file: File) -> Tensor:
    """`{__msgpack_chunked_array__: True, shape: {"0": 3, …}, chunks: {"0": …}}`."""
    reader.item(reader.size)
    if count != 3 or reader.text(reader.item(reader.size), reader.size) != "shape":
        raise _broken(f"the shape of {safe(path)}", "something else")
    sizes = [value.count if value.kind == "uint" else -1 for value in _numbered(reader, path)]
    shape = checked_shape(sizes, path)
    if reader.text(reader.item(reader.size), reader.size) != "chunks":
        raise _broken(f"the pieces of {safe(path)}", "something else")
    pieces = [_piece(reader, item, path) for item in _numbered(reader, path)]
    dtypes = {piece.dtype for piece in pieces}
    if len(dtypes) != 1 or sum(prod(piece.shape) for piece in pieces) != prod(shape):
        raise malformed("shape", f"the pieces of {safe(path)} do not make its shape", expected=str(list(shape)))
    loads = [piece.values(file) for piece in pieces]
    known = tuple(load for load in loads if load is not None)
    return Tensor(path, shape, dtypes.pop(), Joined(known, shape) if len(known) == len(loads) else None)


def _numbered(reader: Reader, path: str) -> Iterator[Item]:
    """The headers of a table's values under "0", "1", …; whoever takes one reads on to its end."""
    table = reader.item(reader.size)
    if table.kind != "map":
        raise _broken(f"a table of the parts of {safe(path)}", table.kind)
    for number in range(table.count):
        if reader.text(reader.item(reader.size), reader.size) != str(number):
            raise _broken(f"part {number} of {safe(path)}", "another")
        yield reader.item(reader.size)


def _broken(expected: str, found: Any) -> Malformed:
    return malformed("msgpack", "this is not what Flax writes", expected=expected, found=str(found))
