"""Every hypothesis of a layout at once: c' says which blocks are i, f and g, h' which one is o.

h' = o * act(c') with the recorded c', so the two are asked apart and only what both allow is put together. Looks at a
few hundred entries; what passes is measured on all of them by `sums.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.hypotheses import (
    ACTIVATIONS,
    COUPLINGS,
    FORGETS,
    GATE_ACTIVATIONS,
    Hypothesis,
    orders,
    peephole_orders,
)
from lstm_spec.conformance.identification.layouts import Layout
from lstm_spec.conformance.identification.steps import Step
from lstm_spec.conformance.identification.sums import Blocks, Sums, scale

Array = np.ndarray[Any, Any]
ENTRIES = 192  # of c' (B, k): enough that a wrong hypothesis cannot pass, few enough that 40,000 cost milliseconds
SEES = ("c'", "c")


@dataclass(frozen=True, slots=True)
class Scored:
    """A hypothesis, and the larger of its two errors on the entries looked at."""

    error: float
    hypothesis: Hypothesis


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of the step that are looked at: `z (blocks, E)`, peepholes `(peepholes, E)`, `c`, `c1` and `h1`."""

    z: Array
    seen: Array | None
    seen_after: Array | None
    c: Array
    c1: Array
    scale: float


def search(layout: Layout, sums: Sums, swapped: str, biases: str, limit: float) -> Iterator[Scored]:
    """The hypotheses of a layout with an error below `limit`.

    Without a limit the best of each order of the gates, by the geometric mean of its two errors: where nothing fits, a
    half that does says more than two that nearly do.
    """
    blocks, step = sums.blocks(layout, swapped, biases), sums.turned(swapped)
    with np.errstate(all="ignore"):
        of_h = _output_errors(blocks, step)
        if not np.nanmin(of_h) <= limit and limit < np.inf:
            return
        entries = _look_at(blocks, step)
        for scored in _combined(layout, entries, of_h, limit, swapped, biases):
            if scored.error <= limit:
                yield scored


def output_error(layout: Layout, sums: Sums, block: int) -> float:
    """The least error of h' with this block as o."""
    with np.errstate(all="ignore"):
        return float(_output_errors(sums.blocks(layout), sums.step)[:, block].min())


def _look_at(blocks: Blocks, step: Step) -> Entries:
    """The same entries every time, spread over samples and units."""
    size = step.c.size
    chosen = np.random.default_rng(0).choice(size, min(size, ENTRIES), replace=False)
    seen, after = (None if a is None else a.reshape(len(a), size)[:, chosen] for a in (blocks.seen, blocks.seen_after))
    z = blocks.z.reshape(len(blocks.z), size)[:, chosen]
    return Entries(z, seen, after, step.c.reshape(size)[chosen], step.c1.reshape(size)[chosen], scale(step.c1))


def _output_errors(blocks: Blocks, step: Step) -> Array:
    """Errors of h' with each block as o: (gate activation, block, peephole, c' or c, output activation)."""
    if blocks.projection is None:
        entries = _look_at(blocks, step)
        size = step.c.size
        chosen = np.random.default_rng(0).choice(size, min(size, ENTRIES), replace=False)
        h1, c1 = step.h1.reshape(size)[chosen], entries.c1
        z, seen, after = entries.z, entries.seen, entries.seen_after
    else:
        few = slice(0, 8)
        z, h1, c1 = blocks.z[:, few], step.h1[few], step.c1[few]
        seen, after = (None if a is None else a[:, few] for a in (blocks.seen, blocks.seen_after))
    sums_of_o = z[:, None, None]
    if seen is not None and after is not None:
        sums_of_o = z[:, None, None] + np.stack([after, seen], axis=1)[None]
    outs = np.stack([act(c1) for act in ACTIVATIONS.values()])
    found = []
    for gate in GATE_ACTIVATIONS.values():
        out = gate(sums_of_o)[:, :, :, None] * outs
        ours = out if blocks.projection is None else out @ blocks.projection.T
        found.append(np.abs(ours - h1).max(axis=tuple(range(4, ours.ndim))) / scale(step.h1))
    errors: Array = np.nan_to_num(np.stack(found), nan=np.inf)
    return errors


def _combined(
    layout: Layout, entries: Entries, of_h: Array, limit: float, swapped: str, biases: str
) -> Iterator[Scored]:
    """Each order of gates and peepholes: what passes; without a limit the best."""
    asked: dict[Any, Array] = {}
    for coupled in COUPLINGS:
        for order, peepholes in product(orders(layout.blocks, coupled), peephole_orders(layout, coupled)):
            of_c = _state_errors(entries, order, peepholes, coupled, asked)  # (gate activation, candidate, forget)
            place = peepholes.index("o") if "o" in peepholes else 0
            of_o = of_h[:, order.index("o"), place]  # (gate activation, c' or c, output activation)
            pair = of_c[:, :, :, None, None], of_o[:, None, None]
            both = np.maximum(*pair) if limit < np.inf else np.sqrt(pair[0] * pair[1])
            passed: Any = np.argwhere(both <= limit)
            if limit == np.inf:
                passed = [np.unravel_index(np.argmin(both), both.shape)]
            for a, cd, fc, see, out in passed:
                yield Scored(
                    float(both[a, cd, fc, see, out]),
                    Hypothesis(
                        layout,
                        order,
                        gate=tuple(GATE_ACTIVATIONS)[a],
                        candidate=tuple(ACTIVATIONS)[cd],
                        output=tuple(ACTIVATIONS)[out],
                        forget=FORGETS[fc],
                        coupled=coupled,
                        biases=biases,
                        peepholes=peepholes,
                        output_sees=SEES[see],
                        swapped=swapped,
                    ),
                )


def _state_errors(entries: Entries, order: str, peepholes: str, coupled: str, asked: dict[Any, Array]) -> Array:
    """Errors of c' = f * c + i * g: (gate activation, candidate, forget constant); `asked` keeps what was computed."""

    def gate(name: str, constants: tuple[int, ...] = (0,)) -> Array:
        block, place = order.index(name), peepholes.index(name) if name in peepholes else None
        key = (block, place, constants)
        if key not in asked:
            z = entries.z[block]
            if place is not None and entries.seen is not None:
                z = z + entries.seen[place]
            asked[key] = np.stack([[act(z + x) for x in constants] for act in GATE_ACTIVATIONS.values()])
        return asked[key]

    block = order.index("g")
    if block not in asked:
        asked[block] = np.stack([act(entries.z[block]) for act in ACTIVATIONS.values()])
    if coupled == "i=1-f":
        f = gate("f", FORGETS)
        i = 1 - f
    else:
        i = gate("i")
        f = 1 - i if coupled else gate("f", FORGETS)
    # c' = f * c + i * g
    ours = (f * entries.c)[:, None] + i[:, None] * asked[block][:, None]
    found: Array = np.nan_to_num(np.abs(ours - entries.c1).max(axis=-1) / entries.scale, nan=np.inf)
    return found
