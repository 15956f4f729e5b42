"""Layers and cells computed the slow way: `tests.reference` stacked, and any cell's equations, sample by sample.

Nothing of the compiler is used here, nor of the order that the library puts equations in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.cell import Cell
from tests import reference

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
# (sequence, weights, state, reverse) → the output in time order, its value after the last step, the final state
Member = Callable[[Array, Arrays, Arrays, bool], tuple[Array, Array, dict[str, Array]]]


def random_inputs(
    layer: Layer, time: int, batch: int, seed: int, dtype: Any = np.float64
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """x in the layer's layout, weights and state, all of them random and distinct."""
    rng = np.random.default_rng(seed)
    (width,) = layer.shapes_of_cell[layer.cell.inputs[0].name].size
    n = int(width.xreplace({s: layer.sizes[str(s)] for s in width.free_symbols}))
    x = rng.normal(size=(time, batch, n) if layer.layout == "time" else (batch, time, n)).astype(dtype)
    weights = {name: rng.normal(0, 0.5, tuple(map(int, s))) for name, s in layer.parameter_shapes().items()}
    state = {name: rng.normal(0, 0.5, (batch, int(s[0]))) for name, s in layer.state_shapes().items()}
    return x, *({name: array.astype(dtype) for name, array in some.items()} for some in (weights, state))  # type: ignore[return-value]


def zero_state(layer: Layer, batch: int, dtype: Any = np.float64) -> dict[str, Array]:
    """What no state means."""
    return {name: np.zeros((batch, int(s[0])), dtype) for name, s in layer.state_shapes().items()}


def run_layer(layer: Layer, x: Array, weights: Arrays, state: Arrays, member: Member) -> tuple[Array, dict[str, Array]]:
    """A stack of members, both directions, layouts and outputs: y and every final state by its full name."""
    sequence = x if layer.layout == "time" else x.swapaxes(0, 1)
    finals: dict[str, Array] = {}
    for index in range(layer.layers):
        outputs, lasts = [], []
        for reverse in {"forward": [False], "reverse": [True], "both": [False, True]}[layer.direction]:
            prefix = f"l{index}.reverse." if reverse else f"l{index}."
            own = [_own(arrays, prefix) for arrays in (weights, state)]
            y, last, final = member(sequence, own[0], own[1], reverse)
            outputs.append(y if layer.realign or layer.direction == "both" or not reverse else y[::-1])
            lasts.append(last)
            finals |= {prefix + name: array for name, array in final.items()}
        sequence = np.concatenate(outputs, axis=-1)
    if layer.output == "last":
        return np.concatenate(lasts, axis=-1), finals
    return (sequence if layer.layout == "time" else sequence.swapaxes(0, 1)), finals


def _own(arrays: Arrays, prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.rpartition(".")[0] == prefix[:-1]}


def lstm_member(coupled: str | None = None, forget: float = 0.0) -> Member:
    """`tests.reference.lstm` on our names."""

    def run(x: Array, weights: Arrays, state: Arrays, reverse: bool) -> tuple[Array, Array, dict[str, Array]]:
        named = lstm_arguments(weights)
        y, h, c = reference.lstm(
            x, h=state["h"], c=state["c"], coupled=coupled, forget=forget, reverse=reverse, **named
        )
        return y, h, {"h": h, "c": c}

    return run


def lstm_arguments(weights: Arrays) -> dict[str, Any]:
    """Our names → the arguments of `tests.reference.lstm`."""

    def gates(stem: str) -> dict[str, Array]:
        return {g: weights[f"{stem}{g}"] for g in "ifgo" if f"{stem}{g}" in weights}

    biases = [b for b in (gates("b_"), gates("b_W"), gates("b_U")) if b]
    return {"W": gates("W_"), "U": gates("U_"), "biases": biases, "p": gates("p_"), "proj": weights.get("W_proj")}


# ---- any cell ----


def _abs(z: Any) -> Any:
    """|z| of real numbers, and for a complex step beside them its derivative: no modulus."""
    return np.where(np.real(z) < 0, -z, z)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: z * (np.real(z) > 0),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": lambda z: _abs(z),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "softsign": lambda z: z / (1 + _abs(z)),
    "identity": lambda z: z,
    "step": lambda z: (np.real(z) > 0) * 1.0,
    "mean": lambda z: 0 * z + np.sum(z) / len(z),
    "hard_sigmoid": lambda z, slope, offset: np.array([min(max(slope * v + offset, 0), 1) for v in z]),
    "leaky_relu": lambda z, slope: np.array([v if v > 0 else slope * v for v in z]),
    "elu": lambda z, slope: np.array([v if v > 0 else slope * (np.exp(v) - 1) for v in z]),
    "clip": lambda z, low, high: np.array([min(max(v, low), high) for v in z]),
    "max": lambda one, other: (one + other + _abs(one - other)) / 2,
    "layer_norm": lambda z, e: (z - np.mean(z)) / np.sqrt(np.mean((z - np.mean(z)) ** 2) + e),
}


def evaluate(node: a.Node, known: Arrays) -> Any:
    """One expression, on column vectors of one sample."""
    if isinstance(node, a.Name):
        return known[node.name]
    if isinstance(node, a.Number):
        return float(node.value)
    if isinstance(node, a.Call):
        tensors = [np.atleast_1d(evaluate(t, known)) for t in node.tensors]
        return FUNCTIONS[node.function](*tensors, *map(float, node.numbers))
    values = [evaluate(o, known) for o in node.operands]
    if isinstance(node, a.Join):
        return np.concatenate(values)
    match node:
        case a.Add():
            return values[0] + values[1]
        case a.Subtract():
            return values[0] - values[1]
        case a.Multiply():
            return values[0] * values[1]
        case a.Divide():
            return values[0] / values[1]
        case a.Negate():
            return -values[0]
        case a.Product():
            return values[0] @ values[1]
        case a.Transpose():
            return values[0].T
    raise AssertionError(node)


def cell_member(cell: Cell, widths: Mapping[str, int]) -> Member:
    """A cell over time, equation by equation as soon as what it reads is known; `widths` are the rows of each name."""

    def run(x: Array, weights: Arrays, state: Arrays, reverse: bool) -> tuple[Array, Array, dict[str, Array]]:
        time, batch = x.shape[:2]
        carried = {name: array.copy() for name, array in state.items()}
        width = sum(widths[cell.value_of(name)] for name in cell.outputs)
        dtype = np.result_type(x, *weights.values(), *state.values())  # complex for a complex step
        carried = {name: array.astype(dtype) for name, array in carried.items()}
        y = np.empty((time, batch, width), dtype)
        last = np.zeros((batch, width), dtype)
        if all(name in carried for name in cell.outputs):
            last = np.concatenate([carried[name] for name in cell.outputs], axis=-1)
        for t in range(time)[::-1] if reverse else range(time):
            for s in range(batch):
                known = dict(weights) | {n: v[s].copy() for n, v in carried.items()} | {cell.inputs[0].name: x[t, s]}
                _solve(cell, known, widths)
                for name in carried:
                    carried[name][s] = known[name + "'"]
                y[t, s] = last[s] = np.concatenate([known[cell.value_of(name)] for name in cell.outputs])
        return y, last, carried

    return run


def _solve(cell: Cell, known: dict[str, Array], widths: Mapping[str, int]) -> None:
    left = list(cell.equations)
    while left:
        ready = [e for e in left if all(name in known for name in e.reads)]
        for equation in ready:
            value = evaluate(equation.expression, known)
            ends = np.cumsum([widths[t] for t in equation.targets])[:-1]
            known |= dict(zip(equation.targets, np.split(value, ends) if len(ends) else [value], strict=True))
        left = [e for e in left if e not in ready]
