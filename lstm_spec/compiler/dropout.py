"""The masks of a network in training: who reads which, of what shape; drawn by a given generator, or held to it.

An entry is 0 with the probability of its rate, else 1 / (1 − rate), so that its mean is 1; a zoneout mask is 1 with the
probability of its rate, else 0. A mask has length 1 along each axis that it is the same along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lstm_spec.compiler.arrays_in import Bound
from lstm_spec.errors import Finding, OptionError, SizeError, TensorError, safe
from lstm_spec.layers.modules import Dropout, MaskKind
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.signals import Shape, Signal
from lstm_spec.symbolic.printing import tuple_text

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Dropped:
    """One mask: whose it is, its shape time first, how it is drawn."""

    name: str
    shape: tuple[int, ...]
    rate: Fraction
    keeps: bool = False

    def draw(self, generator: np.random.Generator, dtype: np.dtype[Any]) -> Array:
        """A mask; its mean is 1, or the rate where it `keeps`."""
        drop = generator.random(self.shape) < float(self.rate)
        if self.keeps:
            return drop.astype(dtype)
        return np.where(drop, 0, 1 / (1 - float(self.rate))).astype(dtype)


@dataclass(frozen=True, slots=True)
class Masks:
    """Every mask of a call, time first; none at inference."""

    drawn: Mapping[str, Array] = field(default_factory=dict)
    layout: str = "time"

    def inside(self, member: str) -> list[Array]:
        """Those that a recurrent member reads under x, in their order."""
        return [mask for name, mask in self.drawn.items() if name.startswith(f"{member}.")]

    def laid_out(self) -> dict[str, Array]:
        """By name, in the network's layout."""
        return {name: _turned(mask, self.layout) for name, mask in self.drawn.items()}


def _turned(mask: Array, layout: str) -> Array:
    return mask.swapaxes(0, 1) if layout == "batch" and mask.ndim == 3 else mask


def read_masks(bound: Bound, dropout: np.random.Generator | Mapping[str, Array] | None) -> Masks:
    """Masks drawn in the members' order, or those that are given, held to their shapes; none for None.

    Raises TensorError where a name, a shape or a dtype is wrong, OptionError for what is neither.
    """
    if dropout is None:
        return Masks()
    planned, layout = tuple(plan_masks(bound)), bound.network.layout
    if isinstance(dropout, np.random.Generator):
        return Masks({mask.name: mask.draw(dropout, bound.dtype) for mask in planned}, layout)
    if not isinstance(dropout, Mapping):
        expected, found = "a numpy.random.Generator, or masks by name", type(dropout).__name__
        raise OptionError(Finding("dropout", "dropout draws no masks", expected=expected, found=found))
    names = [mask.name for mask in planned]
    if set(dropout) != set(names):
        found = ", ".join(safe(n, 40) for n in dropout) or "none"
        raise TensorError(Finding("names", "the masks do not have their names", "", ", ".join(names) or "none", found))
    return Masks({mask.name: _held(mask, dropout[mask.name], bound) for mask in planned}, layout)


def _held(mask: Dropped, array: Any, bound: Bound) -> Array:
    if isinstance(array, np.ndarray) and array.dtype == bound.dtype:
        turned = _turned(array, bound.network.layout)
        if turned.shape == mask.shape:
            return turned
    found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
    shape = mask.shape if bound.network.layout == "time" or len(mask.shape) < 3 else (*mask.shape[1::-1], mask.shape[2])
    raise TensorError(Finding("mask", f"the mask {mask.name} does not fit", "", f"{bound.dtype} {shape}", found))


def plan_masks(bound: Bound) -> Iterator[Dropped]:
    """Every mask that a call reads, in the order in which they are drawn."""
    for placed in bound.network.members:
        match placed.module:
            case Dropout(rate=rate, mask=kind):
                yield Dropped(placed.name, _shape(placed.takes, placed.takes.width, kind, bound), rate)
            case Recurrent() as module:
                for mask in module.trained[1]:
                    shape = _shape(placed.takes, module.mask_rows(mask, placed.takes), mask.kind, bound)
                    yield Dropped(f"{placed.name}.{mask.name}", shape, mask.rate, mask.keeps)


def _shape(taken: Signal, rows: Any, kind: MaskKind, bound: Bound) -> tuple[int, ...]:
    shape: Shape = tuple(size.xreplace(bound.sizes) for size in Signal(rows, taken.time).shape())
    if any(not size.is_Integer for size in shape):
        message = f"a mask {tuple_text(shape)} has a size that no array says"
        raise SizeError(Finding("size", message, help="give it to the network: network.at(…)"))
    same = {"element": 0, "sequence": len(shape) - 2, "unit": len(shape) - 1}[kind]  # leading axes
    return (*(1 for _ in shape[:same]), *map(int, shape[same:]))
