"""Passes over backward loops: gate gradients side by side, and all that no state needs leaves the loop.

The mirror of packing gates and hoisting input products: `U_i^T d_i + U_f^T d_f` becomes one product, the gradients of
the weights one product over all time steps and samples, and the gradient of x one over the whole sequence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sympy import Integer

from lstm_spec.compiler.program import SEQUENCE, STEP, WEIGHT, Gradients, Loop, Op, Program, Stage, levels, shapes, uses
from lstm_spec.compiler.sums import Fresh, Sums, Term, in_order, summed

NUMBERED = re.compile(r"\.[0-9]+$")  # `l0.e_c.5` is a part of `l0.e_c`


def read_hoisted(program: Program) -> Program:
    """`g_all[t] = g[t]`, where all of g is known before the loop → g itself is read."""
    level = levels(program)
    same: dict[str, str] = {}
    stages: list[Stage] = []
    for stage in program.stages:
        loops = []
        for loop in stage.loops:
            known = {s: v for s, v in loop.outputs.items() if level[v] == SEQUENCE and not loop.backward}
            same |= known
            loops.append(replace(loop, outputs={s: v for s, v in loop.outputs.items() if s not in known}))
        stages.append(replace(stage, loops=tuple(loops)))
    return rename(replace(program, stages=tuple(stages)), same)


def rename(program: Program, same: Mapping[str, str]) -> Program:
    """The program reading other names for some."""

    def ops(some: Iterable[Op]) -> tuple[Op, ...]:
        return tuple(replace(op, args=tuple(same.get(a, a) for a in op.args)) for op in some)

    def loop(one: Loop) -> Loop:
        outputs = {sequence: same.get(value, value) for sequence, value in one.outputs.items()}
        return replace(one, body=ops(one.body), outputs=outputs, totals=ops(one.totals))

    stages = tuple(Stage(ops(s.before), tuple(map(loop, s.loops))) for s in program.stages)
    gradients = program.gradients
    if gradients:
        parameters = {name: same.get(d, d) for name, d in gradients.parameters.items()}
        d_x = same.get(gradients.input, gradients.input)
        gradients = Gradients(gradients.output, d_x, parameters, gradients.states)
    output = same.get(program.output, program.output)
    return replace(program, stages=stages, after=ops(program.after), output=output, gradients=gradients)


def fold_factors(program: Program) -> Program:
    """`((e_h * tanh_c) * o) * (1 - o)` → `e_h * (tanh_c * o * (1 - o))` in a backward step: what is known before the
    loop is multiplied there, for all steps at once."""
    level, fresh, read = levels(program), Fresh(program), uses(program)
    size = shapes(program)

    def change(loop: Loop) -> Loop:
        made = {op.out: op for op in loop.body if op.kind == "multiply"}
        inner = {a for op in made.values() for a in op.args if a in made and read[a] == 1}

        def factors(name: str) -> list[str]:
            return [f for a in made[name].args for f in (factors(a) if a in inner else [a])]

        body: list[Op] = []
        for op in loop.body:
            if op.out in inner:
                continue
            whole = factors(op.out) if op.kind == "multiply" else []
            early = [f for f in whole if level[f] < STEP]
            late = [f for f in whole if level[f] == STEP]
            if len(early) > 1 and late:
                folded = fresh(f"{NUMBERED.sub('', op.out)}.factor")
                body += multiplied(folded, early, size, fresh)
                body += multiplied(op.out, [*late, folded], size | {folded: op.shape}, fresh)
            elif whole:
                body += multiplied(op.out, whole, size, fresh)
            else:
                body.append(op)
        return replace(loop, body=tuple(in_order(body)))

    stages = tuple(
        replace(s, loops=tuple(change(loop) if loop.backward else loop for loop in s.loops)) for s in program.stages
    )
    return replace(program, stages=stages)


def multiplied(out: str, factors: list[str], size: Mapping[str, tuple[Any, ...]], fresh: Fresh) -> list[Op]:
    """`(a * b) * c`, the last op named `out`."""
    ops: list[Op] = []
    so_far, shape = factors[0], size[factors[0]]
    for number, factor in enumerate(factors[1:], 1):
        name = out if number == len(factors) - 1 else fresh(f"{out}.{number}")
        shape = max(shape, size[factor], key=len)
        ops.append(Op(name, "multiply", (so_far, factor), shape))
        so_far = name
    return ops


def join_gate_gradients(program: Program) -> Program:
    """`U_i^T d_i + U_f^T d_f + …` → `[U_i; U_f; …]^T [d_i, d_f, …]`, with the stack that the forward step reads."""
    joiner = _Joiner(program)
    stages = tuple(
        replace(s, loops=tuple(joiner.change(loop) if loop.backward else loop for loop in s.loops))
        for s in program.stages
    )
    return replace(program, stages=stages, pack=(*program.pack, *joiner.stacks))


class _Joiner:
    def __init__(self, program: Program) -> None:
        self.sums, self.level, self.fresh = Sums(program), levels(program), Fresh(program)
        self.shapes = shapes(program)
        self.known = {op.args: op.out for op in program.pack if op.kind == "stack"}
        self.stacks: list[Op] = []

    def change(self, loop: Loop) -> Loop:
        """The loop with each sum of turned products as one."""
        joins: dict[tuple[str, ...], Op] = {}
        body: list[Op] = []
        gone: set[str] = set()
        for op in self.sums.without_inner(loop.body):
            terms = self.sums.terms(op)
            turned = [self.sums.made[n] for kind, n in terms if self._is_turned(kind, n)]
            if len(turned) < 2:
                body += [*self.sums.inner(op), op]
                continue
            gone |= {t.out for t in turned}
            made, whole = self._joined(turned, joins, op)
            rest: list[Term] = [t for t in terms if t[1] not in gone]
            if rest:
                body += [
                    *made[:-1],
                    replace(made[-1], out=whole),
                    *summed(op.out, [("add", whole), *rest], op.shape, self.fresh),
                ]
            else:
                body += [*made[:-1], replace(made[-1], out=op.out)]
        return replace(loop, body=tuple(in_order([op for op in body if op.out not in gone])))

    def _is_turned(self, kind: str, name: str) -> bool:
        op = self.sums.made.get(name)
        is_one = op is not None and op.kind == "turned" and self.sums.read[name] == 1
        return is_one and kind == "add" and op is not None and self.level[op.args[0]] == WEIGHT

    def _joined(self, turned: list[Op], joins: dict[tuple[str, ...], Op], op: Op) -> tuple[list[Op], str]:
        """The ops of one product, the product last, and a name for it inside a longer sum."""
        by_weight = {t.args[0]: t for t in turned}
        if len(by_weight) < len(turned):  # one matrix twice: as they stand
            by_weight = {}
        order = next((key for key in self.known if by_weight and set(key) == set(by_weight)), None)
        ranked = [by_weight[w] for w in order] if order else turned
        weights, vectors = tuple(t.args[0] for t in ranked), tuple(t.args[1] for t in ranked)
        prefix = op.out.rpartition(".")[0]
        made: list[Op] = []
        if weights not in self.known:
            rows = sum((self.shapes[w][0] for w in weights), Integer(0))
            name = self.fresh(f"{prefix}.{weights[0].rpartition('.')[2].partition('_')[0]}")
            self.stacks.append(Op(name, "stack", weights, (rows, *self.shapes[weights[0]][1:])))
            self.known[weights] = name
        if vectors not in joins:
            rows = sum((self.shapes[v][0] for v in vectors), Integer(0))
            joins[vectors] = Op(self.fresh(f"{prefix}.d_z"), "join", vectors, (rows,))
            made.append(joins[vectors])
        made.append(Op("", "turned", (self.known[weights], joins[vectors].out), op.shape))
        return made, self.fresh(f"{op.out}.joined")


def leave_loops(program: Program) -> Program:
    """`d_W += d_z x^T`, `d_x = W^T d_z` in each backward step → after the loop, over the whole sequence at once."""
    pending: list[Op] = []
    stages: list[Stage] = []
    size, fresh = shapes(program), Fresh(program)
    for stage in program.stages:
        before, pending, loops = (*pending, *stage.before), [], []
        for loop in stage.loops:
            left = _Left(loop, size, fresh)
            loops.append(left.loop() if loop.backward else loop)
            pending += left.after
        stages.append(Stage(before, tuple(loops)))
    return replace(program, stages=tuple(stages), after=(*pending, *program.after))


@dataclass(slots=True)
class _Left:
    """One backward loop without what no state needs; `after` is what has left it."""

    old: Loop
    shapes: Mapping[str, tuple[Any, ...]]
    fresh: Fresh
    after: list[Op] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)  # a value of the step → its sequence
    local: set[str] = field(default_factory=set)

    def loop(self) -> Loop:
        """The loop that stays."""
        made = {op.out: op for op in self.old.body}
        needed = _closure([s.after for s in self.old.states], made)
        self.local = needed | {s.before for s in self.old.states}
        leaving = [op for op in self.old.body if op.out not in needed]
        named = {value: sequence for sequence, value in self.old.outputs.items()}
        renamed = {op.out: named[op.out] for op in leaving if op.out in named}
        for sequence, value in self.old.outputs.items():
            if value not in renamed:
                self.outputs[value] = sequence
        for op in leaving:
            args = tuple(renamed.get(a) or self._sequence(a) for a in op.args)
            self.after.append(replace(op, out=renamed.get(op.out, op.out), args=args))
        joins = [op for op in self.old.body if op.kind == "join"]
        for op in self._joined_totals(joins):
            args = tuple(renamed.get(a) or self._sequence(a) for a in op.args)
            self.after.append(replace(op, args=args))
        body = tuple(op for op in self.old.body if op.out in needed)
        return replace(self.old, body=body, outputs={s: v for v, s in self.outputs.items()}, totals=())

    def _sequence(self, name: str) -> str:
        """A step's value as a sequence: put out by the loop, where it is one of its own."""
        if name not in self.local:
            return name
        if name not in self.outputs:
            self.outputs[name] = self.fresh(f"{name}.all")
        return self.outputs[name]

    def _joined_totals(self, joins: list[Op]) -> list[Op]:
        """`d_i x^T`, `d_f x^T`, … as the rows of one `d_z x^T`, where d_z is there."""
        left = {op.out: op for op in self.old.totals}
        made: list[Op] = []
        for join in joins:
            for key in dict.fromkeys((op.kind, op.args[1:]) for op in self.old.totals):
                by_first = {op.args[0]: op for op in left.values() if (op.kind, op.args[1:]) == key}
                if set(join.args) <= set(by_first) and len(set(join.args)) == len(join.args):
                    parts = [by_first[a] for a in join.args]
                    made += self._whole(join, parts)
                    left = {out: op for out, op in left.items() if op not in parts}
        return [*made, *left.values()]

    def _whole(self, join: Op, parts: list[Op]) -> list[Op]:
        first = parts[0]
        stem = first.out.rpartition("_")[0] or first.out
        whole = self.fresh(stem)
        ops = [replace(first, out=whole, args=(join.out, *first.args[1:]), shape=(join.shape[0], *first.shape[1:]))]
        start: Any = Integer(0)
        for part in parts:
            stop = start + part.shape[0]
            kind = "block" if len(part.shape) == 2 else "rows"
            ops.append(Op(part.out, kind, (whole,), part.shape, (start, stop)))
            start = stop
        return ops


def _closure(names: Iterable[str], made: Mapping[str, Op]) -> set[str]:
    """The ops of a body that some values need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in made and name not in found:
            found.add(name)
            waiting += made[name].args
    return found
