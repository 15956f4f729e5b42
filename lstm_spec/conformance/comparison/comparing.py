"""`compare`: are two sources the same model? Cell by cell, across formats and dialects, every number in its place.

Both are read into our own names, so that gate order and layout do not count. Each cell of one is held against the cell
of the other that stands in its place: in the order in which data runs through the layers, where both sources say it (a
graph, a Keras configuration, a stack, layers that are numbered), whatever they are called; else the one of its name;
else the one that is nearest to it in numbers, and then the result says so. Equal layers in each other's place are
another model; equal layers under other names, where nothing says a place, are the same one.

Biases are compared as what they add up to, a constant in the equation of the forget gate included; gates that one
source couples and the other does not, as two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from lstm_spec.cells.differences import compare_cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.comparison.comparison import Comparison, Pair, Side
from lstm_spec.conformance.comparison.extras import extras_of, tell_extras
from lstm_spec.conformance.comparison.likeness import GATES, describe_difference
from lstm_spec.conformance.comparison.naming import align_names
from lstm_spec.conformance.comparison.pairing import pair_sides
from lstm_spec.conformance.comparison.places import find_places
from lstm_spec.conformance.comparison.rounding import Array, Parameter, agree, largest_gap
from lstm_spec.conformance.conversion.beside import read_beside
from lstm_spec.conformance.conversion.coupling import mirror, other_couplings, write_out
from lstm_spec.conformance.conversion.joining import Piece, join_pieces, unrepeat
from lstm_spec.conformance.recognition.loading import NARROWEST, load_widened, narrowest
from lstm_spec.conformance.recognition.reading import choose_readings, solve_reading
from lstm_spec.conformance.recognition.readings import Reading, find_turns, is_of_files
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.dialects import DIALECTS, get
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Member
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import Weights
from lstm_spec.symbolic.cell import Cell

SIDES = ("first", "second")
# What the equations of the dialects add to the forget gate's bias.
CONSTANTS = sorted({float(dialect.constants.get("forget_bias", 0)) for dialect in DIALECTS.values()})


def compare(
    first: Any,
    second: Any,
    *,
    at: tuple[str | None, str | None] = (None, None),
    dialect: str | tuple[str | None, str | None] | None = None,
    shared: bool = False,
) -> Comparison:
    """Two sources held against each other; `ls.compare`.

    `at` names one layer of each; `dialect` reads both in that dialect only, or each in its own of two; with `shared`
    cells that only one of them has do not count. What put two cells together is `by` of each pair: the order of the
    layers decides before names, names before numbers. Cells that an order or a name puts elsewhere are `moved`, and the
    sources not the same; pairs by numbers alone are the same, and stand in `renamed`. Raises FileError when a source
    cannot be read, TensorError when it holds no LSTM or does not conform, OptionError when `at` is one name.
    """
    if isinstance(at, str):
        raise OptionError(Finding("at", "at names one layer of each source", expected=f"at=({at!r}, {at!r})"))
    dialects = dialect if isinstance(dialect, tuple) else (dialect, dialect)
    sources = [open_source(source) for source in (first, second)]
    chosen: list[tuple[Reading, ...]] = []
    unread: list[tuple[str, Finding]] = []
    for tensors, name, spoken, called in zip(sources, at, dialects, SIDES, strict=True):
        recognized = recognize(tensors, get(spoken) if spoken else None)
        if name is None and recognized.readings:
            readings = recognized.readings
            unread += [(called, finding) for finding in recognized.findings if finding.severity == "error"]
        else:
            readings = choose_readings(recognized, name, tensors)
        chosen.append(readings)
    both = list(zip(chosen, sources, strict=True))
    couples = {_coupling(solve_reading(reading, tensors).cell) for readings, tensors in both for reading in readings}
    sides = [list(_sides(readings, tensors, apart=len(couples) > 1)) for readings, tensors in both]
    found = find_places(_paired(*align_names(sides[0], sides[1]), shared=shared))
    told = tuple((side, f) for side, t in zip(SIDES, sources, strict=True) for f in t.findings if is_of_files(f))
    origins = (sources[0].origin, sources[1].origin)
    return Comparison(*origins, found.pairs, tuple(unread), shared, found.moved, found.renamed, told)


def _coupling(cell: Cell) -> str | None:
    options = recover_options(cell)
    return options.coupled if options else None


def _sides(readings: tuple[Reading, ...], tensors: Tensors, *, apart: bool) -> Iterator[Side]:
    """Every cell of a source; two directions and stacks under the name of what they make together.

    With `apart`, a gate that is 1 minus another gets weights of its own, where it can.
    """
    pieces, stored, dtypes = [], [], {}
    turns = find_turns(readings, tensors)
    says_merge = any(reading.operator and "merge_mode" in reading.operator.attributes for reading in readings)
    for reading in readings:
        layer = solve_reading(reading, tensors)
        arrays, dtype = load_widened(reading, tensors)
        if hidden := [name for name in reading.constants if tensors[name].load is None]:
            arrays = f"the values of {', '.join(map(safe, hidden))} cannot be read"
        said = reading.operator.attributes if reading.operator else {}
        if isinstance(arrays, str):
            piece = Piece(reading.where, reading.dialect.name, layer, Weights({}), said, turn=turns.get(reading.where))
            for member in layer.members:
                yield replace(_side(piece, member, tensors.origin), unreadable=arrays)
            continue
        weights = reading.dialect.unpack(arrays, layer)
        beside = read_beside(reading, layer, tensors, next(iter(weights.values())).dtype)
        turn = turns.get(reading.where)
        piece = Piece(reading.where, reading.dialect.name, layer, weights, said, beside=beside, turn=turn)
        pieces.append(piece)
        stored.append(replace(piece, weights=reading.dialect.unpack(_codes(reading, tensors, dtype), layer)))
        dtypes[reading.where] = dtype
    of_all = narrowest(dtypes.values())
    own = {reading.where for reading in readings}
    for piece, codes in zip(*(join_pieces(each, tensors.origin) for each in (pieces, stored)), strict=True):
        for member in piece.layer.members:
            cell, numbers, kinds = piece.layer.cell, _members(piece, member), _members(codes, member)
            constants = _constants(cell)
            if apart:
                cell, numbers, kinds = _uncoupled(cell, numbers, kinds)
            parameters = _summed(numbers, kinds, cell, constants)
            side = replace(_side(piece, member, tensors.origin), cell=_without_biases(cell))
            extras = extras_of(piece, member, says_merge or piece.where in own)
            yield replace(side, parameters=parameters, dtype=dtypes.get(piece.where, of_all), extras=extras)


def _uncoupled(
    cell: Cell, own: dict[str, Array], codes: dict[str, Array]
) -> tuple[Cell, dict[str, Array], dict[str, Array]]:
    """The cell with two gates in place of a coupled one, their weights, and the dtypes of these."""
    options = recover_options(cell)
    if options is None or options.coupled is None or None not in other_couplings(options):
        return cell, own, codes
    plain = lstm_cell(replace(options, coupled=None))
    return plain, write_out(replace(options, forget_bias=Fraction(0)), own), {**codes, **mirror(options, codes)}


def _constants(cell: Cell) -> dict[str, float]:
    """What the equations add to a gate's bias; to that of a gate that is written out from the forget gate, less."""
    options = recover_options(cell)
    constant = float(options.forget_bias) if options else 0.0
    return {"f": constant} | ({"i": -constant} if options and options.coupled == "i=1-f" else {})


def _codes(reading: Reading, tensors: Tensors, dtype: str) -> dict[str, Array]:
    """Tensors that hold everywhere the number of their dtype: laid out like the weights they say the dtype of each."""
    dtypes = {own: tensors[source].dtype for own, source in reading.names.items()}
    numbers = {own: NARROWEST.index(name if name in NARROWEST else dtype) for own, name in dtypes.items()}
    return {own: np.broadcast_to(np.int8(n), tensors[reading.names[own]].shape) for own, n in numbers.items()}


def _members(piece: Piece, member: Member) -> dict[str, Array]:
    return {name: piece.weights[f"{member.prefix}.{name}"] for name in piece.layer.cell.parameters}


def _side(piece: Piece, member: Member, origin: str) -> Side:
    """A cell without its numbers."""
    layer = piece.layer
    return Side(
        where=f"{piece.where} {member.prefix}" if len(layer.members) > 1 else piece.where,
        dialect=piece.dialect,
        cell=_without_biases(layer.cell),
        reverse=member.reverse,
        sizes=tuple((name, member.sizes[name]) for name in layer.cell.letters),
        parameters={},
        layer="" if piece.where == origin else unrepeat(piece.where),
        index=member.index,
        turn=piece.turn,
    )


def _without_biases(cell: Cell) -> Cell:
    """The equations that are compared in words: those of one bias, and of no constant, whatever there is."""
    options = recover_options(cell)
    if options is None or options.layer_norm != "none":
        return cell
    return lstm_cell(replace(options, bias="one", forget_bias=Fraction(0)))


def _summed(
    own: Mapping[str, Array], codes: Mapping[str, Array], cell: Cell, constants: Mapping[str, float]
) -> dict[str, Parameter]:
    """The parameters with one bias a gate: the sum of two, and the constants of the gates' equations."""
    options = recover_options(cell)
    dtypes = {name: NARROWEST[int(codes[name].flat[0])] for name in own}
    if options is None or options.layer_norm != "none":
        return {name: Parameter(array, dtypes[name]) for name, array in own.items()}
    kept = {
        name: Parameter(array, dtypes[name])
        for name, array in own.items()
        if not name.startswith("b_") or name == "b_proj"
    }
    for gate in (gate for gate in GATES if f"U_{gate}" in own):
        names = [name for name in (f"b_{gate}", f"b_W{gate}", f"b_U{gate}") if name in own]
        addends = [own[name] for name in names] or [np.zeros(len(own[f"U_{gate}"]), own[f"U_{gate}"].dtype)]
        dtype = narrowest(dtypes[name] for name in names or [f"U_{gate}"])
        constant = constants.get(gate, 0.0)
        parts = tuple(addends) if len(addends) > 1 else ()
        kept[f"b_{gate}"] = Parameter(sum(addends[1:], addends[0]), dtype, parts, constant)
    return kept


# ---- pairs ----


def _paired(first: list[Side], second: list[Side], *, shared: bool) -> Iterator[Pair]:
    """Each cell of the first beside its partner in the second, then those of the second that are left."""

    @cache
    def pair(i: int, j: int) -> Pair:
        return _compared(first[i], second[j])

    def gap(i: int, j: int) -> float:
        return np.inf if pair(i, j).unreadable else pair(i, j).largest

    partner = pair_sides(first, second, lambda i, j: pair(i, j).same, gap, shared=shared)
    for i, one in enumerate(first):
        if i in partner:
            yield _explained(pair(i, partner[i]), second)
        else:
            equal = (other for j, other in enumerate(second) if pair(i, j).same)
            yield Pair(one, None, {}, tuple(_used_more_than_once(equal)))
    for j, other in enumerate(second):
        if j not in partner.values():
            equal = (one for i, one in enumerate(first) if pair(i, j).same)
            yield Pair(None, other, {}, tuple(_used_more_than_once(equal)))


def _used_more_than_once(equal: Iterable[Side]) -> Iterator[str]:
    """Of a cell that is left, the one of the other source that is equal to it and has its partner."""
    yield from (f"equal to {side.label}, which stands beside another" for side in islice(equal, 1))


def _compared(one: Side, other: Side) -> Pair:
    words = tuple(_words(one, other))
    if _shapes(one) != _shapes(other) or one.unreadable or other.unreadable:
        return Pair(one, other, {}, words)
    both = {name: (own, other.parameters[name]) for name, own in one.parameters.items()}
    gaps = {name: largest_gap(*sides) for name, sides in both.items()}
    differences = {name: gap for name, gap in gaps.items() if gap}
    wrong = tuple(name for name in differences if not agree(*both[name], CONSTANTS if name == "b_f" else ()))
    return Pair(one, other, differences, words, wrong)


def _explained(pair: Pair, second: Iterable[Side]) -> Pair:
    """With what the difference looks like; a layer whose directions have changed places is told by these."""
    one, other = pair.first, pair.second
    if not one or not other or not pair.wrong:
        return pair
    turned = (side for side in second if side.name == (other.called, other.index, not other.reverse))
    crossed = [f"its numbers are those of {side.label} there" for side in turned if _as_it_reads(one, side)]
    words = crossed or describe_difference(one, other, pair.wrong)
    return replace(pair, words=(*pair.words, *words))


def _as_it_reads(one: Side, other: Side) -> bool:
    """Whether both are equal, if the second read in the direction of the first."""
    return _compared(one, replace(other, reverse=one.reverse)).same


def _shapes(side: Side) -> dict[str, tuple[int, ...]]:
    return {name: own.array.shape for name, own in sorted(side.parameters.items())}


def _words(one: Side, other: Side) -> Iterator[str]:
    """What differs beside numbers: sizes, equations, direction."""
    mine, theirs = dict(one.sizes), dict(other.sizes)
    for letter in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(letter), theirs.get(letter)
        if a != b:
            yield f"{letter}: {'none' if a is None else a} -> {'none' if b is None else b}"
    if one.cell != other.cell:
        yield from (change.words for change in compare_cells(one.cell, other.cell).changes)
    yield from tell_extras(one.extras, other.extras)
    if one.reverse != other.reverse:
        reads = {True: "backwards", False: "forwards"}
        yield f"the first reads {reads[one.reverse]}, the second {reads[other.reverse]}"
