"""The program with its backward loops: each pass keeps the gradients, a broken one is caught, and the source stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest

from lstm_spec import cells
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.passes import GRADIENT_PASSES, optimize
from lstm_spec.compiler.program import Op, Program
from lstm_spec.compiler.verifier import verify
from lstm_spec.errors import InternalError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell
from tests.compiler.oracle import Array, random_inputs


def sized(cell: Cell, **options: Any) -> Layer:
    return Layer(cell, **options).at(**dict(zip(cell.letters, (3, 2, 4, 2), strict=False)))


def interpreted(program: Program, seed: int = 0) -> list[Array]:
    x, weights, state = random_inputs(program.layer, 3, 2, seed)
    rng = np.random.default_rng(seed)
    gradients = program.gradients
    assert gradients is not None
    given = state | {d: rng.normal(size=state[s].shape) for s, d in gradients.states.items()}
    d_y = rng.normal(size=(3, 2, int(program.layer.output_width)))
    return list(interpret(program, x, weights, given, None, d_y).results)


@pytest.mark.parametrize("cell", [lstm().cell, lstm(peephole=True, projection=True).cell, cells.get("layer-norm")])
def test_each_pass_keeps_the_gradients(cell: Cell) -> None:
    for options in ({}, {"direction": "both", "layers": 2}):
        program = verify(lower(sized(cell, **options), gradient=True))
        before = interpreted(program)
        listings = [str(program)]
        for change in GRADIENT_PASSES:
            program = verify(change(program))
            listings.append(str(program))
            for one, other in zip(before, interpreted(program), strict=True):
                assert np.allclose(one, other, atol=1e-12, rtol=1e-12), change.__name__
        assert not any(loop.totals for loop in program.loops)
        assert len(set(listings)) > 6


def test_totals_leave_the_loop_as_one_product() -> None:
    program = optimize(lower(lstm(3, 2), gradient=True))
    assert [op.kind for op in program.loops[1].body if op.kind in ("product", "turned")] == ["turned"]
    sums = [(op.kind, op.args) for op in program.after if op.kind in ("outer_sum", "sum", "turned")]
    assert sums == [
        ("turned", ("l0.W", "l0.d_z.all")),
        ("outer_sum", ("l0.d_z.all", "x")),
        ("outer_sum", ("l0.d_z.all", "l0.h.before")),
        ("sum", ("l0.d_z.all",)),
    ]


def in_backward(change: Callable[[tuple[Op, ...]], tuple[Op, ...]]) -> Callable[[Program], Program]:
    def broken(program: Program) -> Program:
        stage = program.stages[1]
        loop = replace(stage.loops[0], body=change(stage.loops[0].body))
        return replace(program, stages=(program.stages[0], replace(stage, loops=(loop,))))

    return broken


BROKEN: dict[str, tuple[Callable[[Program], Program], str]] = {
    "a gradient is dropped": (
        in_backward(lambda body: tuple(op for op in body if op.out != "l0.e_h")),
        "step l0.backward: l0.e_c.5 = multiply(l0.e_h, l0.e_c.factor) reads l0.e_h, which is not known there",
    ),
    "a weight is turned the wrong way": (
        in_backward(
            lambda body: tuple(replace(op, args=("l0.W", "l0.d_z")) if op.kind == "turned" else op for op in body)
        ),
        "step l0.backward: l0.d_h' = turned(l0.W, l0.d_z) has the shape (3,), not (2,)",
    ),
    "a total is lost": (
        lambda program: replace(program, after=tuple(op for op in program.after if op.out != "l0.d_b_f")),
        "the output l0.d_b_f is not computed",
    ),
    "a block is out of range": (
        lambda program: replace(
            program,
            after=tuple(replace(op, args=("l0.d_U",)) if op.out == "l0.d_W_i" else op for op in program.after),
        ),
        "after: l0.d_W_i = block(l0.d_U, 0, 2) reads l0.d_U, which is not known there",
    ),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_pass_over_gradients_is_caught(way: str) -> None:
    broken, message = BROKEN[way]
    with pytest.raises(InternalError) as caught:
        optimize(lower(lstm(3, 2), gradient=True), (*GRADIENT_PASSES, broken))
    assert str(caught.value) == message


# ---- the source ----

GOLDEN = Path(__file__).parent / "golden_gradients"
EMITTED = {"plain": lstm("n", "k"), "stack": lstm(3, 2, peephole=True, layers=2, bidirectional=True)}


@pytest.mark.parametrize("name", EMITTED)
def test_the_source_is_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    path, source = GOLDEN / f"{name}.py", compile_layer(EMITTED[name], gradient=True).source
    if request.config.getoption("--refresh"):
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EMITTED)
def test_the_golden_file_runs_by_itself(name: str) -> None:
    layer = EMITTED[name].at(**dict.fromkeys(EMITTED[name].open_letters, 3))
    x, weights, state = random_inputs(layer, 4, 2, 0)
    d_y = np.random.default_rng(1).normal(size=(4, 2, int(layer.output_width)))
    module = run_path(str(GOLDEN / f"{name}.py"))
    zeros = [np.zeros_like(s) for s in state.values()]
    y, _, d_x, d_weights, _ = module["gradient"](module["pack_gradient"](weights), x, d_y, *state.values(), *zeros)
    found_y, _, grads = compile_layer(EMITTED[name], gradient=True).gradient(x, weights, d_y, state)
    assert np.array_equal(y, found_y)
    assert np.array_equal(d_x, grads.x)
    assert all(np.array_equal(d_weights[n], grads.weights[n]) for n in weights)
