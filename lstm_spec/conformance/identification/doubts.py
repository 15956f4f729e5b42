"""Hypotheses that fit equally well → the axes on which they differ, and why the data cannot tell them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.conformance.identification.identification import Doubt
from lstm_spec.conformance.identification.layouts import PLACES
from lstm_spec.conformance.identification.sums import Sums
from lstm_spec.errors import safe

FORGETTING = ("gates", "forget constant", "coupling", "peepholes", "gate activation")
MOST_CHOICES = 6


def settle(best: Hypothesis, equals: Sequence[Hypothesis], sums: Sums) -> tuple[tuple[Doubt, ...], tuple[str, ...]]:
    """The doubts, and notes on what makes no difference to what these weights compute, or what names decide."""
    neutral = {"biases added"} | ({"states"} if sums.step.named else set())
    choices: dict[str, dict[str, Hypothesis]] = {}
    silent: set[str] = set()
    for other in equals:
        change = other.difference(best)
        if neutral & set(change):
            silent |= neutral & set(change)
            continue
        for axis, (theirs, mine) in change.items():
            choices.setdefault(axis, {mine: best})[theirs] = other
    notes = {
        "biases added": "a bias that is 0, or is not seen in this step, may or may not be added",
        "states": "h and c could change places; their names were believed",
    }
    doubts = [Doubt(axis, tuple(found), _reason(axis, best, found, sums)) for axis, found in choices.items()]
    return (*doubts, *_unseen_blocks(best, sums)), tuple(notes[axis] for axis in sorted(silent))


def _unseen_blocks(best: Hypothesis, sums: Sums) -> Iterator[Doubt]:
    """A matrix that multiplies zeros alone: nothing but the other arrays says in which order its gates lie."""
    step = sums.turned(best.swapped)
    for place, name in (("W", "x"), ("U", "h")):
        names = [n for part in best.layout.parts if PLACES.get(part.role, part.role) == place for n in part.names]
        if any(np.any(sums.arrays[n]) for n in names) and not np.any(getattr(step, name)):
            reason = f"{name} is 0 in every sample: nothing shows the order of its blocks"
            yield Doubt(f"gates in the matrix on {name}", (", ".join(best.order), "any other order"), reason)


def _reason(axis: str, best: Hypothesis, choices: dict[str, Hypothesis], sums: Sums) -> str:
    """The first reason that holds."""
    step = sums.turned(best.swapped)
    arrays = {name: sums.arrays[name] for part in best.layout.parts for name in part.names}
    if not any(np.any(array) for array in arrays.values()):
        return "every weight is 0: all gates are the same"
    if axis.startswith("place of") and (twin := _twins(axis, arrays)):
        return twin
    if "peephole" in axis and (zero := _zero_peepholes(best, sums)):
        return zero
    if axis == "gates" and (same := _same_blocks(best, choices, sums)):
        return same
    if axis in FORGETTING and not np.any(step.c):
        return "c is 0 in every sample: nothing shows the forget gate, nor a peephole before the step"
    if ("on h" in axis or "place" in axis) and not np.any(step.h):
        return "h is 0 in every sample: nothing shows what multiplies it"
    if ("on x" in axis or "place" in axis) and not np.any(step.x):
        return "x is 0 in every sample: nothing shows what multiplies it"
    if axis == "states" and np.array_equal(step.h, step.c) and np.array_equal(step.h1, step.c1):
        return "h and c hold the same numbers"
    if zeros := [name for name in "xhc" if not np.any(getattr(step, name))]:
        return f"{' and '.join(zeros)} {'are' if len(zeros) > 1 else 'is'} 0 in every sample"
    return "all of them give the same c' and h' on this step, as far as its numbers go"


def _zero_peepholes(best: Hypothesis, sums: Sums) -> str:
    parts = [part for part in best.layout.parts if part.role in ("p", "p1", "P1")]
    if any(np.any(sums.arrays[name]) for part in parts for name in part.names):
        return ""
    return "every peephole is 0"


def _same_blocks(best: Hypothesis, choices: dict[str, Hypothesis], sums: Sums) -> str:
    """Blocks that change their gate among the choices, and hold the same sums."""
    z = sums.blocks(best.layout, best.swapped, best.biases).z
    moved = {index for other in choices.values() for index, gate in enumerate(other.order) if gate != best.order[index]}
    groups: list[list[int]] = []
    for index in sorted(moved):
        for group in groups:
            if np.allclose(z[group[0]], z[index], rtol=1e-6, atol=1e-12):
                group.append(index)
                break
        else:
            groups.append([index])
    same = [" and ".join(str(index + 1) for index in group) for group in groups if len(group) > 1]
    return f"blocks {'; '.join(same)} give the same sums in every sample" if same else ""


def _twins(axis: str, arrays: dict[str, np.ndarray]) -> str:
    names = axis.removeprefix("place of ").split(", ")
    for name in names:
        for other, array in arrays.items():
            if other != name and name in arrays and np.array_equal(arrays[name], array):
                both = sorted((safe(name, 40), safe(other, 40)))
                return f"{' and '.join(both)} hold the same numbers"
    return ""
