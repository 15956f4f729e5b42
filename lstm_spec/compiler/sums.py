"""What the passes share: sums seen as lists of signed terms, fresh names, and ops put back in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from lstm_spec.compiler.program import WEIGHT, Loop, Op, Program, levels, shapes, uses

Term = tuple[str, str]  # ("add" or "subtract", name)


def change_bodies(program: Program, change: Callable[[Loop], Iterable[Op]]) -> Program:
    """The program with `change(loop)` as the body of each loop."""
    stages = tuple(
        replace(s, loops=tuple(replace(loop, body=tuple(change(loop))) for loop in s.loops)) for s in program.stages
    )
    return replace(program, stages=stages)


def summed(out: str, terms: list[Term], shape: tuple[Any, ...], fresh: Fresh) -> list[Op]:
    """`((a + b) + c)`, the last op named `out`."""
    ops: list[Op] = []
    so_far = terms[0][1]
    for number, (kind, term) in enumerate(terms[1:], 1):
        name = out if number == len(terms) - 1 else fresh(f"{out}.{number}")
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


def added_first(terms: list[Term]) -> list[Term]:
    """A sum cannot start with a subtraction: the first added term comes first, if there is one."""
    first = next((i for i, (kind, _) in enumerate(terms) if kind == "add"), 0)
    return [*terms[first : first + 1], *terms[:first], *terms[first + 1 :]]


def tallest(terms: list[Term], known: dict[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return max((known[name] for _, name in terms), key=len)
