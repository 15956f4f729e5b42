"""A cell's equations, walked over ranges: what each name can be, given what the inputs, states and parameters can.

The walk is one; a `Domain` says what a range is: `Interval`s of real numbers, the same in floating point, or arrays of
ends, one a unit (in the compiler's room). Each rounds its results outwards as it must.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sympy import Integer, Rational

from lstm_spec.symbolic.algebra import (
    Add,
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
    Subtract,
    Transpose,
)
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.curves import image
from lstm_spec.symbolic.intervals import EVERYTHING, Interval

OPERATORS: dict[type, Any] = {
    Add: lambda a, b: a + b,
    Subtract: lambda a, b: a - b,
    Multiply: lambda a, b: a * b,
    Divide: lambda a, b: a / b,
}


class Domain(Protocol):
    """What the walk asks of ranges; they also know + - * / and unary minus."""

    def number(self, value: Any) -> Any:
        """The range of one number."""

    def settled(self, value: Any) -> Any:
        """The result of one operation as it is computed: rounded outwards."""

    def product(self, left: Any, right: Any) -> Any:
        """`W x`."""

    def transposed(self, value: Any) -> Any:
        """`W^T`."""

    def joined(self, parts: Sequence[Any]) -> Any:
        """`[h, x]`."""

    def split(self, value: Any, names: Sequence[str]) -> Sequence[Any]:
        """The parts of `[a, b] = …`."""

    def called(self, call: Call, arguments: Sequence[Any]) -> Any:
        """A known function."""

    def at_most_zero(self, value: Any) -> Any:
        """The same range, with nothing above 0."""

    def held(self, name: str, value: Any) -> Any:
        """What is known of a name besides: the range within what was assumed."""


def range_names(cell: Cell, known: Mapping[str, Any], domain: Domain) -> dict[str, Any]:
    """The range of every name; `known` has those of inputs, states and parameters."""
    found = dict(known)
    for equation in cell.ordered:
        if equation.total:
            continue
        whole = range_node(equation.expression, found, domain, cell)
        parts = [whole] if len(equation.targets) == 1 else domain.split(whole, equation.targets)
        found |= {name: domain.held(name, part) for name, part in zip(equation.targets, parts, strict=True)}
    return found


def range_node(node: Node, known: Mapping[str, Any], domain: Domain, cell: Cell) -> Any:
    """The range of an expression, operand by operand; a product of a thing with itself is a square."""

    def inner(operand: Node) -> Any:
        return range_node(operand, known, domain, cell)

    match node:
        case Name():
            return known[node.name]
        case Number():
            return domain.number(node.value)
        case Negate():
            return -inner(node.operand)
        case Transpose():
            return domain.transposed(inner(node.operand))
        case Product():
            return domain.product(inner(node.left), inner(node.right))
        case Join():
            return domain.joined([inner(operand) for operand in node.operands])
        case Call():
            return domain.called(node, [inner(operand) for operand in node.tensors])
        case Multiply() if node.left == node.right:
            return domain.settled(inner(node.left).square())
        case Elementwise():
            found = domain.settled(OPERATORS[type(node)](inner(node.left), inner(node.right)))
            is_below = isinstance(node, Subtract) and _is_at_least(node.right, node.left, cell)
            return domain.at_most_zero(found) if is_below else found
    raise TypeError(f"{type(node).__name__} has no range")


def _is_at_least(larger: Node, smaller: Node, cell: Cell) -> bool:
    """Whether `larger` is `max(…, smaller)`, itself or by its name: then smaller − larger is never above 0."""
    while isinstance(larger, Name) and larger.name in cell.defined and len(cell.defined[larger.name].targets) == 1:
        larger = cell.defined[larger.name].expression
    return isinstance(larger, Call) and larger.function == "max" and smaller in larger.tensors


@dataclass(frozen=True, slots=True)
class RealRanges:
    """Intervals of real numbers: nothing is rounded. `assumed` holds names within ranges; `rows` are known lengths."""

    assumed: Mapping[str, Interval]
    rows: Mapping[Node, Any]

    def number(self, value: Any) -> Interval:
        """The number alone."""
        return Interval.point(value)

    def settled(self, value: Interval) -> Interval:
        """Itself."""
        return value

    def product(self, left: Interval, right: Interval) -> Interval:
        """A sum over no one knows how many entries: 0 where either is 0, else anything."""
        zero = Interval.point(0)
        return zero if zero in (left, right) else EVERYTHING

    def transposed(self, value: Interval) -> Interval:
        """The same entries."""
        return value

    def joined(self, parts: Sequence[Interval]) -> Interval:
        """What any of the parts can be."""
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.join(part)
        return whole

    def split(self, value: Interval, names: Sequence[str]) -> Sequence[Interval]:
        """Each part can be what the whole can."""
        return [value] * len(names)

    def called(self, call: Call, arguments: Sequence[Interval]) -> Interval:
        """The function's range over those of its arguments."""
        return image(call.function, tuple(arguments), call.numbers, self.rows.get(call))

    def at_most_zero(self, value: Interval) -> Interval:
        """The part that is not above 0."""
        return value.meet(NOT_ABOVE_ZERO) or Interval.point(0)

    def held(self, name: str, value: Interval) -> Interval:
        """The range within the one assumed. Raises Contradiction where no number is in both."""
        if name not in self.assumed:
            return value
        both = value.meet(self.assumed[name])
        if both is None:
            raise Contradiction(name, value)
        return both


class Contradiction(Exception):
    """A range that was assumed and the one that follows have nothing in common."""

    def __init__(self, name: str, derived: Interval) -> None:
        super().__init__(name)
        self.name, self.derived = name, derived


NOT_ABOVE_ZERO = Interval(EVERYTHING.low, Integer(0), True, False)


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format: `digits` of precision, the exponents of its smallest step and largest number."""

    name: str
    digits: int
    smallest: int
    largest: Any

    @property
    def u(self) -> Any:
        """The unit roundoff, 2^-digits: rounding to nearest changes a normal number by at most u of itself."""
        return Rational(1, 2**self.digits)

    def rounded_up(self, value: Any) -> Any:
        """The least number of the format that is not below a rational; oo beyond the largest."""
        if value in (EVERYTHING.low, EVERYTHING.high) or value == 0:
            return value
        exponent = int(abs(value.p)).bit_length() - int(value.q).bit_length()  # of |value|, or one too many
        exponent -= bool(abs(value) < Rational(2) ** exponent)
        step = Rational(2) ** max(exponent - self.digits + 1, self.smallest)
        up = (value / step).ceiling() * step  # not //: SymPy rounds 1 // (1/1024) down to 1023
        return EVERYTHING.high if up > self.largest else max(up, -self.largest)

    def holds(self, value: Any) -> bool:
        """Whether a rational is a number of the format."""
        return bool(self.rounded_up(value) == value)


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("float16", 11, -24, Integer(65504)),
        Format("bfloat16", 8, -133, Integer(2**8 - 1) * 2**120),
        Format("float32", 24, -149, Integer(2**24 - 1) * 2**104),
        Format("float64", 53, -1074, Integer(2**53 - 1) * 2**971),
    )
}

EXACT = {"relu", "identity", "clip", "step", "abs", "max"}  # computed without rounding
ULPS = 8  # how many u exp, tanh or sigmoid may be off (NumPy: 2.5 ulp, 5u, for exp in float32, and two roundings)


@dataclass(frozen=True, slots=True)
class FloatRanges(RealRanges):
    """Closed intervals of what a format computes. Rounding never falls: the ends' roundings enclose all between.

    `exp`, `tanh` and the like are taken to be within 8 u of their value and never outside the function's range.
    """

    format: Format = FORMATS["float64"]

    def settled(self, value: Interval) -> Interval:
        """Both ends rounded outwards to the format."""
        return Interval.between(-self.format.rounded_up(-value.low), self.format.rounded_up(value.high))

    def number(self, value: Any) -> Interval:
        """The number, or its two neighbours in the format."""
        return self.settled(Interval.point(value))

    def called(self, call: Call, arguments: Sequence[Interval]) -> Interval:
        """The function's range, widened by what the library may be off."""
        rows = self.rows.get(call)
        inner = tuple(argument.closed() for argument in arguments)
        if call.function == "hard_sigmoid":
            slope, offset = map(self.number, call.numbers)
            unclipped = self.settled(self.settled(inner[0] * slope) + offset)
            return image("clip", (unclipped,), (Integer(0), Integer(1))).closed()
        if call.function in ("mean", "layer_norm"):
            if rows is None or not getattr(rows, "is_Integer", False):
                return EVERYTHING
            found, off = image(call.function, inner, call.numbers, rows + 1).closed(), 2 * (int(rows) + ULPS)
            return self._widened(found, off, EVERYTHING)
        found = image(call.function, inner, call.numbers).closed()
        if call.function in EXACT:
            return self.settled(found)
        limits = image(call.function, (EVERYTHING,), call.numbers).closed()
        if call.function == "elu":  # exp(z) - 1 is off by u itself, however small the result
            found = found + Interval.between(-1, 1) * Interval.point(ULPS * self.format.u * abs(call.numbers[0]))
        return self._widened(found, ULPS, limits)

    def _widened(self, value: Interval, off: int, limits: Interval) -> Interval:
        slack = 1 + off * self.format.u
        low = value.low * (slack if value.low < 0 else 1 / slack)
        high = value.high * (slack if value.high > 0 else 1 / slack)
        return self.settled(Interval.between(low, high).meet(limits) or limits)
