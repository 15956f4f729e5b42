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

from lstm_spec.compiler.holding import check_array, hold_output_gradient, hold_sequence, hold_states, rows_of
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.masks import alive_steps
from lstm_spec.compiler.passes import optimize
from lstm_spec.compiler.program import Program, input_shape
from lstm_spec.compiler.targets.numpy import emit_numpy
from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import State, Weights, hold_weights

Array = np.ndarray[Any, Any]
TARGETS: dict[str, Callable[[Program, str, Program | None], str]] = {"numpy": emit_numpy}


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights gathered as the code reads them, for one compiled layer; made by `Compiled.pack`.

    `layer` has the sizes that the weights show; `dtype` is None where the layer has no weights.
    """

    layer: Layer
    dtype: np.dtype[Any] | None
    arrays: tuple[Any, ...] = field(repr=False)
    source: str = field(repr=False)
    backward: tuple[Any, ...] = field(default=(), repr=False)  # as `gradient` reads them


@dataclass(frozen=True, slots=True)
class Grads:
    """What `Compiled.gradient` finds: the gradient of x in its shape, of each weight and of each initial state."""

    x: Array
    weights: Weights
    state: State


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
    program: Program = field(repr=False)
    source: str = field(repr=False)
    target: str
    _functions: Mapping[str, Any] = field(repr=False)
    backward: Program | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A compiled layer travels as its layer, and is compiled again where it arrives."""
        return compile_layer, (self.layer, self.target, self.backward is not None)

    def __call__(
        self,
        x: Array,
        weights: Mapping[str, Array] | Packed,
        state: Mapping[str, Array] | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> tuple[Array, State]:
        """The output and the states after the last step; no state means zeros.

        `lengths` (B,), whole numbers from 0 to T, end each sample's sequence early; `mask`, booleans in the layout of x
        without its rows, leaves single steps out. Such a step keeps the states, and y there is what the layer's padding
        says; a reverse cell starts at each sample's own end.
        """
        packed = self._packed(weights)
        layer, sequence = hold_sequence(x, self._sized(packed), packed.dtype)
        states = hold_states(state, layer, sequence)
        self._check_last(sequence)
        alive = alive_steps(sequence.shape[:2], lengths, mask, self.layer.layout)
        run = self._functions["run"] if alive is None else _masked(self.layer, str(self.layer.cell), self.target)
        sequences = (sequence,) if alive is None else (sequence, alive)
        with np.errstate(all="ignore"):  # NaN and infinity show in what comes back; underflow to 0 is right
            y, *finals = run(packed.arrays, *sequences, *states)
            if alive is not None and self.layer.padding == "run" and self.layer.output == "sequence":
                y = self._functions["run"](packed.arrays, sequence, *states)[0]  # as if every step were there
        names = [s.before for s in self.program.states]
        result = State({name: np.array(final) for name, final in zip(names, finals, strict=True)})
        return self._laid_out(y), result

    def gradient(
        self,
        x: Array,
        weights: Mapping[str, Array] | Packed,
        d_y: Array,
        state: Mapping[str, Array] | None = None,
        d_state: Mapping[str, Array] | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> tuple[Array, State, Grads]:
        """The output, the states, and the gradients of x, of the weights and of the initial state.

        `d_y` is the gradient of y, in its shape; `d_state` that of the states after the last step, no d_state means
        zeros. A step that is not there adds nothing. Raises OptionError where the layer was compiled without
        `gradient=True`, or its padding runs on.
        """
        if not self.backward:
            hint = "ls.compile(layer, gradient=True)"
            raise OptionError(Finding("gradient", "this layer was compiled without its gradient", help=hint))
        packed = self._packed(weights)
        layer, sequence = hold_sequence(x, self._sized(packed), packed.dtype)
        states = hold_states(state, layer, sequence)
        d_states = hold_states(d_state, layer, sequence, "gradient of the state")
        given = hold_output_gradient(d_y, layer, sequence, states)
        alive = alive_steps(sequence.shape[:2], lengths, mask, self.layer.layout)
        run = self._functions["gradient"]
        if alive is not None:
            run = _masked(self.layer, str(self.layer.cell), self.target, gradient=True)
        sequences = (sequence, given) if alive is None else (sequence, alive, given)
        with np.errstate(all="ignore"):
            y, finals, d_x, d_weights, d_initial = run(packed.backward, *sequences, *states, *d_states)
        names = list(layer.state_shapes())
        of_states = (State({n: np.array(v) for n, v in zip(names, some, strict=True)}) for some in (finals, d_initial))
        after, d_first = of_states
        d_x = d_x if self.layer.layout == "time" else d_x.swapaxes(0, 1)
        return self._laid_out(y), after, Grads(np.array(d_x), Weights(d_weights), d_first)

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
        packed = self._packed(weights)
        (width,) = input_shape(packed.layer)
        expected = f"(B, {rows_of(packed.layer)})"
        check_array("x_t", x_t, packed.dtype, expected)
        if x_t.ndim != 2 or (width.is_Integer and x_t.shape[1] != width):
            raise TensorError(Finding("shape", "x_t is not one step of the input", "", expected, str(x_t.shape)))
        time = 0 if self.layer.layout == "time" else 1
        y, after = self(np.expand_dims(x_t, time), packed, state)
        return (y if self.layer.output == "last" else np.squeeze(y, time)), after

    def unbatched(
        self, x: Array, weights: Mapping[str, Array] | Packed, state: Mapping[str, Array] | None = None
    ) -> tuple[Array, State]:
        """One sample without a batch axis: `x (T, n)` → `y (T, D·k)`, each state `(width,)` in and out."""
        if not isinstance(x, np.ndarray) or x.ndim != 2:
            found = str(x.shape) if isinstance(x, np.ndarray) else type(x).__name__
            raise TensorError(Finding("shape", "x is not one sample", "", f"(T, {rows_of(self.layer)})", found))
        alone = None if state is None else {name: np.expand_dims(array, 0) for name, array in state.items()}
        leading = self.layer.layout == "batch"
        y, after = self(np.expand_dims(x, 0 if leading else 1), weights, alone)
        axis = 0 if leading else -2  # the batch stands before the rows, or first
        return np.squeeze(y, axis), State({name: array[0] for name, array in after.items()})

    def pack(self, weights: Mapping[str, Array]) -> Packed:
        """The weights, checked and gathered once; goes wherever weights go."""
        layer, held = hold_weights(self.layer, weights)
        dtype = next(iter(held.values())).dtype if held else None
        backward = self._functions["pack_gradient"](held) if self.backward else ()
        return Packed(layer, dtype, self._functions["pack"](held), self.source, backward)

    # ---- what comes in ----

    def _packed(self, weights: Mapping[str, Array] | Packed) -> Packed:
        if not isinstance(weights, Packed):
            return self.pack(weights)
        if weights.source != self.source:
            message = "these weights were packed for another layer"
            raise TensorError(Finding("packed", message, help="pack them with this one: run.pack(weights)"))
        return weights

    def _sized(self, packed: Packed) -> Layer:
        """This layer in the sizes of the weights; they may have been packed for another layout of the same code."""
        layer, layout = packed.layer, self.layer.layout
        return layer if layer.layout == layout else layer.with_(layout=layout)

    def _check_last(self, sequence: Array) -> None:
        layer = self.layer
        from_states = all(any(s.name == o for s in layer.cell.states) for o in layer.cell.outputs)
        if layer.output == "last" and len(sequence) == 0 and not from_states:
            raise TensorError(Finding("empty", "an empty sequence has no last output", expected="T ≥ 1", found="T = 0"))

    def _laid_out(self, y: Array) -> Array:
        """y in the layer's layout, sharing memory with nothing that came in."""
        batch = self.layer.layout == "batch" and y.ndim > 2
        laid_out = np.moveaxis(y, -2, 0) if batch else y
        return np.array(laid_out) if self.layer.output == "last" else laid_out


def compile_layer(layer: Layer, target: str = "numpy", gradient: bool = False) -> Compiled:
    """A layer that runs, as code for a target; `ls.compile`.

    With `gradient` it also has the backward pass. Compiling is pure: the same layer gives the same source, byte for
    byte. Raises OptionError for a target that does not exist or cannot express the layer.
    """
    if not isinstance(layer, Layer):
        kind = type(layer).__name__
        hint = "ls.compile_network(network)" if kind == "Network" else "ls.Layer(cell) makes a layer of a cell"
        raise OptionError(Finding("type", f"a {safe(kind, 40)} is no layer", expected="a Layer", help=hint))
    if target not in TARGETS:
        raise OptionError(Finding("target", f"no target is called {safe(target, 40)}", expected=", ".join(TARGETS)))
    return _compiled(layer, str(layer.cell), target, bool(gradient))


@lru_cache(maxsize=128)
def _compiled(layer: Layer, text: str, target: str, gradient: bool) -> Compiled:
    """The text takes part because equal cells may be written differently, and their source shows it."""
    program = optimize(lower(layer))
    backward = optimize(lower(layer, gradient=True)) if gradient else None
    source = TARGETS[target](program, _title(layer), backward)
    return Compiled(layer, program, source, target, _load(source), backward)


@lru_cache(maxsize=128)
def _masked(layer: Layer, text: str, target: str, gradient: bool = False) -> Callable[..., Any]:
    """The `run` or `gradient` of the same layer with a mask; it reads the same packed weights."""
    program = optimize(lower(layer, masked=True, gradient=gradient))
    functions = _load(TARGETS[target](program, _title(layer), None))
    run: Callable[..., Any] = functions["gradient" if gradient else "run"]
    return run


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
