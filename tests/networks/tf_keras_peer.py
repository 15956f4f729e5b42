"""Files that Keras 2 wrote (tf_keras), against its own layers: HDF5 with and without configuration, `.keras`.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/networks/tf_keras_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors

keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
from tf_keras.src.layers.rnn.lstm_v1 import LSTM as LstmOfTensorFlow1  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
layers = keras.layers
X = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")
TOLERANCE = 2e-6


def single(make, **options):
    return keras.Sequential([layers.Input((7, 3)), make(4, return_sequences=True, **options)])


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (layers.LSTM, {}),
        (layers.LSTM, {"recurrent_activation": "hard_sigmoid"}),
        (LstmOfTensorFlow1, {}),
        (layers.LSTM, {"activation": "relu", "use_bias": False, "go_backwards": True}),
    ],
)
def test_a_file_computes_what_its_model_does(tmp_path, name, make, options):
    """TensorFlow 1's LSTM has hard_sigmoid, 0.2 z + 0.5, without being asked."""
    model = single(make, **options)
    path = tmp_path / name
    model.save(path)
    report = ls.check(path, numbers=False)
    assert report.ok, str(report)
    layer, weights = ls.read(path)
    assert np.abs(ls.compile(layer)(X, weights)[0] - model(X).numpy()).max() < TOLERANCE
    is_hard = make is LstmOfTensorFlow1 or "recurrent_activation" in options
    said = [f.message for f in report.findings]
    expected = "recurrent_activation = hard_sigmoid is clip(0.2 z + 0.5, 0, 1) here, as in Keras 2.21.0"
    assert said == [expected] * is_hard
    if is_hard:  # the function of Keras 3 would be another one
        newer = ls.lstm(3, 4, gate_activation="hard_sigmoid(1/6, 1/2)", layout="batch")
        assert np.abs(ls.compile(newer)(X, weights)[0] - model(X).numpy()).max() > 1e-3


@pytest.mark.parametrize("name", ["m.h5", "w.h5", "m.keras"])
def test_every_layer_of_a_trained_model(tmp_path, name):
    inner = keras.Sequential([layers.Input((7, 4)), layers.LSTM(4, return_sequences=True)], name="inner")
    model = keras.Sequential(
        [
            layers.Input((7, 3)),
            layers.LSTM(4, return_sequences=True),
            inner,
            layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
            layers.GRU(6, return_sequences=True),
            layers.RNN([layers.LSTMCell(4), layers.LSTMCell(5)]),
            layers.Dense(2),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    model.fit(np.ones((2, 7, 3)), np.ones((2, 2)), verbose=0)
    path = tmp_path / name
    model.save_weights(path) if name == "w.h5" else model.save(path)
    report, tensors = ls.check(path, numbers=False), read_tensors(path)
    assert [(f.code, " is a GRU, " in f.message) for f in report.findings] == [("unread", True)]
    own = {w.numpy().tobytes() for w in model.weights}
    found = [tensors[row.name].load().tobytes() for layer in report.layers for row in layer.tensors]
    assert len(report.layers) == 6
    assert len(found) == len(set(found)) == 18
    assert set(found) <= own
    assert [layer.layer.direction for layer in report.layers].count("reverse") == 1
    assert all("dam/" not in row.name for layer in report.layers for row in layer.tensors)
