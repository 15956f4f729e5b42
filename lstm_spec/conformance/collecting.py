"""Many files → one `Report`: each checked alone, its layers and findings under its own name; shards read as one model.

A file that cannot be read is a finding, so that the others are still told; a file without an LSTM is a note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.listing import check_shards
from lstm_spec.conformance.report import Report
from lstm_spec.errors import FileError, Finding, LstmSpecError, MissingPackageError, TensorError, safe
from lstm_spec.layers.tensors import Tensor, Tensors


def read_model(names: list[str]) -> Tensors:
    """The tensors of a model in one file or in shards.

    Raises FileError when a file cannot be read, a shard is missing, or two shards hold tensors of one name.
    """
    if len(names) == 1:
        check_shards(names)
        return read_tensors(names[0])
    check_shards(names)
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


def check_each(origin: str, models: Iterable[list[str]], check: Callable[[Tensors], Report]) -> Report:
    """One report of all models below `origin`.

    Raises TensorError when none of them holds an LSTM and none fails: the question was wrong.
    """
    total = Report(safe(origin, None), (), (), ())
    for names in models:
        label = os.path.relpath(names[0], origin) if os.path.isdir(origin) else names[0]
        try:
            total = _joined(total, check(read_model(names)), label)
        except MissingPackageError as error:
            total = replace(total, findings=(*total.findings, replace(error.finding, at=safe(names[0], None))))
        except LstmSpecError as error:
            is_note = isinstance(error, TensorError) and error.finding.code == "no-lstm"
            finding = replace(error.finding, severity="note") if is_note else error.finding
            total = replace(total, findings=(*total.findings, finding))
    if not total.layers and all(finding.severity == "note" for finding in total.findings):
        count = len(total.findings)
        raise TensorError(
            Finding(
                "no-lstm", "there is no LSTM here", total.origin, found=f"{count} file{'s' * (count != 1)} without one"
            )
        )
    return total


def _joined(total: Report, report: Report, label: str) -> Report:
    """Two reports as one; the layers and tensors of the second under its file's name."""
    layers = tuple(
        replace(found, where=label if found.where == report.origin else f"{label} : {found.where}")
        for found in report.layers
    )
    return Report(
        total.origin,
        (*total.layers, *layers),
        (*total.findings, *report.findings),
        (*total.other, *(f"{label} : {name}" for name in report.other)),
    )
