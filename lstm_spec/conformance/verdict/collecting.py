"""Many files → one `Report`: each checked alone, its layers and findings under its own name.

A file that cannot be read is a finding, so that the others are still told; those without an LSTM are one note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from lstm_spec.checkpoints.shards import Model, read_model
from lstm_spec.conformance.recognition.choosing import is_without_tensors, label_of, passed_over, told_without
from lstm_spec.conformance.recognition.readings import Unread
from lstm_spec.conformance.report import Report
from lstm_spec.errors import FileError, Finding, LstmSpecError, MissingPackageError, TensorError, safe
from lstm_spec.layers.tensors import Tensors
from lstm_spec.phrases import counted


def check_each(origin: str, models: Iterable[Model], check: Callable[[Tensors], Report]) -> Report:
    """One report of all models below `origin`.

    Raises TensorError when none of them holds an LSTM and none fails, and FileError or MissingPackageError when the
    path is that of a file or an index which cannot be read: the question was wrong.
    """
    total = Report(safe(origin, None), (), (), ())
    passed: list[tuple[str, str]] = []
    for model in models:
        label = label_of(model, origin)
        try:
            total = _joined(total, check(read_model(model)), label)
        except LstmSpecError as error:
            if isinstance(error, FileError | MissingPackageError) and model.is_at(origin):
                raise
            if isinstance(error, MissingPackageError):
                finding = replace(error.finding, at=safe(model.name, None))
                total = replace(total, findings=(*total.findings, finding))
            elif what := _without_lstm(model, error):
                passed.append((label, what))
            else:
                total = replace(total, findings=(*total.findings, _as_note(error)))
    if not total.layers and all(finding.severity == "note" for finding in total.findings):
        count = len(total.findings) + len(passed)
        found = f"{counted(count, 'file')} without one"
        raise TensorError(Finding("no-lstm", "there is no LSTM here", total.origin, found=found))
    return replace(total, findings=(*total.findings, passed_over(origin, passed))) if passed else total


def _without_lstm(model: Model, error: LstmSpecError) -> str:
    """What a file holds that was read and has no LSTM; empty where there is more to be said."""
    if isinstance(error, FileError):
        return told_without(error.finding) if is_without_tensors(model, error) else ""
    return error.finding.found if _has_none(error) and not error.finding.help else ""


def _as_note(error: LstmSpecError) -> Finding:
    """An LSTM of another dialect than the one that was asked for is no error of its file."""
    return replace(error.finding, severity="note") if _has_none(error) else error.finding


def _has_none(error: LstmSpecError) -> bool:
    return isinstance(error, TensorError) and error.code == "no-lstm"


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
