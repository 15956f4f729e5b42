"""A reading in a dialect → the hypothesis that it makes of one cell's arrays, whether it is right or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.identification.hypotheses import ACTIVATIONS, DEAD, GATE_ACTIVATIONS, Hypothesis
from lstm_spec.conformance.identification.namesakes import Options, bears_names, convention_of, on_arrays
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.dialects import DIALECTS
from lstm_spec.errors import safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.tensors import Tensor, Tensors

Array = np.ndarray[Any, Any]


def claims(tensors: Tensors, names: tuple[str, ...]) -> dict[str, Hypothesis]:
    """What each dialect whose names some arrays bear makes of them."""
    chosen = Tensors(tensors.origin, "arrays", {name: tensors[name] for name in names})
    found: dict[str, Hypothesis] = {}
    for dialect in DIALECTS.values():
        if bears_names(dialect, names):
            for reading in recognize(chosen, dialect).readings:
                own, arrays = cell_arrays(reading, chosen)
                if set(own.values()) == set(names) and (claimed := claim(reading, own, arrays)):
                    found[dialect.name] = claimed
    return found


def claim(reading: Reading, names: Mapping[str, str], tensors: Tensors) -> Hypothesis | None:
    """The hypothesis that a reading makes of one cell's arrays; None where its dialect has no such cell."""
    convention = convention_of(reading.dialect.name, _options(reading.layer))
    if convention is None or {n for part in convention.layout.parts for n in part.names} != set(names):
        return None
    on_these = on_arrays(convention, names, {name: tensor.shape for name, tensor in tensors.items()})
    return on_these and _with_functions(on_these, reading.layer)


def _with_functions(convention: Hypothesis, layer: Layer) -> Hypothesis | None:
    """The convention with the functions that the layer itself has; None where a hypothesis has no word for them."""
    recovered = recover_options(layer.cell)
    if recovered is None or {"clip", "clip_cell", "clip_projection", "layer_norm"} & set(recovered.changed()):
        return None
    functions = (recovered.gate_activation, recovered.candidate_activation, recovered.output_activation)
    gate, candidate, output = (_written(function) for function in functions)
    if gate not in GATE_ACTIVATIONS or not {candidate, output} <= set(ACTIVATIONS):
        return None
    return replace(convention, gate=gate, candidate=candidate, output=output)


def _written(function: str) -> str:
    """A function as hypotheses write it: `hard_sigmoid(0.2, 0.5)` with fractions."""
    name, bracket, numbers = function.rstrip(")").partition("(")
    return f"{name}({', '.join(str(Fraction(n.strip())) for n in numbers.split(','))})" if bracket else function


def cell_arrays(reading: Reading, tensors: Tensors, member: Member | None = None) -> tuple[dict[str, str], Tensors]:
    """One cell of a layer, the first without `member`: a lone cell's names → the source's, and its tensors alone."""
    dialect, layer = reading.dialect, reading.layer
    member = member or layer.members[0]
    stands = member.reverse and (dialect.directions == "names" or layer.directions == 1)
    names = {
        tensor.name: reading.names[own]
        for tensor in dialect.tensors(Layer(layer.cell))
        if (own := dialect.write_name(tensor.packing.name, member.index, stands)) in reading.names
    }
    chosen = {source: tensors[source] for source in names.values()}
    if dialect.directions == "axis" and layer.directions == 2:
        axis = int(dialect.layer_axis)
        chosen = {source: _of_direction(tensor, int(member.reverse), axis) for source, tensor in chosen.items()}
    return names, Tensors(tensors.origin, "arrays", chosen)


def _of_direction(tensor: Tensor, number: int, axis: int) -> Tensor:
    """One of two directions, its axis kept with a length of 1."""
    shape = (*tensor.shape[:axis], 1, *tensor.shape[axis + 1 :])
    load = tensor.load
    return replace(tensor, shape=shape, load=None if load is None else lambda: load().take([number], axis))


def _options(layer: Layer) -> Options:
    """What the cell's parameters say, in the options of a cell, as `namesakes.options_of` writes them."""
    parameters, equations = set(layer.cell.parameters), {n: str(e) for n, e in layer.cell.defined.items()}
    biases = [name for name in parameters if name.startswith("b_") and name[-1] in "ifgo"]
    coupled = next((c for c, dead in DEAD.items() if c and equations.get(dead, "").replace(" ", "").endswith(c)), None)
    options: dict[str, Any] = {
        "bias": "none" if not biases else "two" if any(len(name) == 4 for name in biases) else "one",
        "peephole": "full" if "P_o" in parameters else "diagonal" if "p_o" in parameters else "none",
        "projection": "W_proj" in parameters,
        "coupled": coupled,
    }
    return tuple(options.items())


def moved_gates(best: Hypothesis, claimed: Hypothesis) -> dict[str, tuple[str, str]]:
    """Arrays of one gate each that stand for another than their names say: `{"hi/kernel": ("f", "i")}`."""
    mine, theirs = _gate_of(best), _gate_of(claimed)
    return {
        f"the gate of {safe(name, 40)}": (mine[name], theirs[name]) for name in mine if mine[name] != theirs.get(name)
    }


def _gate_of(hypothesis: Hypothesis) -> dict[str, str]:
    return {
        name: gate
        for part in hypothesis.layout.parts
        if part.role in ("w1", "u1", "j1", "b1", "p1", "P1")
        for name, gate in zip(
            part.names, hypothesis.peepholes if part.role[0] in "pP" else hypothesis.order, strict=True
        )
    }
