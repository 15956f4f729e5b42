"""A directory, a pattern, a URL of one or a shard → the checkpoint files there, those of one sharded model together.

A file takes part by its suffix, or where that says nothing by its first bytes; any other is passed over, for a model
stands among other files. The shards of a model are told by the name that was given, never by what a file holds. Links
to directories are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from glob import glob, has_magic

from lstm_spec.checkpoints.files import Malformed, blamed_on, malformed
from lstm_spec.checkpoints.opening import BY_SUFFIX, SHARED, TENSORFLOW, is_checkpoint
from lstm_spec.checkpoints.remote import is_url, list_remote
from lstm_spec.errors import FileError, Finding, safe

MOST_FILES = 10_000
CHECKPOINT = ".ckpt"  # whatever is called so is a checkpoint, in one format or another
INDEX = ".index.json"
SHARD = re.compile(r"(?s)(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


def list_models(path: str) -> list[list[str]] | None:
    """The models at a path: each a list of files, of one but for shards; None where the path is one file itself.

    Raises FileError when there is no checkpoint file, or too many.
    """
    with blamed_on(path):
        if is_url(path):
            names = list_remote(path)
            return _shards_of(path) if names is None else _models(filter(_is_named_or_shared, names))
        if os.path.isdir(path):
            return _models(_known(_walk(path), path))
        if has_magic(path) and not os.path.lexists(path):
            return _models(_known(name for name in glob(path, recursive=True) if not os.path.isdir(name)))
        return _shards_of(path) if os.path.lexists(path) else None


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
        raise _too_many(len(known))
    models: dict[str, list[str]] = {}
    for name in known:
        if part := TENSORFLOW.fullmatch(name):  # one of its files stands for all
            models.setdefault(part["stem"], [name])
            continue
        shard = SHARD.fullmatch(name)
        models.setdefault(f"{shard['stem']}{shard['suffix']}" if shard else name, []).append(name)
    return list(models.values())


def _too_many(count: int) -> Malformed:
    return malformed("too-many", "there are too many files here", expected=f"at most {MOST_FILES}", found=str(count))


def _shards_of(path: str) -> list[list[str]] | None:
    """The model that a shard, or an index of shards, is a part of; None for a file that is whole."""
    if path.endswith(INDEX) and not is_url(path):
        stem, suffix = os.path.splitext(path.removesuffix(INDEX))
        beside = (os.path.join(os.path.dirname(path), name) for name in os.listdir(os.path.dirname(path) or "."))
        shards = [shard for name in beside if (shard := SHARD.fullmatch(name))]
        found = sorted(shard[0] for shard in shards if (shard["stem"], shard["suffix"]) == (stem, suffix))
        return [found] if found else None
    shard = SHARD.fullmatch(path)
    if shard is None or int(shard["count"]) == int(shard["number"]) == 1:
        return None
    if (count := int(shard["count"])) > MOST_FILES:
        raise _too_many(count)
    names = [f"{shard['stem']}-{number:05}-of-{count:05}{shard['suffix']}" for number in range(1, count + 1)]
    return [sorted({path, *(name for name in names if is_url(path) or os.path.lexists(name))})]


def check_shards(names: list[str]) -> None:
    """Raises FileError when some of a model's shards are missing."""
    shards = [shard for name in names if (shard := SHARD.fullmatch(name))]
    if not shards:
        return
    first = shards[0]
    count, numbers = int(first["count"]), {int(shard["number"]) for shard in shards}
    stem = os.path.basename(first["stem"])
    missing = [
        f"{stem}-{number:05}-of-{count:05}{first['suffix']}"
        for number in sorted(set(range(1, min(count, MOST_FILES) + 1)) - numbers)
    ]
    if missing or any(int(shard["count"]) != count for shard in shards) or not 1 <= max(numbers) <= count:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        found = f"without {', '.join(safe(name) for name in missing[:5])}{more}" if missing else "of several counts"
        message = "the model lies in several files, and they are not all here"
        help = "put all of them into one folder; any of them, or the folder, then names the model"
        raise FileError(Finding("shards", message, safe(names[0], None), f"{count} files", found, help=help))
