"""A directory, a pattern, a URL of one, a shard or an index → the models there, the files of each together.

A file takes part by its suffix, or where that says nothing by its first bytes; any other is passed over, for a model
stands among other files. Links to directories are not followed. By address no index is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from glob import glob, has_magic

from lstm_spec.checkpoints.files import blamed_on, malformed
from lstm_spec.checkpoints.index import MOST_FILES, Index, indexes_beside, read_indexes, suffix_listed, whole_beside
from lstm_spec.checkpoints.opening import BY_SUFFIX, SHARED, TENSORFLOW, is_checkpoint
from lstm_spec.checkpoints.remote import is_url, list_remote
from lstm_spec.checkpoints.shards import Model, model_of, shards_of, stem_of, too_many
from lstm_spec.errors import FileError

CHECKPOINT = ".ckpt"  # whatever is called so is a checkpoint, in one format or another


def list_models(path: str) -> list[Model] | None:
    """The models at a path, each with all its files; None where the path is one file itself.

    Raises FileError when there is no checkpoint file, or too many.
    """
    with blamed_on(path):
        if is_url(path):
            if (names := list_remote(path)) is not None:
                return _models(filter(_is_named_or_shared, names))
            return [Model(shards)] if (shards := shards_of(path)) else None
        if os.path.isdir(path):
            found = _walk(path)
            return _models(_known(found, path), read_indexes(found))
        if has_magic(path) and not os.path.lexists(path):
            found = [name for name in glob(path, recursive=True) if not os.path.isdir(name)]
            known = list(_known(found))
            return _models(known, read_indexes(found) | indexes_beside(known))
        return _of_file(path) if os.path.lexists(path) else None


def _of_file(path: str) -> list[Model] | None:
    """The models of which a file on this machine is a part, or the index; None where it is whole."""
    path = os.path.join(os.path.dirname(path), os.path.basename(path))  # `d//x` as an index names it: `d/x`
    if suffix_listed(path):
        indexes = read_indexes([path])
        return _models([], indexes) if indexes else None
    shards = shards_of(path)
    indexes = indexes_beside([path])
    if indexes:
        return _models(shards or [path], indexes)
    return [Model(shards)] if shards else None


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


def _models(names: Iterable[str], indexes: Mapping[str, Index | FileError] | None = None) -> list[Model]:
    """The models of some files and indexes, in the order of their names."""
    known = sorted(names)
    if not known and not indexes:
        suffixes = sorted({*BY_SUFFIX, *SHARED, CHECKPOINT})
        expected = f"files named {', '.join(f'*{suffix}' for suffix in suffixes)}"
        raise malformed("no-files", "there is no checkpoint file here", expected=expected)
    if len(known) > MOST_FILES:
        raise too_many(len(known))
    by_stem: dict[tuple[str, bool], list[str]] = {}  # a whole file is another model than shards of its name
    for name in known:
        if part := TENSORFLOW.fullmatch(name):  # one of its files stands for all
            by_stem.setdefault((part["stem"], False), [name])
        else:
            by_stem.setdefault((stem_of(name), stem_of(name) == name), []).append(name)
    models = []
    stale: dict[str, list[Index]] = {}
    for path, index in (indexes or {}).items():
        if isinstance(index, FileError):
            models.append(Model((path,), broken=index))
        elif not (listing := model_of(index)).files and (whole := whole_beside(path)) in known:
            stale.setdefault(whole, []).append(index)
        else:
            models.append(listing)
    listed = {name for model in models for name in model.files}
    alone = [tuple(files) for files in by_stem.values() if listed.isdisjoint(files)]
    models += [Model(files, stale=tuple(stale.get(files[0], ()))) for files in alone]
    return sorted(models, key=lambda model: model.name)
