"""A dialect: how a framework writes an LSTM down, as data; and the one way to pack and unpack for all of them.

Comes in: a `Layer` and arrays under one party's names. Goes out: arrays under the other's. Where frameworks differ
is in the tables beside this file; what is here is the same for all of them; which layers a dialect has a place for is
asked of `expressing`. Imports no framework.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from lstm_spec.cells.options import LstmOptions
from lstm_spec.cells.recovering import recover_options
from lstm_spec.dialects.expressing import couplings_of, hold_layer, hold_places, packings_of
from lstm_spec.dialects.packing import Array, PackedTensor, Packing
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import State, Weights, hold_weights


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one framework writes an LSTM down.

    Names: `pattern` recognizes a tensor's and has the groups `prefix`, `tensor` and, where names tell them, `layer` and
    `reverse`; `template` writes it, with `forward` or `reversed_` for the direction, behind a prefix and `separator`;
    `aliases` are older kinds of tensors under newer names; where `cells_numbered`, the layer's number counts its cells:
    2l forward and 2l + 1 reverse. `claims` are kinds that must all be there before a set of names is read unasked
    (None: a recurrent one, empty: only when asked), and `said` what the prefix must say then.
    Layout: `directions` says whether a second direction has names of its own or lies on a leading axis, before which a
    `layer_axis` may stand, and `reverse_alone` whether it may stand without the first. `batch_first` is the layout its
    layers take unless told otherwise; `states` come in this order, each alone (`states_apart`) or with all cells of the
    layer on the axis `states_axis`. `ranks` are those of x that a layer takes, 2 being one sample, (T, n); `step_ranks`
    those that a cell alone takes, 1 being one sample, (n,); none where it has no layer, or no cell; with `more_axes`
    what stands in front of them counts samples too.
    Equations: `constants` are options that every cell of it has and no tensor shows, `plain` those that a cell has
    where nothing else is said, if they are not a plain LSTM's; `entails` is a second one that a kind of tensor says,
    beside the `option` of its packing; `missing` is what it says when none of some kinds of tensors is there; `always`
    are the options whose tensors no layer of it is without; `assumed` are options that leave no trace in its tensors,
    each with the parameter that it matters to, if it is one; `dead` gates keep their rows when they have that equation,
    though nothing reads them; `shares` are parameters of whose rows perhaps only the first recur, with the share that
    does by default: no size tells; `outside` are options that an operator's attributes or a layer's arguments hold
    beside the tensors, and `together` those among them that are one argument there; `initial` are the kinds that hold
    the state a layer starts from, of shape (1, k); `any_equations` where the tensors are those of whatever cell there
    is; `engine` runs it.
    Facts for people: `evidence` says whether the framework itself is run against it in the tests, what its project
    publishes (numbers, packing code) is, or only its sources were read; `realigned` whether the output of a reverse
    layer is in the order of its input (None: it has no such layer); `padding` what it does with short sequences;
    `traps` what is easily got wrong.
    """

    name: str
    title: str
    source: str
    packings: tuple[Packing, ...]
    pattern: re.Pattern[str]
    template: str
    reversed_: str = "_reverse"
    forward: str = ""
    separator: Literal[".", "/", "_"] = "."
    aliases: Mapping[str, str] = field(default_factory=dict)
    cells_numbered: bool = False
    claims: frozenset[str] | None = None
    said: re.Pattern[str] | None = None
    directions: Literal["names", "axis"] = "names"
    layer_axis: bool = False
    batch_first: bool = False
    states: tuple[str, ...] = ("h", "c")
    states_apart: bool = False
    states_axis: int = 0
    ranks: tuple[int, ...] = (3, 2)
    step_ranks: tuple[int, ...] = (2, 1)
    more_axes: bool = False
    engine: str = ""
    reverse_alone: bool = False
    constants: Mapping[str, Any] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    entails: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    assumed: tuple[tuple[str, str], ...] = ()
    missing: Mapping[frozenset[str], tuple[str, Any]] = field(default_factory=dict)
    always: frozenset[str] = frozenset()
    dead: Mapping[str, str] = field(default_factory=dict)
    initial: frozenset[str] = frozenset()
    shares: Mapping[str, Fraction] = field(default_factory=dict)
    any_equations: bool = False
    outside: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    evidence: Literal["run", "published", "cited"] = "run"
    realigned: bool | None = None
    padding: str = ""
    traps: tuple[str, ...] = ()

    def options(self, present: Set[str]) -> dict[str, Any]:
        """What the kinds of tensors that are there say about the cell: `{"bias": "two"}`."""
        said = [p.option for p in self.packings if p.option and p.name in present]
        said += [option for name, option in self.entails.items() if name in present]
        said += [option for names, option in self.missing.items() if not names & present]
        return {"bias": "none"} | dict(self.constants) | dict(self.plain) | dict(said)

    def said_outside(self, layer: Layer) -> dict[str, Any]:
        """The options of a layer that are not the framework's own and that it holds beside its tensors."""
        recovered = recover_options(layer.cell) if self.outside else None
        if recovered is None:
            return {}
        plain = LstmOptions(**self.plain)
        one = len({getattr(recovered, name) for name in self.together}) <= 1
        holds = [name for name in self.outside if one or name not in self.together]
        changed = [name for name in holds if getattr(recovered, name) != getattr(plain, name)]
        return {name: getattr(recovered, name) for name in changed}

    def assumptions(self, layer: Layer) -> tuple[str, ...]:
        """What a layer's tensors cannot tell, as it is taken: `("activation = tanh", …)`."""
        said = tuple(text for text, parameter in self.assumed if not parameter or parameter in layer.cell.parameters)
        return (*said, "direction = forward") if self.directions == "axis" and layer.directions == 1 else said

    def kind(self, match: re.Match[str]) -> str:
        """Which kind of tensor a recognized name is, whatever separator or older word it has."""
        written = match["tensor"].replace("/", ".")
        names = {p.name.replace("/", "."): p.name for p in self.packings}
        written = self.aliases.get(written, written)
        return names.get(written, written)

    def write_name(self, kind: str, index: int = 0, reverse: bool = False, directions: int = 1) -> str:
        """The name of a kind of tensor in one cell of a layer that has so many directions."""
        number = index * directions + reverse if self.cells_numbered else index
        return self.template.format(tensor=kind, layer=number, reverse=self.reversed_ if reverse else self.forward)

    @property
    def is_asked_for(self) -> bool:
        """Whether its names say too little to be read unless the dialect is named."""
        return self.claims is not None and not self.claims

    @property
    def recurrent(self) -> frozenset[str]:
        """The kinds of tensors that hold the recurrent matrices: what makes a layer recurrent."""
        return frozenset(p.name for p in self.packings if any(part.startswith("U_") for part in p.parts))

    def tensors(self, layer: Layer) -> tuple[PackedTensor, ...]:
        """Every tensor of a layer in this dialect, with its derived shape.

        Raises OptionError when the layer has a parameter, a stack or a direction that this dialect has no place for.
        """
        hold_places(self, layer)
        return tuple(self._tensors(layer))

    def _tensors(self, layer: Layer) -> Iterator[PackedTensor]:
        shapes = layer.parameter_shapes()
        stacks: list[tuple[Member, ...]] = [(m,) for m in layer.members]
        if self.directions == "axis":
            stacks = [tuple(m for m in layer.members if m.index == i) for i in range(layer.layers)]
        for members in stacks:
            for packing in packings_of(self, layer):
                names = tuple(tuple(f"{m.prefix}.{part}" for part in packing.parts) for m in members)
                name = self.write_name(packing.name, members[0].index, members[0].reverse, layer.directions)
                yield PackedTensor(name, packing, names, shapes, (self.directions == "axis") + self.layer_axis)

    def pack_state(self, state: Mapping[str, Array], layer: Layer) -> tuple[Array, ...]:
        """A state as this dialect takes it: in PyTorch h, then c, each `(L·D, B, width)`; in Keras `(B, k)`.

        The batch never moves with the layout of x: PyTorch's `batch_first` leaves h and c as they are.
        """
        named = ([state[f"{m.prefix}.{name}"] for m in layer.members] for name in self.states)
        return tuple(arrays[0] if self.states_apart else np.stack(arrays, self.states_axis) for arrays in named)

    def unpack_state(self, arrays: Iterable[Array], layer: Layer) -> State:
        """Such arrays under the layer's names. Raises TensorError when there are more or fewer than states."""
        axis = 0 if self.states_apart else self.states_axis
        given = [np.asarray(a)[None] if self.states_apart else np.asarray(a) for a in arrays]
        shapes = [a.shape for a in given]
        if len(given) != len(self.states) or any(len(s) != 3 or s[axis] != len(layer.members) for s in shapes):
            sizes = ["B", "width"]
            sizes[axis:axis] = [str(len(layer.members))]
            expected = f"{' and '.join(self.states)}, each ({', '.join(sizes)})"
            found = ", ".join(map(str, shapes))
            raise TensorError(Finding("state", f"this is no state of {self.name}", "", expected, found))
        named = zip(self.states, given, strict=True)
        return State({f"{m.prefix}.{n}": a.take(i, axis) for n, a in named for i, m in enumerate(layer.members)})

    def pack(self, weights: Mapping[str, Array], layer: Layer) -> dict[str, Array]:
        """The layer's weights as this dialect's tensors, by its own names.

        Raises TensorError when the weights do not have the layer's names and shapes, OptionError when the framework
        would compute something else from them.
        """
        self.hold(layer)
        layer, held = hold_weights(layer, weights)
        return {tensor.name: tensor.pack(held) for tensor in self.tensors(layer)}

    def hold(self, layer: Layer) -> None:
        """Raises OptionError when the framework has no place for the layer, or would compute something else."""
        hold_layer(self, layer)

    def couples(self, coupling: str | None) -> bool:
        """Whether it has this coupling: always, by a missing tensor, or with rows that nothing reads.

        None asks for gates that are not coupled.
        """
        if coupling is None:
            return {"U_i", "U_f"} <= {part for packing in self.packings for part in packing.parts}
        return coupling in couplings_of(self) or self.any_equations

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
        extra = [name for name, m in matches.items() if m and not m["prefix"] and self.kind(m) in kinds]
        if extra:
            raise TensorError(
                Finding(
                    "extra",
                    f"the layer has no place for {', '.join(safe(n, 60) for n in extra)}",
                    expected=", ".join(sorted(wanted)),
                    help="choose options for which the layer has these tensors, or leave them out",
                )
            )
