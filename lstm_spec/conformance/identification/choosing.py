"""Which arrays of a source could be one layer: those under one prefix, of one cell, or some of them without the rest.

Names only say what belongs together; the step's sizes say what can belong at all. What was left out is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations
from math import comb
from typing import Any

from lstm_spec.conformance.identification.layouts import MOST_LAYOUTS, Sizes, fits
from lstm_spec.conformance.identification.steps import Step
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.tensors import Tensor, Tensors
from lstm_spec.phrases import shortened

Names = tuple[str, ...]
OF_CELL = re.compile(r"(?s).*?(_l\d{1,3}(?:_reverse)?)?")
MOST_SUBSETS = 300  # for each number of arrays that are left out
MOST_ARRAYS = 20  # of one layer: a matrix, two biases and a peephole for each gate, and a projection
MOST_LISTED = 8


def candidate_sets(tensors: Tensors, step: Step, at: str | None, only: Collection[str]) -> list[Names]:
    """Arrays that could be of one layer: those named; or all that have a place, under one prefix, or of one cell there.

    Raises TensorError when a name that was given is no array's.
    """
    _refuse_unknown(tensors, at, only)
    if only:
        return [tuple(name for name in tensors if name in only)]
    named = [name for name in tensors if name.startswith(at or "")]
    sets: dict[Names, None] = {}
    for blocks in (4, 3):
        sizes = Sizes(step.n, step.r, step.k, blocks)
        names = [name for name in named if fits(tensors[name].shape, sizes)]
        for chosen in (names, *_by(names, _prefixes), *_by(names, lambda name: [_own_prefix(name)])):
            sets[tuple(chosen)] = None
            sets |= dict.fromkeys(map(tuple, _by(chosen, lambda name: [_cell_of(name)])))
    return [names for names in sets if names]


def smaller_sets(sets: Iterable[Names]) -> Iterator[list[Names]]:
    """The sets with one array left out, then with two, …, as far as there are not too many ways."""
    large = [names for names in sets if len(names) > 1]
    for left_out in range(1, max(map(len, large), default=1)):
        smaller = [
            (names, size)
            for names in large
            if 1 <= (size := len(names) - left_out) <= MOST_ARRAYS and left_out <= most_left_out(len(names))
        ]
        yield list(dict.fromkeys(chosen for names, size in smaller for chosen in combinations(names, size)))


def most_left_out(count: int) -> int:
    """How many of so many arrays are left out by turns; all that can be, of few."""
    return next((n - 1 for n in range(1, count) if comb(count, n) > MOST_SUBSETS), max(count - 1, 0))


def _prefixes(name: str) -> list[str]:
    parts = re.split(r"[/.]", name)
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _own_prefix(name: str) -> str:
    """All that stands before the last part: nothing for a plain name, beside `head.weight`."""
    return re.split(r"[/.][^/.]*$", name)[0] if re.search(r"[/.]", name) else ""


def _cell_of(name: str) -> str:
    match = OF_CELL.fullmatch(name)
    return match.group(1) or "" if match else ""


def _by(names: Iterable[str], keys: Any) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        for key in keys(name):
            groups.setdefault(key, []).append(name)
    return list(groups.values())


def _refuse_unknown(tensors: Tensors, at: str | None, only: Collection[str]) -> None:
    found = listed(tensors)
    if at and not any(name.startswith(at) for name in tensors):
        raise TensorError(Finding("at", f"no array's name begins with {safe(at)}", safe(tensors.origin), found=found))
    if unknown := [name for name in only if name not in tensors]:
        named = ", ".join(safe(name, 60) for name in unknown)
        raise TensorError(Finding("only", f"there is no array {named}", safe(tensors.origin), found=found))


def listed(tensors: Mapping[str, Tensor], most: int = MOST_LISTED) -> str:
    """`kernel (7, 16), bias (16,) and 3 more`."""
    return shortened(list(tensors), most, lambda name: f"{safe(name, 40)} {tensors[name].shape}") or "no arrays"


def no_layout(tensors: Tensors, step: Step, at: str | None, sets: list[Names], only: Collection[str]) -> TensorError:
    """The error for arrays that are no LSTM; it says how many of them were left out by turns, if that was not all."""
    n, r, k = step.n, step.r, step.k
    width = f"n = {n}, k = {k}" + (f", r = {r}" if r != k else "")
    because = [f"the step says so: x is {n} wide, h {r}, c {k}"]
    count = max(map(len, sets), default=0)
    if not only and (most := most_left_out(count)) < count - 1:
        because.append(f"{count} arrays could be of it: no more than {most} of them were left out at a time")
    return TensorError(
        Finding(
            "no-lstm",
            f"these arrays are no LSTM of {width} in any layout",
            at=safe(tensors.origin) + (f" : {safe(at)}" if at else ""),
            expected=f"matrices that hold {4 * k}×{n} and {4 * k}×{r} numbers, or {4 * k}×{n + r} joined; "
            f"biases of {4 * k}, or none",
            found=listed({name: tensors[name] for name in tensors if not only or name in only}),
            because="\n".join(because),
            help="name the arrays of the layer (--only, each), or how their names begin (--at)",
        )
    )


def too_many(tensors: Tensors, step: Step) -> TensorError:
    """The error for arrays that could be laid in more ways than are tried."""
    return TensorError(
        Finding(
            "several",
            f"there are more than {MOST_LAYOUTS} ways to lay these arrays into an LSTM of n = {step.n}, k = {step.k}",
            at=safe(tensors.origin),
            found=listed(tensors),
            help="name the arrays of the layer (--only, each), or how their names begin (--at)",
        )
    )
