"""A cell → proven ranges of everything that it computes, with the reasons of each proof.

Gates come from the function table alone; states from the structure of their equations (`recurrences`, `growing`). What
cannot be proven says so, and why. Parameters may be anything here; the compiler's room knows weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sympy import Rational, oo

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.algebra import Call, Node, walk
from lstm_spec.symbolic.assumptions import read_assumptions
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.growing import find_growth, scale_growth
from lstm_spec.symbolic.growth import Growth
from lstm_spec.symbolic.intervals import EVERYTHING, Interval, number_text
from lstm_spec.symbolic.ranging import (
    FORMATS,
    Contradiction,
    FloatRanges,
    RealRanges,
    range_names,
)
from lstm_spec.symbolic.recurrences import Recurrence, find_recurrence


@dataclass(frozen=True, slots=True)
class Bound:
    """What is proven of one name: `real` and, for each format, `floats` are ranges that hold at every step t ≥ 1.

    A state that has no range of its own may have a `growth` instead, bounding |s_t| by |s_0| and t. `reasons` is the
    proof, from equation to equation; where there is none, why.
    """

    name: str
    role: str
    real: Interval
    floats: Mapping[str, Interval]
    growth: Growth | None = None
    float_growth: Mapping[str, Growth] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether there is a bound at all."""
        return self.growth is not None or self.real != EVERYTHING

    def over(self, start: Any, time: Any) -> Interval | None:
        """The range in real numbers in the steps 1 to `time`, from |s_0| ≤ `start`; None where it has no two ends."""
        if self.growth is None:
            return self.real if self.real.is_bounded else None
        size = self.growth.size(start, time)
        found = self.real.meet(Interval.between(-size, size)) if size < oo else None
        return found if found is None or found.is_bounded else None

    def over_floats(self, format: str, start: Any, time: Any) -> Interval | None:
        """The same for what a format computes, rounding and all."""
        known = self.floats[format]
        if self.growth is None:
            return known if known.is_bounded else None
        if format not in self.float_growth:
            return None
        size = self.float_growth[format].rounded(start, time, FORMATS[format])
        return None if size == oo else known.meet(Interval.between(-_rational(size), _rational(size)))

    def real_text(self) -> str:
        """`(0, 1)`, `|c_t| <= |c_0| + t`, or `no bound proven`."""
        if self.growth is not None:
            return f"|{self.name}_t| <= {self.growth.text()}"
        return str(self.real) if self.proven else "no bound proven"

    def float_text(self) -> str:
        """The same for floats; where the formats differ, float32's."""
        if self.growth is not None:
            grown = self.float_growth.get("float32")
            return f"|{self.name}_t| <= {grown.rounded_text()}" if grown else "no bound proven"
        return str(self.floats["float32"]) if self.floats["float32"] != EVERYTHING else "no bound proven"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "role": self.role,
            "proven": self.proven,
            "real": self.real_text(),
            "float": self.float_text(),
            "reasons": list(self.reasons),
        }


def _rational(size: Any) -> Any:
    return size if size.is_Rational else Rational(size)


@dataclass(frozen=True, slots=True)
class CellBounds(Displayed):
    """The bounds of a cell, in the order of its equations; states under their own names. `assumed` are as written."""

    cell: Cell
    bounds: tuple[Bound, ...]
    assumed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Bound:
        return next(b for b in self.bounds if b.name == name)

    def __str__(self) -> str:
        return "\n".join(f"{b.name}: {b.real_text()}; in floats {b.float_text()}" for b in self.bounds)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"assumed": list(self.assumed), "bounds": [b.to_dict() for b in self.bounds]}


def bound_cell(
    cell: Cell, assume: Iterable[str] = (), input_max: Any = None, lengths: Mapping[Node, Any] | None = None
) -> CellBounds:
    """The proven range of every equation and state of a cell.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> bound_cell(lstm_cell())["c"].real_text()
    '|c_t| <= |c_0| + t'
    >>> bound_cell(lstm_cell(), ["f <= 0.9"])["c"].real_text()
    '|c_t| <= max(|c_0|, 10)'

    `assume` narrows names: `f <= 0.9`; `input_max` bounds |x|; `lengths` has the rows of calls where they are numbers.
    Raises OptionError for an assumption that is none, or that nothing can meet.
    """
    assume = tuple(assume)
    assumed = read_assumptions(cell, assume)
    known = _known(cell, input_max, assumed)
    try:
        real = RealRanges(assumed, lengths or {})
        ranges = range_names(cell, known, real)
        floats = {f.name: FloatRanges(assumed, lengths or {}, f) for f in FORMATS.values()}
        rounded = {name: range_names(cell, known, domain) for name, domain in floats.items()}
    except Contradiction as error:
        raise _contradiction(error, assume) from None
    prover = _Prover(cell, ranges, real, rounded, floats)
    states = prover.bound_states()
    names = [target for equation in cell.equations if not equation.total for target in equation.targets]
    bounds = (states[n[:-1]] if n.endswith("'") else prover.bound_gate(n) for n in names)
    return CellBounds(cell, tuple(bounds), assume)


def _known(cell: Cell, input_max: Any, assumed: Mapping[str, Interval]) -> dict[str, Interval]:
    known = dict.fromkeys([*(s.name for s in cell.states), *cell.parameters], EVERYTHING)
    inputs = EVERYTHING if input_max is None else Interval.between(-Rational(str(input_max)), Rational(str(input_max)))
    known |= {declared.name: inputs for declared in cell.inputs}
    return known | {name: known[name].meet(within) or within for name, within in assumed.items() if name in known}


def _contradiction(error: Contradiction, assume: tuple[str, ...]) -> OptionError:
    because = f"{error.name} is in {error.derived}, from its equation"
    found = "; ".join(safe(text, 60) for text in assume)
    return OptionError(Finding("assume", f"{error.name} cannot be so", found=found, because=because))


@dataclass(slots=True)
class _Prover:
    """Ranges in hand, bounds out; `proven` and `rounded_growth` are the growths found so far."""

    cell: Cell
    ranges: Mapping[str, Interval]
    real: RealRanges
    rounded: Mapping[str, Mapping[str, Interval]]
    floats: Mapping[str, FloatRanges]

    def bound_gate(self, name: str) -> Bound:
        """The range of an equation that is no state."""
        bound = self._ranged(name, name, self.cell.roles[name])
        if bound.proven:
            return bound
        grown = self._scaled(name, name)
        return grown if grown else replace(bound, reasons=(f"{self._equation(name)}: nothing bounds this",))

    def bound_states(self) -> dict[str, Bound]:
        """The bound of each state: by its range, its recurrence, or another state's growth."""
        found: dict[str, Bound] = {}
        for state in (s.name for s in self.cell.states):
            ranged = self._ranged(state, state + "'", "state")
            found[state] = ranged if ranged.real.is_bounded else self._grown(state, ranged)
        self.growths = {n: b.growth for n, b in found.items() if b.growth}
        self.rounded_growths = {
            f: {n: b.float_growth[f] for n, b in found.items() if f in b.float_growth} for f in FORMATS
        }
        for state, bound in found.items():
            if not bound.real.is_bounded and bound.growth is None:
                found[state] = self._scaled(state, state + "'") or bound
        return found

    growths: Mapping[str, Growth] = field(default_factory=dict)
    rounded_growths: Mapping[str, Mapping[str, Growth]] = field(default_factory=dict)

    def _ranged(self, shown: str, name: str, role: str) -> Bound:
        floats = {f: ranges[name] for f, ranges in self.rounded.items()}
        reasons = [f"{self._equation(name)}: in {self.ranges[name]}, whatever the rest is"]
        for call in _calls(self.cell.defined[name].expression):
            limits = self.real.called(call, [EVERYTHING] * len(call.tensors))
            reasons += [f"{call.function} is in {limits}"] * (limits != EVERYTHING)
        return Bound(shown, role, self.ranges[name], floats, reasons=tuple(dict.fromkeys(reasons)))

    def _grown(self, state: str, ranged: Bound) -> Bound:
        found = find_recurrence(self.cell, state)
        if found is None:
            why = f"{self._equation(state + chr(39))}: this is no {state} times a factor, plus the rest"
            return replace(ranged, reasons=(why,))
        growth = find_growth(found, self.ranges, self.real, self.cell, exact=True)
        if isinstance(growth, str):
            return replace(ranged, reasons=(f"{self._equation(state + chr(39))}: {growth}",))
        rounded = {
            f: find_growth(found, self.rounded[f], domain, self.cell, exact=False) for f, domain in self.floats.items()
        }
        kept = {f: g for f, g in rounded.items() if isinstance(g, Growth)}
        refused = [f"in floats nothing is proven: {g}" for g in rounded.values() if isinstance(g, str)][:1]
        reasons = (*self._proof(found, growth), *refused)
        return replace(ranged, growth=growth, float_growth=kept, reasons=reasons)

    def _proof(self, found: Recurrence, growth: Growth) -> tuple[str, ...]:
        """Which equation, what is kept, what is added, and the rule."""
        state, kept = found.state, f"|{found.kept}| <= {number_text(growth.kept)}"
        kept = f"{state} is kept as it is" if found.kept == 1 else kept
        head = self._equation(state + "'")
        through = [f"{f} makes nothing larger" for f in found.through]
        if growth.rule == "held":
            share = f"this is a * {state} + (1 - a) * m with a = {found.kept} in [0, 1] and m = {found.mixed}"
            top = f"|m| <= {number_text(growth.level)}, and a mix of two is no larger than the larger"
            return (head, *through, share, top)
        added = f"|{found.added}| <= {number_text(growth.level)}" if growth.level else "nothing is added"
        rule = "so each step adds at most that" if growth.rule == "sum" else "so steps sum to a geometric series"
        return (head, *through, kept, added, rule)

    def _scaled(self, shown: str, name: str) -> Bound | None:
        expression = self.cell.defined[name].expression
        growth = scale_growth(expression, self.ranges, self.growths, self.cell)
        if growth is None or len(self.cell.defined[name].targets) > 1:
            return None
        floats = {
            f: scale_growth(expression, self.rounded[f], self.rounded_growths[f], self.cell) for f in self.rounded
        }
        kept = {f: g for f, g in floats.items() if g is not None}
        ranged = self._ranged(shown, name, self.cell.roles[name].replace("next", "state"))
        because = f"the factors are bounded, and |{growth.state}_t| <= {replace(growth, scale=Rational(1)).text()}"
        return replace(ranged, growth=growth, float_growth=kept, reasons=(self._equation(name), because))

    def _equation(self, name: str) -> str:
        return str(self.cell.defined[name])


def _calls(node: Node) -> Iterable[Call]:
    """The calls that no other call or product holds."""
    if isinstance(node, Call):
        return [node]
    if type(node).__name__ == "Product":
        return []
    return [call for operand in node.operands for call in _calls(operand)]


def call_lengths(cell: Cell, shapes: Any, sizes: Mapping[Any, Any]) -> dict[Node, Any]:
    """The rows of every function over a whole vector, in the sizes given."""
    from lstm_spec.symbolic.algebra import FUNCTIONS
    from lstm_spec.symbolic.scalars import Scalars

    scalars = Scalars(shapes, sizes)
    found: dict[Node, Any] = {}
    for equation in cell.equations:
        for node in walk(equation.expression):
            if isinstance(node, Call) and FUNCTIONS[node.function].across:
                try:
                    found[node] = Rational(scalars.rows(node))
                except TypeError:  # a size is a letter yet
                    continue
    return found
