"""Two cells → what differs: in words, in equations, and in parameters.

Equations are matched by what they define, sums and products by their terms and factors; nothing is said of numbers, and
a renamed gate counts as another gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sympy import Integer

from lstm_spec.symbolic.algebra import Add, Call, Negate, Node, Subtract
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.counts import factored, parameter_count, parameter_counts
from lstm_spec.symbolic.normal import Forms
from lstm_spec.symbolic.printing import text
from lstm_spec.symbolic.shapes import infer


@dataclass(frozen=True, slots=True)
class Change:
    """One left-hand side or declaration: as it is in the first cell and in the second ("" for not), and in words."""

    name: str
    first: str
    second: str
    words: str

    def __str__(self) -> str:
        lines = [f"  - {self.first}"] * bool(self.first) + [f"  + {self.second}"] * bool(self.second)
        return "\n".join([self.words, *lines])


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two cells.

    `same` says that both compute the same, whatever they are written like; `parameters` are those whose counts differ,
    each with its count in the first cell and in the second, 0 for none; counts are polynomials.
    """

    same: bool
    changes: tuple[Change, ...]
    parameters: tuple[tuple[str, Any, Any], ...]
    first_count: Any
    second_count: Any

    @property
    def extra(self) -> Any:
        """Parameters that the second cell has more, as a polynomial."""
        return factored(self.second_count - self.first_count)

    @property
    def cost(self) -> str:
        """The same in words: `3*k more`, `k*(k + n + 1) fewer`."""
        signs = {c > 0 for c in self.extra.expand().as_coefficients_dict().values() if c}
        if signs == {True, False}:
            return f"{self.extra} more (or fewer, as the sizes are)"
        return f"{factored(-self.extra)} fewer" if signs == {False} else f"{self.extra} more" if signs else "as many"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "same": self.same,
            "changes": [{"name": c.name, "first": c.first, "second": c.second, "words": c.words} for c in self.changes],
            "parameters": [{"name": n, "first": str(a), "second": str(b)} for n, a, b in self.parameters],
            "count": {"first": str(self.first_count), "second": str(self.second_count), "extra": str(self.extra)},
        }


def compare_cells(first: Cell, second: Cell) -> Difference:
    """What differs from the first cell to the second.

    >>> from lstm_spec.cells.catalogue import get
    >>> difference = compare_cells(get("gers2000"), get("janet"))
    >>> difference.cost
    '2*k*(k + n + 1) fewer'
    >>> print(difference.changes[0])
    there is no state c
      - state c[k]

    Raises CellError when the dimensions of one do not fit.
    """
    one, other = infer(first), infer(second)
    before, after = parameter_counts(one), parameter_counts(other)
    none = Integer(0)
    return Difference(
        _compute_the_same(first, second),
        (*_declarations(first, second), *_changes(first, second)),
        tuple(
            (name, before.get(name, none), after.get(name, none))
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        ),
        parameter_count(one),
        parameter_count(other),
    )


def _compute_the_same(first: Cell, second: Cell) -> bool:
    """Whether every state and output gets the same value, gates written out and sums in any order."""
    forms = Forms()
    results = []
    for cell in (first, second):
        known, sizes = forms.of_cell(cell), {d.name: d.size for d in cell.inputs + cell.states}
        kept = [name for name, role in cell.roles.items() if role in ("next", "total")]
        outputs = [known[cell.value_of(name)] for name in cell.outputs]
        results.append(({name: known[name] for name in kept}, outputs, sizes))
    return results[0] == results[1]


def _declarations(first: Cell, second: Cell) -> Iterator[Change]:
    """Inputs, states and outputs that differ."""
    for kind in ("input", "state"):
        before, after = ({d.name: d for d in getattr(cell, kind + "s")} for cell in (first, second))
        for name in dict.fromkeys((*before, *after)):
            one, other = before.get(name), after.get(name)
            if one is None or other is None:
                there = "no" if other is None else _article(kind)
                words = f"there is {there} {kind} {name}"
            else:
                words = f"the {kind} {name} has another size"
            if one is None or other is None or one.size != other.size:
                yield Change(name, f"{kind} {one}" if one else "", f"{kind} {other}" if other else "", words)
    if first.outputs != second.outputs:
        one_line, other_line = (f"output {', '.join(cell.outputs)}" for cell in (first, second))
        yield Change("output", one_line, other_line, "the output is another")


def _changes(first: Cell, second: Cell) -> Iterator[Change]:
    before = {e.left: e for e in first.equations}
    after = {e.left: e for e in second.equations}
    for left in dict.fromkeys((*before, *after)):
        one, other = before.get(left), after.get(left)
        if one is None or other is None:
            words = f"there is no equation of {left}" if other is None else f"there is an equation of {left}"
        elif (one.expression, one.total) == (other.expression, other.total):
            continue
        else:
            words = _words(left, one.expression, other.expression)
        yield Change(left, str(one) if one else "", str(other) if other else "", words)


def _words(left: str, before: Node, after: Node) -> str:
    """`f also adds p_f * c`; `g goes through no function, not tanh`; else `h' is o * c', not o * tanh(c')`."""
    forms = Forms()
    if forms.of(before) == forms.of(after):
        return f"{left} is the same in another order"
    (outer, inner), (other_outer, other_inner) = _opened(before), _opened(after)
    if forms.of(inner) == forms.of(other_inner):
        return f"{left} goes through {other_outer or 'no function'}, not {outer or 'none'}"
    one, other = _terms(inner, forms), _terms(other_inner, forms)
    more, less = [t for f, t in other.items() if f not in one], [t for f, t in one.items() if f not in other]
    if outer == other_outer and len(more) < len(other):
        if more and less:
            return f"{left} adds {', '.join(more)} in place of {', '.join(less)}"
        if more or less:
            return f"{left} {'also adds' if more else 'does not add'} {', '.join(more or less)}"
    return f"{left} is {text(after)}, not {text(before)}"


def _opened(node: Node) -> tuple[str, Node]:
    """The function around an expression, if there is one, and what it is of: `tanh` and `W x + b`."""
    if not isinstance(node, Call) or len(node.tensors) != 1:
        return "", node
    numbers = ", ".join(map(text, node.operands[1:]))
    return (f"{node.function}(…, {numbers})" if numbers else node.function), node.tensors[0]


def _terms(node: Node, forms: Forms, sign: int = 1) -> dict[tuple[int, int], str]:
    """The terms of a sum by their sign and form."""
    match node:
        case Add():
            return _terms(node.left, forms, sign) | _terms(node.right, forms, sign)
        case Subtract():
            return _terms(node.left, forms, sign) | _terms(node.right, forms, -sign)
        case Negate():
            return _terms(node.operand, forms, -sign)
    shown = text(node)
    return {(sign, forms.of(node)): shown if sign > 0 else f"-{shown}"}


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
