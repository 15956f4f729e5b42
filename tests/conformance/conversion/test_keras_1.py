"""Into Keras 1 and back: its names begin with the layer's own, and its hard_sigmoid is what no tensor says."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.conversion.conversion import EXACT
from lstm_spec.dialects import get
from tests.conformance.sets import torch_names

HARD = "hard_sigmoid(1/5, 1/2)"
OWN = [f"{family}_{gate}" for family in "WUb" for gate in "icfo"]


@pytest.mark.parametrize(("prefix", "name"), [("", "lstm"), ("enc.", "enc"), ("model.enc.", "model_enc")])
def test_there_and_back(prefix, name):
    """A layer whose gates are Keras 1's own loses nothing, whatever it was called."""
    layer = ls.lstm(5, 4, gate_activation=HARD)
    given = {prefix + n: a for n, a in get("lstm-spec").pack(layer.random(0, "float32"), layer).items()}
    there = ls.convert(given, "keras-1", layer=layer)
    assert list(there.tensors) == [f"{name}_{own}" for own in OWN]
    assert there.layers[0].adapted.losses == ()
    back = ls.convert(there.tensors, "lstm-spec", allow="options")
    assert all(any(np.array_equal(array, found) for found in back.tensors.values()) for array in given.values())


def test_another_gate_activation_is_an_argument_of_the_layer():
    """`inner_activation="sigmoid"`: Keras 1 can, and only tensors are written."""
    given = torch_names(bias=False)
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(given, "keras-1")
    assert str(caught.value) == (
        "error[loss]: keras-1 cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  gate_activation = sigmoid: keras-1 holds this beside its tensors, and only tensors are written\n"
        "  help     --allow options, if that is agreed"
    )
    (found,) = ls.convert(given, "keras-1", allow="options").layers
    assert str(found.written[0].layer.cell.defined["i"]) == "i = sigmoid(W_i x + U_i h + b_i)"


def test_a_layer_without_biases_gets_zeros():
    """Keras 1's LSTM has no use_bias: what was written without a bias did not load there."""
    (made,) = ls.convert(torch_names("enc.", bias=False), "keras-1", allow="options").layers
    assert list(made.tensors) == [f"enc_{own}" for own in OWN]
    assert not any(array.any() for name, array in made.tensors.items() if "_b_" in name)
    assert made.adapted.notes == ("keras-1 has biases: they are zeros",)
    assert made.difference <= EXACT


@pytest.mark.parametrize(("prefix", "name"), [("", "lstm"), ("enc.", "enc"), ("model.enc_.", "model_enc_")])
def test_its_layer_is_called_as_keras_1_calls_it(prefix, name):
    """`enc_W_i` is a weight of the layer enc: it was called enc_, here and in what was made of it."""
    made = ls.convert(torch_names(prefix), "keras-1", allow=("two-biases", "options")).tensors
    report = ls.check(made, numbers=False)
    assert [found.where for found in report.layers] == [name]
    assert str(report).startswith(f"{name}: keras-1, n = 3, k = 4, forward, one bias\n")
    assert ls.read(made, at=name)[0].parameter_count == 128
    back = ls.convert(made, "keras", allow="options", layer=ls.lstm(3, 4)).tensors
    assert list(back) == [f"{name}/{own}" for own in ("kernel", "recurrent_kernel", "bias")]


def test_its_recurrent_matrices_are_not_optional():
    """They stood as optional, for the option that was hung on them."""
    optional = [packing.name for packing in get("keras-1").packings if packing.option]
    assert optional == ["b_i", "b_c", "b_f", "b_o"]
