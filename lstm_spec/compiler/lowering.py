"""Layer → Program: every equation as ops, in the step of its loop, exactly as written.

Makes no decision about speed: nothing is packed, hoisted or folded here. Refuses by name what no program can say yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sympy import Integer

from lstm_spec.compiler.merging import Lowered, merge_outputs
from lstm_spec.compiler.numbers import number_of
from lstm_spec.compiler.program import Carried, Loop, Op, Program, Size, Stage, op_shape
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer, Member, symbols
from lstm_spec.symbolic.algebra import (
    Add,
    Call,
    Divide,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Product,
    Subtract,
    Transpose,
    names,
)
from lstm_spec.symbolic.cell import Equation

KIND: dict[type, str] = {
    Add: "add",
    Subtract: "subtract",
    Multiply: "multiply",
    Divide: "divide",
    Negate: "negate",
    Product: "product",
    Transpose: "transpose",
    Join: "join",
}


ALIVE = "alive"


def lower(layer: Layer, masked: bool = False) -> Program:
    """The program of a layer, one op for each node of its equations.

    Input `x (T, B, n)`, output `y (T, B, D·width)`, or `(B, D·width)` when the layer returns its last step. A `masked`
    program also takes `alive (T, B, 1)`: a step that is not alive keeps the states, and puts out what the layer's
    padding says. Raises OptionError for totals and for products whose left side is computed at run time.
    """
    _refuse_unsupported(layer)
    pack: list[Op] = []
    stages: list[Stage] = []
    source, before = "x", list[Op]()
    for index in range(layer.layers):
        members = [m for m in layer.members if m.index == index]
        lowered = [_lower_member(layer, m, source, pack, masked) for m in members]
        before += [op for m in lowered for op in m.before]
        stages.append(Stage(tuple(before), tuple(m.loop for m in lowered)))
        final = index == layer.layers - 1
        before, source = merge_outputs(layer, index, lowered, final and layer.output == "last")
    mask = ALIVE if masked else None
    return Program(layer, layer.parameter_shapes(), "x", tuple(pack), tuple(stages), tuple(before), source, mask)


def _refuse_unsupported(layer: Layer) -> None:
    for equation in layer.cell.equations:
        if equation.total:
            raise OptionError(
                Finding(
                    "total", f"{equation.left} is a total; a layer does not compute totals", layer.cell.at(equation)
                )
            )
    for state in layer.cell.states:
        if layer.shapes_of_cell[state.name].is_matrix:
            raise OptionError(Finding("matrix", f"the state {state} is a matrix; a layer carries vectors"))


def _lower_member(layer: Layer, member: Member, source: str, pack: list[Op], masked: bool) -> Lowered:
    builder = _Builder(layer, member, pack)
    before: list[Op] = []
    if member.reverse:
        reversed_ = f"{member.prefix}::x"  # two colons: one marks a state after the last step
        before.append(Op(reversed_, "reverse_time", (source,), builder.size_of(layer.cell.inputs[0].name)))
        source = reversed_
        if masked:
            builder.alive = f"{member.prefix}::alive"
            before.append(Op(builder.alive, "reverse_time", (ALIVE,), (Integer(1),)))
    builder.names[layer.cell.inputs[0].name] = source
    for equation in layer.cell.ordered:
        builder.add(equation)
    states = tuple(
        Carried(
            builder.names[s.name],
            builder.kept(s.name) if masked else builder.for_every_sample(builder.names[s.name + "'"]),
            f"{member.prefix}:{s.name}",
            builder.size_of(s.name),
        )
        for s in layer.cell.states
    )
    outputs = {
        f"{member.prefix}:y.{name}": builder.shown(name)
        if masked
        else builder.for_every_sample(builder.names[layer.cell.value_of(name)])
        for name in layer.cell.outputs
    }
    return Lowered(before, Loop(member.prefix, states, tuple(builder.body), outputs), member)


@dataclass(slots=True)
class _Builder:
    """The ops of one member's step. `names` maps a name of the cell to the program's.

    `weights` are the parameters and what stands in `pack`; `early` is all that reads nothing else, wherever it stands.
    """

    layer: Layer
    member: Member
    pack: list[Op]
    body: list[Op] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)
    alive: str = ALIVE

    def __post_init__(self) -> None:
        for name, role in self.layer.cell.roles.items():
            self.names[name] = f"{self.member.prefix}.{name}"
            if role == "parameter":
                self.weights.add(self.names[name])
                self.early.add(self.names[name])
                self.shapes[self.names[name]] = self.size_of(name)

    def size_of(self, name: str) -> tuple[Size, ...]:
        """A cell name's shape in this member's sizes."""
        at = symbols(self.member.sizes)
        return tuple(s.xreplace(at) for s in self.layer.shapes_of_cell[name].size)

    def kept(self, state: str) -> str:
        """A state after a step that may not be there: its new value where it is, else the value before."""
        new, old = self.for_every_sample(self.names[state + "'"]), self.names[state]
        name = f"{old}.kept"
        if all(op.out != name for op in self.body):
            self.body.append(Op(name, "select", (self.alive, new, old), self.size_of(state)))
        return name

    def shown(self, output: str) -> str:
        """An output of a step that may not be there: 0 where it is not, or the state that was kept."""
        is_state = any(s.name == output for s in self.layer.cell.states)
        if self.layer.padding == "repeat" or self.layer.output == "last":
            if not is_state:
                message = f"the output {output} is no state: what it was before is not kept"
                raise OptionError(Finding("padding", message, found=f"padding = {self.layer.padding}"))
            return self.kept(output)
        value = self.for_every_sample(self.names[self.layer.cell.value_of(output)])
        name, zero = f"{self.member.prefix}.{output}.shown", f"{self.member.prefix}.{output}.zero"
        self.body.append(Op(zero, "constant", (), (), (Integer(0),)))
        self.body.append(Op(name, "select", (self.alive, value, zero), self.size_of(self.layer.cell.value_of(output))))
        return name

    def add(self, equation: Equation) -> None:
        """An equation's ops; a split is one value and its rows."""
        if len(equation.targets) == 1:
            self._name_result(equation, self.names[equation.targets[0]])
            return
        whole = f"{self.member.prefix}.{'&'.join(equation.targets)}"
        value = self._visit(equation.expression, equation, self._fresh(equation, whole))
        start: Any = Integer(0)
        for target in equation.targets:
            size = self.size_of(target)
            stop = start + size[0]
            self.body.append(Op(self.names[target], "rows", (value,), size, (start, stop)))
            self.shapes[self.names[target]] = size
            self.early |= {self.names[target]} if value in self.early else set()
            start = stop

    def _name_result(self, equation: Equation, out: str) -> None:
        """The right side under the equation's name; a bare name on the right (c' = c) is that value itself."""
        fresh = self._fresh(equation, out)
        if isinstance(equation.expression, Name):
            self.names[equation.targets[0]] = self._visit(equation.expression, equation, fresh)
        else:
            self._visit(equation.expression, equation, fresh, out)

    def _fresh(self, equation: Equation, base: str) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"{base}.{number}"

    def _visit(self, node: Node, equation: Equation, fresh: Iterator[str], out: str | None = None) -> str:
        if isinstance(node, Name):
            name = self.names[node.name]
            self.shapes.setdefault(name, self.size_of(node.name))
            return name
        if not any(True for _ in names(node)):
            return self._constant(node, equation, next(fresh))
        kind = node.function if isinstance(node, Call) else KIND[type(node)]
        operands = node.tensors if isinstance(node, Call) else node.operands
        args = tuple(self._visit(o, equation, fresh) for o in operands)
        if kind == "join" and not self.early.issuperset(args):
            args = tuple(map(self.for_every_sample, args))
        numbers = node.numbers if isinstance(node, Call) else ()
        self._refuse_computed_matrix(kind, args, node, equation)
        name = out or next(fresh)
        self.shapes[name] = op_shape(kind, [self.shapes[a] for a in args], numbers)
        is_matrix = len(self.shapes[name]) == 2  # named or not, it stands left in products
        is_weight = (out is None or is_matrix) and self.weights.issuperset(args)
        if is_weight:
            self.weights.add(name)
        if self.early.issuperset(args):
            self.early.add(name)
        (self.pack if is_weight else self.body).append(Op(name, kind, args, self.shapes[name], numbers))
        return name

    def _constant(self, node: Node, equation: Equation, name: str) -> str:
        self.pack.append(Op(name, "constant", (), (), (number_of(node, self.layer.cell.at(equation, node.span)),)))
        self.shapes[name] = ()
        self.weights.add(name)
        self.early.add(name)
        return name

    def for_every_sample(self, name: str) -> str:
        """A value with a batch: one that reads the weights only, `c' = b`, is spread over the samples of the input."""
        if name not in self.early or self.shapes[name] == ():
            return name
        spread = f"{name}:spread"
        if spread not in self.shapes:
            self.shapes[spread] = self.shapes[name]
            source = self.names[self.layer.cell.inputs[0].name]
            self.body.append(Op(spread, "spread", (name, source), self.shapes[name]))
        return spread

    def _refuse_computed_matrix(self, kind: str, args: tuple[str, ...], node: Node, equation: Equation) -> None:
        wide = kind in ("product", "transpose") and args[0] not in self.weights
        if wide or (kind == "product" and len(self.shapes[args[1]]) != 1):
            raise OptionError(
                Finding(
                    "product",
                    f"{node} multiplies by what is no parameter; a layer's programs cannot do that",
                    at=self.layer.cell.at(equation, node.span),
                    help="write the matrix on the left, and a vector on the right",
                )
            )
