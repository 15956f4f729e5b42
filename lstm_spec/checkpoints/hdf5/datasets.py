"""An HDF5 file → its datasets' shapes and its attributes' texts, by a walk that follows nothing.

h5py would hand on the bytes of any other file that a link, an external storage or a virtual dataset names, so these
are refused before a dataset is touched; a group that is its own part is refused too. Only shapes and types are read;
values come later, through `values`. Source: HDF5 file format specification 3.0; CVE-2026-1669, CVE-2026-0897.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase, BufferedReader, BytesIO
from math import prod
from typing import TYPE_CHECKING, Any
from zipfile import ZipInfo

from lstm_spec.checkpoints.archives import opened_member
from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.hdf5.heaps import Passable
from lstm_spec.checkpoints.shapes import check_count, checked_shape
from lstm_spec.checkpoints.windows import Window
from lstm_spec.errors import MissingPackageError, safe

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 64
# A nest of groups costs HDF5 about 1 ms each to open over Python's streams: 10 000 take a few seconds.
MAX_GROUPS = 10_000
# Keras writes a model's configuration as one attribute; those of the largest models in its zoo are below 1 MB.
MAX_TEXT = 16_000_000
# What of an archive's member is unpacked in memory, where it is not simply stored. Keras stores it.
MAX_UNPACKED = 64_000_000
DIGITS = re.compile(r"([0-9]{1,18})")
ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an HDF5 file lies: a file of its own, or a member of an archive."""

    file: File
    member: ZipInfo | None = None

    @contextmanager
    def opened(self, stream: BufferedReader) -> Iterator[h5py.File]:
        """The file as h5py sees it, through `stream`. Raises Malformed for whatever the library stumbles over."""
        h5py = _h5py()
        with self._part(stream) as part:
            if part.read(len(SIGNATURE)) != SIGNATURE:
                because = "HDF5 that begins later, after a user block, could be a file of another format as well"
                raise malformed("hdf5", "the file does not begin as HDF5 does", because=because)
            try:
                with h5py.File(Passable(part), "r") as opened:
                    yield opened
            except ERRORS as error:
                said = (str(error).splitlines() or [type(error).__name__])[0]
                raise malformed("hdf5", "the file cannot be read as HDF5", because=safe(said)) from None

    @contextmanager
    def _part(self, stream: BufferedReader) -> Iterator[BufferedIOBase | Window]:
        if self.member is None:
            yield Window(stream, 0, self.file.size)
            return
        with opened_member(stream, self.member) as member:
            if self.member.compress_size == self.member.file_size:
                yield Window(stream, stream.tell(), self.member.file_size)
                return
            if self.member.file_size > MAX_UNPACKED:
                raise malformed(
                    "too-large",
                    f"the member {safe(self.member.filename)} is compressed and too large to unpack in memory",
                    expected=f"at most {MAX_UNPACKED} bytes",
                    found=f"{self.member.file_size}",
                    help="Keras stores it as it is: zip -0",
                )
            yield BytesIO(member.read())


@dataclass(frozen=True, slots=True)
class Dataset:
    """One array of numbers: its path in the file and its shape; `dtype` is NumPy's name, or the library's words."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    is_float: bool
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Contents:
    """What the walk has found: datasets by path, and of each group that has some its texts and lists of texts."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    attributes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    lists: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingPackageError("h5py", "hdf5", "reading an HDF5 file") from None
    return h5py


def walk(root: h5py.File, texts: tuple[str, ...], lists: tuple[str, ...] = ()) -> Contents:
    """Every dataset of numbers below `root`; of each group the attributes among `texts` and `lists`.

    Raises Malformed for a link that leads elsewhere, values outside of the file, a group within itself, and shapes
    that no array can have.
    """
    contents = Contents()
    stack: list[tuple[Any, str, str, int]] = [(root, "", "", 0)]
    seen: set[int] = set()
    while stack:
        outer, name, path, depth = stack.pop()
        part = _followed(outer, name, path) if name else root
        if hasattr(part, "keys"):
            _enter(part, path, depth, seen)
            if found := {text: said for text in texts if (said := read_text(part, text, path)) is not None}:
                contents.attributes[path] = found
            if listed := {name: named for name in lists if (named := read_texts(part, name, path))}:
                contents.lists[path] = listed
            names = sorted(_names(part, path, len(stack) + len(contents.datasets)), key=_in_order, reverse=True)
            stack += [(part, inner, f"{path}/{inner}" if path else inner, depth + 1) for inner in names]
        elif hasattr(part, "shape") and (dataset := _dataset(part, path)):
            contents.datasets[path] = dataset
    return contents


def _in_order(name: str) -> list[tuple[int, str]]:
    """`lstm_2` before `lstm_10`."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in DIGITS.split(name)]


def _enter(group: Any, path: str, depth: int, seen: set[int]) -> None:
    """A group may be entered once, and only so deep."""
    from h5py import h5o

    address = h5o.get_info(group.id).addr
    if address in seen:
        because = "a group that is part of itself, or has two names, has no end or no place"
        raise malformed("link", f"{safe(path)} is a group that was met before", because=because)
    seen.add(address)
    if depth > MAX_DEPTH:
        raise malformed("nesting", "the groups are nested too deeply", expected=f"at most {MAX_DEPTH} levels")
    if len(seen) > MAX_GROUPS:
        raise malformed("too-large", "the file has too many groups", expected=f"at most {MAX_GROUPS}")


def _names(group: Any, path: str, others: int) -> list[str]:
    count = group.id.get_num_objs()
    check_count(count + others)
    names = list(group)
    if odd := [name for name in names if "/" in name or name in ("", ".", "..")]:
        raise malformed("link", f"{safe(path) or 'the file'} has a part named {safe(repr(odd[0]))}")
    return names


def _followed(group: Any, name: str, path: str) -> Any:
    """The part of that name, if it is truly in this file."""
    h5py = _h5py()
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise malformed(
            "link",
            f"{safe(path)} is a link into another file, which is not opened",
            found=f"{safe(link.filename)} : {safe(link.path)}",
        )
    if not isinstance(link, h5py.HardLink):
        found = safe(getattr(link, "path", type(link).__name__))
        raise malformed("link", f"{safe(path)} is a symbolic link, which is not followed", found=found)
    return group[name]


def _dataset(part: Any, path: str) -> Dataset | None:
    """None for what is no array of plain numbers: texts, references, records, or nothing at all."""
    plan = part.id.get_create_plist()
    if plan.get_external_count():
        first = plan.get_external(0)[0]
        found = safe(first.decode("utf-8", "replace") if isinstance(first, bytes) else first)
        raise malformed("external", f"the values of {safe(path)} lie in another file, which is not opened", found=found)
    if part.is_virtual:
        raise malformed("external", f"{safe(path)} is put together from other datasets, which is not followed")
    if part.shape is None:
        return None
    dtype = part.dtype
    if dtype.kind not in "biuf" or dtype.metadata or dtype.subdtype:
        return None
    shape = checked_shape(part.shape, path)
    return Dataset(path, shape, dtype.name, dtype.kind == "f", prod(shape) * dtype.itemsize)


def read_text(group: Any, name: str, path: str) -> str | None:
    """A text attribute; None when there is none. Raises Malformed for one that is no text or too long."""
    if name not in group.attrs:
        return None
    from h5py import h5t

    attribute = group.attrs.get_id(name)
    kind = attribute.get_type()
    if attribute.shape != () or kind.get_class() != h5t.STRING:
        raise malformed("attribute", f"the attribute {name} of {safe(path) or 'the file'} is no text")
    size = 0 if kind.is_variable_str() else kind.get_size()
    value = group.attrs[name] if size <= MAX_TEXT else b""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if max(size, len(text)) > MAX_TEXT:
        raise malformed("too-large", f"the attribute {name} is too long", expected=f"at most {MAX_TEXT} characters")
    return text


def read_texts(group: Any, name: str, path: str) -> tuple[str, ...]:
    """A list of texts, also where Keras cuts it into `name0`, `name1`, …; empty where there is none that is read.

    Texts of one fixed length are read, as Keras 1 and 2 write them. Those of variable length (Keras 3, which writes
    the configuration beside them) may all lie in one place of the file, and be as long together as it likes.
    """
    pieces = itertools.takewhile(group.attrs.__contains__, (f"{name}{number}" for number in itertools.count()))
    found: list[str] = []
    for piece in [name] if name in group.attrs else pieces:
        attribute = group.attrs.get_id(piece)
        size = _fixed_length(attribute)
        count = attribute.shape[0] if size else 0
        if count * size > MAX_TEXT:
            message = f"the attribute {piece} of {safe(path) or 'the file'} is too long"
            raise malformed("too-large", message, expected=f"at most {MAX_TEXT} characters")
        found += [value.decode("utf-8", "replace") for value in group.attrs[piece].tolist()] if count else []
        check_count(len(found))
    return tuple(found)


def _fixed_length(attribute: Any) -> int:
    """How long each text of a list is; 0 for what is no list, or none of texts of one length."""
    from h5py import h5t

    kind, shape = attribute.get_type(), attribute.shape
    is_fixed = kind.get_class() == h5t.STRING and not kind.is_variable_str()
    return int(kind.get_size()) if is_fixed and shape is not None and len(shape) == 1 else 0
