"""A cell seen by one of its units: its own scalar equations, what it reads, what it learns, what it puts out.

Unit u is entry u of every vector that has as many rows as the last state (the k of an LSTM). What it reads of the
others follows from the sparsity of the Jacobians (`sparsity`), what it learns from which entries of the parameters its
equations mention. Counts from 1. Structure only: nothing is computed, and words are `render.units`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Integer

from lstm_spec.errors import Finding, SizeError, safe
from lstm_spec.symbolic.algebra import FUNCTIONS, Call, Join, Name, Node, Product, Transpose, names, walk
from lstm_spec.symbolic.cell import Cell, Equation, letter
from lstm_spec.symbolic.printing import size_text, text
from lstm_spec.symbolic.scalars import Scalars
from lstm_spec.symbolic.shapes import infer
from lstm_spec.symbolic.sparsity import Reach, dependence, reads, wider


@dataclass(frozen=True, slots=True)
class Reading:
    """An input or a state before the step: which of its entries the unit reads, and how many it has."""

    name: str
    role: str
    reach: Reach
    rows: int

    @property
    def count(self) -> int:
        """How many numbers are read."""
        return self.rows if self.reach == "all" else 1


@dataclass(frozen=True, slots=True)
class Learned:
    """Parameters of one of the unit's equations: by name, how many numbers are the unit's own."""

    equation: str
    weights: Mapping[str, int]  # entries of matrices
    others: Mapping[str, int]  # entries of vectors: biases, peepholes, gains

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.weights.values()) + sum(self.others.values())


@dataclass(frozen=True, slots=True)
class Mixing:
    """An equation of the unit that reads whole vectors of the same step; those of units, or those of no unit."""

    equation: str
    vectors: tuple[str, ...]
    of_units: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a cell; `width` is the number of units in letters.

    `whole` are parameters that a unit's equations read with every row, `unowned` those that only equations of no unit
    (`mixed`) read. `sums` counts its equations with a matrix product: a neuron is one. `within` says what its equations
    read of others' values of the same step; `across` how a value after the step depends on a state before it.
    """

    cell: Cell
    index: int
    width: str
    units: int
    equations: tuple[str, ...]
    readings: tuple[Reading, ...]
    learned: tuple[Learned, ...]
    whole: Mapping[str, int]
    unowned: Mapping[str, int]
    outputs: tuple[str, ...]
    mixed: tuple[str, ...]
    within: tuple[Mixing, ...]
    across: tuple[tuple[str, str, Reach], ...]
    sums: int

    @property
    def count(self) -> int:
        """The numbers that this unit alone learns."""
        return sum(learned.count for learned in self.learned)

    @property
    def total(self) -> int:
        """The numbers that the whole cell learns: all units', those that they share, and those of no unit."""
        return self.units * self.count + sum(self.whole.values()) + sum(self.unowned.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "unit": self.index,
            "units": {"symbolic": self.width, "count": self.units},
            "equations": list(self.equations),
            "reads": [{"name": r.name, "role": r.role, "entries": r.reach, "count": r.count} for r in self.readings],
            "learns": {
                "count": self.count,
                "by_equation": [
                    {"equation": e.equation, "parameters": {**e.weights, **e.others}} for e in self.learned
                ],
                "shared_with_every_unit": dict(self.whole),
                "of_no_unit": dict(self.unowned),
                "whole_cell": self.total,
            },
            "outputs": list(self.outputs),
            "of_no_unit": list(self.mixed),
            "within_a_step": [
                {"equation": m.equation, "reads_all_of": list(m.vectors), "of_units": m.of_units} for m in self.within
            ],
            "across_steps": [{"value": a, "state": b, "entries": reach} for a, b, reach in self.across],
        }


def describe_unit(cell: Cell, index: Any, sizes: Mapping[str, Any]) -> Unit:
    """Unit `index` of a cell whose letters have these numbers.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> unit = describe_unit(lstm_cell(), 3, {"n": 5, "k": 10})
    >>> unit.count, unit.total, unit.outputs
    (64, 640, ("h'[3]", "c'[3]"))

    Raises SizeError when a size is no number, or there is no such unit.
    """
    for name in cell.letters:
        if not _is_number(sizes.get(name)):
            given = safe(sizes.get(name, name), 40)
            message = f"{name} is not given" if given == name else f"{name} = {given} is no number"
            because = "a unit is one of a number of units"
            raise SizeError(Finding("size", message, because=because, help=f"give it one, e.g. {name}=10"))
    return _Describer(cell, {letter(name): Integer(sizes[name]) for name in cell.letters}).unit(index)


def _is_number(size: Any) -> bool:
    return isinstance(size, int | Integer)


class _Describer:
    def __init__(self, cell: Cell, sizes: Mapping[Any, Any]) -> None:
        self.cell, self.shapes = cell, infer(cell)
        self.scalars = Scalars(self.shapes, sizes)
        carried = [d.name for d in cell.states] or [cell.value_of(cell.outputs[0])]
        self.width = self.shapes[carried[-1]].rows
        self.units = self.scalars.number(self.width)
        self.own = [
            (e, target) for e in cell.equations if not e.total for target in e.targets if self._of_units(target)
        ]

    def _of_units(self, name: str) -> bool:
        return bool(self.shapes[name].rows == self.width) and not self.shapes[name].is_matrix

    def unit(self, given: Any) -> Unit:
        """Everything about one unit."""
        index = self._index(given)
        entries = [self._learned(e, target, index) for e, target in self.own]
        every_row = {name for _, names_read in entries for name in names_read}
        whole = {name: self._size(name) for name in self.cell.parameters if name in every_row}
        learned = self._without(tuple(entry for entry, _ in entries), whole)
        named = {name for entry in learned for name in (*entry.weights, *entry.others)} | set(whole)
        letters = size_text(self.width, self.cell.letters)
        return Unit(
            cell=self.cell,
            index=index,
            width=letters,
            units=self.units,
            equations=tuple(self.scalars.equation(e, target, index) for e, target in self.own),
            readings=tuple(self._readings()),
            learned=learned,
            whole=whole,
            unowned={name: self._size(name) for name in self.cell.parameters if name not in named},
            outputs=tuple(f"{name}[{index}]" for name in self._carried() if self._of_units(name)),
            mixed=tuple(str(e) for e in self.cell.equations if not any(map(self._of_units, e.targets))),
            within=tuple(self._within()),
            across=tuple(self._across()),
            sums=sum(any(isinstance(n, Product) for n in walk(e.expression)) for e, _ in self.own),
        )

    def _index(self, given: Any) -> int:
        digits = isinstance(given, str) and given.isascii() and given.removeprefix("-").isdigit() and len(given) < 30
        index = int(given) if digits else given
        if not isinstance(index, int) or isinstance(index, bool) or not 1 <= index <= self.units:
            units = f"{size_text(self.width, self.cell.letters)} = {self.units}"
            raise SizeError(
                Finding(
                    "unit",
                    f"there is no unit {safe(given, 40)}",
                    expected=f"1 to {self.units}: units count from 1, and {units}",
                )
            )
        return index

    def _size(self, name: str) -> int:
        shape = self.shapes[name]
        return self.scalars.number(shape.rows) * self.scalars.number(shape.columns)

    def _carried(self) -> list[str]:
        """The values after the step that go on to the next one, or out."""
        states = [d.name + "'" for d in self.cell.states]
        return states + [o for o in self.cell.outputs if self.cell.roles.get(o) == "gate"]

    def _readings(self) -> Iterator[Reading]:
        reached = dependence(self.cell)
        for declared in (*self.cell.inputs, *self.cell.states):
            reach: Reach = "none"
            for _, target in self.own:
                reach = wider(reach, reached[target].get(declared.name, "none"))
            if reach != "none":
                rows = self.scalars.number(self.shapes[declared.name].rows)
                yield Reading(declared.name, self.cell.roles[declared.name], reach, rows)

    # ---- what is learned: entries of parameters, row by row ----

    def _learned(self, equation: Equation, target: str, index: int) -> tuple[Learned, set[str]]:
        """The entries that one scalar equation mentions, and the parameters that it reads with every row."""
        rows: dict[str, int] = {}
        whole: set[str] = set()

        def visit(node: Node, every_row: bool, turned: bool = False) -> None:
            if isinstance(node, Name) and self.cell.roles[node.name] == "parameter":
                if every_row:
                    whole.add(node.name)
                else:
                    shape = self.shapes[node.name]
                    rows[node.name] = self.scalars.number(shape.rows if turned else shape.columns)
            spreads = isinstance(node, Join) or (isinstance(node, Call) and FUNCTIONS[node.function].across)
            for side, operand in enumerate(node.operands):
                right = isinstance(node, Product) and side == 1
                visit(operand, every_row or spreads or right, turned != isinstance(node, Transpose))

        visit(equation.expression, every_row=False)
        matrices = {name: count for name, count in rows.items() if self.shapes[name].is_matrix}
        vectors = {name: count for name, count in rows.items() if name not in matrices}
        return Learned(f"{target}[{index}]", matrices, vectors), whole

    def _without(self, learned: tuple[Learned, ...], whole: Mapping[str, int]) -> tuple[Learned, ...]:
        """Each entry once, under the first equation that reads it; nothing that is read whole anyway."""
        seen: set[tuple[str, int]] = set()
        kept = []
        for entry, (equation, target) in zip(learned, self.own, strict=True):
            offset = self.scalars.offset(equation, target)
            new = {name for name in (*entry.weights, *entry.others) if (name, offset) not in seen and name not in whole}
            seen |= {(name, offset) for name in new}
            kept.append(
                Learned(
                    entry.equation,
                    {name: count for name, count in entry.weights.items() if name in new},
                    {name: count for name, count in entry.others.items() if name in new},
                )
            )
        return tuple(kept)

    # ---- who reads whom ----

    def _within(self) -> Iterator[Mixing]:
        """Each of the unit's equations that reads a whole vector of this step."""
        for equation in dict.fromkeys(e for e, _ in self.own):
            calls = [
                n for n in walk(equation.expression) if isinstance(n, Call) and FUNCTIONS[n.function].across
            ]  # a function over a whole vector, e.g. of every unit's weighted sum
            whole = [text(n.tensors[0]) for n in calls if not isinstance(n.tensors[0], Name)]
            inside = {m.name for n in calls if not isinstance(n.tensors[0], Name) for m in names(n)}
            read = reads(equation.expression, self.cell).items()
            new = [n for n, r in read if r == "all" and self.cell.roles[n] in ("gate", "next") and n not in inside]
            if of_units := [n for n in new if self._of_units(n)] + whole:
                yield Mixing(equation.left, tuple(of_units), of_units=True)
            if others := [n for n in new if not self._of_units(n)]:
                yield Mixing(equation.left, tuple(others), of_units=False)

    def _across(self) -> Iterator[tuple[str, str, Reach]]:
        reached = dependence(self.cell)
        for value in self._carried():
            for declared in self.cell.states:
                yield value, declared.name, reached[value].get(declared.name, "none")
