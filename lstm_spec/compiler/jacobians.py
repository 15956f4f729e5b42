"""`jacobian`: a layer, weights and x → the Jacobian of every cell's step in numbers, and how they multiply over time.

A cell's own step only: ∂(its states after)/∂(its states before), with what it reads from below held. The compiled
backward step is linear in the gradients that arrive, so unit vectors through it give the rows. All in float64. Arrays
are time-major, in the time order of x; a reverse cell steps from t + 1 to t.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.products import Growth, measure_growth
from lstm_spec.compiler.tracing import Trace, trace_layer
from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, SizeError
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import Weights, write_npz

Array = np.ndarray[Any, Any]
MOST_ENTRIES = 2**27  # 1 GiB of float64
AT_ONCE = 2**22  # entries of the unit vectors that go through the backward step together


@dataclass(frozen=True, slots=True)
class Jacobians(Displayed):
    """Every cell's Jacobians: `steps` maps `l0` to (T, B, K, K), with K the rows of all its states together.

    `growth` maps `l0.c` to how its block and the products of its blocks grow or fade. A step that a sample does not
    have (lengths, mask) keeps the states: its Jacobian is the identity.
    """

    layer: Layer
    steps: Mapping[str, Array]
    growth: Mapping[str, Growth]
    alive: Array = field(repr=False)

    @property
    def blocks(self) -> dict[str, Array]:
        """`l0.dc_dh` → ∂c_t/∂h_(t−1), (T, B, rows of c, rows of h); views of `steps`."""
        return dict(self._blocks())

    def _blocks(self) -> Iterator[tuple[str, Array]]:
        for member in self.layer.members:
            places = place_states(self.layer, member)
            for of, rows in places.items():
                for by, columns in places.items():
                    yield f"{member.prefix}.d{of}_d{by}", self.steps[member.prefix][:, :, rows, columns]

    def __getitem__(self, name: str) -> Array:
        """`dc_dh`, or `l0.dc_dh` where there are several cells."""
        blocks = self.blocks
        alone = f"{self.layer.members[0].prefix}.{name}"
        return blocks[alone if name not in blocks and len(self.layer.members) == 1 else name]

    @property
    def arrays(self) -> dict[str, Array]:
        """All there is, by name, for npz: the blocks, then the measures of each state."""
        measures = {f"{n}.{what}": a for n, growth in self.growth.items() for what, a in growth.arrays.items()}
        return self.blocks | measures

    def save(self, path: Any) -> None:
        """Write every array as npz, under its name."""
        with open(path, "wb") as file:
            write_npz(file, self.arrays)

    def __str__(self) -> str:
        return "\n".join(f"{name} {array.shape}" for name, array in self.arrays.items())

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the summary of each state; the arrays are for npz."""
        steps, samples = self.alive.shape
        return {
            "steps": steps,
            "samples": samples,
            "arrays": {name: list(array.shape) for name, array in self.arrays.items()},
            "states": [growth.summarize(name, self.alive).to_dict() for name, growth in self.growth.items()],
        }


def jacobian_layer(
    layer: Layer,
    weights: Mapping[str, Array],
    x: Array,
    state: Mapping[str, Array] | None = None,
    *,
    lengths: Any = None,
    mask: Any = None,
) -> Jacobians:
    """The Jacobian of each step of each cell, and their products from every step to the last; `ls.jacobian`.

    >>> from lstm_spec.layers.factory import lstm
    >>> layer = lstm(5, 10)
    >>> found = jacobian_layer(layer, layer.random(0), np.zeros((7, 2, 5)))
    >>> list(found.blocks), found["dc_dc"].shape
    (['l0.dh_dh', 'l0.dh_dc', 'l0.dc_dh', 'l0.dc_dc'], (7, 2, 10, 10))

    Takes what a compiled layer takes, and raises what it raises; SizeError where the blocks are over 2^27 entries.
    """
    weights, x = {name: _double(array) for name, array in weights.items()}, _double(x)
    state = None if state is None else {name: _double(array) for name, array in state.items()}
    trace = trace_layer(layer, weights, x, state, lengths=lengths, mask=mask)
    _refuse_large(trace)
    layer = trace.layer
    given = {"lengths": lengths, "mask": mask}
    steps: dict[str, Array] = {}
    growth: dict[str, Growth] = {}
    below: dict[int, Array] = {0: x if layer.layout == "time" else x.swapaxes(0, 1)}
    for member in layer.members:
        if member.index not in below:
            below[member.index] = _run_below(trace, member.index, weights, x, given)
        found = _steps(trace, member, weights, below[member.index])
        steps[member.prefix] = found
        places = place_states(layer, member)
        kept = {n: trace.kept[f"{member.prefix}.{n}"] for n in places if f"{member.prefix}.{n}" in trace.kept}
        measured = measure_growth(found, places, kept, trace.alive, member.reverse)
        growth |= {f"{member.prefix}.{name}": one for name, one in measured.items()}
    return Jacobians(layer, steps, growth, trace.alive)


def _double(array: Array) -> Array:
    """float32 as float64; what is neither is left for the layer to refuse."""
    return array.astype(np.float64) if getattr(array, "dtype", None) == np.float32 else array


def place_states(layer: Layer, member: Member) -> dict[str, slice]:
    """Where each state's rows stand among those of all states of a cell."""
    shapes = layer.state_shapes()
    widths = [int(shapes[f"{member.prefix}.{s.name}"][0]) for s in layer.cell.states]
    stops = [0, *accumulate(widths)]
    return {s.name: slice(*stops[i : i + 2]) for i, s in enumerate(layer.cell.states)}


def _refuse_large(trace: Trace) -> None:
    steps, samples = trace.alive.shape
    rows = [max(p.stop for p in place_states(trace.layer, m).values()) for m in trace.layer.members]
    entries = sum(steps * samples * k**2 for k in rows)
    if entries > MOST_ENTRIES:
        message = f"the Jacobians of {steps:,} steps, {samples:,} of a batch, have {entries:,} entries"
        because = f"a step of a cell has {max(rows):,} x {max(rows):,}"
        help = "take fewer samples, or fewer steps: x[-100:]"
        raise SizeError(Finding("size", message, "", f"at most {MOST_ENTRIES:,}", because=because, help=help))


def _run_below(trace: Trace, index: int, weights: Mapping[str, Array], x: Array, given: Mapping[str, Any]) -> Array:
    """What the layers below put out, (T, B, width)."""
    layer = trace.layer.with_(layers=index, output="sequence")
    prefixes = {m.prefix for m in layer.members}
    own = {n: a for n, a in Weights(weights).items() if n.rpartition(".")[0] in prefixes}
    states = {n: a for n, a in trace.initial.items() if n.rpartition(".")[0] in prefixes}
    y = compile_layer(layer)(x, own, states, **given)[0]
    return y if layer.layout == "time" else y.swapaxes(0, 1)


def _states_before(trace: Trace, member: Member) -> dict[str, Array]:
    """Each state before each step, (T, B, width), at the step's own place in time."""
    made = {}
    for declared in trace.layer.cell.states:
        name = f"{member.prefix}.{declared.name}"
        carried = trace.initial[name]
        before = np.zeros((len(trace.alive), *carried.shape))
        times = range(len(trace.alive))
        for t in reversed(times) if member.reverse else times:
            before[t] = carried
            if name in trace.arrays:
                carried = np.where(trace.alive[t][:, None], trace.arrays[name][t], carried)
        made[declared.name] = before
    return made


def _steps(trace: Trace, member: Member, weights: Mapping[str, Array], sequence: Array) -> Array:
    """The Jacobian of every step, (T, B, K, K)."""
    layer = Layer(trace.layer.cell).at(**dict(member.sizes))
    run, places = compile_layer(layer, gradient=True), place_states(layer, layer.members[0])
    own = {f"l0.{n[len(member.prefix) + 1 :]}": a for n, a in weights.items() if n.rpartition(".")[0] == member.prefix}
    packed = run.pack(own or weights)  # one cell's weights may have no prefix
    rows = max(place.stop for place in places.values())
    before = {name: array.reshape(-1, array.shape[-1]) for name, array in _states_before(trace, member).items()}
    flat = sequence.reshape(-1, sequence.shape[-1])
    made = np.empty((len(flat), rows, rows))
    size = max(1, AT_ONCE // rows**2)
    for start in range(0, len(flat), size):
        part = slice(start, start + size)
        taken = len(flat[part])
        units = np.tile(np.eye(rows), (taken, 1))
        repeated = {f"l0.{name}": np.repeat(array[part], rows, axis=0) for name, array in before.items()}
        arriving = {f"l0.{name}": units[:, place] for name, place in places.items()}
        xs = np.repeat(flat[part], rows, axis=0)[None]
        *_, grads = run.gradient(xs, packed, np.zeros((1, len(units), int(layer.output_width))), repeated, arriving)
        for name, place in places.items():
            made[part, :, place] = grads.state[f"l0.{name}"].reshape(taken, rows, -1)
    found = made.reshape(*trace.alive.shape, rows, rows)
    found[~trace.alive] = np.eye(rows)
    return found
