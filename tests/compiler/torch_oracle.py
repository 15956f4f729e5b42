"""Any layer's equations in PyTorch, node by node: `torch.autograd` then knows their gradients, kinks included.

Nothing of the compiler is used here, nor of the derived gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic import algebra as a

torch = pytest.importorskip("torch", reason="torch is not installed")

Tensor = Any
Tensors = Mapping[str, Tensor]


def _layer_norm(z: Tensor, e: float) -> Tensor:
    return torch.nn.functional.layer_norm(z, z.shape[-1:], eps=e)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "softplus": lambda z: torch.nn.functional.softplus(z, threshold=1e9),
    "softsign": torch.nn.functional.softsign,
    "identity": lambda z: z,
    "step": lambda z: (z > 0).to(z.dtype),
    "mean": lambda z: z.mean(-1, keepdim=True).expand(z.shape),
    # torch's hardsigmoid has the slope 1/6 as a float32; hardtanh too has the derivative 0 at its bounds
    "hard_sigmoid": lambda z, slope, offset: torch.nn.functional.hardtanh(z * slope + offset, 0.0, 1.0),
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "clip": torch.clamp,
    "max": torch.maximum,
    "layer_norm": _layer_norm,
}
OPERATORS: dict[type, Callable[..., Tensor]] = {
    a.Add: lambda x, y: x + y,
    a.Subtract: lambda x, y: x - y,
    a.Multiply: lambda x, y: x * y,
    a.Divide: lambda x, y: x / y,
    a.Negate: lambda x: -x,
    a.Transpose: lambda w: w.T,
}


def evaluate(node: a.Node, known: Tensors, batch: int, dtype: Any) -> Tensor:
    """One expression; a vector is (B, rows), or (rows,) where it reads the weights only."""
    if isinstance(node, a.Name):
        return known[node.name]
    if isinstance(node, a.Number):
        return float(node.value)
    parts = [evaluate(o, known, batch, dtype) for o in node.operands]
    if isinstance(node, a.Call):
        tensors = [torch.as_tensor(p, dtype=dtype) for p in parts[: len(node.tensors)]]
        tensors = [t.reshape(1) if t.ndim == 0 else t for t in tensors]
        return FUNCTIONS[node.function](*tensors, *map(float, node.numbers))
    if isinstance(node, a.Product):
        return parts[0] @ parts[1] if parts[1].ndim == 1 or _is_matrix(node.right, known) else parts[1] @ parts[0].T
    if isinstance(node, a.Join):
        return torch.cat([p.expand(batch, p.shape[-1]) for p in parts], -1)
    return OPERATORS[type(node)](*parts)


def _is_matrix(node: a.Node, known: Tensors) -> bool:
    return isinstance(node, a.Name) and node.name.startswith("matrix:")


def run_member(layer: Layer, x: Tensor, weights: Tensors, state: Tensors, alive: Tensor) -> tuple[list[Tensor], Any]:
    """One cell over time, forwards: its outputs at each step, and the states after the last that is there."""
    cell, widths = layer.cell, layer.shapes_of_cell
    carried, outputs = dict(state), list[Tensor]()
    before = {o: carried.get(o) for o in cell.outputs}
    for t in range(len(x)):
        known = dict(weights) | carried | {cell.inputs[0].name: x[t]}
        for equation in cell.ordered:
            value = evaluate(equation.expression, known, x.shape[1], x.dtype)
            if len(equation.targets) == 1:
                known[equation.targets[0]] = value
                continue
            at = {s: layer.sizes[str(s)] for target in equation.targets for s in widths[target].rows.free_symbols}
            rows = [int(widths[target].rows.xreplace(at)) for target in equation.targets]
            known |= dict(zip(equation.targets, torch.split(value, rows, -1), strict=True))
        carried = {n: torch.where(alive[t], known[n + "'"], carried[n]) for n in carried}
        shown = []
        for o in cell.outputs:
            value = known[cell.value_of(o)]
            value = value.expand(x.shape[1], value.shape[-1])
            kept = before[o] is not None and (layer.padding == "repeat" or layer.output == "last")
            old = before[o] if kept else torch.zeros_like(value)
            shown.append(torch.where(alive[t], value, old))
            before[o] = shown[-1] if before[o] is not None else None
        outputs.append(torch.cat(shown, -1))
    return outputs, carried


def run_layer(layer: Layer, x: Tensor, weights: Tensors, state: Tensors, alive: Tensor) -> tuple[Tensor, Any]:
    """y, and every final state. x is in the layer's layout, `alive` (T, B, 1) time first."""
    sequence = x if layer.layout == "time" else x.transpose(0, 1)
    finals: dict[str, Tensor] = {}
    for index in range(layer.layers):
        sides = []
        for member in (m for m in layer.members if m.index == index):
            own = [
                {n[len(member.prefix) + 1 :]: v for n, v in some.items() if n.rpartition(".")[0] == member.prefix}
                for some in (weights, state)
            ]
            taken, here = (sequence.flip(0), alive.flip(0)) if member.reverse else (sequence, alive)
            sized = layer.with_(**dict(member.sizes), layers=1) if index == 0 else _upper(layer, member)
            outputs, final = run_member(sized, taken, *own, here)
            finals |= {f"{member.prefix}.{n}": v for n, v in final.items()}
            if layer.output == "last" and index == layer.layers - 1:
                sides.append(outputs[-1])
            else:
                back = member.reverse and (layer.realign or layer.direction == "both")
                sides.append(torch.stack(outputs[::-1] if back else outputs))
        sequence = _merged(layer, sides)
    batch_first = layer.layout == "batch" and sequence.ndim > 2
    return sequence.movedim(-2, 0) if batch_first else sequence, finals


def _upper(layer: Layer, member: Any) -> Layer:
    return layer.with_(**dict(member.sizes), layers=1)


def _merged(layer: Layer, sides: list[Tensor]) -> Tensor:
    if len(sides) == 1:
        return sides[0]
    one, other = sides
    return {
        "concat": lambda: torch.cat(sides, -1),
        "sum": lambda: one + other,
        "mul": lambda: one * other,
        "average": lambda: (one + other) / 2,
        "apart": lambda: torch.stack(sides, -3),
    }[layer.merge]()


def autograd(
    layer: Layer, x: Any, weights: Any, state: Any, d_y: Callable[[Any], Any], d_state: Any, alive: Any
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """y, d_y as it was drawn for y's shape, and the gradient of x (`x`), of each weight and each initial state."""
    leaves = {n: torch.tensor(v, requires_grad=True) for n, v in ({"x": x} | dict(weights) | dict(state)).items()}
    y, finals = run_layer(
        layer, leaves["x"], {n: leaves[n] for n in weights}, {n: leaves[n] for n in state}, torch.tensor(alive)
    )
    drawn = d_y(tuple(y.shape))
    loss = (y * torch.tensor(drawn)).sum() + sum((finals[n] * torch.tensor(d)).sum() for n, d in d_state.items())
    loss.backward()
    found = {n: (torch.zeros_like(v) if v.grad is None else v.grad).numpy() for n, v in leaves.items()}
    return y.detach().numpy(), drawn, found
