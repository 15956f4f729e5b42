"""Tensors by name → the bytes of a Flax MessagePack file: `flax.serialization.msgpack_restore` reads it.

A name's slashes are tables in each other, as in a Flax tree of parameters. An array is an extension of type 1 whose
payload is (shape, dtype's name, bytes). Source: flax/serialization.py, Flax 0.12, and the MessagePack specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lstm_spec.errors import Finding, OptionError, safe

Array = np.ndarray[Any, Any]
Tree = dict[str, "Tree | Array"]

NDARRAY = 1
# the largest length that one, two and four bytes hold, and the marks for text, bytes, tables, lists and extensions
TEXT, BINARY, EXTENSION = (0xD9, 0xDA, 0xDB), (0xC4, 0xC5, 0xC6), (0xC7, 0xC8, 0xC9)
MOST = 2**32 - 1


def msgpack_bytes(tensors: Mapping[str, Array]) -> bytes:
    """A `.msgpack` file. Raises OptionError when a name is a table and a tensor, or one has 4 GB."""
    return b"".join(_table(_nested(tensors)))


def _nested(tensors: Mapping[str, Array]) -> Tree:
    tree: Tree = {}
    for name, array in tensors.items():
        *groups, own = name.split("/")
        below = tree
        for group in groups:
            inner = below.setdefault(group, {})
            if not isinstance(inner, dict):
                raise OptionError(Finding("names", f"{safe(name, 60)} lies inside a tensor", help="rename it"))
            below = inner
        if own in below:
            raise OptionError(Finding("names", f"{safe(name, 60)} is a table and a tensor", help="rename it"))
        below[own] = array
    return tree


def _table(tree: Tree) -> Iterable[bytes]:
    yield bytes([0x80 | len(tree)]) if len(tree) < 16 else b"\xdf" + len(tree).to_bytes(4, "big")
    for name, value in tree.items():
        yield _text(name)
        yield from _table(value) if isinstance(value, dict) else [_array(name, value)]


def _array(name: str, array: Array) -> bytes:
    """An extension of type 1: the list of the shape, the dtype's name, the numbers in C order."""
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    if len(data) > MOST - 2**16:
        raise OptionError(Finding("size", f"{safe(name, 60)} has {len(data)} bytes", expected="less than 4 GB"))
    shape = bytes([0x90 | array.ndim]) + b"".join(map(_whole, array.shape))
    payload = b"\x93" + shape + _text(array.dtype.name) + _headed(BINARY, data)
    return _headed(EXTENSION, payload, bytes([NDARRAY]))


def _whole(number: int) -> bytes:
    if number < 128:
        return bytes([number])
    return b"\xce" + number.to_bytes(4, "big") if number <= MOST else b"\xcf" + number.to_bytes(8, "big")


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return bytes([0xA0 | len(data)]) + data if len(data) < 32 else _headed(TEXT, data)


def _headed(marks: tuple[int, int, int], data: bytes, kind: bytes = b"") -> bytes:
    """A mark, the length in as few bytes as hold it, the kind of an extension, the data."""
    for mark, width in zip(marks, (1, 2, 4), strict=True):
        if len(data) < 256**width:
            return bytes([mark]) + len(data).to_bytes(width, "big") + kind + data
    raise AssertionError("the caller holds the length")
