"""A directory, a pattern, a URL of one or a shard → the checkpoint files there, those of one sharded model together.

A file takes part by its suffix, or where that says nothing by its first bytes; any other is passed over, for a model
stands among other files. Links to directories are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob, has_magic

from lstm_spec.checkpoints.files import blamed_on, malformed
from lstm_spec.checkpoints.opening import BY_SUFFIX, SHARED, TENSORFLOW, is_checkpoint
from lstm_spec.checkpoints.remote import is_url, list_remote
from lstm_spec.checkpoints.shards import MOST_FILES, SHARD, shards_of, too_many

CHECKPOINT = ".ckpt"  # whatever is called so is a checkpoint, in one format or another


def list_models(path: str) -> list[list[str]] | None:
    """The models at a path: each a list of files, of one but for shards; None where the path is one file itself.

    Raises FileError when there is no checkpoint file, or too many.
    """
    with blamed_on(path):
        if is_url(path):
            names = list_remote(path)
            return shards_of(path) if names is None else _models(filter(_is_named_or_shared, names))
        if os.path.isdir(path):
            return _models(_known(_walk(path), path))
        if has_magic(path) and not os.path.lexists(path):
            return _models(_known(name for name in glob(path, recursive=True) if not os.path.isdir(name)))
        return shards_of(path) if os.path.lexists(path) else None


def _walk(top: str) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]


def _known(paths: Iterable[str], top: str = "") -> Iterator[str]:
    """Those that are named as a checkpoint, and those that are none by name and are one by content, each file once.

    What is hidden below `top` (`.git`) is not looked into.
    """
    others: list[str] = []
    seen = set()
    for path in paths:
        if _is_named(path):
            seen.add(_identity(path))
            yield path
        elif not any(part.startswith(".") for part in os.path.relpath(path, top or None).split(os.sep) if top):
            others.append(path)
    yield from (path for path in others if is_checkpoint(path) and _identity(path) not in seen)


def _identity(path: str) -> object:
    """What two names of one file have in common."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _is_named(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in BY_SUFFIX or suffix == CHECKPOINT or bool(TENSORFLOW.fullmatch(name))


def _is_named_or_shared(name: str) -> bool:
    """By address, only what may well be a checkpoint is looked into."""
    return _is_named(name) or (os.path.splitext(name)[1].lower() in SHARED and is_checkpoint(name))


def _models(names: Iterable[str]) -> list[list[str]]:
    known = sorted(names)
    if not known:
        suffixes = sorted({*BY_SUFFIX, *SHARED, CHECKPOINT})
        expected = f"files named {', '.join(f'*{suffix}' for suffix in suffixes)}"
        raise malformed("no-files", "there is no checkpoint file here", expected=expected)
    if len(known) > MOST_FILES:
        raise too_many(len(known))
    models: dict[str, list[str]] = {}
    for name in known:
        if part := TENSORFLOW.fullmatch(name):  # one of its files stands for all
            models.setdefault(part["stem"], [name])
            continue
        shard = SHARD.fullmatch(name)
        models.setdefault(f"{shard['stem']}{shard['suffix']}" if shard else name, []).append(name)
    return list(models.values())
