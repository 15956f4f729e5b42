"""Which cell of one source stands beside which of the other.

Where both say in which order data runs through their layers, that order decides: two runs are laid beside each other as
far as they are equal. Else a name that both have says more than a value, and a value more than nothing: layers of other
names find each other by their numbers. Makes no words of what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lstm_spec.conformance.comparison.comparison import Side

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
    runs = _runs(first, second)
    partner = _common_run(runs[0], runs[1], same)

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
        return not shared or first[i].fits(second[j])

    take(((), i, j) for i, j in left() if named(i, j) and same(i, j))
    take(((gap(i, j), *place(i, j)), i, j) for i, j in left() if same(i, j))  # or under other names, or moved
    take(((), i, j) for i, j in _left_in_turn(runs, partner) if first[i].fits(second[j]))  # what has an equal nowhere
    take(((), i, j) for i, j in left() if named(i, j) and may(i, j))
    take(((*_unlike(first[i], second[j]), gap(i, j), *place(i, j)), i, j) for i, j in left() if may(i, j))
    return partner


def _unlike(one: Side, other: Side) -> tuple[bool, bool]:
    return not one.fits(other), one.reverse != other.reverse


def _runs(first: Sequence[Side], second: Sequence[Side]) -> list[list[int]]:
    """The places of the cells in an order that both sources have of all of them: as they are wired, else as listed."""
    turns = [[side.turn for side in sides] for sides in (first, second)]
    said = [turn for own in turns for turn in own if turn]
    if len(said) < len(first) + len(second) or any(len({turn.run for turn in own if turn}) != 1 for own in turns):
        return [[], []]
    if all(turn.wired for turn in said):
        return [sorted(range(len(own)), key=lambda i: own[i] or said[0]) for own in turns]
    return [[*range(len(own))] if all(turn.listed for turn in said) else [] for own in turns]


def _common_run(first: Sequence[int], second: Sequence[int], same: Same) -> dict[int, int]:
    """The most pairs of equal cells that stand in one order on both sides: a longest common subsequence."""
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for a in range(len(first) - 1, -1, -1):
        for b in range(len(second) - 1, -1, -1):
            more = 1 + lengths[a + 1][b + 1] if same(first[a], second[b]) else 0
            lengths[a][b] = max(more, lengths[a + 1][b], lengths[a][b + 1])
    pairs: dict[int, int] = {}
    a = b = 0
    while a < len(first) and b < len(second):
        if same(first[a], second[b]) and lengths[a][b] == 1 + lengths[a + 1][b + 1]:
            pairs[first[a]] = second[b]
            a, b = a + 1, b + 1
        elif lengths[a][b] == lengths[a + 1][b]:
            a += 1
        else:
            b += 1
    return pairs


def _left_in_turn(runs: Sequence[Sequence[int]], partner: dict[int, int]) -> list[tuple[int, int]]:
    """What two runs have left, in their order, where it is as much on both sides."""
    taken = set(partner.values())
    first, second = [i for i in runs[0] if i not in partner], [j for j in runs[1] if j not in taken]
    return list(zip(first, second, strict=True)) if len(first) == len(second) else []
