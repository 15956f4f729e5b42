"""Program → faster program. Each pass says before → after; all of them are one idea: an op moves to another region.

Every pass keeps what is computed, up to the rounding of a reordered sum. `PASSES` reads as the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from sympy import Integer

from lstm_spec.compiler.program import (
    SEQUENCE,
    STEP,
    WEIGHT,
    Loop,
    Op,
    Program,
    levels,
    shapes,
    uses,
    verify,
)
from lstm_spec.symbolic.algebra import FUNCTIONS

Pass = Callable[[Program], Program]
Term = tuple[str, str]  # ("add" or "subtract", name)


def split_joined_products(program: Program) -> Program:
    """`W [h, x]` → `W[:, :k] h + W[:, k:] x`, so that the part that reads x can be hoisted."""
    size = shapes(program)
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
                stop, product = start + size[part][0], f"{op.out}[{len(terms)}]"
                block = f"{op.args[0]}[:, {start}:{stop}]"
                blocks[block] = Op(block, "columns", op.args[:1], (op.shape[0], size[part][0]), (start, stop))
                yield Op(product, "product", (block, part), op.shape)
                terms.append(("add", product))
                start = stop
            yield from summed(op.out, terms, op.shape)

    changed = change_bodies(program, change)
    return replace(changed, pack=(*program.pack, *blocks.values()))


def fold_biases(program: Program) -> Program:
    """`W x + b_W + U h + b_U` → `((b_W + b_U) + W x) + U h`: in a sum, what is known earlier comes first."""
    level = levels(program)
    sums = Sums(program)

    def change(loop: Loop) -> Iterator[Op]:
        for op in sums.without_inner(loop.body):
            terms = sums.terms(op)
            ranked = sorted(terms, key=lambda term: level[term[1]])  # stable: as written within a level
            early = [t for t in ranked if level[t[1]] == WEIGHT]
            if len(terms) < 2 or early and early[0][0] == "subtract":
                yield from (*sums.inner(op), op)
            elif 1 < len(early) < len(ranked):
                folded = f"{op.out}.b"
                yield from summed(folded, early, _tallest(early, shapes(program)))
                yield from summed(op.out, [("add", folded), *ranked[len(early) :]], op.shape)
            else:
                yield from summed(op.out, _added_first(ranked), op.shape)

    return change_bodies(program, change)


def hoist_weights(program: Program) -> Program:
    """What reads weights only leaves the step for `pack`, where it is computed once."""
    level = levels(program)
    moved = tuple(op for loop in program.loops for op in loop.body if level[op.out] == WEIGHT)
    changed = change_bodies(program, lambda loop: (op for op in loop.body if level[op.out] > WEIGHT))
    return replace(changed, pack=(*program.pack, *moved))


def pack_gates(program: Program) -> Program:
    """`W_i x + U_i h`, `W_f x + U_f h`, … → the rows of one `[W_i; W_f; …] x + [U_i; U_f; …] h`."""
    packer = _GatePacker(program)
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
            for run in _neighbours(group, made):
                body = _merge_activations(body, run, made, fresh)
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


def optimize(program: Program, passes: tuple[Pass, ...] = PASSES) -> Program:
    """The program after every pass, verified after each."""
    for change in passes:
        program = verify(change(program))
    return program


# ---- what passes share ----


def change_bodies(program: Program, change: Callable[[Loop], Iterable[Op]]) -> Program:
    """The program with `change(loop)` as the body of each loop."""
    stages = tuple(
        replace(s, loops=tuple(replace(loop, body=tuple(change(loop))) for loop in s.loops)) for s in program.stages
    )
    return replace(program, stages=stages)


def summed(out: str, terms: list[Term], shape: tuple[Any, ...]) -> list[Op]:
    """`((a + b) + c)`, the last op named `out`."""
    ops: list[Op] = []
    so_far = terms[0][1]
    for number, (kind, term) in enumerate(terms[1:], 1):
        name = out if number == len(terms) - 1 else f"{out}.{number}"
        ops.append(Op(name, kind, (so_far, term), shape))
        so_far = name
    return ops


def in_order(ops: list[Op]) -> list[Op]:
    """The ops so that each stands after those it reads, otherwise as they are."""
    made = {op.out: op for op in ops}
    placed: dict[str, Op] = {}

    def place(op: Op) -> None:
        for arg in op.args:
            if arg in made and arg not in placed:
                place(made[arg])
        placed.setdefault(op.out, op)

    for op in ops:
        place(op)
    return list(placed.values())


class Fresh:
    """Names that no op of the program has yet."""

    def __init__(self, program: Program) -> None:
        self.taken = set(shapes(program))

    def __call__(self, base: str) -> str:
        name = next(n for n in (base if i == 1 else f"{base}{i}" for i in count(1)) if n not in self.taken)
        self.taken.add(name)
        return name


class Sums:
    """The sums of a program, each seen as a list of signed terms through the sums that only it reads."""

    def __init__(self, program: Program) -> None:
        self.made = {op.out: op for loop in program.loops for op in loop.body}
        self.level = levels(program)
        self.read = uses(program)

    def is_sum(self, op: Op) -> bool:
        """Whether an op adds or subtracts; what is known from the weights alone counts as one term."""
        return op.kind in ("add", "subtract")

    def _is_inner(self, name: str) -> bool:
        op = self.made.get(name)
        return op is not None and self.is_sum(op) and self.read[name] == 1 and self.level[name] > WEIGHT

    def inner(self, op: Op) -> Iterator[Op]:
        """The sums inside a sum, innermost first."""
        for arg in op.args if self.is_sum(op) else ():
            if self._is_inner(arg):
                yield from (*self.inner(self.made[arg]), self.made[arg])

    def without_inner(self, body: Iterable[Op]) -> list[Op]:
        """The ops but those inside another sum."""
        body = list(body)
        hidden = {inner.out for op in body for inner in self.inner(op)}
        return [op for op in body if op.out not in hidden]

    def terms(self, op: Op) -> list[Term]:
        """The signed terms of a sum, in the written order; none for another op."""
        found: list[Term] = []
        for side, arg in enumerate(op.args if self.is_sum(op) else ()):
            minus = side == 1 and op.kind == "subtract"
            for kind, name in self.terms(self.made[arg]) if self._is_inner(arg) else [("add", arg)]:
                found.append(("subtract" if minus == (kind == "add") else "add", name))
        return found


def _added_first(terms: list[Term]) -> list[Term]:
    """A sum cannot start with a subtraction: the first added term comes first."""
    first = next((t for t in terms if t[0] == "add"), terms[0])
    return [first, *(t for t in terms if t is not first)]


def _tallest(terms: list[Term], known: dict[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return max((known[name] for _, name in terms), key=len)


@dataclass(frozen=True, slots=True)
class _Gate:
    """One sum: the terms that can stand in a stack, those that cannot, and what reads the result."""

    op: Op
    stackable: tuple[Term, ...]
    rest: tuple[Term, ...]
    signature: tuple[Any, ...]
    function: str


class _GatePacker:
    def __init__(self, program: Program) -> None:
        self.sums, self.level, self.shapes = Sums(program), levels(program), shapes(program)
        self.fresh = Fresh(program)
        self.stacks: dict[tuple[str, ...], Op] = {}

    def change(self, loop: Loop) -> list[Op]:
        """The body with the gates of each signature packed."""
        groups: dict[Any, list[_Gate]] = {}
        for gate in self._gates(loop):
            groups.setdefault(gate.signature, []).append(gate)
        body = list(loop.body)
        for gates in groups.values():
            if len(gates) > 1:
                first = {g.function: -i for i, g in reversed(list(enumerate(gates)))}
                body = self._packed(body, sorted(gates, key=lambda g: -first[g.function]), loop.name)
        return in_order(body)

    def _gates(self, loop: Loop) -> Iterator[_Gate]:
        readers = {arg: op for op in reversed(loop.body) for arg in op.args}
        inside = {name for op in loop.body for _, name in self.sums.terms(op)}
        for op in self.sums.without_inner(loop.body):
            terms = self.sums.terms(op) or ([("add", op.out)] if op.out not in inside else [])
            stackable = tuple(t for t in terms if self._stackable(t, op))
            if any(self._product(name) for _, name in stackable):
                signature = tuple((kind, p.args[1] if (p := self._product(name)) else "weight") for kind, name in stackable)
                rest = tuple(t for t in terms if t not in stackable)
                reader = readers[op.out].kind if op.out in readers else ""
                yield _Gate(op, stackable, rest, signature, reader)

    def _product(self, name: str) -> Op | None:
        op = self.sums.made.get(name)
        return op if op is not None and op.kind == "product" else None

    def _stackable(self, term: Term, op: Op) -> bool:
        kind, name = term
        if product := self._product(name):
            return self.level[product.args[0]] == WEIGHT and self.sums.read[name] == 1
        return self.level[name] == WEIGHT and kind == "add" and self.shapes[name] == op.shape

    def _packed(self, body: list[Op], gates: list[_Gate], prefix: str) -> list[Op]:
        height = sum((g.op.shape[0] for g in gates), Integer(0))
        made: list[Op] = []
        terms: list[Term] = []
        for position, (kind, _) in enumerate(gates[0].stackable):
            names = [g.stackable[position][1] for g in gates]
            product = self._product(names[0])
            if product:
                stack = self._stack([self.sums.made[n].args[0] for n in names], prefix)
                vector = product.args[1].rpartition(".")[2].rpartition(":")[2]
                made.append(Op(self.fresh(f"{stack}_{vector}"), "product", (stack, product.args[1]), (height,)))
                terms.append((kind, made[-1].out))
            else:
                terms.append((kind, self._stack(names, prefix)))
        whole = terms[0][1]
        if len(terms) > 1:
            whole = self.fresh(f"{prefix}.z")
            made += self._summed(whole, terms, (height,), made)
        made += self._unpacked(gates, whole)
        gone = {g.op.out for g in gates} | {i.out for g in gates for i in self.sums.inner(g.op)}
        gone |= {name for g in gates for _, name in g.stackable}
        return [*made, *(op for op in body if op.out not in gone)]

    def _summed(self, whole: str, terms: list[Term], shape: tuple[Any, ...], made: list[Op]) -> list[Op]:
        """The sum, its parts named by the vector they have read: `z_x` is what x gives to z."""
        vectors = {op.out: op.out.rpartition("_")[2] for op in made}
        ops = summed(whole, terms, shape)
        renamed = {
            op.out: self.fresh(f"{whole}_{vectors[op.args[1]]}") for op in ops[:-1] if op.args[1] in vectors
        }
        return [
            replace(op, out=renamed.get(op.out, op.out), args=tuple(renamed.get(a, a) for a in op.args)) for op in ops
        ]

    def _unpacked(self, gates: list[_Gate], whole: str) -> Iterator[Op]:
        start: Any = Integer(0)
        for gate in gates:
            stop = start + gate.op.shape[0]
            name = self.fresh(f"{gate.op.out}.z") if gate.rest else gate.op.out
            yield Op(name, "rows", (whole,), gate.op.shape, (start, stop))
            if gate.rest:
                yield from summed(gate.op.out, [("add", name), *gate.rest], gate.op.shape)
            start = stop

    def _stack(self, names: list[str], prefix: str) -> str:
        key = tuple(names)
        if key not in self.stacks:
            parts = [self.shapes[n] for n in names]
            name = self.fresh(f"{prefix}.{_stem([n.removeprefix(prefix + '.') for n in names])}")
            self.stacks[key] = Op(name, "stack", key, (sum((p[0] for p in parts), Integer(0)), *parts[0][1:]))
        return self.stacks[key].out


def _stem(names: list[str]) -> str:
    """What packed names are called: `W_i, W_f, …` → `W`, folded biases → `b`."""
    first = names[0]
    return "b" if first.endswith(".b") else first.partition("_")[0]


def _neighbours(group: list[Op], made: dict[str, Op]) -> Iterator[list[Op]]:
    """The stretches of two or more ops that read rows without a gap between them."""
    by_start = {made[op.args[0]].numbers[0]: op for op in group}
    starts = {made[op.args[0]].numbers[1] for op in group}
    for first in [op for start, op in by_start.items() if start not in starts]:
        run = [first]
        while made[run[-1].args[0]].numbers[1] in by_start:
            run.append(by_start[made[run[-1].args[0]].numbers[1]])
        if len(run) > 1:
            yield run


def _merge_activations(body: list[Op], run: list[Op], made: dict[str, Op], fresh: Fresh) -> list[Op]:
    slices = [made[op.args[0]] for op in run]
    start, stop = slices[0].numbers[0], slices[-1].numbers[1]
    prefix = run[0].out.rpartition(".")[0]
    rows = Op(fresh(f"{slices[0].args[0]}.{run[0].kind}"), "rows", slices[0].args, (stop - start,), (start, stop))
    whole = Op(fresh(f"{prefix}.s"), run[0].kind, (rows.out,), (stop - start,), run[0].numbers)
    parts = [
        Op(op.out, "rows", (whole.out,), op.shape, (here.numbers[0] - start, here.numbers[1] - start))
        for op, here in zip(run, slices, strict=True)
    ]
    gone = {op.out for op in run}
    return [rows, whole, *parts, *(op for op in body if op.out not in gone)]


