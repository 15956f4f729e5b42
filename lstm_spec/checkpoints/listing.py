"""A directory, a pattern or a URL of one → the checkpoint files in it, those of one sharded model together.

Names only: nothing is opened. Links to directories are not followed; a file without a suffix that is known here is
passed over, for a model stands among other files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from glob import glob, has_magic

from lstm_spec.checkpoints.files import blamed_on, malformed
from lstm_spec.checkpoints.opening import BY_SUFFIX
from lstm_spec.checkpoints.remote import is_url, list_remote
from lstm_spec.errors import FileError, Finding, safe

MOST_FILES = 10_000
SHARD = re.compile(r"(?s)(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


def list_models(path: str) -> list[list[str]] | None:
    """The models at a path: each a list of files, of one but for shards; None where the path is one file itself.

    Raises FileError when there is no checkpoint file, or too many.
    """
    if is_url(path):
        with blamed_on(path):
            names = list_remote(path)
            return None if names is None else _models(names)
    if os.path.isdir(path):
        with blamed_on(path):
            return _models(_walk(path))
    if has_magic(path) and not os.path.lexists(path):
        with blamed_on(path):
            return _models(name for name in glob(path, recursive=True) if not os.path.isdir(name))
    return None


def _walk(top: str) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]


def _models(names: Iterable[str]) -> list[list[str]]:
    known = sorted(name for name in names if os.path.splitext(name)[1].lower() in BY_SUFFIX)
    if not known:
        expected = f"files named {', '.join(f'*{suffix}' for suffix in sorted(BY_SUFFIX))}"
        raise malformed("no-files", "there is no checkpoint file here", expected=expected)
    if len(known) > MOST_FILES:
        expected = f"at most {MOST_FILES}"
        raise malformed("too-many", "there are too many files here", expected=expected, found=str(len(known)))
    models: dict[str, list[str]] = {}
    for name in known:
        shard = SHARD.fullmatch(name)
        models.setdefault(f"{shard['stem']}{shard['suffix']}" if shard else name, []).append(name)
    return list(models.values())


def check_shards(names: list[str]) -> None:
    """Raises FileError when some of a model's shards are missing."""
    shards = [shard for name in names if (shard := SHARD.fullmatch(name))]
    if not shards:
        return
    count = int(shards[0]["count"])
    missing = sorted(set(range(1, count + 1)) - {int(shard["number"]) for shard in shards})
    if missing or any(int(shard["count"]) != count for shard in shards):
        found = f"without {', '.join(map(str, missing[:5]))}" if missing else "of several counts"
        message = "the model lies in several files, and they are not all here"
        raise FileError(Finding("shards", message, safe(names[0], None), f"{count} files", found))
