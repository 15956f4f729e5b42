"""The text of a contract → what it holds; whatever no contract can say is a wrong question, told with its line.

Equations are judged by themselves as far as they go: a person may have deleted some, so that what more of them would
mend (a state that is never updated, a name that is not read) is left to `keeping`, beside the cell of a file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, NoReturn

from lstm_spec.conformance.verdict.accepting import Accepted
from lstm_spec.conformance.verdict.keeping import BARE, PLAIN, Contract, Promise
from lstm_spec.conformance.verdict.toml_lines import Key, find_lines
from lstm_spec.dialects import get
from lstm_spec.errors import CellError, FileError, Finding, OptionError, safe
from lstm_spec.layers.options import CHOICES
from lstm_spec.symbolic.cell import Source
from lstm_spec.symbolic.language import MAX_TEXT, assemble, read_statements
from lstm_spec.symbolic.shapes import infer

LONGEST = 1_000_000  # characters of a contract; 100 layers take about 60 000
LAYER: dict[str, type[Any]] = {"at": str, **PLAIN, "assumed": list, "sizes": dict, "equations": str}
UNREAD: dict[str, type[Any]] = {"at": str, "kind": str, "shapes": dict}
WORDS = {str: "a text", int: "a whole number", dict: "a table", list: "a list of texts"}
EXAMPLES = {"sizes": ", { n = 5, k = 10 }", "shapes": ', { "gru.weight_hh_l0" = [12, 4] }'}
# How Keras's configuration calls two of the merges.
KNOWN = {name: CHOICES[name] for name in ("direction", "layout")} | {"merge": (*CHOICES["merge"], "ave", "None")}
WRITES = "lstm-spec spec FILE writes a contract"
LEFT_OUT = "a line that is deleted is not held"
NO_PATH = "a contract is given by its text, a file's as pathlib.Path(…).read_text(encoding='utf-8')"
UNNAMED = "the contract"  # one that was handed over as a text
QUOTED = 'the equations stand between """ and """: delete some of them, or all with both marks'
AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")
# What further equations and declarations mend.
MENDED = frozenset({"empty", "prime", "state", "output", "unused", "undetermined"})


@dataclass(frozen=True, slots=True)
class Text:
    """A contract's text, its name for people, and the lines of its keys."""

    text: str
    name: str
    lines: Mapping[Key, int]

    def at(self, table: str, number: int, key: str = "") -> str:
        """`spec.toml:9`; without the line where it is written in another way than a line for each key."""
        line = self.lines.get((table, number, key))
        inside = f", {table} {number}" if table else ""
        return f"{safe(self.name)}:{line}" if line else f"{safe(self.name)}{inside}"

    def places(self, table: str, number: int, keys: Mapping[str, Any]) -> dict[str, str]:
        """Where the header and each key of a table stand."""
        return {key: self.at(table, number, key) for key in ("", *keys)}


def read_contract(text: str, name: str = UNNAMED) -> Contract:
    """What a contract holds, from its text.

    Raises OptionError for what is no text, a path too; FileError when the text is no TOML, or holds what no contract
    has; CellError when equations do not parse, or are no equations of one cell.
    """
    if not isinstance(text, str):
        kind = safe(type(text).__name__, 40)
        raise OptionError(Finding("type", "this is no contract", expected="its text", found=kind, help=NO_PATH))
    if len(text) > LONGEST:
        found = f"{len(text)} characters"
        raise FileError(Finding("spec", "this is too long for a contract", safe(name), f"at most {LONGEST}", found))
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    source = Text(text, name, find_lines(text))
    read = _parsed(source)
    tables, unread = read.get("layer"), read.get("unread", [])
    is_list = isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)
    if not is_list or not set(read) <= {"layer", "unread"}:
        keys = ", ".join(safe(key, 40) for key in read) or "nothing"
        expected = "[[layer]] tables, at least one, and [[unread]] tables"
        raise FileError(Finding("spec", "this is no contract", safe(name), expected, keys, "", WRITES))
    if not isinstance(unread, list) or not all(type(place) in (str, dict) for place in unread):
        _refuse("unread is not what it should be", source.at("", 0, "unread"), "[[unread]] tables", unread)
    promises = tuple(_promise(table, number, source) for number, table in enumerate(tables or (), 1))
    accepted = tuple(_accepted(table, number, source) for number, table in enumerate(unread, 1))
    _forbid_twice("layer", promises, source)
    _forbid_twice("unread", accepted, source)
    return Contract(promises, accepted)


def _parsed(source: Text) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is TOML, and none that Python reads
        line = AT_LINE.search(str(error))
        number = int(line[1]) if line else 0
        shown = f":{number}   {safe(source.text.split(chr(10))[number - 1].strip(), 80)}" if line else ""
        is_line = source.name == UNNAMED and "\n" not in source.text.strip()
        help = NO_PATH if is_line else QUOTED if source.text.count('"""') % 2 else WRITES
        found = Finding("spec", "this is no TOML", f"{safe(source.name)}{shown}", because=safe(error), help=help)
        raise FileError(found) from None


def _refuse(message: str, at: str, expected: str, found: Any = None, help: str = LEFT_OUT) -> NoReturn:
    try:
        shown = "" if found is None else safe(repr(found), 60)
    except ValueError:  # 0xff…: read at any length, but not written in decimal digits
        shown = "a number of very many digits"
    raise FileError(Finding("spec", message, at, expected, shown, help=help))


def _forbid_twice(table: str, clauses: tuple[Promise, ...] | tuple[Accepted, ...], source: Text) -> None:
    seen: dict[str, str] = {}
    for clause in clauses:
        if clause.at is not None and clause.at in seen:
            message = f"{safe(clause.at) or BARE} is named twice"
            at, first = source.at(table, clause.number, "at"), seen[clause.at]
            raise FileError(Finding("spec", message, at, because=f"{first} names it too", help="remove one of the two"))
        if clause.at is not None:
            seen[clause.at] = source.at(table, clause.number, "at")


# ---- one table ----


def _check_keys(table: Mapping[str, Any], kinds: Mapping[str, type[Any]], name: str, number: int, source: Text) -> None:
    for key, value in table.items():
        at = source.at(name, number, key)
        if key not in kinds:
            near = get_close_matches(key, kinds, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            known = ", ".join(kinds)
            held_of = "a layer" if name == "layer" else "what is unread"
            message = f"{safe(key, 40)} is nothing that a contract holds of {held_of}"
            raise FileError(Finding("spec", message, at, known, help=f"{hint}{LEFT_OUT}"))
        kind = kinds[key]
        if type(value) is not kind or (kind is list and not all(type(text) is str for text in value)):
            _refuse(f"{key} is not what it should be", at, WORDS[kind] + EXAMPLES.get(key, ""), value)


def _accepted(table: Any, number: int, source: Text) -> Accepted:
    """An older contract has a list of places."""
    if isinstance(table, str):
        place = source.at("", 0, "unread")
        return Accepted(number, table, is_place=True, lines={"": place})
    _check_keys(table, UNREAD, "unread", number, source)
    shapes = table.get("shapes")
    for tensor, shape in (shapes or {}).items():
        if type(shape) is not list or not all(type(size) is int and size >= 0 for size in shape):
            message = f"the shape of {safe(tensor, 60)} is none"
            _refuse(message, source.at("unread", number, "shapes"), "whole numbers, [12, 4]", shape)
    held = None if shapes is None else {tensor: tuple(shape) for tensor, shape in shapes.items()}
    lines = source.places("unread", number, table)
    return Accepted(number, table.get("at"), table.get("kind"), held, lines=lines)


def _promise(table: Mapping[str, Any], number: int, source: Text) -> Promise:
    _check_keys(table, LAYER, "layer", number, source)
    _check_words(table, number, source)
    sizes = table.get("sizes", {})
    for letter, size in sizes.items():
        if type(size) is not int or size < 1:
            message, at = f"{safe(letter, 40)} is no size", source.at("layer", number, "sizes")
            help = f"{LEFT_OUT}; nor is a letter that is deleted between the braces"
            _refuse(message, at, "a whole number of 1 and more", size, help)
    statements = _statements(table, number, source)
    held = {key: table[key] for key in PLAIN if key in table}
    lines = source.places("layer", number, table)
    return Promise(number, table.get("at"), held, sizes, statements, tuple(table.get("assumed", ())), lines)


def _check_words(table: Mapping[str, Any], number: int, source: Text) -> None:
    """Words that are none of any file's, and what is said to be assumed and is not what is held."""
    if "dialect" in table:
        try:
            get(table["dialect"])
        except OptionError as error:
            at = source.at("layer", number, "dialect")
            raise FileError(replace(error.finding, code="spec", at=at)) from None
    for key, words in KNOWN.items():
        if key in table and table[key] not in words:
            at = source.at("layer", number, key)
            _refuse(f"{key} = {safe(table[key], 40)} is none", at, ", ".join(words))
    if table.get("layers", 1) < 1:
        at = source.at("layer", number, "layers")
        _refuse("layers is not what it should be", at, "a whole number of 1 and more", table["layers"])
    for text in table.get("assumed", ()):
        key, _, value = text.partition(" = ")
        if key in PLAIN and key in table and value != str(table[key]):
            at = source.at("layer", number, "assumed")
            because = f"{source.at('layer', number, key)} says {key} = {safe(table[key], 40)}"
            message = f"{safe(text, 80)} is assumed, and another is held"
            raise FileError(Finding("spec", message, at, because=because, help="make the two lines say the same"))


# ---- equations ----


def _statements(table: Mapping[str, Any], number: int, source: Text) -> tuple[Any, ...]:
    """The declarations and equations of a layer. Raises CellError, with their line, when they are none."""
    text = table.get("equations", "")
    start = _start(text, number, source)
    name = safe(source.name) if start is not None else source.at("layer", number, "equations")
    lines = "\n" * (start or 0)  # so that a line of the equations has its number in the contract
    statements, equations = read_statements(lines + text, name)
    _forbid_two_declarations(statements, equations)
    if statements:
        try:
            infer(assemble(statements, equations))
        except CellError as error:
            if error.finding.code not in MENDED:
                raise
    return tuple(statements)


def _forbid_two_declarations(statements: list[Any], equations: Source) -> None:
    """One name, declared once: beside a file's cell the second would be taken for the first."""
    seen: set[str] = set()
    for declared in (d for s in statements if isinstance(s, tuple) and s[0] != "output" for d in s[1]):
        if declared.name in seen:
            at = equations.quote(declared.span)
            raise CellError(Finding("twice", f"{declared.name} is declared twice", at, help="remove one of the two"))
        seen.add(declared.name)


def _start(text: str, number: int, source: Text) -> int | None:
    """How many lines of the contract stand above the equations; None where they are not written line by line."""
    line = source.lines.get(("layer", number, "equations"))
    if line is None:
        return None
    written, there = text.split("\n"), source.text.split("\n")
    fits = there[line : line + len(written) - 1] == written[:-1] and len(text) + line < MAX_TEXT
    return line if fits else None
