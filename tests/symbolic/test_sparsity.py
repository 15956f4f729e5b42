"""Who reads whom, by structure, against finite differences of the code that runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstm_spec import cells
from lstm_spec.compiler.compiled import Compiled, compile_layer
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.sparsity import dependence, reads, through, wider

SIZES = {"n": 3, "k": 4, "r": 2}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "peephole": {"peephole": True},
    "full peephole": {"peephole": "full"},
    "projection": {"projection": 2},
    "coupled": {"coupled": "i=1-f"},
    **{f"layer_norm={name}": {"layer_norm": name} for name in ("ba", "tfa", "tf1", "tflite")},
    "gate_hidden": {"gate_hidden": 5},
}
# In the LSTM and its kin, what a state after the step depends on: (h'|h, h'|c, c'|h, c'|c)
EXPECTED = {
    "plain": ("all", "own", "all", "own"),
    "peephole": ("all", "own", "all", "own"),
    "full peephole": ("all", "all", "all", "all"),
    "projection": ("all", "all", "all", "own"),
    "layer_norm=ba": ("all", "all", "all", "own"),
    "layer_norm=tf1": ("all", "all", "all", "all"),
    "layer_norm=tflite": ("all", "own", "all", "own"),
    "gate_hidden": ("all", "own", "all", "own"),
}


def layer_of(name: str) -> Layer:
    if name in OPTIONS:
        return lstm(3, 4, **OPTIONS[name])
    cell = cells.get(name)
    return Layer(cell, **{a: SIZES[a] for a in cell.letters})


@pytest.mark.parametrize("name", EXPECTED)
def test_the_answers(name: str) -> None:
    found = dependence(layer_of(name).cell)
    assert tuple(found[after][before] for after in ("h'", "c'") for before in ("h", "c")) == EXPECTED[name]


def one_step(run: Compiled, x: np.ndarray, weights: Any, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The output and every state after one step of one sample."""
    y, final = run(x[None, None], weights, {name: array[None] for name, array in state.items()})
    return {"y": y[0, 0], **{name.removeprefix("l0."): array[0] for name, array in final.items()}}


def changes(run: Compiled, name: str, x: Any, weights: Any, state: dict[str, Any]) -> dict[str, np.ndarray]:
    """|Δ value i| for a change of entry j of x or a state: value → (rows, entries)."""
    base = one_step(run, x, weights, state)
    columns = []
    for j in range(len(x) if name == "x" else len(state[f"l0.{name}"])):
        moved_x, moved = x.copy(), {n: array.copy() for n, array in state.items()}
        (moved_x if name == "x" else moved[f"l0.{name}"])[j] += 0.01
        after = one_step(run, moved_x, weights, moved)
        columns.append({value: np.abs(after[value] - base[value]) for value in base})
    return {value: np.stack([c[value] for c in columns], axis=1) for value in base}


@pytest.mark.parametrize("name", [*cells.names(), *OPTIONS])
def test_structure_against_finite_differences(name: str) -> None:
    """Where structure says none, or own, the rest is exactly 0; where it says own, or all, it is not."""
    layer = layer_of(name)
    draw = np.random.default_rng(7)
    weights = {n: draw.normal(0, 0.7, tuple(map(int, s))) for n, s in layer.parameter_shapes().items()}
    state = {n: draw.uniform(0.2, 1, int(s[0])) for n, s in layer.state_shapes().items()}
    width = int(layer.cell.inputs[0].size[0].xreplace({s: layer.sizes[str(s)] for s in layer.cell.inputs[0].size}))
    x, run, found = draw.normal(size=width), compile_layer(layer), dependence(layer.cell)
    values = {d.name: found[d.name + "'"] for d in layer.cell.states}
    (output,) = layer.cell.outputs
    values["y"] = found[layer.cell.value_of(output)]
    for before in ("x", *(d.name for d in layer.cell.states)):
        changed = changes(run, before, x, weights, state)
        for value, depends in values.items():
            reach, matrix = depends.get(before, "none"), changed[value]
            if reach == "none":
                assert (matrix == 0).all(), (value, before)
            elif reach == "own":
                assert (matrix[~np.eye(len(matrix), dtype=bool)] == 0).all(), (value, before)
                assert (np.diag(matrix) > 0).any(), (value, before)
            else:
                off_diagonal = ~np.eye(*matrix.shape, dtype=bool)
                assert (matrix[off_diagonal] > 0).any(), (value, before)


def test_reaches_combine() -> None:
    order = ("none", "own", "all")
    for i, one in enumerate(order):
        for j, other in enumerate(order):
            assert wider(one, other) == order[max(i, j)]  # type: ignore[arg-type]
            assert through(one, other) == ("none" if min(i, j) == 0 else order[max(i, j)])  # type: ignore[arg-type]


def test_what_an_expression_reads() -> None:
    cell = parse("input x[k]\nstate h[k], s[k + k]\n[a, b] = s\nz = mean(x) * h\nh' = W [x, z] + a - b\ns' = [h, x]\n")
    assert {e.left: reads(e.expression, cell) for e in cell.equations} == {
        "[a, b]": {"s": "own"},
        "z": {"x": "all", "h": "own"},
        "h'": {"x": "all", "z": "all", "a": "own", "b": "own"},
        "s'": {"h": "all", "x": "all"},
    }
    assert dependence(cell)["a"] == {"s": "all"}  # which row of a split is whose is not followed
    assert dependence(cell)["h'"] == {"x": "all", "h": "all", "s": "all"}
