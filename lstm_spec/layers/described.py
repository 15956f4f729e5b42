"""A layer → every tensor a person asks about, each with its shape in letters and in the sizes given.

The tensors of the cell, the sequences, the joins of each gate's products, and the count. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sympy import Integer, Symbol

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, SizeError, safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.sizes import read_whole, symbols
from lstm_spec.symbolic.cell import Role
from lstm_spec.symbolic.joins import joined_products
from lstm_spec.symbolic.printing import size_text, tuple_text

Kind = Literal["sequence", "joined"] | Role
T, B, D = Symbol("T"), Symbol("B"), Symbol("D")
WORDS: dict[str, str] = {
    "sequence": "sequence",
    "input": "input, one step",
    "state": "state",
    "parameter": "parameter",
    "gate": "gate",
    "next": "state after the step",
    "total": "total",
    "joined": "joined",
}


@dataclass(frozen=True, slots=True)
class TensorShape:
    """One tensor: its name, what it is, its shape in the cell's letters and in the sizes given.

    `letters` (T, B, n) and `sizes` (10, 1000, 5) are as long as each other; `note` says where it comes from.
    """

    name: str
    kind: Kind
    letters: tuple[Any, ...]
    sizes: tuple[Any, ...]
    order: tuple[str, ...] = ()
    note: str = ""

    @property
    def symbolic(self) -> str:
        """`(T, B, n)`."""
        return tuple_text(self.letters, self.order)

    @property
    def numeric(self) -> str:
        """`(10, 1000, 5)`."""
        return tuple_text(self.sizes, self.order)

    def __str__(self) -> str:
        same = self.letters == self.sizes
        return f"{self.name} {self.symbolic}" if same else f"{self.name} {self.symbolic} = {self.numeric}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sizes are integers where they are numbers, else text."""
        return {
            "name": self.name,
            "kind": self.kind,
            "symbolic": [size_text(s, self.order) for s in self.letters],
            "shape": [int(s) if s.is_Integer else size_text(s, self.order) for s in self.sizes],
        }


@dataclass(frozen=True, slots=True)
class LayerShapes(Displayed):
    """Every tensor of a layer; `formula` is the parameter count in letters, `count` in the sizes given."""

    layer: Layer
    tensors: tuple[TensorShape, ...]
    formula: Any
    count: Any

    def __getitem__(self, name: str) -> TensorShape:
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def __str__(self) -> str:
        count = str(self.formula) if self.formula == self.count else f"{self.formula} = {self.count}"
        return "\n".join([*map(str, self.tensors), f"parameters {count}"])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        count = int(self.count) if self.count.is_Integer else str(self.count)
        return {
            "sizes": {name: str(value) for name, value in self.layer.given},
            "layers": self.layer.layers,
            "direction": self.layer.direction,
            "layout": self.layer.layout,
            "output": self.layer.output,
            "tensors": [t.to_dict() for t in self.tensors],
            "parameters": {"symbolic": str(self.formula), "count": count},
        }


def describe_layer(layer: Layer, batch: Any = None, time: Any = None) -> LayerShapes:
    """Every tensor of a layer, sequences first.

    `batch` and `time` are numbers ≥ 0, or None for the letters B and T. Raises SizeError for anything else.
    """
    axes = {D: Integer(layer.directions), T: read_axis("time", time, T), B: read_axis("batch", batch, B)}
    lettered = Layer(layer.cell, layers=layer.layers, direction=layer.direction, merge=layer.merge)
    formula = lettered.parameter_count
    tensors = tuple(_Describer(layer, axes).tensors())
    return LayerShapes(layer, tensors, formula, layer.parameter_count)


def read_axis(name: str, given: Any, axis: Symbol) -> Any:
    """A number ≥ 0 as it is; the axis' own letter for None and for that letter. Raises SizeError for anything else."""
    if given is None or (isinstance(given, str | Symbol) and str(given) == str(axis)):
        return axis
    number = read_whole(given)
    if number is None or number < 0:
        raise SizeError(
            Finding("size", f"{name} = {safe(repr(given), 40)} is no length", expected=f"a whole number ≥ 0, or {axis}")
        )
    return Integer(number)


@dataclass(frozen=True, slots=True)
class _Describer:
    layer: Layer
    axes: dict[Any, Any]

    def tensors(self) -> Iterator[TensorShape]:
        layer, cell = self.layer, self.layer.cell
        own = Layer(cell, layers=layer.layers, direction=layer.direction, merge=layer.merge)
        sequence = (T, B) if layer.layout == "time" else (B, T)
        declared = cell.inputs[0]
        yield self._row(declared.name, "sequence", (*sequence, declared.size[0]), layer.members[0], "the input")
        last = layer.output == "last"
        width = (own.output_width, layer.output_width)
        note = "the output, last step" if last else "the output"
        lead: tuple[Any, ...] = (B,) if last else sequence
        if layer.merge == "apart":  # time-major (T, D, B, k), batch-major (B, T, D, k)
            place = lead.index(B) if layer.layout == "time" else len(lead)
            lead = (*lead[:place], D, *lead[place:])
        order = self._order
        numbers = (*(self.axes[a] for a in lead), width[1])
        yield TensorShape(
            "y" if "y" not in cell.roles else "output", "sequence", (*lead, width[0]), numbers, order, note
        )
        for member, lettered in zip(layer.members, own.members, strict=True):
            yield from self._member(member, lettered)

    @property
    def _order(self) -> tuple[str, ...]:
        return ("T", "B", *self.layer.cell.letters)

    def _member(self, member: Member, lettered: Member) -> Iterator[TensorShape]:
        shapes = self.layer.shapes_of_cell
        prefix = "" if len(self.layer.members) == 1 else member.prefix + "."
        for name, shape in shapes.items():
            role = shapes.role(name)
            if role == "input" and prefix == "":
                continue  # the sequence above is the same tensor
            batched = (B,) if role not in ("parameter", "total") else ()
            yield self._row(prefix + name, role, (*batched, *shape.size), member, WORDS[role], lettered)
        joins = joined_products(shapes)
        if joins and prefix == "":
            first = joins[0]
            yield self._row(first.vector_name, "joined", (B, first.vector.rows), member, "joined gate input")
        if prefix == "":
            for joined in joins:
                note = f"one matrix of {joined.gate}"
                yield self._row(joined.matrix_name, "joined", joined.matrix.size, member, note)

    def _row(
        self, name: str, kind: Kind, size: tuple[Any, ...], member: Member, note: str, lettered: Member | None = None
    ) -> TensorShape:
        letters = tuple(s.xreplace(symbols(lettered.sizes)) for s in size) if lettered else size
        at = symbols(member.sizes) | self.axes
        return TensorShape(name, kind, letters, tuple(s.xreplace(at) for s in size), self._order, note)
