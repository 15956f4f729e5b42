"""What put two cells beside each other, which equal cells have changed places, and which are called otherwise.

The order of layers is that in which data runs through them, where a source says it: a graph, a configuration, a stack;
else that of the numbers in their names, for layers of one size. Names say a place where no order does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from lstm_spec.conformance.comparison.comparison import Pair, Side
from lstm_spec.conformance.comparison.naming import split_numbers

Two = tuple[Side, Side]
Move = tuple[str, str]  # a cell of the first, and the one in whose place the second has it


@dataclass(frozen=True, slots=True)
class Places:
    """The pairs with what put each together, and what to say of equal cells in wrong places and under other names."""

    pairs: tuple[Pair, ...]
    moved: tuple[str, ...]
    renamed: tuple[str, ...]


def find_places(pairs: Iterable[Pair]) -> Places:
    """Which of the pairs have changed places: by an order that both sources have, else by names that both have.

    A pair is together by the `order` of the layers, by `name`, by `size` where nothing else fits, else by `numbers`.
    """
    every = list(pairs)
    moves = _moves(every)
    both = [(pair.first, pair.second) for pair in every if pair.first and pair.second]
    ordered = set(_ordered(both))
    sides = [pair.first for pair in every if pair.first], [pair.second for pair in every if pair.second]
    kinds = [Counter(map(_kind, own)) for own in sides]

    def way(one: Side, other: Side) -> str:
        if id(one) in ordered - moves.keys():
            return "order"
        if one.name == other.name:
            return "name"
        alone = one.fits(other) and all(count[_kind(one)] == 1 for count in kinds)
        return "size" if alone and id(one) not in moves else "numbers"

    told = tuple(replace(pair, by=way(pair.first, pair.second) if pair.first and pair.second else "") for pair in every)
    in_place = [pair for pair in told if id(pair.first) not in moves]
    return Places(told, tuple(_sentences(moves.values())), tuple(_renamed(told, in_place)))


def _ordered(both: Iterable[Two]) -> Iterator[int]:
    """The identities of the first's cells that an order puts in their places, among all that could stand there.

    Where two stacks of one size have other names, each has an order, and none says which of them is which.
    """
    unnamed = [(one, other) for one, other in both if one.name != other.name]
    every = Counter(_kind(one) for one, _ in unnamed)
    for group in _in_one_order(both):
        own = Counter(_kind(one) for one, other in group if one.name != other.name)
        yield from (id(one) for one, _ in group if own[_kind(one)] == every[_kind(one)])


def _kind(side: Side) -> Any:
    return side.sizes, frozenset(side.cell.parameters), side.reverse


def _moves(every: list[Pair]) -> dict[int, Move]:
    """By the identity of the first's cell, those of equal cells that stand where others should."""
    equal = [(pair.first, pair.second) for pair in every if pair.first and pair.second and pair.same]
    strays = {id(one): (one, other) for one, other in _misnamed(every, equal) if not (one.turn and other.turn)}
    moves: dict[int, Move] = {}
    for group in _in_one_order(equal):
        own = {id(one) for one, _ in group}
        wrong = _moves_in_order(group)
        if not wrong or not own & strays.keys():  # the numbers of a name that moved say nothing of its order
            moves |= wrong
            strays = {key: two for key, two in strays.items() if key not in own}
    firsts = {pair.first.name: pair.first for pair in every if pair.first}
    for key, (one, other) in strays.items():
        moves[key] = one.label, firsts[other.name].label if other.name in firsts else other.label
    return moves


def _renamed(every: Iterable[Pair], in_place: Iterable[Pair]) -> Iterator[str]:
    """What to say of cells that were found by their numbers alone, and of names that are those of other cells there."""
    both = [(pair.first, pair.second, pair.by) for pair in in_place if pair.first and pair.second]
    told = {
        "paired by their numbers, for no name and no order that both have says it": [
            (one, other) for one, other, way in both if way == "numbers" and one.fits(other)
        ],
        "paired by the order of the layers, for their names say another": _misnamed(
            every, [(one, other) for one, other, way in both if way == "order"]
        ),
    }
    yield from (f"{words}: {', '.join(_renames(cells))}" for words, cells in told.items() if cells)


def _misnamed(every: Iterable[Pair], cells: Iterable[Two]) -> list[Two]:
    """Those with a name that the other source has, too, for another cell."""
    pairs = list(every)
    firsts = {pair.first.name for pair in pairs if pair.first}
    seconds = {pair.second.name for pair in pairs if pair.second}
    return [(a, b) for a, b in cells if a.name != b.name and (a.name in seconds or b.name in firsts)]


def _renames(cells: Iterable[Two]) -> list[str]:
    named = (
        (a.layer, b.layer) if a.layer and b.layer and a.index == b.index and a.layer != b.layer else (a.label, b.label)
        for a, b in cells
    )
    return list(dict.fromkeys(f"{one} is called {other} there" for one, other in named))


# ---- order ----


def _in_one_order(cells: Iterable[Two]) -> list[list[Two]]:
    """Cells that both sources have in an order, at least two together."""
    groups: dict[Any, list[Two]] = {}
    for one, other in cells:
        sizes = () if one.turn and other.turn else (one.sizes, other.sizes)
        groups.setdefault((_order(one), _order(other), one.reverse, other.reverse, sizes), []).append((one, other))
    return [chain for group in groups.values() for chain in _chains(group) if len(chain) > 1]


def _order(side: Side) -> tuple[str, Any]:
    """Whose order it is: that of a run of the source, or that of layers whose names differ in numbers alone."""
    return ("run", side.turn.run) if side.turn else ("names", split_numbers(side.called)[0])


def _chains(cells: list[Two]) -> list[list[Two]]:
    """The cells with an order that is the same on both sides, or, where one is only wired and the other only numbered,
    those together of which each sees the one before: of layers beside each other any may be listed first.
    """
    if _are_wired(cells) or all(not side.turn or side.turn.listed for two in cells for side in two):
        return [cells]
    wired = 0 if (turn := cells[0][0].turn) and not turn.listed else 1
    chains: list[list[Two]] = []
    for two in sorted(cells, key=lambda two: _rank(two[wired], True)):
        joined = next((chain for chain in chains if _sees(two[wired], chain[-1][wired])), None)
        chains += [] if joined is not None else [[two]]
        if joined is not None:
            joined.append(two)
    return chains


def _sees(side: Side, other: Side) -> bool:
    own, before = side.turn, other.turn
    return own is not None and before is not None and (own == before or own.follows(before))


def _are_wired(cells: list[Two]) -> bool:
    return all(side.turn and side.turn.wired for two in cells for side in two)


def _moves_in_order(cells: list[Two]) -> dict[int, Move]:
    """Those that have another rank in the second source."""
    wired = _are_wired(cells)
    cells = sorted(cells, key=lambda two: _rank(two[0], wired))
    ranks = sorted(_rank(other, wired) for _, other in cells)
    return {
        id(one): (one.label, cells[ranks.index(own)][0].label)
        for rank, (one, other) in enumerate(cells)
        if ranks[rank] != (own := _rank(other, wired))
    }


def _rank(side: Side, wired: bool) -> tuple[tuple[int, ...], int]:
    """Its place in the order: where not both are wired, in the list of layers, by which Keras numbers names."""
    if side.turn:
        return (side.turn.number if wired or not side.turn.listed else side.listed,), side.index
    return split_numbers(side.called)[1], side.index


def _sentences(moves: Iterable[Move]) -> Iterator[str]:
    """`l0 and l1 have changed places`, for each set of cells that do; where they do not among them, each by itself."""
    groups: list[list[Move]] = []
    for move in moves:
        touched = [group for group in groups if {*move} & {*chain(*group)}]
        groups = [group for group in groups if group not in touched] + [[*chain(*touched), move]]
    for group in groups:
        sources, targets = [source for source, _ in group], {target for _, target in group}
        if {*sources} == targets:
            yield f"{', '.join(sources[:-1])} and {sources[-1]} have changed places"
        else:
            yield from (f"{source} of the first is {target} of the second" for source, target in group)
