"""Every option: compiled ≡ interpreted ≡ the reference, over sizes, lengths, layouts and dtypes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.layers.layer import Layer
from tests import strategies
from tests.compiler.oracle import Arrays, lstm_member, random_inputs, run_layer, zero_state
from tests.strategies import OPTIONS, law

TOLERANCE = {"float64": 1e-12, "float32": 2e-6}
LAYER_OPTIONS: list[dict[str, Any]] = [
    {"layers": layers, "direction": direction, "layout": layout, "output": output, "realign": realign}
    for layers, direction, layout, output, realign in product(
        (1, 2, 3), ("forward", "reverse", "both"), ("time", "batch"), ("sequence", "last"), (True, False)
    )
]


def compare(
    layer: Layer, options: LstmOptions, time: int, batch: int, seed: int, dtype: str, given_state: bool
) -> None:
    """Hold the compiled code and the interpreter to the reference."""
    x, weights, state = random_inputs(layer, time, batch, seed, dtype)
    state = state if given_state else zero_state(layer, batch, dtype)
    y, finals = compile_layer(layer)(x, weights, state if given_state else None)
    assert {array.dtype for array in (y, *finals.values())} == {np.dtype(dtype)}
    member = lstm_member(options.coupled, float(options.forget_bias))
    wanted, wanted_finals = run_layer(layer, x, weights, state, member)
    hold(y, wanted, dtype)
    hold_all(finals, wanted_finals, dtype)
    program = lower(layer)
    slow = interpret(program, x if layer.layout == "time" else x.swapaxes(0, 1), weights, state)
    batch_major = layer.layout == "batch" and layer.output == "sequence"
    hold(slow.output.swapaxes(0, 1) if batch_major else slow.output, wanted, dtype)
    hold_all({s.before: slow.finals[s.final] for s in program.states}, wanted_finals, dtype)


def hold(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], dtype: str) -> None:
    assert found.shape == wanted.shape
    assert np.all(np.abs(found - wanted) <= TOLERANCE[dtype] * np.maximum(1, np.abs(wanted)))


def hold_all(found: Arrays, wanted: Arrays, dtype: str) -> None:
    assert set(found) == set(wanted)
    for name in wanted:
        hold(found[name], wanted[name], dtype)


def layer_of(options: LstmOptions, sizes: tuple[int, int, int], **chosen: Any) -> Layer:
    cell = lstm_cell(options)
    given = dict(zip("nkr", sizes, strict=True))
    return Layer(cell, **{name: given[name] for name in cell.letters}, **chosen)


@law
@given(
    options=strategies.options,
    chosen=st.sampled_from(LAYER_OPTIONS),
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    time=st.integers(0, 20),
    batch=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(["float32", "float64"]),
    given_state=st.booleans(),
)
@example(OPTIONS[0], LAYER_OPTIONS[0], (1, 1, 1), 20, 5, 0, "float64", True)
@example(OPTIONS[-1], LAYER_OPTIONS[-1], (1, 1, 1), 1, 1, 0, "float64", True)
@example(OPTIONS[-1], LAYER_OPTIONS[-1], (4, 4, 4), 20, 5, 0, "float32", False)
@example(OPTIONS[-1], LAYER_OPTIONS[-1], (2, 3, 4), 0, 5, 0, "float64", True)
@example(OPTIONS[-1], LAYER_OPTIONS[-1], (2, 3, 4), 5, 0, 0, "float64", True)
@example(OPTIONS[-1], LAYER_OPTIONS[-1], (2, 3, 4), 0, 0, 0, "float32", False)
def test_compiled_interpreted_and_reference_agree(
    options: LstmOptions,
    chosen: dict[str, Any],
    sizes: tuple[int, int, int],
    time: int,
    batch: int,
    seed: int,
    dtype: str,
    given_state: bool,
) -> None:
    compare(layer_of(options, sizes, **chosen), options, time, batch, seed, dtype, given_state)


def test_every_option_of_the_cell_meets_some_option_of_the_layer() -> None:
    for number, options in enumerate(OPTIONS):
        chosen = LAYER_OPTIONS[number * 7 % len(LAYER_OPTIONS)]
        compare(layer_of(options, (3, 2, 4), **chosen), options, 4, 2, number, "float64", True)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(LAYER_OPTIONS)))
def test_every_option_of_the_layer_meets_a_third_of_the_cells(number: int) -> None:
    chosen = LAYER_OPTIONS[number]
    for options in OPTIONS[number % 3 :: 3]:
        compare(layer_of(options, (2, 3, 4), **chosen), options, 3, 2, number, "float64", True)


@pytest.mark.parametrize("options", OPTIONS[::9], ids=range(len(OPTIONS[::9])))
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_sizes_left_open_are_read_from_the_arrays(options: LstmOptions, direction: Any) -> None:
    sizes = (3, 5, 2)
    closed = layer_of(options, sizes, layers=2, direction=direction)
    left_open = Layer(lstm_cell(options), layers=2, direction=direction)
    x, weights, state = random_inputs(closed, 4, 2, 1)
    y, finals = compile_layer(left_open)(x, weights, state)
    wanted, wanted_finals = compile_layer(closed)(x, weights, state)
    hold(y, wanted, "float64")
    hold_all(finals, wanted_finals, "float64")
