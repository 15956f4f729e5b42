"""A TFLite model → `Tensors`: its constants, and its LSTM operators with the slots that each tensor stands in.

Quantized tensors have a shape, and their scale and zero point as words, and no values. Operators of other recurrent
kinds, custom ones with a recurrent name, and gates written out in simple operators become findings, never silence.
Source: tensorflow/lite/schema/schema.fbs (field numbers), kernels/unidirectional_sequence_lstm.cc, lstm.cc and
bidirectional_sequence_lstm.cc (slots).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from io import BufferedReader
from math import prod
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import File, Slice, malformed
from lstm_spec.checkpoints.names import Names
from lstm_spec.checkpoints.shapes import MAX_TENSORS, check_count, checked_shape
from lstm_spec.checkpoints.tflite.cells import Node, gated_sums, split_basic
from lstm_spec.checkpoints.tflite.flatbuffer import FLOAT, INT8, INT32, INT64, UINT8, UINT32, UINT64, Buffer, Table
from lstm_spec.checkpoints.tflite.flow import find_node_flow, first_output
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import NO_FLOW, Flow, Operator, Tensor, Tensors

MAGIC = b"TFL3"
VERSION = 3
MAX_GRAPHS = 1000
LOOKS_RECURRENT = re.compile("lstm|gru|rnn", re.IGNORECASE)
CUSTOM = 32
LSTM, UNIDIRECTIONAL, BIDIRECTIONAL = 16, 44, 52
KINDS = {LSTM: "LSTM", UNIDIRECTIONAL: "UNIDIRECTIONAL_SEQUENCE_LSTM", BIDIRECTIONAL: "BIDIRECTIONAL_SEQUENCE_LSTM"}
OTHER_KINDS = {24: "RNN", 35: "UNIDIRECTIONAL_SEQUENCE_RNN", 46: "BIDIRECTIONAL_SEQUENCE_RNN"}
# TensorType → NumPy's name, or the schema's own
TYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    5: "string",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float64",
    11: "complex128",
    12: "uint64",
    13: "resource",
    14: "variant",
    15: "uint32",
    16: "uint16",
    17: "int4",
    18: "bfloat16",
    19: "int2",
    20: "uint4",
}
LOADABLE = {"float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"}
FUSED = ("none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")
CELL = (
    *("W_i", "W_f", "W_g", "W_o", "U_i", "U_f", "U_g", "U_o", "p_i", "p_f", "p_o"),
    *("b_i", "b_f", "b_g", "b_o", "W_proj", "b_proj"),
)
SLOTS = {
    LSTM: ("x", *CELL, "h", "c", "s_i", "s_f", "s_g", "s_o"),
    UNIDIRECTIONAL: ("x", *CELL, "h", "c", "s_i", "s_f", "s_g", "s_o"),
    BIDIRECTIONAL: (
        *("x", *CELL, *(f"reverse.{name}" for name in CELL), "h", "c", "reverse.h", "reverse.c", "aux"),
        *(f"{way}aux_W_{gate}" for way in ("", "reverse.") for gate in "ifgo"),
    ),
}
BASIC_SLOTS = ("x", "h", "W", "b", "c")
COMPUTED = ("x", "h", "c", "reverse.h", "reverse.c")  # slots that hold no weights


@dataclass(slots=True)
class Model:
    """The parts of the file that all of its graphs share, and what has been found."""

    file: File
    buffers: list[Table]
    codes: list[tuple[int, str]]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    places: Names = field(default_factory=Names)
    flow: Flow = NO_FLOW

    def miss(self, message: str, where: str, because: str = "") -> None:
        at = f"{safe(self.file.path, None)} : {where}"
        self.findings.append(Finding("unread", message, at=at, because=because))


def read_tflite(file: File, stream: BufferedReader) -> Tensors:
    """The constants and LSTM operators of a model. Raises Malformed when it is none or points outside itself."""
    buffer = Buffer(stream, file.size)
    if file.size < 8 or buffer.bytes_at(4, 4) != MAGIC:
        raise malformed("mismatch", "the file is no TFLite model", expected="TFL3 at byte 4")
    root = buffer.root()
    if (version := root.number(0, UINT32)) != VERSION:
        raise malformed("unsupported", "this version of TFLite is not read", expected=f"{VERSION}", found=f"{version}")
    codes = [_code(table) for table in root.children(1, MAX_TENSORS)]
    model = Model(file, root.children(4, 2 * MAX_TENSORS), codes)
    graphs = root.children(2, MAX_GRAPHS)
    if not graphs:
        raise malformed("flatbuffer", "the model has no graph")
    for number, graph in enumerate(graphs):
        _gather(graph, f"subgraph {number}" if number else "", model)
    operators, findings = tuple(model.operators), tuple(model.findings)
    return Tensors(safe(file.path, None), "tflite", model.tensors, operators, findings, flow=model.flow)


def _code(table: Table) -> tuple[int, str]:
    """An operator's code: the old field holds those below 127."""
    return max(table.number(3, INT32), table.number(0, INT8)), table.text(1)


def _gather(graph: Table, prefix: str, model: Model) -> None:
    tables = graph.children(0, MAX_TENSORS)
    found = [_tensor(table, prefix, model) for table in tables]
    nodes = [_node(table, model, len(found)) for table in graph.children(3, MAX_TENSORS)]
    names = [table.text(3) for table in tables]
    stands: dict[int, str] = {}
    for node in nodes:
        if node.code in KINDS:
            where = _where(node, names, prefix, model)
            model.operators.append(_operator(node, found, where, model))
            stands[first_output(node)] = where
        elif node.code in OTHER_KINDS:
            where = _where(node, names, prefix, model)
            model.miss(f"{OTHER_KINDS[node.code]} is not read", where, "LSTMs are")
        elif node.code == CUSTOM and LOOKS_RECURRENT.search(node.custom):
            where = _where(node, names, prefix, model)
            model.miss(
                f"the custom operator {safe(node.custom)} is not read", where, "what it computes is not in the file"
            )
    for node in gated_sums(nodes):
        where = _where(node, names, prefix, model)
        because = "it adds two gated values, one of them a tanh, as an LSTM's c does"
        model.miss(
            "this looks like a recurrent cell written out in simple operators, and it is not read", where, because
        )
    computed = {number for number, tensor in enumerate(found) if tensor is None}
    if not prefix:
        inputs, outputs = graph.integers(1, INT32), graph.integers(2, INT32)
        model.flow = find_node_flow(nodes, computed, inputs, outputs, stands)


def _where(node: Node, names: list[str], prefix: str, model: Model) -> str:
    label = names[node.outputs[0]] if node.outputs and node.outputs[0] >= 0 else ""
    return model.places.claim(safe("/".join(filter(None, (prefix, label or KINDS.get(node.code, "operator"))))))


def _node(table: Table, model: Model, count: int) -> Node:
    index = table.number(0, UINT32)
    if index >= len(model.codes):
        raise malformed("flatbuffer", "an operator has a code that the file does not list", found=f"{index}")
    inputs, outputs = table.integers(1, INT32), table.integers(2, INT32)
    if any(not -1 <= number < count for number in (*inputs, *outputs)):
        raise malformed(
            "flatbuffer", "an operator names a tensor that the file does not have", expected=f"{count} tensors"
        )
    code, custom = model.codes[index]
    return Node(code, custom, inputs, outputs, table.child(4) if code in KINDS else None)


def _tensor(table: Table, prefix: str, model: Model) -> Tensor | None:
    """A constant, added to the model's tensors; None for what is computed."""
    name = table.text(3)
    label = "/".join(filter(None, (prefix, name)))
    shape, kind, place = table.integers(0, INT32), table.number(1, INT8), table.number(2, UINT32)
    if kind not in TYPES:
        raise malformed("dtype", f"{safe(label)} has no type that TFLite defines", found=f"type {kind}")
    checked = checked_shape([max(size, 0) if size == -1 else size for size in shape], label)
    if place >= len(model.buffers):
        raise malformed("flatbuffer", f"{safe(label)} has a buffer that the file does not have", found=f"{place}")
    start, size = _bytes(model.buffers[place], label, model)
    if table.number(5, UINT8) or size == 0:
        return None
    tensor = _constant(model.names.claim(label), checked, kind, table.child(4), start, size, model)
    _add(tensor, model)
    return tensor


def _add(tensor: Tensor, model: Model) -> str:
    """The name under which the tensor stands among the others."""
    name = tensor.name if tensor.sources == () else model.names.claim(tensor.name)
    model.tensors[name] = replace(tensor, name=name)
    check_count(len(model.tensors))
    return name


def _bytes(table: Table, label: str, model: Model) -> tuple[int, int]:
    """Where a buffer lies: in the FlatBuffer, or behind it in a file above 2 GB."""
    start, size = table.extent(0)
    if (offset := table.number(1, UINT64)) > 1:
        start, size = offset, table.number(2, UINT64)
    if start + size > model.file.size:
        raise malformed(
            "truncated",
            f"{safe(label)} lies beyond the end of the file",
            expected=f"bytes {start} to {start + size}",
            found=f"a file of {model.file.size} bytes",
        )
    return start, size


def _constant(
    name: str, shape: tuple[int, ...], kind: int, quantized: Table | None, start: int, size: int, model: Model
) -> Tensor:
    dtype = TYPES[kind]
    scales = quantized.numbers(2, FLOAT) if quantized else []
    if dtype not in LOADABLE:
        return Tensor(name, shape, dtype)
    expected = prod(shape) * np.dtype(dtype).itemsize
    if size != expected:
        message = f"{safe(name)} does not have the data of its shape"
        raise malformed("shape", message, expected=f"{expected} bytes for {dtype} {list(shape)}", found=f"{size} bytes")
    if scales and quantized:
        return Tensor(name, shape, f"{dtype}, {_scale_text(scales, quantized)}")
    return Tensor(name, shape, dtype, Slice(model.file, start, np.dtype(dtype).newbyteorder("<"), shape))


def _scale_text(scales: list[int | float], quantized: Table) -> str:
    """`scale 0.0078, zero point 0`."""
    zeros = quantized.integers(3, INT64)
    if len(scales) > 1:
        return f"{len(scales)} scales along axis {quantized.number(6, INT32)}"
    return f"scale {scales[0]:g}, zero point {zeros[0] if zeros else 0}"


def _operator(node: Node, found: list[Tensor | None], where: str, model: Model) -> Operator:
    attributes = _attributes(node)
    basic = attributes.get("kernel_type") == "basic"
    slots = BASIC_SLOTS if basic else SLOTS[node.code]
    if len(node.inputs) > len(slots):
        expected = f"at most {len(slots)}: {', '.join(slots)}"
        raise malformed("operator", f"{KINDS[node.code]} has too many inputs", where=where, expected=expected)
    wired = {slot: found[place] for slot, place in zip(slots, node.inputs, strict=False) if place >= 0}
    tensors = {slot: tensor.name for slot, tensor in wired.items() if tensor}
    absent = tuple(slot for slot, tensor in wired.items() if tensor is None and slot not in COMPUTED)
    if basic:
        tensors = {slot: _add(replace(t, name=f"{where}.{slot}"), model) for slot, t in split_basic(wired, where)}
        absent = tuple(slot for slot in ("W", "b") if wired.get(slot) is None)
    return Operator(KINDS[node.code], where, tensors, attributes, absent)


def _attributes(node: Node) -> dict[str, Any]:
    """The operator's options, as the schema has them; 0 is no clip."""
    table = node.options
    if table is None:
        return {}
    number = table.number(0, INT8)
    said: dict[str, Any] = {"activation": FUSED[number] if 0 <= number < len(FUSED) else f"{number}"}
    said |= {"cell_clip": table.real(1), "proj_clip": table.real(2)}
    if node.code == LSTM:
        said["kernel_type"] = "basic" if table.number(3, INT8) == 1 else "full"
    elif node.code == UNIDIRECTIONAL:
        said |= {"time_major": bool(table.number(3, UINT8)), "diagonal": bool(table.number(5, UINT8))}
    else:
        said |= {"merge": bool(table.number(3, UINT8)), "time_major": bool(table.number(4, UINT8, 1))}
    return said
