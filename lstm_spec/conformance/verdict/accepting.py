"""What is recurrent beside the layers and not read, as a contract accepts it: its place, its kind, its shapes.

Comes in: a report and what is accepted. Goes out: the report's findings, with a note for what is accepted and an error
for what is another than the contract says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lstm_spec.conformance.recognition.readings import Shape, Unread
from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.conformance.verdict.matching import match
from lstm_spec.errors import Finding, safe
from lstm_spec.phrases import shortened

PLACE_ONLY = "the contract holds its place alone; one that lstm-spec spec writes now holds its kind and shapes too"
ACCEPTS = "if this is meant, lstm-spec spec writes a contract that accepts it"
NO_KIND = "nothing that says what it is"
MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a contract accepts unread; None for what it does not say. `is_place` where it is a mere text, a place.

    `lines` says where each of its keys stands in the contract.
    """

    number: int
    at: str | None = None
    kind: str | None = None
    shapes: Mapping[str, Shape] | None = None
    is_place: bool = False
    lines: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"unread {self.number}" if self.at is None else safe(self.at) or "what has no prefix"


def meant(place: str | None) -> str:
    """What to do where the file is right and the contract is not."""
    return f"if this is meant, change or delete what {place or 'the contract'} says of it"


def gone(place: str | None) -> str:
    """What to do where something is rightly no longer there."""
    return f"if this is meant, delete the table at {place or 'its place in the contract'}"


def where_of(found: FoundLayer | Unread, report: Report) -> str:
    """The place in its file: nothing for names without a prefix, whatever the file is called."""
    return "" if found.where == report.origin else safe(found.where, None)


def inside(at: str, report: Report) -> str:
    """A finding's place without the file or folder that was asked for: `gru` of `model.npz : gru`; "" for the file."""
    origin = safe(report.origin).rstrip(os.sep)
    if at == origin:
        return ""
    for separator in (" : ", os.sep):
        if at.startswith(origin + separator):
            return at.removeprefix(origin + separator)
    return at


def is_elsewhere(finding: Finding, report: Report) -> bool:
    """Whether it tells of what is recurrent, unread, and in no layer's place: there it may change the equations."""
    places = [where_of(found, report) for found in report.layers]
    place = inside(finding.at, report)
    beside = place not in places and not place.startswith(tuple(where + s for where in places for s in "./"))
    return finding.code == "unread" and finding.severity == "error" and beside


def unread_beside(report: Report) -> dict[str, Finding]:
    """What is recurrent and not read, by its place; two of one place are `gru` and `gru#2`."""
    found: dict[str, Finding] = {}
    for finding in report.findings:
        if is_elsewhere(finding, report):
            told = as_unread(finding)
            where = name = where_of(told, report) if told.where else inside(finding.at, report)
            number = 1
            while name in found:
                number += 1
                name = f"{where}#{number}"
            found[name] = finding
    return found


def as_unread(finding: Finding) -> Unread:
    """What a finding knows of what is not read: often nothing but the place."""
    return finding if isinstance(finding, Unread) else Unread(finding.code, finding.message, finding.at)


def shapes_of(found: Unread) -> dict[str, Shape]:
    """The shapes of its tensors, under names that are fit to be printed."""
    return {safe(name, None): shape for name, shape in found.shapes}


def hold_unread(report: Report, accepted: Sequence[Accepted]) -> Iterator[Finding]:
    """The report's findings, those that are accepted as notes, each with what is another than the contract says."""
    beside = unread_beside(report)
    clauses = [replace(clause, at=_known(clause.at, beside, report)) for clause in accepted]
    pairs = match(clauses, beside, lambda found, clause: not any(_differences(found, clause, "")))
    taken = {id(beside[pairs[c.number]]): (pairs[c.number], c) for c in clauses if c.number in pairs}
    for finding in report.findings:
        if id(finding) in taken:
            where, clause = taken[id(finding)]
            yield replace(finding, severity="note", help=PLACE_ONLY if clause.is_place else "")
            yield from _differences(finding, clause, f"{safe(report.origin)} : {safe(where)}")
        else:
            unknown = any(finding is other for other in beside.values()) and not finding.help
            yield replace(finding, help=ACCEPTS) if unknown else finding
    for clause in accepted:
        if clause.number not in pairs:
            yield _missing(clause, beside, report)


def _known(at: str | None, beside: Mapping[str, Finding], report: Report) -> str | None:
    """A clause's place as it is called now: an older contract lists the tensors that stand there."""
    listed = (where for where, found in beside.items() if inside(found.at, report) == at)
    return at if at is None or at in beside else next(listed, at)


def _differences(finding: Finding, clause: Accepted, at: str) -> Iterator[Finding]:
    found = as_unread(finding)
    if clause.kind is not None and clause.kind != found.kind:
        message = f"{clause.name} is another kind of cell than in the contract"
        help = meant(clause.lines.get("kind"))
        yield Finding("spec", message, at, safe(clause.kind), found.kind or NO_KIND, found.message, help)
    here = shapes_of(found)
    if clause.shapes is not None and clause.shapes != here:
        message = f"{clause.name} has other tensors than in the contract"
        names = [name for name in {**clause.shapes, **here} if clause.shapes.get(name) != here.get(name)]
        expected, told = _listed(names, clause.shapes), _listed(names, here)
        yield Finding("spec", message, at, expected, told, help=meant(clause.lines.get("shapes")))


def _listed(names: Sequence[str], shapes: Mapping[str, Shape]) -> str:
    return shortened(names, MOST_NAMED, lambda name: f"{safe(name, 60)} {shapes.get(name, 'not there')}")


def _missing(clause: Accepted, beside: Mapping[str, Finding], report: Report) -> Finding:
    """A clause of what is not there; what is read at its place now is the reason."""
    read = [found for found in report.layers if clause.at is not None and where_of(found, report) == clause.at]
    because = f"it is read here: {read[0].dialect}, {read[0].summary}" if read else ""
    names = ", ".join(safe(where) or safe(report.origin) for where in beside) or "nothing unread"
    message = f"{clause.name} is in the contract, unread, and not here"
    help = meant(clause.lines.get("")) if clause.is_place else gone(clause.lines.get(""))
    return Finding("spec-missing", message, safe(report.origin), found=names, because=because, help=help)
