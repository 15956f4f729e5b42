"""A report → a contract, as TOML; and the text of a contract → what it promises.

A contract names every recurrent layer of a file: where, in which dialect, its sizes, its equations. What it leaves out
it does not hold, so that a person may delete lines; a layer that it does not name is a finding. `keeping` holds a
report to it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.conformance.verdict.keeping import (
    BARE,
    Contract,
    Promise,
    hold_report,
    inside,
    is_elsewhere,
    told_of,
    where_of,
)
from lstm_spec.errors import FileError, Finding, TensorError, safe
from lstm_spec.symbolic.language import read_statements

LONGEST = 1_000_000  # characters of a contract; 100 layers take about 60 000
PLAIN = {"dialect": str, "dtype": str, "layers": int, "direction": str, "merge": str, "layout": str}
KINDS = {"at": str, "equations": str, "sizes": dict, **PLAIN}
KNOWN = ("at", *PLAIN, "sizes", "equations")
WRITES = "lstm-spec spec FILE writes a contract"
QUOTED = 'the equations stand between """ and """: delete some of them, or all with both marks'


def write_contract(report: Report) -> str:
    """The layers of a report as a contract, in TOML; what is recurrent beside them and not read is accepted by a line.

    Raises TensorError when the report is of a file that does not conform otherwise: there is nothing to hold others to.
    """
    unread = [finding for finding in report.findings if is_elsewhere(finding, report)]
    if not report.layers or any(f.severity == "error" and f not in unread for f in report.findings):
        raise TensorError(
            Finding(
                "spec",
                "only a file that conforms can be a contract for others",
                at=safe(report.origin),
                found=report.verdict,
                help="lstm-spec check says what does not fit",
            )
        )
    title = "# The recurrent layers of a file; lstm-spec check FILE --spec THIS holds a file to them.\n"
    return title + "".join(_accepted(unread, report)) + "\n".join(_table(found, report) for found in report.layers)


def _accepted(unread: list[Finding], report: Report) -> Iterator[str]:
    """What is not read, by its place and with the reason; none where all was read."""
    if unread:
        yield "# Recurrent and not read: accepted as it is, held to nothing. Without its line it is an error again.\n"
        yield "unread = [\n"
        for finding in unread:
            yield f"  {_quoted(inside(finding.at, report))},  # {safe(finding.message, None)}\n"
        yield "]\n\n"


def _table(found: FoundLayer, report: Report) -> str:
    """One layer: a fact a line, then its sizes by letter, then its equations."""
    told = told_of(found)
    lines = [f"at = {_quoted(where_of(found, report))}"]
    lines += [f"{name} = {_quoted(told[name]) if PLAIN[name] is str else told[name]}" for name in PLAIN if name in told]
    lines.append(f"sizes = {{ {', '.join(f'{letter} = {value}' for letter, value in told['sizes'].items())} }}")
    return "\n".join(["[[layer]]", *lines, f'equations = """\n{found.layer.cell}\n"""', ""])


def _quoted(text: str) -> str:
    """A TOML basic string: JSON escapes the same characters but for DEL, which no `safe` text has."""
    return json.dumps(text, ensure_ascii=False)


def read_contract(text: str, name: str = "the contract") -> Contract:
    """What a contract holds.

    Raises FileError when the text is no TOML, or holds what no contract has; CellError when equations do not parse.
    """
    if len(text) > LONGEST:
        found = f"{len(text)} characters"
        raise FileError(Finding("spec", "this is too long for a contract", safe(name), f"at most {LONGEST}", found))
    try:
        read = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        help = QUOTED if text.count('"""') % 2 else ""
        raise FileError(Finding("spec", "this is no TOML", safe(name), because=safe(error), help=help)) from None
    tables, unread = read.get("layer"), read.get("unread", [])
    is_list = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    if not is_list or not set(read) <= {"layer", "unread"}:
        keys = ", ".join(safe(key, 40) for key in read) or "nothing"
        expected = "[[layer]] tables, at least one"
        raise FileError(Finding("spec", "this is no contract", safe(name), expected, keys, "", WRITES))
    if not isinstance(unread, list) or not all(type(place) is str for place in unread):
        raise _another("unread", name, "a list of texts", unread)
    promises = tuple(_promise(table, number, name) for number, table in enumerate(tables or (), 1))
    places = [promise.at for promise in promises if promise.at is not None]
    if twice := sorted({at for at in places if places.count(at) > 1}):
        raise FileError(Finding("spec", f"{', '.join(safe(at) or BARE for at in twice)} is named twice", safe(name)))
    return Contract(promises, tuple(unread))


def _promise(table: Mapping[str, Any], number: int, name: str) -> Promise:
    where = f"{name}, layer {number}"
    if unknown := [key for key in table if key not in KNOWN]:
        named = ", ".join(safe(key, 40) for key in unknown)
        raise FileError(Finding("spec", f"{named} is held of no layer", safe(where), ", ".join(KNOWN)))
    for key, kind in KINDS.items():
        if key in table and type(table[key]) is not kind:
            words = {str: "a text", int: "a whole number", dict: "a table, { n = 5, k = 10 }"}[kind]
            raise _another(key, where, words, table[key])
    sizes = table.get("sizes", {})
    for letter, size in sizes.items():
        if type(size) is not int or size < 1:
            raise FileError(Finding("spec", f"{safe(letter, 40)} = {safe(repr(size), 40)} is no size", safe(where)))
    statements, _ = read_statements(table.get("equations", ""), name=where)
    return Promise(number, table.get("at"), {k: table[k] for k in PLAIN if k in table}, sizes, tuple(statements))


def _another(key: str, where: str, words: str, found: Any) -> FileError:
    return FileError(Finding("spec", f"{key} is not what it should be", safe(where), words, safe(repr(found), 60)))


__all__ = ["LONGEST", "Contract", "Promise", "hold_report", "read_contract", "write_contract"]
