"""What each block adds to the sum of its gate: computed once for each array and each input, whatever gate it is.

A hypothesis only says which block is which gate; so all of them share these products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.hypotheses import ACTIVATIONS, GATE_ACTIVATIONS, STATES, Hypothesis
from lstm_spec.conformance.identification.layouts import ROLES, Layout, Part, Sizes
from lstm_spec.conformance.identification.steps import Step

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Blocks:
    """`z (blocks, B, k)`; peepholes times c and times c', each `(peepholes, B, k)`; the projection `(r, k)`."""

    z: Array
    seen: Array | None
    seen_after: Array | None
    projection: Array | None


@dataclass(frozen=True, slots=True)
class Sums:
    """The arrays and the step, and the products that were computed so far."""

    arrays: Mapping[str, Array]
    step: Step
    _kept: dict[Any, Array] = field(default_factory=dict)

    def turned(self, swapped: str) -> Step:
        """The step with h and c in each other's place, before it, after it or both."""
        before, after = STATES[swapped]
        step = self.step
        if before:
            step = replace(step, h=step.c, c=step.h)
        return replace(step, h1=step.c1, c1=step.h1) if after else step

    def blocks(self, layout: Layout, swapped: str = "", biases: str = "all") -> Blocks:
        """The sums of a layout."""
        step = self.turned(swapped)
        before = STATES[swapped][0]
        sizes = Sizes(step.n, step.r, step.k, layout.blocks)
        z: Any = 0.0
        for part in layout.parts:
            if part.role in ("W", "w1"):
                z = z + self._product(part, sizes, "x", step.x)
            elif part.role in ("U", "u1"):
                z = z + self._product(part, sizes, f"h{before}", step.h)
            elif part.role in ("J", "j1"):
                joined = np.concatenate([step.x, step.h] if layout.join == "xh" else [step.h, step.x], axis=1)
                z = z + self._product(part, sizes, f"{layout.join}{before}", joined)
        for vector in _used(self._biases(layout, sizes), biases):
            z = z + vector[:, None, :]
        return Blocks(z, *self._peepholes(layout, sizes, step), self._projection(layout, sizes))

    def _laid(self, part: Part, sizes: Sizes) -> Array:
        """A part's arrays in the order of its role's letters; arrays of one gate each on a new first axis."""
        key = (part, sizes)
        if key not in self._kept:
            laid = [part.lay(np.asarray(self.arrays[name], np.float64), sizes) for name in part.names]
            self._kept[key] = np.stack(laid) if "g" not in "".join(part.axes) and part.role[-1] == "1" else laid[0]
        return self._kept[key]

    def _product(self, part: Part, sizes: Sizes, name: str, vector: Array) -> Array:
        """`(blocks, B, k)`; the array is multiplied as it lies, and only the result is put in order."""
        key = (part, sizes, name)
        if key not in self._kept:
            flat = not part.reshaped and part.axes in (("gk", "m"), ("kg", "m"), ("m", "gk"), ("m", "kg"))
            self._kept[key] = (
                self._flat(part, sizes, name, vector) if flat else self._stacked(part, sizes, name, vector)
            )
        return self._kept[key]

    def _flat(self, part: Part, sizes: Sizes, name: str, vector: Array) -> Array:
        key = (part.names, part.axes[0] == "m", name)
        if key not in self._kept:
            matrix = np.asarray(self.arrays[part.names[0]], np.float64).reshape(part.shape)
            self._kept[key] = vector @ (matrix if part.axes[0] == "m" else matrix.T)
        both = self._kept[key]
        if "kg" in part.axes:
            return both.reshape(len(both), sizes.k, sizes.blocks).transpose(2, 0, 1)
        return both.reshape(len(both), sizes.blocks, sizes.k).transpose(1, 0, 2)

    def _stacked(self, part: Part, sizes: Sizes, name: str, vector: Array) -> Array:
        if part.role[-1] != "1":
            blocks: Array = np.matmul(vector, self._laid(part, sizes).transpose(0, 2, 1))
            return blocks
        return np.stack([self._one_gate(own, part, name, vector) for own in part.names])

    def _one_gate(self, own: str, part: Part, name: str, vector: Array) -> Array:
        """(B, k): the matrix of one gate, which stands in many layouts, is multiplied once each way."""
        key = (own, part.axes[0] == "m", name)
        if key not in self._kept:
            matrix = np.asarray(self.arrays[own], np.float64).reshape(part.shape)
            self._kept[key] = vector @ (matrix if part.axes[0] == "m" else matrix.T)
        return self._kept[key]

    def _biases(self, layout: Layout, sizes: Sizes) -> list[Array]:
        found = [self._laid(part, sizes) for role in ("b", "b1") for part in layout.of(role)]
        return [*found, *(half for part in layout.of("bb") for half in self._laid(part, sizes))]

    def _peepholes(self, layout: Layout, sizes: Sizes, step: Step) -> tuple[Array | None, Array | None]:
        for part in layout.parts:
            if part.role in ("p", "p1"):
                vectors = self._laid(part, sizes)[:, None, :]
                return vectors * step.c, vectors * step.c1
            if part.role == "P1":
                matrices = self._laid(part, sizes).transpose(0, 2, 1)
                return np.matmul(step.c, matrices), np.matmul(step.c1, matrices)
        return None, None

    def _projection(self, layout: Layout, sizes: Sizes) -> Array | None:
        return next((self._laid(part, sizes) for part in layout.of("proj")), None)


def _used(biases: list[Array], use: str) -> list[Array]:
    return {"all": biases, "first": biases[:1], "second": biases[1:], "none": []}[use]


def gates(hypothesis: Hypothesis, sums: Sums) -> dict[str, Array]:
    """The gates of a hypothesis and the states after the step, each (B, width): `i f g o c' h'`.

    The output gate sees the recorded c', so that an error of c' does not hide what h' says.
    """
    blocks = sums.blocks(hypothesis.layout, hypothesis.swapped, hypothesis.biases)
    step = sums.turned(hypothesis.swapped)
    activation = GATE_ACTIVATIONS[hypothesis.gate]

    def gate(name: str, constant: float = 0.0) -> Array:
        z = blocks.z[hypothesis.order.index(name)] + constant
        if name in hypothesis.peepholes and blocks.seen is not None and blocks.seen_after is not None:
            after = name == "o" and hypothesis.output_sees == "c'"
            z = z + (blocks.seen_after if after else blocks.seen)[hypothesis.peepholes.index(name)]
        return activation(z)

    with np.errstate(all="ignore"):
        i = None if hypothesis.coupled == "i=1-f" else gate("i")
        f = 1 - i if hypothesis.coupled == "f=1-i" and i is not None else gate("f", hypothesis.forget)
        i = 1 - f if i is None else i
        g = ACTIVATIONS[hypothesis.candidate](blocks.z[hypothesis.order.index("g")])
        o = gate("o")
        out = o * ACTIVATIONS[hypothesis.output](step.c1)
        h1 = out if blocks.projection is None else out @ blocks.projection.T
        return {"i": i, "f": f, "g": g, "o": o, "c'": f * step.c + i * g, "h'": h1}


def errors(hypothesis: Hypothesis, sums: Sums) -> tuple[float, float]:
    """The largest difference of c' and of h' from the recorded ones, each relative to the largest recorded entry."""
    found, step = gates(hypothesis, sums), sums.turned(hypothesis.swapped)
    return relative(found["c'"], step.c1), relative(found["h'"], step.h1)


def run_error(hypothesis: Hypothesis, sums: Sums) -> float:
    """How far off the whole step is, as whoever runs it sees it: h' follows from the c' that was computed."""
    off = errors(hypothesis, sums)[0]
    own, after = gates(hypothesis, sums)["c'"], STATES[hypothesis.swapped][1]
    step = replace(sums.step, h1=own) if after else replace(sums.step, c1=own)
    following = gates(hypothesis, Sums(sums.arrays, step))["h'"]
    return max(off, relative(following, sums.turned(hypothesis.swapped).h1))


def relative(ours: Array, theirs: Array) -> float:
    """max|ours - theirs| / max|theirs|; infinite where one is no number."""
    with np.errstate(all="ignore"):
        difference = float(np.max(np.abs(ours - theirs))) / scale(theirs)
    return difference if np.isfinite(difference) else float("inf")


def scale(array: Array) -> float:
    """The largest entry; 1 where all are 0."""
    return float(np.max(np.abs(array))) or 1.0


__all__ = ["ROLES", "Blocks", "Sums", "errors", "gates", "relative", "run_error", "scale"]
