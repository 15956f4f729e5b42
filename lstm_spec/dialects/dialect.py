"""A dialect: how a framework packs a cell's parameters into its tensors, as data; and the one way to pack and unpack.

Comes in: a `Layer` and arrays under one party's names. Goes out: arrays under the other's. Where frameworks differ is in
the tables beside this file; what is here is the same for all of them. Imports no framework.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sympy import Integer

from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import Weights

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Packing:
    """One kind of tensor: which of the cell's parameters lie in it, one under the other.

    `families` such as `b_W{}` are written out for each gate of `gates`, family by family. `transposed` tensors hold
    the gates as columns (y = x W). `option` is what the presence of the tensor says about the cell.
    """

    name: str
    families: tuple[str, ...]
    gates: str = ""
    transposed: bool = False
    option: tuple[str, Any] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parameters, first rows first: `W_i, W_f, W_g, W_o`."""
        return tuple(f.format(g) for f in self.families for g in (self.gates if "{}" in f else "x"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one framework writes an LSTM down.

    `pattern` recognizes a tensor's name and has the groups `prefix`, `tensor` and, where names tell them, `layer` and
    `reverse`; `template` writes the name. `directions` says whether a second direction has names of its own or lies
    on a leading axis; `missing` what it says when a kind of tensor is not there. `batch_first` is the layout its layers
    take unless told otherwise; `assumed` are options that leave no trace in its tensors; `engine` runs it.
    """

    name: str
    title: str
    source: str
    packings: tuple[Packing, ...]
    pattern: re.Pattern[str]
    template: str
    reversed_: str = "_reverse"
    directions: Literal["names", "axis"] = "names"
    batch_first: bool = False
    engine: str = ""
    assumed: tuple[str, ...] = ()
    missing: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def options(self, present: Set[str]) -> dict[str, Any]:
        """What the kinds of tensors that are there say about the cell: `{"bias": "two"}`."""
        said = [p.option for p in self.packings if p.option and p.name in present]
        said += [option for name, option in self.missing.items() if name not in present]
        return {"bias": "none"} | dict(said)

    @property
    def recurrent(self) -> frozenset[str]:
        """The kinds of tensors that hold the recurrent matrices: what makes a layer recurrent."""
        return frozenset(p.name for p in self.packings if any(part.startswith("U_") for part in p.parts))

    def tensors(self, layer: Layer) -> tuple[PackedTensor, ...]:
        """Every tensor of a layer in this dialect, with its derived shape.

        Raises OptionError when the layer has a parameter that this dialect has no place for.
        """
        self._refuse_unplaced(layer)
        return tuple(self._tensors(layer))

    def _refuse_unplaced(self, layer: Layer) -> None:
        placed = {part for packing in self.packings for part in packing.parts}
        unplaced = [p for p in layer.cell.parameters if p not in placed]
        if unplaced:
            raise OptionError(
                Finding(
                    "dialect",
                    f"{self.name} has no place for {', '.join(unplaced)}",
                    expected=", ".join(p.name for p in self.packings),
                    help=f"choose options that {self.name} can express: {self.title}",
                )
            )

    def _tensors(self, layer: Layer) -> Iterator[PackedTensor]:
        shapes = layer.parameter_shapes()
        stacks: list[tuple[Member, ...]] = [(m,) for m in layer.members]
        if self.directions == "axis":
            stacks = [tuple(m for m in layer.members if m.index == i) for i in range(layer.layers)]
        for members in stacks:
            for packing in self.packings:
                if set(packing.parts) <= set(layer.cell.parameters):
                    names = tuple(tuple(f"{m.prefix}.{part}" for part in packing.parts) for m in members)
                    yield PackedTensor(self._name(packing, members[0]), packing, names, shapes, self.directions == "axis")

    def _name(self, packing: Packing, member: Member) -> str:
        return self.template.format(tensor=packing.name, layer=member.index, reverse=self.reversed_ if member.reverse else "")

    def pack(self, weights: Mapping[str, Array], layer: Layer) -> dict[str, Array]:
        """The layer's weights as this dialect's tensors, by its own names."""
        return {tensor.name: tensor.pack(weights) for tensor in self.tensors(layer)}

    def unpack(self, tensors: Mapping[str, Array], layer: Layer) -> Weights:
        """This dialect's tensors as the layer's weights, which are views where they can be.

        Raises TensorError when a tensor is missing or does not have its derived shape.
        """
        found: dict[str, Array] = {}
        for tensor in self.tensors(layer):
            if tensor.name not in tensors:
                have = ", ".join(safe(n, 60) for n in tensors) or "none"
                raise TensorError(Finding("missing", f"there is no tensor {tensor.name}", "", tensor.symbolic, have))
            found |= tensor.unpack(tensors[tensor.name])
        return Weights({name: found[name] for name in layer.parameter_shapes()})


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """One tensor of a layer: its name, its parts by full name for each direction, and its derived shape."""

    name: str
    packing: Packing
    parts: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, tuple[Any, ...]] = field(repr=False)
    has_axis: bool = False

    @property
    def shape(self) -> tuple[Any, ...]:
        """The derived shape, in the layer's letters or numbers."""
        parts = [self.shapes[p] for p in self.parts[0]]
        size = (sum((p[0] for p in parts), Integer(0)), *parts[0][1:])
        size = size[::-1] if self.packing.transposed else size
        return (Integer(len(self.parts)), *size) if self.has_axis else size

    @property
    def symbolic(self) -> str:
        """`(4*k, n)`."""
        return f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"

    def pack(self, weights: Mapping[str, Array]) -> Array:
        """The tensor, from the weights it holds."""
        stacked = [np.concatenate([weights[name] for name in names]) for names in self.parts]
        if self.packing.transposed:
            stacked = [s.T for s in stacked]
        return np.stack(stacked) if self.has_axis else np.ascontiguousarray(stacked[0])

    def unpack(self, array: Array) -> dict[str, Array]:
        """The weights that the tensor holds. Raises TensorError when it does not have its shape."""
        expected = tuple(map(int, self.shape)) if all(s.is_Integer for s in self.shape) else None
        if array.shape != expected:
            raise TensorError(
                Finding("shape", f"{self.name} does not have the derived shape", "", f"{self.symbolic}", str(array.shape))
            )
        found: dict[str, Array] = {}
        for names, block in zip(self.parts, array if self.has_axis else [array], strict=True):
            rows = block.T if self.packing.transposed else block
            ends = np.cumsum([int(self.shapes[n][0]) for n in names])[:-1]
            found |= dict(zip(names, np.split(rows, ends), strict=True))
        return found
