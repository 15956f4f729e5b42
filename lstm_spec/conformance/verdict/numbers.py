"""Is it the same function? Our compiled code and the framework's own layer, over the same weights and random input.

The weights go to the framework as it wrote them and to us through the dialect, so that a wrong gate order shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.conformance.recognition.loading import HALVES, live_part, load_tensors
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.report import Agreement
from lstm_spec.errors import MissingPackageError, safe
from lstm_spec.frameworks import Array, Refused, Request, forward, installed
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors

MOST_CELLS = 100  # compiling a stack takes time with its height: 999 layers took 211 s
MOST_BYTES = 1_000_000_000  # of one layer's weights as they are computed with: twice that is taken
TOO_LARGE = (
    "{:,.0f} MB of weights are more than {:,.0f} MB; "
    "one recorded step is held against a layer of any size (--step, or step=…)"
)
STEPS, BATCH, SEED = 4, 2, 0
# |ours - theirs| / max(1, |theirs|). Real layers agree within 1e-5 in float32, a wrong gate order misses by 0.05 and
# more: the limit stands between. Few steps, for large weights are chaotic: uniform in ±3 with k = 512, two right
# float32 layers differ by 4e-4 after 4 steps and by 1e-2 after 8.
TOLERANCE = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-9}
# Past that, our own rounding is measured, in float64: uniform in ±10, two right layers differ by 1e-3 on one processor
# and not on the next. PyTorch's was up to 15 times ours; 30 times is no difference, unless an order might make it.
ROUNDINGS, MOST_ROUNDED = 30, 0.02


def compare_numbers(reading: Reading, layer: Layer, tensors: Tensors) -> Agreement:
    """The largest difference between our output and states and the framework's, or why there is none to be had."""
    engine = reading.dialect.engine
    if reason := _why_not(engine, reading, layer, tensors):
        return Agreement(engine, reason=reason)
    arrays = load_tensors(reading, tensors)
    if isinstance(arrays, str):
        return Agreement(engine, reason=arrays)
    if strange := [reading.names[own] for own, array in arrays.items() if not np.isfinite(array).all()]:
        reason = f"{', '.join(map(safe, strange))} holds NaN or infinity"
        return Agreement(engine, reason=reason, strange=tuple(strange))
    if half := _computed_in(reading, tensors) & HALVES:
        return Agreement(engine, reason=f"the layer computes in {', '.join(sorted(half))}")
    dtype = next(iter(arrays.values())).dtype
    x, state = _random_input(layer, dtype)
    attributes = dict(reading.operator.attributes) if reading.operator else {}
    live = live_part(reading, tensors)
    with np.errstate(all="ignore"):  # a stranger's weights may be huge
        try:
            theirs = forward(engine, Request(layer, arrays, x, state, attributes, live))
        except Refused as refused:
            return Agreement(engine, reason=str(refused))
        except MissingPackageError as error:
            return Agreement(engine, reason=error.finding.message)
        weights = reading.dialect.unpack(arrays, layer)
        run = compile_layer(layer.with_(layout="time", output="sequence"))
        ours = run(x, weights, state)
        difference, limit = _difference(ours, theirs), TOLERANCE[dtype]
        if limit < difference < np.inf and dtype == np.float32:
            wide = {name: array.astype(np.float64) for name, array in state.items()}
            rounded = _difference(run(x.astype(np.float64), weights.astype("float64"), wide), ours)
            limit = max(limit, ROUNDINGS * rounded)
            if limit > MOST_ROUNDED:
                reason = f"with weights so large, rounding alone changes the output by {rounded:.0e}"
                return Agreement(engine, reason=reason)
        return Agreement(engine, difference, limit)


def _why_not(engine: str, reading: Reading, layer: Layer, tensors: Tensors) -> str:
    """Why nothing is compared, as far as it is known before a value is read; empty where there is no reason."""
    if not engine:
        return _why_no_engine(reading, tensors)
    if len(layer.members) > MOST_CELLS:
        return f"{len(layer.members)} cells are more than {MOST_CELLS}"
    if not installed(engine):
        return f'it is not installed (pip install "lstm-spec[{_extra(engine)}]")'
    size = _bytes_of(reading, tensors)
    return TOO_LARGE.format(size / 1e6, MOST_BYTES / 1e6) if size > MOST_BYTES else ""


def _bytes_of(reading: Reading, tensors: Tensors) -> int:
    """What the weights take once they are read: half floats are widened."""
    held = [tensors[source] for source in reading.names.values()]
    return sum(prod(tensor.shape) * (8 if tensor.dtype == "float64" else 4) for tensor in held)


def _computed_in(reading: Reading, tensors: Tensors) -> set[str]:
    """The dtypes that a live layer rounds to: those of its weights, and the one that it says itself, as Keras does."""
    if tensors.live is None:
        return set()
    said = reading.operator.attributes.get("compute_dtype") if reading.operator else None
    return {tensors[source].dtype for source in reading.names.values()} | ({str(said)} if said else set())


def _why_no_engine(reading: Reading, tensors: Tensors) -> str:
    if reading.operator is None or tensors.live is not None:
        own = reading.dialect.any_equations
        return "these tensors are this package's own" if own else f"no {reading.dialect.name} is run here"
    if reading.operator.kind == "LSTM cell":
        return "the graph writes the cell out in simple nodes; there is no operator to run"
    return f"nothing here runs a node of {reading.dialect.name}"


def _extra(engine: str) -> str:
    return "onnx" if engine == "onnxruntime" else "frameworks"


def _random_input(layer: Layer, dtype: Any) -> tuple[Array, dict[str, Array]]:
    generator = np.random.default_rng(SEED)
    width = int(layer.sizes[str(layer.cell.inputs[0].size[0])])
    x = generator.standard_normal((STEPS, BATCH, width)).astype(dtype)
    state = {
        name: generator.uniform(-1, 1, (BATCH, int(shape[0]))).astype(dtype)
        for name, shape in layer.state_shapes().items()
    }
    return x, state


def _difference(ours: tuple[Array, Mapping[str, Array]], theirs: tuple[Array, Mapping[str, Array]]) -> float:
    pairs = [(ours[0], theirs[0]), *((ours[1][name], theirs[1][name]) for name in ours[1])]
    return float(np.max([_largest(a, b) for a, b in pairs], initial=0))


def _largest(ours: Array, theirs: Array) -> float:
    """The largest difference; infinite where the shapes differ, or where one has a number and the other none."""
    if ours.shape != theirs.shape:
        return float("inf")
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    differences = np.where(same, 0, np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)))
    return float(np.max(np.where(np.isnan(differences), np.inf, differences), initial=0))
