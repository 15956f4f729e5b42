"""One cell with its weights → a range for each unit of each name, over T steps.

The states' ranges come first from the equations alone; with those the weights bound the pre-activations, these the
gates, and these the states again, more narrowly: each round is a proof of its own, so few rounds are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sympy import Rational, fraction, together

from lstm_spec.compiler.bounding import Bounds, MemberBounds
from lstm_spec.compiler.ranges import ArrayRanges, Ends, number_ends
from lstm_spec.layers.layer import Member
from lstm_spec.layers.sizes import symbols
from lstm_spec.symbolic.algebra import Call, Node, Product, walk
from lstm_spec.symbolic.assumptions import read_assumptions
from lstm_spec.symbolic.intervals import Interval
from lstm_spec.symbolic.ranging import FORMATS, range_names, range_node
from lstm_spec.symbolic.recurrences import Recurrence, evaluate, find_recurrence
from lstm_spec.symbolic.rounding import count_operations, rounds_relatively, split_step, weigh

if TYPE_CHECKING:
    from lstm_spec.symbolic.cell import Cell

Array = np.ndarray[Any, Any]
ROUNDS = 3
TOP = 1 + 2.0**-50  # above what float64 rounds in a sum of two


def bound_member(
    bounds: Bounds, member: Member, weights: Mapping[str, Array], x: Ends, dtype: str, assume: tuple[str, ...]
) -> MemberBounds:
    """The ranges of one cell whose input is in `x`, a range for each of its rows."""
    cell, at = bounds.layer.cell, symbols(member.sizes)

    def rows(name: str) -> int:
        return int(bounds.layer.shapes_of_cell[name].rows.xreplace(at))

    format = FORMATS[dtype]
    limits = read_assumptions(cell, assume) | _limits(bounds, dtype)
    domain = ArrayRanges(float(format.u), 2.0**format.smallest, float(format.largest), rows, limits)
    exact = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    known: dict[str, Ends] = {name: domain.held(name, Ends(array, array)) for name, array in exact.items()}
    known |= {d.name: domain.held(d.name, x) for d in cell.inputs}
    start = float(bounds.initial_max) * (1 + 2.0**-52)
    states = {s.name: _first(bounds, s.name, rows(s.name), dtype) for s in cell.states}
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            before = {name: ends.join(Ends.around(start, rows(name))) for name, ends in states.items()}
            found = range_names(cell, known | before, domain)
            for name in states:
                grown = _grown(bounds, cell, name, found, domain, start)
                grown = np.where(grown <= domain.largest, grown, np.inf)  # NaN is no bound
                states[name] = states[name].meet(found[name + "'"]).meet(Ends(-grown, grown))
            found |= {name + "'": ends for name, ends in states.items()}
        inside = {
            name: range_node(equation.expression.tensors[0], found, domain, cell)
            for name, equation in cell.defined.items()
            if isinstance(equation.expression, Call)
            and len(equation.targets) == 1
            and any(isinstance(node, Product) for node in walk(equation.expression))
        }
    names = [t for e in cell.equations if not e.total for t in e.targets]
    units = {n.rstrip("'"): _full(found[n], rows(n)) for n in names}
    return MemberBounds(member.prefix, units, {n.rstrip("'"): _full(e, rows(n)) for n, e in inside.items()})


def _limits(bounds: Bounds, dtype: str) -> dict[str, Interval]:
    """What holds for any weights, by the names that equations define."""
    primed = {s.name for s in bounds.layer.cell.states}
    return {b.name + "'" * (b.name in primed): b.floats[dtype] for b in bounds.cell.bounds}


def _full(ends: Ends, rows: int) -> Ends:
    return Ends(*(np.array(np.broadcast_to(end, (rows,))) for end in (ends.low, ends.high)))


def _first(bounds: Bounds, state: str, rows: int, dtype: str) -> Ends:
    """What the equations alone say of a state, in floats, over T steps."""
    bound = bounds.cell[state]
    if bound.growth is not None and bounds.time is None:
        return Ends.around(np.inf, rows)
    found = bound.over_floats(dtype, bounds.initial_max, Rational(bounds.time or 1))
    if found is None:
        return Ends.around(np.inf, rows)
    return Ends(np.full(rows, float(found.low)), np.full(rows, float(found.high))).outward()


def _grown(
    bounds: Bounds, cell: Cell, state: str, found: Mapping[str, Ends], domain: ArrayRanges, start: float
) -> Array:
    """How far each unit of a state comes: by what it keeps and what is added, T times; infinite where nothing says."""
    width, equation = found[state + "'"].low.shape, cell.defined[state + "'"].expression
    recurrence, bound = find_recurrence(cell, state), np.full(width, np.inf)

    def known(node: Node) -> Ends:
        ends: Ends = range_node(node, found, domain, cell)
        return ends

    lift = (1 + 1.01 * domain.u) ** max(count_operations(equation, cell), 2)
    parts = split_step(equation, state, cell)
    if parts is not None:
        kept = np.prod([np.broadcast_to(known(factor).magnitude, width) for factor in parts[0]] or [np.ones(width)], 0)
        added = np.broadcast_to(known(parts[1]).magnitude, width)
        bound = sum_over_time(kept * lift, added * lift, start, bounds.time)
    if recurrence is None or not rounds_relatively(equation, cell):
        return np.asarray(bound)
    atoms = {symbol: known(node) for symbol, node in recurrence.atoms.items()}
    kept, is_share = _kept(recurrence, atoms, width)
    added = np.broadcast_to(evaluate(recurrence.added, atoms, _number).magnitude, width)
    terms, rest = (np.asarray(w, np.float64) for w in weigh(recurrence, cell, known))
    off, rest_off = (lift - 1) * np.maximum(terms, kept), (lift - 1) * np.maximum(rest, added)
    whole = sum_over_time((kept + off) * TOP, (added + rest_off) * TOP, start, bounds.time)
    bound = np.minimum(bound, whole)
    if recurrence.mixed is None or bounds.time is None:
        return np.asarray(bound)
    each = np.broadcast_to(evaluate(recurrence.mixed, atoms, _number).magnitude, width)
    share = np.maximum(terms + _share(rest, each), 2)
    mixed = np.maximum(start, each) * ((1 + (lift - 1) * share) * (1 + 2.0**-50)) ** bounds.time
    return np.asarray(np.where(is_share, np.minimum(bound, mixed), bound))


def _share(rest: Array, each: Array) -> Array:
    """How many times `each` the terms are; infinite where it is 0 and they are not."""
    share = np.where(each > 0, rest / np.where(each > 0, each, 1), np.where(rest > 0, np.inf, 0))
    return np.where(np.isnan(share), np.inf, share)


def _kept(recurrence: Recurrence, atoms: Mapping[Any, Ends], width: tuple[int, ...]) -> tuple[Array, Array]:
    """The most that a unit keeps, and whether it is proven to keep between nothing and all: f, 1 - i, f / (f + i)."""
    whole = evaluate(recurrence.kept, atoms, _number)
    above, below = fraction(together(recurrence.kept))
    least, most = (np.broadcast_to(end, width) for end in (whole.low, whole.high))
    if below.free_symbols:
        parts = [evaluate(e.expand(), atoms, _number) for e in (above, below, below - above)]
        is_share = (parts[0].low >= 0) & (parts[1].low > 0) & (parts[2].low >= 0)
        return np.where(is_share, np.minimum(whole.magnitude, 1), whole.magnitude), np.broadcast_to(is_share, width)
    off = 2.0**-51  # the sum 1 - i was pushed outwards; `mixed` makes up for it
    return np.maximum(np.abs(least), np.abs(most)), (least >= -off) & (most <= 1 + off)


def _number(value: Any) -> Ends:
    return number_ends(value, 0.0)


def sum_over_time(kept: Array, added: Array, start: float, time: int | None) -> Array:
    """The largest of |s_1| … |s_T| with |s_t| ≤ kept |s_(t−1)| + added; without T, for ever.

    It moves from `start` to its fixed point one way, so the larger of start and the last is above all between.
    """
    falls = kept < 1
    fixed = np.where(falls, added / np.where(falls, 1 - kept, 1), np.inf)
    if time is None:
        return np.asarray(np.maximum(start, fixed) * (1 + 2.0**-40))
    power = kept**time
    near_one = np.abs(kept - 1) * time < 1e-6
    series = np.where(near_one, time * np.maximum(power, 1), (power - 1) / np.where(kept == 1, 1, kept - 1))
    last = power * start + added * series
    whole = np.where(falls, np.minimum(last, np.maximum(start, fixed)), last)
    whole = np.where(np.isnan(whole), np.inf, whole)
    return np.asarray(np.maximum(start, whole) * (1 + 2.0**-30))
