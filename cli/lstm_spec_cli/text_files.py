"""A path → the text in it, for the small files that people write: cells and contracts."""

from __future__ import annotations

import codecs
import os
import stat
from typing import NoReturn

from lstm_spec.errors import FileError, Finding, safe

# A pipe is refused rather than waited for.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what `>` of PowerShell 5 writes


def read_text(path: str, largest: int, hint: str, expected: str) -> str:
    """The text of a regular file of at most `largest` bytes; `hint` says what to write into an empty one.

    Raises FileError when there is none, and when it is too large or no text.
    """
    try:
        content = _read_regular(path, largest)
    except FileNotFoundError:
        _refuse(path, "missing", "there is no such file")
    except OSError as error:
        _refuse(path, "unreadable", "the file cannot be read", because=error.strerror or str(error))
    if len(content) > largest:
        _refuse(path, "too-large", f"the file has more than {largest // 1024} kB", expected=expected)
    if not content.strip():
        _refuse(path, "empty", "the file is empty", expected=hint)
    encoding = "utf-16" if content.startswith(UTF_16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        found = f"the byte 0x{content[error.start]:02x} at {error.start}"
        _refuse(path, "not-text", "the file is not UTF-8 text", expected=expected, found=found)


def _read_regular(path: str, largest: int) -> bytes:
    """At most one byte more than is allowed."""
    if "\0" in path:
        raise FileNotFoundError(path)
    descriptor = os.open(path, OPEN_FLAGS)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            found = "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
            _refuse(path, "not-a-file", "this is not a regular file", expected="a regular file", found=found)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(largest + 1)
    finally:
        os.close(descriptor)


def _refuse(path: str, code: str, message: str, expected: str = "", found: str = "", because: str = "") -> NoReturn:
    raise FileError(Finding(code, message, safe(path, None), expected, found, because)) from None
