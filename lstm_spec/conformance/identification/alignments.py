"""A matrix for each gate, whose names put them in different orders: which one on x goes with which one on h, and bias.

Asked only where the arrays' own order explains nothing. h' says which three belong to the output gate; then 36 ways
are left for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product

from lstm_spec.conformance.identification.layouts import Layout, Part
from lstm_spec.conformance.identification.searching import output_error
from lstm_spec.conformance.identification.sums import Sums

FIRST = ("w1", "j1")


def realigned(layout: Layout, sums: Sums, limit: float) -> Iterator[Layout]:
    """The layout with its parts of one array each in other orders, beside the matrices on x, that h' allows."""
    turning = [number for number, part in enumerate(layout.parts) if part.role in ("u1", "b1")][:2]
    if not turning or not layout.has(*FIRST):
        return
    last = layout.blocks - 1
    for ends in product(range(layout.blocks), repeat=len(turning) + 1):
        trial = _ordered(
            layout, {number: _moved(end, last) for number, end in zip(turning, ends[1:], strict=True)}, ends[0]
        )
        if output_error(trial, sums, last) > limit:
            continue
        for rests in product(permutations(range(last)), repeat=len(turning)):
            yield _ordered(trial, {number: (*rest, last) for number, rest in zip(turning, rests, strict=True)}, last)


def _moved(index: int, last: int) -> tuple[int, ...]:
    """The order in which one of the arrays comes last: `(0, 2, 3, 1)`."""
    return (*(i for i in range(last + 1) if i != index), index)


def _ordered(layout: Layout, orders: dict[int, tuple[int, ...]], end: int) -> Layout:
    """The layout with some parts in other orders, and the first matrices with number `end` as the last."""
    parts: list[Part] = []
    for number, part in enumerate(layout.parts):
        order = orders.get(number) or (_moved(end, layout.blocks - 1) if part.role in FIRST else None)
        parts.append(part if order is None else replace(part, names=tuple(part.names[i] for i in order)))
    return replace(layout, parts=tuple(parts))
