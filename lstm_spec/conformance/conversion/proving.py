"""The proof of a conversion: the layer as it was read and the tensors as they would be read again, run side by side.

Each is compiled from its own dialect's equations, in float64, on the same random sequences and states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.conformance.conversion.adapting import Adapted
from lstm_spec.conformance.conversion.conversion import EXACT, Array, Written, cells_of_parts
from lstm_spec.conformance.conversion.joining import Piece
from lstm_spec.conformance.recognition.loading import load_tensors
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.sources import tensor_of
from lstm_spec.dialects import Dialect
from lstm_spec.errors import Finding, TensorError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors

STEPS, BATCH, SEED = 7, 3, 0
# A mapping that adds biases in the weights' own dtype is off by that dtype's rounding of a pre-activation.
ROUNDED = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
ROUNDING = ("two-biases", "forget-bias")  # the losses that change a number


def prove(piece: Piece, adapted: Adapted, written: Iterable[Written], to: Dialect, at: str) -> float:
    """The largest difference between the two sides. Raises TensorError when it is more than rounding."""
    moved_only = not any(loss.name in ROUNDING for loss in adapted.losses)
    layer, weights = piece.layer, piece.weights
    limit = EXACT if moved_only else ROUNDED[next(iter(weights.values())).dtype]
    x, state = _random_input(layer)
    plain = layer.with_(layout="time", output="sequence", merge="concat", realign=True)
    y, final = compile_layer(plain)(x, weights.astype("float64"), state)
    theirs, finals = _run_parts(x, state, layer, written, to)
    differences = [_largest(y, theirs), *(_largest(final[name], finals[name]) for name in final)]
    difference = float(np.max(differences, initial=0))
    if not difference <= limit:
        raise TensorError(
            Finding(
                "proof",
                f"the layer as {to.name} would read it computes something else",
                at,
                expected=f"a difference of at most {limit:.0e}",
                found=f"{difference:.1e}",
                help="nothing was written; if the weights are finite and not huge, please report this",
            )
        )
    return difference


def _random_input(layer: Layer) -> tuple[Array, dict[str, Array]]:
    generator = np.random.default_rng(SEED)
    (rows,) = layer.cell.inputs[0].size
    x = generator.standard_normal((STEPS, BATCH, int(layer.sizes[str(rows)])))
    shapes = layer.state_shapes().items()
    return x, {name: generator.uniform(-1, 1, (BATCH, int(shape[0]))) for name, shape in shapes}


def _run_parts(
    x: Array,
    state: Mapping[str, Array],
    layer: Layer,
    parts: Iterable[Written],
    to: Dialect,
) -> tuple[Array, dict[str, Array]]:
    """The target's layers on the same input, each read back from its tensors, stacked and joined as the source is."""
    outputs: dict[int, list[Array]] = {}
    finals: dict[str, Array] = {}
    names = [s.name for s in layer.cell.states]
    for part, pairs in cells_of_parts(layer, parts):
        tensors = held(part.tensors)
        (reading,) = recognize(tensors, to).readings
        arrays = load_tensors(reading, tensors)
        assert not isinstance(arrays, str)  # they are plain arrays
        weights = to.unpack(arrays, part.layer)
        plain = part.layer.with_(layout="time", output="sequence", merge="concat", realign=True)
        index = pairs[0][0].index
        below = x if index == 0 else np.concatenate(outputs[index - 1], axis=-1)
        given = {f"{new.prefix}.{s}": state[f"{old.prefix}.{s}"] for old, new in pairs for s in names}
        y, final = compile_layer(plain)(below, weights.astype("float64"), given)
        outputs.setdefault(pairs[-1][0].index, []).append(y)
        finals |= {f"{old.prefix}.{s}": final[f"{new.prefix}.{s}"] for old, new in pairs for s in names}
    return np.concatenate(outputs[layer.layers - 1], axis=-1), finals


def held(arrays: Mapping[str, Array]) -> Tensors:
    """What is written, as it is read again."""
    return Tensors("converted", "arrays", {name: tensor_of(name, array) for name, array in arrays.items()})


def _largest(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        differences = np.abs(ours - theirs) / np.maximum(1, np.abs(ours))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return float(np.max(np.where(same, 0, np.where(np.isnan(differences), np.inf, differences)), initial=0))
