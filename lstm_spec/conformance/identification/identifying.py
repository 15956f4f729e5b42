"""`identify`: arrays in any layout and one recorded step → `Identification`.

The step's widths say which arrays can stand where; its numbers say what they are. Nothing is guessed from names but
which arrays belong together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.alignments import realigned
from lstm_spec.conformance.identification.choosing import candidate_sets, no_layout, smaller_sets, too_many
from lstm_spec.conformance.identification.claims import claims, moved_gates
from lstm_spec.conformance.identification.doubts import settle
from lstm_spec.conformance.identification.hypotheses import STATES, Hypothesis, bias_uses, neighbours
from lstm_spec.conformance.identification.identification import Candidate, Identification, Namesake, NearMiss
from lstm_spec.conformance.identification.layouts import MOST_LAYOUTS, Layout, Sizes, layouts, ways
from lstm_spec.conformance.identification.limits import Limit, limit_of, stored_dtype
from lstm_spec.conformance.identification.namesakes import nearest
from lstm_spec.conformance.identification.searching import Scored, search
from lstm_spec.conformance.identification.steps import Step, read_step
from lstm_spec.conformance.identification.sums import Sums, errors
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.tensors import Tensors

Array = np.ndarray[Any, Any]

MARGIN = 8.0  # times the best error: as near as this is as good
MOST_EQUALS = 240
Way = tuple[Layout, str, str]  # where the arrays lie, which states change places, which biases are added


def identify(source: Any, step: Any, at: str | None = None, only: Collection[str] = ()) -> Identification:
    """The convention in which arrays were written, from one recorded step; `ls.identify`.

    `source` is a path, a dict of arrays or a live layer, `at` the beginning of the names to look at, `only` the names
    of the layer's arrays; without them every array that cannot belong is left out. `step` is an npz or a mapping with
    x (B, n), h (B, r), c (B, k) and, after the step, h1 and c1. Raises FileError when a file cannot be read,
    TensorError when the arrays or the step are none, or cannot be an LSTM of the step's sizes.
    """
    tensors = open_source(source)
    recorded = read_step(step)
    sets = candidate_sets(tensors, recorded, at, only)
    arrays = {name: _load(tensors, name) for name in dict.fromkeys(name for names in sets for name in names)}
    places = tuple(islice(_layouts(sets, tensors, recorded), MOST_LAYOUTS + 1))
    if len(places) > MOST_LAYOUTS:
        raise too_many(tensors, recorded)
    _refuse_strange(arrays, tensors.origin)
    sums = Sums(arrays, recorded)
    found = _identify(tensors, sums, places) if places else None
    if found is None or not (found.fits or only):
        fewer = () if only else _leaving_out(sets, tensors, sums, first=not places)
        found = _identify(tensors, sums, fewer) if fewer else found
    if found is None:
        raise no_layout(tensors, recorded, at, sets, only)
    return found


def _layouts(sets: Iterable[tuple[str, ...]], tensors: Tensors, step: Step) -> Iterator[Layout]:
    sizes = step.n, step.r, step.k
    return (layout for names in sets for layout in layouts({name: tensors[name].shape for name in names}, *sizes))


def _leaving_out(sets: Iterable[tuple[str, ...]], tensors: Tensors, sums: Sums, *, first: bool) -> tuple[Layout, ...]:
    """The layouts of as few arrays less as possible among which one fits; where none does, the `first` that there are.

    A bias that is not added is one that could be left out, so every bias counts here.
    """
    nearest: tuple[Layout, ...] = ()
    left = MOST_LAYOUTS
    for smaller in smaller_sets(sets):
        places = tuple(islice(_layouts(smaller, tensors, sums.step), left + 1))
        left -= len(places)
        if left < 0:
            break
        limit = _limit(places, tensors, sums).tolerance
        if any(_search(_ways(places, sums, every_bias=True), sums, limit)):
            return places
        nearest = nearest or places
    if first and left < 0 and not nearest:
        raise too_many(tensors, sums.step)
    return nearest if first else ()


def _limit(places: Iterable[Layout], tensors: Tensors, sums: Sums) -> Limit:
    """By the arrays that have a place, and the step."""
    names = dict.fromkeys(name for place in places for part in place.parts for name in part.names)
    return limit_of((stored_dtype(tensors[name], sums.arrays[name]) for name in names), sums.step.dtype)


def _identify(tensors: Tensors, sums: Sums, places: tuple[Layout, ...]) -> Identification:
    step, limit = sums.step, _limit(places, tensors, sums)
    measured, tried = _measure(places, sums, limit.tolerance)
    noise = max(MARGIN * min(c.error for c in measured), limit.noise)
    equals = [c for c in measured if c.error <= noise]
    best = min(equals, key=lambda c: c.hypothesis.rank)
    is_found = best.error <= limit.tolerance
    if not is_found:
        best = min(measured, key=lambda c: (c.of_c * c.of_h) ** 0.5)
    doubts, notes = settle(best.hypothesis, [c.hypothesis for c in equals], sums) if is_found else ((), ())
    names = tuple(name for part in best.hypothesis.layout.parts for name in part.names)
    return Identification(
        tensors.origin,
        names,
        {"n": step.n, "k": step.k} | ({} if step.square else {"r": step.r}),
        step.samples or len(step.x),
        limit.dtype,
        limit.tolerance,
        best,
        doubts,
        (*notes, *_notes(step)),
        tuple(_near_misses(best, places, sums, noise if is_found else 0.0)),
        tuple(_believed(best.hypothesis, nearest(best.hypothesis, names), tensors, names, sums)),
        tuple(name for name in tensors if name not in names),
        tried,
    )


def _measure(places: tuple[Layout, ...], sums: Sums, limit: float) -> tuple[list[Candidate], int]:
    """What fits, measured on the whole step; where nothing does, the best of each layout."""
    ways = _ways(places, sums)
    passed = list(_search(ways, sums, limit))
    if not passed:
        others = (other for place in places for other in islice(realigned(place, sums, limit), MOST_LAYOUTS))
        passed = list(_search([(other, "", "all") for other in others], sums, limit))
    if not passed:
        plain = [way for way in ways if way[1:] == ("", "all")]
        passed = [s for way in plain for s in search(way[0], sums, *way[1:], np.inf)]
    chosen = sorted(passed, key=lambda s: (s.error > limit and s.error, s.hypothesis.rank))[:MOST_EQUALS]
    least = sorted(passed, key=lambda s: s.error)[:MOST_EQUALS]
    hypotheses = dict.fromkeys(s.hypothesis for s in (*chosen, *least))
    return [Candidate(h, *errors(h, sums)) for h in hypotheses], len(ways)


def _ways(places: Iterable[Layout], sums: Sums, *, every_bias: bool = False) -> list[Way]:
    """Each layout with the states in every place, and every use of the biases, or all of them."""
    swaps = tuple(STATES) if sums.step.square else ("",)
    return [(p, swap, use) for p in places for swap in swaps for use in (["all"] if every_bias else bias_uses(p))]


def _search(ways: Iterable[Way], sums: Sums, limit: float) -> Iterator[Scored]:
    """The hypotheses within the limit."""
    return (s for place, swap, use in ways for s in search(place, sums, swap, use, limit) if s.error <= limit)


def _near_misses(best: Candidate, places: tuple[Layout, ...], sums: Sums, noise: float) -> list[NearMiss]:
    """Of each axis the nearest other choice that fails, the nearest axis first; of the gates the nearest three."""
    by_axis: dict[str, list[NearMiss]] = {}
    for other in dict.fromkeys(neighbours(best.hypothesis, places, sums.step.square)):
        if other == best.hypothesis:
            continue
        candidate = Candidate(other, *errors(other, sums))
        change = best.hypothesis.difference(other)
        if candidate.error > noise and len(change) <= 2:
            by_axis.setdefault(next(iter(change), "places"), []).append(NearMiss(candidate, change))
    nearest_first = (sorted(misses, key=lambda m: m.candidate.error) for misses in by_axis.values())
    chosen = [miss for misses in nearest_first for miss in misses[: 3 if "gates" in misses[0].change else 1]]
    return sorted(chosen, key=lambda m: m.candidate.error)


def _believed(
    best: Hypothesis, dialects: Iterable[Namesake], tensors: Tensors, names: tuple[str, ...], sums: Sums
) -> Iterator[Namesake]:
    """The dialects; those whose names the arrays bear with the error that they would make."""
    claimed = claims(tensors, names)
    for one in dialects:
        read = claimed.get(one.dialect)
        if read is None or not _matches(read, sums):
            yield one
        else:
            moved = {} if one.change else moved_gates(best, read)
            yield replace(one, error=max(errors(read, sums)), change={**one.change, **moved})


def _matches(claimed: Hypothesis, sums: Sums) -> bool:
    """Whether a claim has the sizes of the step."""
    step = sums.step
    lengths = [(p, Sizes(step.n, step.r, step.k, claimed.layout.blocks)) for p in claimed.layout.parts]
    return all((part.shape, part.axes) in ways(part.role, part.shape, sizes) for part, sizes in lengths)


def _notes(step: Step) -> Iterator[str]:
    if step.unread:
        yield f"not read from the step: {', '.join(safe(name, 40) for name in step.unread)}"
    if step.samples > len(step.x):
        yield f"the first {len(step.x)} of {step.samples} samples were used"


def _load(tensors: Tensors, name: str) -> Array:
    tensor = tensors[name]
    if tensor.load is None:
        raise TensorError(Finding("dtype", f"the values of {safe(name)} cannot be read", found=safe(tensor.dtype)))
    array = tensor.load()
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TensorError(
            Finding(
                "dtype",
                f"{safe(name)} holds no floats",
                at=safe(tensors.origin),
                expected="float16, float32 or float64",
                found=str(array.dtype),
            )
        )
    return array


def _refuse_strange(arrays: Mapping[str, Array], origin: str) -> None:
    strange = [safe(name, 60) for name, array in arrays.items() if not np.isfinite(array).all()]
    if strange:
        raise TensorError(
            Finding(
                "values",
                f"{', '.join(strange)} holds NaN or infinity",
                at=safe(origin),
                help="nothing can be measured on it",
            )
        )


__all__ = ["Hypothesis", "identify"]
