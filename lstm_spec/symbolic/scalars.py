"""One entry of an equation, written out: `f[3] = sigmoid(Σ_q W_f[3,q] x[q] (q = 1…5) + … + b_f[3])`.

A matrix product becomes a sum over an index of its own; a function over a whole vector stays one, with the index behind
it. Indices count from 1. Nothing is simplified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm_spec.symbolic.algebra import (
    FUNCTIONS,
    Call,
    Divide,
    Elementwise,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Transpose,
)
from lstm_spec.symbolic.cell import Equation
from lstm_spec.symbolic.printing import text
from lstm_spec.symbolic.shapes import Shapes

LETTERS = "qpsuvwabde"
SUM, SIGMA, TERM, ATOM = 1, 2, 3, 4  # how tightly what was written binds; Σ has its range behind it
Index = int | str


@dataclass(frozen=True, slots=True)
class Scalars:
    """Writes entries of one cell's equations; `sizes` gives each letter of the cell a number."""

    shapes: Shapes
    sizes: Mapping[Any, Any]

    def equation(self, equation: Equation, target: str, index: int) -> str:
        """The equation of one entry of one target."""
        row = index + self.offset(equation, target)
        return f"{target}[{index}] = {self._entry(equation.expression, row, 0)[0]}"

    def offset(self, equation: Equation, target: str) -> int:
        """How many rows of the right-hand side belong to targets before this one."""
        before = equation.targets[: equation.targets.index(target)]
        return sum(self.number(self.shapes[name].rows) for name in before)

    def number(self, size: Any) -> int:
        """A size as a number."""
        return int(size.xreplace(self.sizes))

    def rows(self, node: Node) -> int:
        """The rows of an expression, as a number; a number has none: 0."""
        match node:
            case Name():
                return self.number(self.shapes[node.name].rows)
            case Number():
                return 0
            case Transpose():
                return self.columns(node.operand)
            case Product():
                return self.rows(node.left)
            case Join():
                return sum(map(self.rows, node.operands))
        return max(map(self.rows, node.operands))

    def columns(self, node: Node) -> int:
        """The columns of an expression, as a number."""
        match node:
            case Name():
                return self.number(self.shapes[node.name].columns)
            case Number() | Join():
                return 1
            case Transpose():
                return self.rows(node.operand)
            case Product():
                return self.columns(node.right)
        return max(map(self.columns, node.operands))

    def _letter(self, depth: int) -> str:
        """The index of a product inside `depth` others; no name of the cell."""
        free = [letter for letter in LETTERS if letter not in self.shapes]
        return free[depth] if depth < len(free) else f"q{depth}"

    def _entry(self, node: Node, row: Index, depth: int, column: Index | None = None) -> tuple[str, int]:
        """An entry of an expression, and how tightly its text binds."""
        match node:
            case Number():
                return node.written, ATOM
            case Transpose():
                return self._entry(node.operand, column or 1, depth, row)
            case Negate():
                return f"-{self._bracketed(node.operand, row, depth, column, ATOM)}", TERM
            case Elementwise():
                return self._elementwise(node, row, depth, column)
            case Product():
                return self._product(node, row, depth, column)
            case Join():
                return self._joined(node, row, depth)
            case Call():
                return self._call(node, row, depth, column)
        matrix = node if isinstance(node, Name) and self.shapes[node.name].is_matrix else None
        return f"{text(node)}[{row},{column}]" if matrix else f"{text(node)}[{row}]", ATOM

    def _bracketed(self, node: Node, row: Index, depth: int, column: Index | None, least: int) -> str:
        shown, binding = self._entry(node, row, depth, column)
        return f"({shown})" if binding < least else shown

    def _elementwise(self, node: Elementwise, row: Index, depth: int, column: Index | None) -> tuple[str, int]:
        binds, right = (TERM, ATOM) if isinstance(node, Multiply | Divide) else (SUM, SIGMA)
        left = self._bracketed(node.left, row, depth, column, binds)
        return f"{left} {node.sign} {self._bracketed(node.right, row, depth, column, right)}", binds

    def _product(self, node: Product, row: Index, depth: int, column: Index | None) -> tuple[str, int]:
        over, count = self._letter(depth), self.columns(node.left)
        left = self._bracketed(node.left, row, depth + 1, over, ATOM)
        right = self._bracketed(node.right, over, depth + 1, column, ATOM)
        return f"Σ_{over} {left} {right} ({over} = 1…{count})", SIGMA

    def _joined(self, node: Join, row: Index, depth: int) -> tuple[str, int]:
        if isinstance(row, str):
            return f"{text(node)}[{row}]", ATOM
        for operand in node.operands:
            rows = self.rows(operand)
            if row <= rows:
                return self._entry(operand, row, depth)
            row -= rows
        raise IndexError(f"{text(node)} has no row {row}")

    def _call(self, node: Call, row: Index, depth: int, column: Index | None) -> tuple[str, int]:
        if FUNCTIONS[node.function].across:
            return f"{text(node)}[{row}]", ATOM
        inner = [self._entry(operand, row, depth, column)[0] for operand in node.operands]
        return f"{node.function}({', '.join(inner)})", ATOM
