"""Numbers that count what is done to them: an independent answer to how many operations an equation has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from lstm_spec.symbolic.algebra import Add, Call, Divide, Join, Multiply, Name, Negate, Node, Number, Product, Transpose
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.shapes import infer


class Counted:
    """One entry of a tensor."""

    def __init__(self, done: Counter[str]) -> None:
        self.done = done

    def did(self, what: str) -> Counted:
        self.done[what] += 1
        return self

    def __mul__(self, other: Any) -> Counted:
        return self.did("multiply")

    def __add__(self, other: Any) -> Counted:
        return self.did("add")

    def __sub__(self, other: Any) -> Counted:
        return self.did("add")

    def __truediv__(self, other: Any) -> Counted:
        return self.did("divide")

    def __neg__(self) -> Counted:
        return self.did("negate")

    __rmul__, __radd__, __rsub__, __rtruediv__ = __mul__, __add__, __sub__, __truediv__


def count_by_doing(cell: Cell, sizes: dict[Any, int]) -> Counter[str]:
    """Every operation on single numbers that one step of a cell makes, its products by the schoolbook."""
    done: Counter[str] = Counter()
    tensors: dict[str, Any] = {}
    for name, shape in infer(cell).items():
        lengths = [int(size.xreplace(sizes)) for size in (shape.rows, shape.columns)]
        tensors[name] = np.array([[Counted(done) for _ in range(lengths[1])] for _ in range(lengths[0])])
    for equation in cell.equations:
        _do(equation.expression, tensors, done)
    return done


def _do(node: Node, tensors: dict[str, Any], done: Counter[str]) -> Any:
    match node:
        case Name():
            return tensors[node.name]
        case Number():
            return 1
        case Call() if node.function == "layer_norm":
            return _normalize(_do(node.tensors[0], tensors, done), done)
        case Call():
            operands = [_do(operand, tensors, done) for operand in node.tensors]
            for entry in operands[0].flat:
                entry.did(node.function)
            return operands[0]
    operands = [_do(operand, tensors, done) for operand in node.operands]
    match node:
        case Transpose():
            return operands[0].T
        case Join():
            return np.concatenate(operands)
        case Product():
            return operands[0] @ operands[1]
        case Negate():
            return -operands[0]
        case Add():
            return operands[0] + operands[1]
        case Multiply():
            return operands[0] * operands[1]
        case Divide():
            return operands[0] / operands[1]
    return operands[0] - operands[1]


def _normalize(z: Any, done: Counter[str]) -> Any:
    """(z - mean) / sqrt(variance + e), column by column, as one writes it."""
    mean = sum(z[1:], z[0]) / z.shape[0]
    centred = z - mean
    squares = centred * centred
    root = sum(squares[1:], squares[0]) / z.shape[0] + 1
    for entry in root.flat:
        entry.did("sqrt")
    return centred / root
