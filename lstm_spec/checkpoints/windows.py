"""A part of an open file as a file of its own, so that a reader of one format can read it inside another."""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, RawIOBase
from typing import Any


@dataclass(eq=False)
class Window(RawIOBase):
    """`size` bytes of `stream` from `begin`; reads nothing outside of them, and never more than it is asked for."""

    stream: BufferedReader
    begin: int
    size: int
    at: int = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self.at = max(0, {SEEK_SET: 0, SEEK_CUR: self.at, SEEK_END: self.size}[whence] + offset)
        return self.at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self.size - self.at))
        self.stream.seek(self.begin + self.at)
        got = self.stream.readinto(view[:wanted])
        self.at += got
        return got
