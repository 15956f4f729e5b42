"""What an ONNX graph declares of its values' shapes: `X` → (T, B, n), with None where it gives no number.

Only numbers are read. A declaration is a claim of the file, never computed and never inferred here.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ValueInfoProto

Shape = tuple[int | None, ...]


def declared_shapes(graph: GraphProto, outer: MutableMapping[str, Shape]) -> MutableMapping[str, Shape]:
    """The values with a shape, by name: what the graph takes and notes on the way, and what it sees from outside."""
    return ChainMap(dict(_declared(graph)), outer)


def _declared(graph: GraphProto) -> Iterator[tuple[str, Shape]]:
    for value in (*graph.value_info, *graph.input):
        shape = _shape(value)
        if shape is not None:
            yield value.name, shape


def _shape(value: ValueInfoProto) -> Shape | None:
    """None for what is no tensor, and for a tensor of any rank."""
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        return None
    # Exporters write 0 and -1 where a size is open.
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
