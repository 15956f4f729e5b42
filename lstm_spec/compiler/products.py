"""The Jacobians of the steps → how a state's gradient grows or fades: norms of one step, and of products over time.

A product over many steps leaves the range of float64, so its size is carried beside it and told as log10. Three paths
of a state s from step t to the last: `through` is ∂s_T/∂s_(t−1), whatever way; `along` multiplies the blocks
∂s/∂s alone, the other states held; `kept` multiplies what the equation of s keeps of it: the f of an LSTM's c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """One state over the steps that are there. `through`, `along` and `kept` are log10 over all steps, of the median
    sample; `a_step` is what a step multiplies by on average on the way through: 10^(through / T).
    """

    name: str
    lowest: float
    mean: float
    highest: float
    radius: float
    through: float
    along: float
    kept: float | None
    a_step: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON, where infinity and NaN are null."""
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Growth:
    """One state's measures, each (T, B): the norm and the largest |eigenvalue| of ∂s_t/∂s_(t−1), and log10 of the norm
    of three products from step t to the last, which is the first in time where the cell is `reverse`.

    `kept` is of the unit that keeps most; None for what keeps nothing of itself.
    """

    norm: Array
    radius: Array
    through: Array
    along: Array
    kept: Array | None
    reverse: bool

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Each measure by its name in an npz."""
        made = {"norm": self.norm, "radius": self.radius, "log10_through": self.through, "log10_along": self.along}
        return made if self.kept is None else made | {"log10_kept": self.kept}

    def summarize(self, name: str, alive: Array) -> Summary:
        """The row of a table; NaN where no sample has a step."""
        norms, radii = self.norm[alive], self.radius[alive]
        if norms.size == 0:
            nothing = np.nan
            kept = None if self.kept is None else nothing
            return Summary(name, nothing, nothing, nothing, nothing, nothing, nothing, kept, nothing)
        whole = -1 if self.reverse else 0  # the product over all steps stands at the first of them
        each = float(np.median(self.through[whole] / np.maximum(alive.sum(axis=0), 1)))
        return Summary(
            name=name,
            lowest=float(norms.min()),
            mean=float(norms.mean()),
            highest=float(norms.max()),
            radius=float(radii.max()),
            through=float(np.median(self.through[whole])),
            along=float(np.median(self.along[whole])),
            kept=None if self.kept is None else float(np.median(self.kept[whole])),
            a_step=10.0**each,
        )


def measure_growth(
    steps: Array, places: Mapping[str, slice], kept: Mapping[str, Array], alive: Array, reverse: bool
) -> dict[str, Growth]:
    """The measures of each state, at its place in `steps (T, B, K, K)`; `kept (T, B, k)` of those that keep a part."""
    through = dict(zip(places, log_products(steps, list(places.values()), reverse), strict=True))
    made = {}
    for name, place in places.items():
        block = steps[:, :, place, place]
        (along,) = log_products(block, [slice(None)], reverse)
        path = _log_kept(kept[name], alive, reverse) if name in kept else None
        made[name] = Growth(_norms(block), _radii(block), through[name], along, path, reverse)
    return made


def _log_kept(kept: Array, alive: Array, reverse: bool) -> Array:
    """log10 of the product of what is kept, of the unit that keeps most, for every step: (T, B)."""
    with np.errstate(all="ignore"):
        logs = np.where(alive[..., None], np.log10(np.abs(kept)), 0.0)
        sums = np.cumsum(logs, axis=0) if reverse else np.cumsum(logs[::-1], axis=0)[::-1]
    most: Array = sums.max(axis=-1, initial=-np.inf)
    return most


def log_products(steps: Array, places: Sequence[slice], reverse: bool) -> list[Array]:
    """log10 of the norm of blocks of J_T … J_t, for every t, each (T, B); the first in time is last where `reverse`."""
    times, samples, rows, _ = steps.shape
    product, logs = np.broadcast_to(np.eye(rows), (samples, rows, rows)), np.zeros(samples)
    found = [np.empty((times, samples)) for _ in places]
    with np.errstate(all="ignore"):
        for t in range(times) if reverse else reversed(range(times)):
            product = product @ steps[t]
            size = np.abs(product).max(axis=(1, 2), initial=0)
            size = np.where(np.isfinite(size) & (size > 0), size, 1)
            product, logs = product / size[:, None, None], logs + np.log10(size)
            for log, place in zip(found, places, strict=True):
                log[t] = logs + np.log10(_norms(product[:, place, place]))
    return found


def _norms(matrices: Array) -> Array:
    """Spectral norms; NaN where an entry is no finite number."""
    fine = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))
    norms = np.linalg.norm(np.where(fine[..., None, None], matrices, 0), 2, axis=(-2, -1))
    return np.where(fine, norms, np.nan)


def _radii(matrices: Array) -> Array:
    """The largest |eigenvalue| of each; NaN where an entry is no finite number."""
    fine = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))
    values = np.linalg.eigvals(np.where(fine[..., None, None], matrices, 0))
    return np.where(fine, np.abs(values).max(axis=-1, initial=0), np.nan)
