"""Equations → the values of the forward pass that their derivatives read: what backpropagation must keep.

Each node's derivative reads what its rule says (`RULES`); a value is counted once however often it is read, a parameter
never (it is there anyway), and nothing is computed anew. Decides nothing about when a value may be dropped.

| node | its derivative reads |
|---|---|
| `W x`, `a * b` | each factor, where the other one depends on something |
| `a / b` | b, and the quotient where b depends on something |
| a function in `BY_RESULT` | its result: sigmoid' = s (1 − s), tanh' = 1 − t² |
| a function in `BY_OPERAND` | its operand |
| `layer_norm(z, e)` | its result and, a column, the root |
| sums, joins, transposes, `mean`, `step` | nothing |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Integer

from lstm_spec.symbolic.algebra import Call, Divide, Multiply, Name, Negate, Node, Number, Product, Transpose, walk
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.operations import shape_of
from lstm_spec.symbolic.printing import text
from lstm_spec.symbolic.shapes import Shapes, infer

BY_RESULT = frozenset(
    {"sigmoid", "tanh", "relu", "exp", "sqrt", "softplus", "softsign", "hard_sigmoid", "leaky_relu", "elu"}
)
BY_OPERAND = frozenset({"log", "abs", "clip", "max"})  # clip's result does not tell a bound from what is beyond it


@dataclass(frozen=True, slots=True)
class Saved:
    """What one cell keeps.

    `values` are computed at each step, `name or text → entries`; `states` are those read as they were before the step;
    `inputs` are read from the sequence that came in; `constant` are entries that depend on parameters alone, kept once.
    """

    values: dict[str, Any]
    states: dict[str, Any]
    inputs: dict[str, Any]
    constant: Any


@lru_cache(maxsize=256)
def saved_values(cell: Cell) -> Saved:
    """What the derivatives of a cell's equations read.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> list(saved_values(lstm_cell()).values)
    ['i', 'f', 'g', 'o', "tanh(c')"]
    """
    return _Reader(infer(cell)).saved()


@dataclass(slots=True)
class _Reader:
    shapes: Shapes

    def saved(self) -> Saved:
        cell = self.shapes.cell
        targets = {e.expression: e.targets for e in cell.equations if not e.total}
        values: dict[str, Any] = {}
        states: dict[str, Any] = {}
        inputs: dict[str, Any] = {}
        constants: dict[str, Any] = {}
        for name, entries, node in self._read(targets):
            role = cell.roles.get(name)
            if role == "state":
                states[name] = entries
            elif role == "input":
                inputs[name] = entries
            elif role is None and node is not None and not self._moves(node):
                constants[name] = entries
            elif role != "parameter":
                values[name] = entries
        ranked = [*(n for n in cell.roles if n in values), *(n for n in values if n not in cell.roles)]
        return Saved({name: values[name] for name in ranked}, states, inputs, sum(constants.values(), Integer(0)))

    def _read(self, targets: dict[Node, tuple[str, ...]]) -> Iterator[tuple[str, Any, Node | None]]:
        """Every value that is read, by the name it has, or by its text."""
        for equation in self.shapes.cell.equations:
            for node in walk(equation.expression):
                for read in self._of(node):
                    yield from self._named(read, targets)
                if isinstance(node, Call) and node.function == "layer_norm":
                    shape = shape_of(node, self.shapes)
                    yield f"root of {text(node)}", shape.columns if shape else Integer(1), node

    def _named(self, node: Node, targets: dict[Node, tuple[str, ...]]) -> Iterator[tuple[str, Any, Node | None]]:
        while isinstance(node, Negate | Transpose):  # the same entries
            node = node.operand
        for name in targets.get(node, (text(node),)):
            known = self.shapes.get(name)
            shape = known or shape_of(node, self.shapes)
            if shape is not None:
                yield name, shape.rows * shape.columns, None if known else node

    def _of(self, node: Node) -> Iterator[Node]:
        """What the derivative of one node reads."""
        match node:
            case Multiply() | Product():
                if not _is_number(node.left) and not _is_number(node.right):
                    yield from (node.left, node.right)
            case Divide():
                if not _is_number(node.right):
                    yield from (node.right, node)
            case Call() if node.function in BY_RESULT or node.function == "layer_norm":
                yield node
            case Call() if node.function in BY_OPERAND:
                yield from (o for o in node.tensors if not _is_number(o))

    def _moves(self, node: Node) -> bool:
        """Whether a value depends on more than parameters."""
        roles = self.shapes.cell.roles
        return any(isinstance(n, Name) and roles[n.name] != "parameter" for n in walk(node))


def _is_number(node: Node) -> bool:
    return all(isinstance(leaf, Number) for leaf in walk(node) if not leaf.operands)
