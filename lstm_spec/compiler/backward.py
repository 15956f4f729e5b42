"""A program and what its layers were lowered from → the program whose backward loops follow.

For each layer from the top, one loop a direction runs the backward cell (`symbolic.gradient`) from the last step to the
first, over what the forward loops put out for it. Decides nothing about speed: totals stay in the loop, op by op.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lstm_spec.compiler.building import KIND, Builder
from lstm_spec.compiler.merging import Lowered, split_gradient
from lstm_spec.compiler.program import Carried, Gradients, Loop, Op, Program, Stage
from lstm_spec.errors import Finding, OptionError
from lstm_spec.symbolic.algebra import (
    Add,
    Divide,
    Multiply,
    Negate,
    Node,
    Number,
    Product,
    Subtract,
    Transpose,
    names,
    walk,
)
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.gradient import differentiate, name_gradients

D_Y = "d_y"


def follow_backward(program: Program, stack: list[list[Lowered]], pack: list[Op]) -> Program:
    """The program with a backward stage for each layer, and what its gradients are called.

    Raises OptionError for a masked program whose cells run through the padding.
    """
    layer = program.layer
    if program.mask and layer.padding == "run":
        message = "padding='run' has no gradient: y and the states come from two runs"
        raise OptionError(Finding("padding", message, help="padding='zero', or 'repeat'"))
    incoming, forward, backward = D_Y, list(program.stages), list[Stage]()
    pending, finishing = list(program.after), list[Op]()
    for index in reversed(range(layer.layers)):
        top = index == layer.layers - 1
        parts = split_gradient(layer, stack[index], incoming, top and layer.output == "last", pending)
        made = [_Backward(program, one, part, pack) for one, part in zip(stack[index], parts, strict=True)]
        loops = [one.loop() for one in made]
        forward[index] = replace(forward[index], loops=tuple(one.saving() for one in made))
        backward.append(Stage((*pending, *(op for one in made for op in one.before)), tuple(loops)))
        pending, incoming = _merged([one.d_input for one in made], index)
        finishing += [op for one in made for op in one.finish]
    members = [one for lowered in stack for one in lowered]
    return replace(
        program,
        pack=tuple(pack),
        stages=(*forward, *backward),
        after=(*pending, *finishing),
        gradients=Gradients(D_Y, incoming, *_gradient_names(layer.cell, members)),
    )


def _gradient_names(cell: Cell, members: list[Lowered]) -> Iterator[dict[str, str]]:
    named = name_gradients(cell)
    for role in (named.parameters, named.states):
        yield {f"{one.loop.name}.{own}": f"{one.loop.name}.{d}" for one in members for own, d in role.items()}


def _merged(sides: list[tuple[str, tuple[Any, ...], bool]], index: int) -> tuple[list[Op], str]:
    """The gradient of what a layer read, in time order: both directions read the same."""
    ops: list[Op] = []
    values: list[str] = []
    for name, shape, reverse in sides:
        values.append(f"{name}.aligned" if reverse else name)
        ops += [Op(values[-1], "reverse_time", (name,), shape)] * reverse
    if len(values) == 1:
        return ops, values[0]
    both = f"l{index}::d_x.both"
    return [*ops, Op(both, "add", tuple(values), sides[0][1])], both


@dataclass(slots=True)
class _Backward:
    """The backward loop of one member. `part` has the gradient of each of its outputs, a sequence in its own order.

    `saved` has the sequences that the forward loop puts out besides its own; `before` stands before the backward loop,
    `finish` after it.
    """

    program: Program
    one: Lowered
    part: dict[str, str]
    pack: list[Op]
    saved: dict[str, str] = field(default_factory=dict)
    before: list[Op] = field(default_factory=list)
    finish: list[Op] = field(default_factory=list)
    totals: list[Op] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return self.one.loop.name

    @property
    def d_input(self) -> tuple[str, tuple[Any, ...], bool]:
        """The gradient of the member's input, its shape, and whether it runs in the other direction."""
        taken = self.one.builder.cell.inputs[0].name
        return f"{self.prefix}::d_x", self.one.builder.size_of(taken), self.one.member.reverse

    def saving(self) -> Loop:
        """The forward loop, which also puts out what was asked for."""
        loop = self.one.loop
        return replace(loop, body=tuple(self.one.builder.body), outputs={**loop.outputs, **self.saved})

    def loop(self) -> Loop:
        """The backward loop."""
        forward, cell = self.one.builder, differentiate(self.one.builder.cell)
        named = name_gradients(forward.cell)
        builder = self._builder(cell, named.outputs)
        for d in named.states.values():
            builder.names[d] = f"{self.prefix}.{d}"
            builder.shapes[builder.names[d]] = builder.size_of(d)
        incoming = {d: builder.names[d] for d in named.states.values()}
        for d in (*incoming, *named.outputs.values()):
            builder.names[d] = self._alive(builder, builder.names[d])
        for equation in cell.ordered:
            if equation.total:
                _Total(self, builder, equation).add()
            else:
                builder.add(equation)
        states = tuple(
            Carried(incoming[d], self._passed(builder, s, d, incoming[d]), f"{self.prefix}:{d}", builder.size_of(d))
            for s, d in named.states.items()
        )
        (d_x,) = named.inputs.values()
        outputs = {self.d_input[0]: self._alive(builder, builder.value(d_x))}
        name = f"{self.prefix}.backward"
        return Loop(name, states, tuple(builder.body), outputs, tuple(self.totals), backward=True)

    def _builder(self, cell: Cell, outputs: Any) -> Builder:
        """The backward step, in which every saved value stands for its sequence."""
        forward, sequences = self.one.builder, dict[str, str]()
        for name, role in cell.roles.items():
            if role == "parameter":
                sequences[name] = forward.names[name]
            elif role == "input" and name not in outputs.values():
                sequences[name] = self._sequence(name)
        sequences |= {d: self.part[output] for output, d in outputs.items()}
        builder = Builder(cell, forward.sizes, forward.prefix, self.pack, forward.like, sequences, turns=True)
        builder.shapes |= {sequences[d.name]: builder.size_of(d.name) for d in cell.inputs}
        known = {value for value in sequences.values() if value in forward.weights}
        builder.weights |= known
        builder.early |= known
        return builder

    def _sequence(self, name: str) -> str:
        """Where the backward loop reads a forward value: a sequence that there is, or one more that is put out."""
        forward = self.one.builder
        if any(s.name == name for s in forward.cell.states):
            before, after = f"{self.prefix}.{name}.before", self._sequence(name + "'")
            if all(op.out != before for op in self.before):
                self.before.append(Op(before, "shift", (after, forward.names[name]), forward.size_of(name)))
            return before
        value = forward.names[name]
        if value == forward.like or (value in forward.weights and len(forward.size_of(name)) == 2):
            return value
        is_kept = self.one.alive and name.endswith("'")
        value = f"{forward.names[name[:-1]]}.kept" if is_kept else forward.value(name)
        put_out = {v: sequence for sequence, v in {**self.one.loop.outputs, **self.saved}.items()}
        return put_out.get(value) or self._save(f"{self.prefix}.{name}.all", value)

    def _save(self, sequence: str, value: str) -> str:
        self.saved[sequence] = value
        return sequence

    # ---- steps that are not there ----

    def _alive(self, builder: Builder, name: str) -> str:
        """A value of a step that may not be there: 0 where it is not."""
        if self.one.alive is None:
            return name
        zero = builder.zero(f"{self.prefix}.backward.zero")
        return builder.append(f"{name}.alive", "select", (self.one.alive, name, zero), builder.shapes[name])

    def _passed(self, builder: Builder, state: str, d: str, incoming: str) -> str:
        """The gradient of a state before the step; where the step is not there, that of the state after it.

        What a dead step puts out is the kept state where the padding repeats it, or y is the last step.
        """
        new, layer = builder.value(d + "'"), self.program.layer
        if self.one.alive is None:
            return new
        old = incoming
        if state in self.part and (layer.padding == "repeat" or layer.output == "last"):
            old = builder.append(f"{incoming}.all", "add", (incoming, self.part[state]), builder.size_of(d))
        return builder.append(f"{incoming}.kept", "select", (self.one.alive, new, old), builder.size_of(d))


@dataclass(slots=True)
class _Total:
    """One equation `d_W += …`: outer products and vectors are added up in the loop, the rest is done with the sums."""

    backward: _Backward
    builder: Builder
    equation: Equation

    def add(self) -> None:
        """Its totals into the loop, and what is made of them after it; the last is called as the equation says."""
        self._summed(self.equation.expression, self.builder.names[self.equation.targets[0]])

    def _summed(self, node: Node, out: str) -> str:
        """The sum of an expression over time and batch."""
        if _is_nothing(node):
            return self._finish(out, "multiply", [self._early(Number(0), out), self._early(node.operands[1], out)])
        if not _is_matrix(node):
            return self._total(out, "sum", (self._step(node, out),))
        match node:
            case Product() if isinstance(node.right, Transpose):
                args = (self._step(node.left, out), self._step(node.right.operand, f"{out}.right"))
                return self._total(out, "outer_sum", args)
            case Add() | Subtract():
                return self._finish(out, KIND[type(node)], [self._part(o, out, i) for i, o in enumerate(node.operands)])
            case Negate():
                return self._finish(out, "negate", [self._part(node.operand, out, 0)])
            case Multiply() | Divide() if not _is_matrix(node.right) and self._is_early(node.right):
                return self._finish(
                    out, KIND[type(node)], [self._part(node.left, out, 0), self._early(node.right, out)]
                )
        message = f"the gradient {self.equation.left} is no sum of outer products"
        raise OptionError(
            Finding("total", message, str(self.equation), help="write the matrix product with fewer functions in it")
        )

    def _part(self, node: Node, out: str, number: int) -> str:
        return self._summed(node, f"{out}.part{number}")

    def _is_early(self, node: Node) -> bool:
        return all(self.builder.names[n.name] in self.builder.early for n in names(node))

    def _early(self, node: Node, out: str) -> str:
        """A value that the weights alone tell."""
        return self.builder.visit(node, self.equation, f"{out}.weights")

    def _step(self, node: Node, out: str) -> str:
        """A vector of each step, 0 where the step is not there."""
        value = self.builder.visit(node, self.equation, f"{out}.step")
        return self.backward._alive(self.builder, self.builder.for_every_sample(value))

    def _total(self, out: str, kind: str, args: tuple[str, ...]) -> str:
        shape = tuple(self.builder.shapes[a][0] for a in args)
        self.backward.totals.append(Op(out, kind, args, shape))
        self.builder.shapes[out] = shape
        return out

    def _finish(self, out: str, kind: str, args: list[str]) -> str:
        shape = max((self.builder.shapes[a] for a in args), key=len)
        self.backward.finish.append(Op(out, kind, tuple(args), shape))
        self.builder.shapes[out] = shape
        return out


def _is_nothing(node: Node) -> bool:
    """Whether a total is `0 * W`: no path leads to the parameter."""
    return isinstance(node, Multiply) and isinstance(node.left, Number) and bool(node.left.value == 0)


def _is_matrix(node: Node) -> bool:
    """Whether an expression has outer products in it."""
    return any(isinstance(part, Product) and isinstance(part.right, Transpose) for part in walk(node))
