"""A trace → a row for each name: how saturated, which units do nothing, how long a state remembers, and the bounds.

Every share is over the steps that are there, the samples and the units together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sympy import Rational

from lstm_spec.compiler.tracing import Trace
from lstm_spec.symbolic.bounds import Bound, bound_cell
from lstm_spec.symbolic.intervals import Interval

Array = np.ndarray[Any, Any]
LOW, HIGH = 0.05, 0.95
UNIT, SIGNED = Interval.between(0, 1), Interval.between(-1, 1)


@dataclass(frozen=True, slots=True)
class Summary:
    """One name of one cell. `low` is the share below 0.05 and `high` the share above 0.95, of the absolute value for
    what lies in [−1, 1]; None for what has no such range.

    `dead` counts units whose absolute value never exceeds 0.05. `memory` is the median over units of −1/ln of the mean
    kept share, in steps (inf where all is kept); None for what keeps nothing of itself. `proven` bounds it over these T
    steps in this dtype; `within` says that it holds, and None that nothing is proven.
    """

    name: str
    units: int
    lowest: float
    mean: float
    highest: float
    low: float | None
    high: float | None
    dead: int
    memory: float | None
    strange: int
    proven: str
    within: bool | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON, where infinity and NaN are null."""
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}


def summarize(trace: Trace) -> tuple[Summary, ...]:
    """A row for each name of the trace, in its order."""
    return tuple(_rows(trace))


def _rows(trace: Trace) -> Iterator[Summary]:
    bounds = {b.name: b for b in bound_cell(trace.layer.cell).bounds}
    for name, array in trace.arrays.items():
        prefix, _, own = name.rpartition(".")
        seen = array[trace.alive]  # (steps and samples, units)
        finite = seen[np.isfinite(seen)].astype(np.float64)
        bound = bounds[own]
        kind = next((r for r in (UNIT, SIGNED) if _inside(bound.real, r)), None)
        size = np.abs(finite)
        proven = _proven(trace, prefix, bound, str(array.dtype))
        empty = finite.size == 0
        yield Summary(
            name,
            array.shape[2],
            *((float("nan"),) * 3 if empty else (float(finite.min()), float(finite.mean()), float(finite.max()))),
            None if kind is None or empty else float((size < LOW).mean()),
            None if kind is None or empty else float((size > HIGH).mean()),
            0 if len(seen) == 0 else int((np.nan_to_num(np.abs(seen), nan=np.inf) <= LOW).all(axis=0).sum()),
            _median_memory(trace, name),
            int(seen.size - finite.size),
            "" if proven is None else f"{float(proven.low):.6g} to {float(proven.high):.6g}",
            None if proven is None or empty else bool(finite.min() >= proven.low and finite.max() <= proven.high),
        )


def _inside(found: Interval, limits: Interval) -> bool:
    return bool(found.low >= limits.low and found.high <= limits.high)


def _proven(trace: Trace, prefix: str, bound: Bound, dtype: str) -> Interval | None:
    """The range over these steps, from these initial states."""
    start = Rational(0)
    if bound.growth is not None:
        initial = np.abs(trace.initial[f"{prefix}.{bound.growth.state}"])
        if not np.isfinite(initial).all():
            return None
        start = Rational(float(initial.max())) if initial.size else start
    return bound.over_floats(dtype, start, Rational(max(len(trace.alive), 1)))


def memory(trace: Trace, name: str) -> Array | None:
    """−1/ln f̄ for each unit of a state, in steps: f̄ is the mean share that it keeps; 0 where that is at most 0."""
    if name not in trace.kept or not trace.alive.any():
        return None
    mean = np.abs(trace.kept[name][trace.alive].astype(np.float64).mean(axis=0))
    with np.errstate(all="ignore"):
        steps = np.where(mean <= 0, 0.0, -1 / np.log(np.minimum(mean, 1)))
    return np.where(mean >= 1, np.inf, steps)


def _median_memory(trace: Trace, name: str) -> float | None:
    found = memory(trace, name)
    return None if found is None else float(np.median(found))
