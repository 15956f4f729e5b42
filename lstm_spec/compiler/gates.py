"""Gates side by side: sums that read the same vectors as the rows of one, and one function of neighbouring rows.

Used by the passes `pack_gates` and `pack_activations`, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sympy import Integer

from lstm_spec.compiler.program import WEIGHT, Loop, Op, Program, levels, shapes
from lstm_spec.compiler.sums import Fresh, Sums, Term, added_first, in_order, summed


@dataclass(frozen=True, slots=True)
class _Gate:
    """One sum: the terms that can stand in a stack, those that cannot, and what reads the result."""

    op: Op
    stackable: tuple[Term, ...]
    rest: tuple[Term, ...]
    signature: tuple[Any, ...]
    function: str


class GatePacker:
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
            stackable = tuple(added_first([t for t in terms if self._stackable(t, op)]))
            if any(self._product(name) for _, name in stackable) and stackable[0][0] == "add":
                signature = tuple(
                    (kind, p.args[1] if (p := self._product(name)) else "weight") for kind, name in stackable
                )
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
        ops = summed(whole, terms, shape, self.fresh)
        renamed = {op.out: self.fresh(f"{whole}_{vectors[op.args[1]]}") for op in ops[:-1] if op.args[1] in vectors}
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
                yield from summed(gate.op.out, [("add", name), *gate.rest], gate.op.shape, self.fresh)
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


def neighbours(group: list[Op], made: dict[str, Op]) -> Iterator[list[Op]]:
    """The stretches of two or more ops that read rows without a gap between them."""
    by_start = {made[op.args[0]].numbers[0]: op for op in group}
    starts = {made[op.args[0]].numbers[1] for op in group}
    for first in [op for start, op in by_start.items() if start not in starts]:
        run = [first]
        while made[run[-1].args[0]].numbers[1] in by_start:
            run.append(by_start[made[run[-1].args[0]].numbers[1]])
        if len(run) > 1:
            yield run


def merge_activations(body: list[Op], run: list[Op], made: dict[str, Op], fresh: Fresh) -> list[Op]:
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
