"""The index of a model in several files → which file is to hold which tensor. Nothing that it lists is opened here.

Hugging Face writes `model.safetensors.index.json` and its like beside the shards, Keras 3 `model.weights.json`: both a
table `weight_map` of names to the file, or files, of each. A name in it is a stranger's: it must be that of a file in
the index's own directory, of the format that the index is named for, and no link may lead elsewhere.
Source: huggingface_hub/serialization/_base.py; ShardedH5IOStore of keras/src/saving/saving_lib.py, Keras 3.15.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lstm_spec.checkpoints.files import Malformed, blamed_on, malformed, opened
from lstm_spec.checkpoints.json_data import parse_json
from lstm_spec.checkpoints.opening import BY_SUFFIX, SHARED
from lstm_spec.checkpoints.shapes import MAX_TENSORS
from lstm_spec.errors import FileError, safe

MOST_FILES = 10_000
# That of a model of 92 000 tensors has 9 MB. An entry is a part, and a list of files one more and one for each file.
MAX_SIZE, MAX_PARTS = 20_000_000, 3 * MAX_TENSORS
LONGEST = 255
OF_A_FORMAT = re.compile(r"(?s)(?P<stem>.+?)(?P<suffix>\.\w+)\.index(?P<variant>\.[\w-]+)?\.json")
OF_KERAS = re.compile(r"(?s)(?P<stem>.+)\.weights\.json")
KERAS_SHARD = ".weights.h5"


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its path, and for each name that it lists the files that are to hold it.

    `total` is how many bytes of tensors Keras says that there are, which lists groups of them.
    """

    path: str
    holders: Mapping[str, tuple[str, ...]]
    total: int | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files that are listed, each once."""
        names = sorted({name for names in self.holders.values() for name in names})
        return tuple(os.path.join(os.path.dirname(self.path), name) for name in names)


def suffix_listed(path: str) -> str:
    """How the files are named that an index of this name lists; empty where the name is none of an index."""
    name = os.path.basename(path)
    if OF_KERAS.fullmatch(name):
        return KERAS_SHARD
    match = OF_A_FORMAT.fullmatch(name)
    return match["suffix"] if match and match["suffix"].lower() in (*BY_SUFFIX, *SHARED) else ""


def whole_beside(path: str) -> str:
    """The file that holds the model of an index whole, `model.safetensors`; empty where there is none."""
    match = OF_KERAS.fullmatch(path) or OF_A_FORMAT.fullmatch(path)
    said = match.groupdict() if match else {}
    whole = f"{said.get('stem')}{said.get('variant') or ''}{said.get('suffix') or KERAS_SHARD}"
    return whole if match and os.path.lexists(whole) else ""


def read_indexes(paths: Iterable[str]) -> dict[str, Index | FileError]:
    """Those of the paths that are an index, each as it is, or why it cannot be read."""
    found: dict[str, Index | FileError] = {}
    for path in sorted(path for path in paths if suffix_listed(path)):
        try:
            index = read_index(path)
        except FileError as error:
            found |= {path: error} if _has_shards(path) else {}
        else:
            found |= {path: index} if index else {}
    return found


def _has_shards(path: str) -> bool:
    """Whether an index that cannot be read is one: `x.weights.json` may be another thing, but beside Keras's shards."""
    match = OF_KERAS.fullmatch(path)
    return match is None or os.path.lexists(f"{match['stem']}_00000{KERAS_SHARD}")


def indexes_beside(paths: Iterable[str]) -> dict[str, Index | FileError]:
    """The indexes in the directories of some files that list one of them; one that cannot be read may."""
    paths = set(paths)
    beside: set[str] = set()
    for folder in {os.path.dirname(path) for path in paths}:
        suffixes = tuple({suffix_of(path) for path in paths if os.path.dirname(path) == folder})
        try:
            names = [entry.name for entry in os.scandir(folder or ".") if entry.name.endswith(".json")]
        except OSError:
            continue
        beside |= {os.path.join(folder, name) for name in names if suffix_listed(name).endswith(suffixes)}
    found = read_indexes(beside)
    return {
        path: index
        for path, index in found.items()
        if isinstance(index, FileError) or not paths.isdisjoint(index.files)
    }


def suffix_of(path: str) -> str:
    """`.safetensors`; something that nothing ends with for a name without one."""
    return os.path.splitext(path)[1] or "\0"


def read_index(path: str) -> Index | None:
    """The index at a path; None for a table of another kind under a name that other things have too.

    Raises FileError when it is no index, is larger than any, or lists what is no file beside it.
    """
    with blamed_on(path):
        with opened(path) as (file, stream):
            if file.size > MAX_SIZE:
                expected = f"at most {MAX_SIZE} bytes"
                raise malformed("too-large", "the index is too long", expected=expected, found=f"{file.size}")
            table = parse_json(stream.read(MAX_SIZE), "the index", "index", MAX_PARTS)
        if "weight_map" not in table and OF_KERAS.fullmatch(os.path.basename(path)):
            return None
        listed = table.get("weight_map")
        if type(listed) is not dict or not listed:
            expected = "weight_map: a table of each tensor's file"
            found = "nothing in it" if listed == {} else safe(", ".join(table) or "an empty table")
            raise malformed("index", "the index lists no tensors", expected=expected, found=found, help=AGAIN)
        if len(listed) > MAX_TENSORS:
            raise malformed("too-large", "the index lists too many tensors", expected=f"at most {MAX_TENSORS}")
        total = _total(table) if OF_KERAS.fullmatch(os.path.basename(path)) else None
        index = Index(path, {name: _files(name, value) for name, value in listed.items()}, total)
        _check_files(index)
        return index


AGAIN = "fetch it again, or move it away: the files are then read by their own names"


def _total(table: dict[str, Any]) -> int | None:
    """`metadata.total_size`, which Keras writes as a float; None where there is none."""
    metadata = table.get("metadata")
    said = metadata.get("total_size") if isinstance(metadata, dict) else None
    return int(said) if isinstance(said, int | float) and 0 <= said < 2**63 else None


def _files(name: str, value: Any) -> tuple[str, ...]:
    """One name, or as Keras writes it a list of them."""
    names = value if type(value) is list else [value]
    if not names or not all(type(one) is str for one in names):
        shown = safe(type(value).__name__ if type(value) is not list else value, 60)
        raise malformed("index", f"the file of {safe(name, 60)} is no name", expected="a name", found=shown)
    return tuple(names)


def _check_files(index: Index) -> None:
    """Raises Malformed unless every file that is listed is one that may be opened."""
    by_file = {name: tensor for tensor, names in index.holders.items() for name in names}
    if len(by_file) > MOST_FILES:
        raise malformed("too-large", "the index lists too many files", expected=f"at most {MOST_FILES}")
    suffix = suffix_listed(index.path)
    for name, tensor in by_file.items():
        if not _is_plain(name):
            raise _refused(tensor, "at a place that is not opened", "a name in the index's own directory", name)
        if not name.endswith(suffix):
            raise _refused(tensor, "in a file of another format", f"a file named *{suffix}", name)
    folder, own = os.path.dirname(index.path), os.path.realpath(index.path)
    # A cache of Hugging Face holds links, those of an index and of its shards to one directory.
    homes = {os.path.realpath(folder), os.path.dirname(own)}
    for name, tensor in by_file.items():
        path = os.path.join(folder, name)
        if os.path.islink(path) and os.path.dirname(os.path.realpath(path)) not in homes:
            raise _refused(tensor, "behind a link that leads elsewhere", "a file in the index's own directory", name)


def _is_plain(name: str) -> bool:
    """Whether a name can be nothing but that of a file beside the index, on any system."""
    odd = any(ch in "/\\:" or unicodedata.category(ch) in ("Cc", "Cs") for ch in name)
    return 0 < len(name) <= LONGEST and not odd and not name.startswith("~") and name not in (".", "..")


def _refused(tensor: str, where: str, expected: str, name: str) -> Malformed:
    found = f"'{safe(name)}'"
    return malformed("index", f"the index has {safe(tensor, 60)} {where}", expected=expected, found=found)
