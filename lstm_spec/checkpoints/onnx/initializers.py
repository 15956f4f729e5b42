"""One constant of an ONNX model → `Tensor`: its dims, type and bytes must agree before anything is read.

ONNX's own loader and `to_array` accept negative sizes and too few bytes. Values that lie in another file are read
only when they are asked for; a tensor whose file is missing has a shape and no `load`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.checkpoints.files import Array, Bfloat16, File, blamed_on, malformed
from lstm_spec.checkpoints.onnx.external import external_slice
from lstm_spec.checkpoints.shapes import checked_shape
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto, TensorProto


@dataclass(frozen=True, slots=True)
class Element:
    """`bits` an element in raw_data; else `per` entries of the message's `field`; `name` as NumPy's if it has one."""

    name: str
    bits: int
    field: str
    per: int = 1

    @property
    def loadable(self) -> bool:
        """Whether NumPy itself has the type."""
        return not self.name.startswith(NO_NUMPY)

    @property
    def is_bfloat16(self) -> bool:
        """Whether its values are the upper halves of float32's."""
        return self.name == "bfloat16"


NO_NUMPY = ("string", "bfloat16", "float8_", "float6_", "float4_", "uint4", "int4", "uint2", "int2")
# onnx.proto3, TensorProto.DataType, and the comment at each *_data field.
ELEMENTS = {
    1: Element("float32", 32, "float_data"),
    2: Element("uint8", 8, "int32_data"),
    3: Element("int8", 8, "int32_data"),
    4: Element("uint16", 16, "int32_data"),
    5: Element("int16", 16, "int32_data"),
    6: Element("int32", 32, "int32_data"),
    7: Element("int64", 64, "int64_data"),
    8: Element("string", 0, "string_data"),
    9: Element("bool", 8, "int32_data"),
    10: Element("float16", 16, "int32_data"),
    11: Element("float64", 64, "double_data"),
    12: Element("uint32", 32, "uint64_data"),
    13: Element("uint64", 64, "uint64_data"),
    14: Element("complex64", 64, "float_data", per=2),
    15: Element("complex128", 128, "double_data", per=2),
    16: Element("bfloat16", 16, "int32_data"),
    17: Element("float8_e4m3fn", 8, "int32_data"),
    18: Element("float8_e4m3fnuz", 8, "int32_data"),
    19: Element("float8_e5m2", 8, "int32_data"),
    20: Element("float8_e5m2fnuz", 8, "int32_data"),
    21: Element("uint4", 4, "int32_data"),
    22: Element("int4", 4, "int32_data"),
    23: Element("float4_e2m1fn", 4, "int32_data"),
    24: Element("float8_e8m0fnu", 8, "int32_data"),
    25: Element("uint2", 2, "int32_data"),
    26: Element("int2", 2, "int32_data"),
    27: Element("float6_e2m3fn", 6, "int32_data"),
    28: Element("float6_e3m2fn", 6, "int32_data"),
}
EXTERNAL = 1

# The attributes of a Constant node that are no tensor: where the value is, and its dtype.
PLAIN_CONSTANTS = {
    "value_float": ("f", "float32"),
    "value_floats": ("floats", "float32"),
    "value_int": ("i", "int64"),
    "value_ints": ("ints", "int64"),
    "value_string": ("s", "string"),
    "value_strings": ("strings", "string"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """Returns the values of a checked TensorProto."""

    path: str
    proto: TensorProto

    def __call__(self) -> Array:
        from onnx.numpy_helper import to_array

        with blamed_on(self.path):
            return np.array(to_array(self.proto))


@dataclass(frozen=True, slots=True)
class Halves:
    """Returns the values of a checked TensorProto of bfloat16 as they are stored, 16 bits each."""

    proto: TensorProto

    def __call__(self) -> Array:
        proto = self.proto
        stored = np.frombuffer(proto.raw_data, "<u2") if proto.HasField("raw_data") else proto.int32_data
        return np.array(stored).astype(np.uint16).reshape(tuple(proto.dims))


@dataclass(frozen=True, slots=True)
class Listed:
    """Returns the values that a Constant node lists."""

    values: Any
    dtype: str

    def __call__(self) -> Array:
        return np.array(self.values, self.dtype)


def tensor_of(proto: TensorProto, name: str, path: str, file: File | None = None) -> Tensor:
    """The constant under `name`. Raises Malformed when its dims, type and data do not agree.

    `file` is the model, in whose directory external data may lie.
    """
    shape = checked_shape(proto.dims, name)
    element = ELEMENTS.get(proto.data_type)
    if element is None:
        raise malformed("dtype", f"{safe(name)} has no type that ONNX defines", found=f"type {proto.data_type}")
    if proto.data_location == EXTERNAL or proto.external_data:
        needed = -(-prod(shape) * element.bits // 8)
        dtype = element.name if element.loadable and element.name != "bool" else None
        outer = external_slice(proto, name, file, needed, "uint16" if element.is_bfloat16 else dtype)
        load = Bfloat16(outer) if outer and element.is_bfloat16 else outer
        return Tensor(name, shape, element.name, load, outside=True)
    _check_data(proto, name, prod(shape), element)
    if element.is_bfloat16:
        return Tensor(name, shape, element.name, Bfloat16(Halves(proto)))
    return Tensor(name, shape, element.name, Stored(path, proto) if element.loadable else None)


def _check_data(proto: TensorProto, name: str, count: int, element: Element) -> None:
    """The bytes or entries that are there must be as many as the shape needs."""
    if proto.HasField("segment"):
        raise malformed("shape", f"{safe(name)} is one segment of a tensor, which is not read")
    if proto.HasField("raw_data"):
        unit, found, expected = "bytes", len(proto.raw_data), -(-count * element.bits // 8)
    else:
        unit, found, expected = "entries", len(getattr(proto, element.field)), count * element.per
    packed = unit == "entries" and 0 < element.bits < 8
    if found != expected and not packed:
        raise malformed(
            "shape",
            f"{safe(name)} does not have the data of its shape",
            expected=f"{expected} {unit} for {element.name} {list(proto.dims)}",
            found=f"{found} {unit}",
        )


def constant_of(node: NodeProto, name: str, path: str, file: File | None = None) -> Tensor | None:
    """The tensor that a Constant node makes, under `name`; None for a node that makes none."""
    return next(_constants(node, name, path, file), None)


def _constants(node: NodeProto, name: str, path: str, file: File | None) -> Iterator[Tensor]:
    for attribute in node.attribute:
        if attribute.ref_attr_name:  # in a function: each call has another
            continue
        if attribute.name == "value" and attribute.HasField("t"):
            yield tensor_of(attribute.t, name, path, file)
        elif attribute.name == "sparse_value" and attribute.HasField("sparse_tensor"):
            sparse = attribute.sparse_tensor
            yield sparse_of(sparse.values, sparse.dims, name)
        elif attribute.name in PLAIN_CONSTANTS:
            yield _listed(attribute, name)


def _listed(attribute: AttributeProto, name: str) -> Tensor:
    field, dtype = PLAIN_CONSTANTS[attribute.name]
    value = getattr(attribute, field)
    values, shape = (value, ()) if isinstance(value, int | float | bytes) else (list(value), (len(value),))
    return Tensor(name, shape, dtype, None if dtype == "string" else Listed(values, dtype))


def sparse_of(values: TensorProto, dims: Any, name: str) -> Tensor:
    """A sparse constant: its shape, and no `load`."""
    element = ELEMENTS.get(values.data_type)
    return Tensor(name, checked_shape(dims, name), element.name if element else "undefined")
