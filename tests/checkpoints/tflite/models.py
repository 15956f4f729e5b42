"""TFLite models as a test writes them: a small FlatBuffers writer, and the parts of a model that a reader sees."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int8": 9}
LSTM, UNIDIRECTIONAL, BIDIRECTIONAL = 16, 44, 52
OPTIONS = {LSTM: 14, UNIDIRECTIONAL: 71, BIDIRECTIONAL: 69}  # an operator's code → the kind of its options


@dataclass
class Scalar:
    kind: str
    value: Any


@dataclass
class Vector:
    kind: str
    values: Any


@dataclass
class Table:
    fields: dict[int, Any] = field(default_factory=dict)


def flatbuffer(root: Table, magic: bytes = b"TFL3") -> bytes:
    """The file: each table behind its vtable, what it points to behind it."""
    data = bytearray(struct.pack("<I", 0) + magic)
    waiting: list[tuple[int, Any]] = [(0, root)]
    while waiting:
        patch, thing = waiting.pop()
        at = _put(data, thing, waiting)
        struct.pack_into("<I", data, patch, at - patch)
    return bytes(data)


def _put(data: bytearray, thing: Any, waiting: list[tuple[int, Any]]) -> int:
    data += bytes(-len(data) % 8)
    if isinstance(thing, Table):
        return _put_table(data, thing, waiting)
    data += bytes(4)
    at = len(data)
    if isinstance(thing, str):
        data += struct.pack("<I", len(thing.encode())) + thing.encode() + b"\0"
    elif isinstance(thing, Vector):
        data += struct.pack(f"<I{len(thing.values)}{thing.kind}", len(thing.values), *thing.values)
    elif isinstance(thing, bytes):
        data += struct.pack("<I", len(thing)) + thing
    else:
        data += struct.pack("<I", len(thing)) + bytes(4 * len(thing))
        waiting += [(at + 4 + 4 * i, one) for i, one in enumerate(thing)]
    return at


def _put_table(data: bytearray, table: Table, waiting: list[tuple[int, Any]]) -> int:
    count = max(table.fields, default=-1) + 1
    length = 4 + 2 * count
    offsets = [8 + 8 * i if i in table.fields else 0 for i in range(count)]
    vtable = len(data)
    data += struct.pack(f"<HH{count}H", length, 8 + 8 * count, *offsets)
    data += bytes(-len(data) % 8)
    at = len(data)
    data += struct.pack("<i", at - vtable) + bytes(4 + 8 * count)
    for number, value in table.fields.items():
        if isinstance(value, Scalar):
            struct.pack_into(f"<{value.kind}", data, at + offsets[number], value.value)
        else:
            waiting.append((at + offsets[number], value))
    return at


def quantization(scales: list[float], zeros: list[int]) -> Table:
    return Table({2: Vector("f", scales), 3: Vector("q", zeros)})


@dataclass
class Model:
    """A model of one graph: constants, values, operators."""

    tensors: list[Table] = field(default_factory=list)
    buffers: list[Table] = field(default_factory=lambda: [Table()])
    codes: list[Table] = field(default_factory=list)
    operators: list[Table] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def constant(self, name: str, array: np.ndarray[Any, Any], quantized: Table | None = None) -> int:
        self.buffers.append(Table({0: array.tobytes()}))
        return self._tensor(name, array.shape, KINDS[array.dtype.name], len(self.buffers) - 1, quantized)

    def value(self, name: str, shape: tuple[int, ...] = (), variable: bool = False) -> int:
        number = self._tensor(name, shape, 0, 0, None)
        if variable:
            self.tensors[number].fields[5] = Scalar("?", True)
        return number

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int, buffer: int, quantized: Table | None) -> int:
        fields: dict[int, Any] = {0: Vector("i", shape), 1: Scalar("b", kind), 2: Scalar("I", buffer), 3: name}
        self.tensors.append(Table(fields | ({4: quantized} if quantized else {})))
        return len(self.tensors) - 1

    def operator(
        self, code: int, inputs: list[int], outputs: list[int], options: Table | None = None, custom: str = ""
    ) -> None:
        fields: dict[int, Any] = {0: Scalar("b", min(code, 127)), 3: Scalar("i", code)}
        self.codes.append(Table(fields | ({1: custom} if custom else {})))
        fields = {0: Scalar("I", len(self.codes) - 1), 1: Vector("i", inputs), 2: Vector("i", outputs)}
        self.operators.append(Table(fields | ({3: Scalar("B", OPTIONS[code]), 4: options} if options else {})))

    def root(self) -> Table:
        ends = {1: Vector("i", self.inputs), 2: Vector("i", self.outputs)}
        graph = Table({0: self.tensors, **ends, 3: self.operators})
        return Table({0: Scalar("I", 3), 1: self.codes, 2: [graph], 4: self.buffers})

    def data(self) -> bytes:
        return flatbuffer(self.root())


def options(code: int, activation: int = 4, cell: float = 0, proj: float = 0, **more: int) -> Table:
    """An LSTM operator's options; 4 is tanh."""
    fields: dict[int, Any] = {0: Scalar("b", activation), 1: Scalar("f", cell), 2: Scalar("f", proj)}
    places = {
        LSTM: {"kernel_type": 3},
        UNIDIRECTIONAL: {"time_major": 3, "diagonal": 5},
        BIDIRECTIONAL: {"merge": 3, "time_major": 4},
    }[code]
    return Table(fields | {places[name]: Scalar("b", value) for name, value in more.items()})


def one_lstm(
    code: int,
    slots: dict[int, np.ndarray[Any, Any]],
    states: list[int],
    chosen: Table | None,
    shapes: dict[str | int, tuple[int, ...]] | None = None,
) -> Model:
    """A model of one operator; `slots` are its constants by place, `states` the places of its variables.

    Where it is to be run, `shapes` has those of x, y and each state.
    """
    model, shapes = Model(), shapes or {}
    places = [-1] * (max(*slots, *states) + 1)
    places[0] = model.value("x", shapes.get("x", ()))
    for slot, array in slots.items():
        places[slot] = model.constant(f"t{slot}", array)
    for slot in states:
        places[slot] = model.value(f"state{slot}", shapes.get(slot, ()), variable=True)
    model.inputs, model.outputs = [places[0]], [model.value("y", shapes.get("y", ()))]
    model.operator(code, places, model.outputs, chosen)
    return model
