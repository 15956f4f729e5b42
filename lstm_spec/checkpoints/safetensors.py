"""A safetensors file → `Tensors`, from its header alone; and arrays by name → such a file.

The file is a 64-bit little-endian length, that many bytes of JSON, and the tensors' bytes. What the format's page
forbids is refused, duplicate keys and a leading space too, which the reference reader lets pass.
Source: https://github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import accumulate
from math import prod
from typing import Any, NoReturn

import numpy as np

from lstm_spec.checkpoints.files import Array, Bfloat16, File, Malformed, Slice, malformed, take
from lstm_spec.checkpoints.shapes import MAX_TENSORS, check_count, checked_shape
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

LENGTH_SIZE = 8
# The format allows 100 MB. Parsed, a header takes up to nine times its bytes; 20 MB stay within 200 MB of memory.
MAX_HEADER = 20_000_000
MAX_DEPTH = 3
# A tensor has a table and two lists; the header and its metadata are a table each.
MAX_BRACKETS = 2 * (3 * MAX_TENSORS + 2)
MAX_QUOTES = 20 * MAX_TENSORS
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
ENTRY_KEYS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class Dtype:
    """`name` for people, `bits` an element, `code` for NumPy where it has the type, or its halves."""

    name: str
    bits: int
    code: str | None = None


DTYPES = {
    "BOOL": Dtype("bool", 8, "|b1"),
    "U8": Dtype("uint8", 8, "|u1"),
    "I8": Dtype("int8", 8, "|i1"),
    "U16": Dtype("uint16", 16, "<u2"),
    "I16": Dtype("int16", 16, "<i2"),
    "U32": Dtype("uint32", 32, "<u4"),
    "I32": Dtype("int32", 32, "<i4"),
    "U64": Dtype("uint64", 64, "<u8"),
    "I64": Dtype("int64", 64, "<i8"),
    "F16": Dtype("float16", 16, "<f2"),
    "F32": Dtype("float32", 32, "<f4"),
    "F64": Dtype("float64", 64, "<f8"),
    "C64": Dtype("complex64", 64, "<c8"),
    "BF16": Dtype("bfloat16", 16, "<u2"),
    "F8_E4M3": Dtype("float8_e4m3fn", 8),
    "F8_E5M2": Dtype("float8_e5m2", 8),
    "F8_E8M0": Dtype("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": Dtype("float8_e4m3fnuz", 8),
    "F8_E5M2FNUZ": Dtype("float8_e5m2fnuz", 8),
    "F6_E2M3": Dtype("float6_e2m3fn", 6),
    "F6_E3M2": Dtype("float6_e3m2fn", 6),
    "F4": Dtype("float4_e2m1fn", 4),
}
# What is written, by NumPy's name.
WRITTEN = {"float32": "F32", "float64": "F64"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of the header; `begin` and `end` count from the end of the header."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(file: File, stream: BufferedReader) -> Tensors:
    """The tensors that the header names. Raises Malformed when the header or the layout breaks the format."""
    header = read_header(stream, file.size)
    start = LENGTH_SIZE + len(header)
    entries = [_entry(name, value) for name, value in parse_header(header).items() if name != "__metadata__"]
    check_count(len(entries))
    check_tiling(entries, file.size - start)
    return Tensors(safe(file.path, None), "safetensors", {e.name: _tensor(file, start, e) for e in entries})


def _tensor(file: File, start: int, entry: Entry) -> Tensor:
    code = entry.dtype.code
    if code is None:
        return Tensor(entry.name, entry.shape, entry.dtype.name)
    load = Slice(file, start + entry.begin, np.dtype(code), entry.shape)
    bfloat16 = entry.dtype.name == "bfloat16"
    return Tensor(entry.name, entry.shape, entry.dtype.name, Bfloat16(load) if bfloat16 else load)


def read_header(stream: BufferedReader, size: int) -> bytes:
    """The header's bytes; its length is compared with the file's before anything is read."""
    length = int.from_bytes(take(stream, 0, LENGTH_SIZE, "the header's length"), "little")
    if length > MAX_HEADER:
        raise malformed("header", "the header is too long", expected=f"at most {MAX_HEADER} bytes", found=f"{length}")
    if length > size - LENGTH_SIZE:
        raise malformed(
            "truncated",
            "the header is longer than the file",
            expected=f"{length} bytes after the first {LENGTH_SIZE}",
            found=f"{size - LENGTH_SIZE}",
        )
    header = take(stream, LENGTH_SIZE, length, "the header")
    if not header.startswith(b"{"):
        found = safe(header[:20].decode("latin-1")) or "nothing: a length of 0"
        raise malformed("header", "the header does not begin as a JSON object does", expected="{", found=found)
    return header


def parse_header(header: bytes) -> dict[str, Any]:
    """The JSON object, its metadata checked. Raises Malformed for what JSON or the format does not allow."""
    check_nesting(header)
    try:
        parsed = json.loads(
            str(header, "utf-8"), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_no_number
        )
    except ValueError as error:
        raise malformed("header", "the header is not JSON", because=safe(error)) from None
    metadata = parsed.get("__metadata__")
    if metadata is None:  # MLX writes null where it has none
        return dict(parsed)
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise malformed("header", "__metadata__ is not a table of strings")
    return dict(parsed)


def check_nesting(header: bytes) -> None:
    """Raises Malformed when the parser would have to build more, or go deeper, than a header can need."""
    plain = header.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > MAX_QUOTES:
        raise malformed("too-large", "the header holds too many strings", expected=f"at most {MAX_QUOTES // 2}")
    brackets = b"".join(plain.split(b'"')[::2]).translate(None, NO_BRACKETS)
    if len(brackets) > MAX_BRACKETS:
        raise malformed("too-large", "the header names too many tensors", expected=f"at most {MAX_TENSORS}")
    depth = max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    if depth > MAX_DEPTH:
        raise malformed("nesting", "the header is nested too deeply", expected=f"{MAX_DEPTH} levels", found=f"{depth}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise malformed("duplicate", f"the header names {safe(twice)} twice")
    return table


def _no_number(text: str) -> NoReturn:
    raise malformed("header", "the header holds a number that is no size", found=safe(text))


def _entry(name: str, value: Any) -> Entry:
    if any("\ud800" <= ch <= "\udfff" for ch in name):
        raise malformed("header", f"the name {safe(name)} is not Unicode text")
    if type(value) is not dict or value.keys() != ENTRY_KEYS:
        raise _bad_entry(name, "dtype, shape and data_offsets", _shown_keys(value))
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if type(dtype) is not str or dtype not in DTYPES:
        raise _bad_entry(name, "a dtype of the format", safe(dtype))
    if type(shape) is not list or type(offsets) is not list:
        raise _bad_entry(name, "lists for shape and data_offsets", safe(value))
    begin, end = _offsets(name, offsets)
    entry = Entry(name, DTYPES[dtype], checked_shape(shape, name), begin, end)
    _check_size(entry)
    return entry


def _shown_keys(value: object) -> str:
    return safe(", ".join(sorted(value)) if isinstance(value, dict) else type(value).__name__)


def _offsets(name: str, offsets: list[Any]) -> tuple[int, int]:
    if not all(type(at) is int for at in offsets) or len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] < 2**63:
        raise _bad_entry(name, "data_offsets [begin, end]", safe(offsets))
    return offsets[0], offsets[1]


def _check_size(entry: Entry) -> None:
    bits, found = prod(entry.shape) * entry.dtype.bits, 8 * (entry.end - entry.begin)
    if bits != found:
        expected = f"{-(-bits // 8)} bytes for {entry.dtype.name} {list(entry.shape)}"
        raise malformed(
            "offsets",
            f"the offsets of {safe(entry.name)} do not fit its shape",
            expected=expected,
            found=str(found // 8),
        )


def _bad_entry(name: str, expected: str, found: str) -> Malformed:
    return malformed("header", f"the entry of {safe(name)} is not one", expected=expected, found=found)


def check_tiling(entries: list[Entry], size: int) -> None:
    """Raises Malformed unless the tensors lie side by side and fill the `size` bytes after the header exactly."""
    at, before = 0, "the header"
    for entry in sorted(entries, key=lambda e: (e.begin, e.end)):
        if entry.begin != at:
            what = "overlaps" if entry.begin < at else "leaves a hole after"
            raise malformed(
                "offsets", f"{safe(entry.name)} {what} {before}", expected=f"begin {at}", found=f"{entry.begin}"
            )
        at, before = entry.end, safe(entry.name)
    if at > size:
        raise malformed("truncated", f"the file ends before {before} does", expected=f"{at} bytes", found=f"{size}")
    if at < size:
        raise malformed("offsets", "bytes follow that belong to no tensor", expected=f"{at} bytes", found=f"{size}")


def safetensors_bytes(tensors: Mapping[str, Array]) -> bytes:
    """A safetensors file: 8 bytes of length, a JSON header padded to 8, the tensors one behind the other."""
    header: dict[str, Any] = {}
    at = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": WRITTEN[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at := at + array.nbytes],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    little = (np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in tensors.values())
    return len(text).to_bytes(8, "little") + text + b"".join(little)
