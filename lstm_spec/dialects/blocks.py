"""A packed tensor → its blocks: which rows and columns are which parameter, as text that a person can index with.

Comes in: a `PackedTensor`, its sizes letters or numbers. Goes out: `Block`s, each with its place among the others.
Draws nothing; `render.dialects` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sympy import Integer

from lstm_spec.dialects.packing import PackedTensor

EVERYTHING = ":"


@dataclass(frozen=True, slots=True)
class Block:
    """One parameter in a tensor: `tensor[index]` is it, its transpose, or its numbers in another shape.

    `row` and `column` number the blocks.
    """

    parameter: str
    transposed: bool
    index: tuple[str, ...]
    row: int
    column: int
    reshaped: bool = False

    def __str__(self) -> str:
        return self.parameter + (".reshape" if self.reshaped else "^T" * self.transposed)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {"parameter": self.parameter, "transposed": self.transposed, "index": f"[{', '.join(self.index)}]"}
        return told | ({"reshaped": True} if self.reshaped else {})


def blocks_of(tensor: PackedTensor) -> tuple[Block, ...]:
    """The blocks of the tensor's first direction; the others lie the same way.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> from lstm_spec.dialects import get
    >>> from lstm_spec.layers.layer import Layer
    >>> [kernel, *_] = get("keras").tensors(Layer(lstm_cell()))
    >>> [f"{block} = kernel[{', '.join(block.index)}]" for block in blocks_of(kernel)][:2]
    ['W_i^T = kernel[:, 0:k]', 'W_f^T = kernel[:, k:2*k]']
    """
    return tuple(_blocks(tensor))


def _blocks(tensor: PackedTensor) -> Iterator[Block]:
    packing = tensor.packing
    families = tensor.families
    stacked = families[0] if packing.joined else [name for family in families for name in family]
    starts = _starts([tensor.shape_of(name)[0] for name in stacked])
    sides = _starts([tensor.shape_of(family[0])[1] for family in families]) if packing.joined else [EVERYTHING]
    for f, family in enumerate(families):
        for q, name in enumerate(family):
            place = stacked.index(name) if name in stacked else q
            index = [_gate(packing.arranged, place, len(stacked), starts)]
            if packing.is_matrix:
                index.append(sides[f] if packing.joined else EVERYTHING)
            row, column = place, f * packing.joined
            if packing.arranged == "axis":
                inner = [EVERYTHING] * (2 if packing.is_matrix else 1)
                index = [*inner[: packing.axis], str(place), *inner[packing.axis :]]
            elif packing.transposed:
                index, row, column = index[::-1], column, row
            index += ["0"] * packing.column
            parameter = name.partition(".")[2]
            turned = packing.transposed and packing.is_matrix and not packing.reshaped
            yield Block(parameter, turned, ("0",) * tensor.axes + tuple(index), row, column, packing.reshaped)


def _gate(arranged: str, place: int, gates: int, starts: list[str]) -> str:
    return f"{place}::{gates}" if arranged == "units" else starts[place]


def _starts(sizes: list[Any]) -> list[str]:
    """`0:k`, `k:2*k`, …; `:` for one alone."""
    if len(sizes) == 1:
        return [EVERYTHING]
    ends = [sum(sizes[: i + 1], Integer(0)) for i in range(len(sizes))]
    return [f"{start}:{end}" for start, end in zip([Integer(0), *ends], ends, strict=False)]
