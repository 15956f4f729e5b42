"""Which cell of one source stands beside which of the other, and which of them have changed places.

A name that both have says more than a value, and a value more than an order: layers of other names find each other by
their numbers. Makes no words of what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from lstm_spec.conformance.comparison.comparison import Pair, Side

Ranked = tuple[tuple[float, ...], int, int]  # the smallest rank first; the places of two cells
Same = Callable[[int, int], bool]
Gap = Callable[[int, int], float]


def pair_sides(
    first: Sequence[Side], second: Sequence[Side], same: Same, gap: Gap, *, shared: bool = False
) -> dict[int, int]:
    """The cells of the first, by their place, with their partners in the second.

    `same` tells whether two cells are equal, `gap` how far apart the numbers of two cells of one size are. With
    `shared` cells of other sizes are no pair: each is one that only its source has.
    """
    partner: dict[int, int] = {}

    def left() -> list[tuple[int, int]]:
        taken = set(partner.values())
        others = [j for j in range(len(second)) if j not in taken]
        return [(i, j) for i in range(len(first)) if i not in partner for j in others]

    def take(ranked: Iterable[Ranked]) -> None:
        for _, i, j in sorted(ranked):
            if i not in partner and j not in partner.values():
                partner[i] = j

    def named(i: int, j: int) -> bool:
        return first[i].name == second[j].name

    def place(i: int, j: int) -> tuple[float, ...]:
        return first[i].index != second[j].index, abs(i - j)

    def may(i: int, j: int) -> bool:
        return not shared or _have_one_size(first[i], second[j])

    take(((), i, j) for i, j in left() if named(i, j) and same(i, j))
    take(((gap(i, j), *place(i, j)), i, j) for i, j in left() if same(i, j))  # or under other names, or moved
    take(((), i, j) for i, j in left() if named(i, j) and may(i, j))  # what has an equal nowhere
    take(((*_unlike(first[i], second[j]), gap(i, j), *place(i, j)), i, j) for i, j in left() if may(i, j))
    return partner


def _have_one_size(one: Side, other: Side) -> bool:
    return one.sizes == other.sizes and one.cell.parameters == other.cell.parameters


def _unlike(one: Side, other: Side) -> tuple[bool, bool]:
    return not _have_one_size(one, other), one.reverse != other.reverse


# ---- places ----

Move = tuple[str, str]  # a cell of the first, and the one in whose place the second has it


def find_moved(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """What to say of equal cells that stand where others should.

    A name counts where both sources have it, a place in a stack where both are in one; the order of layers that stand
    apart says nothing.
    """
    every = list(pairs)
    equal = [(pair.first, pair.second) for pair in every if pair.first and pair.second and pair.same]
    firsts = {pair.first.name: pair.first for pair in every if pair.first}
    seconds = {pair.second.name for pair in every if pair.second}
    moves: list[Move] = []
    stacks: dict[tuple[str, str, bool], list[tuple[Side, Side]]] = {}
    for one, other in equal:
        if one.name in seconds and other.name in firsts:
            moves += [(one.label, firsts[other.name].label)] * (one.name != other.name)
        elif min(one.height, other.height) > 1:
            stacks.setdefault((one.layer, other.layer, one.reverse), []).append((one, other))
    return tuple(_sentences(chain(moves, *map(_moves_in_stack, stacks.values()))))


def _moves_in_stack(cells: list[tuple[Side, Side]]) -> Iterator[Move]:
    """Cells of one stack with their partners in another: those that have another rank there."""
    cells = sorted(cells, key=lambda pair: pair[0].index)
    ranks = sorted(other.index for _, other in cells)
    for rank, (one, other) in enumerate(cells):
        if ranks[rank] != other.index:
            yield one.label, cells[ranks.index(other.index)][0].label


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
