"""ONNX models as a test writes them: constants, graphs, nodes, and bytes by hand."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

W, R = np.arange(24, dtype="f4").reshape(1, 8, 3), np.arange(16, dtype="f4").reshape(1, 8, 2)
X = helper.make_tensor_value_info("x", 1, [None, None, 3])


def constants(**arrays):
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def graph(*nodes, initializers=(), inputs=(), name="g"):
    return helper.make_graph(nodes, name, inputs, [], initializers)


def model(*nodes, initializers=(), inputs=(X,), **more):
    return helper.make_model(graph(*nodes, initializers=initializers, inputs=inputs), **more).SerializeToString()


def lstm(*inputs, kind="LSTM", **attributes):
    return helper.make_node(kind, inputs or ["x", "W", "R"], ["y"], **attributes)


def branching(inner, name="If_0"):
    return helper.make_node("If", ["x"], [f"{name}_out"], name, then_branch=inner, else_branch=graph(name="empty"))


def field(number, payload):
    """A length-delimited protobuf field."""
    size, length = len(payload), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    key = bytes([number << 3 | 2]) if number < 16 else bytes([number << 3 & 127 | 130, number >> 4])
    return key + length + bytes([size]) + payload


def nested(depth):
    inner = b""
    for _ in range(depth):
        inner = field(1, field(4, b"If") + field(5, field(1, b"g") + field(6, inner) + b"\xa0\x01\x05"))
    return b"\x08\x08" + field(7, inner) + field(8, b"\x10\x0f")


def without(part):
    message = ModelProto.FromString(model(lstm(), initializers=constants(W=W, R=R)))
    message.ClearField(part)
    return message.SerializeToString()


def weight(dims, kind=1, **data):
    return model(initializers=[TensorProto(name="w", dims=dims, data_type=kind, **data)])


GOOD = model(lstm(), initializers=constants(W=W, R=R))
