"""Bytes → the protobuf message of an ONNX model, or why they are none."""

from __future__ import annotations

from io import BufferedReader
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.onnx.wire import check_parts
from lstm_spec.errors import MissingPackageError

if TYPE_CHECKING:
    from onnx import ModelProto

# Protobuf's own limit for a message.
MAX_BYTES = 2**31 - 1


def parse_model(file: File, stream: BufferedReader) -> ModelProto:
    """The message as it is; an empty one is no model, though protobuf and `onnx.load` accept it."""
    try:
        from onnx import ModelProto
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "reading an ONNX file") from None
    if file.size > MAX_BYTES:
        raise malformed("too-large", "the model is larger than protobuf allows", expected=f"at most {MAX_BYTES} bytes")
    data = stream.read()
    check_parts(data, ModelProto.DESCRIPTOR)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except MemoryError:
        raise
    except Exception:  # its words differ from one version of protobuf to the next
        because = "its bytes are no such protobuf message"
        raise malformed("protobuf", "the file is not an ONNX model", because=because) from None
    present = {part.name for part, _ in model.ListFields()}
    if missing := [part for part in ("ir_version", "opset_import", "graph") if part not in present]:
        raise malformed("protobuf", "the file is not an ONNX model", because=f"it has no {' and no '.join(missing)}")
    return model
