"""Any cell: a trace is the interpreter's values, and no value leaves its bounds, with or without weights."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sympy import Rational

from lstm_spec.compiler.bounding import bound_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.tracing import trace_layer
from lstm_spec.errors import OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell
from tests.compiler.generated import moderate_cells
from tests.compiler.oracle import random_inputs
from tests.laws import tried


def hold(cell: Cell, size: int, seed: int) -> None:
    layer = Layer(cell)
    layer = layer.at(**{name: size + i for i, name in enumerate(layer.open_letters)})
    x, weights, state = random_inputs(layer, 5, 2, seed)
    try:
        traced = trace_layer(layer, weights, x, state)
    except OptionError as error:
        if error.code != "trace":
            raise
        return
    steps = interpret(lower(layer), x, weights, state).steps["l0"]
    for name, array in traced.arrays.items():
        own = name.removeprefix("l0.")
        key = name + "'" if any(s.name == own for s in cell.states) else name
        if key in steps[0]:  # a bare name on the right is another's value
            np.testing.assert_allclose(array, np.stack([s[key] for s in steps]), rtol=1e-9, atol=1e-9)
    most = float(np.abs(x).max())
    start = max([float(np.abs(a).max()) for a in state.values()], default=0.0)
    proven = bound_layer(layer, weights, input_max=most, initial_max=start, time=5)
    for name, array in traced.arrays.items():
        ends = proven.members[0].units[name.removeprefix("l0.")]
        assert (array <= ends.high).all(), name
        assert (array >= ends.low).all(), name
    for bound in proven.cell.bounds:
        found = bound.over_floats("float64", Rational(start), Rational(5))
        if found is not None and f"l0.{bound.name}" in traced.arrays:
            assert np.abs(traced[bound.name]).max() <= float(found.magnitude), bound.name


@tried(150, *HealthCheck)
@given(moderate_cells(), st.integers(1, 4), st.integers(0, 99))
def test_any_cell(cell, size, seed):
    hold(cell, size, seed)
