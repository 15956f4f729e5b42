"""What TensorFlow, tf.keras 2, Keras 3 and Sonnet hand to cuDNN, entry by entry, against the dialect `cudnn`.

No GPU is needed: their own code runs up to the call of cuDNN's operation, which is caught with its arguments. So the
weight space of one layer is held to what four callers write into it. What cuDNN computes from it is told by their CPU
layers, which promise the same numbers; `tests/dialects/test_cudnn_sample.py` holds those that cuDNN publishes.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/frameworks/cudnn_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import ours, swap_parts
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
keras_rnn = pytest.importorskip("keras.src.backend.tensorflow.rnn", reason="keras is not installed")
sonnet_rnn = pytest.importorskip("sonnet.src.recurrent", reason="dm-sonnet is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")
CUDNN, KERAS_LAYER = get("cudnn"), get("tf-keras-cudnn")
SIZES = [(5, 4, 2), (3, 3, 1), (1, 6, 3)]


class HandedError(Exception):
    """The arguments of cuDNN's operation, instead of a call that needs a GPU."""


def handed(monkeypatch, call):
    """The weight space with which the call would enter cuDNN."""

    def enter(**arguments):
        assert arguments.get("rnn_mode", "lstm") == "lstm"
        raise HandedError(arguments["params"].numpy())

    for rnn in (tf_keras.src.layers.rnn.lstm.tf, tf_keras.src.layers.rnn.cudnn_lstm.tf, keras_rnn.tf, sonnet_rnn.tf):
        for name in ("CudnnRNN", "CudnnRNNV3"):
            monkeypatch.setattr(rnn.raw_ops, name, enter)
    with pytest.raises(HandedError) as caught:
        call()
    return caught.value.args[0]


# ---- the callers: kernel (n, 4k), recurrent kernel (k, 4k), one bias ----


def tf_keras_lstm(x, h, c, kernel, recurrent, bias):
    gpu_lstm = tf_keras.src.layers.rnn.lstm.gpu_lstm
    gpu_lstm(x, h, c, kernel, recurrent, bias, None, True, False, None, True)


def keras_3_lstm(x, h, c, kernel, recurrent, bias):
    keras_rnn._cudnn_lstm(x, h, c, kernel, recurrent, bias, None, True, False, True)


def sonnet_lstm(x, h, c, kernel, recurrent, bias):
    sonnet_rnn._cudnn_unrolled_lstm(x, sonnet_rnn.LSTMState(h, c), kernel, recurrent, bias)


# with the set of biases that takes the one bias; the other is 0
CALLERS = {"tf_keras": (tf_keras_lstm, "b_U"), "Keras 3": (keras_3_lstm, "b_U"), "Sonnet": (sonnet_lstm, "b_W")}


def case_of(sizes, dtype, bias="one"):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, dtype, True, {"bias": bias})


def two_biases(weights, kept):
    """The same weights with a second bias of zeros."""
    doubled = {}
    for name, a in weights.items():
        member, _, part = name.rpartition(".")
        if part.startswith("b_"):
            for family in ("b_W", "b_U"):
                doubled[f"{member}.{family}{part[-1]}"] = a if family == kept else np.zeros_like(a)
        else:
            doubled[name] = a
    return ls.Weights(doubled)


def weight_space(dialect, weights, layer):
    """The tensors of one layer one behind the other: matrices 0 to 7, then biases 0 to 7."""
    packed = dialect.pack(weights, layer)
    assert list(packed) == [f"layer0/{kind}_{i}" for kind in ("matrix", "bias") for i in range(8)]
    return np.concatenate([a.ravel() for a in packed.values()])


def called(monkeypatch, caller, case, weights):
    tensors = get("tf-keras").pack(weights, case.layer)
    state = case.state()
    arguments = (case.x(), state["l0.h"], state["l0.c"], *(tensors[n] for n in ("kernel", "recurrent_kernel", "bias")))
    return handed(monkeypatch, lambda: caller(*map(tf.constant, arguments)))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", CALLERS)
def test_the_weight_space_entry_by_entry(monkeypatch, name, sizes, dtype):
    (caller, kept), case = CALLERS[name], case_of(sizes, dtype)
    weights = case.weights()
    found = called(monkeypatch, caller, case, weights)
    expected = weight_space(CUDNN, two_biases(weights, kept), case_of(sizes, dtype, "two").layer)
    np.testing.assert_array_equal(found, expected)


def test_the_two_callers_differ_in_which_bias_is_zero(monkeypatch):
    """Only their sum matters: a file of cuDNN's has either."""
    case = case_of((5, 4, 2), "float64")
    spaces = [called(monkeypatch, CALLERS[name][0], case, case.weights()) for name in ("tf_keras", "Sonnet")]
    biases = [space[-32:].reshape(2, 16) for space in spaces]
    assert not biases[0][0].any()
    np.testing.assert_array_equal(biases[0][::-1], biases[1])


@pytest.mark.parametrize(("one", "other"), [("g", "o"), ("i", "f")])
@pytest.mark.parametrize("name", CALLERS)
def test_another_order_of_gates_misses(monkeypatch, name, one, other):
    """The guide's equations stand in the order i, f, o, c'; its matrices do not."""
    (caller, kept), case = CALLERS[name], case_of((5, 4, 2), "float64")
    weights = case.weights(1.0)
    wrong = weight_space(swap_parts(CUDNN, one, other), two_biases(weights, kept), case_of((5, 4, 2), "", "two").layer)
    assert np.abs(called(monkeypatch, caller, case, weights) - wrong).max() > WRONG


def split_space(space, layer):
    """The weight space cut into the dialect's tensors, in the order in which it lists them."""
    tensors = CUDNN.tensors(layer)
    shapes = [tuple(map(int, tensor.shape)) for tensor in tensors]
    parts = np.split(space, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
    return {tensor.name: part.reshape(shape) for tensor, part, shape in zip(tensors, parts, shapes, strict=True)}


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_what_is_handed_over_computes_what_their_cpu_layer_does(monkeypatch, sizes, dtype):
    case, layer = case_of(sizes, dtype), case_of(sizes, dtype, "two").layer
    weights, state, x = case.weights(), case.state(), case.x()
    space = called(monkeypatch, tf_keras_lstm, case, weights)
    monkeypatch.undo()
    live = tf_keras.layers.LSTM(case.k, return_sequences=True, return_state=True, time_major=True, dtype=dtype)
    live.build(x.shape)
    tensors = get("tf-keras").pack(weights, case.layer)
    live.set_weights([tensors[n] for n in ("kernel", "recurrent_kernel", "bias")])
    y, h, c = live(tf.constant(x), initial_state=[tf.constant(state["l0.h"]), tf.constant(state["l0.c"])])
    theirs = y.numpy(), {"l0.h": h.numpy(), "l0.c": c.numpy()}
    assert_equal(ours(layer, CUDNN.unpack(split_space(space, layer), layer), case), theirs, TOLERANCE[dtype], "cudnn")


# ---- CuDNNLSTM of TensorFlow 1: two biases of its own, and columns as they lie ----


def entered_by_cudnn_lstm(monkeypatch, case, tensors):
    live = tf_keras.src.layers.rnn.cudnn_lstm.CuDNNLSTM(case.k, dtype=case.dtype, return_sequences=True)
    live.build((None, None, case.n))
    assert [v.name.partition(":")[0].rpartition("/")[2] for v in live.weights] == list(tensors)
    live.set_weights(list(tensors.values()))
    x, state = np.ascontiguousarray(case.x().swapaxes(0, 1)), case.state()
    initial = [tf.constant(state["l0.h"]), tf.constant(state["l0.c"])]
    return handed(monkeypatch, lambda: live._process_batch(tf.constant(x), initial))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_layer_cudnn_lstm(monkeypatch, sizes, dtype):
    case = case_of(sizes, dtype, "two")
    weights = case.weights()
    found = entered_by_cudnn_lstm(monkeypatch, case, KERAS_LAYER.pack(weights, case.layer))
    np.testing.assert_array_equal(found, weight_space(CUDNN, weights, case.layer))


def test_its_columns_read_as_those_of_lstm_miss(monkeypatch):
    """LSTM's are turned on the way to cuDNN, those of CuDNNLSTM are not."""
    case = case_of((5, 4, 2), "float64", "two")
    weights = case.weights(1.0)
    tensors = KERAS_LAYER.pack(weights, case.layer)
    one = case_of((5, 4, 2), "float64").layer
    same = ls.Weights({name: weights.get(name, np.zeros(4)) for name in one.parameter_shapes()})
    turned = get("tf-keras").pack(same, one) | {"bias": tensors["bias"]}
    found = entered_by_cudnn_lstm(monkeypatch, case, turned)
    assert np.abs(found - weight_space(CUDNN, weights, case.layer)).max() > WRONG
