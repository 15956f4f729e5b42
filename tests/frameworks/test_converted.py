"""A converted file goes into the real framework, by the framework's own loader, and gives the same numbers.

From PyTorch's module to every other one; `tests/conformance/conversion/test_converting.py` has the way back for each.
TensorFlow's two are in `tf_peer.py`.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("DEV", "PYTHON")  # tinygrad without a compiler

import lstm_spec as ls

torch = pytest.importorskip("torch", reason="torch is not installed")

T, B, N, K = 6, 3, 5, 4
ALLOWED = ("two-biases", "forget-bias")
X = np.random.default_rng(3).standard_normal((T, B, N)).astype("float32")


def run_flax(path, kind="LSTMCell"):
    flax = pytest.importorskip("flax", reason="flax is not installed")
    import jax

    tree = flax.serialization.msgpack_restore(path.read_bytes())
    cell = getattr(flax.linen, kind)(K)
    carry, outputs = cell.initialize_carry(jax.random.key(0), X[0].shape), []
    for x_t in X:
        carry, y = cell.apply({"params": tree}, carry, x_t)
        outputs.append(np.asarray(y))
    return np.stack(outputs)


def run_nnx(path, kind="LSTMCell"):
    flax = pytest.importorskip("flax", reason="flax is not installed")
    from flax import nnx

    cell = getattr(nnx, kind)(N, K, rngs=nnx.Rngs(0))
    state = nnx.state(cell, nnx.Param)
    nnx.replace_by_pure_dict(state, flax.serialization.msgpack_restore(path.read_bytes()))
    nnx.update(cell, state)
    carry, outputs = (np.zeros((B, K), "float32"),) * 2, []
    for x_t in X:
        carry, y = cell(carry, x_t)
        outputs.append(np.asarray(y))
    return np.stack(outputs)


def run_haiku(path):
    hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
    import jax

    arrays = dict(np.load(path))
    parameters = {"lstm/linear": {name.rpartition("/")[2]: array for name, array in arrays.items()}}
    unrolled = hk.without_apply_rng(
        hk.transform(lambda x: hk.dynamic_unroll(core := hk.LSTM(K), x, core.initial_state(B))[0])
    )
    assert {f"lstm/linear/{name}" for name in "wb"} == set(arrays)
    return np.asarray(unrolled.apply(parameters, jax.numpy.asarray(X)))


def run_equinox(path):
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    import jax

    arrays = dict(np.load(path))
    cell = eqx.nn.LSTMCell(N, K, use_bias="bias" in arrays, key=jax.random.key(0))
    for name, array in arrays.items():
        cell = eqx.tree_at(lambda m, name=name: getattr(m, name), cell, jax.numpy.asarray(array))
    state, outputs = (jax.numpy.zeros((B, K)),) * 2, []
    for x_t in X:
        state = jax.vmap(cell)(x_t, state)
        outputs.append(np.asarray(state[0]))
    return np.stack(outputs)


def run_mlx(path):
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    from mlx import nn

    with mx.stream(mx.cpu):
        arrays = mx.load(str(path))
        layer = nn.LSTM(N, K, bias="bias" in arrays)
        layer.load_weights(str(path))
        hidden, _ = layer(mx.array(X.swapaxes(0, 1)))
        return np.array(hidden).swapaxes(0, 1)


def run_tinygrad(path):
    tinygrad = pytest.importorskip("tinygrad", reason="tinygrad is not installed")
    from tinygrad.nn import LSTMCell

    state = torch.load(path, weights_only=True)  # its own torch_load compiles C
    cell = LSTMCell(N, K, bias="bias_ih" in state)
    for name, tensor in state.items():
        assert getattr(cell, name).shape == tuple(tensor.shape)
        setattr(cell, name, tinygrad.Tensor(tensor.numpy()))
    state, outputs = (tinygrad.Tensor.zeros(B, K),) * 2, []
    for x_t in X:
        state = cell(tinygrad.Tensor(np.ascontiguousarray(x_t)), state)
        outputs.append(state[0].numpy())
    return np.stack(outputs)


def run_openvino(path):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    ops = openvino.opset5
    zeros = np.zeros((B, 1, K), "float32")
    inputs = [ops.parameter(list(a.shape), np.float32) for a in (X.swapaxes(0, 1), zeros, zeros)]
    constants = [ops.constant(np.ascontiguousarray(a)) for a in np.load(path).values()]
    node = ops.lstm_sequence(*inputs, ops.constant(np.full(B, T, np.int64)), *constants, K, "forward")
    model = openvino.Model([ops.result(node.output(0))], inputs, "one")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([X.swapaxes(0, 1), zeros, zeros])[0])[:, 0].swapaxes(0, 1)


def run_onnx(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    y = session.run(["Y"], {"X": X})[0]
    return y.transpose(0, 2, 1, 3).reshape(T, B, -1)


def run_keras(path, layers=1, both=False, bias=True):
    keras = pytest.importorskip("keras", reason="keras is not installed")
    made = [keras.layers.LSTM(K, return_sequences=True, use_bias=bias) for _ in range(layers)]
    made = [keras.layers.Bidirectional(layer) if both else layer for layer in made]
    model = keras.Sequential([keras.layers.Input((T, N)), *made])
    model.load_weights(path)
    y = model(keras.ops.convert_to_tensor(X.swapaxes(0, 1)))
    return y.detach().cpu().numpy().swapaxes(0, 1)


def run_torch(path, layers=1, both=False):
    state = torch.load(path, weights_only=True)
    module = torch.nn.LSTM(N, K, num_layers=layers, bidirectional=both, bias="bias_ih_l0" in state)
    module.load_state_dict(state)
    with torch.no_grad():
        return module(torch.from_numpy(X))[0].numpy()


PEERS = {
    ("pytorch", ".pt"): run_torch,
    ("pytorch", ".pth"): run_torch,
    ("keras", ".h5"): run_keras,
    ("keras", ".weights.h5"): run_keras,
    ("tf-keras", ".h5"): run_keras,
    ("onnx", ".onnx"): run_onnx,
    ("openvino", ".npz"): run_openvino,
    ("flax", ".msgpack"): run_flax,
    ("flax-nnx", ".msgpack"): run_nnx,
    ("flax-nnx-optimized", ".msgpack"): lambda path: run_nnx(path, "OptimizedLSTMCell"),
    ("haiku", ".npz"): run_haiku,
    ("equinox", ".npz"): run_equinox,
    ("mlx", ".safetensors"): run_mlx,
    ("mlx", ".npz"): run_mlx,
    ("tinygrad", ".pt"): run_tinygrad,
}


def theirs_of_torch(**options):
    torch.manual_seed(0)
    module = torch.nn.LSTM(N, K, **options)
    with torch.no_grad():
        y = module(torch.from_numpy(X))[0].numpy()
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}, y


@pytest.mark.parametrize(("to", "suffix"), PEERS, ids="".join)
def test_a_module_of_torch_in_every_other_framework(tmp_path, to, suffix):
    state, y = theirs_of_torch()
    path = tmp_path / f"out{suffix}"
    ls.convert(state, to, allow=ALLOWED, output=str(path))
    np.testing.assert_allclose(PEERS[to, suffix](path), y, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("to", "suffix"), PEERS, ids="".join)
def test_a_module_without_biases_in_every_other_framework(tmp_path, to, suffix):
    """Without them where its layers have an option for it, with zeros where they are never without."""
    state, y = theirs_of_torch(bias=False)
    path = tmp_path / f"out{suffix}"
    made = ls.convert(state, to, allow=ALLOWED, output=str(path))
    kinds = {name.rpartition("/")[2].rpartition(".")[2] for name in made.tensors}
    never = {"openvino", "flax", "flax-nnx", "flax-nnx-optimized", "haiku"}
    assert (to in never) == bool(kinds & {"bias", "b", "B"})
    given = {"bias": False} if PEERS[to, suffix] is run_keras else {}
    np.testing.assert_allclose(PEERS[to, suffix](path, **given), y, rtol=0, atol=2e-6)


def test_flax_optimized_takes_the_same_tree(tmp_path):
    state, y = theirs_of_torch()
    ls.convert(state, "flax", allow=ALLOWED, output=str(tmp_path / "f.msgpack"))
    np.testing.assert_allclose(run_flax(tmp_path / "f.msgpack", "OptimizedLSTMCell"), y, rtol=0, atol=2e-6)


STACKS = {".h5": ("keras", run_keras), ".weights.h5": ("keras", run_keras), ".pt": ("pytorch", run_torch)}


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("suffix", STACKS)
def test_a_stack(tmp_path, suffix, both):
    """Two layers in Keras are two layers of a model; in both directions each is a Bidirectional."""
    state, y = theirs_of_torch(num_layers=2, bidirectional=both)
    to, run = STACKS[suffix]
    path = tmp_path / f"out{suffix}"
    ls.convert(state, to, allow=ALLOWED, output=str(path))
    np.testing.assert_allclose(run(path, 2, both), y, rtol=0, atol=2e-6)


@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_a_stack_in_onnx_is_a_chain_of_nodes(tmp_path, options):
    state, y = theirs_of_torch(**options)
    path = tmp_path / "out.onnx"
    ls.convert(state, "onnx", output=str(path))
    np.testing.assert_allclose(run_onnx(path), y, rtol=0, atol=2e-6)
    assert len(ls.check(path).layers) == options.get("num_layers", 1)


def test_an_old_keras_layer_in_onnx_runtime(tmp_path):
    """hard_sigmoid goes into the node's attributes, and comes back."""
    layer = ls.lstm(N, K, gate_activation="hard_sigmoid(1/5, 1/2)")
    tensors = ls.dialects.get("lstm-spec").pack(layer.random(0, "float32"), layer)
    path = tmp_path / "out.onnx"
    made = ls.convert(tensors, "onnx", layer=layer, output=str(path))
    assert not made.losses
    ours, _ = ls.compile(layer)(X, layer.random(0, "float32"))
    np.testing.assert_allclose(run_onnx(path), ours, rtol=0, atol=2e-6)
    found, _ = ls.read(path)
    assert str(found.cell.defined["i"]) == "i = hard_sigmoid(W_i x + b_Wi + U_i h + b_Ui, 0.2, 0.5)"


OPTIONS = {
    "peephole": {"peephole": True, "forget_bias": 1},
    "coupled": {"coupled": "f=1-i"},
    "clip": {"clip": "0.5", "bias": "two"},
    "reverse": {"reverse": True},
    "both": {"bidirectional": True, "peephole": True},
    "activations": {"candidate_activation": "softsign", "output_activation": "relu"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_in_onnx_runtime(tmp_path, name):
    layer = ls.lstm(N, K, **OPTIONS[name])
    weights = layer.random(0, "float32")
    path = tmp_path / "out.onnx"
    ls.convert(ls.dialects.get("lstm-spec").pack(weights, layer), "onnx", layer=layer, allow=ALLOWED, output=str(path))
    ours, _ = ls.compile(layer)(X, weights)
    np.testing.assert_allclose(run_onnx(path), ours, rtol=0, atol=2e-6)
