"""A model that lies in several files → its shards, and their tensors as one, held against the index if there is one.

They are told by the name that was given, `model-00001-of-00003.safetensors`, or by the index that lists them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from lstm_spec.checkpoints.files import Malformed, malformed
from lstm_spec.checkpoints.index import MOST_FILES, Index, whole_beside
from lstm_spec.checkpoints.listed import HDF5, hold_listed
from lstm_spec.checkpoints.opening import read_hdf5_shards, read_tensors
from lstm_spec.checkpoints.remote import is_url
from lstm_spec.errors import FileError, Finding, safe
from lstm_spec.layers.tensors import Tensor, Tensors
from lstm_spec.phrases import shortened

SHARD = re.compile(r"(?s)(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
WHOLE = "the whole model is in one file beside it"
TOGETHER = "put all of them into one folder; any of them, or the folder, then names the model"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its files that are there, and their index; `broken` says why an index beside them cannot be read.

    `stale` are the indexes beside a whole file that list other files of it, of which there are none.
    """

    files: tuple[str, ...]
    index: Index | None = None
    broken: FileError | None = None
    stale: tuple[Index, ...] = ()

    @property
    def name(self) -> str:
        """The path that stands for it: the first shard's, where names tell the order, else the index's."""
        return (
            self.files[0] if self.index is None or (self.files and SHARD.fullmatch(self.files[0])) else self.index.path
        )

    def is_at(self, path: str) -> bool:
        """Whether a path is that of one of its files, or of its index: no directory or pattern that it stands in."""
        return path in self.files or (self.index is not None and path == self.index.path)


def shards_of(path: str) -> tuple[str, ...] | None:
    """The shards that are there of the model of which a file is one by its name; None for a file that is whole."""
    shard = SHARD.fullmatch(path)
    if shard is None or int(shard["count"]) == int(shard["number"]) == 1:
        return None
    if (count := int(shard["count"])) > MOST_FILES:
        raise too_many(count)
    names = [f"{shard['stem']}-{number:05}-of-{count:05}{shard['suffix']}" for number in range(1, count + 1)]
    return tuple(sorted({path, *(name for name in names if is_url(path) or os.path.lexists(name))}))


def model_of(index: Index) -> Model:
    """The model that an index lists: its files that are there, and what their names say to be a shard beside them."""
    found = {path for path in index.files if os.path.lexists(path)}
    for path in {model: path for path in found if (model := stem_of(path)) != path}.values():
        found |= set(shards_of(path) or ())
    return Model(tuple(sorted(found)), index)


def stem_of(path: str) -> str:
    """What the shards of one model have in common; the path of a file that is none."""
    shard = SHARD.fullmatch(path)
    return f"{shard['stem']}{shard['suffix']}" if shard else path


def too_many(count: int) -> Malformed:
    """What is wrong with more files than are ever looked into."""
    return malformed("too-many", "there are too many files here", expected=f"at most {MOST_FILES}", found=str(count))


def read_model(model: Model) -> Tensors:
    """The tensors of a model in one file or in shards; what is wrong with them by the index is among the findings.

    Raises FileError when a file cannot be read, a shard is missing, or two shards hold tensors of one name.
    """
    if model.broken is not None:
        raise model.broken
    if model.index is not None:
        _check_listed(model.index)
    _check_shards(model.files)
    if model.index is None and len(model.files) == 1:
        tensors = read_tensors(model.files[0])
        return replace(tensors, findings=(*tensors.findings, *map(_told_of_stale, model.stale)))
    if model.files[0].lower().endswith(HDF5):
        tensors, held = read_hdf5_shards(model.files)
    else:
        parts = [read_tensors(name) for name in model.files]
        tensors, held = _merged(parts), [dict.fromkeys(part, 0) for part in parts]
    if model.index is None:
        return tensors
    return replace(tensors, findings=(*tensors.findings, *hold_listed(model.index, model.files, held)))


def _merged(parts: list[Tensors]) -> Tensors:
    merged: dict[str, Tensor] = {}
    for part in parts:
        for name, tensor in part.items():
            if name in merged:
                raise FileError(Finding("names", f"two shards hold {safe(name, 60)}", at=safe(part.origin, None)))
            merged[name] = tensor
    findings = tuple(finding for part in parts for finding in part.findings)
    origin = f"{parts[0].origin} and {len(parts) - 1} more" if len(parts) > 1 else parts[0].origin
    return Tensors(origin, parts[0].format, merged, tuple(o for p in parts for o in p.operators), findings)


def read_whole(model: Model) -> Tensors:
    """The same for whoever computes with it: raises FileError where the index says that a tensor is lost, too."""
    tensors = read_model(model)
    if lost := [finding for finding in tensors.findings if (finding.code, finding.severity) == ("index", "error")]:
        raise FileError(lost[0])
    return tensors


def _check_listed(index: Index) -> None:
    """Raises FileError when some of the files that an index lists are missing."""
    files = index.files
    if missing := [os.path.basename(path) for path in files if not os.path.exists(path)]:
        whole = whole_beside(index.path) if len(missing) == len(files) else ""
        raise _not_all_here(index.path, len(files), missing, f"{WHOLE}: name that" if whole else TOGETHER)


def _told_of_stale(index: Index) -> Finding:
    """The warning of an index that is left of a model in several files, where the whole file is."""
    names = [os.path.basename(path) for path in index.files]
    message = "the index lists files of the model of which none is here"
    because = f"{WHOLE}, which a loader takes first"
    help = "delete the index, or fetch the files that it lists and delete the whole one"
    return Finding("index", message, safe(index.path, None), shortened(names, 5, safe), "", because, help, "warning")


def _check_shards(names: tuple[str, ...]) -> None:
    """Raises FileError when some of a model's shards are missing by their own names."""
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
        raise _not_all_here(names[0], count, missing)


def _not_all_here(path: str, count: int, missing: list[str], help: str = TOGETHER) -> FileError:
    found = f"without {shortened(missing, 5, safe)}" if missing else "of several counts"
    message = "the model lies in several files, and they are not all here"
    return FileError(Finding("shards", message, safe(path, None), f"{count} files", found, help=help))
