"""`identify`: arrays in any layout and one recorded step → `Identification`.

The step's widths say which arrays can stand where; its numbers say what they are. Nothing is guessed from names but
which arrays belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.alignments import realigned
from lstm_spec.conformance.identification.claims import claims, moved_gates
from lstm_spec.conformance.identification.doubts import settle
from lstm_spec.conformance.identification.hypotheses import STATES, Hypothesis, bias_uses, neighbours
from lstm_spec.conformance.identification.identification import Candidate, Identification, Namesake, NearMiss
from lstm_spec.conformance.identification.layouts import MOST_LAYOUTS, Layout, Sizes, fits, layouts, ways
from lstm_spec.conformance.identification.namesakes import nearest
from lstm_spec.conformance.identification.searching import search
from lstm_spec.conformance.identification.steps import Step, read_step
from lstm_spec.conformance.identification.sums import Sums, coarsest, errors
from lstm_spec.conformance.sources import open_source
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.tensors import Tensors

Array = np.ndarray[Any, Any]

# Relative to the largest entry of c' and h'. A right convention in float32 misses by 1e-7 to 1e-6; hard_sigmoid for
# sigmoid with weights of 0.01 by 1e-4. A float64 recording may come from float32 arithmetic.
TOLERANCE = {"float64": 1e-5, "float32": 2e-5, "float16": 1e-2}
NOISE = {"float64": 1e-11, "float32": 4e-6, "float16": 4e-3}  # below it no two hypotheses are told apart
MARGIN = 8.0  # times the best error: as near as this is as good
MOST_EQUALS = 240
OF_CELL = re.compile(r"(?s).*?(_l\d{1,3}(?:_reverse)?)?")


def identify(source: Any, step: Any, at: str | None = None) -> Identification:
    """The convention in which arrays were written, from one recorded step; `ls.identify`.

    `source` is a path, a dict of arrays or a live layer, `at` the beginning of the names to look at; `step` an npz or a
    mapping with x (B, n), h (B, r), c (B, k) and, after the step, h1 and c1. Raises FileError when a file cannot be
    read, TensorError when the arrays or the step are none, or cannot be an LSTM of the step's sizes.
    """
    tensors = open_source(source)
    recorded = read_step(step)
    sets = _candidate_sets(tensors, recorded, at)
    arrays = {name: _load(tensors, name) for names in sets for name in names}
    every = (layout for names in sets for layout in layouts({n: arrays[n].shape for n in names}, *_widths(recorded)))
    found = tuple(islice(every, MOST_LAYOUTS + 1))
    if not found:
        raise _no_layout(tensors, recorded, at)
    if len(found) > MOST_LAYOUTS:
        raise _too_many(tensors, recorded)
    _refuse_strange(arrays, tensors.origin)
    return _identify(tensors, arrays, found, recorded)


def _identify(tensors: Tensors, arrays: Mapping[str, Array], places: tuple[Layout, ...], step: Step) -> Identification:
    sums = Sums(arrays, step)
    dtype = coarsest({**arrays, "step": np.empty(0, step.dtype)}, (*arrays, "step"))
    limit = TOLERANCE[dtype]
    measured, tried = _measure(places, sums, limit)
    noise = max(MARGIN * min(c.error for c in measured), NOISE[dtype])
    equals = [c for c in measured if c.error <= noise]
    best = min(equals, key=lambda c: c.hypothesis.rank)
    is_found = best.error <= limit
    if not is_found:
        best = min(measured, key=lambda c: (c.of_c * c.of_h) ** 0.5)
    doubts, notes = settle(best.hypothesis, [c.hypothesis for c in equals], sums) if is_found else ((), ())
    names = tuple(name for part in best.hypothesis.layout.parts for name in part.names)
    return Identification(
        tensors.origin,
        names,
        {"n": step.n, "k": step.k} | ({} if step.square else {"r": step.r}),
        step.samples or len(step.x),
        dtype,
        limit,
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
    swaps = tuple(STATES) if sums.step.square else ("",)
    ways = [(place, swap, use) for place in places for swap in swaps for use in bias_uses(place)]
    scored = [s for place, swap, use in ways for s in search(place, sums, swap, use, limit)]
    passed = [s for s in scored if s.error <= limit]
    if not passed:
        others = [other for place in places for other in islice(realigned(place, sums, limit), MOST_LAYOUTS)]
        passed = [s for other in others for s in search(other, sums, "", "all", limit) if s.error <= limit]
    if not passed:
        plain = [(place, swap, use) for place, swap, use in ways if not swap and use == "all"]
        passed = [s for way in plain for s in search(way[0], sums, *way[1:], np.inf)]
    chosen = sorted(passed, key=lambda s: (s.error > limit and s.error, s.hypothesis.rank))[:MOST_EQUALS]
    least = sorted(passed, key=lambda s: s.error)[:MOST_EQUALS]
    hypotheses = dict.fromkeys(s.hypothesis for s in (*chosen, *least))
    return [Candidate(h, *errors(h, sums)) for h in hypotheses], len(ways)


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


def _widths(step: Step) -> tuple[int, int, int]:
    return step.n, step.r, step.k


def _candidate_sets(tensors: Tensors, step: Step, at: str | None) -> list[tuple[str, ...]]:
    """The arrays that could be of one layer: all that have a place, or those under one prefix, or of one cell there."""
    sizes = Sizes(*_widths(step))
    names = [name for name in tensors if name.startswith(at or "") and fits(tensors[name].shape, sizes)]
    sets: dict[tuple[str, ...], None] = {}
    for chosen in (names, *_by(names, _prefixes)):
        sets[tuple(chosen)] = None
        sets |= dict.fromkeys(map(tuple, _by(chosen, lambda name: [_cell_of(name)])))
    return [names for names in sets if names]


def _prefixes(name: str) -> list[str]:
    parts = re.split(r"[/.]", name)
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _cell_of(name: str) -> str:
    match = OF_CELL.fullmatch(name)
    return match.group(1) or "" if match else ""


def _by(names: Iterable[str], keys: Any) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        for key in keys(name):
            groups.setdefault(key, []).append(name)
    return list(groups.values())


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


def _listed(tensors: Tensors, most: int = 8) -> str:
    shown = [f"{safe(name, 40)} {tensors[name].shape}" for name in list(tensors)[:most]]
    more = f" and {len(tensors) - most} more" if len(tensors) > most else ""
    return f"{', '.join(shown)}{more}" if shown else "no arrays"


def _no_layout(tensors: Tensors, step: Step, at: str | None) -> TensorError:
    if at and not any(name.startswith(at) for name in tensors):
        found = _listed(tensors)
        return TensorError(Finding("at", f"no array's name begins with {safe(at)}", safe(tensors.origin), found=found))
    n, r, k = _widths(step)
    width = f"n = {n}, k = {k}" + (f", r = {r}" if r != k else "")
    return TensorError(
        Finding(
            "no-lstm",
            f"these arrays are no LSTM of {width} in any layout",
            at=safe(tensors.origin) + (f" : {safe(at)}" if at else ""),
            expected=f"matrices that hold {4 * k}×{n} and {4 * k}×{r} numbers, or {4 * k}×{n + r} joined; "
            f"biases of {4 * k}, or none",
            found=_listed(tensors),
            because=f"the step says so: x is {n} wide, h {r}, c {k}",
            help="leave out what is no part of the layer (--at), or give each of several layers by itself",
        )
    )


def _too_many(tensors: Tensors, step: Step) -> TensorError:
    return TensorError(
        Finding(
            "several",
            f"there are more than {MOST_LAYOUTS} ways to lay these arrays into an LSTM of n = {step.n}, k = {step.k}",
            at=safe(tensors.origin),
            found=_listed(tensors),
            help="name the layer: at=…, or --at on the command line",
        )
    )


__all__ = ["NOISE", "TOLERANCE", "Hypothesis", "identify"]
