"""Dimension inference: a cell's equations → the shape of every tensor, by unification.

Each name gets unknown rows (a matrix also columns); each node of each equation says which sizes must be equal. A
declared letter is rigid: n and k never unify, so `W h` with a k×n W is an error and not a guess. Every binding keeps
its reason, and an error tells the chain (`reasons`). Makes no assumption about numbers: sizes stay letters here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from sympy import Dummy, Integer

from lstm_spec.symbolic.algebra import (
    Call,
    Elementwise,
    Join,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Transpose,
)
from lstm_spec.symbolic.cell import Cell, Equation, Role
from lstm_spec.symbolic.printing import shape_text
from lstm_spec.symbolic.reasons import explain_claim, explain_number, explain_open, explain_vector

ONE = Integer(1)
Size = Any  # a SymPy sum of letters with whole factors


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows and columns of a tensor; a vector has one column."""

    rows: Size
    columns: Size = ONE

    @property
    def is_matrix(self) -> bool:
        """Whether it has columns of its own."""
        return bool(self.columns != ONE)

    @property
    def size(self) -> tuple[Size, ...]:
        """`(rows,)` or `(rows, columns)`, as an array has it."""
        return (self.rows, self.columns) if self.is_matrix else (self.rows,)


class Shapes(Mapping[str, Shape]):
    """The shape of every name of a cell, in the cell's order: inputs, states, parameters, then equations.

    >>> from lstm_spec.symbolic.language import parse
    >>> shapes = infer(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)"))
    >>> {name: shapes.text(name) for name in ("x", "W", "b")}
    {'x': 'n', 'W': 'k×n', 'b': 'k'}
    """

    def __init__(self, cell: Cell, by_name: Mapping[str, Shape]) -> None:
        self.cell = cell
        self._by_name = dict(by_name)

    def __getitem__(self, name: str) -> Shape:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def role(self, name: str) -> Role:
        """What the name is in its cell."""
        return self.cell.roles[name]

    def of(self, role: Role) -> dict[str, Shape]:
        """The shapes of one role's names."""
        return {name: shape for name, shape in self.items() if self.role(name) == role}

    def text(self, name: str) -> str:
        """`k×n`, with the letters in the cell's order."""
        return shape_text(self[name].size, self.cell.letters)


@lru_cache(maxsize=256)
def infer(cell: Cell) -> Shapes:
    """The shape of every name in a cell.

    Raises CellError `dimension` when two sizes that must be equal are not, `undetermined` when a size follows from
    nothing, `product` when a vector stands where a matrix must.
    """
    unifier = Unifier(cell)
    for equation in cell.ordered:
        unifier.add_equation(equation)
    unifier.settle()
    shapes = {name: unifier.shape(name) for name in cell.roles}
    if any(unifier.is_open(shape) for shape in shapes.values()):
        raise explain_open(unifier, shapes)
    return Shapes(cell, shapes)


def matrices(cell: Cell) -> frozenset[str]:
    """The parameters that ever stand left in a product, themselves or inside a sum, product or transpose that does."""
    found: set[str] = set()

    def visit(node: Node, left: bool) -> None:
        if isinstance(node, Name) and left:
            found.add(node.name)
        inherits = isinstance(node, Elementwise | Negate | Transpose | Product)
        for side, operand in enumerate(node.operands):
            visit(operand, (left and inherits) or (isinstance(node, Product) and side == 0))

    for equation in cell.equations:
        visit(equation.expression, left=False)
    return frozenset(found & set(cell.parameters))


SPREAD = Dummy("any")  # the rows and columns of a number, which takes the shape of its neighbour
Axis = Literal["rows", "columns"]
Kind = Literal["operands", "product", "target", "join"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Two sizes that must be equal, and where it is written that they are.

    `kind` says what `one` and `other` belong to: the two operands of the node, the columns and rows that meet in a
    product, the left side and the node, or a vector's one column and a part of a join.
    """

    kind: Kind
    one: Size
    other: Size
    node: Node
    equation: Equation
    axis: Axis = "rows"


@dataclass(frozen=True, slots=True)
class Binding:
    """What an unknown is, the claim that says so, and the other unknowns in that claim."""

    size: Size
    claim: Claim
    premises: tuple[Any, ...] = ()


@dataclass(slots=True)
class Unifier:
    """The sizes known so far. One pass adds the constraints; `settle` closes those that had to wait."""

    cell: Cell
    bindings: dict[Any, Binding] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    origin: dict[Any, tuple[int, str]] = field(default_factory=dict)  # each unknown's rank and name
    waiting: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        declared = {d.name: d for d in self.cell.declarations}
        wide = matrices(self.cell)
        for name, role in self.cell.roles.items():
            if name in declared:
                self.shapes[name] = Shape(*declared[name].size)
            elif role == "next":
                self.shapes[name] = self.shapes[name[:-1]]
            elif role == "total" or name in wide:
                self.shapes[name] = Shape(self._unknown(name), self._unknown(name))
            else:
                self.shapes[name] = Shape(self._unknown(name))

    def _unknown(self, name: str) -> Any:
        unknown = Dummy(name, integer=True, positive=True)
        self.origin[unknown] = len(self.origin), name
        return unknown

    def unknowns(self, size: Size) -> list[Any]:
        """The unknowns in a size, in the order in which they were made."""
        return sorted((s for s in size.free_symbols if s in self.origin), key=lambda u: self.origin[u][0])

    def now(self, size: Size) -> Size:
        """A size with everything known put in."""
        while known := {u: self.bindings[u].size for u in size.free_symbols if u in self.bindings}:
            size = size.xreplace(known)
        return size

    def shape(self, name: str) -> Shape:
        """The shape of a name, as far as it is known."""
        return self.known(self.shapes[name])

    def known(self, shape: Shape) -> Shape:
        """A shape with everything known put in."""
        return Shape(self.now(shape.rows), self.now(shape.columns))

    def is_open(self, shape: Shape) -> bool:
        """Whether a settled shape has an unknown left."""
        return bool(self.unknowns(shape.rows) or self.unknowns(shape.columns))

    # ---- constraints, node by node ----

    def add_equation(self, equation: Equation) -> None:
        """The right side has the shape of the left; a split's parts add up to it."""
        node = equation.expression
        right = self.visit(node, equation)
        rows = sum((self.shapes[t].rows for t in equation.targets), Integer(0))
        columns = ONE if len(equation.targets) > 1 else self._columns(equation.targets[0], right)
        self.require(Claim("target", rows, right.rows, node, equation))
        self.require(Claim("target", columns, right.columns, node, equation, "columns"))

    def _columns(self, target: str, right: Shape) -> Size:
        """The columns of a left side. An equation may define a matrix; its name is then one too."""
        free = self.cell.roles[target] == "gate" and all(d.name != target for d in self.cell.lets)
        if free and self.now(right.columns) != ONE:
            self.shapes[target] = Shape(self.shapes[target].rows, right.columns)
        return self.shapes[target].columns

    def visit(self, node: Node, equation: Equation) -> Shape:
        """The shape of a node; what must be equal below it is made so."""
        match node:
            case Name():
                return self.shapes[node.name]
            case Transpose():
                inner = self.visit(node.operand, equation)
                return Shape(inner.columns, inner.rows)
            case Product():
                return self._product(node, equation)
            case Join():
                return self._join(node, equation)
            case Number():
                return Shape(SPREAD, SPREAD)
        operands = node.tensors if isinstance(node, Call) else node.operands
        shapes = [s for s in (self.visit(o, equation) for o in operands) if s.rows is not SPREAD]
        for other in shapes[1:]:
            self.require(Claim("operands", shapes[0].rows, other.rows, node, equation))
            self.require(Claim("operands", shapes[0].columns, other.columns, node, equation, "columns"))
        return shapes[0] if shapes else Shape(SPREAD, SPREAD)

    def _product(self, node: Product, equation: Equation) -> Shape:
        left, right = (self.visit(o, equation) for o in node.operands)
        for operand, shape in ((node.left, left), (node.right, right)):
            if shape.rows is SPREAD:
                raise explain_number(self, operand, node, equation)
        if self.now(left.columns) == ONE and self.now(right.rows) != ONE:
            raise explain_vector(self, node, equation)
        self.require(Claim("product", left.columns, right.rows, node, equation))
        return Shape(left.rows, right.columns)

    def _join(self, node: Join, equation: Equation) -> Shape:
        shapes = [self.visit(o, equation) for o in node.operands]
        for operand, shape in zip(node.operands, shapes, strict=True):
            if shape.rows is SPREAD:
                raise explain_number(self, operand, node, equation)
            self.require(Claim("join", ONE, shape.columns, operand, equation, "columns"))
        return Shape(sum((s.rows for s in shapes), Integer(0)))

    # ---- unification ----

    def require(self, claim: Claim) -> bool:
        """Make two sizes one: bind an unknown, wait, or fail. True when it bound something."""
        one, other = self.now(claim.one), self.now(claim.other)
        if one == other:
            return False
        difference = one - other
        unknowns = self.unknowns(difference)
        for unknown in reversed(unknowns):
            solution = unknown - difference / difference.coeff(unknown)
            if _is_size(solution):
                premises = (u for size in (claim.one, claim.other) for u in self.unknowns(size) if u != unknown)
                self.bindings[unknown] = Binding(solution, claim, tuple(premises))
                return True
        signs = {c > 0 for c in difference.as_coefficients_dict().values() if c}
        if difference != 0 and (len(unknowns) < 2 or len(signs) == 1):
            raise explain_claim(self, claim)
        if unknowns:
            self.waiting.append(claim)
        return False

    def settle(self) -> None:
        """Go through what had to wait until nothing new is bound."""
        progress = True
        while progress and self.waiting:
            pending, self.waiting, progress = self.waiting, [], False
            for claim in pending:
                progress |= self.require(claim)


def _is_size(size: Size) -> bool:
    """A sum of letters and ones with whole positive factors."""
    terms = size.as_coefficients_dict().items()
    return size != 0 and all(c.is_Integer and c > 0 and (a.is_Symbol or a == 1) for a, c in terms)
