"""The axes on which conventions differ, as data; and a hypothesis: one choice on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from lstm_spec.cells.options import spaced
from lstm_spec.conformance.identification.layouts import Layout

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]


def _sigmoid(z: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * z)


GATE_ACTIVATIONS: Mapping[str, Function] = {
    "sigmoid": _sigmoid,
    "hard_sigmoid(1/5, 1/2)": lambda z: np.clip(z / 5 + 0.5, 0, 1),  # Keras 1 and 2, ONNX's default
    "hard_sigmoid(1/6, 1/2)": lambda z: np.clip(z / 6 + 0.5, 0, 1),  # Keras 3
}
ACTIVATIONS: Mapping[str, Function] = {
    "tanh": np.tanh,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "identity": lambda z: z,
}
FORGETS = (0, 1)
COUPLINGS = ("", "f=1-i", "i=1-f")
DEAD = {"": "", "f=1-i": "f", "i=1-f": "i"}
# The file's own names for the states, before and after the step: as they are, or h for c and c for h.
STATES = {"": (False, False), "both": (True, True), "before": (True, False), "after": (False, True)}
PLAIN = ("sigmoid", "tanh", "tanh", 0, "")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One convention: where each array goes, and the equations.

    `order` names the gate of each block; with a coupling and three blocks one of the four is in none. `biases` says
    which of the biases are added ("all", "first", "second", "none"); `peepholes` names the gate of each peephole;
    `output_sees` is the state that the output gate's peephole sees; `swapped` a key of `STATES`.
    """

    layout: Layout
    order: str = "ifgo"
    gate: str = "sigmoid"
    candidate: str = "tanh"
    output: str = "tanh"
    forget: int = 0
    coupled: str = ""
    biases: str = "all"
    peepholes: str = ""
    output_sees: str = "c'"
    swapped: str = ""

    @property
    def rank(self) -> tuple[int, str]:
        """Among hypotheses that the data cannot tell apart the plainest comes first."""
        mine = (self.gate, self.candidate, self.output, self.forget, self.coupled)
        unusual = sum(a != b for a, b in zip(mine, PLAIN, strict=True)) + self.layout.unusual
        unusual += (self.biases != "all") + (self.output_sees != "c'") + 2 * bool(self.swapped)
        return unusual, str(self.order != "ifgo") + self.order

    def axes(self) -> dict[str, str]:
        """Each axis and the choice on it, in words."""
        peepholes = ", ".join(self.peepholes) + (f"; o sees {self.output_sees}" if "o" in self.peepholes else "")
        words = {
            "gates": ", ".join(self.order),
            **self.layout.axes(),
            "biases added": self.biases if self.layout.biases else "",
            "forget constant": str(self.forget),
            "coupling": spaced(self.coupled) or "none",
            "gate activation": self.gate,
            "candidate activation": self.candidate,
            "output activation": self.output,
            "peepholes": peepholes or "none",
            "states": {"": "as named", "both": "h and c change places"}.get(
                self.swapped, f"h and c change places {self.swapped} the step"
            ),
        }
        return {axis: word for axis, word in words.items() if word}

    def difference(self, other: Hypothesis) -> dict[str, tuple[str, str]]:
        """The axes on which two differ: mine, then the other's."""
        mine, theirs = self.axes() | self.layout.places(), other.axes() | other.layout.places()
        return {
            axis: (mine.get(axis, "none"), theirs.get(axis, "none"))
            for axis in dict.fromkeys((*mine, *theirs))
            if mine.get(axis) != theirs.get(axis)
        }


def orders(blocks: int, coupled: str) -> list[str]:
    """Every order of the gates for so many blocks; three blocks have no room for the gate that is coupled."""
    if blocks == 3:
        return ["".join(p) for p in permutations(g for g in "ifgo" if g != DEAD[coupled])] if coupled else []
    return ["".join(p) for p in permutations("ifgo")]


def peephole_orders(layout: Layout, coupled: str) -> list[str]:
    """Every order of the peepholes; `""` alone where there are none."""
    if not layout.has("p", "p1", "P1"):
        return [""]
    gates = "ifo" if layout.blocks == 4 else "".join(g for g in "ifo" if g != DEAD[coupled])
    return ["".join(p) for p in permutations(gates)]


def bias_uses(layout: Layout) -> tuple[str, ...]:
    """Which biases may be added: a reader may drop one of two."""
    return {0: ("all",), 1: ("all", "none")}.get(layout.biases, ("all", "first", "second", "none"))


def neighbours(best: Hypothesis, layouts: tuple[Layout, ...], square: bool) -> Iterator[Hypothesis]:
    """Every hypothesis that differs from this one in a single choice: two gates swapped count as one."""
    letters = best.order
    for a, b in ((a, b) for i, a in enumerate(letters) for b in letters[i + 1 :]):
        yield replace(best, order=letters.translate(str.maketrans(a + b, b + a)))
    yield from (replace(best, gate=gate) for gate in GATE_ACTIVATIONS)
    yield from (replace(best, candidate=name) for name in ACTIVATIONS)
    yield from (replace(best, output=name) for name in ACTIVATIONS)
    yield from (replace(best, forget=forget) for forget in FORGETS if best.coupled != "f=1-i")
    if best.layout.blocks == 4:
        yield from (replace(best, coupled=c, forget=0 if c == "f=1-i" else best.forget) for c in COUPLINGS)
    yield from (replace(best, biases=use) for use in bias_uses(best.layout))
    yield from (replace(best, peepholes=order) for order in peephole_orders(best.layout, best.coupled))
    if "o" in best.peepholes:
        yield from (replace(best, output_sees=state) for state in ("c'", "c"))
    if square:
        yield from (replace(best, swapped=swap) for swap in STATES)
    yield from (replace(best, layout=layout) for layout in layouts if _fits(best, layout))


def _fits(best: Hypothesis, layout: Layout) -> bool:
    return (
        layout.blocks == best.layout.blocks
        and best.biases in bias_uses(layout)
        and bool(best.peepholes) == layout.has("p", "p1", "P1")
    )
