"""One cell of a reading beside a step that somebody computed: as which dialect it fails, as which it agrees, why.

`check` and `compare` know that two numbers differ; here is said what differs: which axis, which gate, by how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.conformance.identification.claims import cell_arrays, claim
from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.conformance.identification.identification import Identification
from lstm_spec.conformance.identification.identifying import identify
from lstm_spec.conformance.identification.limits import error_text
from lstm_spec.conformance.identification.steps import Step, read_step
from lstm_spec.conformance.identification.sums import Sums, gates, run_error
from lstm_spec.conformance.identification.transposing import find_transposed
from lstm_spec.conformance.recognition.loading import live_part
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.dialects import DIALECTS
from lstm_spec.errors import TensorError
from lstm_spec.frameworks import Request, forward
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.tensors import Tensors

Array = np.ndarray[Any, Any]
SEED, BATCH = 1, 4
# The axes of the equations. A dialect that agrees on them computes the same; how its arrays lie is no difference.
COMPUTED = frozenset(
    {
        *("gates", "forget constant", "coupling", "peepholes"),
        *("gate activation", "candidate activation", "output activation"),
    }
)
# The axes on which arrays or states lie otherwise than a dialect says, and still compute what it computes.
LYING = frozenset({"matrix on x", "matrix on h", "one matrix on x and h", "states"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """How far off a step is, read as `dialect`; and what it is, and how far off that is.

    Both are those of the whole step: c', and h' that follows from it. `identification` scores h' by the recorded c'.
    `gates` are the largest differences of each gate between that reading and the identified one, empty where nothing
    was identified; `change` the axes that differ, (the identified choice, the dialect's). `transposed` is the one block
    with which, turned, the dialect's reading agrees where no convention does: then `right` and `gates` are of that.
    """

    dialect: str
    error: float
    identification: Identification
    gates: Mapping[str, float]
    change: Mapping[str, tuple[str, str]]
    right: float
    transposed: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the reading explains the step."""
        return self.error <= self.identification.tolerance

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """`as pytorch 0.41, as onnx 3e-07: the blocks are i, o, f, g`, then the gates, one sentence each."""
        mine = f"as {self.dialect} {error_text(self.error)}"
        found = self.identification
        if self.agrees:
            return (mine,)
        if self.transposed:
            turned = f"with {self.transposed} transposed {error_text(self.right)}"
            return (f"{mine}, {turned}: a square matrix has the shape of its transpose", *self._by_gate())
        if not found.fits:
            nearest = error_text(min(self.right, self.error))
            known = f"no convention that is known here agrees: the nearest misses by {nearest}"
            return (f"{mine}, and {known} (not tried: clipping, layer normalization, other activations)",)
        if not found.ok:
            axes = ", ".join(doubt.axis for doubt in found.doubts)
            return (f"{mine}, and several conventions agree: {axes} cannot be told from these numbers",)
        right = error_text(self.right)
        alike = [d.dialect for d in found.dialects if not COMPUTED & set(d.change)]
        as_dialect = min(alike, key=lambda name: not DIALECTS[name].engine, default=None)  # people know what they run
        why = "; ".join(_said(axis, *words) for axis, words in self.change.items())
        if as_dialect and as_dialect != self.dialect and COMPUTED & set(self.change):
            return (f"{mine}, as {as_dialect} {right}: {why}", *self._by_gate())
        if LYING & set(self.change):
            return (f"{mine}, otherwise {right}: {why}", *self._by_gate())
        instead = ", ".join(f"{axis} {word}" for axis, (word, _) in self.change.items())
        return (f"{mine}, with {instead} {right}", *self._by_gate())

    def _by_gate(self) -> tuple[str, ...]:
        if not self.gates:
            return ()
        worst = ", ".join(f"{gate} {error_text(off)}" for gate, off in self.gates.items())
        return (f"gate by gate, read as {self.dialect}: {worst}",)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "dialect": self.dialect,
            "error": self.error if np.isfinite(self.error) else None,
            "sentences": list(self.sentences),
            "gates": {gate: off if np.isfinite(off) else None for gate, off in self.gates.items()},
            "identification": self.identification.to_dict(),
        }


def explain(reading: Reading, tensors: Tensors, step: Any, member: Member | None = None) -> Explanation | None:
    """What a recorded step says of one cell of a reading, the first without `member`; None where it says nothing.

    `step` is what `identify` takes. It says nothing where the arrays can be laid into no LSTM of its sizes, or where
    the dialect has no such cell.
    """
    names, cell = cell_arrays(reading, tensors, member)
    try:
        recorded = read_step(step)
        found = identify(cell, recorded)
    except TensorError:
        return None
    claimed = claim(reading, names, cell)
    if claimed is None:
        return None
    loads = {name: tensor.load for name, tensor in cell.items()}
    sums = Sums({name: load() for name, load in loads.items() if load is not None}, recorded)
    change = found.best.hypothesis.difference(claimed)
    off, right = run_error(claimed, sums), run_error(found.best.hypothesis, sums)
    if off > found.tolerance and not found.fits and (turned := find_transposed(claimed, sums, found.tolerance)):
        apart = _apart(gates(claimed, turned.sums), gates(claimed, sums))
        return Explanation(reading.dialect.name, off, found, apart, change, turned.error, turned.words)
    return Explanation(reading.dialect.name, off, found, _off(found, claimed, sums), change, right)


def record_step(engine: str, reading: Reading, layer: Layer, tensors: Tensors) -> Step | None:
    """One step of the first cell, computed by the framework itself from drawn x, h and c.

    Raises Refused where it cannot run the layer, MissingPackageError where it is not installed.
    """
    loads = {own: tensors[source].load for own, source in reading.names.items()}
    arrays = {own: load() for own, load in loads.items() if load is not None}
    dtype = next(iter(arrays.values())).dtype
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((1, BATCH, int(layer.sizes["n"]))).astype(dtype)
    drawn = {
        name: rng.uniform(-1, 1, (BATCH, int(shape[0]))).astype(dtype) for name, shape in layer.state_shapes().items()
    }
    attributes = dict(reading.operator.attributes) if reading.operator else {}
    _, after = forward(engine, Request(layer, arrays, x, drawn, attributes, live_part(reading, tensors)))
    first = layer.members[0].prefix
    if f"{first}.h" not in after or f"{first}.c" not in after:
        return None
    named = {"h": drawn[f"{first}.h"], "c": drawn[f"{first}.c"], "h1": after[f"{first}.h"], "c1": after[f"{first}.c"]}
    return read_step({"x": x[0], **named})


def _off(found: Identification, claimed: Hypothesis, sums: Sums) -> dict[str, float]:
    """How far each gate is off; empty where nothing was identified."""
    if not found.ok:
        return {}
    return _apart(gates(found.best.hypothesis, sums), gates(claimed, sums))


def _apart(right: Mapping[str, Array], read: Mapping[str, Array]) -> dict[str, float]:
    with np.errstate(all="ignore"):
        return {name: float(np.max(np.abs(right[name] - read[name]))) for name in "ifgo"}


def _said(axis: str, mine: str, theirs: str) -> str:
    if axis == "gates":
        return f"the blocks are {mine}"
    if axis == "states":
        return mine
    if mine.replace("rows", "#").replace("columns", "rows").replace("#", "columns") == theirs != mine:
        return f"the {axis} is transposed: {mine}, not {theirs.rpartition(' ')[2]}"
    if axis.startswith("place of"):
        return f"{axis.removeprefix('place of ')} stands for {mine}, not {theirs}"
    return f"{axis}: {mine}, not {theirs}"
