"""TFLite files as its own converter writes them, against its own interpreter.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/conformance/recognition/tflite_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")
B, T, N, K = 2, 6, 5, 4
TOLERANCE = 1e-6


def converted(layer, quantized=False, n=N):
    """The bytes of a model of one layer."""
    model = keras.Sequential([keras.layers.Input(batch_shape=(B, T, n)), layer])
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((B, T, n), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if quantized else []
    return converter.convert()


def interpreted(data, x):
    interpreter = tf.lite.Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def lstm(**options):
    return keras.layers.LSTM(K, return_sequences=True, bias_initializer=keras.initializers.RandomNormal(), **options)


def input_of(n=N):
    return np.random.default_rng(0).standard_normal((B, T, n)).astype("f4")


def test_an_lstm(tmp_path):
    data, x = converted(lstm()), input_of()
    (tmp_path / "m.tflite").write_bytes(data)
    assert ls.check(tmp_path / "m.tflite").ok
    layer, weights = ls.read(tmp_path / "m.tflite")
    y, _ = ls.compile(layer)(x, weights)
    assert layer.layout == "batch"
    assert np.abs(y - interpreted(data, x)).max() <= TOLERANCE


def test_both_directions_are_two_operators(tmp_path):
    data, x = converted(keras.layers.Bidirectional(lstm())), input_of()
    (tmp_path / "m.tflite").write_bytes(data)
    report = ls.check(tmp_path / "m.tflite")
    assert report.ok
    backward, forward = (ls.read(tmp_path / "m.tflite", at=found.where) for found in report.layers)
    parts = [ls.compile(forward[0])(x, forward[1])[0]]
    parts.append(ls.compile(backward[0])(x[:, ::-1].copy(), backward[1])[0][:, ::-1])
    assert np.abs(np.concatenate(parts, axis=-1) - interpreted(data, x)).max() <= TOLERANCE


def test_quantized_weights_have_shapes(tmp_path):
    layer = keras.layers.LSTM(64, return_sequences=True)
    (tmp_path / "m.tflite").write_bytes(converted(layer, quantized=True, n=32))
    report = ls.check(tmp_path / "m.tflite")
    assert report.ok
    assert report.layers[0].summary == "n = 32, k = 64, forward, one bias"
    with pytest.raises(ls.LstmSpecError, match=r"\(int8, scale "):
        ls.read(tmp_path / "m.tflite")


@pytest.mark.parametrize("options", [{"recurrent_activation": "hard_sigmoid"}, {"unroll": True}], ids=str)
def test_an_lstm_without_an_operator_is_not_passed_over(tmp_path, options):
    (tmp_path / "m.tflite").write_bytes(converted(lstm(**options)))
    report = ls.check(tmp_path / "m.tflite")
    assert report.layers == ()
    assert {finding.code for finding in report.findings} == {"unread"}
