"""The chain rule in one equation: an expression, and the gradient of its value → what each name in it gets of that.

One rule for each kind of node. A gradient that is read more than once, and a long one, gets a name in the draft.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from lstm_spec.symbolic.derivatives import CONSTANT, derivative, is_number, negated, scaled
from lstm_spec.symbolic.draft import Draft
from lstm_spec.symbolic.outer import has_outer, is_long, is_outer, product, turned, varies
from lstm_spec.symbolic.recomputed import ForwardValues

LONG = 40  # nodes: a longer gradient gets a name, however often it is read


@dataclass(slots=True)
class ChainRule:
    """The rules, over the equations of a draft.

    With `keep`, a function whose derivative is 0 everywhere still passes on `0 * …`, so that what comes in is read.
    `parts` maps what was taken apart to the name that it is the gradient of.
    """

    draft: Draft
    values: ForwardValues
    keep: bool = False
    parts: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[Node]] = field(default_factory=dict)  # those of the expression at hand

    def apply(self, expression: Node, gradient: Node) -> dict[str, list[Node]]:
        """The terms that each name in an expression gets of the gradient of its value."""
        self.found = {}
        self._visit(expression, gradient)
        return self.found

    def count_reads(self, node: Node) -> int:
        """How often a gradient that reaches a node is read there."""
        if not varies(node):
            return 0
        match node:
            case Add() | Subtract():
                return self.count_reads(node.left) + self.count_reads(node.right)
            case Negate() | Transpose():
                return self.count_reads(node.operand)
            case Multiply() | Divide() | Product():
                return sum(map(varies, node.operands))
            case Call() if node.function == "identity":
                return self.count_reads(node.tensors[0])
            case Call() if node.function == "layer_norm":
                return 3
            case Call() if node.function in CONSTANT:
                return int(self.keep)
            case Call():
                return sum(map(varies, node.tensors))
        return 1

    def _once(self, gradient: Node) -> Node:
        """A gradient that is read more than once, under a name; one of a matrix is none: it has no step of its own."""
        if isinstance(gradient, Name) or has_outer(gradient):
            return gradient
        return self.draft.define(f"{self.draft.prefix}{self.draft.target}", gradient)

    def _visit(self, node: Node, gradient: Node) -> None:
        """Give each name below a node what this gradient makes of it."""
        reads = self.count_reads(node)
        if reads == 0 or is_number(gradient, 0):
            return
        if (reads > 1 and not isinstance(node, Negate)) or is_long(gradient, LONG):
            gradient = self._once(gradient)
        match node:
            case Name():
                self.found.setdefault(node.name, []).append(gradient)
            case Add():
                self._visit(node.left, gradient)
                self._visit(node.right, gradient)
            case Subtract():
                self._visit(node.left, gradient)
                self._visit(node.right, negated(gradient))
            case Negate():
                self._visit(node.operand, negated(gradient))
            case Multiply():
                for one, other in ((node.left, node.right), (node.right, node.left)):
                    if varies(one):
                        self._visit(one, self._times(gradient, other))
            case Divide():
                self._divide(node, gradient)
            case Transpose():
                self._visit(node.operand, turned(gradient))
            case Product():
                if varies(node.left):
                    self._visit(node.left, product(gradient, turned(self.values.of(node.right))))
                if varies(node.right):
                    self._visit(node.right, product(turned(self.values.of(node.left)), gradient))
            case Join():
                self._take_apart(node, gradient)
            case Call():
                self._call(node, gradient)

    def _times(self, gradient: Node, other: Node) -> Node:
        """The gradient times a value; a number meets the vector and not the matrix of an outer product."""
        if is_outer(gradient) and not varies(other):
            return product(scaled(gradient.operands[0], other), gradient.operands[1])
        if self.keep and is_number(other, 0):
            return Multiply(other, gradient)
        return scaled(gradient, self.values.of(other))

    def _divide(self, node: Divide, gradient: Node) -> None:
        if varies(node.left):
            self._visit(node.left, Divide(gradient, self.values.of(node.right)))
        if varies(node.right):
            quotient = scaled(gradient, self.values.of(node))
            self._visit(node.right, negated(Divide(quotient, self.values.of(node.right))))

    def _take_apart(self, node: Join, gradient: Node) -> None:
        """Each part of a joined vector gets its rows of the gradient."""
        if isinstance(gradient, Join) and len(gradient.operands) == len(node.operands):
            sizes = [[self._rows(part) for part in joined.operands] for joined in (gradient, node)]
            if None not in sizes[1] and sizes[0] == sizes[1]:
                for part, own in zip(node.operands, gradient.operands, strict=True):
                    self._visit(part, own)
                return
        parts = tuple(self.draft.fresh(f"{self.draft.prefix}{self.draft.target}1") for _ in node.operands)
        self.parts |= {d: n.name for d, n in zip(parts, node.operands, strict=True) if isinstance(n, Name)}
        self.draft.equations.append(Equation(parts, gradient))
        for part, name in zip(node.operands, parts, strict=True):
            self._visit(part, Name(name))

    def _rows(self, node: Node) -> object:
        """The rows of a name; a gradient's are those of what it is the gradient of."""
        if not isinstance(node, Name):
            return None
        cell, shapes = self.draft.cell, self.draft.shapes
        arriving = {d: cell.value_of(o) for o, d in self.draft.names.outputs.items()}
        own = arriving.get(node.name, node.name.removeprefix(self.draft.prefix))
        known = node.name if node.name in shapes else own
        return shapes[known].rows if known in shapes else None

    def _call(self, node: Call, gradient: Node) -> None:
        if node.function == "identity":
            self._visit(node.tensors[0], gradient)
        elif node.function in CONSTANT:
            self._visit(node.tensors[0], Multiply(Number(0), gradient))
        elif node.function == "mean":
            self._visit(node.tensors[0], Call("mean", gradient))
        elif node.function == "layer_norm":
            self._visit(node.tensors[0], self._normalized(node, gradient))
        else:
            again = Call(node.function, *map(self.values.of, node.operands))
            for side, tensor in enumerate(node.tensors):
                if varies(tensor):
                    self._visit(tensor, scaled(gradient, derivative(again, self.values.of(node), side)))

    def _normalized(self, node: Call, gradient: Node) -> Node:
        """(g - mean(g) - y * mean(g * y)) / sqrt(variance + e), with y the normalized vector."""
        gradient = self._once(gradient)
        y, scale = self.values.normalized(node)
        along = Multiply(y, Call("mean", Multiply(gradient, y)))
        return Divide(Subtract(Subtract(gradient, Call("mean", gradient)), along), scale)
