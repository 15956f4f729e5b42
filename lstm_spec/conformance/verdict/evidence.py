"""What numbers say against a reading, in sentences: a step that an engine computes, or one that somebody recorded.

The verdict is always that of the compiled layer as it was read; the sentences say what would agree instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.compiler.compiled import Compiled, compile_layer
from lstm_spec.conformance.identification.explaining import Explanation, explain, record_step
from lstm_spec.conformance.identification.limits import limit_of
from lstm_spec.conformance.identification.steps import Step
from lstm_spec.conformance.identification.sums import relative
from lstm_spec.conformance.recognition.loading import load_widened
from lstm_spec.conformance.recognition.readings import Reading, place
from lstm_spec.conformance.report import Agreement
from lstm_spec.errors import Finding, LstmSpecError, TensorError, safe
from lstm_spec.frameworks import Refused
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.tensors import Tensors

RECORDED = "the recorded step"
IDENTIFY = "lstm-spec identify --step … --output own.npz writes the weights in their places"
MOST_TOLD = 8
MOST_UNITS = 2048  # k = 512 takes 1 s to explain, k = 2048 takes 6 s; more is told without sentences
LATER = "the first cell agrees in one step: what differs is the output, a later step, layer or direction"

Array = np.ndarray[Any, Any]
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


@dataclass(frozen=True, slots=True)
class Held:
    """A layer beside a recorded step: its cells that agree, or the nearest one, and how well."""

    agreement: Agreement
    members: tuple[Member, ...] = ()


def hold_step(step: Step, solved: Solved, tensors: Tensors) -> tuple[dict[str, Agreement], list[Finding]]:
    """How well each layer computes a recorded step, by where it is, and a finding where none does.

    A step is of one cell: any of a stack, in any direction. Where one agrees, the others are not spoken of.
    """
    fitting = [pair for pair in solved if _fitting(step, pair[1])]
    if not fitting:
        return {}, [_no_place(step, solved, tensors)]
    held = {reading.where: _hold(step, reading, layer, tensors) for reading, layer in fitting}
    agreements = {where: found.agreement for where, found in held.items()}
    agreeing = {where: a for where, a in agreements.items() if _agrees(a)}
    if agreeing:
        return agreeing, list(_unseen(step, tensors))
    return agreements, [_misses(step, held[reading.where], reading, layer, tensors) for reading, layer in fitting]


def _agrees(agreement: Agreement) -> bool:
    return agreement.difference is not None and agreement.difference <= agreement.tolerance


def _unseen(step: Step, tensors: Tensors) -> Iterator[Finding]:
    """A note where the step would be the same with other weights."""
    if zeros := [name for name in "xhc" if not np.any(getattr(step, name))]:
        verb, them = ("are", "they are") if len(zeros) > 1 else ("is", "it is")
        message = (
            f"{' and '.join(zeros)} {verb} 0 in every sample of the recorded step: it shows nothing of what {them} "
        )
        yield Finding("step", f"{message}multiplied by", at=safe(tensors.origin), severity="note")


def _fitting(step: Step, layer: Layer) -> list[Member]:
    """The cells of a layer that have the step's sizes; none where a size is open."""
    wanted = {"n": step.n, "k": step.k, "r": step.r}
    return [] if layer.open_letters else [member for member in layer.members if _sizes(member) == wanted]


def _sizes(member: Member) -> Mapping[str, int]:
    """n, k and r of a cell."""
    sizes = {name: int(value) for name, value in member.sizes.items()}
    return {"n": sizes["n"], "k": sizes["k"], "r": sizes.get("r", sizes["k"])}


def _hold(step: Step, reading: Reading, layer: Layer, tensors: Tensors) -> Held:
    """Every cell of the step's sizes is run; of those that agree all are named, else the nearest."""
    arrays, stored = load_widened(reading, tensors)
    if isinstance(arrays, str):
        return Held(Agreement(RECORDED, reason=arrays))
    weights = reading.dialect.unpack(arrays, layer).astype("float64")
    fitting = _fitting(step, layer)
    run = compile_layer(Layer(layer.cell).at(**dict(fitting[0].sizes)))
    missed = {member.prefix: _missed_by(run, weights, member.prefix, step) for member in fitting}
    limit = limit_of([stored], step.dtype).tolerance
    agreeing = [member for member in fitting if missed[member.prefix] <= limit]
    named = agreeing or [min(fitting, key=lambda member: missed[member.prefix])]
    inside = f" in {' and '.join(member.prefix for member in named)}" if len(layer.members) > 1 else ""
    return Held(Agreement(RECORDED + inside, max(missed[m.prefix] for m in named), limit), tuple(named))


def _missed_by(run: Compiled, weights: Mapping[str, Array], prefix: str, step: Step) -> float:
    """How far off the cell of that prefix is: `l0.W_f` is of `l0`, `l0.reverse.W_f` is not."""
    own = {f"l0.{end}": w for name, w in weights.items() for start, _, end in [name.rpartition(".")] if start == prefix}
    with np.errstate(all="ignore"):
        _, after = run.step(step.x, own, {"l0.h": step.h, "l0.c": step.c})
    return max(relative(after["l0.h"], step.h1), relative(after["l0.c"], step.c1))


def _misses(step: Step, held: Held, reading: Reading, layer: Layer, tensors: Tensors) -> Finding:
    at, agreement = place(tensors, reading.where), held.agreement
    if agreement.difference is None:
        return Finding("numbers", f"{safe(reading.where)} is not held against {RECORDED}", at, because=agreement.reason)
    (nearest,) = held.members
    found = _explained(step, reading, tensors, nearest)
    several = len(layer.members) > 1
    tried = ", ".join(member.prefix for member in _fitting(step, layer)[:MOST_TOLD])
    more = f" and {len(layer.members) - MOST_TOLD} more" if len(_fitting(step, layer)) > MOST_TOLD else ""
    because = [
        f"read as {reading.dialect.name}: {reading.dialect.title}",
        *[f"its cells of these sizes: {tried}{more}; the nearest is {nearest.prefix}"] * several,
        *(found.sentences if found else ()),
    ]
    return Finding(
        "numbers",
        f"{safe(reading.where)} computes something else than {RECORDED}",
        at,
        expected=f"a difference of at most {agreement.tolerance:.0e}",
        found=f"{agreement.difference:.1e}",
        because="\n".join(because),
        help=_help(found) if found else "",
    )


def _help(found: Explanation) -> str:
    if found.transposed:
        return f"store {found.transposed} transposed"
    return IDENTIFY if found.identification.ok and found.change else ""


def _explained(step: Step, reading: Reading, tensors: Tensors, member: Member) -> Explanation | None:
    try:
        return explain(reading, tensors, step, member)
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
    """The sizes of each layer, and above the first of a stack; two directions have the same."""
    for reading, layer in list(solved)[:MOST_TOLD]:
        for member in layer.members[:: layer.directions][:2]:
            cell = {0: "", 1: " l1"}[member.index] if layer.layers < 3 or not member.index else " l1 and above"
            sizes = ", ".join(f"{name} = {value}" for name, value in member.sizes.items())
            yield f"{safe(reading.where, 60)}{cell}: {sizes}"


__all__ = ["MOST_UNITS", "RECORDED", "explain_engine", "hold_step"]
