"""A state's recurrence `s' = kept * s + added` → the `Growth` of the state, or, in words, why it has no bound.

Rounding to nearest never falls, so a product by a factor of at most 1 rounds to no more than it was, and only additions
can lift a bound. Where that argument does not hold, each operation counts a factor of 1 + u (`rounding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from sympy import Integer, Symbol, fraction, oo, together

from lstm_spec.symbolic.algebra import Call, Name, Node, Number
from lstm_spec.symbolic.cancelling import count_cancelled
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.growth import Growth
from lstm_spec.symbolic.intervals import Interval, number_text
from lstm_spec.symbolic.ranging import Domain, range_node
from lstm_spec.symbolic.recurrences import Recurrence, evaluate, read_gate
from lstm_spec.symbolic.rounding import count_operations, factors_of, rounds_relatively, split_step, weigh

CANCELS = "terms cancel that are larger than what is left, and rounding is relative to them"


def find_growth(found: Recurrence, known: Mapping[str, Any], domain: Domain, cell: Cell, exact: bool) -> Growth | str:
    """The bound of a state from the ranges of its atoms; or, in words, why there is none.

    `exact` says that the ranges are of real numbers; those of floats count the operations too.
    """
    atoms = {symbol: range_node(node, known, domain, cell) for symbol, node in found.atoms.items()}
    kept = range_of_kept(found, atoms, known, cell)
    added = evaluate(found.added, atoms, Interval.point)
    equation = cell.defined[found.state + "'"].expression
    operations = 0 if exact else count_operations(equation, cell)
    term = None if exact else _added_once(equation, found, known, domain, cell)
    if term is not None and kept.magnitude == 1 and found.mixed is None:
        return Growth("sum", found.state, term.magnitude, Integer(1), operations, once=True)
    if not exact and not rounds_relatively(equation, cell):
        return "the difference of two sums may cancel, and its rounding is then not relative to it"
    mixes = found.mixed is not None and kept.is_nonnegative and kept.high <= 1
    mixed = evaluate(found.mixed, atoms, Interval.point) if mixes else None
    if not exact:
        weight = weigh(found, cell, lambda node: range_node(node, known, domain, cell))
        times = count_cancelled(weight, kept.magnitude, added.magnitude, mixed and mixed.magnitude)
        if times is None:
            return CANCELS
        operations *= times
    if mixed is not None:
        if mixed.is_bounded:
            return Growth("held", found.state, mixed.magnitude, kept.magnitude, operations + 1 if operations else 0)
        return f"what is mixed in, {found.mixed}, has no bound of its own"
    if kept.magnitude == oo:
        return f"what the state is multiplied by, {found.kept}, has no bound of its own"
    if added.magnitude == oo:
        return f"what is added, {found.added}, has no bound of its own"
    if kept.magnitude < 1:
        return Growth("geometric", found.state, added.magnitude, kept.magnitude, operations)
    if kept.magnitude == 1:
        return Growth("sum", found.state, added.magnitude, Integer(1), operations)
    return f"what the state is multiplied by, {found.kept}, may be {number_text(kept.magnitude)}: more than 1"


def range_of_kept(found: Recurrence, atoms: Mapping[Symbol, Any], known: Mapping[str, Any], cell: Cell) -> Any:
    """The range of the factor: of its formula, within that of a gate that is the same; a part of a sum is at most 1."""
    whole = evaluate(found.kept, atoms, Interval.point)
    above, below = fraction(together(found.kept))
    if below.free_symbols:
        above, below, rest = (evaluate(e.expand(), atoms, Interval.point) for e in (above, below, below - above))
        if above.is_nonnegative and rest.is_nonnegative and below.is_positive:
            whole = whole.meet(Interval.between(0, 1)) or Interval.between(0, 1)
    for gate in gates_equal_to(found, cell):
        whole = whole.meet(known[gate]) or whole
    return whole


def gates_equal_to(found: Recurrence, cell: Cell) -> list[str]:
    """The gates that are what the state is multiplied by, e.g. f where f = 1 - i."""
    return [gate for gate in cell.defined if read_gate(cell, found, gate) == found.kept]


def _added_once(node: Node, found: Recurrence, known: Mapping[str, Any], domain: Domain, cell: Cell) -> Any | None:
    """The range of the term of `factors * s + term`, each factor within [-1, 1]: only the addition rounds upwards."""
    parts = split_step(node, found.state, cell)
    if parts is None:
        return None
    others = [range_node(factor, known, domain, cell) for factor in parts[0]]
    term = range_node(parts[1], known, domain, cell)
    return term if term.is_bounded and all(other.magnitude <= 1 for other in others) else None


def scale_growth(node: Node, known: Mapping[str, Any], growths: Mapping[str, Growth], cell: Cell) -> Growth | None:
    """The bound of a product of bounded things and one state: `o * c'` grows as c does."""
    factors = factors_of(node, cell)
    while len(factors) == 1 and isinstance(factors[0], Call) and factors[0].function in ("relu", "identity", "abs"):
        factors = factors_of(factors[0].tensors[0], cell)
    scales, source = [], None
    for factor in factors:
        if isinstance(factor, Name) and factor.name.endswith("'") and factor.name[:-1] in growths and source is None:
            source = growths[factor.name[:-1]]
        elif isinstance(factor, Number):
            scales.append(abs(factor.value))
        elif isinstance(factor, Name) and known[factor.name].is_bounded:
            scales.append(known[factor.name].magnitude)
        else:
            return None
    if source is None:
        return None
    rounds = len(scales) if any(scale > 1 for scale in scales) else 0  # a factor of at most 1 never rounds upwards
    return replace(source, scale=source.scale * prod(scales, start=Integer(1)), after=source.after + rounds)
