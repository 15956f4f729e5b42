"""An identified convention → the layer and its weights under our own names."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.options import LstmOptions
from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.conformance.identification.identification import Identification
from lstm_spec.conformance.identification.layouts import Part, Sizes
from lstm_spec.conformance.identification.namesakes import options_of
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.errors import Finding, TensorError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import Weights

Array = np.ndarray[Any, Any]


def unpack(source: Any, found: Identification) -> tuple[Layer, Weights]:
    """The layer that was identified in `source`, and its weights: `l0.W_f (k, n)`, ….

    Raises TensorError when it was not identified.
    """
    if not found.ok:
        raise TensorError(Finding("identify", "there is no weight to take out: no convention was identified"))
    best, tensors = found.best.hypothesis, open_source(source)
    options = dict(options_of(best))
    layer = Layer(
        lstm_cell(
            LstmOptions(
                **options,
                forget_bias=Fraction(best.forget),
                gate_activation=best.gate,
                candidate_activation=best.candidate,
                output_activation=best.output,
                peephole_output="before" if best.output_sees == "c" and best.peepholes else "after",
            )
        )
    ).at(**found.sizes)
    sizes = Sizes(found.sizes["n"], found.sizes.get("r", found.sizes["k"]), found.sizes["k"], best.layout.blocks)
    named: dict[str, Array] = {}
    biases = iter(("b_{}",) if best.layout.biases == 1 else ("b_W{}", "b_U{}"))
    for part in best.layout.parts:
        laid = [part.lay(_loaded(tensors, name), sizes) for name in part.names]
        if part.role == "bb":
            for half in laid[0]:
                named |= _by_gate(next(biases), half, best.order)
        elif part.role in ("b", "b1"):
            named |= _by_gate(next(biases), laid if part.role == "b1" else laid[0], best.order)
        else:
            named |= _matrices(part, laid, best, sizes)
    dtype = np.result_type(np.float32, *(array.dtype for array in named.values()))
    wanted = layer.parameter_shapes()
    return layer, Weights({name: np.ascontiguousarray(named[name.partition(".")[2]], dtype) for name in wanted})


def _loaded(tensors: Any, name: str) -> Array:
    array: Array = tensors[name].load()
    return array


def _matrices(part: Part, laid: list[Array], best: Hypothesis, sizes: Sizes) -> dict[str, Array]:
    blocks: Any = laid if part.role.endswith("1") else laid[0]
    if part.role == "proj":
        return {"W_proj": laid[0]}
    if part.role in ("J", "j1"):
        width = sizes.n if best.layout.join == "xh" else sizes.r
        first, second = ("W_{}", "U_{}") if best.layout.join == "xh" else ("U_{}", "W_{}")
        heads, tails = [b[:, :width] for b in blocks], [b[:, width:] for b in blocks]
        return _by_gate(first, heads, best.order) | _by_gate(second, tails, best.order)
    family = {"W": "W_{}", "w1": "W_{}", "U": "U_{}", "u1": "U_{}", "P1": "P_{}"}.get(part.role, "p_{}")
    return _by_gate(family, blocks, best.peepholes if family[0] in "pP" else best.order)


def _by_gate(family: str, blocks: Any, letters: str) -> dict[str, Array]:
    return {family.format(gate): block for gate, block in zip(letters, blocks, strict=True)}
