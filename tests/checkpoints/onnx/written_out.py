"""Models whose LSTM is written out in simple nodes, and our step held against ONNX Runtime's run of them."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import lstm_spec as ls

make = helper.make_node
N, K = 3, 4
FLOAT = TensorProto.FLOAT


def info(name, *shape):
    return helper.make_tensor_value_info(name, FLOAT, shape)


def step(z, c, order="ifgo", suffix="", split=True):
    """The nodes of one step after its pre-activation `z`; makes `c1`, `h1`."""
    s = suffix
    nodes = [make("Split", [z, "sizes"], [f"z_{g}{s}" for g in order], f"/cell{s}/Split", axis=-1)] if split else []
    nodes += [make("Tanh" if g == "g" else "Sigmoid", [f"z_{g}{s}"], [f"{g}{s}"]) for g in "ifgo"]
    nodes += [
        make("Mul", [f"f{s}", c], [f"fc{s}"]),
        make("Mul", [f"i{s}", f"g{s}"], [f"ig{s}"]),
        make("Add", [f"fc{s}", f"ig{s}"], [f"c1{s}"], f"/cell{s}/Add"),
        make("Tanh", [f"c1{s}"], [f"t{s}"]),
        make("Mul", [f"o{s}", f"t{s}"], [f"h1{s}"], f"/cell{s}/Mul"),
    ]
    return nodes


def arrays(n=N, k=K, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(s).astype("f4") for name, s in (("W", (n, 4 * k)), ("U", (k, 4 * k)), ("b", (4 * k,)))
    }


def products(x="x", h="h"):
    return [
        make("MatMul", [x, "W"], ["xW"]),
        make("MatMul", [h, "U"], ["hU"]),
        make("Add", ["xW", "hU"], ["s"]),
        make("Add", ["s", "b"], ["z"]),
    ]


def model(nodes, constants, inputs, outputs, opset=17):
    k = constants["U"].shape[0] if "U" in constants else K
    constants = {**constants, "sizes": np.array([k] * 4)}
    initializers = [numpy_helper.from_array(a, name) for name, a in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def cell(nodes, constants, n=N, k=K):
    """A model of one step: x, h and c go in, h and c come out."""
    inputs = [info("x", "B", n), info("h", "B", k), info("c", "B", k)]
    return model(nodes, constants, inputs, [info("h1", "B", k), info("c1", "B", k)])


def save(message, tmp_path):
    onnx.checker.check_model(message, full_check=True)
    onnx.save(message, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def hold_step(path, layer, weights, seed=1):
    """Our one step against ONNX Runtime's run of the whole model."""
    rng = np.random.default_rng(seed)
    n, k = int(layer.sizes["n"]), int(layer.sizes["k"])
    feeds = {"x": (2, n), "h": (2, k), "c": (2, k)}
    feeds = {name: rng.standard_normal(shape).astype("f4") for name, shape in feeds.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {i.name: feeds[j] for i, j in zip(session.get_inputs(), feeds, strict=True)}
    h, c = session.run(None, feeds)[:2]
    given = list(feeds.values())
    y, state = ls.compile(layer).step(given[0], weights, {"h": given[1], "c": given[2]})
    assert np.abs(y - h).max() <= 1e-6
    assert np.abs(state["c"] - c).max() <= 1e-6
