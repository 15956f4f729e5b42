"""What two cells do beside their equations, held against each other: where they begin, where samples end, the merge.

Comes in: the pieces as they were read. Goes out: words for what differs; nothing where a source does not say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_spec.conformance.conversion.joining import Piece
from lstm_spec.layers.layer import Member

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Extras:
    """Constant states of a cell by letter, each (B, width); constant lengths (B,); the merge, where it is said."""

    states: tuple[tuple[str, Array], ...] = field(default=(), compare=False)
    lengths: Array | None = field(default=None, compare=False)
    merge: str = ""


NO_EXTRAS = Extras()


def extras_of(piece: Piece, member: Member, says_merge: bool) -> Extras:
    """What a piece does beside the equations of one of its cells."""
    beside = piece.beside
    own = tuple(
        (name.rpartition(".")[2], array)
        for name, array in beside.state.items()
        if name.rpartition(".")[0] == member.prefix
    )
    merge = piece.layer.merge if says_merge and piece.layer.direction == "both" else ""
    return Extras(own, beside.lengths, merge)


def tell_extras(one: Extras, other: Extras) -> Iterator[str]:
    """What differs, in words."""
    mine, theirs = dict(one.states), dict(other.states)
    for letter in sorted(mine.keys() | theirs.keys()):
        if letter not in theirs:
            yield f"the first begins with a constant {letter} that is not zero, the second with zeros"
        elif letter not in mine:
            yield f"the first begins with zeros, the second with a constant {letter} that is not zero"
        elif not np.array_equal(mine[letter], theirs[letter]):
            yield f"both begin with a constant {letter}, each with its own"
    if not _alike(one.lengths, other.lengths):
        yield "the samples end after other numbers of steps"
    if one.merge and other.merge and one.merge != other.merge:
        yield f"the outputs of both directions: {one.merge} -> {other.merge}"


def _alike(one: Array | None, other: Array | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
