"""The dtype of what is about to be handed to a layer: a finding where the framework itself raises, and only there."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import node_attributes, onnx_model, onnx_names
from tests.conformance.verdict.test_arguments import told


def test_pytorch_converts_no_dtype():
    """What its layer would raise on; NumPy's arrays are converted on their way, whoever takes them there."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.LSTM(3, 4)
    x = torch.zeros(7, 5, 3, dtype=torch.float64)
    with pytest.raises((ValueError, RuntimeError), match="dtype"):
        layer(x)
    (finding,) = ls.check(layer, x, numbers=False).findings
    assert str(finding) == (
        "error[dtype]: x is float64\n"
        "  at       LSTM : x\n"
        "  expected float32\n"
        "  found    float64\n"
        "  because  PyTorch converts neither x nor a state to the dtype of the weights, and raises\n"
        "  help     x.to(torch.float32)"
    )
    state = torch.zeros(1, 5, 4, dtype=torch.float16)
    codes = [f.message for f in ls.check(layer, x.float(), state, state, numbers=False).findings]
    assert codes == ["h is float16", "c is float16"]
    assert ls.check(layer, x.float(), state.float(), state.float(), numbers=False).findings == ()
    assert ls.check(layer, x.numpy(), numbers=False).findings == ()


def test_keras_converts_a_dtype():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    layer = keras.layers.LSTM(4)
    x = torch.zeros(5, 7, 3, dtype=torch.float64)
    layer(x)
    assert ls.check(layer, x, numbers=False).findings == ()


def test_onnx_runtime_converts_no_dtype(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "one.onnx"
    path.write_bytes(onnx_model(onnx_names(), node_attributes()))
    x = np.zeros((7, 2, 3))
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Unexpected input data type"):
        session.run(None, {"X": x})
    session.run(None, {"X": x.astype("float32")})
    assert [str(f) for f in ls.check(path, x, numbers=False).findings] == [
        "error[dtype]: x is float64\n"
        f"  at       {path} : node : x\n"
        "  expected float32\n"
        "  found    float64\n"
        "  because  ONNX Runtime converts no input to the dtype of the model, and raises\n"
        "  help     x.astype('float32')"
    ]
    assert ls.check(path, x.astype("float32"), numbers=False).findings == ()


CARRIES = [  # of the weights, x, h and c, and what the cell computes in
    ("float32", "bfloat16", None, None, None),
    ("bfloat16", "float32", None, None, None),
    ("bfloat16", "float16", None, None, None),
    ("bfloat16", "float32", None, None, "bfloat16"),
    ("bfloat16", "bfloat16", None, None, "float32"),
    ("float32", "float32", "float16", "float16", None),
    ("float32", "float32", "float32", "float16", None),
    ("bfloat16", "float32", "float32", "float32", None),
    ("bfloat16", "bfloat16", "float32", "float32", None),
    ("float32", "float32", "float32", "float32", "bfloat16"),
]


@pytest.mark.parametrize(("weights", "x", "h", "c", "computed"), CARRIES)
def test_flax_keeps_the_dtype_of_a_carry(weights, x, h, c, computed):
    """Its RNN raises where a step promotes the carry, and only there."""
    jnp = pytest.importorskip("jax.numpy", reason="jax is not installed")
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    layer = nnx.RNN(nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0), param_dtype=weights, dtype=computed))
    given = {"x": jnp.zeros((2, 7, 3), x)}
    given |= {} if h is None else {"h": jnp.zeros((2, 4), h), "c": jnp.zeros((2, 4), c)}
    try:
        layer(given["x"], initial_carry=None if h is None else (given["c"], given["h"]))
        raised = False
    except TypeError:
        raised = True
    found = [f.code for f in ls.check(layer, numbers=False, **given).findings]
    assert set(found) == ({"dtype"} if raised else set())


def test_what_is_told_of_a_carry():
    jnp = pytest.importorskip("jax.numpy", reason="jax is not installed")
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    layer = nnx.RNN(nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0), param_dtype="bfloat16"))
    because = "a step of it leaves a carry of float32, and the scan of nnx.RNN raises on another than came in"
    assert told(layer, x=jnp.zeros((2, 7, 3))) == [
        "error[dtype]: x is float32\n"
        "  at       RNN : cell : x\n"
        "  expected bfloat16\n"
        "  found    float32\n"
        f"  because  {because}\n"
        "  help     x.astype('bfloat16'), or a whole initial carry of float32"
    ]
