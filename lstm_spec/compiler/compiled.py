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
from sympy import Integer

from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.masks import alive_steps
from lstm_spec.compiler.passes import optimize
from lstm_spec.compiler.program import Program, input_shape
from lstm_spec.compiler.targets.numpy import emit_numpy
from lstm_spec.errors import Finding, OptionError, SizeError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import FLOATS, PLAIN, State, hold_weights, solve_sizes
from lstm_spec.symbolic.printing import size_text

Array = np.ndarray[Any, Any]
TARGETS: dict[str, Callable[[Program, str], str]] = {"numpy": emit_numpy}


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights gathered as the code reads them, for one compiled layer; made by `Compiled.pack`.

    `layer` has the sizes that the weights show; `dtype` is None where the layer has no weights.
    """

    layer: Layer
    dtype: np.dtype[Any] | None
    arrays: tuple[Any, ...] = field(repr=False)
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
    program: Program = field(repr=False)
    source: str = field(repr=False)
    target: str
    _functions: Mapping[str, Any] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A compiled layer travels as its layer, and is compiled again where it arrives."""
        return compile_layer, (self.layer, self.target)

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
        layer, sequence = self._sequence(x, packed)
        states = self._states(state, layer, x.dtype, sequence.shape[1])
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
        expected = f"(B, {self._rows(packed.layer)})"
        _check_array("x_t", x_t, packed.dtype, expected)
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
            raise TensorError(Finding("shape", "x is not one sample", "", f"(T, {self._rows(self.layer)})", found))
        alone = None if state is None else {name: np.expand_dims(array, 0) for name, array in state.items()}
        leading = self.layer.layout == "batch"
        y, after = self(np.expand_dims(x, 0 if leading else 1), weights, alone)
        axis = 0 if leading else -2  # the batch stands before the rows, or first
        return np.squeeze(y, axis), State({name: array[0] for name, array in after.items()})

    def pack(self, weights: Mapping[str, Array]) -> Packed:
        """The weights, checked and gathered once; goes wherever weights go."""
        layer, held = hold_weights(self.layer, weights)
        dtype = next(iter(held.values())).dtype if held else None
        return Packed(layer, dtype, self._functions["pack"](held), self.source)

    # ---- what comes in ----

    def _packed(self, weights: Mapping[str, Array] | Packed) -> Packed:
        if not isinstance(weights, Packed):
            return self.pack(weights)
        if weights.source != self.source:
            message = "these weights were packed for another layer"
            raise TensorError(Finding("packed", message, help="pack them with this one: run.pack(weights)"))
        return weights

    def _rows(self, layer: Layer) -> str:
        """`n = 5`, the input's rows in the cell's letters and as a number."""
        (own,), (width,) = layer.cell.inputs[0].size, input_shape(layer)
        letters = size_text(own, layer.cell.letters)
        return letters if own == width else f"{letters} = {size_text(width)}"

    def _sequence(self, x: Array, packed: Packed) -> tuple[Layer, Array]:
        """x, time first; and the layer with the sizes that only x shows."""
        axes = "(T, B, {})" if self.layer.layout == "time" else "(B, T, {})"
        expected = axes.format(self._rows(packed.layer))
        _check_array("x", x, packed.dtype, expected)
        shape = (*map(Integer, x.shape[:-1]), *input_shape(packed.layer))
        layer = solve_sizes(packed.layer, {"x": shape}, {"x": x})
        (width,) = input_shape(layer)
        if x.ndim != 3 or x.shape[2] != width:
            sample = x.ndim == 2 and x.shape[1] == width
            alone = "x[:, None, :]" if self.layer.layout == "time" else "x[None]"
            hint = f"one sample has a batch of 1: {alone}" if sample else ""
            raise TensorError(
                Finding("shape", "x does not have the derived shape", "", expected, str(x.shape), help=hint)
            )
        return layer, x if self.layer.layout == "time" else x.swapaxes(0, 1)

    def _states(self, state: Mapping[str, Array] | None, layer: Layer, dtype: np.dtype[Any], batch: int) -> list[Array]:
        """The initial states in the program's order; zeros where none are given."""
        given = {} if state is None else self._named(state)
        shapes = {name: (Integer(batch), *shape) for name, shape in layer.state_shapes().items()}
        for name, array in given.items():
            expected = f"(B, {shapes[name][1]}) = ({batch}, {shapes[name][1]})"
            _check_array(name, array, dtype, expected, of="the weights" if self.program.parameters else "x")
        layer = solve_sizes(layer, {name: shapes[name] for name in given}, given)
        if layer.open_letters:
            sizes = ", ".join(layer.open_letters)
            raise SizeError(Finding("size", f"no array says what {sizes} is", help="give it to the layer: layer.at(…)"))
        widths = {name: int(shape[0]) for name, shape in layer.state_shapes().items()}
        for name, array in given.items():
            if array.shape != (batch, widths[name]):
                expected = f"(B, {widths[name]}) = ({batch}, {widths[name]})"
                raise TensorError(
                    Finding("shape", f"{name} does not have the derived shape", "", expected, str(array.shape))
                )
        names = [s.before for s in self.program.states]
        return [given[name] if state is not None else np.zeros((batch, widths[name]), dtype) for name in names]

    def _named(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """The states under their full names; a layer of one cell may leave out the prefix."""
        names = list(self.layer.state_shapes())
        if not isinstance(state, Mapping):
            kind = type(state).__name__
            raise TensorError(
                Finding("type", "the state is no mapping", expected=f"arrays by name: {', '.join(names)}", found=kind)
            )
        prefix = f"{self.layer.members[0].prefix}." if len(self.layer.members) == 1 else ""
        full = {prefix + str(n) if prefix + str(n) in names else n: array for n, array in state.items()}
        if set(full) != set(names) or len(full) != len(state):
            found = ", ".join(safe(n, 40) for n in state) or "nothing"
            wanted = ", ".join(names) or "none"
            raise TensorError(Finding("names", "the state does not have the layer's names", "", wanted, found))
        return full

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


def _check_array(name: str, array: Any, dtype: np.dtype[Any] | None, expected: str, of: str = "the weights") -> None:
    """Hold an array to the dtype of others; to one of the two where none is given."""
    if type(array) is not np.ndarray:
        kind = type(array).__name__
        raise TensorError(Finding("type", f"{name} is no plain NumPy array", "", expected, kind, help=PLAIN))
    if array.dtype not in FLOATS or array.dtype != (dtype or array.dtype):
        others = f"; {of} {'is' if of == 'x' else 'are'} {dtype}" if dtype else ""
        cast = f"{name}.astype(np.{dtype or 'float64'})" + (f", or cast {of}" if dtype else "")
        raise TensorError(
            Finding(
                "dtype",
                f"{name} is {array.dtype}{others}",
                expected="one dtype, float32 or float64",
                help=f"nothing is cast in silence: {cast}",
            )
        )


def compile_layer(layer: Layer, target: str = "numpy") -> Compiled:
    """A layer that runs, as code for a target; `ls.compile`.

    Compiling is pure: the same layer gives the same source, byte for byte. Raises OptionError for a target that does
    not exist or cannot express the layer.
    """
    if not isinstance(layer, Layer):
        kind = type(layer).__name__
        hint = "ls.compile_network(network)" if kind == "Network" else "ls.Layer(cell) makes a layer of a cell"
        raise OptionError(Finding("type", f"a {safe(kind, 40)} is no layer", expected="a Layer", help=hint))
    if target not in TARGETS:
        raise OptionError(Finding("target", f"no target is called {safe(target, 40)}", expected=", ".join(TARGETS)))
    return _compiled(layer, str(layer.cell), target)


@lru_cache(maxsize=128)
def _compiled(layer: Layer, text: str, target: str) -> Compiled:
    """The text takes part because equal cells may be written differently, and their source shows it."""
    program = optimize(lower(layer))
    source = TARGETS[target](program, _title(layer))
    return Compiled(layer, program, source, target, _load(source))


@lru_cache(maxsize=128)
def _masked(layer: Layer, text: str, target: str) -> Callable[..., Any]:
    """The `run` of the same layer with a mask; it reads the same packed weights."""
    program = optimize(lower(layer, masked=True))
    run: Callable[..., Any] = _load(TARGETS[target](program, _title(layer)))["run"]
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
