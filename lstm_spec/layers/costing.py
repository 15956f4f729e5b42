"""A layer → the polynomials of its cost, in the cell's letters, B, T, L and D.

A stack is its first layer and L − 1 times a layer that reads D·width columns: a hundred layers are derived as fast as
two. A polynomial of one cell is derived once (`operations`, `saved`); here it is put over directions, layers, time and
batch. Factors nothing: that is for whoever shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Add, Integer, Max, Symbol

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.cost import DEFINITIONS, DTYPES, Cost, CostLine
from lstm_spec.layers.described import B, D, T, read_axis
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.sizes import read_whole, symbols
from lstm_spec.symbolic.cell import Role
from lstm_spec.symbolic.operations import count_operations, total_operations
from lstm_spec.symbolic.saved import Saved, saved_values
from lstm_spec.symbolic.shapes import Shapes

L, E = Symbol("L"), Symbol("E")
ZERO = Integer(0)


@dataclass(frozen=True, slots=True)
class Stack:
    """A layer's cell in its own letters, and what the layers above the first put in their place."""

    layer: Layer
    shapes: Shapes

    @property
    def width(self) -> Any:
        """Rows of one cell's output."""
        cell = self.shapes.cell
        return sum((self.shapes[cell.value_of(name)].rows for name in cell.outputs), ZERO)

    @property
    def output_width(self) -> Any:
        """Rows of what a layer gives: those of D cells where they are joined."""
        return D * self.width if self.layer.merge in ("concat", "apart") else self.width

    @property
    def input_width(self) -> Any:
        """Rows of what the first layer reads."""
        return self.shapes.cell.inputs[0].size[0]

    @property
    def above(self) -> Mapping[Any, Any] | None:
        """The first layer's letters → those of a layer above it; None where the cell cannot stand on itself."""
        cell, rows = self.shapes.cell, self.input_width
        own = all(str(rows) not in map(str, d.size) for d in cell.states + cell.lets)
        if rows.is_Symbol and own:
            return {rows: self.output_width}
        if rows.xreplace(symbols(self.layer.sizes)) == self.layer.output_width:
            return {}
        return None

    def over_cells(self, one: Any) -> Any:
        """A polynomial of one cell, over every cell of the layer."""
        above = self.above
        return D * one if above is None else D * (one + (L - 1) * one.xreplace(above))

    def of(self, *roles: Role) -> Any:
        """The entries of one cell's tensors of some roles."""
        return Add(*(s.rows * s.columns for role in roles for s in self.shapes.of(role).values()))


def operation_polynomials(stack: Stack) -> dict[str, Any]:
    """`macs`, `bias`, …, `flops` and each activation's name → its operations over the whole layer."""
    made = {name: E * stack.over_cells(count) for name, count in total_operations(stack.shapes.cell).items()}
    merged = E * L * stack.width * (D - 1)  # adding or multiplying D sequences
    for kind, merges in (("sums", ("sum", "average")), ("products", ("mul", "average"))):
        if stack.layer.merge in merges:
            made[kind] += merged
            made["flops"] += merged
    return made


def parameter_entries(stack: Stack) -> Any:
    """Every parameter of every cell."""
    return stack.over_cells(stack.of("parameter"))


def inference_entries(stack: Stack) -> Any:
    """What lives at once, layer after layer: the widest pair of input and output, all states, one step of one cell."""
    last = (B if stack.layer.output == "last" else E) * stack.output_width
    between = E * stack.output_width
    first = E * stack.input_width
    pairs = [first + last] if stack.layer.layers == 1 else [first + between, between + last]
    if stack.layer.layers > 2:
        pairs.append(2 * between)
    widest = Max(*pairs) if len(set(pairs)) > 1 else pairs[0]
    step = B * stack.of("gate", "next") + stack.of("total")
    return widest + L * D * B * stack.of("state") + step


def kept_entries(stack: Stack) -> Any:
    """What the derivatives read: each cell's values and states, and the first input, each value once."""
    saved = saved_values(stack.shapes.cell)
    states = sum((_times_kept(saved, name) * entries for name, entries in saved.states.items()), ZERO)
    each = E * stack.over_cells(_total(saved.values)) + L * D * (states + saved.constant)
    return each + E * _total(saved.inputs) + _read_above(stack, saved)


def _times_kept(saved: Saved, state: str) -> Any:
    """A state before each of E steps; where those after the steps are kept anyway, only the first is one more."""
    return B if state + "'" in saved.values else E


def _read_above(stack: Stack, saved: Saved) -> Any:
    """What is kept of the outputs, because the layer above reads them, or the product of two directions does."""
    merge = stack.layer.merge
    above = L - 1 if saved.inputs and stack.above is not None else ZERO
    outputs = _outputs_kept(stack, saved)
    if merge in ("concat", "apart"):
        return above * D * outputs
    factors = L * D * (D - 1) * outputs if merge == "mul" else ZERO  # with one direction nothing is multiplied
    return above * E * stack.width + factors


def _outputs_kept(stack: Stack, saved: Saved) -> Any:
    """One cell's outputs at every step, less what of them is kept already."""
    kept = ZERO
    for name in stack.shapes.cell.outputs:
        value = stack.shapes.cell.value_of(name)
        if value not in saved.values:
            kept += (B if name in saved.states else E) * stack.shapes[value].rows
    return kept


def moved_entries(stack: Stack, steps: Any) -> Any:
    """Parameters `steps` times; every layer's input, output, and its states before and after."""
    last = (B if stack.layer.output == "last" else E) * stack.output_width
    sequences = E * stack.input_width + 2 * (L - 1) * E * stack.output_width + last
    return steps * parameter_entries(stack) + sequences + 2 * L * D * B * stack.of("state")


def _total(entries: Mapping[str, Any]) -> Any:
    return sum(entries.values(), ZERO)


@dataclass(frozen=True, slots=True)
class Costing:
    """A layer with numbers or letters for its axes."""

    stack: Stack
    batch: Any
    time: Any
    lengths: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, layer: Layer, batch: Any, time: Any, lengths: Sequence[int] | None, dtype: str) -> Costing:
        """Raises SizeError and OptionError."""
        if dtype not in DTYPES:
            raise OptionError(Finding("option", f"dtype={safe(dtype, 40)!r} is unknown", expected=", ".join(DTYPES)))
        read = read_lengths(lengths, batch, time) if lengths is not None else ()
        size = (
            (Integer(len(read)), Integer(max(read)))
            if read
            else (read_axis("batch", batch, B), read_axis("time", time, T))
        )
        return cls(Stack(layer, layer.shapes_of_cell), *size, read, dtype)

    def polynomials(self) -> dict[str, Any]:
        """Every line's polynomial in all letters."""
        size = DTYPES[self.dtype]
        made: dict[str, Any] = {"evaluations": E * L * D, **operation_polynomials(self.stack)}
        made["parameters"] = parameter_entries(self.stack)
        made["parameter bytes"] = size * made["parameters"]
        made["inference bytes"] = size * inference_entries(self.stack)
        made["kept bytes"] = size * kept_entries(self.stack)
        made["moved bytes"] = size * moved_entries(self.stack, 1)
        made["moved bytes, streaming"] = size * moved_entries(self.stack, T)
        return made

    @property
    def axes(self) -> dict[Any, Any]:
        """Every axis and letter → what was given for it, all at once."""
        layer = self.stack.layer
        packed = self.lengths and layer.padding != "run"  # a cell that keeps running is evaluated at every step
        steps = Integer(sum(self.lengths)) if packed else self.batch * self.time
        axes = {E: steps, B: self.batch, T: self.time, L: Integer(layer.layers), D: Integer(layer.directions)}
        return axes | symbols(layer.sizes)

    def cost(self) -> Cost:
        """Every line that there is something of, in the order of the definitions."""
        made = self.polynomials()
        lines = [self.line(name, made[name]) for name in DEFINITIONS if name in made]
        ranked = [line for line in lines if line.count != 0 or line.name in ("evaluations", "macs", "parameters")]
        at = next((i for i, line in enumerate(ranked) if line.name == "activations"), None)
        if at is not None:
            ranked[at + 1 : at + 1] = self._functions(made)
        by_name = {line.name: line for line in ranked}
        for suffix in ("", ", streaming"):
            if moved := by_name.get("moved bytes" + suffix):
                ranked.append(self._ratio("intensity" + suffix, by_name.get("flops"), moved))
        layer = self.stack.layer
        return Cost(layer, self.batch, self.time, self.lengths, self.dtype, tuple(ranked), count_operations(layer.cell))

    def _functions(self, made: Mapping[str, Any]) -> Iterator[CostLine]:
        for name in made:
            if name not in DEFINITIONS:
                yield self.line(name, made[name], ("operations", "of the activations"))

    def line(self, name: str, general: Any, words: Any = None) -> CostLine:
        """One line of the cost, with what was given put in."""
        unit, definition = words or DEFINITIONS[name]
        layer = self.stack.layer
        shown: dict[Any, Any] = {} if self.lengths else {E: B * T}
        shown |= {axis: Integer(1) for axis, number in ((L, layer.layers), (D, layer.directions)) if number == 1}
        general = general.xreplace({} if self.lengths else {E: B * T})
        return CostLine(name, unit, definition, general, general.xreplace(shown), general.xreplace(self.axes))

    def _ratio(self, name: str, over: CostLine | None, under: CostLine) -> CostLine:
        unit, definition = DEFINITIONS[name]
        parts: list[Callable[[CostLine], Any]] = [lambda o: o.expanded, lambda o: o.shown, lambda o: o.count]
        return CostLine(name, unit, definition, *(part(over) / part(under) if over else ZERO for part in parts))


def read_lengths(lengths: Sequence[Any], batch: Any, time: Any) -> tuple[int, ...]:
    """The lengths of packed sequences. Raises SizeError for one that is none, and for a batch or time beside them."""
    expected = "whole numbers ≥ 1, e.g. 7,3,1"
    read = [read_whole(given) for given in lengths]
    wrong = next((given for given, number in zip(lengths, read, strict=True) if number is None or number < 1), None)
    if wrong is not None or not read:
        shown = "there are none" if wrong is None else f"{safe(repr(wrong), 40)} is no length"
        raise SizeError(Finding("size", f"lengths: {shown}", expected=expected))
    for name, given, derived in (("batch", batch, len(read)), ("time", time, max(n or 0 for n in read))):
        if given is not None and given != derived:
            message = f"{name} = {safe(repr(given), 40)} does not go with these lengths"
            raise SizeError(Finding("size", message, expected=f"{derived}, or none", found=f"{len(read)} lengths"))
    return tuple(n or 0 for n in read)
