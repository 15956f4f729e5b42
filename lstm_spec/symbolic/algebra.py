"""The nodes of an equation: they keep the written order and hold no shape.

`W_f x + U_f h + b_f` is a tree of these nodes, on `sympy.Basic`: two trees are equal, hash alike and pickle alike
when they were written alike, and `xreplace` works on them. SymPy's own matrix expressions reorder sums and products,
refuse `1 - f`, and let `W*h` pass with n ≠ k, so they are a destination here and not the representation.
Knows nothing of dimensions, cells or files. The text form is `printing.text`, the LaTeX form `printing.latex`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sympy import Basic, Rational
from sympy.core.symbol import Str


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stood in its text: from line and column (both from 1) up to the end column, exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: Span) -> Span:
        """The stretch from the start of this one to the end of the other."""
        return Span(self.line, self.column, other.end_line, other.end_column)


class Node(Basic):  # type: ignore[misc]  # sympy ships no types
    """One node. `span` is where it was written, if it was; it takes no part in equality."""

    __slots__ = ("span",)
    span: Span | None
    args: tuple[Any, ...]

    def __new__(cls, *args: Any) -> Self:
        node: Self = Basic.__new__(cls, *args)
        node.span = None
        return node

    def at(self, span: Span | None) -> Self:
        """The node itself, told where it stands."""
        self.span = span
        return self

    @property
    def operands(self) -> tuple[Node, ...]:
        """The nodes below this one, in the written order."""
        return tuple(a for a in self.args if isinstance(a, Node))

    def over(self, operands: Iterable[Node]) -> Node:
        """The same kind of node over other operands; a name or a number, which has none, is itself."""
        own = tuple(a for a in self.args if not isinstance(a, Node))
        made: Node = self.func(*own, *operands) if self.operands else self
        return made

    def __str__(self) -> str:
        from lstm_spec.symbolic.printing import text

        return text(self)

    __repr__ = __str__

    def _sympystr(self, printer: object) -> str:
        return str(self)


class Name(Node):
    """A tensor by its name; `c'` is the state c after the step."""

    __slots__ = ()

    def __new__(cls, name: str | Str) -> Self:
        return super().__new__(cls, name if isinstance(name, Str) else Str(name))

    @property
    def name(self) -> str:
        """The name as written, prime included."""
        return str(self.args[0].name)


class Number(Node):
    """An exact number: compares by value, prints as it was written."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: Any, written: str | None = None) -> Self:
        node = super().__new__(cls, Rational(value))
        node.written = str(node.args[0]) if written is None else written
        return node

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.args[0], self.written)

    @property
    def value(self) -> Any:
        """The value as a SymPy `Rational`."""
        return self.args[0]


class Unary(Node):
    """A node over one operand."""

    __slots__ = ()

    @property
    def operand(self) -> Node:
        """What it is applied to."""
        return self.args[0]  # type: ignore[no-any-return]


class Negate(Unary):
    """`-a`, entry by entry."""

    __slots__ = ()


class Transpose(Unary):
    """`A^T`."""

    __slots__ = ()


class Binary(Node):
    """A node over two operands."""

    __slots__ = ()

    @property
    def left(self) -> Node:
        """The operand written first."""
        return self.args[0]  # type: ignore[no-any-return]

    @property
    def right(self) -> Node:
        """The operand written second."""
        return self.args[1]  # type: ignore[no-any-return]


class Elementwise(Binary):
    """Entry by entry, over operands of one shape; a number spreads. `sign` is how it is written."""

    __slots__ = ()
    sign: ClassVar[str] = ""
    verb: ClassVar[str] = ""


class Add(Elementwise):
    """`a + b`."""

    __slots__ = ()
    sign = "+"
    verb = "adds"


class Subtract(Elementwise):
    """`a - b`."""

    __slots__ = ()
    sign = "-"
    verb = "subtracts"


class Multiply(Elementwise):
    """`a * b`, the elementwise (Hadamard) product ⊙."""

    __slots__ = ()
    sign = "*"
    verb = "multiplies"


class Divide(Elementwise):
    """`a / b`, entry by entry."""

    __slots__ = ()
    sign = "/"
    verb = "divides"


class Product(Binary):
    """`W x`, the matrix product."""

    __slots__ = ()


class Join(Node):
    """`[h, x]`: vectors one under the other."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A known function: how many tensors it takes, then how many numbers; what it does, in words.

    `across` is True where an entry of the result depends on the whole vector.
    """

    tensors: int
    numbers: int
    meaning: str
    latex: str
    across: bool = False


FUNCTIONS: dict[str, Function] = {
    "sigmoid": Function(1, 0, "1 / (1 + exp(-z))", r"\sigma"),
    "tanh": Function(1, 0, "hyperbolic tangent", r"\tanh"),
    "relu": Function(1, 0, "max(z, 0)", r"\mathrm{relu}"),
    "exp": Function(1, 0, "exponential", r"\exp"),
    "log": Function(1, 0, "natural logarithm", r"\log"),
    "sqrt": Function(1, 0, "square root", r"\mathrm{sqrt}"),
    "abs": Function(1, 0, "absolute value", r"\mathrm{abs}"),
    "softplus": Function(1, 0, "log(1 + exp(z))", r"\mathrm{softplus}"),
    "softsign": Function(1, 0, "z / (1 + |z|)", r"\mathrm{softsign}"),
    "identity": Function(1, 0, "z", r"\mathrm{id}"),
    "step": Function(1, 0, "1 where z > 0, else 0", r"\mathrm{step}"),
    "mean": Function(1, 0, "every entry the mean of z", r"\mathrm{mean}", across=True),
    "hard_sigmoid": Function(1, 2, "clip(slope z + offset, 0, 1)", r"\mathrm{hard\_sigmoid}"),
    "leaky_relu": Function(1, 1, "z where z > 0, else a z", r"\mathrm{leaky\_relu}"),
    "elu": Function(1, 1, "z where z > 0, else a (exp(z) - 1)", r"\mathrm{elu}"),
    "clip": Function(1, 2, "z, held between lo and hi", r"\mathrm{clip}"),
    "max": Function(2, 0, "the larger of two entries", r"\max"),
    "layer_norm": Function(1, 1, "(z - mean) / sqrt(biased variance + e)", r"\mathrm{LN}", across=True),
}


class Call(Node):
    """`sigmoid(z)`, `clip(z, -3, 3)`: a known function of tensors, then numbers."""

    __slots__ = ()

    def __new__(cls, function: str | Str, *args: Node) -> Self:
        return super().__new__(cls, function if isinstance(function, Str) else Str(function), *args)

    @property
    def function(self) -> str:
        """The function's name, a key of `FUNCTIONS`."""
        return str(self.args[0].name)

    @property
    def tensors(self) -> tuple[Node, ...]:
        """The operands that are tensors."""
        return self.operands[: FUNCTIONS[self.function].tensors]

    @property
    def numbers(self) -> tuple[Any, ...]:
        """The values of the number arguments, exact."""
        return tuple(n.value for n in self.operands[FUNCTIONS[self.function].tensors :] if isinstance(n, Number))


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, a node before its operands, in the written order."""
    yield node
    for operand in node.operands:
        yield from walk(operand)


def names(node: Node) -> Iterator[Name]:
    """Every mention of a name in a tree, in the written order."""
    return (n for n in walk(node) if isinstance(n, Name))
