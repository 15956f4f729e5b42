"""Where no convention explains a step: one gate's square matrix may be transposed, and no shape tells it.

Asked of one dialect's reading, a block at a time. A whole matrix that is turned is a layout, and is found as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.conformance.identification.layouts import Part, Sizes
from lstm_spec.conformance.identification.sums import Sums, run_error
from lstm_spec.errors import safe

Array = np.ndarray[Any, Any]
APART = ("w1", "u1", "j1")  # an array for each gate
PACKED = ("W", "U", "J")


@dataclass(frozen=True, slots=True)
class Transposed:
    """The block that explains the step when it is turned, in words; how far off the step is then, and its sums."""

    words: str
    error: float
    sums: Sums


def find_transposed(claimed: Hypothesis, sums: Sums, tolerance: float) -> Transposed | None:
    """The one block with which, transposed, the reading explains the step; None where there is none."""
    for words, turned in _turned(claimed, sums):
        error = run_error(claimed, turned)
        if error <= tolerance:
            return Transposed(words, error, turned)
    return None


def _turned(claimed: Hypothesis, sums: Sums) -> Iterator[tuple[str, Sums]]:
    """Each square block of the matrices in its turn, transposed, and the sums with it."""
    step, layout = sums.step, claimed.layout
    sizes = Sizes(step.n, step.r, step.k, layout.blocks)
    for part in (p for p in layout.parts if p.role in (*APART, *PACKED) and not p.reshaped):
        joined = {"xh": {"x": slice(0, step.n), "h": slice(step.n, None)}, "hx": {"h": slice(0, step.r)}}
        joined["hx"]["x"] = slice(step.r, None)
        columns = joined[layout.join] if part.role in ("J", "j1") else {"": slice(None)}
        for number, gate in enumerate(claimed.order):
            for side, chosen in columns.items():
                name = part.names[number if part.role in APART else 0]
                array = _with_block_turned(sums.arrays[name], part, sizes, number, chosen)
                if array is not None:
                    yield _words(name, gate, side, part), Sums({**sums.arrays, name: array}, step)


def _with_block_turned(array: Array, part: Part, sizes: Sizes, number: int, columns: slice) -> Array | None:
    """A copy of the array with one block of it transposed; None where the block is not square."""
    copy = np.array(array, np.float64, order="C")
    laid = part.lay(copy, sizes)
    block = (laid if part.role in APART else laid[number])[:, columns]
    if block.shape[0] != block.shape[1] or not np.shares_memory(block, copy):
        return None
    block[...] = block.T.copy()
    return copy


def _words(name: str, gate: str, side: str, part: Part) -> str:
    """`hf/kernel`; `the block of f in weight_hh_l0`; `the block of f on h in kernel`, where x and h are joined."""
    on = f" on {side}" if side else ""
    if part.role in APART and not side:
        return safe(name, 40)
    return f"the block{f' of {gate}' if part.role in PACKED else ''}{on} in {safe(name, 40)}"
