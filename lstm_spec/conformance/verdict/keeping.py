"""A report held to a contract: a finding for each promise that is not kept, and for each layer that none is made of.

What the contract does not say is not held: a line of a layer, an equation, the place of a layer, which is then any that
keeps the promise. Says nothing of the text of a contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lstm_spec.cells.differences import compare_cells
from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.conformance.verdict.accepting import Accepted, gone, hold_unread, meant, unread_beside, where_of
from lstm_spec.conformance.verdict.matching import match
from lstm_spec.dialects import get
from lstm_spec.dialects.facts import Facts
from lstm_spec.errors import CellError, Finding, safe
from lstm_spec.symbolic.cell import Cell, Declaration, Equation

BARE = "a layer without a prefix"
PLAIN = {"dialect": str, "dtype": str, "layers": int, "direction": str, "merge": str, "layout": str}
SAID_BY_FEW = ("merge", "layout")  # what many files do not say
# Keras's names for the two layers of a Bidirectional, in a path: their outputs are merged.
OF_TWO = re.compile(r"(?s)(?:.*[/.])?(?:forward|backward)(?:_[^/.]*)?(?:[/.].*)?")
MOST_CHANGES = 4
RENAMED = "if this is meant, write the new name into {}, or delete that line: any place then"


@dataclass(frozen=True, slots=True)
class Promise:
    """One layer as the contract has it: where it stands (None: anywhere), what is held of it, and its equations.

    `statements` are those that are held; an equation that is not among them may be any. `assumed` are facts that no
    file said when the contract was written; `lines` says where each key stands in the contract.
    """

    number: int
    at: str | None
    held: Mapping[str, Any]
    sizes: Mapping[str, int]
    statements: tuple[Any, ...] = ()
    assumed: tuple[str, ...] = ()
    lines: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"layer {self.number}" if self.at is None else safe(self.at) or BARE


@dataclass(frozen=True, slots=True)
class Contract:
    """A promise for each layer, and what is recurrent, unread, and accepted as what it is."""

    promises: tuple[Promise, ...]
    unread: tuple[Accepted, ...] = ()


def told_of(found: FoundLayer) -> dict[str, Any]:
    """A found layer under the names of a contract; no `merge` where nothing is merged, or nobody says how."""
    layer = found.layer
    sizes = {letter: int(size) for letter, size in layer.given if size.is_Integer}
    merged = layer.direction == "both" or OF_TWO.fullmatch(found.where) or found.merge != "concat"
    told = {"dialect": found.dialect, "dtype": found.dtype, "layers": layer.layers, "direction": layer.direction}
    told |= {"merge": found.merge} if found.merge and merged else {}
    return {**told, **({"layout": found.layout} if found.layout else {}), "sizes": sizes}


def assumed_of(found: FoundLayer) -> tuple[str, ...]:
    """What nobody said of a layer, `direction = forward`, without the reason."""
    return tuple(text.partition(": ")[0] for text in found.assumed)


def hold_report(report: Report, contract: Contract) -> Iterator[Finding]:
    """The report's findings, those that the contract accepts as notes, and then what is not as the contract has it."""
    yield from hold_unread(report, contract.unread)
    yield from _hold_layers(report, contract.promises)


def _hold_layers(report: Report, promises: Sequence[Promise]) -> Iterator[Finding]:
    found = {where_of(layer, report): layer for layer in report.layers}
    pairs = match(promises, found, _keeps)
    for promise in promises:
        where = pairs.get(promise.number)
        if where is None:
            yield _missing(promise, {w: layer for w, layer in found.items() if w not in pairs.values()}, report)
        else:
            yield from _hold_layer(found[where], promise, _place(report, where))
    for where in found:
        if where not in pairs.values():
            message = f"{safe(where) or BARE} is here and not in the contract"
            help = "if this is meant, lstm-spec spec writes the contract of this file"
            yield Finding("spec-extra", message, _place(report, where), help=help)


def _place(report: Report, where: str) -> str:
    return f"{safe(report.origin)} : {safe(where)}" if where else safe(report.origin)


def _missing(promise: Promise, left: Mapping[str, FoundLayer], report: Report) -> Finding:
    """A promise without a layer; the reason is one that keeps it elsewhere, or that it is unread."""
    names = ", ".join(safe(where_of(layer, report)) or BARE for layer in report.layers) or "no layer"
    elsewhere = [safe(where) or BARE for where, layer in left.items() if _keeps(layer, promise)]
    unread = [finding.message for where, finding in unread_beside(report).items() if where == promise.at]
    because = f"{', '.join(elsewhere)} keeps all but the place: it may be another name" if elsewhere else ""
    because = unread[0] if unread else because
    message = f"{promise.name} is in the contract and not here"
    at = _place(report, promise.at or "")
    renamed = elsewhere and not unread
    help = RENAMED.format(promise.lines.get("at", "the contract")) if renamed else gone(promise.lines.get(""))
    return Finding("spec-missing", message, at, found=names, because=because, help=help)


# ---- one layer ----


def _keeps(found: FoundLayer, promise: Promise) -> bool:
    return all(finding.severity != "error" for finding in _hold_layer(found, promise, ""))


def _hold_layer(found: FoundLayer, promise: Promise, at: str) -> Iterator[Finding]:
    told = told_of(found)
    unsaid = [key for key in SAID_BY_FEW if key in promise.held and key not in told]
    for key in unsaid:
        if key != "merge" or found.layer.direction == promise.held.get("direction"):
            yield Finding("spec", f"{key} is in the contract, and this file does not say it", at, severity="note")
    pairs = [(key, key, value, told[key]) for key, value in promise.held.items() if key in told]
    pairs += [("sizes", n, size, told["sizes"].get(n, "no such size")) for n, size in promise.sizes.items()]
    for key, name, expected, value in pairs:
        if expected != value:
            message, because = f"{safe(name, 40)} is another than in the contract", _reason(key, found, promise)
            help = meant(promise.lines.get(key))
            yield Finding("spec", message, at, safe(expected), safe(value), because, help)
    yield from _hold_assumed(assumed_of(found), promise, at)
    if promise.statements:
        yield from _hold_equations(promise, found.layer.cell, at)


def _reason(key: str, found: FoundLayer, promise: Promise) -> str:
    """What else is known of a fact that is another: that nobody said it, or what two dialects make of it."""
    if key == "dialect":
        orders = {name: ", ".join(Facts(get(name)).gates) for name in (promise.held[key], found.dialect)}
        told = "; ".join(f"{name} has the gates {order}" for name, order in orders.items())
        return told if len(set(orders.values())) > 1 else ""
    if key == "dtype":
        return "a contract holds what the weights are stored in, whatever they are"
    reasons = [text for text in found.assumed if text.startswith(f"{key} = ")]
    if reasons:
        return f"assumed here, {reasons[0]}"
    return "the contract's was assumed" if any(text.startswith(f"{key} = ") for text in promise.assumed) else ""


def _hold_assumed(here: Sequence[str], promise: Promise, at: str) -> Iterator[Finding]:
    """What the contract says was assumed is assumed here too, or it is told."""
    subjects = {text.partition(" = ")[0]: text for text in here}
    gone_here = []
    for text in promise.assumed:
        subject, _, value = text.partition(" = ")
        if text in here:
            continue
        if value and subject in subjects:
            message = f"{safe(subject, 40)} is assumed otherwise than in the contract"
            help = meant(promise.lines.get("assumed"))
            yield Finding("spec", message, at, safe(text), safe(subjects[subject]), help=help)
        else:
            gone_here.append(safe(text))
    if gone_here:
        message = f"assumed in the contract, and not here: {'; '.join(gone_here)}"
        yield Finding("spec", message, at, severity="note")


def _hold_equations(promise: Promise, found: Cell, at: str) -> Iterator[Finding]:
    """What differs, in words; two writings of one computation are told as that."""
    try:
        promised = _completed(promise.statements, found)
        if promised == found:
            return
        changes = compare_cells(promised, found).changes
    except CellError as error:
        because = f"the contract's: {error.finding.message}"
        help = "\n".join(line for line in (error.finding.help, meant(promise.lines.get("equations"))) if line)
    else:
        more = f"; and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        because = "; ".join(change.words for change in changes[:MOST_CHANGES]) + more
        help = f"lstm-spec cells diff shows two cells beside each other\n{meant(promise.lines.get('equations'))}"
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
