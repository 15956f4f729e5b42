"""Layer → Program: every equation as ops, in the step of its loop, exactly as written.

Makes no decision about speed: nothing is packed, hoisted or folded here. Refuses by name what no program can say yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sympy import Integer

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
    Number,
    Product,
    Subtract,
    Transpose,
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


def lower(layer: Layer) -> Program:
    """The program of a layer, one op for each node of its equations.

    Input `x (T, B, n)`, output `y (T, B, D·width)`, or `(B, D·width)` when the layer returns its last step.
    Raises OptionError for totals and for products whose left side is computed at run time.
    """
    _refuse_unsupported(layer)
    pack: list[Op] = []
    stages: list[Stage] = []
    source, before = "x", list[Op]()
    for index in range(layer.layers):
        members = [m for m in layer.members if m.index == index]
        lowered = [_lower_member(layer, m, source, pack) for m in members]
        before += [op for m in lowered for op in m.before]
        stages.append(Stage(tuple(before), tuple(m.loop for m in lowered)))
        final = index == layer.layers - 1
        before, source = _merge(layer, index, lowered, final and layer.output == "last")
    return Program(layer, layer.parameter_shapes(), "x", tuple(pack), tuple(stages), tuple(before), source)


def _refuse_unsupported(layer: Layer) -> None:
    for equation in layer.cell.equations:
        if equation.total:
            raise OptionError(
                Finding("total", f"{equation.left} is a total; a layer does not compute totals", layer.cell.at(equation))
            )


@dataclass(slots=True)
class _Lowered:
    """One member: what stands before its loop, the loop, and its output sequences in time order."""

    before: list[Op]
    loop: Loop
    member: Member


def _lower_member(layer: Layer, member: Member, source: str, pack: list[Op]) -> _Lowered:
    builder = _Builder(layer, member, pack)
    before: list[Op] = []
    if member.reverse:
        reversed_ = f"{member.prefix}:x"
        before.append(Op(reversed_, "reverse_time", (source,), builder.size_of(layer.cell.inputs[0].name)))
        source = reversed_
    builder.names[layer.cell.inputs[0].name] = source
    for equation in layer.cell.ordered:
        builder.add(equation)
    states = tuple(
        Carried(
            builder.names[s.name],
            builder.names[s.name + "'"],
            f"{member.prefix}:{s.name}",
            builder.size_of(s.name),
        )
        for s in layer.cell.states
    )
    outputs = {f"{member.prefix}:y.{name}": builder.names[layer.cell.value_of(name)] for name in layer.cell.outputs}
    return _Lowered(before, Loop(member.prefix, states, tuple(builder.body), outputs), member)


def _merge(layer: Layer, index: int, lowered: list[_Lowered], last: bool) -> tuple[list[Op], str]:
    """What follows a layer's loops: outputs put back in time order, joined; or their last steps."""
    ops: list[Op] = []
    parts: list[tuple[str, tuple[Size, ...]]] = []
    shapes = layer.shapes_of_cell
    for one in lowered:
        for output, (sequence, _) in zip(layer.cell.outputs, one.loop.outputs.items(), strict=True):
            size = tuple(s.xreplace(symbols(one.member.sizes)) for s in shapes[layer.cell.value_of(output)].size)
            name = sequence
            if last:
                is_state = any(s.name == output for s in layer.cell.states)
                name = f"{one.loop.name}:{output}" if is_state else f"{sequence}.last"
                ops += [] if is_state else [Op(name, "last", (sequence,), size)]
            elif one.member.reverse and (layer.realign or layer.direction == "both"):
                name = f"{sequence}.aligned"
                ops.append(Op(name, "reverse_time", (sequence,), size))
            parts.append((name, size))
    if len(parts) == 1:
        return ops, parts[0][0]
    joined = f"l{index}:y"
    names, sizes = tuple(name for name, _ in parts), [size for _, size in parts]
    return [*ops, Op(joined, "join", names, op_shape("join", sizes))], joined


@dataclass(slots=True)
class _Builder:
    """The ops of one member's step. `names` maps a name of the cell to the program's."""

    layer: Layer
    member: Member
    pack: list[Op]
    body: list[Op] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, role in self.layer.cell.roles.items():
            self.names[name] = f"{self.member.prefix}.{name}"
            if role == "parameter":
                self.weights.add(self.names[name])

    def size_of(self, name: str) -> tuple[Size, ...]:
        """A cell name's shape in this member's sizes."""
        at = symbols(self.member.sizes)
        return tuple(s.xreplace(at) for s in self.layer.shapes_of_cell[name].size)

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
        kind = node.function if isinstance(node, Call) else KIND.get(type(node), "constant")
        operands = node.tensors if isinstance(node, Call) else () if isinstance(node, Number) else node.operands
        args = tuple(self._visit(o, equation, fresh) for o in operands)
        numbers = node.numbers if isinstance(node, Call) else (node.value,) if isinstance(node, Number) else ()
        self._refuse_computed_matrix(kind, args, node, equation)
        shape = op_shape(kind, [self.shapes[a] for a in args], numbers)
        name = out or next(fresh)
        is_weight = all(a in self.weights for a in args)
        self.shapes[name] = shape
        if is_weight and out is None:
            self.weights.add(name)
        (self.pack if is_weight and out is None else self.body).append(Op(name, kind, args, shape, numbers))
        return name

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
