"""Sets of tensors that conform, under each party's names, written by hand, without a dialect; what a report says.

n = 3, k = 4, B = 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS

# Every dialect that holds a plain LSTM: TensorFlow 1's coupled cell couples, Keras 1's tensors say hard_sigmoid.
PLAIN = [name for name in DIALECTS if name not in ("tf1-coupled", "keras-1")]

N, K, BATCH = 3, 4, 2
Arrays = dict[str, np.ndarray]


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int = 0, dtype: str = "float32") -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-0.5, 0.5, shape).astype(dtype) for name, shape in shapes.items()}


def torch_names(
    prefix: str = "",
    n: int = N,
    k: int = K,
    layers: int = 1,
    both: bool = False,
    bias: bool = True,
    projection: int = 0,
    cell: bool = False,
    gates: int = 4,
) -> Arrays:
    """The state dict of a `torch.nn.LSTM`, or `LSTMCell`; with three gates of a GRU, with one of an RNN."""
    r, shapes = projection or k, {}
    for index in range(layers):
        width = n if index == 0 else r * (1 + both)
        for turn in ("", "_reverse")[: 1 + both]:
            end = "" if cell else f"_l{index}{turn}"
            shapes[f"{prefix}weight_ih{end}"] = (gates * k, width)
            shapes[f"{prefix}weight_hh{end}"] = (gates * k, r)
            if bias:
                shapes[f"{prefix}bias_ih{end}"] = (gates * k,)
                shapes[f"{prefix}bias_hh{end}"] = (gates * k,)
            if projection:
                shapes[f"{prefix}weight_hr{end}"] = (r, k)
    return drawn(shapes)


def keras_names(prefix: str = "", n: int = N, k: int = K, bias: bool = True, end: str = "", gates: int = 4) -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {"kernel": (n, gates * k), "recurrent_kernel": (k, gates * k)}
    shapes |= {"bias": (gates * k,)} if bias else {}
    return drawn({f"{prefix}{name}{end}": shape for name, shape in shapes.items()})


def onnx_names(n: int = N, k: int = K, d: int = 1, bias: bool = True, peephole: bool = False) -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {"W": (d, 4 * k, n), "R": (d, 4 * k, k)}
    shapes |= {"B": (d, 8 * k)} if bias else {}
    shapes |= {"P": (d, 3 * k)} if peephole else {}
    return drawn(shapes)


def own_names(**options: Any) -> Arrays:
    return dict(ls.lstm(N, K, **options).random(0, "float32"))


ROLES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def node_tensors(d: int = 1, n: int = N, k: int = K, batch: int = BATCH) -> Arrays:
    """Every input of the operator but X, as constants."""
    tensors = onnx_names(n, k, d, peephole=True)
    tensors |= drawn({"initial_h": (d, batch, k), "initial_c": (d, batch, k)})
    return tensors | {"sequence_lens": np.full(batch, 7, "int32")}


def node_attributes(**changes: Any) -> dict[str, Any]:
    attributes = {"hidden_size": K, "direction": "forward"} | changes
    return {name: value for name, value in attributes.items() if value is not None}


def onnx_model(
    tensors: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    width: int = N,
    op: str = "LSTM",
    more: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """One node; its tensors are initializers, named as their roles."""
    roles = [role if role in tensors or role == "X" else "" for role in ROLES]
    while not roles[-1]:
        roles.pop()
    node = onnx.helper.make_node(op, roles, ["Y", "Y_h", "Y_c"][: 3 if op == "LSTM" else 2], name="node", **attributes)
    single = onnx.TensorProto.FLOAT
    constants = {**tensors, **(more or {})}
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info("X", single, ["T", BATCH, width])],
        [onnx.helper.make_tensor_value_info("Y", single, None)],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def blamed(report, name, derived, found):
    """The findings that name the tensor, with the derived and the found shape."""
    return [f for f in report.findings if f.at.endswith(f" : {name}") and derived in f.expected and found in f.found]


def messages(report):
    return [str(finding) for finding in report.findings]


def found(source, **options):
    """`{where: (dialect, summary)}` of a report that conforms."""
    report = ls.check(source, numbers=False, **options)
    assert report.ok, str(report)
    return {f.where: (f.dialect, f.summary) for f in report.layers}
