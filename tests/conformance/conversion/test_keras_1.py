"""Into Keras 1 and back: its names begin with the layer's own, and its hard_sigmoid is what no tensor says."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
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
    assert str(found.written[0].layer.cell.defined["i"]) == "i = sigmoid(W_i x + U_i h)"


def test_its_recurrent_matrices_are_not_optional():
    """They stood as optional, for the option that was hung on them."""
    optional = [packing.name for packing in get("keras-1").packings if packing.option]
    assert optional == ["b_i", "b_c", "b_f", "b_o"]
