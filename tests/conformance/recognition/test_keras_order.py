"""The layers of a Keras file in the order of its model, whatever they are called: real Keras loads what is written.

Keras takes an `.h5` layer by layer and a `.weights.h5` by class and number, never by name: a wrong order fits, if the
sizes do, and other numbers come out without a word.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
N = 4
X = np.random.default_rng(0).standard_normal((2, 5, N)).astype("float32")


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="torch is not installed")
    return pytest.importorskip("keras", reason="keras is not installed")


def named(keras, *names):
    """LSTMs on each other, of one size, so that every order fits."""
    layers = [keras.layers.LSTM(N, return_sequences=True, name=name) for name in names]
    return keras.Sequential([keras.layers.Input((None, N)), *layers])


def nested(keras):
    inner = keras.Sequential([keras.layers.Input((None, N)), keras.layers.LSTM(N, return_sequences=True)])
    outer = [inner, keras.layers.LSTM(N, return_sequences=True)]
    return keras.Sequential([keras.layers.Input((None, N)), *outer])


def mixed(keras):
    lstm, both = keras.layers.LSTM, keras.layers.Bidirectional
    layers = [lstm(N, return_sequences=True), both(lstm(N // 2, return_sequences=True))]
    layers += [lstm(N, return_sequences=True), both(lstm(N // 2, return_sequences=True))]
    return keras.Sequential([keras.layers.Input((None, N)), *layers])


def branched(keras):
    x = keras.layers.Input((None, N))
    left = keras.layers.LSTM(N, return_sequences=True, name="z")(x)
    right = keras.layers.LSTM(N, return_sequences=True, name="y")(x)
    above = keras.layers.LSTM(N, return_sequences=True, name="a")(left)
    return keras.Model(x, keras.layers.Subtract()([above, right]))


# How a model is made, and how one whose layers stand flat beside each other, in the same order, is.
MODELS = {
    "names": (lambda keras: named(keras, "encoder_b", "decoder_a"),) * 2,
    "numbers": (lambda keras: named(keras, *(f"lstm_{i}" for i in (7, 30, 200, 1, 4))),) * 2,
    "mixed": (mixed, mixed),
    "nested": (nested, lambda keras: named(keras, "one", "two")),
    "branched": (branched, branched),
}


def answer(keras, model):
    return np.asarray(model(keras.ops.convert_to_tensor(X)).detach().cpu().numpy())


def loaded(keras, make, path):
    model = make(keras)
    model.load_weights(path)
    return answer(keras, model)


# A `.weights.h5` has layers of one class in their order, and does not say how those of several classes follow.
SOURCES = [(case, source) for case in MODELS for source in ("m.keras", "m.h5")]
SOURCES += [(case, "m.weights.h5") for case in ("names", "numbers", "branched")]


@pytest.mark.parametrize("to", ["k.h5", "k.weights.h5"])
@pytest.mark.parametrize(("case", "source"), SOURCES)
def test_keras_loads_what_is_written(keras, tmp_path, case, source, to):
    make, flat = MODELS[case]
    model = make(keras)
    path = tmp_path / source
    model.save_weights(path) if source == "m.weights.h5" else model.save(path)
    ls.convert(path, "keras", output=str(tmp_path / to))
    assert np.abs(loaded(keras, flat, tmp_path / to) - answer(keras, model)).max() == 0


@pytest.mark.parametrize("source", ["m.keras", "m.h5"])
@pytest.mark.parametrize("case", MODELS)
def test_tensors_are_read_in_the_order_of_the_model(keras, tmp_path, case, source):
    model = MODELS[case][0](keras)
    model.save(tmp_path / source)
    tensors = read_tensors(tmp_path / source).items()
    found = [tensor.load().tobytes() for name, tensor in tensors if "recurrent_kernel" in name]
    own = [weight for weight in model.weights if weight.name == "recurrent_kernel"]
    assert found == [weight.value.detach().cpu().numpy().tobytes() for weight in own]


def test_the_lists_of_an_older_file_say_its_order(keras, tmp_path):
    """As tf.keras 2 saves weights alone: no configuration, and names as texts of one length."""
    model = named(keras, "encoder_b", "decoder_a")
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file, h5py.File(tmp_path / "w.h5", "w") as weights:
        for layer in file["model_weights"]:
            file.copy(file["model_weights"][layer], weights)
            weights[layer].attrs["weight_names"] = np.array(
                [n.encode() for n in file["model_weights"][layer].attrs["weight_names"]]
            )
        weights.attrs["layer_names0"] = np.array([b"encoder_b"])  # as Keras cuts what is long
        weights.attrs["layer_names1"] = np.array([b"decoder_a"])
    assert [name.partition("/")[0] for name in read_tensors(tmp_path / "w.h5")] == ["encoder_b"] * 3 + ["decoder_a"] * 3
    ls.convert(tmp_path / "w.h5", "keras", output=str(tmp_path / "k.h5"))
    flat = MODELS["names"][1]
    assert np.abs(loaded(keras, flat, tmp_path / "k.h5") - answer(keras, model)).max() == 0


def test_another_order_gives_other_numbers(keras, tmp_path):
    """The comparison above sees it: the layers in the order of their names."""
    model = named(keras, "encoder_b", "decoder_a")
    model.save(tmp_path / "m.h5")
    tensors = {n: t.load() for n, t in sorted(read_tensors(tmp_path / "m.h5").items())}
    ls.convert(tensors, "keras", output=str(tmp_path / "k.h5"))
    wrong = loaded(keras, MODELS["names"][1], tmp_path / "k.h5")
    assert np.abs(wrong - answer(keras, model)).max() > 0.05


@pytest.mark.parametrize(
    ("case", "names"),
    [("mixed", "bidirectional, then layers/lstm"), ("nested", "lstm, then layers/sequential/layers/lstm")],
)
def test_a_file_by_class_does_not_say_how_classes_follow(keras, tmp_path, case, names):
    MODELS[case][0](keras).save_weights(tmp_path / "m.weights.h5")
    note = (
        f"the source has layers by class, and not how the classes follow each other; what is written has layers/{names}"
    )
    for output in ("k.h5", "k.weights.h5"):
        first, *others = ls.convert(tmp_path / "m.weights.h5", "keras", output=str(tmp_path / output)).layers
        assert first.adapted.notes[-1] == note
        assert all(note not in layer.adapted.notes for layer in others)
    made = ls.convert(tmp_path / "m.weights.h5", "keras", output=str(tmp_path / "k.npz")).layers
    assert all(note not in layer.adapted.notes for layer in made)
