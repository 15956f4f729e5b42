"""An HDF5 file's bytes → the same bytes, as long as HDF5 gets through them: its global heaps are walked before it does.

A text of variable length lies in a global heap. HDF5 goes from object to object by the sizes that stand there, and one
that leads nowhere holds it up without end (1.14, 2.0), where neither a limit nor Ctrl-C reaches it. Source: HDF5 file
format specification 3.0, III.E.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from typing import Any

from lstm_spec.checkpoints.files import malformed

HEAP = b"GCOL"
LENGTHS_AT = {0: 14, 1: 14, 2: 10, 3: 10}  # where the superblock of a version says how wide a length is
HEADER = 8  # before a length: the signature, version and padding of a heap; an object's index, references, padding


@dataclass(eq=False)
class Passable(RawIOBase):
    """The stream of an HDF5 file. A read raises Malformed where a global heap begins that has no end."""

    inner: BufferedIOBase | RawIOBase

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.inner.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        at = self.inner.tell()
        got: int = self.inner.readinto(buffer)
        if bytes(memoryview(buffer)[:4]) == HEAP:
            check_heap(self._from(at), self._width())
        return got

    def _from(self, at: int) -> bytes:
        """A whole heap: what it says of its size, as far as there is so much."""
        after, width = self.inner.tell(), self._width()
        self.inner.seek(at + HEADER)
        size = int.from_bytes(self.inner.read(width) or b"", "little")
        self.inner.seek(at)
        heap = self.inner.read(size) or b""
        self.inner.seek(after)
        return heap

    def _width(self) -> int:
        after = self.inner.tell()
        self.inner.seek(0)
        start = (self.inner.read(16) or b"").ljust(16, b"\0")
        self.inner.seek(after)
        return start[LENGTHS_AT.get(start[8], 14)]


def check_heap(heap: bytes, width: int) -> None:
    """Raises Malformed when the objects of a global heap do not follow one another to its end."""
    at, header = HEADER + width, HEADER + width
    at, header = at + -at % 8, header + -header % 8
    while at + header <= len(heap):
        index = int.from_bytes(heap[at : at + 2], "little")
        size = int.from_bytes(heap[at + HEADER : at + HEADER + width], "little")
        step = header + size + -size % 8 if index else size  # object 0 is what is free, its header included
        if not 0 < step <= len(heap) - at:
            expected, found = f"1 to {len(heap) - at} bytes", f"{step} bytes"
            raise malformed("heap", "a text lies in a heap whose objects have no end", expected=expected, found=found)
        at += step
