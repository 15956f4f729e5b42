"""Size letters → where code reads their numbers: `k` is `h.shape[-1]`; of an axis of n + k, n is what k leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """A letter's number: (the length of an array's axis - `rest`) / `factor`."""

    array: str
    axis: int
    rest: Any
    factor: Any


def read_letters(letters: set[Any], arrays: Mapping[str, tuple[Any, ...]], known: Iterable[Any]) -> dict[Any, Reading]:
    """Where each letter that is not known can be read, in an order in which they can; without those that cannot.

    `arrays` has the shapes at hand. An axis that is the letter itself is taken before one that it is a part of.
    """
    axes = [(name, i - len(shape), size) for name, shape in arrays.items() for i, size in enumerate(shape)]
    axes.sort(key=lambda axis: not axis[2].is_Symbol)
    passed = set(known)
    found: dict[Any, Reading] = {}
    while reading := _next_reading(axes, letters, passed | set(found)):
        found |= reading
    return _needed(letters, found)


def _next_reading(axes: list[tuple[str, int, Any]], letters: set[Any], known: set[Any]) -> dict[Any, Reading]:
    """One letter more, rather one of those that are asked for."""
    alone = [(axis, *(axis[2].free_symbols - known)) for axis in axes if len(axis[2].free_symbols - known) == 1]
    alone.sort(key=lambda one: one[1] not in letters)
    if not alone or letters <= known:
        return {}
    (name, axis, size), letter = alone[0]
    factor = size.coeff(letter)
    return {letter: Reading(name, axis, size - factor * letter, factor)}


def _needed(letters: set[Any], found: dict[Any, Reading]) -> dict[Any, Reading]:
    """The readings of the letters asked for, and of those that these need."""
    needed = set(letters)
    for letter, reading in reversed(found.items()):
        if letter in needed:
            needed |= reading.rest.free_symbols
    return {letter: reading for letter, reading in found.items() if letter in needed}
