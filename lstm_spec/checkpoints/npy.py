"""The header of a NumPy array file → dtype, shape and order; and a file that is one array → `Tensors`.

Parsed by a pattern, not by `ast.literal_eval` as NumPy does it: no compiler runs on a stranger's text, and what is
no plain array (objects, which are pickles; records) is refused. Source: numpy.lib.format.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from math import prod
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import Array, File, Malformed, Slice, malformed, truncated
from lstm_spec.checkpoints.shapes import checked_shape
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

MAGIC = b"\x93NUMPY"
LENGTH_SIZES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
MAX_HEADER = 10_000
DTYPE = re.compile(r"[<>|=](?P<kind>[biufcSUVMm])\d{1,9}(\[\w{1,9}\])?")
ITEM = re.compile(
    r"""\s*(?P<quote>['"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*
    (?: (?P<mark>['"])(?P<text>[^'"]*)(?P=mark) | (?P<flag>True|False)
      | \(\s*(?P<sizes>(?:\d{1,19}\s*,\s*)+(?:\d{1,19}\s*)?|)\) )
    \s*(?:,|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Header:
    """An array's dtype, shape and order; `length` is where its values begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    length: int

    @property
    def size(self) -> int:
        """The bytes of header and values together."""
        return self.length + prod(self.shape) * self.dtype.itemsize

    @property
    def loadable(self) -> bool:
        """Whether the values are numbers."""
        return self.dtype.kind in "biufc"


def read_header(stream: BufferedIOBase, name: str) -> Header:
    """The header at the start of `stream`; at most 10 kB are read."""
    start = _exactly(stream, len(MAGIC) + 2)
    if not start.startswith(MAGIC) or (version := start[len(MAGIC) :]) not in LENGTH_SIZES:
        raise _bad_header(name, "the magic of NumPy and version 1, 2 or 3", repr(start))
    length_size = LENGTH_SIZES[version]
    length = int.from_bytes(_exactly(stream, length_size), "little")
    if length > MAX_HEADER:
        raise _bad_header(name, f"at most {MAX_HEADER} bytes", f"{length} bytes")
    items = _items(_exactly(stream, length).decode("latin-1"), name)
    dtype, shape = _dtype(items["descr"], name), _sizes(items["shape"])
    return Header(
        dtype, checked_shape(shape, name), items["fortran_order"] == "True", len(start) + length_size + length
    )


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise truncated("an array's header", size, len(data))
    return data


def _items(text: str, name: str) -> dict[str, str]:
    """The table's three values as they are written; each must be of its own kind."""
    body = text.strip()
    inside = body[1:-1].strip()
    found = [(m["key"], m["text"], m["flag"], m["sizes"]) for m in ITEM.finditer(inside)]
    values = {key: {"descr": descr, "fortran_order": flag, "shape": sizes}[key] for key, descr, flag, sizes in found}
    whole = body[:1] + body[-1:] == "{}" and not ITEM.sub("", inside).strip()
    if not whole or len(found) != 3 or len(values) != 3 or None in values.values():
        raise _bad_header(name, "descr, fortran_order and shape of a plain array", text.strip())
    return values


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


def _dtype(descr: str, name: str) -> np.dtype[Any]:
    if "O" in descr:
        raise malformed(
            "pickle",
            f"{safe(name)} is an array of objects, which is a pickle; it is not read",
            help="save arrays of numbers: numpy.savez without object arrays",
        )
    try:
        if DTYPE.fullmatch(descr):
            return np.dtype(descr)
    except (TypeError, ValueError):
        pass
    raise _bad_header(name, "a dtype of numbers or text", descr)


def _bad_header(name: str, expected: str, found: str) -> Malformed:
    return malformed("header", f"the array header of {safe(name)} is not one", expected=expected, found=safe(found))


def read_npy(file: File, stream: BufferedReader) -> Tensors:
    """The one array of the file, under the file's own name. Raises Malformed when the file has another size."""
    name = os.path.splitext(os.path.basename(file.full))[0]
    header = read_header(stream, name)
    if header.size != file.size:
        raise malformed(
            "shape" if header.size < file.size else "truncated",
            "the file does not have the size of its shape",
            expected=f"{header.size} bytes for {header.dtype.name} {list(header.shape)}",
            found=f"{file.size}",
        )
    load = Values(file, header) if header.loadable else None
    return Tensors(safe(file.path, None), "npy", {name: Tensor(name, header.shape, header.dtype.name, load)})


@dataclass(frozen=True, slots=True)
class Values:
    """Reads the values of the file's one array."""

    file: File
    header: Header

    def __call__(self) -> Array:
        header = self.header
        order = header.shape[::-1] if header.fortran else header.shape
        values = Slice(self.file, header.length, header.dtype, order)()
        return values.transpose().copy() if header.fortran else values
