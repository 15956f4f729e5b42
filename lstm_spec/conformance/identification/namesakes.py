"""A hypothesis beside the named dialects: where each differs. Read from what a dialect packs, not from its tables.

A small layer is packed in the dialect, and the layout that finds every weight in its place again is the dialect's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.options import LstmOptions
from lstm_spec.conformance.identification.hypotheses import Hypothesis, orders, peephole_orders
from lstm_spec.conformance.identification.identification import Namesake
from lstm_spec.conformance.identification.layouts import Layout, Part, Sizes, layouts, variants
from lstm_spec.dialects import DIALECTS, Dialect
from lstm_spec.errors import OptionError, TensorError
from lstm_spec.layers.layer import Layer

Array = np.ndarray[Any, Any]
N, K, R = 7, 5, 3  # sizes of which no two make a shape of another place
Options = tuple[tuple[str, Any], ...]
IGNORED = frozenset({"states", "biases added"})  # of the step, and of a reader; no dialect has a choice there


def nearest(best: Hypothesis, names: tuple[str, ...]) -> tuple[Namesake, ...]:
    """Every dialect that can express the arrays, those with the fewest differences first.

    Among equals those come first whose names the arrays bear.
    """
    found = []
    for dialect in DIALECTS.values():
        convention = convention_of(dialect.name, options_of(best))
        if convention is not None:
            mine, theirs = best.axes(), convention.axes()
            apart = best.layout.is_apart and convention.layout.is_apart
            change = {
                axis: (mine.get(axis, "none"), theirs.get(axis, "none"))
                for axis in dict.fromkeys((*mine, *theirs))
                if axis not in IGNORED and not (apart and axis == "gates") and mine.get(axis) != theirs.get(axis)
            }
            found.append(Namesake(dialect.name, change, bears_names(dialect, names)))
    return tuple(sorted(found, key=lambda one: (len(one.change), not one.named)))


def bears_names(dialect: Dialect, names: tuple[str, ...]) -> bool:
    """Whether every array has a name of the dialect."""
    return all(dialect.pattern.fullmatch(name) for name in names)


def options_of(hypothesis: Hypothesis) -> Options:
    """What the tensors of a hypothesis are, in the options of a cell."""
    layout = hypothesis.layout
    options = {
        "bias": {0: "none", 1: "one"}.get(layout.biases, "two"),
        "peephole": "full" if layout.has("P1") else "diagonal" if layout.has("p", "p1") else "none",
        "projection": layout.has("proj"),
        "coupled": hypothesis.coupled or None,
    }
    return tuple(options.items())


@lru_cache(maxsize=256)
def convention_of(name: str, options: Options) -> Hypothesis | None:
    """How a dialect writes such a layer, on arrays of its own names; with another bias, if it has not that one.

    None where it cannot write it at all.
    """
    dialect = DIALECTS[name]
    wanted = dict(options)
    for bias in dict.fromkeys((wanted["bias"], "one", "two", "none")):
        try:
            said = {**wanted, "bias": bias, **getattr(dialect, "constants", {})}
            chosen = LstmOptions(**said)
            layer = Layer(lstm_cell(chosen), n=N, k=K)
            layer = layer.at(r=R) if wanted["projection"] else layer
            weights = layer.random(0)
            packed = {tensor.name: tensor.pack(weights) for tensor in dialect.tensors(layer)}
        except (OptionError, TensorError):
            continue
        return _found_again(packed, {n.partition(".")[2]: w for n, w in weights.items()}, chosen)
    return None


def _found_again(packed: Mapping[str, Array], weights: Mapping[str, Array], options: LstmOptions) -> Hypothesis | None:
    r = R if options.projection else K
    coupled = options.coupled or ""
    for layout in layouts({name: array.shape for name, array in packed.items()}, N, r, K):
        sizes = Sizes(N, r, K, layout.blocks)
        laid = {
            part: [part.lay(packed[name], sizes) for name in part.names] for part in layout.parts if part.role != "proj"
        }
        for order, peepholes in product(orders(layout.blocks, coupled), peephole_orders(layout, coupled)):
            if all(_is_there(part, arrays, order, peepholes, layout, weights) for part, arrays in laid.items()):
                return Hypothesis(
                    layout,
                    order,
                    gate=options.gate_activation,
                    candidate=options.candidate_activation,
                    output=options.output_activation,
                    forget=int(options.forget_bias),
                    coupled=coupled,
                    peepholes=peepholes,
                    output_sees="c" if options.peephole_output == "before" else "c'",
                )
    return None


def _is_there(
    part: Part, arrays: list[Array], order: str, peepholes: str, layout: Layout, weights: Mapping[str, Array]
) -> bool:
    """Whether a part holds, block by block, the weights that it would hold in this order."""
    letters = peepholes if part.role in ("p", "p1", "P1") else order
    blocks = arrays if "1" in part.role else arrays[0]
    if part.role == "bb":
        return all(_holds(half, f"b_{x}{{}}", letters, weights) for half, x in zip(blocks, "WU", strict=True))
    if part.role in ("b", "b1"):
        return any(_holds(blocks, family, letters, weights) for family in ("b_{}", "b_W{}", "b_U{}"))
    if part.role in ("J", "j1"):
        first, second = ("W_{}", "U_{}") if layout.join == "xh" else ("U_{}", "W_{}")
        width = N if layout.join == "xh" else np.shape(blocks[0])[1] - N
        head, tail = ([block[:, :width] for block in blocks], [block[:, width:] for block in blocks])
        return _holds(head, first, letters, weights) and _holds(tail, second, letters, weights)
    family = {"W": "W_{}", "w1": "W_{}", "U": "U_{}", "u1": "U_{}", "P1": "P_{}"}.get(part.role, "p_{}")
    return _holds(blocks, family, letters, weights)


def _holds(blocks: Any, family: str, letters: str, weights: Mapping[str, Array]) -> bool:
    """A gate that the cell has not is dead: its block may hold anything."""
    known = [(block, weights.get(family.format(gate))) for block, gate in zip(blocks, letters, strict=True)]
    return any(w is not None for _, w in known) and all(w is None or np.array_equal(b, w) for b, w in known)


def on_arrays(
    convention: Hypothesis, names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> Hypothesis | None:
    """The convention of a dialect on real arrays: `names` are the source's for the dialect's own.

    None where an array has another number of axes than the dialect's.
    """
    parts = []
    for part in convention.layout.parts:
        sources = tuple(names[own] for own in part.names)
        shape = next((s for s in variants(shapes[sources[0]]) if len(s) == len(part.axes)), None)
        if shape is None:
            return None
        parts.append(replace(part, names=sources, shape=shape))
    return replace(convention, layout=replace(convention.layout, parts=tuple(parts)))
