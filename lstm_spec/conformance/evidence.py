"""What numbers say against a reading, in sentences: a step that an engine computes, or one that somebody recorded.

The verdict is always that of the compiled layer as it was read; the sentences say what would agree instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.conformance.identification.explaining import Explanation, explain, record_step
from lstm_spec.conformance.identification.identifying import TOLERANCE
from lstm_spec.conformance.identification.steps import Step
from lstm_spec.conformance.identification.sums import coarsest, relative
from lstm_spec.conformance.numbers import load_tensors
from lstm_spec.conformance.readings import Reading, place
from lstm_spec.conformance.report import Agreement
from lstm_spec.errors import Finding, LstmSpecError, TensorError, safe
from lstm_spec.frameworks import Refused
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors

RECORDED = "the recorded step"
MOST_UNITS = 2048  # k = 512 takes 1 s to explain, k = 2048 takes 6 s; more is told without sentences
LATER = "the first cell agrees in one step: what differs is the output, a later step, layer or direction"

Solved = Sequence[tuple[Reading, Layer]]


def explain_engine(engine: str, reading: Reading, layer: Layer, tensors: Tensors) -> tuple[str, ...]:
    """Why a layer computes something else than its engine, in sentences; none where nothing is to be said."""
    if int(layer.sizes["k"]) > MOST_UNITS:
        return ()
    with np.errstate(all="ignore"):
        try:
            step = record_step(engine, reading, layer, tensors)
            found = explain(reading, tensors, step) if step else None
        except (Refused, LstmSpecError):  # it ran before; this step has no numbers, or none that say anything
            return ()
    if found is None:
        return ()
    return (LATER,) if found.agrees else found.sentences


def hold_step(step: Step, solved: Solved, tensors: Tensors) -> tuple[dict[str, Agreement], list[Finding]]:
    """How well each layer computes a recorded step, by where it is, and a finding where none does.

    A step is of one layer: where one agrees, the others are not spoken of.
    """
    wanted = {"n": step.n, "k": step.k, "r": step.r}
    fitting = [pair for pair in solved if _sizes(pair[1]) == wanted]
    if not fitting:
        return {}, [_no_place(step, solved, tensors)]
    held = {reading.where: _hold(step, reading, layer, tensors) for reading, layer in fitting}
    agreeing = {where: a for where, a in held.items() if a.difference is not None and a.difference <= a.tolerance}
    if agreeing:
        return agreeing, []
    return held, [_misses(step, held[reading.where], reading, tensors) for reading, _ in fitting]


def _sizes(layer: Layer) -> Mapping[str, int] | None:
    """n, k and r of the first cell; None where a size is open."""
    if layer.open_letters:
        return None
    sizes = {name: int(value) for name, value in layer.sizes.items()}
    return {"n": sizes["n"], "k": sizes["k"], "r": sizes.get("r", sizes["k"])}


def _hold(step: Step, reading: Reading, layer: Layer, tensors: Tensors) -> Agreement:
    arrays = load_tensors(reading, tensors)
    if isinstance(arrays, str):
        return Agreement(RECORDED, reason=arrays)
    weights = reading.dialect.unpack(arrays, layer).astype("float64")
    prefix = layer.members[0].prefix
    first = {f"l0.{name.removeprefix(prefix + '.')}": w for name, w in weights.items() if _is_of(name, prefix)}
    cell = Layer(layer.cell).at(**dict(layer.given))
    with np.errstate(all="ignore"):
        _, after = compile_layer(cell).step(step.x, first, {"l0.h": step.h, "l0.c": step.c})
    dtype = coarsest({**arrays, "step": np.empty(0, step.dtype)}, (*arrays, "step"))
    difference = max(relative(after["l0.h"], step.h1), relative(after["l0.c"], step.c1))
    return Agreement(RECORDED, difference, TOLERANCE[dtype])


def _is_of(name: str, prefix: str) -> bool:
    """Whether a weight is of that cell: `l0.W_f` is of `l0`, `l0.reverse.W_f` is not."""
    return name.rpartition(".")[0] == prefix


def _misses(step: Step, agreement: Agreement, reading: Reading, tensors: Tensors) -> Finding:
    at = place(tensors, reading.where)
    if agreement.difference is None:
        return Finding("numbers", f"{safe(reading.where)} is not held against {RECORDED}", at, because=agreement.reason)
    found = _explained(step, reading, tensors)
    read_as = f"read as {reading.dialect.name}: {reading.dialect.title}"
    help = "lstm-spec identify --step … --output own.npz writes the weights in their places"
    return Finding(
        "numbers",
        f"{safe(reading.where)} computes something else than {RECORDED}",
        at,
        expected=f"a difference of at most {agreement.tolerance:.0e}",
        found=f"{agreement.difference:.1e}",
        because="\n".join((read_as, *(found.sentences if found else ()))),
        help=help if found and found.identification.ok else "",
    )


def _explained(step: Step, reading: Reading, tensors: Tensors) -> Explanation | None:
    try:
        return explain(reading, tensors, step)
    except TensorError:
        return None


def _no_place(step: Step, solved: Solved, tensors: Tensors) -> Finding:
    return Finding(
        "step",
        "no layer here has the sizes of the recorded step",
        at=safe(tensors.origin),
        expected="; ".join(_said_sizes(solved)) or "a layer that conforms",
        found=f"x is {step.n} wide, h {step.r}, c {step.k}",
        help="record the step of one layer: x (B, n), h and h1 (B, r), c and c1 (B, k)",
    )


def _said_sizes(solved: Solved) -> Iterator[str]:
    for reading, layer in list(solved)[:8]:
        yield f"{safe(reading.where, 60)}: {', '.join(f'{name} = {value}' for name, value in layer.given)}"


__all__ = ["MOST_UNITS", "RECORDED", "explain_engine", "hold_step"]
