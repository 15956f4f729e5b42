"""tf.keras 2's LSTM and TensorFlow 1's cells through the dialects `tf-keras` and `tf1`, both directions.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/frameworks/tf_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import hold_ours, miss
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
cells = tf.compat.v1.nn.rnn_cell

pytestmark = pytest.mark.filterwarnings("ignore")
SIZES = [(5, 4, 2), (3, 3, 1), (1, 6, 3)]
DTYPES = ["float32", "float64"]


def case_of(sizes, dtype, **options):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, dtype, True, options)


# ---- tf.keras 2 ----


def run_keras(kind, **options):
    """Their layer with these tensors, by the names of its own variables."""

    def run(tensors, x, h, c):
        layer = kind(
            h.shape[-1], return_sequences=True, return_state=True, dtype=x.dtype, use_bias="bias" in tensors, **options
        )
        x = np.ascontiguousarray(x.swapaxes(0, 1))
        layer.build(x.shape)
        layer.set_weights([tensors[v.name.partition(":")[0].rpartition("/")[2]] for v in layer.weights])
        y, h, c = layer(tf.constant(x), initial_state=[tf.constant(h), tf.constant(c)])
        return y.numpy().swapaxes(0, 1), h.numpy(), c.numpy()

    return run


V1 = tf_keras.src.layers.rnn.lstm_v1.LSTM
TF_KERAS = get("tf-keras")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("bias", ["one", "none"])
def test_our_weights_in_tf_keras(sizes, dtype, bias):
    hold_ours(TF_KERAS, run_keras(tf_keras.layers.LSTM), case_of(sizes, dtype, bias=bias))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_tf_keras_weights_in_our_code(sizes, dtype):
    """By the names that tf.keras itself gives: `lstm/lstm_cell/kernel:0`."""
    case = case_of(sizes, dtype)
    layer = tf_keras.layers.LSTM(case.k, dtype=dtype, name="lstm")
    layer(tf.zeros((1, 1, case.n), dtype))
    rng = case.generator
    tensors = {v.name: rng.uniform(-0.9, 0.9, v.shape).astype(dtype) for v in layer.weights}
    assert sorted(tensors) == [f"lstm/lstm_cell/{name}:0" for name in ("bias", "kernel", "recurrent_kernel")]
    for asked in (None, "tf-keras"):
        found, weights = ls.read(tensors, dialect=asked)
        y, state = ls.compile(found.with_(layout="time"))(case.x(), weights, case.state())
        own = {name.rpartition("/")[2].partition(":")[0]: a for name, a in tensors.items()}
        run = run_keras(tf_keras.layers.LSTM)
        theirs = run(own, case.x(), *(case.state()[f"l0.{s}"] for s in "hc"))
        named = {"l0.h": theirs[1], "l0.c": theirs[2]}
        assert_equal((y, dict(state)), (theirs[0], named), TOLERANCE[dtype], "tf-keras")


def test_the_lstm_of_tensorflow_1_is_a_hard_sigmoid():
    """The same tensors: nothing in them tells it. Keras 3 has another slope under the same name."""
    case = case_of((5, 4, 2), "float64")
    weights = case.weights(1.0)
    run = run_keras(V1)
    x, state = case.x(), case.state()
    y, h, c = run(TF_KERAS.pack(weights, case.layer), x, state["l0.h"], state["l0.c"])
    theirs = y, {"l0.h": h, "l0.c": c}

    def ours(activation):
        y, after = ls.compile(ls.lstm(5, 4, gate_activation=activation))(x, weights, state)
        return y, dict(after)

    assert differences(ours("hard_sigmoid(1/5, 1/2)"), theirs) < 1e-12
    assert differences(ours("hard_sigmoid(1/6, 1/2)"), theirs) > 0.01
    assert differences(ours("sigmoid"), theirs) > 0.01
    assert any("hard_sigmoid" in text for text in TF_KERAS.assumptions(case.layer))


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
def test_tf_keras_in_another_order_misses(gates):
    miss(TF_KERAS, run_keras(tf_keras.layers.LSTM), case_of((5, 4, 2), "float32"), gates)


def test_cudnn_lstm_is_what_their_converter_says():
    """CuDNNLSTM needs a GPU; tf_keras's own loader turns its weights into LSTM's, and back."""
    from tf_keras.src.saving.legacy.hdf5_format import _convert_rnn_weights

    cudnn, one, two = get("tf-keras-cudnn"), ls.lstm(5, 3), ls.lstm(5, 3, bias="two")
    rng = np.random.default_rng(0)
    tensors = {"kernel": rng.random((5, 12)), "recurrent_kernel": rng.random((3, 12)), "bias": rng.random(24)}
    layer = tf_keras.layers.LSTM(3)
    converted = dict(zip(tensors, _convert_rnn_weights(layer, list(tensors.values())), strict=True))
    assert [a.shape for a in converted.values()] == [(5, 12), (3, 12), (12,)]
    theirs, ours = TF_KERAS.unpack(converted, one), cudnn.unpack(tensors, two)
    for gate in "ifgo":
        assert np.array_equal(ours[f"l0.W_{gate}"], theirs[f"l0.W_{gate}"])
        assert np.array_equal(ours[f"l0.U_{gate}"], theirs[f"l0.U_{gate}"])
        np.testing.assert_allclose(ours[f"l0.b_W{gate}"] + ours[f"l0.b_U{gate}"], theirs[f"l0.b_{gate}"], rtol=1e-15)


# ---- TensorFlow 1 ----

TF1 = get("tf1")
MAKERS = {
    "BasicLSTMCell": (lambda k: cells.BasicLSTMCell(k), {}),
    "LSTMCell": (lambda k: cells.LSTMCell(k), {}),
    "LSTMCell, peepholes": (lambda k: cells.LSTMCell(k, use_peepholes=True), {"peephole": True}),
    "LSTMCell, projection": (lambda k: cells.LSTMCell(k, num_proj=2), {"projection": 2}),
    "both": (lambda k: cells.LSTMCell(k, use_peepholes=True, num_proj=2), {"peephole": True, "projection": 2}),
}


def run_tf1(make, drawn=None):
    """dynamic_rnn over their cell in a graph of its own; its variables are set by name, or drawn and told."""

    def run(tensors, x, h, c):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            initial = cells.LSTMStateTuple(tf.constant(c), tf.constant(h))
            y, after = tf.compat.v1.nn.dynamic_rnn(
                make(c.shape[-1]), tf.constant(x), initial_state=initial, time_major=True
            )
            for variable in tf.compat.v1.global_variables():
                name = variable.name.partition(":")[0]
                short = name.split("/", 2)[2]
                if drawn is not None:
                    rng = np.random.default_rng(len(name))
                    drawn[name] = rng.uniform(-0.9, 0.9, variable.shape).astype(x.dtype)
                variable.load(tensors[short] if drawn is None else drawn[name], session)
            y, state = session.run([y, after])
        return y, state.h, state.c

    return run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
@pytest.mark.parametrize("maker", MAKERS)
def test_our_weights_in_tensorflow_1(maker, sizes, dtype):
    make, options = MAKERS[maker]
    hold_ours(TF1, run_tf1(make), case_of(sizes, dtype, forget_bias=1, **options))


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
@pytest.mark.parametrize("maker", MAKERS)
def test_tensorflow_1_weights_in_our_code(maker, sizes):
    """By the names of the checkpoint: `rnn/basic_lstm_cell/kernel`."""
    make, options = MAKERS[maker]
    case, drawn = case_of(sizes, "float64", forget_bias=1, **options), {}
    y, h, c = run_tf1(make, drawn)({}, case.x(), case.state()["l0.h"], case.state()["l0.c"])
    assert all(name.startswith(("rnn/basic_lstm_cell/", "rnn/lstm_cell/")) for name in drawn)
    report = ls.check(drawn)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == ["tf1"]
    assert "forget_bias = 1, which is not in the file" in str(report)
    layer, weights = ls.read(drawn)
    assert layer.cell == case.layer.cell
    found, state = ls.compile(layer)(case.x(), weights, case.state())
    assert_equal((found, dict(state)), (y, {"l0.h": h, "l0.c": c}), 1e-12, "tf1")


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "figo"])
def test_tensorflow_1_in_another_order_misses(gates):
    miss(TF1, run_tf1(MAKERS["LSTMCell"][0]), case_of((5, 4, 2), "float32", forget_bias=1), gates)


def test_without_the_constant_tensorflow_1_misses():
    case = case_of((5, 4, 2), "float32", forget_bias=1)
    weights, state = case.weights(2.0), case.state()
    tensors = TF1.pack(weights, case.layer)
    y, h, c = run_tf1(MAKERS["LSTMCell"][0])(tensors, case.x(), state["l0.h"], state["l0.c"])
    found, after = ls.compile(ls.lstm(5, 4))(case.x(), weights, state)
    assert differences((found, dict(after)), (y, {"l0.h": h, "l0.c": c})) > WRONG


# ---- converted files ----


def made_by_torch(tmp_path, to, name, **options):
    """A state dict in the shapes of PyTorch, converted into a file; and what the layer computes."""
    layer = ls.lstm(5, 4, **({"bias": "two"} | options))
    weights = layer.random(1, "float32")
    path = tmp_path / name
    ls.convert(get("pytorch").pack(weights, layer), to, allow=("two-biases", "forget-bias"), output=str(path))
    x = np.random.default_rng(0).standard_normal((7, 3, 5)).astype("float32")
    return path, x, ls.compile(layer)(x, weights)[0]


@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("to", ["tf-keras", "keras"])
def test_tf_keras_loads_a_converted_file(tmp_path, to, options):
    path, x, y = made_by_torch(tmp_path, to, "out.h5", **options)
    made = [tf_keras.layers.LSTM(4, return_sequences=True) for _ in range(options.get("layers", 1))]
    if options.get("bidirectional"):
        made = [tf_keras.layers.Bidirectional(layer) for layer in made]
    model = tf_keras.Sequential([tf_keras.layers.Input((7, 5)), *made])
    model.load_weights(str(path))
    np.testing.assert_allclose(model(x.swapaxes(0, 1)).numpy().swapaxes(0, 1), y, rtol=0, atol=2e-6)


@pytest.mark.parametrize("options", [{}, {"projection": 2}, {"bias": "none"}], ids=str)
def test_tensorflow_1_takes_a_converted_file(tmp_path, options):
    """By the names of its own variables, which the file has."""
    path, x, y = made_by_torch(tmp_path, "tf1", "out.npz", **options)
    with np.load(path) as archive, tf.Graph().as_default(), tf.compat.v1.Session() as session:
        cell = cells.LSTMCell(4, num_proj=2) if "projection" in options else cells.BasicLSTMCell(4)
        out, _ = tf.compat.v1.nn.dynamic_rnn(cell, tf.constant(x), dtype="float32", time_major=True)
        variables = {v.name.partition(":")[0]: v for v in tf.compat.v1.global_variables()}
        assert variables.keys() == set(archive)
        for name, variable in variables.items():
            variable.load(archive[name], session)
        np.testing.assert_allclose(session.run(out), y, rtol=0, atol=2e-6)
