"""Layers and their weights → the bytes of an ONNX model of nodes LSTM: the same bytes for the same layers.

A layer of one cell, or of two directions, is a node; a stack is a chain of them, each reading what the one below gives;
several layers that are no stack stand beside each other. No clock, no name of a machine and no version goes in. What
the operator cannot express is refused, not left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.onnx_node import node_attributes
from lstm_spec.errors import Finding, MissingPackageError, OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import hold_weights

Array = np.ndarray[Any, Any]

# Opset 14 is the first with `layout`; every runtime of the last years reads it.
OPSET, IR_VERSION = 14, 8
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
STATES = {"initial_h": "h", "initial_c": "c"}
# Y (T, D, B, k) → (T, B, D·k), what the next node reads; with layout 1 (B, T, D, k) needs no turning.
TURNED, JOINED = (0, 2, 1, 3), (0, 0, -1)


@dataclass(frozen=True, slots=True)
class Node:
    """One node to be written: its name, its layer of one cell a direction, its weights under our names.

    `state` are constants that it begins with, each (B, k) under our names (`l0.h`), `lengths` (B,) is where each sample
    ends: with them the model takes B samples, no others.
    """

    name: str
    layer: Layer
    weights: Mapping[str, Array]
    state: Mapping[str, Array] = field(default_factory=dict)
    lengths: Array | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Nodes that stand on each other; `prefix` comes before the names of what goes in and out: `encoder.X`."""

    prefix: str
    nodes: tuple[Node, ...]


def onnx_model(layer: Layer, weights: Mapping[str, Array], name: str = "lstm") -> bytes:
    """A model that takes X and gives Y, Y_h and Y_c, its states beginning with zeros.

    `X (T, B, n)`, `Y (T, D, B, k)`; with `layout="batch"` `X (B, T, n)`, `Y (B, T, D, k)`, which ONNX Runtime 1.31 does
    not run. Raises OptionError when the operator cannot express the layer, TensorError when the weights are not its.
    """
    return onnx_chains([Chain("", (Node(name, layer, weights),))], name)


def onnx_chains(chains: Sequence[Chain], name: str = "lstm") -> bytes:
    """A model of one or several chains: each takes its X and gives its Y, and Y_h and Y_c of every node.

    Raises OptionError when the operator cannot express a layer, TensorError when weights are not its layer's.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "writing an ONNX file") from None
    parts = [part for chain in chains for part in _wired(chain)]
    nodes: list[Any] = []
    inputs: list[Any] = []
    outputs: list[Any] = []
    constants: list[Any] = []
    for part in parts:
        if isinstance(part, _Operation):
            nodes.append(helper.make_node(part.kind, part.inputs, part.outputs, name=part.name, **part.attributes))
        elif isinstance(part, _Constant):
            native = part.array.astype(part.array.dtype.newbyteorder("="), copy=False)
            constants.append(numpy_helper.from_array(native, part.name))
        else:
            kind = TensorProto.FLOAT if part.dtype == np.float32 else TensorProto.DOUBLE
            value = helper.make_tensor_value_info(part.name, kind, part.shape)
            (inputs if part.goes_in else outputs).append(value)
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lstm-spec")
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString(deterministic=True))


@dataclass(frozen=True, slots=True)
class _Operation:
    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Constant:
    name: str
    array: Array


@dataclass(frozen=True, slots=True)
class _Value:
    """What goes into the model or comes out."""

    name: str
    dtype: Any
    shape: tuple[Any, ...]
    goes_in: bool = False


_Part = _Operation | _Constant | _Value


def _wired(chain: Chain) -> Iterator[_Part]:
    """The nodes of a chain with their constants, and what joins one to the next."""
    alone = len(chain.nodes) == 1
    below = f"{chain.prefix}X"
    for number, node in enumerate(chain.nodes):
        own = chain.prefix if alone else f"{node.name}."
        is_last = number == len(chain.nodes) - 1
        above = f"{chain.prefix}Y" if is_last else f"{own}Y"
        layer, held = _hold(node)
        arrays = {tensor.name: np.ascontiguousarray(tensor.pack(held)) for tensor in ONNX.tensors(layer)}
        dtype = next(iter(arrays.values())).dtype
        arrays |= _constants(node, layer)
        shapes = _shapes(layer, _samples(node))
        inputs = [f"{own}{role}" if role in arrays else "" for role in INPUTS]
        outputs = (above, f"{own}Y_h", f"{own}Y_c")
        attributes = dict(sorted(node_attributes(layer).items()))
        yield from (_Constant(f"{own}{role}", array) for role, array in arrays.items())
        if number == 0:
            yield _Value(below, dtype, shapes["X"], goes_in=True)
        yield _Operation("LSTM", node.name, (below, *inputs[1:]), outputs, attributes)
        if is_last:
            yield _Value(above, dtype, shapes["Y"])
        else:
            yield from _joining(above, below := f"{own}joined", layer)
        yield from (_Value(f"{own}{state}", dtype, shapes[state]) for state in ("Y_h", "Y_c"))


def _joining(y: str, joined: str, layer: Layer) -> Iterator[_Part]:
    """The directions of Y side by side, as the next node's X."""
    turned = y
    if layer.layout == "time":
        turned = f"{joined}.turned"
        yield _Operation("Transpose", turned, (y,), (turned,), {"perm": list(TURNED)})
    yield _Constant(f"{joined}.shape", np.array(JOINED, "int64"))
    yield _Operation("Reshape", joined, (turned, f"{joined}.shape"), (joined,), {})


def _hold(node: Node) -> tuple[Layer, Mapping[str, Array]]:
    if node.layer.layers > 1:
        message = f"onnx has no layer of {node.layer.layers} cells on each other: every one is a node of its own"
        raise OptionError(Finding("dialect", message, help="write each layer of the stack"))
    return hold_weights(node.layer, node.weights)


def _constants(node: Node, layer: Layer) -> dict[str, Array]:
    """The lengths and the states that it begins with, cells on an axis of their own."""
    found = {} if node.lengths is None else {"sequence_lens": node.lengths.astype("int32")}
    for role, state in STATES.items():
        own = {member.prefix: node.state.get(f"{member.prefix}.{state}") for member in layer.members}
        given = [array for array in own.values() if array is not None]
        if given:
            cells = [np.zeros_like(given[0]) if array is None else array for array in own.values()]
            found[role] = np.stack(cells, axis=1 if layer.layout == "batch" else 0)
    return found


def _samples(node: Node) -> Any:
    """B: open, or the number of samples of its constants."""
    constants = [*node.state.values(), *([] if node.lengths is None else [node.lengths])]
    return constants[0].shape[0] if constants else "B"


def _shapes(layer: Layer, b: Any) -> dict[str, tuple[Any, ...]]:
    """What goes in and out, T left open."""
    n, k, d = (int(size) for size in (layer.sizes["n"], layer.sizes["k"], layer.directions))
    if layer.layout == "batch":
        return {"X": (b, "T", n), "Y": (b, "T", d, k), "Y_h": (b, d, k), "Y_c": (b, d, k)}
    return {"X": ("T", b, n), "Y": ("T", d, b, k), "Y_h": (d, b, k), "Y_c": (d, b, k)}
