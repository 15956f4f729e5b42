"""The gradients of every catalogue cell and of the family's functions against complex steps: no difference is rounded.

The slope of a loss L in a direction d is Im L(p + i s d) / s, for a step s so small that s^2 is nothing. The equations
are computed by the tests' own slow loop; nothing of the compiler is used for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.layers.layer import Layer
from tests.compiler.oracle import Array, cell_member, random_inputs, run_layer

STEP = 1e-40


def widths(layer: Layer) -> dict[str, int]:
    """The rows of every name of the cell."""
    at = dict(zip(layer.cell.letters, layer.sizes.values(), strict=True))
    shapes = layer.shapes_of_cell
    return {n: int(shapes[n].rows.xreplace({s: at[str(s)] for s in shapes[n].rows.free_symbols})) for n in shapes}


FAMILY: list[dict[str, Any]] = [
    {"gate_activation": "hard_sigmoid(1/5, 1/2)", "candidate_activation": "relu", "output_activation": "softsign"},
    {"candidate_activation": "elu(1)", "output_activation": "softplus"},
    {"candidate_activation": "leaky_relu(0.1)", "clip": "1/2", "clip_cell": "1/3"},
    {"layer_norm": "ba"},
    {"layer_norm": "tflite", "peephole": True},
    {"gate_hidden": 2, "projection": 4},
    {"peephole": "full", "coupled": "f=1-i"},
]
CELLS = {name: cells.get(name) for name in cells.names()} | {str(o): ls.lstm(**o).cell for o in FAMILY}


@pytest.mark.parametrize("name", CELLS)
def test_the_slope_of_the_loss_in_a_random_direction_is_the_gradient(name: str) -> None:
    cell = CELLS[name]
    layer = Layer(cell).at(**dict(zip(cell.letters, (3, 2, 4, 2), strict=False)))
    x, weights, state = random_inputs(layer, 3, 2, 0)
    member, run, rng = cell_member(cell, widths(layer)), compile_layer(layer, gradient=True), np.random.default_rng(1)
    d_y = rng.normal(size=run(x, weights, state)[0].shape)
    d_state = {n: rng.normal(size=v.shape) for n, v in state.items()}
    _, _, grads = run.gradient(x, weights, d_y, state, d_state)
    given: dict[str, Array] = {"x": x, **weights, **state}
    found: dict[str, Any] = {"x": grads.x, **grads.weights, **grads.state}
    for changed, array in given.items():
        way = rng.normal(size=array.shape)
        moved = given | {changed: array + 1j * STEP * way}
        y, after = run_layer(layer, moved["x"], {n: moved[n] for n in weights}, {n: moved[n] for n in state}, member)
        loss = (y * d_y).sum() + sum((after[n] * d_state[n]).sum() for n in state)
        slope = float(np.imag(loss)) / STEP
        assert abs(slope - float((found[changed] * way).sum())) <= 1e-12 * max(1, abs(slope)), changed
