"""A report → a contract, as TOML; and a later report held against it.

A contract names every recurrent layer of a file: where, in which dialect, its sizes, its equations. What it leaves out
it does not hold, so that a person may delete lines; a layer that it does not name is a finding.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lstm_spec.cells.differences import compare_cells
from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.errors import CellError, FileError, Finding, TensorError, safe
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse

LONGEST = 1_000_000  # characters of a contract; 100 layers take about 60 000
PLAIN = {"dialect": str, "dtype": str, "layers": int, "direction": str, "layout": str}
BARE = "a layer without a prefix"
HELD = (*PLAIN, "sizes", "equations")


@dataclass(frozen=True, slots=True)
class Promise:
    """One layer as the contract has it: where it stands, what is held of it, and its equations, if they are."""

    at: str
    held: Mapping[str, Any]
    sizes: Mapping[str, int]
    cell: Cell | None = None


def write_contract(report: Report) -> str:
    """The layers of a report as a contract, in TOML.

    Raises TensorError when the report is of a file that does not conform: there is nothing to hold others to.
    """
    if not report.ok:
        raise TensorError(
            Finding(
                "spec",
                "only a file that conforms can be a contract for others",
                at=safe(report.origin),
                found=report.verdict,
                help="lstm-spec check says what does not fit",
            )
        )
    lines = ["# The recurrent layers of a file; lstm-spec check FILE --spec THIS holds a file to them.", ""]
    return "\n".join(lines) + "\n".join(_table(found, report) for found in report.layers)


def _where(found: FoundLayer, report: Report) -> str:
    """The layer's place in its file: nothing for names without a prefix, whatever the file is called."""
    return "" if found.where == report.origin else safe(found.where, None)


def _table(found: FoundLayer, report: Report) -> str:
    """One layer: a fact a line, then its sizes by letter, then its equations."""
    told = _told(found)
    lines = [f"at = {_quoted(_where(found, report))}"]
    lines += [f"{name} = {_quoted(told[name]) if kind is str else told[name]}" for name, kind in PLAIN.items()]
    lines.append(f"sizes = {{ {', '.join(f'{letter} = {value}' for letter, value in told['sizes'].items())} }}")
    return "\n".join(["[[layer]]", *lines, f'equations = """\n{found.layer.cell}\n"""', ""])


def _told(found: FoundLayer) -> dict[str, Any]:
    """A found layer under the names of a contract."""
    layer = found.layer
    sizes = {letter: int(size) for letter, size in layer.given if size.is_Integer}
    plain = {"layers": layer.layers, "direction": layer.direction, "layout": layer.layout}
    return {"dialect": found.dialect, "dtype": found.dtype, **plain, "sizes": sizes}


def _quoted(text: str) -> str:
    """A TOML basic string: JSON escapes the same characters but for DEL, which no `safe` text has."""
    return json.dumps(text, ensure_ascii=False)


def read_contract(text: str, name: str = "the contract") -> tuple[Promise, ...]:
    """The layers that a contract names.

    Raises FileError when the text is no TOML, or holds what no contract has; CellError when equations are wrong.
    """
    if len(text) > LONGEST:
        found = f"{len(text)} characters"
        raise FileError(Finding("spec", "this is too long for a contract", safe(name), f"at most {LONGEST}", found))
    try:
        read = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(Finding("spec", "this is no TOML", at=safe(name), because=safe(error))) from None
    tables = read.get("layer")
    if set(read) != {"layer"} or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        keys = ", ".join(safe(key, 40) for key in read) or "nothing"
        help = "lstm-spec spec FILE writes a contract"
        raise FileError(
            Finding("spec", "this is no contract", safe(name), "[[layer]] tables, at least one", keys, "", help)
        )
    promises = tuple(_promise(table, f"{name}, layer {number}") for number, table in enumerate(tables, 1))
    twice = {p.at for p in promises if [q.at for q in promises].count(p.at) > 1}
    if twice:
        raise FileError(Finding("spec", f"{', '.join(map(safe, sorted(twice)))} is named twice", safe(name)))
    return promises


def _promise(table: Mapping[str, Any], where: str) -> Promise:
    known = ("at", *HELD)
    if unknown := [key for key in table if key not in known]:
        raise FileError(
            Finding(
                "spec", f"{', '.join(safe(k, 40) for k in unknown)} is held of no layer", safe(where), ", ".join(known)
            )
        )
    kinds = {"at": str, "equations": str, "sizes": dict, **PLAIN}
    for key, kind in kinds.items():
        value = table.get(key)
        if (value is None and key == "at") or (value is not None and type(value) is not kind):
            words = {str: "a text", int: "a whole number", dict: "a table, { n = 5, k = 10 }"}[kind]
            raise FileError(
                Finding("spec", f"{key} is not what it should be", safe(where), words, safe(repr(value), 60))
            )
    sizes = table.get("sizes", {})
    for letter, size in sizes.items():
        if type(size) is not int or size < 1:
            raise FileError(Finding("spec", f"{safe(letter, 40)} = {safe(repr(size), 40)} is no size", safe(where)))
    cell = parse(table["equations"], name=where) if "equations" in table else None
    return Promise(table["at"], {key: table[key] for key in PLAIN if key in table}, sizes, cell)


def hold_report(report: Report, promises: tuple[Promise, ...]) -> Iterator[Finding]:
    """A finding for each layer that is missing, that the contract does not name, or that is another."""
    found = {_where(layer, report): layer for layer in report.layers}
    names = ", ".join(safe(name) or BARE for name in found) or "no layer"
    for promise in promises:
        layer = found.pop(promise.at, None)
        at = _place(report, promise.at)
        if layer is None:
            name = safe(promise.at) or BARE
            yield Finding("spec-missing", f"{name} is in the contract and not here", at, found=names)
        else:
            yield from _hold_layer(layer, promise, at)
    for where in found:
        yield Finding("spec-extra", f"{safe(where) or BARE} is here and not in the contract", _place(report, where))


def _place(report: Report, where: str) -> str:
    return f"{safe(report.origin)} : {safe(where)}" if where else safe(report.origin)


def _hold_layer(found: FoundLayer, promise: Promise, at: str) -> Iterator[Finding]:
    told = _told(found)
    pairs = [(key, value, told[key]) for key, value in promise.held.items()]
    pairs += [(letter, size, told["sizes"].get(letter, "no such size")) for letter, size in promise.sizes.items()]
    for name, expected, value in pairs:
        if expected != value:
            yield Finding("spec", f"{safe(name, 40)} is another than in the contract", at, safe(expected), safe(value))
    if promise.cell is not None and promise.cell != found.layer.cell:
        yield _other_equations(promise.cell, found.layer.cell, at)


def _other_equations(promised: Cell, found: Cell, at: str) -> Finding:
    """What differs, in words; two writings of one computation are told as that."""
    try:
        changes = compare_cells(promised, found).changes
    except CellError as error:
        raise FileError(error.finding) from None
    words = "; ".join(change.words for change in changes[:4])
    more = f"; and {len(changes) - 4} more" if len(changes) > 4 else ""
    help = "lstm-spec cells diff shows two cells beside each other"
    return Finding("spec", "the equations are others than in the contract", at, because=words + more, help=help)
