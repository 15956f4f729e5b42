"""What a conversion takes for granted stands in its notes, as check tells it: the proof cannot see what is assumed."""

from __future__ import annotations

import numpy as np

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.checkpoints.onnx.written_out import K, N, arrays, cell, products, save, step
from tests.conformance.sets import keras_names, torch_names


def notes(source, to, **options):
    (converted,) = ls.convert(source, to, allow=("two-biases", "forget-bias"), **options).layers
    return [note for note in converted.adapted.notes if note.startswith("assumed ")]


def test_functions_that_no_tensor_tells():
    assert notes(keras_names(), "pytorch") == [
        "assumed activation = tanh",
        "assumed recurrent_activation = sigmoid",
        "assumed go_backwards = False",
    ]
    assert notes(torch_names(), "onnx") == []
    layer = ls.lstm(3, 4, gate_activation="hard_sigmoid(1/5, 1/2)")
    assert notes(keras_names(), "onnx", layer=layer, holds_options=True) == []  # somebody said it


def test_a_dialect_with_the_names_of_another():
    """Core ML's gates under Equinox's names: whoever converts them must hear it."""
    layer = ls.lstm(3, 4)
    tensors = get("coreml").pack(layer.random(0, "float32"), layer)
    assert notes(tensors, "pytorch") == [
        "assumed as equinox, gates i, f, g, o; coreml has the same names, gates i, f, o, g"
    ]
    assert notes(tensors, "pytorch", dialect="coreml") == [
        "assumed activations = sigmoid, tanh, tanh",
        "assumed no clip",
    ]


def test_a_cell_that_nodes_write_out(tmp_path):
    path = save(cell([*products(), *step("z", "c")], arrays()), tmp_path)
    assert notes(path, "pytorch") == [
        "assumed direction = forward: nodes that write a cell out are not asked which way they walk the time",
        "assumed initial state = zeros: they are not asked what they begin with",
    ]
    assert ls.read(path)[0].sizes == ls.lstm(N, K).sizes
    assert np.isfinite(ls.read(path)[1]["l0.W_i"]).all()
