"""Program + arrays → arrays, op by op: the oracle that compiled code is held to, and the source of traces.

Reads each op through one table and keeps every value it makes. Slow on purpose: no fusing, no reuse, nothing clever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Integer

from lstm_spec.compiler.program import Loop, Op, Program, shapes

Array = np.ndarray[Any, Any]
Values = dict[str, Any]


def _layer_norm(z: Array, e: float) -> Array:
    centred = z - z.mean(axis=-1, keepdims=True)
    normal: Array = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + e)
    return normal


# kind → what it computes, on arrays whose last axis is the tensor's rows
COMPUTE: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negate": lambda a: -a,
    "product": lambda w, x: np.einsum("rc,...c->...r", w, x),
    "turned": lambda w, x: np.einsum("rc,...r->...c", w, x),
    "transpose": np.transpose,
    "stack": lambda *a: np.concatenate(a, axis=0),
    "join": lambda *a: np.concatenate(a, axis=-1),
    "spread": lambda b, x: np.broadcast_to(b, (*x.shape[:-1], len(b))),
    "columns": lambda w, start, stop: w[:, start:stop],
    "rows": lambda z, start, stop: z[..., start:stop],
    "reverse_time": lambda z: z[::-1],
    "apart": lambda *a: np.stack(a, axis=-3),
    "select": lambda alive, new, old: np.where(alive, new, old),
    "last": lambda z: z[-1],
    "place_last": lambda d, z: np.concatenate([np.zeros_like(z[:-1]), [d]])[: len(z)],
    "shift": lambda z, initial: np.concatenate([[initial], z])[: len(z)],
    "side": lambda z, number: z[..., int(number), :, :],
    "outer_sum": lambda u, v: np.tensordot(u, v, axes=(axes := tuple(range(u.ndim - 1)), axes)),
    "sum": lambda z: z.sum(axis=tuple(range(z.ndim - 1))),
    "block": lambda w, start, stop: w[start:stop],
    "sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2,
    "tanh": np.tanh,
    "relu": lambda z: np.where(z <= 0, 0, z),  # NaN stays
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "softplus": lambda z: np.log1p(np.exp(-np.abs(z))) + np.where(z > 0, z, 0),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "identity": lambda z: z,
    "step": lambda z: np.where(z > 0, 1.0, 0.0),
    "mean": lambda z: np.broadcast_to(z.mean(axis=-1, keepdims=True), z.shape),
    "hard_sigmoid": lambda z, slope, offset: np.minimum(np.maximum(z * slope + offset, 0), 1),
    "leaky_relu": lambda z, a: np.where(z > 0, z, a * z),
    "elu": lambda z, a: np.where(z > 0, z, a * (np.exp(np.minimum(z, 0)) - 1)),
    "clip": lambda z, low, high: np.minimum(np.maximum(z, low), high),
    "max": np.maximum,
    "layer_norm": _layer_norm,
}


@dataclass(frozen=True, slots=True)
class Interpreted:
    """What a program computed: its output, the final states by their names in the program, and every step.

    `steps` maps a loop's name to its steps' values by name, in the order the loop took them; `results` has all that
    goes out, in the program's order.
    """

    output: Array
    finals: Mapping[str, Array]
    steps: Mapping[str, list[Values]]
    results: tuple[Array, ...] = ()


def interpret(
    program: Program,
    x: Array,
    weights: Mapping[str, Array],
    state: Mapping[str, Array],
    alive: Array | None = None,
    d_y: Array | None = None,
) -> Interpreted:
    """Everything that a program computes.

    `x (T, B, n)` is time-major; `weights` and `state`(each (B, width)) have full names; a masked program takes `alive
    (T, B, 1)`, one with gradients `d_y` and, among its states, the gradients of the final ones. Open sizes are
    taken from the arrays; every number is computed in the arrays' own precision.
    """
    given = {program.input: x} | ({program.mask: alive} if program.mask else {})
    given |= {program.gradients.output: d_y} if program.gradients else {}
    return _Interpreter(program, given, weights).run(state)


class _Interpreter:
    def __init__(self, program: Program, sequences: Values, weights: Mapping[str, Array]) -> None:
        self.program = program
        self.weights: Values = dict(weights)
        self.sequences: Values = sequences
        self.shapes = shapes(program)
        self.sizes = self._found_sizes()

    def _found_sizes(self) -> dict[Any, Any]:
        """The number of each open letter, read from the arrays."""
        found: dict[Any, Any] = {}
        for name, array in (self.weights | self.sequences).items():
            shape = self.shapes[name]
            for size, length in zip(shape, array.shape[array.ndim - len(shape) :], strict=True):
                if size.is_Symbol:
                    found[size] = Integer(length)
        return found

    def run(self, state: Mapping[str, Array]) -> Interpreted:
        """Every region in order."""
        self._compute(self.program.pack, self.weights, {})
        finals: Values = {}
        steps: dict[str, list[Values]] = {}
        for stage in self.program.stages:
            self._compute(stage.before, self.sequences, self.weights | dict(state))
            finished: Values = {}
            for loop in stage.loops:
                steps[loop.name], sequences, last = self._loop(loop, state)
                finished |= sequences | last
                finals |= last
            self.sequences |= finished
        after = self.sequences
        self._compute(self.program.after, after, self.weights)
        results = tuple(after[name] for name in self.program.results)
        return Interpreted(after[self.program.output], finals, steps, results)

    def _compute(self, ops: Iterable[Op], own: Values, outer: Values) -> None:
        for op in ops:
            own[op.out] = self._value(op, own | outer)

    def _value(self, op: Op, known: Values) -> Any:
        if op.kind == "constant":
            return float(op.numbers[0])
        is_bounds = op.kind in ("rows", "columns", "block")
        numbers = [int(n.xreplace(self.sizes)) if is_bounds else float(n) for n in op.numbers]
        args = [known[a] for a in op.args]
        value = COMPUTE[op.kind](*args, *numbers)
        floats = [a.dtype for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        return np.asarray(value, dtype=floats[0]) if floats else value

    def _loop(self, loop: Loop, state: Mapping[str, Array]) -> tuple[list[Values], Values, Values]:
        """One direction over time: its steps, the sequences it puts out, its states after the last step."""
        x = self.sequences[self.program.input]
        carried: Values = {s.before: state[s.before] for s in loop.states}
        totals: Values = {op.out: self._nothing(op, x) for op in loop.totals}
        steps: list[Values] = []
        times = range(len(x))
        for t in reversed(times) if loop.backward else times:
            local = carried | {n: z[t] for n, z in self.sequences.items() if np.shape(z)[:1] == x.shape[:1]}
            self._compute(loop.body, local, self.weights)
            steps.append(local)
            carried = {s.before: local[s.after] for s in loop.states}
            for op in loop.totals:
                totals[op.out] = totals[op.out] + self._value(op, local | self.weights)
        in_time = steps[::-1] if loop.backward else steps
        sequences = {
            sequence: np.stack([step[value] for step in in_time]) if steps else self._empty(value, x)
            for sequence, value in loop.outputs.items()
        }
        return steps, sequences | totals, {s.final: carried[s.before] for s in loop.states}

    def _nothing(self, op: Op, x: Array) -> Array:
        return np.zeros([int(size.xreplace(self.sizes)) for size in op.shape], x.dtype)

    def _empty(self, value: str, x: Array) -> Array:
        return np.zeros((0, x.shape[1], int(self.shapes[value][0].xreplace(self.sizes))), x.dtype)
