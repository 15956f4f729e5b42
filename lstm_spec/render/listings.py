"""A layer's values → tables: which rows, in which groups, in which words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from lstm_spec.layers.described import LayerShapes
from lstm_spec.layers.layer import Layer
from lstm_spec.render.tables import Row, Table


def list_shapes(shapes: LayerShapes) -> Table:
    """Every tensor with its shape, and what it is; a new group where the kind changes."""
    rows = [(tensor.kind, (str(tensor), tensor.note)) for tensor in shapes.tensors]
    groups = tuple(tuple(row for _, row in group) for _, group in groupby(rows, key=lambda pair: pair[0]))
    return Table(("tensor", "what it is"), groups)


Counts = dict[str, Any]


def list_counts(layer: Layer, rename: Callable[[Counts], Counts] = dict) -> Table:
    """Every parameter with its count in letters and in the given sizes, and the total; a group a cell.

    `rename` puts the counts under other names (a notation's).
    """
    lettered = in_letters(layer)
    formulas, counts = rename(lettered.parameter_counts()), rename(layer.parameter_counts())
    alone = len(layer.members) == 1
    groups = []
    for member in layer.members:
        names = [name for name in counts if name.rpartition(".")[0] == member.prefix]
        shown = (name.rpartition(".")[2] if alone else name for name in names)
        groups.append(
            tuple((word, str(formulas[name]), str(counts[name])) for word, name in zip(shown, names, strict=True))
        )
    total: Row = ("total", str(lettered.parameter_count), str(layer.parameter_count))
    return _without_repeats(Table(("parameter", "formula", "count"), (*groups, (total,))))


def list_conventions(layers: dict[str, Layer]) -> Table:
    """The total of each layer under its own name."""
    rows = tuple(
        (name, str(in_letters(layer).parameter_count), str(layer.parameter_count)) for name, layer in layers.items()
    )
    return _without_repeats(Table(("convention", "formula", "count"), (rows,)))


def _without_repeats(table: Table) -> Table:
    """Without the count column, where all that it says is the formula again."""
    if any(formula != count for _, formula, count in table.rows):
        return table
    return Table(table.headings[:2], tuple(tuple(row[:2] for row in group) for group in table.groups))


def in_letters(layer: Layer) -> Layer:
    """The same layer, with the cell's own letters for sizes."""
    return Layer(layer.cell, layers=layer.layers, direction=layer.direction)


def equated(formula: Any, count: Any) -> str:
    """`4*k*(k + n + 1) = 640`, or one side where they are the same."""
    return " = ".join(dict.fromkeys(map(str, (formula, count))))
