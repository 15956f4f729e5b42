"""What backpropagation keeps: against the tensors that PyTorch's autograd saves when it runs the same equations."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Integer

import lstm_spec as ls
from lstm_spec.cells.catalogue import names
from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.symbolic.algebra import (
    Add,
    Call,
    Divide,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Subtract,
    walk,
)
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.saved import saved_values

SIZES = {"n": 3, "k": 4, "r": 2}
B, T = 2, 5
KNOWN = {"sigmoid", "tanh", "relu", "exp"}  # where PyTorch saves what we say; softplus, say, it reads by its operand


def is_plain(cell: Cell) -> bool:
    nodes = [node for equation in cell.equations for node in walk(equation.expression)]
    calls = all(node.function in KNOWN for node in nodes if isinstance(node, Call))
    return calls and not any(isinstance(node, Divide) for node in nodes)


CELLS = {name: ls.cells.get(name) for name in ("lstm", *names())}
CELLS |= {
    "peephole": lstm_cell(LstmOptions(peephole=True)),
    "projection": lstm_cell(LstmOptions(projection=True, coupled="f=1-i")),
    "relu": parse("input x[n]\nstate h[k]\nh' = relu(W x + U h + b)"),
}
PLAIN = {name: cell for name, cell in CELLS.items() if is_plain(cell)}


def saved_by_autograd(layer: ls.Layer) -> int:
    """The entries that autograd saves over T steps, each tensor once, without the parameters and what is of them."""
    torch = pytest.importorskip("torch")
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def new(*shape: Any) -> Any:
        return torch.rand(*map(int, shape), requires_grad=True)

    cell, shapes = layer.cell, layer.shapes_of_cell
    parameters = {name: new(*shape) for name, shape in shapes_of(layer, "parameter").items()}
    below = [new(B, shapes_of(layer, "input")[cell.inputs[0].name][0]) for _ in range(T)]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        values = {name: new(B, *shape) for name, shape in shapes_of(layer, "state").items()}
        alive = []
        for x in below:
            at = parameters | values | {cell.inputs[0].name: x}
            done: dict[Node, Any] = {}
            for equation in cell.ordered:
                result = run(equation.expression, at, done, torch)
                widths = [int(shapes[t].rows.xreplace(symbols(layer))) for t in equation.targets]
                parts = result.split(widths, dim=1) if len(widths) > 1 else [result]
                at |= dict(zip(equation.targets, parts, strict=True))
            values = {name: at[name + "'"] for name in values}
            alive.append(at)
    own = {p.untyped_storage().data_ptr() for p in parameters.values()}
    return sum(tensor.numel() for pointer, tensor in kept.items() if pointer not in own)


def symbols(layer: ls.Layer) -> dict[Any, Any]:
    from lstm_spec.layers.sizes import symbols as of

    return of(layer.sizes)


def shapes_of(layer: ls.Layer, role: Any) -> dict[str, tuple[Any, ...]]:
    at = symbols(layer)
    return {n: tuple(s.xreplace(at) for s in shape.size) for n, shape in layer.shapes_of_cell.of(role).items()}


def run(node: Node, at: dict[str, Any], done: dict[Node, Any], torch: Any) -> Any:
    """An expression over batched rows; one that is written twice is computed once."""
    if node not in done:
        done[node] = _run(node, at, done, torch)
    return done[node]


def _run(node: Node, at: dict[str, Any], done: dict[Node, Any], torch: Any) -> Any:
    if isinstance(node, Name):
        return at[node.name]
    if isinstance(node, Number):
        return float(node.value)
    if isinstance(node, Product):
        return run(node.right, at, done, torch) @ run(node.left, at, done, torch).T
    given = [run(operand, at, done, torch) for operand in node.operands]
    if isinstance(node, Call):
        return getattr(torch, node.function)(*given)
    if isinstance(node, Negate):
        return -given[0]
    if isinstance(node, Add):
        return given[0] + given[1]
    if isinstance(node, Subtract):
        return given[0] - given[1]
    assert isinstance(node, Multiply)
    return given[0] * given[1]


@pytest.mark.parametrize("name", PLAIN)
def test_autograd_saves_what_the_derivatives_read(name):
    layer = ls.Layer(PLAIN[name])
    layer = layer.at(**{size: SIZES[size] for size in layer.open_letters})
    kept = layer.cost(batch=B, time=T, dtype="int8")["kept bytes"].count
    assert kept == saved_by_autograd(layer)


def test_most_of_the_catalogue_is_held():
    assert len(PLAIN) >= 25


@pytest.mark.parametrize(
    ("equation", "values"),
    [
        ("h' = relu(W x)", ["h'"]),
        ("h' = (W x) / (U h)", ["h'", "U h"]),
        ("h' = 1 / (U h) + 0 * W x", ["1 / U h", "U h"]),
        ("h' = log(W x)", ["W x"]),
        ("h' = max(W x, U h)", ["W x", "U h"]),
        ("h' = W x + mean(U h)", []),
        ("h' = W x + h", []),
        ("h' = layer_norm(W x + U h, 1e-5)", ["h'", "root of layer_norm(W x + U h, 1e-5)"]),
        ("z = tanh(W x)\nh' = z * z + U h", ["z"]),
        ("h' = exp(a) * W x", ["W x"]),
    ],
)
def test_what_each_derivative_reads(equation, values):
    assert sorted(saved_values(parse(f"input x[n]\nstate h[k]\n{equation}")).values) == sorted(values)


def test_what_depends_on_parameters_alone_is_kept_once():
    saved = saved_values(parse("input x[n]\nstate h[k]\nh' = exp(a) * W x + exp(a) * h"))
    assert str(saved.constant) == "k"


def kept(**options: Any) -> Any:
    return ls.lstm(3, 4, **options).cost(batch=2, time=5, dtype="int8")["kept bytes"].count


def test_a_stack_keeps_each_sequence_between_layers_once():
    # x; 7 values and states a step and cell; of h in the layers below the last only the first is one more
    assert kept() == 10 * 3 + 10 * 7 * 4
    assert kept(layers=3) == 10 * 3 + 3 * 10 * 7 * 4 + 2 * (2 * 4)
    assert kept(layers=2, bidirectional=True) == 10 * 3 + 4 * 10 * 7 * 4 + 2 * (2 * 4)
    # the sum of both directions is a sequence of its own
    assert kept(layers=2, bidirectional=True, merge="sum") == 10 * 3 + 4 * 10 * 7 * 4 + 10 * 4
    # a product reads both of its factors, and the layer above the product
    product = kept(layers=2, bidirectional=True, merge="mul")
    assert product == 10 * 3 + 4 * 10 * 7 * 4 + 10 * 4 + 4 * (2 * 4)
    assert Integer(product).is_Integer
