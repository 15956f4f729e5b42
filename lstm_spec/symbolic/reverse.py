"""Reverse mode over a cell's equations, from the last computed to the first: what each name's gradient is the sum of.

An intermediate that is read more than once gets a name. Declares nothing: `gradient` makes a cell of the equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from itertools import count, takewhile

from lstm_spec.symbolic.algebra import (
    FUNCTIONS,
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
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.derivatives import CONSTANT, added, derivative, is_number, negated, scaled
from lstm_spec.symbolic.gradient_names import GradientNames, lengthen, name_gradients
from lstm_spec.symbolic.outer import has_outer, is_long, is_outer, product, turned, varies
from lstm_spec.symbolic.recomputed import name_repeated
from lstm_spec.symbolic.shapes import Shapes, infer

# nodes: what is computed again and is longer gets a name where it repeats; a longer gradient always
SHORT, LONG = 7, 40


@dataclass(slots=True)
class Backward:
    """The equations made so far, and what each name's gradient is the sum of.

    With `keep`, a function whose derivative is 0 everywhere still passes on `0 * …`, so that what comes in is read.
    """

    cell: Cell
    keep: bool = False
    shapes: Shapes = field(init=False)
    named: GradientNames = field(init=False)
    taken: set[str] = field(init=False)
    terms: dict[str, list[Node]] = field(default_factory=dict)
    found: dict[str, list[Node]] = field(default_factory=dict)  # those of the equation at hand
    equations: list[Equation] = field(default_factory=list)
    saved: dict[Node, Name] = field(init=False)
    recomputed: dict[Node, str] = field(default_factory=dict)
    normal: dict[Node, tuple[Node, Node]] = field(default_factory=dict)
    target: str = ""
    given: set[str] = field(default_factory=set)
    parts: dict[str, str] = field(default_factory=dict)  # what was taken apart → the name that it is the gradient of

    def __post_init__(self) -> None:
        self.shapes, self.named = infer(self.cell), name_gradients(self.cell)
        self.taken = {*self.cell.roles, *self.cell.letters, *self.named.taken, *FUNCTIONS}
        self.saved = {
            e.expression: Name(e.targets[0])
            for e in self.cell.equations
            if len(e.targets) == 1 and not isinstance(e.expression, Name)
        }

    def run(self) -> list[Equation]:
        """Every equation of the backward cell."""
        for equation in reversed(self.cell.ordered):
            self._pass_back(equation)
        for name, gradient in self.named.parameters.items():
            self._close(gradient, name, total=True)
        for name, gradient in self.named.inputs.items():
            self._close(gradient, name)
        for name, gradient in self.named.states.items():
            self._close(gradient + "'", name, nothing=gradient)
        return name_repeated(self.equations, self.recomputed, self.fresh)

    def unread(self, equations: list[Equation]) -> set[str]:
        """What came in or was taken apart, and no equation reads."""
        read = {name for e in equations for name in e.reads}
        return (self.given | set(self.named.outputs.values())) - read

    def _close(self, gradient: str, name: str, total: bool = False, nothing: str = "") -> None:
        terms = self.terms.get(name) or [Multiply(Number(0), Name(nothing or name))]
        self.equations.append(Equation((gradient,), reduce(added, terms), total))

    def _pass_back(self, equation: Equation) -> None:
        self.target = _stem(equation)
        expression = equation.expression
        is_split = len(equation.targets) > 1
        gradient = self._joined(equation) if is_split else self._whole(equation.targets[0], expression)
        self.found = {}
        if gradient is not None:
            self._visit(expression, gradient)
        for name, terms in self.found.items():
            self.terms[name] = terms + self.terms.get(name, [])

    def _arriving(self, target: str) -> list[Node]:
        """What arrives at a value: from the later step, from the output, from those that read it in this step."""
        terms: list[Node] = [Name(d) for s, d in self.named.states.items() if s + "'" == target]
        terms += [Name(d) for o, d in self.named.outputs.items() if self.cell.value_of(o) == target]
        return terms + self.terms.get(target, [])

    def _whole(self, target: str, expression: Node) -> Node | None:
        """The whole gradient of a value, under a name where it is read more than once or is a sum."""
        terms = self._arriving(target)
        if not terms:
            return None
        whole = reduce(added, terms)
        is_state = target.endswith("'")
        if (
            isinstance(whole, Name)
            or has_outer(whole)
            or not (is_state or len(terms) > 1 or self._count(expression) > 1)
        ):
            return whole
        if not is_state and len(terms) == 1:
            return whole  # named as what stands inside: d_f
        return self._define(f"{lengthen(self.cell, 'e_')}{self.target}", whole)

    def _joined(self, equation: Equation) -> Node | None:
        """The gradient of a vector that was taken apart: its parts, one under the other."""
        if not any(map(self._arriving, equation.targets)):
            return None
        parts: list[Node] = []
        for target in equation.targets:
            whole = reduce(added, self._arriving(target) or [Multiply(Number(0), Name(target))])
            name = f"{lengthen(self.cell, 'd_')}{target}"
            parts.append(whole if isinstance(whole, Name) else self._define(name, whole))
        return Join(*parts)

    def fresh(self, base: str) -> str:
        """A name that nothing has yet: the base, or the base with a number."""
        base = base.replace("'", "_next")
        name = next(n for i in count() if (n := f"{base}{i or ''}") not in self.taken)
        self.taken.add(name)
        return name

    def _define(self, base: str, expression: Node) -> Name:
        name = self.fresh(base)
        self.equations.append(Equation((name,), expression))
        return Name(name)

    def _once(self, gradient: Node) -> Node:
        """A gradient that is read more than once, under a name; one of a matrix is none: it has no step of its own."""
        if isinstance(gradient, Name) or has_outer(gradient):
            return gradient
        return self._define(f"{lengthen(self.cell, 'd_')}{self.target}", gradient)

    def value(self, node: Node) -> Node:
        """A forward value: as it was saved, or computed again from what was."""
        if isinstance(node, Name) or not varies(node):
            return node
        if node in self.saved:
            return self.saved[node]
        if isinstance(node, Call) and node.function == "layer_norm":
            return self._normal(node)[0]
        made = node.over(map(self.value, node.operands))
        if isinstance(node, Call | Product) or is_long(made, SHORT):
            self.recomputed.setdefault(made, self.target)
        return made

    def _count(self, node: Node) -> int:
        """How often a gradient that reaches a node is read there."""
        if not varies(node):
            return 0
        match node:
            case Add() | Subtract():
                return self._count(node.left) + self._count(node.right)
            case Negate() | Transpose():
                return self._count(node.operand)
            case Multiply() | Divide() | Product():
                return sum(map(varies, node.operands))
            case Call() if node.function == "identity":
                return self._count(node.tensors[0])
            case Call() if node.function == "layer_norm":
                return 3
            case Call() if node.function in CONSTANT:
                return int(self.keep)
            case Call():
                return sum(map(varies, node.tensors))
        return 1

    def _visit(self, node: Node, gradient: Node) -> None:
        """Give each name below a node what this gradient makes of it."""
        if self._count(node) == 0 or is_number(gradient, 0):
            return
        if (self._count(node) > 1 and not isinstance(node, Negate)) or is_long(gradient, LONG):
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
                    self._visit(node.left, product(gradient, turned(self.value(node.right))))
                if varies(node.right):
                    self._visit(node.right, product(turned(self.value(node.left)), gradient))
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
        return scaled(gradient, self.value(other))

    def _divide(self, node: Divide, gradient: Node) -> None:
        if varies(node.left):
            self._visit(node.left, Divide(gradient, self.value(node.right)))
        if varies(node.right):
            quotient = scaled(gradient, self.value(node))
            self._visit(node.right, negated(Divide(quotient, self.value(node.right))))

    def _take_apart(self, node: Join, gradient: Node) -> None:
        """Each part of a joined vector gets its rows of the gradient."""
        if isinstance(gradient, Join) and len(gradient.operands) == len(node.operands):
            sizes = [[self._rows(part) for part in joined.operands] for joined in (gradient, node)]
            if None not in sizes[1] and sizes[0] == sizes[1]:
                for part, own in zip(node.operands, gradient.operands, strict=True):
                    self._visit(part, own)
                return
        prefix = lengthen(self.cell, "d_")
        parts = tuple(self.fresh(f"{prefix}{self.target}1") for _ in node.operands)
        self.given |= set(parts)
        self.parts |= {d: n.name for d, n in zip(parts, node.operands, strict=True) if isinstance(n, Name)}
        self.equations.append(Equation(parts, gradient))
        for part, name in zip(node.operands, parts, strict=True):
            self._visit(part, Name(name))

    def _rows(self, node: Node) -> object:
        """The rows of a name; a gradient's are those of what it is the gradient of."""
        if not isinstance(node, Name):
            return None
        arriving = {d: self.cell.value_of(o) for o, d in self.named.outputs.items()}
        own = arriving.get(node.name, node.name.removeprefix(lengthen(self.cell, "d_")))
        known = node.name if node.name in self.shapes else own
        return self.shapes[known].rows if known in self.shapes else None

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
            again = Call(node.function, *map(self.value, node.operands))
            for side, tensor in enumerate(node.tensors):
                if varies(tensor):
                    self._visit(tensor, scaled(gradient, derivative(again, self.value(node), side)))

    def _normalized(self, node: Call, gradient: Node) -> Node:
        """(g - mean(g) - y * mean(g * y)) / sqrt(variance + e), with y the normalized vector."""
        gradient = self._once(gradient)
        y, scale = self._normal(node)
        along = Multiply(y, Call("mean", Multiply(gradient, y)))
        return Divide(Subtract(Subtract(gradient, Call("mean", gradient)), along), scale)

    def _normal(self, node: Call) -> tuple[Node, Node]:
        """The normalized vector, and what it was divided by."""
        if node not in self.normal:
            inside, e = self.value(node.tensors[0]), node.operands[1]
            of = inside.name.removesuffix("'") if isinstance(inside, Name) else self.target
            centred = self._define(f"centred_{of}", Subtract(inside, Call("mean", inside)))
            variance = Call("mean", Multiply(centred, centred))
            scale = self._define(f"scale_{of}", Call("sqrt", Add(variance, e)))
            self.normal[node] = self.saved.get(node) or self._define(f"norm_{of}", Divide(centred, scale)), scale
        return self.normal[node]


def _stem(equation: Equation) -> str:
    """What an equation's gradients are called after: its target, or what its targets have in common."""
    targets = [t.removesuffix("'") for t in equation.targets]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*targets, strict=False))
    return "".join(letters[0] for letters in same).rstrip("_") or targets[0]
