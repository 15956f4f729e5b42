"""The program: what a layer computes, op by op, in four regions; `verifier` says what each region may read.

    pack      weights only, once
    before    whole sequences (T, B, ·), for each layer of the stack; merges of the layer below stand here too
    step      one time step (B, ·): a loop for each direction, carrying the states
    after     whole sequences again: the output

An op has a name, a kind, the names it reads, numbers, and a shape in size letters or numbers without T and B. Making
the code faster is moving an op to another region. The program has no order of its own to decide: lists are in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Integer

from lstm_spec.compiler.ops import OF_SEQUENCES, Size
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.printing import size_text

WEIGHT, SEQUENCE, STEP = 0, 1, 2  # levels: known once, known for all t at once, known at its step


@dataclass(frozen=True, slots=True)
class Op:
    """`out = kind(args, numbers)`; `shape` is `(rows,)`, `(rows, columns)` for weights, `()` for a number."""

    out: str
    kind: str
    args: tuple[str, ...]
    shape: tuple[Size, ...]
    numbers: tuple[Any, ...] = ()

    def __str__(self) -> str:
        inside = ", ".join([*self.args, *map(size_text, self.numbers)])
        return f"{self.out} = {self.kind}({inside})"


@dataclass(frozen=True, slots=True)
class Carried:
    """A state of a loop: its name before the step, the value after it, its name after the last step."""

    before: str
    after: str
    final: str
    shape: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """One direction of one layer: `body` once a step. `outputs` maps a sequence's name to the step's value.

    `totals` are ops of `TOTALS` on the step's values, added up over the steps. A `backward` loop takes the steps from
    the last to the first; every sequence that it reads or puts out is in the order of the forward loop.
    """

    name: str
    states: tuple[Carried, ...]
    body: tuple[Op, ...]
    outputs: Mapping[str, str]
    totals: tuple[Op, ...] = ()
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One layer of the stack."""

    before: tuple[Op, ...]
    loops: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class Gradients:
    """What a program's backward loops take and give: the gradient of y in; those of x and the parameters out.

    The gradients of the final states come in as the states of the backward loops, and leave as those of the initial
    states; `states` has the name of each, `l0.h` → `l0.d_h`.
    """

    output: str
    input: str
    parameters: Mapping[str, str]
    states: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Program:
    """What a layer computes. `parameters` and `input` come in, `output` and every loop's final states go out.

    With a `mask`, that sequence comes in too: `alive (T, B, 1)`, which steps of which sample are there.
    """

    layer: Layer
    parameters: Mapping[str, tuple[Size, ...]]
    input: str
    pack: tuple[Op, ...]
    stages: tuple[Stage, ...]
    after: tuple[Op, ...]
    output: str
    mask: str | None = None
    gradients: Gradients | None = None

    @property
    def inputs(self) -> dict[str, tuple[Size, ...]]:
        """The sequences that come in, with their shapes."""
        found = {self.input: input_shape(self.layer)} | ({self.mask: (Integer(1),)} if self.mask else {})
        return found | ({self.gradients.output: (self.layer.output_width,)} if self.gradients else {})

    @property
    def results(self) -> tuple[str, ...]:
        """What goes out: y, every state after its loop, the gradients of x and of each parameter."""
        given = (self.gradients.input, *self.gradients.parameters.values()) if self.gradients else ()
        return (self.output, *(s.final for s in self.states), *given)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Every loop, in order."""
        return tuple(loop for stage in self.stages for loop in stage.loops)

    @property
    def states(self) -> tuple[Carried, ...]:
        """Every state of every loop: the forward ones in order, then their gradients in the same order."""
        found = {state.before: state for loop in self.loops for state in loop.states}
        back = [found.pop(d) for d in self.gradients.states.values()] if self.gradients else []
        return (*found.values(), *back)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from self._region("pack", self.pack)
        for number, stage in enumerate(self.stages):
            later = 2 * self.layer.layers - 1 - number
            title = f"before l{number}" if number < self.layer.layers else f"before l{later}.backward"
            yield from self._region(title, stage.before)
            for loop in stage.loops:
                carried = ", ".join(f"{s.before} -> {s.after}" for s in loop.states)
                time = ", from the last" if loop.backward else ""
                yield from self._region(f"step {loop.name}{time}: {carried}", loop.body)
                yield from (f"  {sequence}[t] = {value}" for sequence, value in loop.outputs.items())
                yield from self._region("", loop.totals, "+=")
        yield from self._region("after", self.after)
        yield f"return {', '.join(self.results)}"

    def _region(self, title: str, ops: tuple[Op, ...], sign: str = "=") -> Iterator[str]:
        if title and (ops or title.startswith("step")):
            yield title
        letters = self.layer.cell.letters
        for op in ops:
            shape = ", ".join(size_text(s, letters) for s in op.shape)
            yield f"  {str(op).replace(' = ', f' {sign} ', 1):<52} ({shape})"


# ---- walking and rebuilding ----


def levels(program: Program) -> dict[str, int]:
    """How early each name is known, by what it reads: a weight, a sequence or a step's value."""
    known = dict.fromkeys(program.parameters, WEIGHT) | dict.fromkeys(program.inputs, SEQUENCE)

    def add(ops: Iterable[Op], least: int) -> None:
        for op in ops:
            is_over_time = op.kind in OF_SEQUENCES  # an initial state too is known before its loop
            known[op.out] = SEQUENCE if is_over_time else max([least, *(known[a] for a in op.args)])

    add(program.pack, WEIGHT)
    for stage in program.stages:
        add(stage.before, WEIGHT)
        for loop in stage.loops:
            known |= dict.fromkeys((s.before for s in loop.states), STEP)
            add(loop.body, WEIGHT)
            finished = [*loop.outputs, *(s.final for s in loop.states), *(op.out for op in loop.totals)]
            known |= dict.fromkeys(finished, SEQUENCE)
    add(program.after, WEIGHT)
    return known


def shapes(program: Program) -> dict[str, tuple[Size, ...]]:
    """The shape of every name of the program."""
    known = dict(program.parameters) | program.inputs
    for op in program.pack:
        known[op.out] = op.shape
    for stage in program.stages:
        known |= {op.out: op.shape for op in stage.before}
        for loop in stage.loops:
            known |= {s.before: s.shape for s in loop.states} | {s.final: s.shape for s in loop.states}
            known |= {op.out: op.shape for op in (*loop.body, *loop.totals)}
            known |= {sequence: known[value] for sequence, value in loop.outputs.items()}
    known |= {op.out: op.shape for op in program.after}
    return known


def input_shape(layer: Layer) -> tuple[Size, ...]:
    """The input's rows in the sizes given."""
    from lstm_spec.layers.sizes import symbols

    return tuple(s.xreplace(symbols(layer.sizes)) for s in layer.cell.inputs[0].size)


def uses(program: Program) -> dict[str, int]:
    """How often each name is read."""
    counted: dict[str, int] = {}
    ops = [*program.pack, *program.after, *(op for s in program.stages for op in s.before)]
    ops += [op for loop in program.loops for op in (*loop.body, *loop.totals)]
    read = [a for op in ops for a in op.args]
    read += [v for loop in program.loops for v in (*loop.outputs.values(), *(s.after for s in loop.states))]
    finals = {s.final for s in program.states}
    for name in [*read, *(name for name in program.results if name not in finals)]:
        counted[name] = counted.get(name, 0) + 1
    return counted
