"""What a Bidirectional makes of its two outputs: joined, added, kept apart; two layers of other sizes. Real Keras loads
what is written of each."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
N, K = 3, 4
X = np.random.default_rng(0).standard_normal((2, 5, N)).astype("float32")
WORDS = {"sum": "added", "mul": "multiplied", "ave": "averaged"}


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="torch is not installed")
    return pytest.importorskip("keras", reason="keras is not installed")


def bidirectional(keras, mode="concat", back=None, **options):
    """In a model; with `back` the backward layer is one of its own."""
    lstm = keras.layers.LSTM
    own = back and lstm(return_sequences=True, go_backwards=True, **{"units": K} | back)
    both = keras.layers.Bidirectional(lstm(K, return_sequences=True, **options), backward_layer=own, merge_mode=mode)
    x = keras.layers.Input((None, N))
    return keras.Model(x, both(x))


def answer(keras, model):
    y = model(keras.ops.convert_to_tensor(X))
    return np.concatenate(
        [part.detach().cpu().numpy() for part in (y if isinstance(y, list | tuple) else [y])], axis=-1
    )


def saved(model, path):
    model.save_weights(path) if path.name == "m.weights.h5" else model.save(path)
    return path


@pytest.mark.parametrize("to", ["k.h5", "k.weights.h5"])
@pytest.mark.parametrize("source", ["m.keras", "m.h5", "m.weights.h5"])
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_keras_loads_both_halves_of_every_merge(keras, tmp_path, mode, source, to):
    model = bidirectional(keras, mode)
    path = saved(model, tmp_path / source)
    (made,) = ls.convert(path, "keras", allow="merge", output=str(tmp_path / to)).layers
    told = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "average", None: "apart"}
    assert made.layer.merge == ("concat" if source == "m.weights.h5" else told[mode])
    again = bidirectional(keras, mode)
    again.load_weights(tmp_path / to)
    assert np.abs(answer(keras, again) - answer(keras, model)).max() == 0


@pytest.mark.parametrize("mode", WORDS)
def test_a_merge_that_is_no_joining_is_a_loss(keras, tmp_path, mode):
    path = saved(bidirectional(keras, mode), tmp_path / "m.keras")
    for to in ("keras", "pytorch"):
        with pytest.raises(ls.LstmSpecError) as caught:
            ls.convert(path, to)
        assert str(caught.value) == (
            f"error[loss]: {to} cannot hold all of this layer as it is\n"
            f"  at       {path} : layers/bidirectional\n"
            f"  because  the outputs of both directions are {WORDS[mode]} (merge_mode = {mode}), which no tensor says\n"
            "  help     --allow merge, if that is agreed"
        )


def test_outputs_that_are_kept_apart_are_told(keras, tmp_path):
    path = saved(bidirectional(keras, None), tmp_path / "m.keras")
    (made,) = ls.convert(path, "pytorch").layers
    assert made.adapted.notes == (
        "layers/bidirectional/forward_layer/cell and layers/bidirectional/backward_layer/cell are one layer in both "
        "directions",
        "the source keeps the outputs of both directions apart (merge_mode = None)",
        "pytorch has two biases a gate: the second is zeros",
    )


OTHERS = {"sizes": {"units": 6}, "equations": {"use_bias": False}}


@pytest.mark.parametrize("to", ["k.h5", "k.weights.h5"])
@pytest.mark.parametrize("source", ["m.keras", "m.h5", "m.weights.h5"])
@pytest.mark.parametrize("differ", OTHERS)
def test_keras_loads_two_halves_of_other_sizes(keras, tmp_path, differ, source, to):
    model = bidirectional(keras, back=OTHERS[differ])
    path = saved(model, tmp_path / source)
    made = ls.convert(path, "keras", output=str(tmp_path / to)).layers
    forward, backward = (layer.where for layer in made)
    assert "forward" in forward
    assert made[1].layer.direction == "reverse"
    note = f"{forward} and {backward} are the two directions of one layer, with other {differ}"
    told = [[text for text in layer.adapted.notes if not text.startswith("assumed ")] for layer in made]
    assert told == [[note]] * 2
    again = bidirectional(keras, back=OTHERS[differ])
    again.load_weights(tmp_path / to)
    assert np.abs(answer(keras, again) - answer(keras, model)).max() == 0


def test_halves_that_are_added_are_a_loss_too(keras, tmp_path):
    path = saved(bidirectional(keras, "sum", back=OTHERS["equations"]), tmp_path / "m.keras")
    made = ls.convert(path, "flax", allow="merge")
    assert [loss.words for loss in made.losses] == [
        "the outputs of both directions are added (merge_mode = sum), which no tensor says"
    ]


def test_one_half_alone_is_a_layer_of_its_own(keras, tmp_path):
    path = saved(bidirectional(keras, back={"units": 6}), tmp_path / "m.keras")
    at = "layers/bidirectional/forward_layer/cell"
    made = ls.convert(path, "keras", at=at, output=str(tmp_path / "k.h5"))
    assert made.tensors[f"{at}/recurrent_kernel"].shape == (K, 4 * K)
    again = keras.Sequential([keras.layers.Input((None, N)), keras.layers.LSTM(K)])
    again.load_weights(tmp_path / "k.h5")
    assert np.array_equal(again.weights[1].value.detach().cpu().numpy(), made.tensors[f"{at}/recurrent_kernel"])


def test_halves_that_change_places_give_other_numbers(keras, tmp_path):
    """The comparisons above see it."""
    model = bidirectional(keras)
    path = saved(model, tmp_path / "m.weights.h5")
    made = ls.convert(path, "keras").tensors
    turned = {
        name.replace("forward", "x").replace("backward", "forward").replace("x", "backward"): made[name]
        for name in made
    }
    ls.convert(turned, "keras", output=str(tmp_path / "k.h5"))
    again = bidirectional(keras)
    again.load_weights(tmp_path / "k.h5")
    assert np.abs(answer(keras, again) - answer(keras, model)).max() > 0.05
