"""Many files → one `Report`: each checked alone, its layers and findings under its own name.

A file that cannot be read is a finding, so that the others are still told; a file without an LSTM is a note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from lstm_spec.checkpoints.shards import read_model
from lstm_spec.conformance.recognition.readings import Unread
from lstm_spec.conformance.report import Report
from lstm_spec.errors import Finding, LstmSpecError, MissingPackageError, TensorError, safe
from lstm_spec.layers.tensors import Tensors


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

    def below(where: str) -> str:
        return label if where == report.origin else f"{label} : {where}"

    layers = tuple(replace(found, where=below(found.where)) for found in report.layers)
    findings = (replace(f, where=below(f.where)) if isinstance(f, Unread) else f for f in report.findings)
    return Report(
        total.origin,
        (*total.layers, *layers),
        (*total.findings, *findings),
        (*total.other, *(f"{label} : {name}" for name in report.other)),
    )
