"""Counts and lists as English says them, for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural where there is not one.

    >>> counted(1, "step"), counted(3, "step")
    ('1 step', '3 steps')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def listed(words: Iterable[str]) -> str:
    """At least one word: `f`, `i and f`, `i, f and g`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def shortened(things: Sequence[T], most: int, show: Callable[[T], str] = str) -> str:
    """`a, b and 3 more`, or all where there are no more than that; only what is shown is made words of."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(map(show, things[:most])) + more


def begun(things: Sequence[T], most: int, show: Callable[[T], str] = str) -> str:
    """`a, b, …`, or all where there are no more than that; only what is shown is made words of."""
    return ", ".join(map(show, things[:most])) + ", …" * (len(things) > most)
