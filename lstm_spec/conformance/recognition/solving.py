"""A reading → its sizes: every axis of every tensor votes for a letter, the majority is believed, the rest is blamed.

A tie is not decided: both parties are named. A transposed matrix votes as if it were turned. Each shape in letters is
the one that the equations give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sympy import Integer

from lstm_spec.conformance.recognition.readings import Reading, place
from lstm_spec.conformance.recognition.turning import turn_transposed, turned_shape
from lstm_spec.conformance.recognition.voting import Expected, Votes, count_votes, said_sizes
from lstm_spec.conformance.report import Row
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.sizes import symbols
from lstm_spec.layers.tensors import Tensors
from lstm_spec.phrases import shortened
from lstm_spec.symbolic.cell import letter as symbol

BATCH = "B"  # of constant states: any number, but one


@dataclass(frozen=True, slots=True)
class Solution:
    """The layer with its numbers, a row for each tensor, and a finding for each tensor that does not fit."""

    layer: Layer
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def solve(reading: Reading, tensors: Tensors) -> Solution:
    """The sizes of a reading, from the shapes alone.

    Findings: `missing` for a tensor that the derivation has and the source has not, `extra` for the reverse, `shape`
    for one of another shape, `tie` where two values have equally many votes.
    """
    expected = list(_expected(reading, tensors))
    votes = count_votes(expected, reading)
    voting = turn_transposed(expected, votes, reading)
    votes = count_votes(voting, reading) if voting != expected else votes
    winners = {letter: votes.winners(letter) for letter in (*reading.layer.open_letters, BATCH)}
    sizes = {letter: Integer(values[0]) for letter, values in winners.items() if len(values) == 1}
    tied = {letter for letter, values in winners.items() if len(values) > 1}
    of_layer = {letter: size for letter, size in sizes.items() if letter != BATCH}
    layer = reading.layer.at(**of_layer) if of_layer else reading.layer
    numbers = symbols(sizes)
    rows = tuple(_row(e, numbers) for e in expected)
    at = place(tensors, reading.where)
    findings = [_tie(letter, values, votes, reading, at) for letter, values in winners.items() if letter in tied]
    findings += [
        _blame(e, row, votes, at, is_turned=as_voted.turned)
        for e, as_voted, row in zip(expected, voting, rows, strict=True)
        if not row.ok and not _waits(e, row, tied)
    ]
    findings += [_extra(name, reading, tensors, at) for name in _extras(reading)]
    findings += [*_check_attribute(reading, sizes, votes, at), *_check_declared(reading, sizes, votes, at)]
    return Solution(layer, rows, tuple(findings))


def share_rows(reading: Reading, tensors: Tensors) -> Reading:
    """The reading, unless perhaps only some rows of a parameter recur: then it has the problem `ambiguous`.

    x and the rows that recur, r, stand side by side as the columns of one matrix: the more there are of one, the fewer
    there are of the other.
    """
    layer = reading.layer
    shares = {own: share for own, share in reading.dialect.shares.items() if own in layer.cell.parameters}
    solution = solve(reading, tensors) if shares else None
    if solution is None or solution.findings:
        return reading
    n, r = (int(solution.layer.sizes[letter]) for letter in "nr")
    named = {part: t.name for t in reading.dialect.tensors(layer) for part in t.packing.parts}
    for own, share in shares.items():
        rows, joined = (safe(reading.source_name(named[part]), 60) for part in (own, "U_i"))
        some = r * share
        half = f"{share} of them, the default of {reading.dialect.name}: r = {some}, n = {n + r - some}\n"
        finding = Finding(
            "ambiguous",
            f"no size tells how many of the {r} rows of {rows} recur",
            at=place(tensors, reading.where),
            expected="one reading",
            found=f"{half if some.denominator == 1 else ''}all of them: r = {r}, n = {n}",
            because=f"{rows} has r + p rows, the p go to the next layer only, and {joined} has n + r = {n + r} columns",
            help=f"--dialect {reading.dialect.name} reads all of them as recurrent",
        )
        reading = replace(reading, problems=(*reading.problems, finding))
    return reading


def _waits(expected: Expected, row: Row, tied: set[str]) -> bool:
    """Whether nothing can be said of a tensor until a tie is decided."""
    if row.found is None or row.numbers is not None or len(row.found) != len(expected.sizes):
        return False
    return any(str(letter) in tied for size in expected.sizes for letter in size.free_symbols)


def _extras(reading: Reading) -> list[str]:
    """The tensors of the reading that its layer has no place for."""
    placed = {t.name for t in reading.dialect.tensors(reading.layer)}
    return [own for own in reading.names if own not in placed]


def _extra(own: str, reading: Reading, tensors: Tensors, at: str) -> Finding:
    name = reading.names[own]
    return Finding(
        "extra",
        f"{safe(name)} has no place in this layer",
        f"{at} : {safe(name)}",
        expected="no such tensor",
        found=str(tensors[name].shape),
        help="the parameters of a cell of your own are read with --cell" if reading.dialect.any_equations else "",
    )


def _check_attribute(reading: Reading, sizes: Mapping[str, Any], votes: Votes, at: str) -> Iterator[Finding]:
    """An operator may say its hidden size itself; it must be the one that the tensors have."""
    for name, said in said_sizes(reading):
        if "k" in sizes and int(said) != sizes["k"]:
            yield Finding("attribute", f"{name} = {safe(said)}", at, f"k = {sizes['k']}", "", _reason("k", votes))


def _check_declared(reading: Reading, sizes: Mapping[str, Any], votes: Votes, at: str) -> Iterator[Finding]:
    """The graph may say what it feeds the operator: three axes, n features wide, B samples where the states have B."""
    batch_first = reading.layer.layout == "batch"
    known = {**sizes, "D": reading.layer.directions}
    said = reading.operator.declared if reading.operator else {}
    for role in (role for role in ("X", "initial_h", "initial_c") if role in said):
        declared = said[role]
        letters = ("T", "B", "n") if role == "X" else ("D", "B", "k")
        if batch_first:
            letters = (letters[1], letters[0], letters[2])
        pairs = zip(letters, declared, strict=True) if len(declared) == 3 else ()
        wrong = [letter for letter, size in pairs if None not in (size, known.get(letter)) and size != known[letter]]
        if wrong or len(declared) != 3:
            because = ", ".join(_reason(letter, votes) for letter in wrong if letter != "D")
            found = f"({', '.join('?' if size is None else str(size) for size in declared)})"
            derived = f"({', '.join(str(known.get(letter, letter)) for letter in letters)})"
            expected = f"({', '.join(letters)}) = {derived}"
            yield Finding("input", f"{role} is declared with another shape", f"{at} : {role}", expected, found, because)


def _expected(reading: Reading, tensors: Tensors) -> Iterator[Expected]:
    for packed in reading.dialect.tensors(reading.layer):
        source = reading.names.get(packed.name)
        yield Expected(reading.source_name(packed.name), packed.shape, tensors[source].shape if source else None)
    for name, letters in reading.constants.items():
        counts = {"D": Integer(reading.layer.directions), "4*k": 4 * symbol("k")}
        sizes = tuple(counts.get(s, symbol(s)) for s in letters)
        yield Expected(name, sizes, tensors[name].shape)


def _row(expected: Expected, numbers: Mapping[Any, Any]) -> Row:
    sizes = [s.xreplace(numbers) for s in expected.sizes]
    known = all(s.is_Integer for s in sizes)
    return Row(expected.name, expected.symbolic, tuple(map(int, sizes)) if known else None, expected.found)


def _blame(expected: Expected, row: Row, votes: Votes, at: str, *, is_turned: bool) -> Finding:
    derived = f"{expected.symbolic}{'' if row.numbers is None else f' = {row.numbers}'}"
    where = f"{at} : {safe(expected.name)}"
    if expected.found is None:
        return Finding("missing", f"{safe(expected.name)} is missing", where, derived, "no such tensor")
    reasons = [_reason(str(s), votes) for size in expected.sizes for s in sorted(size.free_symbols, key=str)]
    because = ", ".join(dict.fromkeys(r for r in reasons if r))
    message = f"{safe(expected.name)} does not fit"
    help = f"transposed? as {turned_shape(expected.found)} it fits" if is_turned else ""
    return Finding("shape", message, where, derived, str(expected.found), because, help)


def _reason(letter: str, votes: Votes) -> str:
    winners = votes.winners(letter)
    voters = votes.by_letter[letter][winners[0]] if len(winners) == 1 else []
    return f"{letter} = {winners[0]} from {_named(voters)}" if voters else ""


def _named(voters: list[str]) -> str:
    return shortened(list(dict.fromkeys(voters)), 4, lambda voter: safe(voter, 60))


def _tie(letter: str, winners: list[int], votes: Votes, reading: Reading, at: str) -> Finding:
    parties = [f"{letter} = {value} from {_named(votes.by_letter[letter][value])}" for value in winners]
    return Finding(
        "tie",
        f"the tensors of {safe(reading.where)} do not agree on {letter}, and no side has the majority",
        at=at,
        found="; ".join(parties),
        help="one of these tensors has a wrong shape",
    )
