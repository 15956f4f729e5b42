"""A layer and its weights → the same function as another dialect can write it, and what is lost on the way.

Biases are summed or split, a constant of the forget gate is folded into a bias or out of it, a stack becomes layers of
its own, a coupled gate gets weights. Nothing here is trusted: `converting` runs both sides and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from lstm_spec.cells.family import BIASES, LstmOptions, lstm_cell
from lstm_spec.cells.options import COUPLINGS
from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.conversion.coupling import find_coupled, other_couplings, tell_coupling, write_out
from lstm_spec.dialects import Dialect
from lstm_spec.errors import OptionError
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.options import Direction
from lstm_spec.layers.weights import Weights

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Loss:
    """What the target cannot hold; `name` is what `allow` calls it."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of the target: what stands before its names, the layer, its weights under our names, its place in the
    stack."""

    prefix: str
    layer: Layer
    weights: Weights
    index: int = 0


@dataclass(frozen=True, slots=True)
class Adapted:
    """A layer as the target can write it: one part, or one for each cell of a stack; what is lost, what was added."""

    parts: tuple[Part, ...]
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()


def adapt_layer(
    layer: Layer,
    weights: Mapping[str, Array],
    to: Dialect,
    holds_options: bool = False,
    always: Set[str] = frozenset(),
) -> Adapted:
    """The layer as `to` can write it; `holds_options` says that its direction has a place too.

    `always` is what no layer of the source is without: where that is all zeros it says nothing, and is left out first.
    Raises OptionError where it can write no layer that computes the same.
    """
    options = recover_options(layer.cell)
    if options is None:  # a cell of its own: only as it is
        return Adapted(tuple(_split(layer, Weights(weights), to)))
    refusals: dict[bool, OptionError] = {}
    for wanted in _candidates(_coupled(options, layer, weights, to), to, _zeros(weights), always):
        target = layer.with_(cell=lstm_cell(wanted))
        change = _Change(options, wanted)
        adapted = Weights({name: array for m in layer.members for name, array in change.apply(m, weights)})
        try:
            parts = tuple(_split(target, adapted, to))
        except OptionError as error:
            refusals.setdefault(_places_biases(to, target), error)
            continue
        losses, notes = change.told(to, weights)
        return Adapted(parts, losses, (*notes, *_told_of_parts(parts, layer, to, holds_options)))
    # Of biases that the target has no place for nothing is to be told: other biases were tried, and failed for more.
    raise refusals.get(True) or refusals[False]


def _coupled(options: LstmOptions, layer: Layer, weights: Mapping[str, Array], to: Dialect) -> LstmOptions:
    """The options to start from: coupled, where the target has no gates of their own and one of the two is written out
    from the other, as in what was converted from there.
    """
    if to.couples(None) or options.coupled:
        return options
    cells = [_own(member, weights) for member in layer.members]
    found = (find_coupled(options, cells, coupling) for coupling in COUPLINGS if to.couples(coupling))
    return next((coupled for coupled in found if coupled), options)


def _own(member: Member, weights: Mapping[str, Array]) -> dict[str, Array]:
    """One cell's weights under their names within it."""
    own = {n.removeprefix(f"{member.prefix}."): a for n, a in weights.items() if n.startswith(f"{member.prefix}.")}
    return {n: a for n, a in own.items() if "." not in n}


def _places_biases(to: Dialect, layer: Layer) -> bool:
    placed = {part for packing in to.packings for part in packing.parts}
    return all(name in placed for name in layer.cell.parameters if name.startswith("b_"))


def _zeros(weights: Mapping[str, Array]) -> dict[str, Any]:
    """What makes them options without the peepholes, or the bias of a projection, that are all zeros."""
    without: dict[str, Any] = {}
    for option, letters in {"peephole": ("p_", "P_"), "projection_bias": ("b_proj",)}.items():
        arrays = [array for name, array in weights.items() if name.rpartition(".")[2].startswith(letters)]
        if arrays and not any(array.any() for array in arrays):
            without[option] = False
    return without | ({"peephole_output": "after"} if "peephole" in without else {})


def _always(options: LstmOptions, to: Dialect) -> dict[str, Any]:
    """What makes them options with what a layer of the target is never without, beside its biases."""
    given: dict[str, Any] = {}
    if "peephole" in to.always and options.peephole == "none":
        given["peephole"] = True
    if "projection_bias" in to.always and options.projection:
        given["projection_bias"] = True
    return given


def _candidates(options: LstmOptions, to: Dialect, zeros: Mapping[str, Any], always: Set[str]) -> Iterator[LstmOptions]:
    """The options that compute the same, the least changed first.

    Other biases, another constant in the forget gate, another coupling; with zeros that the target is never without,
    and without those that it has no place for.
    """
    constant = Fraction(to.constants.get("forget_bias", 0))
    biases = (options.bias, *(b for b in BIASES if b != options.bias))
    constants = dict.fromkeys((constant, options.forget_bias))
    couplings = [coupled for coupled in other_couplings(options) if to.couples(coupled)] or [options.coupled]
    extras = [_always(options, to), *([dict(zeros)] if zeros else [])]
    if zeros and zeros.keys() & (always - to.always):
        extras.reverse()
    for extra, coupled, forget, bias in product(extras, couplings, constants, biases):
        drops = bias == "none" and (options.bias != "none" or "bias" in to.always)
        folds = bias == "none" and (forget != options.forget_bias or (forget and coupled != options.coupled))
        sums = options.layer_norm != "none" and bias != options.bias != "none"
        if drops or folds or sums:
            continue
        try:
            yield replace(options, bias=bias, forget_bias=forget, coupled=coupled, **extra)
        except OptionError:
            continue


@dataclass(frozen=True, slots=True)
class _Change:
    """From one set of options to another: which biases, which constant, which coupling."""

    before: LstmOptions
    after: LstmOptions

    @property
    def folded(self) -> Fraction:
        """What the forget gate's bias takes up."""
        return self.before.forget_bias - self.after.forget_bias

    def apply(self, member: Member, weights: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """One cell's weights under full names, as the options after have them."""
        own = _own(member, weights)
        if self.before.coupled and self.before.coupled != self.after.coupled:
            own = write_out(self.before, own)
        letters = "d" if self.before.gate_hidden else "b"
        for name in lstm_cell(self.after).parameters:
            array = own[name] if name in own else self._added(name, own)
            if self.folded and name in (f"{letters}_f", f"{letters}_Wf"):
                array = array + array.dtype.type(float(self.folded))
            yield f"{member.prefix}.{name}", array

    def _added(self, name: str, own: Mapping[str, Array]) -> Array:
        """What the layer has not under this name: the sum of two biases, the one of two, or zeros."""
        if name == "b_proj":
            return np.zeros_like(own["W_proj"][:, 0])
        gate = name[-1]
        if name.startswith("p_"):
            return np.zeros_like(own[f"U_{gate}"][:, 0])
        if self.before.bias == "two":
            return own[f"b_W{gate}"] + own[f"b_U{gate}"]
        if self.before.bias == "one" and name.startswith("b_W"):
            return own[f"b_{gate}"]
        return np.zeros_like(own[f"U_{gate}"][:, 0])

    def told(self, to: Dialect, weights: Mapping[str, Array]) -> tuple[tuple[Loss, ...], tuple[str, ...]]:
        """What is lost, and what is added without a loss."""
        losses, notes = [], list(tell_coupling(self.before, self.after, to.name))
        biases = self.before.bias, self.after.bias
        second = (array for name, array in weights.items() if name.rpartition(".")[2].startswith("b_U"))
        if biases == ("two", "one") and not any(array.any() for array in second):
            notes.append(f"{to.name} has one bias a gate: the second of two is all zeros here, and nothing is lost")
        elif biases == ("two", "one"):
            losses.append(Loss("two-biases", f"{to.name} has one bias a gate: the two are summed"))
        elif biases == ("one", "two"):
            notes.append(f"{to.name} has two biases a gate: the second is zeros")
        elif biases[0] != biases[1]:
            notes.append(f"{to.name} has biases: they are zeros")
        notes += self._told_of_zeros(to)
        if self.folded > 0:
            words = f"the forget gate adds {self.folded} at every step: {to.name} gets it in the bias"
            losses.append(Loss("forget-bias", words))
        elif self.folded < 0:
            words = f"{to.name} adds {-self.folded} to the forget gate at every step: the bias gets that much less"
            losses.append(Loss("forget-bias", words))
        elif self.before.forget_bias and self.before.coupled != self.after.coupled:
            constant, gate = self.before.forget_bias, (self.before.coupled or self.after.coupled or "")[0]
            does = "gets that much less" if self.before.coupled else "has that much less, and is left out"
            losses.append(
                Loss("forget-bias", f"the forget gate adds {constant} at every step: the bias of {gate} {does}")
            )
        return tuple(losses), tuple(notes)

    def _told_of_zeros(self, to: Dialect) -> Iterator[str]:
        """Of peepholes and the bias of a projection that are zeros, added or left out."""
        before, after = self.before, self.after
        if after.peephole != before.peephole == "none":
            yield f"{to.name} has peepholes: they are zeros"
        if before.peephole != after.peephole == "none":
            yield "the peepholes are all zeros: they are left out, and nothing is lost"
        if after.projection_bias and not before.projection_bias:
            yield f"{to.name} has a bias of the projection: it is zeros"
        if before.projection_bias and not after.projection_bias:
            yield "the bias of the projection is all zeros: it is left out, and nothing is lost"


def _split(layer: Layer, weights: Weights, to: Dialect) -> Iterator[Part]:
    """The layer whole where the target has such layers, else the layers of a stack, else each cell, as layers."""
    members = layer.members
    by_index = [[m for m in members if m.index == index] for index in range(layer.layers)]
    refusal: OptionError | None = None
    for groups in ([list(members)], by_index, [[member] for member in members]):
        try:
            parts = [_part(layer, group, weights) for group in groups]
            for part in parts:
                to.hold(part.layer)
        except OptionError as error:
            refusal = error
        else:
            yield from parts
            return
    assert refusal is not None
    raise refusal


def _part(layer: Layer, members: list[Member], weights: Weights) -> Part:
    """Some cells of a layer as a layer: all of them, those of one place in the stack, or one."""
    first = members[0]
    if len(members) == len(layer.members):
        return Part("", layer, weights)
    words = [f"l{first.index}"] * (layer.layers > 1)
    if len(members) == 1:
        words += ["backward" if first.reverse else "forward"] * (layer.direction == "both")
        direction: Direction = "reverse" if first.reverse else "forward"
    else:
        direction = layer.direction
    alone = Layer(layer.cell, direction=direction, layout=layer.layout, **first.sizes)
    own = {
        f"l0.{'reverse.' * member.reverse}{name}": weights[f"{member.prefix}.{name}"]
        for member in members
        for name in layer.cell.parameters
    }
    return Part("_".join(words), alone, Weights(own), first.index)


def _told_of_parts(parts: tuple[Part, ...], layer: Layer, to: Dialect, holds_options: bool) -> Iterator[str]:
    if len(parts) > 1:
        what = "cells" if len(parts) == len(layer.members) else "layers"
        yield f"{to.name} has no such stack: its {len(parts)} {what} are {', '.join(p.prefix for p in parts)}"
    if not layer.realign and layer.direction != "forward" and to.realigned is not False:
        yield f"the source leaves its output in reversed time; {to.name} gives it in the order of the input"
    reverse = [part.prefix or "it" for part in parts if part.layer.direction == "reverse"]
    if reverse and not holds_options:
        verb = "reads" if len(reverse) == 1 else "read"
        by_name = layer.direction == "both"
        says = "as only the name says" if by_name else f"which no tensor of {to.name} says"
        yield f"{', '.join(reverse)} {verb} backwards, {says}"
