"""How far a state can come in t steps: the rules that bound `s' = kept * s + added`, in real numbers and in floats.

Rounding to nearest never falls, so a product by a factor of at most 1 rounds to no more than it was, and only additions
can lift a bound. Where that argument does not hold, each operation counts a factor of 1 + u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from sympy import Float, Integer, Symbol, oo

from lstm_spec.symbolic.algebra import Add, Call, Divide, Elementwise, Multiply, Name, Node, Number, Subtract, walk
from lstm_spec.symbolic.cancelling import Weight, count_cancelled, weigh_terms
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.intervals import Interval, number_text
from lstm_spec.symbolic.ranging import ULPS, Domain, Format, range_node
from lstm_spec.symbolic.recurrences import ARITHMETIC, CONTRACTING, Recurrence, evaluate

Rule = Literal["held", "geometric", "sum"]
ONE = Integer(1)
CANCELS = "terms cancel that are larger than what is left, and rounding is relative to them"
MARGIN = Float("1e-25", 40)  # beyond the 40 digits that a power is computed with


@dataclass(frozen=True, slots=True)
class Growth:
    """A bound of |s_t| by |s_0| and t.

    `held`: max(|s_0|, level); `geometric`: max(|s_0|, level / (1 − kept)); `sum`: |s_0| + level t; all times `scale`.
    In floats, `operations` of the step may each round; `once` says that only the addition does.
    """

    rule: Rule
    state: str
    level: Any
    kept: Any
    operations: int = 0
    once: bool = False
    scale: Any = ONE
    after: int = 0  # operations between the state and what is bounded

    def size(self, start: Any, time: Any) -> Any:
        """The bound in real numbers, of |s_0| and t, numbers or symbols."""
        match self.rule:
            case "held":
                inner = _larger(start, self.level)
            case "geometric":
                inner = _larger(start, self.level / (1 - self.kept))
            case "sum":
                inner = start + self.level * time
        return self.scale * inner

    def rounded(self, start: Any, time: Any, format: Format) -> Any:
        """The bound of what a format computes, for numbers: an upper bound of the formula in `rounded_text`."""
        u, whole = format.u, self.size(start, time) / self.scale
        factor = _power(1 + u, self.operations)
        match self.rule:
            case "geometric":
                bound = oo if self.kept * factor >= 1 else max(start, self.level * factor / (1 - self.kept * factor))
            case "sum" if self._adds_exactly(start, time, format):
                bound = whole / (1 - 2 * u)
            case _:
                bound = whole * _power(1 + u, (self.operations if not self.once else 1) * time)
        bound = self.scale * bound * _power(1 + u, self.after)
        return oo if bound > format.largest else bound

    def _adds_exactly(self, start: Any, time: Any, format: Format) -> bool:
        """Whether `level` is a multiple of the last digit of every number up to the bound.

        Adding it then rounds only where the sum enters a new power of two, at most by u of that power, and 1 + 2 + 4 +
        … + 2^e is below 2^(e + 1): in all at most 2u of the bound.
        """
        if not self.once or not self.level.is_Integer:
            return False
        return bool((start + self.level * time) / (1 - 2 * format.u) < 2**format.digits)

    def text(self, of: str | None = None) -> str:
        """`|c_0| + t`, `max(|h_0|, 1)`."""
        start, level = f"|{self.state}_0|", number_text(self.level)
        match self.rule:
            case "held":
                inner = f"max({start}, {level})"
            case "geometric":
                inner = f"max({start}, {number_text(self.level / (1 - self.kept))})"
            case "sum":
                inner = start if self.level == 0 else f"{start} + {'' if self.level == 1 else level + ' '}t"
        return self._scaled(inner)

    def rounded_text(self) -> str:
        """The same for floats, with u the unit roundoff: `(|c_0| + t) / (1 - 2u)`."""
        plain = replace(self, scale=Integer(1)).text()
        grouped = plain if plain.endswith(")") or " " not in plain else f"({plain})"
        match self.rule:
            case "geometric":
                factor = f"(1 + u)^{self.operations}"
                level = "" if self.level == 1 else number_text(self.level) + " "
                shown = f"max(|{self.state}_0|, {level}{factor} / (1 - {number_text(self.kept)} {factor}))"
            case "sum" if self.once and self.level.is_Integer:
                shown = f"{grouped} / (1 - 2u)" if self.level else plain
            case _:
                steps = "t" if self.once or self.operations == 1 else f"({self.operations}t)"
                shown = f"{grouped} (1 + u)^{steps}"
        return self._scaled(shown + (f" (1 + u)^{self.after}" if self.after else ""))

    def _scaled(self, inner: str) -> str:
        if self.scale == 1:
            return inner
        return f"{number_text(self.scale)} {inner if inner.startswith('max') else f'({inner})'}"


def _larger(one: Any, other: Any) -> Any:
    from sympy import Max

    return Max(one, other)


def _power(base: Any, exponent: Any) -> Any:
    """A power of 1 + u from above."""
    if exponent <= 64:
        return base**exponent
    return Float(base, 60) ** exponent * (1 + MARGIN)


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


def weigh(found: Recurrence, cell: Cell, ranged: Callable[[Node], Any]) -> Weight:
    """The terms of a state's equation, none cancelled, without the functions that the whole went through."""
    node = cell.defined[found.state + "'"].expression
    for _ in found.through:
        node = node.operands[0]
    return weigh_terms(node, lambda n: _mentions(n, found.state, cell), lambda n: _written_out(n, cell), ranged)


def range_of_kept(found: Recurrence, atoms: Mapping[Symbol, Any], known: Mapping[str, Any], cell: Cell) -> Any:
    """The range of the factor: of its formula, within that of a gate that is the same; a part of a sum is at most 1."""
    from sympy import fraction, together

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
    from lstm_spec.symbolic.recurrences import read_gate

    return [gate for gate in cell.defined if read_gate(cell, found, gate) == found.kept]


def _written_out(node: Node, cell: Cell) -> Node:
    """A gate that is arithmetic, as its right-hand side."""
    while isinstance(node, Name) and not node.name.endswith("'"):
        equation = cell.defined.get(node.name)
        if equation is None or len(equation.targets) > 1 or not isinstance(equation.expression, ARITHMETIC):
            break
        node = equation.expression
    return node


def _arithmetic(node: Node, cell: Cell) -> list[Node]:
    """The nodes of an equation that compute entry by entry, gates written out; what is called is a leaf."""
    node = _written_out(node, cell)
    if not isinstance(node, ARITHMETIC):
        return []
    return [node, *(inner for operand in node.operands for inner in _arithmetic(operand, cell))]


def count_operations(node: Node, cell: Cell) -> int:
    """How often an equation's arithmetic rounds; where it divides, each counts twice: 1 / (1 - u) < (1 + u)^2."""
    calls, node = 0, _written_out(node, cell)
    while isinstance(node, Call) and node.function in CONTRACTING:
        calls, node = calls + ULPS, _written_out(node.tensors[0], cell)
    nodes = _arithmetic(node, cell)
    twice = 2 if any(isinstance(n, Divide) for n in nodes) else 1
    return calls + twice * sum(isinstance(n, Elementwise) for n in nodes)


def rounds_relatively(node: Node, cell: Cell) -> bool:
    """Whether every difference is one of leaves, or of terms that are bounded each for itself."""

    def simple(inner: Node) -> bool:
        return not isinstance(_written_out(inner, cell), Elementwise)

    top, terms = [node], []
    while top:  # sums and differences at the top are bounded term by term
        one = _written_out(top.pop(), cell)
        if isinstance(one, Add | Subtract):
            top += [one.left, one.right]
        elif isinstance(one, Call) and one.function in CONTRACTING:
            top.append(one.tensors[0])
        else:
            terms.append(one)
    inside = [n for term in terms for n in _arithmetic(term, cell) if isinstance(n, Add | Subtract)]
    return all(simple(n.left) and simple(n.right) for n in inside)


def split_step(node: Node, state: str, cell: Cell) -> tuple[list[Node], Node] | None:
    """`factors * s + term`, in any order, as it is computed: the factors and the term; None for another form."""
    node = _written_out(node, cell)
    if not isinstance(node, Add):
        return None
    for kept, added in ((node.left, node.right), (node.right, node.left)):
        factors = _factors(kept, cell)
        others = [f for f in factors if not (isinstance(f, Name) and f.name == state)]
        alone = len(factors) - len(others) == 1 and not any(_mentions(f, state, cell) for f in others)
        if alone and not _mentions(added, state, cell):
            return others, added
    return None


def _added_once(node: Node, found: Recurrence, known: Mapping[str, Any], domain: Domain, cell: Cell) -> Any | None:
    """The range of the term of `factors * s + term`, each factor within [-1, 1]: only the addition rounds upwards."""
    parts = split_step(node, found.state, cell)
    if parts is None:
        return None
    others = [range_node(factor, known, domain, cell) for factor in parts[0]]
    term = range_node(parts[1], known, domain, cell)
    return term if term.is_bounded and all(other.magnitude <= 1 for other in others) else None


def _factors(node: Node, cell: Cell) -> list[Node]:
    node = _written_out(node, cell)
    return [*_factors(node.left, cell), *_factors(node.right, cell)] if isinstance(node, Multiply) else [node]


def _mentions(node: Node, state: str, cell: Cell) -> bool:
    return any(isinstance(n, Name) and n.name == state for inner in _arithmetic(node, cell) for n in walk(inner))


def scale_growth(node: Node, known: Mapping[str, Any], growths: Mapping[str, Growth], cell: Cell) -> Growth | None:
    """The bound of a product of bounded things and one state: `o * c'` grows as c does."""
    factors = _factors(node, cell)
    while len(factors) == 1 and isinstance(factors[0], Call) and factors[0].function in ("relu", "identity", "abs"):
        factors = _factors(factors[0].tensors[0], cell)
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
