"""A URL → an open file, by fsspec: what a local path gives, from wherever fsspec reaches.

The network is touched because the argument itself is a URL, never because a file says so. One address, one file: chains
(`zip://…::https://…`), which unpack or cache, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from typing import Any, cast

from lstm_spec.checkpoints.files import File, Malformed, malformed, opened
from lstm_spec.errors import MissingPackageError, safe

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")
BLOCK = 64 * 1024  # bytes that are fetched at once: most headers


def is_url(name: str) -> bool:
    """Whether a path is an address: it begins with `scheme://`."""
    return bool(URL.match(name))


def filesystem_of(url: str) -> tuple[Any, str]:
    """fsspec's file system for an address, and the path in it.

    Raises Malformed for a chain of addresses and an unknown scheme, MissingPackageError without fsspec.
    """
    if "::" in url:
        raise malformed("url", "this is a chain of addresses", expected="one address", found="'::'")
    try:
        import fsspec
    except ImportError:
        raise MissingPackageError("fsspec", "remote", "reading a URL") from None
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise malformed("missing-package", "this address needs another package", because=safe(error)) from None
    except ValueError as error:
        raise malformed("url", "fsspec knows no such address", because=safe(error)) from None
    return system, str(path)


@contextmanager
def opened_remote(url: str) -> Iterator[tuple[File, BufferedReader]]:
    """The file at an address, and the stream to read it from; only the blocks that are read are fetched."""
    system, path = filesystem_of(url)
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        with opened(path) as (file, stream):  # a local path has its own rules
            yield file, stream
        return
    reopen = partial(_open, system, path)
    stream, stamp = reopen()
    with stream:
        yield File(url, "", cast(Any, stream).size, stamp, reopen), stream


def _open(system: Any, path: str) -> tuple[BufferedReader, object]:
    with _blamed():
        known = system.info(path)
        if known.get("type") != "file" or not isinstance(known.get("size"), int):
            found = "a directory" if known.get("type") == "directory" else "something of no known size"
            raise malformed("not-a-file", "this is no file", expected="a file", found=found)
        stream = system.open(path, "rb", block_size=BLOCK, cache_type="readahead")
        stamp = (known["size"], *(str(known[key]) for key in ("ETag", "etag", "mtime", "LastModified") if key in known))
    return stream, stamp


@contextmanager
def _blamed() -> Iterator[None]:
    """A backend raises what it likes."""
    try:
        yield
    except (Malformed, FileNotFoundError):
        raise
    except Exception as error:
        because = f"{type(error).__name__}: {safe(error)}"
        raise malformed("unreadable", "the address cannot be read", because=because) from None


def list_remote(url: str) -> list[str] | None:
    """The addresses below a directory, or that a pattern matches, sorted; None for the address of one file."""
    system, path = filesystem_of(url)
    with _blamed():
        if any(sign in path for sign in "*?["):
            found = system.glob(path)
        elif system.isdir(path):
            found = system.find(path)
        else:
            return None
        return sorted(str(system.unstrip_protocol(name)) for name in found)
