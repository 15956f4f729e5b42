"""Layer → something that runs: lowered, optimized, emitted, loaded; and the arrays held to the derived shapes.

The checks stand here, once, so that the emitted code has none. Nothing is held between calls: many threads may call
one `Compiled` at once. Arrays that come in are never changed and never come out again.
"""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.passes import optimize
from lstm_spec.compiler.program import Program
from lstm_spec.compiler.targets.numpy import emit_numpy
from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import FLOATS, State, hold_weights

Array = np.ndarray[Any, Any]
TARGETS: dict[str, Callable[[Program, str], str]] = {"numpy": emit_numpy}


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights gathered as the code reads them, for one compiled layer; made by `Compiled.pack`."""

    layer: Layer
    dtype: np.dtype[Any]
    arrays: tuple[Array, ...] = field(repr=False)
    source: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A layer that runs.

    >>> from lstm_spec.layers.factory import lstm
    >>> layer = lstm(5, 10)
    >>> y, state = compile_layer(layer)(np.zeros((7, 2, 5)), layer.random(0))
    >>> y.shape, state["h"].shape
    ((7, 2, 10), (2, 10))

    Shapes: `x (T, B, n)`, or `(B, T, n)` where the layout is "batch"; `y (T, B, D·k)` likewise, `(B, D·k)` for the
    last step only; each state `(B, width)`. T and B may be 0: the states come back unchanged. x, weights and state are
    float32 or float64, all the same, and so is what comes back. Raises TensorError for anything else.
    """

    layer: Layer
    program: Program
    source: str
    _functions: Mapping[str, Any] = field(repr=False)

    def __call__(
        self, x: Array, weights: Mapping[str, Array] | Packed, state: Mapping[str, Array] | None = None
    ) -> tuple[Array, State]:
        """The output and the states after the last step; no state means zeros."""
        packed = weights if isinstance(weights, Packed) else self.pack(weights)
        self._check_packed(packed)
        sequence = self._sequence(x, packed)
        states = self._states(state, packed, sequence.shape[1])
        self._check_last(sequence)
        with np.errstate(under="ignore"):  # exp(-|z|) may be too small for its dtype: 0 is right
            y, *finals = self._functions["run"](packed.arrays, sequence, *states)
        names = [s.before for s in self.program.states]
        result = State({name: np.array(final) for name, final in zip(names, finals, strict=True)})
        return self._laid_out(y), result

    def step(
        self, x_t: Array, weights: Mapping[str, Array] | Packed, state: Mapping[str, Array] | None = None
    ) -> tuple[Array, State]:
        """One time step, for streams: `x_t (B, n)` → `y_t (B, k)` and the next state.

        Raises OptionError for a layer that reads backwards: its first output needs the last input.
        """
        if self.layer.direction != "forward":
            raise OptionError(
                Finding(
                    "step",
                    f"a layer with direction {self.layer.direction!r} cannot be stepped",
                    because="its first output depends on the last input",
                    help="run the whole sequence",
                )
            )
        if not isinstance(x_t, np.ndarray) or x_t.ndim != 2:
            found = str(x_t.shape) if isinstance(x_t, np.ndarray) else type(x_t).__name__
            raise TensorError(Finding("shape", "x_t is one step", expected="(B, n)", found=found))
        time = 0 if self.layer.layout == "time" else 1
        y, after = self(np.expand_dims(x_t, time), weights, state)
        return (y if self.layer.output == "last" else np.squeeze(y, time)), after

    def pack(self, weights: Mapping[str, Array]) -> Packed:
        """The weights, checked and gathered once; goes wherever weights go."""
        layer, held = hold_weights(self.layer, weights)
        dtype = next(iter(held.values())).dtype if held else np.dtype(np.float64)
        return Packed(layer, dtype, self._functions["pack"](held), self.source)

    # ---- what comes in ----

    def _check_packed(self, packed: Packed) -> None:
        if packed.source != self.source:
            raise TensorError(
                Finding("packed", "these weights were packed for another layer", help="pack them with this one: run.pack(weights)")
            )

    def _sequence(self, x: Array, packed: Packed) -> Array:
        """x, time first."""
        layer = packed.layer
        width = layer.sizes[str(layer.cell.inputs[0].size[0])] if layer.cell.inputs[0].size[0].is_Symbol else None
        axes = "(T, B, {})" if layer.layout == "time" else "(B, T, {})"
        expected = axes.format(f"{layer.cell.inputs[0].size[0]} = {width}")
        _check_array("x", x, packed.dtype, expected)
        if x.ndim != 3 or x.shape[2] != width:
            swapped = x.ndim == 2 and x.shape[1] == width
            hint = "one sample has a batch of 1: x[:, None, :]" if swapped else ""
            raise TensorError(Finding("shape", "x does not have the derived shape", "", expected, str(x.shape), help=hint))
        return x if layer.layout == "time" else x.swapaxes(0, 1)

    def _states(self, state: Mapping[str, Array] | None, packed: Packed, batch: int) -> list[Array]:
        """The initial states in the program's order; zeros where none are given."""
        shapes = packed.layer.state_shapes()
        if state is None:
            return [np.zeros((batch, int(shapes[s.before][0])), packed.dtype) for s in self.program.states]
        given = self._named(state, list(shapes))
        for name, shape in shapes.items():
            expected = f"(B, {shape[0]}) = ({batch}, {shape[0]})"
            _check_array(name, given[name], packed.dtype, expected)
            if given[name].shape != (batch, int(shape[0])):
                raise TensorError(
                    Finding("shape", f"{name} does not have the derived shape", "", expected, str(given[name].shape))
                )
        return [given[s.before] for s in self.program.states]

    def _named(self, state: Mapping[str, Array], names: list[str]) -> dict[str, Array]:
        single = len(self.layer.members) == 1
        full = {f"{names[0].rpartition('.')[0]}.{n}" if single and "." not in n else n: a for n, a in state.items()}
        if set(full) != set(names):
            found = ", ".join(safe(n, 40) for n in state) or "nothing"
            raise TensorError(Finding("names", "the state does not have the layer's names", "", ", ".join(names), found))
        return full

    def _check_last(self, sequence: Array) -> None:
        layer = self.layer
        from_states = all(any(s.name == o for s in layer.cell.states) for o in layer.cell.outputs)
        if layer.output == "last" and len(sequence) == 0 and not from_states:
            raise TensorError(Finding("empty", "an empty sequence has no last output", expected="T ≥ 1", found="T = 0"))

    def _laid_out(self, y: Array) -> Array:
        """y in the layer's layout, sharing memory with nothing that came in."""
        if self.layer.output == "last":
            return np.array(y)
        return y if self.layer.layout == "time" else y.swapaxes(0, 1)


def _check_array(name: str, array: Any, dtype: np.dtype[Any], expected: str) -> None:
    if type(array) is not np.ndarray:
        kind = type(array).__name__
        hint = "np.asarray(…) makes a plain array" if hasattr(array, "__array__") or isinstance(array, list) else ""
        raise TensorError(Finding("type", f"{name} is no plain NumPy array", "", expected, kind, help=hint))
    if array.dtype not in FLOATS or array.dtype != dtype:
        raise TensorError(
            Finding(
                "dtype",
                f"{name} is {array.dtype}; the weights are {dtype}",
                expected="one dtype, float32 or float64",
                help=f"nothing is cast in silence: {name}.astype(np.{dtype}), or cast the weights",
            )
        )


def compile_layer(layer: Layer, target: str = "numpy") -> Compiled:
    """A layer that runs, as code for a target; `ls.compile`.

    Compiling is pure: the same layer gives the same source, byte for byte. Raises OptionError for a target that does
    not exist or cannot express the layer.
    """
    if target not in TARGETS:
        raise OptionError(Finding("target", f"no target is called {safe(target, 40)}", expected=", ".join(TARGETS)))
    return _compiled(layer, target)


@lru_cache(maxsize=128)
def _compiled(layer: Layer, target: str) -> Compiled:
    program = optimize(lower(layer))
    source = TARGETS[target](program, _title(layer))
    return Compiled(layer, program, source, _load(source))


def _title(layer: Layer) -> str:
    from lstm_spec import __version__

    extras = [f"{layer.layers} layers"] * (layer.layers > 1) + [layer.direction] * (layer.direction != "forward")
    sizes = [f"{name} = {value}" for name, value in layer.given if str(value) != name]
    return f"A recurrent layer{''.join(', ' + e for e in [*sizes, *extras])}; written by lstm-spec {__version__}."


def _load(source: str) -> dict[str, Any]:
    """The functions of an emitted module, under a file name that tracebacks can quote."""
    name = f"<lstm-spec {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "lstm_spec_emitted"}
    exec(compile(source, name, "exec"), namespace)  # our own text, made of a fixed alphabet: see python_text
    return namespace
