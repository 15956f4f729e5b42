"""One small recurrent layer in every format that is read, good and in ways that are not; a file for each suffix.

Every maker gives bytes: an LSTM that conforms, a GRU (recurrent, and not read), names that steer a terminal, or a
shape that is larger than any memory.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors

from tests.checkpoints.keras.test_archive import archive as keras_archive
from tests.checkpoints.keras.test_archive import lstm as keras_lstm
from tests.checkpoints.keras.test_archive import model as keras_model
from tests.checkpoints.msgpack.test_reading import array as flax_array
from tests.checkpoints.msgpack.test_reading import sized, text
from tests.checkpoints.onnx.models import X, graph, lstm
from tests.checkpoints.tflite.models import UNIDIRECTIONAL, Model, Vector, one_lstm, options
from tests.checkpoints.torch.pickled import archive, saved, state_dict, tensor

HUGE = 2**40
EVIL = "evil\x1b[31m\x9b2J\r\x07\u202e\x1b]52;c;Zm9v\x07."
N, K = 3, 2


def torch_arrays(gates: int = 4, prefix: str = "rnn.") -> dict[str, np.ndarray[Any, Any]]:
    shapes = {"weight_ih_l0": (gates * K, N), "weight_hh_l0": (gates * K, K)}
    shapes |= {"bias_ih_l0": (gates * K,), "bias_hh_l0": (gates * K,)}
    return {prefix + name: np.full(shape, 0.1, "float32") for name, shape in shapes.items()}


def npz(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def hdf5(gates: int = 4, prefix: str = "lstm/lstm/", huge: bool = False) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, shape in {"kernel:0": (N, gates * K), "recurrent_kernel:0": (K, gates * K)}.items():
            file[f"model_weights/{prefix}{name}"] = np.full(shape, 0.1, "float32")
        if huge:
            file.create_dataset(f"model_weights/{prefix}bias:0", (HUGE,), "float32", chunks=(1 << 20,))
    return stream.getvalue()


def keras(kind: str = "LSTM", gates: int = 4, name: str = "lstm", bomb: bool = False) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for number, shape in enumerate([(N, gates * K), (K, gates * K), (gates * K,)]):
            file[f"layers/{name}/cell/vars/{number}"] = np.full(shape, 0.1, "float32")
    layer = keras_lstm(name=name) | {"class_name": kind}
    weights = stream.getvalue() + bytes(1 << 28) * bomb
    method = zipfile.ZIP_DEFLATED if bomb else zipfile.ZIP_STORED
    return keras_archive(config=json.dumps(keras_model(layer)), weights=weights, method=method)


def onnx(kind: str = "LSTM", gates: int = 4, name: str = "", huge: bool = False, location: str = "") -> bytes:
    arrays = {"W": np.full((1, gates * K, N), 0.1, "f4"), "R": np.full((1, gates * K, K), 0.1, "f4")}
    initializers = [numpy_helper.from_array(a, name + role) for role, a in arrays.items()]
    if huge:
        initializers[0] = TensorProto(name=name + "W", data_type=1, dims=[1, HUGE, N])
    if location:
        initializers[0] = TensorProto(name=name + "W", data_type=1, dims=[1, gates * K, N], data_location=1)
        initializers[0].external_data.add(key="location", value=location)
    node = lstm("x", name + "W", name + "R", kind=kind, hidden_size=K)
    node.name = name
    return bytes(helper.make_model(graph(node, initializers=initializers, inputs=(X,))).SerializeToString())


def msgpack(first: str = "ii", prefix: str = "lstm", huge: bool = False) -> bytes:
    """Flax's tree; with another name for its first kernel it is no LSTM's."""

    def table(parts: dict[str, bytes]) -> bytes:
        return bytes([0x80 | len(parts)]) + b"".join(text(name) + part for name, part in parts.items())

    cell = {name: table({"kernel": flax_array((N, K))}) for name in (first, "if", "ig", "io")}
    cell |= {f"h{g}": table({"kernel": flax_array((K, K)), "bias": flax_array((K,))}) for g in "ifgo"}
    if huge:
        shape = b"\x92\xcf" + struct.pack(">Q", HUGE) + b"\xcf" + struct.pack(">Q", HUGE)
        cell["ii"] = table({"kernel": sized("ext", b"\x93" + shape + text("float32") + sized("bin", bytes(8)))})
    return table({prefix: table(cell)})


def tflite(name: str = "t", huge: bool = False) -> bytes:
    arrays = {slot: np.full((K, N if slot < 5 else K), 0.1, "f4") for slot in range(1, 9)}
    arrays |= {slot: np.full(K, 0.1, "f4") for slot in range(12, 16)}
    model = one_lstm(UNIDIRECTIONAL, arrays, [18, 19], options(UNIDIRECTIONAL))
    for number, table in enumerate(model.tensors):
        table.fields[3] = f"{name}{number}"
    if huge:
        model.tensors[1].fields[0] = Vector("i", (2**31 - 1, 2**31 - 1))
    return model.data()


def tflite_rnn() -> bytes:
    model = Model()
    model.operator(24, [model.value("x")], [model.value("y")])
    return model.data()


def safetensors_huge() -> bytes:
    header = {"rnn.weight_ih_l0": {"dtype": "F32", "shape": [HUGE, HUGE], "data_offsets": [0, 8]}}
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + bytes(8)


def npz_bomb() -> bytes:
    """A gigabyte of zeros, of which the header says nothing wrong."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target, target.open("w.npy", "w") as member:
        member.write(npy(np.empty((0,), "f4")).replace(b"(0,)", b"(268435456,)")[:128].ljust(128))
        for _ in range(1024):
            member.write(bytes(1 << 20))
    return stream.getvalue()


Maker = Callable[[], bytes]
GOOD: dict[str, Maker] = {
    "safetensors": lambda: save_safetensors(torch_arrays()),
    "npz": lambda: npz(torch_arrays()),
    "pt": lambda: saved(torch_arrays()),
    "h5": hdf5,
    "keras": keras,
    "onnx": onnx,
    "msgpack": msgpack,
    "tflite": tflite,
}
# Recurrent, and not read: a GRU, another operator, an array without a name.
UNREAD: dict[str, Maker] = {
    "safetensors": lambda: save_safetensors(torch_arrays(3)),
    "npz": lambda: npz(torch_arrays(3)),
    "pt": lambda: saved(torch_arrays(3)),
    "h5": lambda: hdf5(3, "gru/gru/"),
    "keras": lambda: keras("GRU", 3),
    "onnx": lambda: onnx("GRU", 3),
    "msgpack": lambda: msgpack("i2", "lstm"),
    "tflite": tflite_rnn,
}
NAMED: dict[str, Maker] = {
    "safetensors": lambda: save_safetensors(torch_arrays(prefix=EVIL)),
    "npz": lambda: npz({name.replace("\x07", ""): a for name, a in torch_arrays(prefix=EVIL).items()}),
    "pt": lambda: saved(torch_arrays(prefix=EVIL)),
    "h5": lambda: hdf5(prefix=f"{EVIL}/"),
    "keras": lambda: keras(name=EVIL),
    "onnx": lambda: onnx(name=EVIL),
    "msgpack": lambda: msgpack(prefix=EVIL),
    "tflite": lambda: tflite(name=EVIL),
}
HUGE_ONES: dict[str, Maker] = {
    "safetensors": safetensors_huge,
    "npz": npz_bomb,
    "npy": lambda: npy(np.zeros(2, "f4")).replace(b"(2,)", b"(1099511627776,)")[:128].ljust(128) + bytes(8),
    "pt": lambda: archive(state_dict({"w": tensor(shape=(2**20, 2**20), count=2**40)}), {"0": bytes(8)}),
    "h5": lambda: hdf5(huge=True),
    "keras": lambda: keras(bomb=True),
    "onnx": lambda: onnx(huge=True),
    "msgpack": lambda: msgpack(huge=True),
    "tflite": lambda: tflite(huge=True),
}
