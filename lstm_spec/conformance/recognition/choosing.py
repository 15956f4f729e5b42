"""Several models below one path → the only one that holds a recurrent layer, and what was passed over for it.

A model stands among other files: a trainer's folder has the optimizer's state, the random generators' and its options.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from lstm_spec.checkpoints.shards import Model, read_whole
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.errors import FileError, Finding, TensorError, safe
from lstm_spec.layers.tensors import Tensors
from lstm_spec.phrases import begun, counted, shortened

MOST = 8  # of the files that are told


def read_only_model(path: str, models: Sequence[Model]) -> Tensors:
    """The one model below a path that holds anything recurrent; a note among its findings tells of the others.

    Raises FileError when one cannot be read or several hold something, TensorError when none of several does.
    """
    if len(models) == 1:
        return read_whole(models[0])
    held: list[tuple[Model, Tensors]] = []
    passed: list[tuple[str, str]] = []
    for model in models:
        try:
            tensors = read_whole(model)
        except FileError as error:
            if not is_without_tensors(model, error):
                raise
            passed.append((label_of(model, path), told_without(error.finding)))
            continue
        if recognize(tensors).is_empty:
            passed.append((label_of(model, path), told_tensors(tensors)))
        else:
            held.append((model, tensors))
    if len(held) > 1:
        found = begun(held, 5, lambda one: safe(one[0].name, None))
        raise FileError(Finding("several", f"there are {len(held)} files", safe(path, None), "one file", found))
    if not held:
        found, help = passed_over(path, passed).found, "name the one file that is meant"
        raise TensorError(Finding("no-lstm", "there is no LSTM here", safe(path, None), found=found, help=help))
    tensors = held[0][1]
    return replace(tensors, findings=(*tensors.findings, passed_over(path, passed)))


def label_of(model: Model, path: str) -> str:
    """What a model below a path is called: below a directory without the directory."""
    return os.path.relpath(model.name, path) if os.path.isdir(path) else model.name


def is_without_tensors(model: Model, error: FileError) -> bool:
    """Whether a file was read and only has nothing to be looked at; a shard without a tensor is not that."""
    return error.code == "no-tensors" and model.index is None and len(model.files) == 1


def told_without(finding: Finding) -> str:
    """What there is in place of tensors."""
    return f"no tensors; {finding.because}" if finding.because else "no tensors"


def told_tensors(tensors: Tensors) -> str:
    """`18 tensors: state.0.step, … and 13 more`."""
    names = shortened(list(tensors), 5, lambda name: safe(name, 60))
    return f"{counted(len(tensors), 'tensor')}: {names}" if tensors else "no tensors at all"


def passed_over(path: str, files: Sequence[tuple[str, str]]) -> Finding:
    """The note of files that hold nothing recurrent; each with what it holds instead."""
    lines = [f"{safe(name, None)}: {what}" for name, what in files[:MOST]]
    lines += [f"and {len(files) - MOST} more"] if len(files) > MOST else []
    has = f"{len(files)} files hold" if len(files) != 1 else "1 file holds"
    message = f"{has} no recurrent layer, and {'were' if len(files) != 1 else 'was'} passed over"
    return Finding("no-lstm", message, safe(path, None), found="\n".join(lines), severity="note")
