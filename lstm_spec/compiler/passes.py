"""Program → faster program. Each pass says before → after; all of them are one idea: an op moves to another region.

Every pass keeps what is computed, up to the rounding of a reordered sum. `PASSES` reads as the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from sympy import Integer

from lstm_spec.compiler.gates import GatePacker, merge_activations, neighbours
from lstm_spec.compiler.leaving import fold_factors, join_gate_gradients, leave_loops, read_hoisted
from lstm_spec.compiler.program import SEQUENCE, STEP, WEIGHT, Loop, Op, Program, levels, shapes, uses
from lstm_spec.compiler.sums import Fresh, Sums, Term, added_first, change_bodies, in_order, summed, tallest
from lstm_spec.compiler.verifier import verify
from lstm_spec.symbolic.algebra import FUNCTIONS

Pass = Callable[[Program], Program]


def split_joined_products(program: Program) -> Program:
    """`W [h, x]` → `W[:, :k] h + W[:, k:] x`, so that the part that reads x can be hoisted."""
    size, fresh = shapes(program), Fresh(program)
    blocks: dict[str, Op] = {}

    def change(loop: Loop) -> Iterator[Op]:
        joins = {op.out: op for op in loop.body if op.kind == "join"}
        for op in loop.body:
            if op.kind != "product" or op.args[1] not in joins:
                yield op
                continue
            terms: list[Term] = []
            start = Integer(0)
            for part in joins[op.args[1]].args:
                stop, product = start + size[part][0], fresh(f"{op.out}[{len(terms)}]")
                block = f"{op.args[0]}[:, {start}:{stop}]"
                blocks[block] = Op(block, "columns", op.args[:1], (op.shape[0], size[part][0]), (start, stop))
                yield Op(product, "product", (block, part), op.shape)
                terms.append(("add", product))
                start = stop
            yield from summed(op.out, terms, op.shape, fresh)

    changed = change_bodies(program, change)
    return replace(changed, pack=(*program.pack, *blocks.values()))


def fold_biases(program: Program) -> Program:
    """`W x + b_W + U h + b_U` → `((b_W + b_U) + W x) + U h`: in a sum, what is known earlier comes first."""
    level, size = levels(program), shapes(program)
    sums, fresh = Sums(program), Fresh(program)

    def change(loop: Loop) -> Iterator[Op]:
        for op in sums.without_inner(loop.body):
            terms = sums.terms(op)
            # stable: as written within a level, but numbers last, so that no sum of numbers stands first
            ranked = sorted(terms, key=lambda term: (level[term[1]], size[term[1]] == ()))
            early = added_first([t for t in ranked if level[t[1]] == WEIGHT])
            if len(terms) < 2 or (early and early[0][0] == "subtract"):
                yield from (*sums.inner(op), op)
            elif 1 < len(early) < len(ranked):
                folded = fresh(f"{op.out}.b")
                yield from summed(folded, early, tallest(early, size), fresh)
                yield from summed(op.out, [("add", folded), *ranked[len(early) :]], op.shape, fresh)
            else:
                yield from summed(op.out, added_first(ranked), op.shape, fresh)

    return change_bodies(program, change)


def hoist_weights(program: Program) -> Program:
    """What reads weights only leaves the step for `pack`, where it is computed once."""
    level = levels(program)
    moved = tuple(op for loop in program.loops for op in loop.body if level[op.out] == WEIGHT)
    changed = change_bodies(program, lambda loop: (op for op in loop.body if level[op.out] > WEIGHT))
    return replace(changed, pack=(*program.pack, *moved))


def pack_gates(program: Program) -> Program:
    """`W_i x + U_i h`, `W_f x + U_f h`, … → the rows of one `[W_i; W_f; …] x + [U_i; U_f; …] h`."""
    packer = GatePacker(program)
    changed = change_bodies(program, packer.change)
    return replace(changed, pack=(*program.pack, *packer.stacks.values()))


def pack_activations(program: Program) -> Program:
    """`sigmoid(z[0:k])`, `sigmoid(z[k:2k])` → the rows of one `sigmoid(z[0:2k])`."""
    fresh = Fresh(program)

    def change(loop: Loop) -> list[Op]:
        made = {op.out: op for op in loop.body}
        entrywise = [op for op in loop.body if op.kind in FUNCTIONS and not FUNCTIONS[op.kind].across]
        groups: dict[Any, list[Op]] = {}
        for op in entrywise:
            if len(op.args) == 1 and op.args[0] in made and made[op.args[0]].kind == "rows":
                groups.setdefault((op.kind, op.numbers, made[op.args[0]].args[0]), []).append(op)
        body = list(loop.body)
        for group in groups.values():
            for run in neighbours(group, made):
                body = merge_activations(body, run, made, fresh)
        return in_order(body)

    return change_bodies(program, change)


def hoist_input_products(program: Program) -> Program:
    """What reads no state leaves the step for `before`: one product over all time steps instead of T small ones."""
    level = levels(program)
    stages = tuple(
        replace(
            stage,
            before=(*stage.before, *(op for loop in stage.loops for op in loop.body if level[op.out] == SEQUENCE)),
            loops=tuple(
                replace(loop, body=tuple(op for op in loop.body if level[op.out] == STEP)) for loop in stage.loops
            ),
        )
        for stage in program.stages
    )
    return replace(program, stages=stages)


def drop_unread(program: Program) -> Program:
    """An op that nobody reads is gone."""
    while True:
        read = uses(program)

        def keep(ops: Iterable[Op], read: dict[str, int] = read) -> tuple[Op, ...]:
            return tuple(op for op in ops if op.out in read)

        stages = tuple(
            replace(s, before=keep(s.before), loops=tuple(replace(lp, body=keep(lp.body)) for lp in s.loops))
            for s in program.stages
        )
        smaller = replace(program, pack=keep(program.pack), stages=stages, after=keep(program.after))
        if smaller == program:
            return program
        program = smaller


PASSES: tuple[Pass, ...] = (
    split_joined_products,
    fold_biases,
    hoist_weights,
    pack_gates,
    pack_activations,
    hoist_input_products,
    drop_unread,
)
GRADIENT_PASSES: tuple[Pass, ...] = (
    *PASSES[:2],
    fold_factors,
    *PASSES[2:6],
    read_hoisted,
    join_gate_gradients,
    leave_loops,
    drop_unread,
)


def optimize(program: Program, passes: tuple[Pass, ...] | None = None) -> Program:
    """The program after every pass, verified after each; without `passes` those for its kind."""
    default = GRADIENT_PASSES if program.gradients else PASSES
    for change in default if passes is None else passes:
        program = verify(change(program))
    return program
