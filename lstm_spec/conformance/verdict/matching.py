"""Which clause of a contract is of which place: the one that it names, else one that keeps it, else what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

Found = TypeVar("Found")


class Placed(Protocol):
    """A clause: its number, and the place that it names, or None for any."""

    @property
    def number(self) -> int:
        """Its number among its kind."""

    @property
    def at(self) -> str | None:
        """The place that it is of."""


Clause = TypeVar("Clause", bound=Placed)


def match(
    clauses: Sequence[Clause], found: Mapping[str, Found], keeps: Callable[[Found, Clause], bool]
) -> dict[int, str]:
    """The place of each clause, by its number; none for a clause whose place is not there, or where none is left."""
    pairs = {clause.number: clause.at for clause in clauses if clause.at in found and clause.at is not None}
    left = [where for where in found if where not in pairs.values()]
    free = [clause for clause in clauses if clause.at is None]
    pairs |= _assigned({c.number: [where for where in left if keeps(found[where], c)] for c in free})
    others = (where for where in left if where not in pairs.values())
    return pairs | dict(zip((c.number for c in free if c.number not in pairs), others, strict=False))


def _assigned(keeping: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """As many clauses as can be, each with a place of its own that keeps it (Kuhn's augmenting paths)."""
    taken: dict[str, int] = {}

    def find(number: int, tried: set[str]) -> bool:
        for where in keeping[number]:
            if where not in tried:
                tried.add(where)
                if where not in taken or find(taken[where], tried):
                    taken[where] = number
                    return True
        return False

    for number in keeping:
        find(number, set())
    return {number: where for where, number in taken.items()}
