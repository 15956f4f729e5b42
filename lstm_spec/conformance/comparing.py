"""`compare`: are two sources the same model? Cell by cell, across formats and dialects, every number in its place.

Both are read into our own names, so that gate order, layout and names do not count; each cell of one is held against
the cell of the other that it is nearest to. Biases are compared as what they add up to, a constant in the equation of
the forget gate included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np

from lstm_spec.cells.differences import compare_cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.reading import choose_readings, load_reading
from lstm_spec.conformance.recognizing import recognize
from lstm_spec.conformance.sources import open_source
from lstm_spec.dialects import get
from lstm_spec.display import Displayed
from lstm_spec.errors import safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.symbolic.cell import Cell

Array = np.ndarray[Any, Any]
GATES = "ifgo"
ROUNDING = {2: 1e-3, 4: 1e-6, 8: 1e-14}  # of the largest entry, by bytes: what summing two biases may change


@dataclass(frozen=True, slots=True)
class Side:
    """One cell of a source: where it is, its dialect, and its numbers by our names, the biases of a gate in one."""

    where: str
    dialect: str
    cell: Cell
    reverse: bool
    sizes: tuple[tuple[str, Any], ...]
    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells held against each other; `second` is None where the other source has none left.

    `differences` are the largest |a - b| by parameter where that is not 0; `words` what differs beside numbers, and
    what the difference looks like.
    """

    first: Side | None
    second: Side | None
    differences: Mapping[str, float]
    words: tuple[str, ...]
    limit: float = 0.0

    @property
    def verdict(self) -> str:
        """`equal to the bit`, `equal within 3e-08`, `differs by up to 0.41`, `only in the first`."""
        if self.first is None or self.second is None:
            return f"only in the {'first' if self.second is None else 'second'}"
        if self.words:
            return "another cell" if not self.differences else f"differs by up to {self.largest:.1e}"
        if not self.differences:
            return "equal to the bit"
        return f"equal within {self.largest:.1e}" if self.same else f"differs by up to {self.largest:.1e}"

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return max(self.differences.values(), default=0.0)

    @property
    def same(self) -> bool:
        """Whether both compute the same: nothing differs by more than the rounding of a sum."""
        return self.first is not None and self.second is not None and not self.words and self.largest <= self.limit


@dataclass(frozen=True, slots=True)
class Comparison(Displayed):
    """Every cell of two sources; `ok` when each has its equal."""

    first: str
    second: str
    pairs: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Whether both are the same model."""
        return all(pair.same for pair in self.pairs)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for pair in self.pairs:
            sides = [f"{safe(s.where)} ({s.dialect})" for s in (pair.first, pair.second) if s]
            yield f"{' and '.join(sides)}: {pair.verdict}"
            yield from (f"  {safe(words, None)}" for words in pair.words)
            if not pair.same:
                yield from (f"  {name:<8} differs by up to {value:.1e}" for name, value in pair.differences.items())
        equal = sum(pair.same for pair in self.pairs)
        yield f"{'the same' if self.ok else 'not the same'}: {equal} of {len(self.pairs)} cells are equal"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "ok": self.ok,
            "cells": [
                {
                    "first": pair.first.where if pair.first else None,
                    "second": pair.second.where if pair.second else None,
                    "same": pair.same,
                    "verdict": pair.verdict,
                    "words": list(pair.words),
                    "differences": dict(pair.differences),
                }
                for pair in self.pairs
            ],
        }


def compare(
    first: Any, second: Any, *, at: tuple[str | None, str | None] = (None, None), dialect: str | None = None
) -> Comparison:
    """Two sources held against each other; `ls.compare`.

    `at` names one layer of each; `dialect` reads both in that dialect only. Raises FileError when a source cannot be
    read, TensorError when it holds no LSTM or does not conform.
    """
    sources = [open_source(source) for source in (first, second)]
    sides = []
    for tensors, name in zip(sources, at, strict=True):
        recognized = recognize(tensors, get(dialect) if dialect else None)
        readings = choose_readings(recognized, name, tensors)
        loaded = ((r, *load_reading(r, tensors)) for r in readings)
        sides.append([_side(r.where, r.dialect.name, layer, m, w) for r, layer, w in loaded for m in layer.members])
    return Comparison(sources[0].origin, sources[1].origin, tuple(_paired(*sides)))


def _side(where: str, dialect: str, layer: Layer, member: Member, weights: Mapping[str, Array]) -> Side:
    own = {name: weights[f"{member.prefix}.{name}"] for name in layer.cell.parameters}
    several = len(layer.members) > 1
    sizes = tuple((name, member.sizes[name]) for name in layer.cell.letters)
    place = f"{where} {member.prefix}" if several else where
    return Side(place, dialect, _without_biases(layer.cell), member.reverse, sizes, _summed(own, layer.cell))


def _without_biases(cell: Cell) -> Cell:
    """The equations that are compared in words: those of one bias, and of no constant, whatever there is."""
    options = recover_options(cell)
    if options is None or options.layer_norm != "none":
        return cell
    return lstm_cell(replace(options, bias="one", forget_bias=Fraction(0)))


def _summed(own: Mapping[str, Array], cell: Cell) -> dict[str, Array]:
    """The parameters with one bias a gate: both added, the forget gate's constant with them."""
    options = recover_options(cell)
    if options is None or options.layer_norm != "none":
        return dict(own)
    kept = {name: array for name, array in own.items() if not name.startswith("b_") or name == "b_proj"}
    for gate in GATES:
        parts = [own[name] for name in (f"b_{gate}", f"b_W{gate}", f"b_U{gate}") if name in own]
        zeros = np.zeros_like(next(iter(own.values()))[:1, 0], shape=(_rows(own, cell),))
        total = sum(parts[1:], parts[0]) if parts else zeros
        if gate == "f" and options.forget_bias:
            total = total + total.dtype.type(float(options.forget_bias))
        if f"U_{gate}" in own:
            kept[f"b_{gate}"] = total
    return kept


def _rows(own: Mapping[str, Array], cell: Cell) -> int:
    return len(own[next(name for name in cell.parameters if name.startswith("U_"))])


# ---- pairs ----


def _paired(first: list[Side], second: list[Side]) -> Iterator[Pair]:
    """Each cell of the first with the nearest that is left of the second: equal ones first, then those of one size."""
    distances = sorted(
        (_distance(one, other), abs(i - j), i, j) for i, one in enumerate(first) for j, other in enumerate(second)
    )
    partner: dict[int, int] = {}
    for _, _, i, j in distances:
        if i not in partner and j not in partner.values():
            partner[i] = j
    for i, one in enumerate(first):
        yield _compared(one, second[partner[i]]) if i in partner else Pair(one, None, {}, ())
    left = (other for j, other in enumerate(second) if j not in partner.values())
    yield from (Pair(None, other, {}, ()) for other in left)


def _distance(one: Side, other: Side) -> tuple[bool, bool, float]:
    if _shapes(one) != _shapes(other):
        return True, True, 0.0
    differences = _differences(one, other)
    return False, one.reverse != other.reverse, max(differences.values(), default=0.0)


def _shapes(side: Side) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in sorted(side.arrays.items())}


def _differences(one: Side, other: Side) -> dict[str, float]:
    """The largest |a - b| of each parameter that is not the same to the bit; NaN beside a number is infinite."""
    found = {}
    for name, array in one.arrays.items():
        theirs = other.arrays[name]
        same = (array == theirs) | (np.isnan(array) & np.isnan(theirs))
        if not same.all():
            with np.errstate(all="ignore"):
                gaps = np.abs(array.astype("float64") - theirs.astype("float64"))
            found[name] = float(np.max(np.where(same, 0, np.where(np.isnan(gaps), np.inf, gaps))))
    return found


def _compared(one: Side, other: Side) -> Pair:
    words = tuple(_words(one, other))
    if _shapes(one) != _shapes(other):
        return Pair(one, other, {}, words)
    largest = max((float(np.max(np.abs(a), initial=0)) for a in one.arrays.values()), default=0.0)
    smallest = min(a.dtype.itemsize for side in (one, other) for a in side.arrays.values())
    differences = _differences(one, other)
    limit = ROUNDING[smallest] * max(1.0, largest)
    if max(differences.values(), default=0.0) > limit:
        words = (*words, *_looks_like(one, other, limit))
    return Pair(one, other, differences, words, limit)


def _words(one: Side, other: Side) -> Iterator[str]:
    """What differs beside numbers: sizes, equations, direction."""
    mine, theirs = dict(one.sizes), dict(other.sizes)
    for letter in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(letter), theirs.get(letter)
        if a != b:
            yield f"{letter}: {'none' if a is None else a} -> {'none' if b is None else b}"
    if one.cell != other.cell:
        yield from (change.words for change in compare_cells(one.cell, other.cell).changes)
    if one.reverse != other.reverse:
        reads = {True: "backwards", False: "forwards"}
        yield f"the first reads {reads[one.reverse]}, the second {reads[other.reverse]}"


def _looks_like(one: Side, other: Side, limit: float) -> Iterator[str]:
    """Whether the same numbers stand elsewhere: gates that changed places, matrices that are transposed."""
    live = [gate for gate in GATES if f"U_{gate}" in one.arrays]
    for order in permutations(live):
        pairs = list(zip(live, order, strict=True))
        moved = [f"{b} stands where {a} should" for a, b in pairs if a != b]
        if moved and all(_near(one, other, f"U_{b}", f"U_{a}", limit) for a, b in pairs):
            yield f"the gates of the second are in another order: {', '.join(moved)}"
            return
    turned = [g for g in live if one.arrays[f"U_{g}"].shape[0] == one.arrays[f"U_{g}"].shape[1]]
    wrong = [g for g in turned if not _near(one, other, f"U_{g}", f"U_{g}", limit)]
    if wrong and all(_near(one, other, f"U_{g}", f"U_{g}", limit, turned=True) for g in wrong):
        yield f"{', '.join(f'U_{g}' for g in wrong)} of the second is transposed"


def _near(one: Side, other: Side, mine: str, theirs: str, limit: float, *, turned: bool = False) -> bool:
    array = other.arrays[theirs].T if turned else other.arrays[theirs]
    return bool(np.allclose(one.arrays[mine], array, rtol=0, atol=limit, equal_nan=True))
