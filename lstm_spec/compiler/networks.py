"""Network → something that runs: its recurrent members compiled, the rest a few lines of NumPy.

Every sequence inside is time-major; a network's layout is looked at where arrays come in and go out. Nothing is held
between calls. Arrays that come in are never changed and never come out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast

import numpy as np
from sympy import Integer

from lstm_spec.compiler.arrays_in import Bound, bind_inputs, hold_states
from lstm_spec.compiler.compiled import Compiled, Packed, compile_layer
from lstm_spec.compiler.dropout import Masks, read_masks
from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.errors import Finding, OptionError, SizeError, TensorError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.modules import Dense, Dropout, Embedding, Input, RepeatVector
from lstm_spec.layers.network import Network
from lstm_spec.layers.placing import Placed
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.weights import State, Weights, hold_weights

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class PackedNetwork:
    """Weights held to a network's shapes, and gathered as its layers read them; made by `CompiledNetwork.pack`.

    `network` has the sizes that the weights show; `dtype` is None where the network has no weights.
    """

    network: Network
    dtype: np.dtype[Any] | None
    weights: Weights = field(repr=False)
    layers: Mapping[str, Packed] = field(repr=False)
    source: Network = field(repr=False)

    def of(self, owner: str) -> dict[str, Array]:
        """One member's own weights, without its name."""
        return {n.removeprefix(f"{owner}."): a for n, a in self.weights.items() if n.startswith(f"{owner}.")}


@dataclass(frozen=True, slots=True)
class CompiledNetwork:
    """A network that runs.

    >>> from lstm_spec.layers.factory import lstm
    >>> network = Network(encoder=lstm(5, 10, output="last"), head=Dense(3, "softmax"))
    >>> y, state = compile_network(network)(np.zeros((7, 2, 5)), network.random(0))
    >>> y.shape, state["encoder.l0.h"].shape
    ((2, 3), (2, 10))

    Shapes: x and y as `network.inputs` and `network.answer` say, in the network's layout; each state (B, width).
    Vectors are float32 or float64, all the same, tokens whole numbers. Raises TensorError for anything else.
    """

    network: Network
    tested: Mapping[str, Compiled] = field(repr=False)
    trained: Mapping[str, Compiled] = field(repr=False)

    def __call__(
        self,
        x: Array | Mapping[str, Array],
        weights: Mapping[str, Array] | PackedNetwork,
        state: Mapping[str, Array] | None = None,
        *,
        dropout: np.random.Generator | Mapping[str, Array] | None = None,
        lengths: Any = None,
        mask: Any = None,
    ) -> tuple[Array, State]:
        """The answer, and every state after the last step; no state means zeros.

        `x` is an array, or arrays by the inputs' names where there are several. `dropout` is None at inference; in
        training a generator that draws the masks, or masks of one's own (see `masks`). `lengths` (B,) or a `mask`
        say which steps of the first input are there, as for a layer.
        """
        packed = self._packed(weights)
        bound = bind_inputs(packed.network, x, packed.dtype)
        initial = hold_states(bound, state)
        masks = read_masks(bound, dropout)
        alive = self._alive(lengths, mask)
        return _Run(self, packed, bound, masks, alive).answer(initial)

    def step(
        self,
        x_t: Array,
        weights: Mapping[str, Array] | PackedNetwork,
        state: Mapping[str, Array] | None = None,
    ) -> tuple[Array, State]:
        """One time step, for streams and for feeding the answer back: `x_t (B, n)` → `y_t (B, m)` and the next state.

        Raises OptionError where the answer to a step does not follow from it and the state.
        """
        self._refuse_steps()
        axis = 0 if self.network.layout == "time" else 1
        if not isinstance(x_t, np.ndarray):
            raise TensorError(Finding("type", "x_t is no NumPy array", found=type(x_t).__name__))
        y, after = self(np.expand_dims(x_t, min(axis, x_t.ndim)), weights, state)
        return (y if self.network.answer.time is None else np.squeeze(y, axis)), after

    def masks(
        self,
        x: Array | Mapping[str, Array],
        weights: Mapping[str, Array] | PackedNetwork,
        generator: np.random.Generator,
    ) -> dict[str, Array]:
        """The masks that a call with `dropout=generator` would draw, by the names of who reads them.

        An entry is 0 or 1 / (1 − rate); a zoneout mask is 1 where the old state stays, else 0. They may be changed and
        given back as `dropout`: another framework's masks, say. An axis that they are the same along is 1 long.
        """
        packed = self._packed(weights)
        return read_masks(bind_inputs(packed.network, x, packed.dtype), generator).laid_out()

    def pack(self, weights: Mapping[str, Array]) -> PackedNetwork:
        """The weights, checked and gathered once; goes wherever weights go."""
        # a network has the members, shapes and sizes of a layer: what its weights are held to
        solved, held = hold_weights(cast("Layer", self.network), weights)
        network = cast("Network", solved)
        dtype = next(iter(held.values())).dtype if held else None
        packed = PackedNetwork(network, dtype, held, {}, self.network)
        layers = {name: layer.pack(packed.of(name)) for name, layer in self.tested.items()}
        return PackedNetwork(network, dtype, held, layers, self.network)

    def _packed(self, weights: Mapping[str, Array] | PackedNetwork) -> PackedNetwork:
        if not isinstance(weights, PackedNetwork):
            return self.pack(weights)
        if weights.source != self.network:
            message = "these weights were packed for another network"
            raise TensorError(Finding("packed", message, help="pack them with this one: run.pack(weights)"))
        return weights

    def _alive(self, lengths: Any, mask: Any) -> dict[str, Any]:
        """Which steps of the first input are there, as its recurrent members take it."""
        if lengths is None and mask is None:
            return {}
        if not any(isinstance(p.module, Recurrent) for p in _first_chain(self.network)):
            what = "lengths" if mask is None else "a mask"
            first = next(iter(self.network.inputs))
            raise OptionError(Finding("options", f"no member reads {what}", because=f"none is recurrent over {first}"))
        turned = mask is not None and self.network.layout == "batch"
        return {"lengths": lengths, "mask": np.asarray(mask).T if turned else mask}

    def _refuse_steps(self) -> None:
        because = ""
        for placed in self.network.members:
            module = placed.module
            if isinstance(module, Recurrent) and module.layer.direction != "forward":
                because = f"{placed.name} reads backwards: its first output depends on the last input"
            if isinstance(module, RepeatVector):
                because = f"{placed.name} makes a sequence of one vector"
        if len(self.network.inputs) > 1:
            because = f"it has several inputs: {', '.join(self.network.inputs)}"
        elif next(iter(self.network.inputs.values())).time is None:
            because = "its input is no sequence"
        if because:
            message = "this network cannot be stepped"
            raise OptionError(Finding("step", message, because=because, help="run the whole sequence"))


class _Run:
    """One call: what flows, member by member."""

    def __init__(
        self, compiled: CompiledNetwork, packed: PackedNetwork, bound: Bound, masks: Masks, alive: Mapping[str, Any]
    ) -> None:
        self.compiled, self.packed, self.bound, self.masks, self.alive = compiled, packed, bound, masks, alive
        self.states: dict[str, dict[str, Array]] = {}

    def answer(self, initial: Mapping[str, dict[str, Array]]) -> tuple[Array, State]:
        """The last member's value in the network's layout, and all states by their full names."""
        value: Array = np.empty(0)
        on_first = _first_chain(self.bound.network)
        for placed in self.bound.network.members:
            if placed not in on_first:
                self.alive = {}  # from here on another time axis
            with np.errstate(under="ignore"):  # exp(-|z|) may be too small for its dtype: 0 is right
                value = self._member(placed, value, initial.get(placed.name))
        sequence = self.bound.network.answer.time is not None
        laid_out = value.swapaxes(0, 1) if sequence and self.bound.network.layout == "batch" else value
        shared = any(np.may_share_memory(laid_out, x) for x in self.bound.inputs.values())
        finals = {f"{name}.{s}": array for name, states in self.states.items() for s, array in states.items()}
        return (laid_out.copy() if shared else laid_out), State(finals)

    def _member(self, placed: Placed, value: Array, state: dict[str, Array] | None) -> Array:
        match placed.module:
            case Input():
                return self.bound.inputs[placed.name]
            case Recurrent():
                return self._recurrent(placed, value, state)
            case Dense():
                return _dense(placed.module, value, self.packed.of(placed.owner))
            case Embedding():
                return _rows_of(self.packed.of(placed.owner)["E"], value, placed)
            case RepeatVector():
                return np.repeat(value[None], _steps(placed, self.bound), axis=0)
            case Dropout() if self.masks.drawn:
                return value * self.masks.drawn[placed.name]
        return value

    def _recurrent(self, placed: Placed, value: Array, state: dict[str, Array] | None) -> Array:
        if placed.start is not None:
            state = self.states[placed.start]
        inner = self.masks.inside(placed.name)
        if inner:
            masks = [np.broadcast_to(mask, (*value.shape[:2], mask.shape[2])) for mask in inner]
            value = np.concatenate([value, *masks], axis=2)
            y, after = self.compiled.trained[placed.owner](value, self.packed.of(placed.owner), state, **self.alive)
        else:
            y, after = self.compiled.tested[placed.owner](value, self.packed.layers[placed.owner], state, **self.alive)
        self.states[placed.name] = dict(after)
        return y


def _first_chain(network: Network) -> tuple[Placed, ...]:
    """The members over the first input's time axis."""
    after = (p.name for p in network.members[1:] if isinstance(p.module, Input | RepeatVector))
    end = next(after, None)
    return tuple(takewhile(lambda p: p.name != end, network.members))


def _dense(module: Dense, x: Array, weights: Mapping[str, Array]) -> Array:
    """`activation(W x + b)`, at every step."""
    z: Array = x @ weights["W"].T
    z = z + weights["b"] if module.bias else z
    if module.activation != "softmax":
        activated: Array = COMPUTE[module.activation](z)
        return activated
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))  # exp of at most 0: never too large
    normal: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return normal


def _rows_of(table: Array, tokens: Array, placed: Placed) -> Array:
    """A row for each token; a negative one would be counted from the end by NumPy."""
    wrong = tokens[(tokens < 0) | (tokens >= len(table))]
    if wrong.size:
        message = f"{placed.name} has no row for the token {wrong.flat[0]}"
        raise TensorError(Finding("token", message, expected=f"0 to {len(table) - 1}"))
    rows: Array = table[tokens]
    return rows


def _steps(placed: Placed, bound: Bound) -> int:
    steps = placed.gives.time.xreplace(bound.sizes)
    if not isinstance(steps, Integer):
        message = f"no array says what {steps} is"
        raise SizeError(Finding("size", message, help=f"give it to the network: network.at({steps}=…)"))
    return int(steps)


def compile_network(network: Network, target: str = "numpy") -> CompiledNetwork:
    """A network that runs, its layers as code for a target.

    Raises OptionError for a target that does not exist or cannot express a layer.
    """
    tested: dict[str, Compiled] = {}
    trained: dict[str, Compiled] = {}
    for placed in network.members:
        if isinstance(placed.module, Recurrent) and placed.owner == placed.name:
            module = Recurrent(placed.module.sized(placed.takes), placed.start, placed.module.noise)
            tested[placed.name] = compile_layer(module.tested, target)
            if module.noise is not None:
                trained[placed.name] = compile_layer(module.trained[0], target)
    return CompiledNetwork(network, tested, trained)


__all__ = ["CompiledNetwork", "PackedNetwork", "compile_network"]
