"""`--cell` → a `Cell`: a file in the equation language, or a name of the catalogue."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NoReturn

from lstm_spec.errors import FileError, Finding, safe

if TYPE_CHECKING:
    from lstm_spec.symbolic.cell import Cell

LARGEST = 64 * 1024  # bytes, the language's own bound
# A pipe is refused rather than waited for.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)


def read_cell(given: str) -> Cell:
    """The cell that `--cell` names: a path when it ends in `.cell` or has a slash, else a name.

    Raises FileError when the file cannot be read as text, CellError when its equations are wrong, OptionError when
    the catalogue does not know the name.
    """
    if not (given.endswith(".cell") or "/" in given or os.sep in given):
        from lstm_spec.cells import get

        return get(given)
    from lstm_spec.symbolic.language import parse

    return parse(_read_text(given), name=os.path.basename(given))


def _read_text(path: str) -> str:
    try:
        content = _read_regular(path)
    except FileNotFoundError:
        _refuse(path, "missing", "there is no such file")
    except OSError as error:
        _refuse(path, "unreadable", "the file cannot be read", because=error.strerror or str(error))
    if len(content) > LARGEST:
        _refuse(path, "too-large", f"the file has more than {LARGEST // 1024} kB", expected="equations as text")
    if not content.strip():
        _refuse(path, "empty", "the file is empty", expected="equations, e.g. what lstm-spec equations prints")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{content[error.start]:02x} at {error.start}"
        _refuse(path, "not-text", "the file is not UTF-8 text", found=found)


def _read_regular(path: str) -> bytes:
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
            return file.read(LARGEST + 1)
    finally:
        os.close(descriptor)


def _refuse(path: str, code: str, message: str, expected: str = "", found: str = "", because: str = "") -> NoReturn:
    raise FileError(Finding(code, message, safe(path, None), expected, found, because)) from None
