"""What a layer costs: a line for each kind of operation and memory, as a polynomial and as a number.

Comes in: a layer, a batch, a time, a dtype. Goes out: a `Cost`, every line with its definition. The polynomials are
derived in `costing`, from the operations of the equations and the shapes of the tensors; nothing is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lstm_spec.display import Displayed
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.counts import factored
from lstm_spec.symbolic.operations import Operation

Unit = Literal["evaluations", "operations", "entries", "bytes", "operations a byte"]

# The bytes of one entry.
DTYPES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}

# Line → its unit and its definition. E is the cell evaluations of one cell: B·T, or the sum of the lengths.
DEFINITIONS: dict[str, tuple[Unit, str]] = {
    "evaluations": ("evaluations", "steps of a cell on one sample: B T of each cell, or the sum of the lengths"),
    "macs": ("operations", "multiply-accumulates of the matrix products: p q s for p×q by q×s"),
    "bias": ("operations", "additions of a parameter vector that stands alone in a sum"),
    "sums": ("operations", "all other additions and subtractions, entry by entry"),
    "products": ("operations", "elementwise products, those with a number too"),
    "divisions": ("operations", "elementwise divisions"),
    "negations": ("operations", "changes of sign"),
    "activations": ("operations", "functions of one entry, each one operation"),
    "flops": ("operations", "2 macs + every other operation above, an activation as one"),
    "parameters": ("entries", "numbers that are learnt"),
    "parameter bytes": ("bytes", "the parameters in the dtype"),
    "inference bytes": (
        "bytes",
        "activations that live at once: the widest layer's input and output, all states, one step's values",
    ),
    "kept bytes": (
        "bytes",
        "forward values that the derivatives read, each once, none computed anew; without the parameters",
    ),
    "moved bytes": ("bytes", "parameters once; each layer's input, output and states, before and after"),
    "moved bytes, streaming": ("bytes", "the same, with the parameters read anew at each time step"),
    "intensity": ("operations a byte", "flops / moved bytes: weights that stay in the cache"),
    "intensity, streaming": ("operations a byte", "flops / moved bytes, streaming: weights that do not"),
}


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line: `count` has everything put in that was given, `formula` the axes that there is more than one of.

    `general` is the polynomial in the cell's letters, B, T (or E, with lengths), L and D.
    """

    name: str
    unit: Unit
    definition: str
    expanded: Any = field(repr=False)
    shown: Any = field(repr=False)
    count: Any

    @property
    def general(self) -> Any:
        """The polynomial in all its letters, factored."""
        return factored(self.expanded)

    @property
    def formula(self) -> Any:
        """The polynomial without L where there is one layer, without D where there is one direction."""
        return factored(self.shown)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: a count is an integer where it is a whole number, a decimal where it is none, else text."""
        return {
            "name": self.name,
            "unit": self.unit,
            "definition": self.definition,
            "general": str(self.general),
            "formula": str(self.formula),
            "count": plain_number(self.count),
        }


@dataclass(frozen=True, slots=True)
class Cost(Displayed):
    """Every line of what a layer costs; `operations` are those of one evaluation of its cell.

    `lengths` are those of packed sequences, or empty: every sequence is T long.
    """

    layer: Layer
    batch: Any
    time: Any
    lengths: tuple[int, ...]
    dtype: str
    lines: tuple[CostLine, ...]
    operations: tuple[Operation, ...]

    def __getitem__(self, name: str) -> CostLine:
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def __str__(self) -> str:
        width = max(len(line.name) for line in self.lines)
        return "\n".join(f"{line.name:<{width}}  {_equation(line)}" for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sizes": {name: str(value) for name, value in self.layer.given},
            "layers": self.layer.layers,
            "direction": self.layer.direction,
            "batch": plain_number(self.batch),
            "time": plain_number(self.time),
            "lengths": list(self.lengths),
            "dtype": self.dtype,
            "lines": [line.to_dict() for line in self.lines],
            "operations": [
                {"equation": o.equation, "kind": o.kind, "what": o.what, "function": o.function, "count": str(o.count)}
                for o in self.operations
            ],
        }


def _equation(line: CostLine) -> str:
    return " = ".join(dict.fromkeys((str(line.formula), number_text(line.count))))


def plain_number(count: Any) -> Any:
    """An `int` or a `float` where it is a number, else its text."""
    if count.is_Integer:
        return int(count)
    return float(count) if count.is_Rational else str(factored(count))


def number_text(count: Any) -> str:
    """A count for people: `3,276,800`, `0.4951`, or the polynomial.

    >>> from sympy import Rational
    >>> number_text(Rational(3276800)), number_text(Rational(1, 3))
    ('3,276,800', '0.3333')
    """
    if count.is_Integer:
        return f"{int(count):,}"
    return f"{float(count):.4g}" if count.is_Rational else str(factored(count))


def describe_cost(
    layer: Layer, batch: Any = None, time: Any = None, lengths: Sequence[int] | None = None, dtype: str = "float32"
) -> Cost:
    """What a layer costs. `batch` and `time` are numbers ≥ 0 or None for B and T; `lengths` take their place.

    Raises SizeError for what is no length, OptionError for a dtype that is not in `DTYPES`.
    """
    from lstm_spec.layers.costing import Costing

    return Costing.of(layer, batch, time, lengths, dtype).cost()
