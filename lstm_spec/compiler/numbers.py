"""An expression of numbers only, `1 - 1/3` → its exact value; what a number may be in a program.

Sums, products and quotients are exact; a function of numbers is its float64 value. Reads no tensors.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from sympy import Rational

from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.errors import Finding, OptionError
from lstm_spec.symbolic.algebra import Add, Call, Divide, Multiply, Negate, Node, Number, Subtract

EXACT: dict[type, Callable[..., Any]] = {
    Add: operator.add,
    Subtract: operator.sub,
    Multiply: operator.mul,
    Divide: operator.truediv,
    Negate: operator.neg,
}
LARGEST = int(np.finfo(np.float64).max)


def number_of(node: Node, at: str) -> Any:
    """The value of an expression without tensors, as a SymPy `Rational`; `at` says where it stands.

    Raises OptionError when it is no finite number, or too large for a float64.
    """
    if isinstance(node, Number):
        value = node.value
    elif isinstance(node, Call):
        value = _called(node, [number_of(t, at) for t in node.tensors])
    else:
        value = EXACT[type(node)](*(number_of(o, at) for o in node.operands))
    if not value.is_Rational or abs(value) > LARGEST:
        raise OptionError(
            Finding("number", f"{node} is no number that code can hold", at, expected="finite, at most 1.8e308")
        )
    return value


def _called(node: Call, values: list[Any]) -> Any:
    with np.errstate(all="ignore"):  # what is not finite is refused by name
        result = COMPUTE[node.function](*(np.array([float(v)]) for v in values), *map(float, node.numbers))
    return Rational(float(result[0])) if np.isfinite(result[0]) else Rational(1) / 0
