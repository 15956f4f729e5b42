"""`compare`: are two sources the same model? Cell by cell, across formats and dialects, every number in its place.

Both are read into our own names, so that gate order, layout and names do not count; each cell of one is held against
the cell of the other that it is nearest to. Biases are compared as what they add up to, a constant in the equation of
the forget gate included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lstm_spec.cells.differences import compare_cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.comparison import ROUNDING, Array, Comparison, Pair, Side
from lstm_spec.conformance.joining import Piece, join_pieces
from lstm_spec.conformance.likeness import GATES, describe_difference
from lstm_spec.conformance.numbers import load_widened, narrowest
from lstm_spec.conformance.reading import choose_readings, solve_reading
from lstm_spec.conformance.readings import Reading
from lstm_spec.conformance.recognizing import recognize
from lstm_spec.conformance.sources import open_source
from lstm_spec.dialects import get
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.tensors import Tensors
from lstm_spec.symbolic.cell import Cell

SIDES = ("first", "second")


def compare(
    first: Any,
    second: Any,
    *,
    at: tuple[str | None, str | None] = (None, None),
    dialect: str | None = None,
    shared: bool = False,
) -> Comparison:
    """Two sources held against each other; `ls.compare`.

    `at` names one layer of each; `dialect` reads both in that dialect only; with `shared` cells that only one of them
    has do not count. Raises FileError when a source cannot be read, TensorError when it holds no LSTM or does not
    conform, OptionError when `at` is one name.
    """
    if isinstance(at, str):
        raise OptionError(Finding("at", "at names one layer of each source", expected=f"at=({at!r}, {at!r})"))
    sources = [open_source(source) for source in (first, second)]
    sides: list[list[Side]] = []
    unread: list[tuple[str, Finding]] = []
    for tensors, name, called in zip(sources, at, SIDES, strict=True):
        recognized = recognize(tensors, get(dialect) if dialect else None)
        if name is None and recognized.readings:
            readings = recognized.readings
            unread += [(called, finding) for finding in recognized.findings if finding.severity == "error"]
        else:
            readings = choose_readings(recognized, name, tensors)
        sides.append(list(_sides(readings, tensors)))
    pairs = tuple(_paired(sides[0], sides[1], shared=shared))
    return Comparison(sources[0].origin, sources[1].origin, pairs, tuple(unread), shared)


def _sides(readings: tuple[Reading, ...], tensors: Tensors) -> Iterator[Side]:
    """Every cell of a source; two directions and stacks under the name of what they make together."""
    pieces, dtypes = [], {}
    for reading in readings:
        layer = solve_reading(reading, tensors)
        arrays, dtype = load_widened(reading, tensors)
        if isinstance(arrays, str):
            for member in layer.members:
                place = _place(reading.where, layer, member)
                sizes = _sizes(layer, member)
                cell = _without_biases(layer.cell)
                yield Side(place, reading.dialect.name, cell, member.reverse, sizes, {}, "float32", arrays)
            continue
        said = reading.operator.attributes if reading.operator else {}
        weights = reading.dialect.unpack(arrays, layer)
        pieces.append(Piece(reading.where, reading.dialect.name, layer, weights, said))
        dtypes[reading.where] = dtype
    of_all = narrowest(dtypes.values())
    for piece in join_pieces(pieces, tensors.origin):
        dtype = dtypes.get(piece.where, of_all)
        yield from (_side(piece, member, dtype) for member in piece.layer.members)


def _side(piece: Piece, member: Member, dtype: str) -> Side:
    layer = piece.layer
    own = {name: piece.weights[f"{member.prefix}.{name}"] for name in layer.cell.parameters}
    place, sizes = _place(piece.where, layer, member), _sizes(layer, member)
    cell, arrays = _without_biases(layer.cell), _summed(own, layer.cell)
    return Side(place, piece.dialect, cell, member.reverse, sizes, arrays, dtype)


def _place(where: str, layer: Layer, member: Member) -> str:
    return f"{where} {member.prefix}" if len(layer.members) > 1 else where


def _sizes(layer: Layer, member: Member) -> tuple[tuple[str, Any], ...]:
    return tuple((name, member.sizes[name]) for name in layer.cell.letters)


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


def _paired(first: list[Side], second: list[Side], *, shared: bool) -> Iterator[Pair]:
    """Each cell of the first with the nearest that is left of the second: equal ones first, then those of one size.

    With `shared` cells of other sizes are no pair: each is one that only its source has.
    """
    distances = sorted(
        (_distance(one, other), abs(i - j), i, j) for i, one in enumerate(first) for j, other in enumerate(second)
    )
    partner: dict[int, int] = {}
    for distance, _, i, j in distances:
        if i not in partner and j not in partner.values() and not (shared and distance[0]):
            partner[i] = j
    for i, one in enumerate(first):
        yield _compared(one, second[partner[i]]) if i in partner else Pair(one, None, {}, ())
    left = (other for j, other in enumerate(second) if j not in partner.values())
    yield from (Pair(None, other, {}, ()) for other in left)


def _distance(one: Side, other: Side) -> tuple[bool, bool, float]:
    if one.sizes != other.sizes or one.cell.parameters != other.cell.parameters:
        return True, True, 0.0
    turned = one.reverse != other.reverse
    if one.unreadable or other.unreadable:
        return False, turned, float("inf")
    return False, turned, max(_differences(one, other).values(), default=0.0)


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
    if _shapes(one) != _shapes(other) or one.unreadable or other.unreadable:
        return Pair(one, other, {}, words)
    largest = max((float(np.max(np.abs(a), initial=0)) for a in one.arrays.values()), default=0.0)
    differences = _differences(one, other)
    limit = ROUNDING[narrowest((one.dtype, other.dtype))] * max(1.0, largest)
    if max(differences.values(), default=0.0) > limit:
        words = (*words, *describe_difference(one, other, limit))
    return Pair(one, other, differences, words, limit)


def _shapes(side: Side) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in sorted(side.arrays.items())}


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
