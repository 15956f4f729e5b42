"""Tensors that do not fit, and would with their last two axes in the other order: their votes count as turned.

A transposed matrix speaks of n only; taken as it lies, it would give n the number of its gates' rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sympy import Integer

from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.recognition.voting import Expected, Votes, count_votes, linear_of
from lstm_spec.layers.sizes import symbols


def turn_transposed(expected: Sequence[Expected], votes: Votes, reading: Reading) -> list[Expected]:
    """The tensors as they vote: those turned around that fit what the others say only so.

    Where the others say nothing, all that do not fit are turned, or all matrices, if then everything fits.
    """
    turned: set[str] = set()
    while alone := _surely_turned(expected, votes) - turned:  # each one's turning may decide what others were tied on
        turned |= alone
        votes = count_votes(_with_turned(expected, turned), reading)
    if turned:
        return _with_turned(expected, turned)
    misfits = [one for one in expected if _may_turn(one) and not _fits(one, votes, one.name)]
    for chosen in (misfits, [one for one in expected if _may_turn(one)]):
        trial = _with_turned(expected, {one.name for one in chosen})
        own = count_votes(trial, reading)
        if chosen and all(one.found is None or _fits(one, own, decided=True) for one in trial):
            return trial
    return list(expected)


def _surely_turned(expected: Sequence[Expected], votes: Votes) -> set[str]:
    """The tensors that what the others say fits turned around, and only so."""
    misfits = (one for one in expected if _may_turn(one) and not _fits(one, votes, one.name))
    return {one.name for one in misfits if _fits(_turned(one), votes, one.name, decided=True)}


def turned_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its last two axes in the other order."""
    return (*shape[:-2], shape[-1], shape[-2])


def _may_turn(one: Expected) -> bool:
    return one.found is not None and len(one.found) == len(one.sizes) >= 2 and one.found[-1] != one.found[-2]


def _turned(one: Expected) -> Expected:
    return one if one.found is None else replace(one, found=turned_shape(one.found), turned=True)


def _with_turned(expected: Sequence[Expected], names: Collection[str]) -> list[Expected]:
    return [_turned(one) if one.name in names else one for one in expected]


def _fits(one: Expected, votes: Votes, without: str = "", *, decided: bool = False) -> bool:
    """Whether its axes are what the votes, `without` its own, say; with `decided` one at least must be said."""
    if one.found is None or len(one.found) != len(one.sizes):
        return False
    said = 0
    for size, length in zip(one.sizes, one.found, strict=True):
        known = size.xreplace(_known(size, votes, without))
        said += known.is_Integer and bool(size.free_symbols)
        if (known.is_Integer and known != length) or not (known.is_Integer or _is_possible(known, length)):
            return False
    return said > 0 or not decided


def _known(size: Any, votes: Votes, without: str) -> dict[Any, Integer]:
    winners = {str(letter): votes.winners(str(letter), without) for letter in size.free_symbols}
    return symbols({letter: Integer(values[0]) for letter, values in winners.items() if len(values) == 1})


def _is_possible(size: Any, length: int) -> bool:
    """Whether an axis whose letter nobody has settled may be so long."""
    letter, factor = linear_of(size)
    return length > 0 and (not letter or length % factor == 0)
