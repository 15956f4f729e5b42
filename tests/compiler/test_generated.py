"""Any cell: compiled ≡ interpreted ≡ its equations computed one by one, and no name breaks the emitted code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.verifier import verify
from lstm_spec.errors import SizeError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.sizes import symbols
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse
from tests.compiler.generated import moderate_cells
from tests.compiler.oracle import Arrays, cell_member, random_inputs, run_layer
from tests.laws import tried
from tests.strategies import Drawn, cells

many = tried(150, *HealthCheck)


def layer_of(cell: Cell, sizes: Any, **chosen: Any) -> Layer:
    """A layer with numbers for the letters, whatever they are called."""
    made = Layer(cell, **chosen)
    return made.at(**dict(zip(cell.letters, sizes, strict=False))) if sizes else made


def three_ways(layer: Layer, time: int, batch: int, seed: int) -> tuple[list[Arrays], Arrays]:
    """Compiled and interpreted; and the equations: y under "", and the final states."""
    x, weights, state = random_inputs(layer, time, batch, seed)
    at = symbols(layer.sizes)
    widths = {name: int(shape.size[0].xreplace(at)) for name, shape in layer.shapes_of_cell.items()}
    y, finals = compile_layer(layer)(x, weights, state)
    program = verify(lower(layer))
    slow = interpret(program, x if layer.layout == "time" else x.swapaxes(0, 1), weights, state)
    with np.errstate(all="ignore"):
        wanted, wanted_finals = run_layer(layer, x, weights, state, cell_member(layer.cell, widths))
    turned = layer.layout == "batch" and layer.output == "sequence"
    ours = [
        {"": y, **finals},
        {"": slow.output.swapaxes(0, 1) if turned else slow.output}
        | {s.before: slow.finals[s.final] for s in program.states},
    ]
    return ours, {"": wanted, **wanted_finals}


def hold(layer: Layer, time: int, batch: int, seed: int) -> None:
    ours, wanted = three_ways(layer, time, batch, seed)
    for found in ours:
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].shape == wanted[name].shape
            assert np.all(np.abs(found[name] - wanted[name]) <= 1e-12 * np.maximum(1, np.abs(wanted[name]))), name


def is_empty_last(layer: Layer, time: int) -> bool:
    states = {d.name for d in layer.cell.states}
    return time == 0 and layer.output == "last" and not states.issuperset(layer.cell.outputs)


@many
@given(
    cell=moderate_cells(),
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    chosen=st.fixed_dictionaries(
        {
            "direction": st.sampled_from(["forward", "reverse", "both"]),
            "layout": st.sampled_from(["time", "batch"]),
            "output": st.sampled_from(["sequence", "last"]),
            "realign": st.booleans(),
        }
    ),
    time=st.integers(0, 5),
    batch=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_moderate_cell(cell: Cell, sizes: Any, chosen: Any, time: int, batch: int, seed: int) -> None:
    layer = layer_of(cell, sizes, **chosen)
    assume(not is_empty_last(layer, time))
    hold(layer, time, batch, seed)


@pytest.mark.parametrize("direction", ["forward", "reverse", "both"])
@pytest.mark.parametrize("output", ["sequence", "last"])
@pytest.mark.parametrize(
    "equations",
    [
        "state h[k], c[k]\nc' = tanh(W x + U h + c)\nh' = c'",
        "state y[k], h[k]\ny' = tanh(W [x, h] + b - d)\nh' = y' * b\noutput y, h",
        "state x_t[k], h[j]\nreverse = sigmoid(W x + U h + b)\nx_t' = reverse\nh' = tanh(V x_t - Q x)",
        "state h[k]\nlet m[k]\noutput h, m\nm = tanh(b)\nh' = step(W x - U h) - sigmoid(V m + R x)",
    ],
)
def test_a_cell_on_itself(equations: str, direction: Any, output: Any) -> None:
    layer = layer_of(parse(f"input x[n]\n{equations}"), (2, 3, 4), layers=3, direction=direction, output=output)
    hold(layer, 3, 2, 5)


@tried(60, *HealthCheck)
@given(cell=moderate_cells(), seed=st.integers(0, 2**32 - 1), both=st.booleans())
def test_a_moderate_cell_with_sizes_left_open(cell: Cell, seed: int, both: bool) -> None:
    assume("lambda" not in cell.letters)  # a letter of the text, but none to call a layer's open size by
    left_open = Layer(cell, direction="both" if both else "forward")
    closed = layer_of(cell, (2, 3, 4), direction=left_open.direction)
    x, weights, state = random_inputs(closed, 3, 2, seed)
    try:
        run = compile_layer(left_open)
    except SizeError as error:
        assume("no array's shape tells" not in str(error))  # [a, b] = W x, where a and b are only put out
        raise
    y, finals = run(x, weights, state)
    wanted, wanted_finals = compile_layer(closed)(x, weights, state)
    assert np.allclose(y, wanted, rtol=0, atol=1e-12)
    assert all(np.allclose(finals[name], wanted_finals[name], rtol=0, atol=1e-12) for name in wanted_finals)


@pytest.mark.parametrize(
    "text",
    [
        "input x[2k]\nlet a[k], b[k]\noutput a, b\n[a, b] = x",
        "input x[n + 2k]\nstate h[n]\nlet a[n], b[2k]\n[a, b] = tanh(x)\nh' = a * h * p\noutput h, b",
        "input x[3n]\nlet a[n], b[2n]\noutput a, b\n[a, b] = W x + d",
        "input x[n]\nstate h[k]\nlet a[j], b[j], W[2j + k, n]\n[a, b, r] = tanh(W x)\nh' = r * p\noutput a, b, h",
        "input x[n]\nstate h[k]\nlet a[j], V[j, n], b[m], U[m, n]\na = relu(V x)\nb = relu(U x)\nh' = A a + Q b",
    ],
)
def test_sizes_left_open_that_are_parts_of_an_axis(text: str) -> None:
    left_open = Layer(parse(text))
    closed = layer_of(left_open.cell, (2, 3, 4, 5))
    x, weights, state = random_inputs(closed, 3, 2, 0)
    y, _ = compile_layer(left_open)(x, weights, state)
    assert np.allclose(y, compile_layer(closed)(x, weights, state)[0], rtol=0, atol=1e-13)


@many
@given(drawn=cells(inputs=1), sizes=st.tuples(*[st.integers(1, 3)] * 3), seed=st.integers(0, 2**32 - 1))
def test_any_cell_as_far_as_its_numbers_allow(drawn: Drawn, sizes: Any, seed: int) -> None:
    """Divisions by what may be small: the difference may be as large as one that rounding of the input makes."""
    assume(not any(equation.total for equation in drawn.cell.equations))
    layer = layer_of(drawn.cell, sizes)
    with np.errstate(all="ignore"):
        ours, wanted = three_ways(layer, 3, 2, seed)
        worst = max(float(np.max(np.abs(a))) for a in wanted.values())
        assume(worst < 1e3)
        for found in ours:
            for name in wanted:
                assert np.allclose(found[name], wanted[name], rtol=1e-6, atol=1e-6), name


@pytest.mark.parametrize(
    "text",
    [
        "input x[n]\nstate h[k], c[k]\nc' = tanh(W x + U h + c)\nh' = c'",
        "input x[k]\nstate h[k]\nh' = x",
        "input x[k]\nstate h[k], c[k]\nc' = h\nh' = c + x",
        "input x[k]\nstate h[k], c[k]\nc' = h\nh' = x\noutput c, h",
        "input x[n]\nstate h[k], c[k]\nc' = b\nh' = tanh(W x + U [c, h])",
        "input x[n]\nstate h[k]\nlet b[k]\nh' = tanh(W [b, x] + U h)",
        "input x[n]\nstate h[k]\nh' = tanh(W x + 1 + 2 + b + U h)",
        "input x[n]\nstate h[k]\noutput m, h\nm = tanh(b)\nh' = tanh(W x + U h + m)",
        "input x[2k]\nstate h[k]\n[a, b] = x\nh' = tanh(a * b - h)",
        "input x[n]\nlet y[k]\noutput y\ny = step(W x) - tanh(V x)",
        "input x[n]\nstate h[k]\nh' = step(W x - U h) * 1/3",
        "input x[n]\nstate h[k], c[k]\nq = [h, c, x]\nh' = tanh(W q + b)\nc' = tanh(V q - U [x, h])",
        "input x[n]\nstate h[k], c[k]\na = tanh(c - W x)\nb = tanh(c - V x)\nc' = tanh(a - b)\nh' = a * b",
        "input x[n]\nstate h[k], c[k]\na = tanh(c - W x + U h)\nb = tanh(h - V x + R h)\nc' = a - b\nh' = a * b",
        "input x[n]\nstate h[k]\nreverse = W x + U h + b + d\nh' = tanh(reverse) * b",
        "input x[n]\nstate h[k]\nlet M[k, n], W[k, n], S[k, n]\nM = W * S\nh' = tanh(M x + U h)",
        "input x[n]\nstate h[k]\nh' = tanh(-(W x - b) - (U h - (d - 1)))",
        "input x[n]\nstate h[k]\nz = W x + U h\na = tanh(z)\nb = tanh(z)\nd = sigmoid(z)\nh' = a * b * d",
        "input x[n]\nstate h[k]\n[a, b] = W x + U h\nh' = sigmoid(b) - sigmoid(a)\nlet a[k]",
        "input x[n]\nstate h[k]\nz = W x\na = tanh(z + U h)\nb = sigmoid(z + V h)\nh' = a * b + z * z",
        "input u[n]\nstate x[k], y[k]\nx' = tanh(W u + U y)\ny' = tanh(V x)\noutput x, y",
        "input x[n]\nstate h[k]\nh' = hard_sigmoid(U h, 1/5, 1/2) + elu(W x, 2) + leaky_relu(V x, 3) + 1e26 * 0 * h",
    ],
)
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_shape_of_equations_that_once_broke(text: str, direction: Any) -> None:
    cell = parse(text)
    for time, batch in ((3, 2), (0, 2), (1, 1)):
        hold(layer_of(cell, (2, 3), direction=direction), time, batch, 1)
