"""`bounds`: a cell or a layer, and weights if there are any → proven ranges of everything that it computes.

Without weights a member of the layer is its cell. With them each unit has ranges of its own, which hold for real
numbers and for the code in the weights' dtype alike; sums over time need T. NumPy is loaded only where weights are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sympy import Rational

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.sizes import symbols
from lstm_spec.symbolic.bounds import Bound, CellBounds, bound_cell, call_lengths
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.fixed_point import formats_of
from lstm_spec.symbolic.intervals import EVERYTHING, Interval

if TYPE_CHECKING:
    import numpy as np

    from lstm_spec.compiler.ranges import Ends
    from lstm_spec.layers.weights import Weights

CLOSED, OPEN = 0.05, 0.95  # a gate at most, or at least, this is called closed, or open


@dataclass(frozen=True, slots=True)
class MemberBounds:
    """One cell with weights: the ranges of each name's units; `before` has what stands inside a gate's function.

    A state's range holds at the steps 1 to T; it is infinite where nothing bounds it without T.
    """

    prefix: str
    units: Mapping[str, Ends]
    before: Mapping[str, Ends]

    def whole(self, name: str) -> Interval:
        """The range of all units of a name together."""
        return _whole(self.units[name])

    def to_dict(self) -> dict[str, Any]:
        """For JSON; null where an end is infinite."""
        shown = {**self.units, **{f"before {n}": e for n, e in self.before.items()}}
        return {
            "at": self.prefix,
            "units": {n: {"low": _finite(e.low), "high": _finite(e.high)} for n, e in shown.items()},
        }


def _finite(values: Any) -> list[float | None]:
    return [v if abs(v) != float("inf") else None for v in values.tolist()]


def _whole(ends: Ends) -> Interval:
    low, high = (float(e) for e in (ends.low.min(), ends.high.max()))
    left = EVERYTHING.low if low == float("-inf") else Rational(low)
    return Interval.between(left, EVERYTHING.high if high == float("inf") else Rational(high))


@dataclass(frozen=True, slots=True)
class Bounds(Displayed):
    """What is proven of a layer. `cell` has the bounds without weights; `members` those with them, if there are any.

    `input_max` bounds |x| and `initial_max` every |s_0|; `time` is T, where one was given.
    """

    layer: Layer
    cell: CellBounds
    members: tuple[MemberBounds, ...] = ()
    input_max: Any = None
    initial_max: Any = 0
    time: int | None = None
    dtype: str = ""
    weights: Mapping[str, Interval] = field(default_factory=dict)

    def ranges(self) -> dict[str, Interval]:
        """Every value's range in numbers, over T steps; a name of several cells has its cell before it."""
        found: dict[str, Interval] = {}
        if self.input_max is not None:
            found |= {d.name: Interval.between(-self.input_max, self.input_max) for d in self.layer.cell.inputs}
        if not self.members:
            return found | {b.name: self.over_time(b) for b in self.cell.bounds}
        for member in self.members:
            dot = f"{member.prefix}." if len(self.members) > 1 else ""
            found |= {f"{dot}before {name}": _whole(ends) for name, ends in member.before.items()}
            found |= {f"{dot}{name}": member.whole(name) for name in member.units}
        return {**found, **self.weights}

    def over_time(self, bound: Bound) -> Interval:
        """A bound without weights, in numbers: a state's growth over T steps, or for ever where it ends."""
        if bound.growth is None:
            return bound.real
        if self.time is None and bound.growth.rule == "sum" and bound.growth.level != 0:
            return EVERYTHING
        return bound.over(self.initial_max, Rational(self.time or 0)) or EVERYTHING

    def formats(self) -> list[dict[str, Any]]:
        """The fixed-point formats and scales that hold each range that has two ends."""
        return [formats_of(name, found) for name, found in self.ranges().items() if found.is_bounded]

    def __str__(self) -> str:
        return str(self.cell)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.cell.to_dict(),
            "input_max": None if self.input_max is None else float(self.input_max),
            "initial_max": float(self.initial_max),
            "time": self.time,
            "dtype": self.dtype or None,
            "members": [m.to_dict() for m in self.members],
            "formats": self.formats(),
        }


def bound_layer(
    layer: Layer | Cell,
    weights: Mapping[str, np.ndarray[Any, Any]] | None = None,
    *,
    input_max: Any = None,
    initial_max: Any = 0,
    time: int | None = None,
    assume: Iterable[str] = (),
) -> Bounds:
    """Proven ranges of a layer; `ls.bounds`.

    >>> from lstm_spec.layers.factory import lstm
    >>> print(bound_layer(lstm()))
    i: (0, 1); in floats [0, 1]
    f: (0, 1); in floats [0, 1]
    g: (-1, 1); in floats [-1, 1]
    o: (0, 1); in floats [0, 1]
    c: |c_t| <= |c_0| + t; in floats |c_t| <= (|c_0| + t) / (1 - 2u)
    h: (-1, 1); in floats [-1, 1]

    With weights, and |x| ≤ `input_max`, each unit has its own. Raises OptionError for a bound that is no number ≥ 0, a
    time that is no whole number ≥ 1, an assumption that cannot be, or weights without `input_max`; TensorError for
    weights that are not the layer's.
    """
    layer = Layer(layer) if isinstance(layer, Cell) else layer
    if not isinstance(layer, Layer):
        raise OptionError(
            Finding("type", f"a {safe(type(layer).__name__, 40)} is no layer", expected="a Layer or Cell")
        )
    most = None if input_max is None else read_bound("input_max", input_max)
    start = read_bound("initial_max", initial_max)
    if time is not None and (type(time) is not int or time < 1):
        raise OptionError(Finding("time", f"time={safe(repr(time), 40)} is no count of steps", expected="1, 2, …"))
    assume = tuple(assume)
    lengths = call_lengths(layer.cell, layer.shapes_of_cell, symbols(layer.sizes))
    cell = bound_cell(layer.cell, assume, most if layer.layers == 1 else None, lengths)
    if weights is None:
        return Bounds(layer, cell, (), most, start, time)
    if most is None:
        message = "weights bound nothing without a bound of the input"
        raise OptionError(Finding("input-max", message, help="give one: input_max=1.5, or --input-max 1.5"))
    from lstm_spec.layers.weights import hold_weights

    layer, held = hold_weights(layer, weights)
    return _with_weights(Bounds(layer, cell, (), most, start, time), held, assume)


def read_bound(name: str, given: Any) -> Any:
    """A bound of an absolute value, exact. Raises OptionError when it is no finite number ≥ 0."""
    try:
        value = Rational(str(given)) if len(str(given)) <= 60 else None
    except (TypeError, ValueError, ZeroDivisionError):
        value = None
    if value is None or not value.is_finite or value < 0 or isinstance(given, bool):
        raise OptionError(Finding("bound", f"{name}={safe(repr(given), 40)} is no bound", expected="a number ≥ 0"))
    return value


def _with_weights(bounds: Bounds, weights: Weights, assume: tuple[str, ...]) -> Bounds:
    import numpy as np

    from lstm_spec.compiler.ranges import Ends
    from lstm_spec.compiler.unit_ranges import bound_member

    layer = bounds.layer
    strange = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if strange:
        message = f"{safe(strange[0])} has entries that are NaN or infinite: nothing is bounded"
        raise OptionError(Finding("not-finite", message))
    dtype = str(next(iter(weights.values())).dtype) if len(weights) else "float64"
    found: list[MemberBounds] = []
    rows = int(layer.shapes_of_cell[layer.cell.inputs[0].name].rows.xreplace(symbols(layer.sizes)))
    x = Ends.around(float(bounds.input_max), rows)
    for index in range(layer.layers):
        members = [m for m in layer.members if m.index == index]
        here = [bound_member(bounds, m, _own(weights, m), x, dtype, assume) for m in members]
        found += here
        x = _merged(layer, here)
    held = {name: _whole(Ends(*[np.atleast_1d(a).astype(np.float64)] * 2)) for name, a in weights.items() if a.size}
    return Bounds(layer, bounds.cell, tuple(found), bounds.input_max, bounds.initial_max, bounds.time, dtype, held)


def _own(weights: Mapping[str, Any], member: Member) -> dict[str, Any]:
    prefix = f"{member.prefix}."
    return {n.removeprefix(prefix): a for n, a in weights.items() if n.rpartition(".")[0] == member.prefix}


def _merged(layer: Layer, members: list[MemberBounds]) -> Ends:
    """The range of what the next layer reads: 0, where a step is not there, is part of it."""
    import numpy as np

    from lstm_spec.compiler.ranges import Ends

    zero = Ends(np.asarray(0.0), np.asarray(0.0))
    sides = []
    for member in members:
        parts = [member.units[name].join(zero) for name in layer.cell.outputs]
        sides.append(Ends(np.concatenate([p.low for p in parts]), np.concatenate([p.high for p in parts])))
    if len(sides) == 1:
        return sides[0]
    one, other = sides
    match layer.merge:
        case "sum":
            return (one + other).outward(2.0**-23)
        case "mul":
            return (one * other).outward(2.0**-23)
        case "average":
            both = (one + other).outward(2.0**-23)
            return Ends(both.low / 2, both.high / 2)
    return Ends(np.concatenate([one.low, other.low]), np.concatenate([one.high, other.high]))
