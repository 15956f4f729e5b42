"""A FlatBuffers file, read in place: tables, vectors and texts, every offset held against the file before it is used.

Only what is asked for is read; nothing is kept. Source: the format's internals page, flatbuffers.dev/internals: a table
begins with the distance back to its vtable, which holds its own size, the table's size and the place of each field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BufferedReader

from lstm_spec.checkpoints.files import Malformed, malformed

MAX_TEXT = 4096
BOOL, INT8, UINT8, UINT16, INT32, UINT32 = "?bBHiI"
FLOAT, INT64, UINT64 = "fqQ"


@dataclass(frozen=True, slots=True)
class Buffer:
    """The file: numbers by their place."""

    stream: BufferedReader
    size: int

    def bytes_at(self, at: int, size: int) -> bytes:
        """Raises Malformed when they are not all inside the file."""
        if not 0 <= at <= self.size - size:
            raise _outside(at)
        self.stream.seek(at)
        data = self.stream.read(size)
        if len(data) != size:
            raise _outside(at)
        return data

    def numbers(self, kind: str, at: int, count: int = 1) -> list[int | float]:
        """`count` numbers of one kind. Raises Malformed before it reads when there is no room for them."""
        layout = f"<{count}{kind}"
        return list(struct.unpack(layout, self.bytes_at(at, struct.calcsize(layout))))

    def integer(self, kind: str, at: int) -> int:
        return int(self.numbers(kind, at)[0])

    def root(self) -> Table:
        """The file's first table."""
        return self.table(self.integer(UINT32, 0))

    def table(self, at: int) -> Table:
        """The table at a place. Raises Malformed when its vtable is none."""
        vtable = at - self.integer(INT32, at)
        length = self.integer(UINT16, vtable) if vtable >= 0 else 0
        if length < 4 or length % 2 or vtable + length > self.size:
            raise malformed("flatbuffer", "a table of the file has no description", found=f"a vtable at byte {vtable}")
        return Table(self, at, vtable, length)

    def jump(self, at: int) -> int:
        """Where the offset that stands at a place leads."""
        return at + self.integer(UINT32, at)


@dataclass(frozen=True, slots=True)
class Table:
    """One table; a field that it does not have reads as the default."""

    buffer: Buffer
    at: int
    vtable: int
    length: int

    def _field(self, number: int) -> int:
        """The place of a field; 0 where it is left out."""
        entry = 4 + 2 * number
        offset = self.buffer.integer(UINT16, self.vtable + entry) if entry + 2 <= self.length else 0
        return self.at + offset if offset else 0

    def number(self, number: int, kind: str, default: int = 0) -> int:
        return self.buffer.integer(kind, at) if (at := self._field(number)) else default

    def real(self, number: int) -> float:
        return float(self.buffer.numbers(FLOAT, at)[0]) if (at := self._field(number)) else 0.0

    def child(self, number: int) -> Table | None:
        return self.buffer.table(self.buffer.jump(at)) if (at := self._field(number)) else None

    def text(self, number: int) -> str:
        if not (at := self._field(number)):
            return ""
        start = self.buffer.jump(at)
        size = self.buffer.integer(UINT32, start)
        if size > MAX_TEXT:
            raise malformed("too-large", "a name in the file is too long", expected=f"at most {MAX_TEXT} bytes")
        return self.buffer.bytes_at(start + 4, size).decode("utf-8", "backslashreplace")

    def extent(self, number: int) -> tuple[int, int]:
        """The place and the length of a vector; (0, 0) where it is left out."""
        if not (at := self._field(number)):
            return 0, 0
        start = self.buffer.jump(at)
        return start + 4, self.buffer.integer(UINT32, start)

    def numbers(self, number: int, kind: str) -> list[int | float]:
        start, count = self.extent(number)
        return self.buffer.numbers(kind, start, count) if count else []

    def integers(self, number: int, kind: str) -> list[int]:
        return [int(value) for value in self.numbers(number, kind)]

    def children(self, number: int, most: int) -> list[Table]:
        """The tables of a vector. Raises Malformed when they are more than `most`."""
        start, count = self.extent(number)
        if count > most:
            raise malformed("too-large", "the file has too many parts", expected=f"at most {most}", found=f"{count}")
        self.buffer.bytes_at(start, 0 if count == 0 else 4)
        return [self.buffer.table(self.buffer.jump(start + 4 * i)) for i in range(count)]


def _outside(at: int) -> Malformed:
    return malformed("truncated", "the file points outside itself, or ends too early", found=f"byte {at}")
