"""A dialect: how a framework packs a cell's parameters into its tensors, as data; and the one way to pack and unpack.

Comes in: a `Layer` and arrays under one party's names. Goes out: arrays under the other's. Where frameworks differ
is in the tables beside this file; what is here is the same for all of them. Imports no framework.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sympy import Integer

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import State, Weights, hold_weights

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
        return self.parts_without(())

    def parts_without(self, dead: Collection[str]) -> tuple[str, ...]:
        """Those of the other gates: `W_i, W_g, W_o` without f."""
        kept = [gate for gate in self.gates if gate not in dead]
        return tuple(f.format(g) for f in self.families for g in (kept if "{}" in f else "x"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one framework writes an LSTM down.

    `pattern` recognizes a tensor's name and has the groups `prefix`, `tensor` and, where names tell them, `layer` and
    `reverse`; `template` writes the name. `directions` says whether a second direction has names of its own or lies
    on a leading axis, and `reverse_alone` whether it may stand without the first; `missing` what it says when none of
    some kinds of tensors is there. `batch_first` is the layout its layers take unless told otherwise; `assumed` are
    options that leave no trace in its tensors, each with the parameter that it matters to, if it is one; `dead` gates
    keep their rows when they have that equation, though nothing reads them; `engine` runs it.
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
    states: tuple[str, ...] = ("h", "c")
    states_apart: bool = False
    engine: str = ""
    reverse_alone: bool = False
    assumed: tuple[tuple[str, str], ...] = ()
    missing: Mapping[frozenset[str], tuple[str, Any]] = field(default_factory=dict)
    dead: Mapping[str, str] = field(default_factory=dict)

    def options(self, present: Set[str]) -> dict[str, Any]:
        """What the kinds of tensors that are there say about the cell: `{"bias": "two"}`."""
        said = [p.option for p in self.packings if p.option and p.name in present]
        said += [option for names, option in self.missing.items() if not names & present]
        return {"bias": "none"} | dict(said)

    def assumptions(self, layer: Layer) -> tuple[str, ...]:
        """What a layer's tensors cannot tell, as it is taken: `("activation = tanh", …)`."""
        said = tuple(text for text, parameter in self.assumed if not parameter or parameter in layer.cell.parameters)
        return (*said, "direction = forward") if self.directions == "axis" and layer.directions == 1 else said

    @property
    def recurrent(self) -> frozenset[str]:
        """The kinds of tensors that hold the recurrent matrices: what makes a layer recurrent."""
        return frozenset(p.name for p in self.packings if any(part.startswith("U_") for part in p.parts))

    def tensors(self, layer: Layer) -> tuple[PackedTensor, ...]:
        """Every tensor of a layer in this dialect, with its derived shape.

        Raises OptionError when the layer has a parameter, a stack or a direction that this dialect has no place for.
        """
        if refusal := self._unplaced(layer) or self._unnamed(layer):
            fits = ", ".join(p.name for p in self.packings) if len(self.packings) < 9 else ""
            raise OptionError(
                Finding("dialect", refusal, expected=fits, help=f"what {self.name} can express: {self.title}")
            )
        return tuple(self._tensors(layer))

    def _unplaced(self, layer: Layer) -> str:
        placed = {part for packing in self._packings(layer) for part in packing.parts}
        unplaced = [p for p in layer.cell.parameters if p not in placed]
        return f"{self.name} has no place for {', '.join(unplaced)}" if unplaced else ""

    def _unnamed(self, layer: Layer) -> str:
        """Why two cells of the layer would have tensors of one name."""
        directions = {"both": "in both directions", "reverse": "that only reads backwards"}
        names_them = self.directions == "axis" or "{reverse}" in self.template
        if layer.layers > 1 and "{layer}" not in self.template:
            return f"{self.name} has no layer of {layer.layers} cells on each other: every one is a layer of its own"
        if layer.direction == "both" and not names_them:
            return f"{self.name} has no layer {directions['both']}: it joins two layers"
        if layer.direction == "reverse" and "{reverse}" in self.template and not self.reverse_alone:
            return f"{self.name} has no layer {directions['reverse']}"
        return ""

    def _packings(self, layer: Layer) -> tuple[Packing, ...]:
        """The kinds of tensors that the layer has all parts of, but for those of a dead gate."""
        dead = set(self._dead(layer))
        return tuple(p for p in self.packings if set(p.parts_without(dead)) <= set(layer.cell.parameters))

    def _dead(self, layer: Layer) -> dict[str, str]:
        """The gates of the layer that have no parameters here and keep their rows, with their equations."""
        return {gate: text for gate, text in self.dead.items() if str(layer.cell.defined.get(gate)) == text}

    def _tensors(self, layer: Layer) -> Iterator[PackedTensor]:
        shapes = layer.parameter_shapes()
        stacks: list[tuple[Member, ...]] = [(m,) for m in layer.members]
        if self.directions == "axis":
            stacks = [tuple(m for m in layer.members if m.index == i) for i in range(layer.layers)]
        for members in stacks:
            for packing in self._packings(layer):
                names = tuple(tuple(f"{m.prefix}.{part}" for part in packing.parts) for m in members)
                yield PackedTensor(self._name(packing, members[0]), packing, names, shapes, self.directions == "axis")

    def _name(self, packing: Packing, member: Member) -> str:
        return self.template.format(
            tensor=packing.name, layer=member.index, reverse=self.reversed_ if member.reverse else ""
        )

    def pack_state(self, state: Mapping[str, Array], layer: Layer) -> tuple[Array, ...]:
        """A state as this dialect takes it: h, then c, each `(L·D, B, width)`; in Keras `(B, k)`.

        The batch never moves with the layout of x: PyTorch's `batch_first` leaves h and c as they are.
        """
        stacked = (np.stack([state[f"{m.prefix}.{name}"] for m in layer.members]) for name in self.states)
        return tuple(array[0] if self.states_apart else array for array in stacked)

    def unpack_state(self, arrays: Iterable[Array], layer: Layer) -> State:
        """Such arrays under the layer's names. Raises TensorError when there are more or fewer than states."""
        given = [np.asarray(a)[None] if self.states_apart else np.asarray(a) for a in arrays]
        if len(given) != len(self.states) or any(len(a) != len(layer.members) for a in given):
            expected = f"{' and '.join(self.states)}, each ({len(layer.members)}, B, width)"
            found = ", ".join(str(a.shape) for a in given)
            raise TensorError(Finding("state", f"this is no state of {self.name}", "", expected, found))
        named = zip(self.states, given, strict=True)
        return State({f"{m.prefix}.{name}": a[i] for name, a in named for i, m in enumerate(layer.members)})

    def pack(self, weights: Mapping[str, Array], layer: Layer) -> dict[str, Array]:
        """The layer's weights as this dialect's tensors, by its own names.

        Raises TensorError when the weights do not have the layer's names and shapes, OptionError when the framework
        would compute something else from them.
        """
        _ = self.tensors(layer)
        self._refuse_other_equations(layer)
        layer, held = hold_weights(layer, weights)
        return {tensor.name: tensor.pack(held) for tensor in self.tensors(layer)}

    def _refuse_other_equations(self, layer: Layer) -> None:
        """A constant in an equation leaves no trace in tensors, and would be lost on the way."""
        options = self.options({p.name for p in self._packings(layer)})
        for equation in self._dead(layer).values():
            options["coupled"] = equation.replace(" ", "")
        theirs = lstm_cell(LstmOptions(**options)).defined
        ours = layer.cell.defined
        differing = [name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name)]
        if self.engine and differing:
            name = differing[0]
            raise OptionError(
                Finding(
                    "dialect",
                    f"{self.name} computes another {name}",
                    expected=str(theirs.get(name, f"no {name}")),
                    found=str(ours.get(name, f"no {name}")),
                    help=f"what {self.name} can express: {self.title}",
                )
            )

    def unpack(self, tensors: Mapping[str, Array], layer: Layer) -> Weights:
        """This dialect's tensors as the layer's weights, which are views where they can be.

        Raises TensorError when a tensor is missing or does not have its derived shape, and when one bears a name of
        this dialect that the layer has no place for; tensors with other names are none of its business.
        """
        packed = self.tensors(layer)
        for tensor in packed:
            if tensor.name not in tensors:
                have = ", ".join(safe(n, 60) for n in tensors) or "none"
                raise TensorError(Finding("missing", f"there is no tensor {tensor.name}", "", tensor.symbolic, have))
        self._refuse_extra(tensors, {tensor.name for tensor in packed})
        found: dict[str, Array] = {}
        for tensor in packed:
            found |= tensor.unpack(tensors[tensor.name])
        return Weights({name: found[name] for name in layer.parameter_shapes()})

    def _refuse_extra(self, tensors: Mapping[str, Array], wanted: Set[str]) -> None:
        matches = {name: self.pattern.fullmatch(name) for name in tensors if name not in wanted}
        kinds = {packing.name for packing in self.packings}
        extra = [name for name, m in matches.items() if m and not m["prefix"] and m["tensor"] in kinds]
        if extra:
            raise TensorError(
                Finding(
                    "extra",
                    f"the layer has no place for {', '.join(safe(n, 60) for n in extra)}",
                    expected=", ".join(sorted(wanted)),
                    help="choose options for which the layer has these tensors, or leave them out",
                )
            )


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """One tensor of a layer: its name, its parts by full name for each direction, and its derived shape.

    A part that `shapes` does not have is dead: as many rows as the others, 0 when packed, dropped when unpacked.
    """

    name: str
    packing: Packing
    parts: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, tuple[Any, ...]] = field(repr=False)
    has_axis: bool = False

    @property
    def shape(self) -> tuple[Any, ...]:
        """The derived shape, in the layer's letters or numbers."""
        shapes = [self._shape_of(name, self.parts[0]) for name in self.parts[0]]
        size = (sum((s[0] for s in shapes), Integer(0)), *shapes[0][1:])
        size = size[::-1] if self.packing.transposed else size
        return (Integer(len(self.parts)), *size) if self.has_axis else size

    def _shape_of(self, name: str, names: tuple[str, ...]) -> tuple[Any, ...]:
        return self.shapes[name if name in self.shapes else self._living(names)]

    def _living(self, names: tuple[str, ...]) -> str:
        return next(name for name in names if name in self.shapes)

    @property
    def symbolic(self) -> str:
        """`(4*k, n)`."""
        return f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"

    def pack(self, weights: Mapping[str, Array]) -> Array:
        """The tensor, from the weights it holds."""
        zeros = [np.zeros_like(weights[self._living(names)]) for names in self.parts]
        stacked = [
            np.concatenate([weights[name] if name in self.shapes else dead for name in names])
            for names, dead in zip(self.parts, zeros, strict=True)
        ]
        if self.packing.transposed:
            stacked = [s.T for s in stacked]
        return np.stack(stacked) if self.has_axis else np.ascontiguousarray(stacked[0])

    def unpack(self, array: Array) -> dict[str, Array]:
        """The weights that the tensor holds. Raises TensorError when it does not have its shape."""
        expected = tuple(map(int, self.shape)) if all(s.is_Integer for s in self.shape) else None
        if array.shape != expected:
            raise TensorError(
                Finding(
                    "shape", f"{self.name} does not have the derived shape", "", f"{self.symbolic}", str(array.shape)
                )
            )
        found: dict[str, Array] = {}
        for names, block in zip(self.parts, array if self.has_axis else [array], strict=True):
            rows = block.T if self.packing.transposed else block
            ends = np.cumsum([int(self._shape_of(name, names)[0]) for name in names])[:-1]
            found |= dict(zip(names, np.split(rows, ends), strict=True))
        return {name: array for name, array in found.items() if name in self.shapes}
