"""Every catalogue cell's gradients against finite differences of what it computes; NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstm_spec import cells
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.layers.layer import Layer
from tests.compiler.oracle import random_inputs

STEP = 1e-5


@pytest.mark.parametrize("name", cells.names())
def test_the_slope_of_the_loss_in_a_random_direction_is_the_gradient(name: str) -> None:
    cell = cells.get(name)
    layer = Layer(cell, layers=1).at(**dict(zip(cell.letters, (3, 2, 4), strict=False)))
    x, weights, state = random_inputs(layer, 4, 2, 0)
    run, rng = compile_layer(layer, gradient=True), np.random.default_rng(1)
    d_y = rng.normal(size=run(x, weights, state)[0].shape)
    d_state = {n: rng.normal(size=v.shape) for n, v in state.items()}
    _, _, grads = run.gradient(x, weights, d_y, state, d_state)
    given: dict[str, Any] = {"x": x, **weights, **state}
    found = {"x": grads.x, **grads.weights, **grads.state}
    for changed in given:
        way = rng.normal(size=given[changed].shape)

        def loss(step: float, changed: str = changed, way: Any = way) -> float:
            moved = given | {changed: given[changed] + step * way}
            y, after = run(moved["x"], {n: moved[n] for n in weights}, {n: moved[n] for n in state})
            return float((y * d_y).sum() + sum((after[n] * d_state[n]).sum() for n in state))

        slope = (loss(STEP) - loss(-STEP)) / (2 * STEP)
        assert abs(slope - float((found[changed] * way).sum())) <= 1e-7 * max(1, abs(slope)), changed
