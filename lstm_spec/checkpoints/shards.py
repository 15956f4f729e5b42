"""A model that lies in several files → its shards, and their tensors as one.

They are told by the name that was given, `model-00001-of-00003.safetensors`, never by what a file holds.
"""

from __future__ import annotations

import os
import re

from lstm_spec.checkpoints.files import Malformed, malformed
from lstm_spec.checkpoints.opening import read_tensors
from lstm_spec.checkpoints.remote import is_url
from lstm_spec.errors import FileError, Finding, safe
from lstm_spec.layers.tensors import Tensor, Tensors

MOST_FILES = 10_000
INDEX = ".index.json"
SHARD = re.compile(r"(?s)(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


def shards_of(path: str) -> list[list[str]] | None:
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
        raise too_many(count)
    names = [f"{shard['stem']}-{number:05}-of-{count:05}{shard['suffix']}" for number in range(1, count + 1)]
    return [sorted({path, *(name for name in names if is_url(path) or os.path.lexists(name))})]


def too_many(count: int) -> Malformed:
    """What is wrong with more files than are ever looked into."""
    return malformed("too-many", "there are too many files here", expected=f"at most {MOST_FILES}", found=str(count))


def read_model(names: list[str]) -> Tensors:
    """The tensors of a model in one file or in shards.

    Raises FileError when a file cannot be read, a shard is missing, or two shards hold tensors of one name.
    """
    if len(names) == 1:
        _check_shards(names)
        return read_tensors(names[0])
    _check_shards(names)
    parts = [read_tensors(name) for name in names]
    merged: dict[str, Tensor] = {}
    for part in parts:
        for name, tensor in part.items():
            if name in merged:
                raise FileError(Finding("names", f"two shards hold {safe(name, 60)}", at=safe(part.origin, None)))
            merged[name] = tensor
    findings = tuple(finding for part in parts for finding in part.findings)
    origin = f"{parts[0].origin} and {len(parts) - 1} more"
    return Tensors(origin, parts[0].format, merged, tuple(o for p in parts for o in p.operators), findings)


def read_only_model(path: str, models: list[list[str]]) -> Tensors:
    """The one model below a path. Raises FileError when there are several."""
    if len(models) > 1:
        found = ", ".join(safe(names[0], None) for names in models[:5]) + ", …" * (len(models) > 5)
        raise FileError(Finding("several", f"there are {len(models)} files", safe(path, None), "one file", found))
    return read_model(models[0])


def _check_shards(names: list[str]) -> None:
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
