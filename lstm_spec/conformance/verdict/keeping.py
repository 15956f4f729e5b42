"""A report held to a contract: a finding for each promise that is not kept, and for each layer that none is made of.

What the contract does not say is not held: a line of a layer, an equation, the place of a layer, which is then any that
keeps the promise. Says nothing of the text of a contract.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lstm_spec.cells.differences import compare_cells
from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.errors import CellError, Finding, safe
from lstm_spec.symbolic.cell import Cell, Declaration, Equation

BARE = "a layer without a prefix"
# Keras's names for the two layers of a Bidirectional, in a path: their outputs are merged.
OF_TWO = re.compile(r"(?s)(?:.*[/.])?(?:forward|backward)(?:_[^/.]*)?(?:[/.].*)?")
MOST_CHANGES = 4


@dataclass(frozen=True, slots=True)
class Promise:
    """One layer as the contract has it: where it stands (None: anywhere), what is held of it, and its equations.

    `statements` are those that are held; an equation that is not among them may be any.
    """

    number: int
    at: str | None
    held: Mapping[str, Any]
    sizes: Mapping[str, int]
    statements: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"layer {self.number}" if self.at is None else safe(self.at) or BARE


@dataclass(frozen=True, slots=True)
class Contract:
    """A promise for each layer, and the places of what is recurrent, unread, and accepted as that."""

    promises: tuple[Promise, ...]
    unread: tuple[str, ...] = ()


def told_of(found: FoundLayer) -> dict[str, Any]:
    """A found layer under the names of a contract; no `merge` where nothing is merged, or nobody says how."""
    layer = found.layer
    sizes = {letter: int(size) for letter, size in layer.given if size.is_Integer}
    merged = layer.direction == "both" or OF_TWO.fullmatch(found.where) or found.merge != "concat"
    merge = {"merge": found.merge} if found.merge and merged else {}
    told = {"dialect": found.dialect, "dtype": found.dtype, "layers": layer.layers, "direction": layer.direction}
    return {**told, **merge, "layout": layer.layout, "sizes": sizes}


def where_of(found: FoundLayer, report: Report) -> str:
    """The layer's place in its file: nothing for names without a prefix, whatever the file is called."""
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


def hold_report(report: Report, contract: Contract) -> Iterator[Finding]:
    """The report's findings, those that the contract accepts as notes, and then what is not as the contract has it."""
    accepted = set()
    for finding in report.findings:
        place = inside(finding.at, report)
        if place in contract.unread and is_elsewhere(finding, report):
            accepted.add(place)
            yield replace(finding, severity="note", help="")
        else:
            yield finding
    for place in contract.unread:
        if place not in accepted:
            yield Finding(
                "spec-missing", f"{safe(place)} is in the contract, unread, and not here", safe(report.origin)
            )
    yield from _hold_layers(report, contract.promises)


def _hold_layers(report: Report, promises: Sequence[Promise]) -> Iterator[Finding]:
    found = {where_of(layer, report): layer for layer in report.layers}
    pairs = _paired(promises, found)
    names = ", ".join(safe(name) or BARE for name in found) or "no layer"
    for promise in promises:
        where = pairs.get(promise.number)
        at = _place(report, (promise.at or "") if where is None else where)
        if where is None:
            yield Finding("spec-missing", f"{promise.name} is in the contract and not here", at, found=names)
        else:
            yield from _hold_layer(found[where], promise, at)
    for where in found:
        if where not in pairs.values():
            yield Finding("spec-extra", f"{safe(where) or BARE} is here and not in the contract", _place(report, where))


def _place(report: Report, where: str) -> str:
    return f"{safe(report.origin)} : {safe(where)}" if where else safe(report.origin)


# ---- which promise is of which layer ----


def _paired(promises: Sequence[Promise], found: Mapping[str, FoundLayer]) -> dict[int, str]:
    """Each promise's place, by its number: the one it names, else one that keeps it, else what is left, in order."""
    pairs = {promise.number: promise.at for promise in promises if promise.at in found and promise.at is not None}
    left = [where for where in found if where not in pairs.values()]
    free = [promise for promise in promises if promise.at is None]
    keeping = {p.number: [where for where in left if _keeps(found[where], p)] for p in free}
    pairs |= _matched(keeping)
    others = (where for where in left if where not in pairs.values())
    return pairs | dict(zip((p.number for p in free if p.number not in pairs), others, strict=False))


def _matched(keeping: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """As many promises as can be, each with a place of its own that keeps it (Kuhn's augmenting paths)."""
    taken: dict[str, int] = {}

    def find(number: int, tried: set[str]) -> bool:
        for where in keeping[number]:
            if where not in tried:
                tried.add(where)
                if where not in taken or find(taken[where], tried):
                    taken[where] = number
                    return True
        return False

    for number in keeping:
        find(number, set())
    return {number: where for where, number in taken.items()}


# ---- one layer ----


def _keeps(found: FoundLayer, promise: Promise) -> bool:
    return all(finding.severity != "error" for finding in _hold_layer(found, promise, ""))


def _hold_layer(found: FoundLayer, promise: Promise, at: str) -> Iterator[Finding]:
    told = told_of(found)
    if "merge" in promise.held and "merge" not in told and found.layer.direction == promise.held.get("direction"):
        yield Finding("spec", "merge is in the contract, and this file does not say it", at, severity="note")
    pairs = [(key, value, told[key]) for key, value in promise.held.items() if key in told]
    pairs += [(letter, size, told["sizes"].get(letter, "no such size")) for letter, size in promise.sizes.items()]
    for name, expected, value in pairs:
        if expected != value:
            yield Finding("spec", f"{safe(name, 40)} is another than in the contract", at, safe(expected), safe(value))
    if promise.statements:
        yield from _hold_equations(promise.statements, found.layer.cell, at)


def _hold_equations(statements: Sequence[Any], found: Cell, at: str) -> Iterator[Finding]:
    """What differs, in words; two writings of one computation are told as that."""
    try:
        promised = _completed(statements, found)
        if promised == found:
            return
        changes = compare_cells(promised, found).changes
    except CellError as error:
        because, help = f"the contract's: {error.finding.message}", error.finding.help
    else:
        more = f"; and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        because = "; ".join(change.words for change in changes[:MOST_CHANGES]) + more
        help = "lstm-spec cells diff shows two cells beside each other"
    yield Finding("spec", "the equations are others than in the contract", at, because=because, help=help)


def _completed(statements: Sequence[Any], found: Cell) -> Cell:
    """The promised cell: what the contract does not define or declare is as it was found.

    Raises CellError where both together are no cell.
    """
    declared: dict[str, list[Any]] = {"input": [], "state": [], "let": [], "output": []}
    for keyword, names in (s for s in statements if isinstance(s, tuple)):
        declared[keyword] += names
    known = {d.name: d for key in ("input", "state", "let") for d in declared[key]}

    def both(own: Sequence[Declaration], theirs: Sequence[Declaration]) -> tuple[Declaration, ...]:
        mine = {d.name: d for d in own}
        kept = [mine.pop(d.name, d) for d in theirs if d.name in mine or d.name not in known]
        return (*kept, *mine.values())

    return Cell(
        inputs=both(declared["input"], found.inputs),
        states=both(declared["state"], found.states),
        lets=both(declared["let"], found.lets),
        outputs=tuple(declared["output"]) or found.outputs,
        equations=_equations([s for s in statements if isinstance(s, Equation)], found),
    )


def _equations(own: Sequence[Equation], found: Cell) -> tuple[Equation, ...]:
    """Those of the contract, in the order of the found ones; a found one whose names it does not define is as found."""
    defined = {target: equation for equation in own for target in equation.targets}
    kept: dict[int, Equation] = {}
    for theirs in found.equations:
        mine = [defined[target] for target in theirs.targets if target in defined]
        kept |= {id(equation): equation for equation in mine or [theirs]}
    return tuple((kept | {id(equation): equation for equation in own}).values())
