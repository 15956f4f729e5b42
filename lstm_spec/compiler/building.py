"""A cell's equations → the ops of one step, one op for each node, exactly as written.

Used for the forward cell of a layer and for its backward cell. Knows no time, no direction and no padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sympy import Integer

from lstm_spec.compiler.numbers import number_of
from lstm_spec.compiler.ops import Size, op_shape
from lstm_spec.compiler.program import Op
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.sizes import symbols
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
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.shapes import infer

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


@dataclass(slots=True)
class Builder:
    """The ops of one step of a cell. `names` maps a name of the cell to the program's; `prefix` stands before its own.

    `sizes` are the cell's letters as numbers or other letters; a value without a batch is spread over the samples of
    `like`. `weights` are the parameters and what stands in `pack`; `early` is all that reads nothing else, wherever it
    stands.
    """

    cell: Cell
    sizes: Mapping[str, Any]
    prefix: str
    pack: list[Op]
    like: str
    names: dict[str, str] = field(default_factory=dict)
    body: list[Op] = field(default_factory=list)
    shapes: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)
    turns: bool = False  # whether `W^T x` is one op

    def __post_init__(self) -> None:
        for name, role in self.cell.roles.items():
            self.names.setdefault(name, f"{self.prefix}.{name}")
            if role == "parameter":
                self.weights.add(self.names[name])
                self.early.add(self.names[name])
                self.shapes[self.names[name]] = self.size_of(name)

    def size_of(self, name: str) -> tuple[Size, ...]:
        """A cell name's shape in this member's sizes."""
        at = symbols(self.sizes)
        return tuple(s.xreplace(at) for s in infer(self.cell)[name].size)

    def value(self, name: str) -> str:
        """A name of the cell in the program, with a batch."""
        return self.for_every_sample(self.names[name])

    def zero(self, name: str) -> str:
        """The number 0, as a value of the step."""
        if name not in self.shapes:
            self.shapes[name] = ()
            self.body.append(Op(name, "constant", (), (), (Integer(0),)))
        return name

    def append(self, name: str, kind: str, args: tuple[str, ...], shape: tuple[Size, ...]) -> str:
        """One op more in the step, once; its name."""
        if name not in self.shapes:
            self.shapes[name] = shape
            self.body.append(Op(name, kind, args, shape))
        return name

    def add(self, equation: Equation) -> None:
        """An equation's ops; a split is one value and its rows."""
        if len(equation.targets) == 1:
            self._name_result(equation, self.names[equation.targets[0]])
            return
        whole = f"{self.prefix}.{'&'.join(equation.targets)}"
        value = self._visit(equation.expression, equation, self._fresh(equation, whole))
        start: Any = Integer(0)
        for target in equation.targets:
            size = self.size_of(target)
            stop = start + size[0]
            self.body.append(Op(self.names[target], "rows", (value,), size, (start, stop)))
            self.shapes[self.names[target]] = size
            self.early |= {self.names[target]} if value in self.early else set()
            start = stop

    def visit(self, node: Node, equation: Equation, base: str) -> str:
        """An expression of an equation that is no equation's name; its value."""
        return self._visit(node, equation, self._fresh(equation, base))

    def _name_result(self, equation: Equation, out: str) -> None:
        """The right side under the equation's name; a bare name on the right (c' = c) is that value itself."""
        fresh = self._fresh(equation, out)
        if isinstance(equation.expression, Name):
            self.names[equation.targets[0]] = self._visit(equation.expression, equation, fresh)
        else:
            self._visit(equation.expression, equation, fresh, out)

    def _fresh(self, equation: Equation, base: str) -> Iterator[str]:
        return (name for i in count(1) if (name := f"{base}.{i}") not in self.shapes)

    def _visit(self, node: Node, equation: Equation, fresh: Iterator[str], out: str | None = None) -> str:
        if isinstance(node, Name):
            name = self.names[node.name]
            self.shapes.setdefault(name, self.size_of(node.name))
            return name
        if not any(True for _ in names(node)):
            return self._constant(node, equation, next(fresh))
        kind, operands = self._parts(node)
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

    def _parts(self, node: Node) -> tuple[str, tuple[Node, ...]]:
        """What a node computes, and of what."""
        if isinstance(node, Call):
            return node.function, node.tensors
        if self.turns and isinstance(node, Product) and isinstance(node.left, Transpose):
            return "turned", (node.left.operand, node.right)
        return KIND[type(node)], node.operands

    def _constant(self, node: Node, equation: Equation, name: str) -> str:
        self.pack.append(Op(name, "constant", (), (), (number_of(node, self.cell.at(equation, node.span)),)))
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
            self.body.append(Op(spread, "spread", (name, self.like), self.shapes[name]))
        return spread

    def _refuse_computed_matrix(self, kind: str, args: tuple[str, ...], node: Node, equation: Equation) -> None:
        wide = kind in ("product", "transpose", "turned") and args[0] not in self.weights
        if wide or (kind in ("product", "turned") and len(self.shapes[args[1]]) != 1):
            raise OptionError(
                Finding(
                    "product",
                    f"{node} multiplies by what is no parameter; a layer's programs cannot do that",
                    at=self.cell.at(equation, node.span),
                    help="write the matrix on the left, and a vector on the right",
                )
            )
