"""Every pass keeps the meaning and verifies; a broken one is caught, whichever way it is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from sympy import Integer

from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.passes import (
    PASSES,
    Pass,
    drop_unread,
    fold_biases,
    hoist_input_products,
    hoist_weights,
    optimize,
    pack_activations,
    pack_gates,
    split_joined_products,
)
from lstm_spec.compiler.program import Op, Program, Stage
from lstm_spec.compiler.verifier import verify
from lstm_spec.errors import InternalError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse
from tests.compiler.generated import moderate_cells
from tests.compiler.oracle import Array, random_inputs
from tests.laws import tried

some = tried(60, *HealthCheck)
BA = parse(
    "input x[n]\nstate h[k], c[k]\nf = sigmoid(W_f [h, x] + b_f + d_f)\nc' = f * c + W x\nh' = tanh(U [h, c', x])"
)


def map_regions(program: Program, change: Any) -> Program:
    """The program with `change(ops)` in place of each region's ops."""
    stages = tuple(
        Stage(tuple(change(s.before)), tuple(replace(loop, body=tuple(change(loop.body))) for loop in s.loops))
        for s in program.stages
    )
    return replace(program, pack=tuple(change(program.pack)), stages=stages, after=tuple(change(program.after)))


def computed(program: Program, seed: int = 0) -> list[Array]:
    x, weights, state = random_inputs(program.layer, 3, 2, seed)
    result = interpret(program, x if program.layer.layout == "time" else x.swapaxes(0, 1), weights, state)
    return [result.output, *(result.finals[s.final] for s in program.states)]


def same(one: Program, other: Program) -> bool:
    pairs = zip(computed(one), computed(other), strict=True)
    return all(np.all(np.abs(a - b) <= 1e-12 * np.maximum(1, np.abs(a))) for a, b in pairs)


def numbered(cell: Cell, **options: Any) -> Layer:
    return Layer(cell, **options).at(**dict(zip(cell.letters, (2, 3, 4), strict=False)))


@some
@given(cell=moderate_cells(), both=st.booleans())
def test_each_pass_keeps_the_meaning_of_a_cell(cell: Cell, both: bool) -> None:
    program = lower(numbered(cell, direction="both" if both else "forward"))
    before = computed(program)
    for change in PASSES:
        program = verify(change(program))
        after = computed(program)
        for one, other in zip(before, after, strict=True):
            assert np.all(np.abs(one - other) <= 1e-12 * np.maximum(1, np.abs(one))), change.__name__


@pytest.mark.parametrize("change", PASSES, ids=lambda change: change.__name__)
def test_each_pass_does_something_alone(change: Pass) -> None:
    layers = [
        lstm(3, 2, bias="two", peephole=True, layers=2, bidirectional=True),
        numbered(BA),
        numbered(parse("input x[n]\nstate h[k]\nlet m[k]\nm = b * b\nh' = tanh(W x + U h + m)")),
        numbered(parse("input x[n]\nstate h[k]\n[a, b] = W x\nlet a[k]\nh' = tanh(a) * tanh(b) + U h")),
    ]
    changed = []
    for layer in layers:
        ready = verify(hoist_weights(lower(layer)))  # the weights-only equations are in pack: others may read them
        program = lower(layer) if change is hoist_weights else ready
        if change is drop_unread:
            program = verify(with_body(program, add_unread))
        after = verify(change(program))
        assert same(program, after)
        changed.append(str(after) != str(program))
    assert any(changed)


@pytest.mark.parametrize("order", [p for n, p in enumerate(permutations(PASSES[3:])) if n % 3 == 0])
def test_passes_keep_the_meaning_in_another_order(order: tuple[Pass, ...]) -> None:
    for layer in (lstm(3, 2, peephole=True, projection=1), numbered(BA)):
        program = lower(layer)
        assert same(program, optimize(program, (hoist_weights, *order)))


def test_optimizing_twice_changes_nothing_more() -> None:
    for layer in (lstm(3, 2), lstm(3, 2, bias="two", peephole=True, coupled="i=1-f", layers=2, bidirectional=True)):
        program = optimize(lower(layer))
        assert same(program, optimize(program))


def test_what_each_pass_says_it_does() -> None:
    plain = lower(lstm(3, 2, bias="two"))
    assert not plain.pack
    assert len(products(plain)) == 8
    packed = optimize(plain)
    assert [op.out for op in packed.stages[0].before] == ["l0.W_x", "l0.z_x"]
    assert [op.out for op in packed.loops[0].body if op.kind == "product"] == ["l0.U_h"]
    assert [op.kind for op in packed.loops[0].body if op.kind in ("sigmoid", "tanh")] == ["sigmoid", "tanh", "tanh"]
    assert {op.kind for op in packed.pack} == {"add", "stack"}
    split = split_joined_products(lower(numbered(BA)))
    assert [op.args[0] for op in split.loops[0].body if op.args[:1] == ("l0.W_f[:, 0:3]",)] == ["l0.W_f[:, 0:3]"]
    folded = fold_biases(plain)
    assert [op.out for op in folded.loops[0].body if op.out.endswith(".b")]
    assert len(products(pack_gates(hoist_weights(folded)))) == 2
    hoisted = [op.kind for op in hoist_input_products(plain).stages[0].before]
    assert sorted(hoisted) == ["add"] * 4 + ["product"] * 4
    assert pack_activations(plain) == plain
    assert drop_unread(plain) == plain


def add_unread(ops: list[Op]) -> list[Op]:
    """Two ops that nobody reads but each other."""
    shape = ops[-1].shape
    return [*ops, Op("l0.unread", "negate", (ops[-1].out,), shape), Op("l0.too", "negate", ("l0.unread",), shape)]


def products(program: Program) -> list[Op]:
    return [op for loop in program.loops for op in loop.body if op.kind == "product"]


# ---- broken passes ----


def with_body(program: Program, change: Callable[[list[Op]], list[Op]]) -> Program:
    stage, loop = program.stages[0], program.loops[0]
    loops = (replace(loop, body=tuple(change(list(loop.body)))), *stage.loops[1:])
    return replace(program, stages=(replace(stage, loops=loops), *program.stages[1:]))


def replaced(ops: list[Op], out: str, **changes: Any) -> list[Op]:
    assert any(op.out == out for op in ops)
    return [replace(op, **changes) if op.out == out else op for op in ops]


def body(change: Callable[[list[Op]], list[Op]]) -> Pass:
    return lambda program: with_body(program, change)


def drop_an_op(program: Program) -> Program:
    return with_body(program, lambda ops: [op for op in ops if op.out != "l0.z"])


def hoist_a_step_value(program: Program) -> Program:
    stage, loop = program.stages[0], program.loops[0]
    moved = next(op for op in loop.body if op.out == "l0.U_h")
    rest = tuple(op for op in loop.body if op is not moved)
    return replace(program, stages=(replace(stage, before=(*stage.before, moved), loops=(replace(loop, body=rest),)),))


def pack_a_sequence(program: Program) -> Program:
    stage = program.stages[0]
    return replace(program, pack=(*program.pack, *stage.before), stages=(replace(stage, before=()),))


def carry_another_width(program: Program) -> Program:
    stage, loop = program.stages[0], program.loops[0]
    states = (replace(loop.states[0], after="l0.z"), *loop.states[1:])
    return replace(program, stages=(replace(stage, loops=(replace(loop, states=states),)),))


def put_out_what_is_not_there(program: Program) -> Program:
    stage, loop = program.stages[0], program.loops[0]
    return replace(program, stages=(replace(stage, loops=(replace(loop, outputs={"l0:y.h": "l0.nothing"}),)),))


def return_a_step_value(program: Program) -> Program:
    return replace(program, output="l0.c'")


def transpose_a_state(ops: list[Op]) -> list[Op]:
    return [*ops, Op("l0.t", "transpose", ("l0.h",), (Integer(2), Integer(1)))]


K, N = Integer(2), Integer(3)
BROKEN: dict[str, tuple[Pass, str]] = {
    "an op is dropped": (drop_an_op, "step l0: l0.z.sigmoid = rows(l0.z, 0, 6) reads l0.z, which is not known there"),
    "the order is turned round": (
        body(lambda ops: ops[::-1]),
        "step l0: l0.h' = multiply(l0.o, l0.h'.1) reads l0.o, which is not known there",
    ),
    "matrix and vector change places": (
        body(lambda ops: replaced(ops, "l0.U_h", args=("l0.h", "l0.U"))),
        "step l0: l0.U_h = product(l0.h, l0.U) takes l0.h as its matrix, which is no weight",
    ),
    "a step value is hoisted": (
        hoist_a_step_value,
        "before l0: l0.U_h = product(l0.U, l0.h) reads l0.h, which is not known there",
    ),
    "a sequence is packed": (pack_a_sequence, "pack: l0.W_x = product(l0.W, x) reads x, which is not known there"),
    "a name is defined twice": (body(lambda ops: [*ops, ops[-1]]), "step l0: l0.h' is defined twice"),
    "a weight is hidden": (
        body(lambda ops: [Op("l0.U", "tanh", ("l0.h",), (K,)), *ops]),
        "step l0: l0.U is defined twice",
    ),
    "a shape is wrong": (
        body(lambda ops: replaced(ops, "l0.c'", shape=(N,))),
        "step l0: l0.c' = add(l0.c'.1, l0.c'.2) has the shape (2,), not (3,)",
    ),
    "a product does not fit": (
        body(lambda ops: replaced(ops, "l0.U_h", args=("l0.U", "x"))),
        "a product of 2 columns and 3 rows",
    ),
    "a sum does not fit": (
        body(lambda ops: replaced(ops, "l0.c'", args=("l0.c'.1", "l0.z"))),
        "add of different shapes: [(2,), (8,)]",
    ),
    "rows are out of range": (
        body(lambda ops: replaced(ops, "l0.o", numbers=(Integer(6), Integer(8)))),
        "rows 6 to 8 of 6",
    ),
    "an argument is lost": (body(lambda ops: replaced(ops, "l0.c'", args=("l0.c'.1",))), "add of 1"),
    "a kind is unknown": (body(lambda ops: replaced(ops, "l0.c'", kind="plus")), "no op is called plus"),
    "time is turned inside a step": (
        body(lambda ops: [*ops, Op("l0.r", "reverse_time", ("l0.h",), (K,))]),
        "step l0: l0.r = reverse_time(l0.h) stands where there is no sequence",
    ),
    "a state is transposed": (
        body(transpose_a_state),
        "step l0: l0.t = transpose(l0.h) takes l0.h as its matrix, which is no weight",
    ),
    "a join has two widths": (
        lambda program: replace(program, pack=(*program.pack, Op("l0.j", "stack", ("l0.W", "l0.U"), (K, N)))),
        "stack of different widths: [(8, 3), (8, 2)]",
    ),
    "another width is carried": (carry_another_width, "l0: l0.z does not carry l0.h on: (2,)"),
    "what is put out is not there": (put_out_what_is_not_there, "l0: l0.nothing is put out but not computed"),
    "a step value is returned": (return_a_step_value, "the output l0.c' is not computed"),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_pass_is_caught(way: str) -> None:
    broken, message = BROKEN[way]
    with pytest.raises(InternalError) as caught:
        optimize(lower(lstm(3, 2)), (*PASSES, broken))
    assert str(caught.value) == message


@some
@given(cell=moderate_cells(), data=st.data())
def test_dropping_any_op_that_is_read_is_caught(cell: Cell, data: st.DataObject) -> None:
    program = optimize(lower(numbered(cell)))
    names = [op.out for op in (*program.pack, *program.stages[0].before, *program.loops[0].body)]
    assume(names)
    lost = data.draw(st.sampled_from(names))
    with pytest.raises(InternalError):
        verify(map_regions(program, lambda ops: tuple(op for op in ops if op.out != lost)))


def test_verify_returns_the_program_itself() -> None:
    program = lower(lstm(3, 2))
    assert verify(program) is program
    assert optimize(program, ()) is program
