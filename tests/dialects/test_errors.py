"""What a dialect cannot say, and tensors that do not fit: whole messages."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import dialects
from lstm_spec.errors import OptionError, TensorError

PYTORCH_TITLE = "torch.nn.LSTM and LSTMCell: gates i, f, g, o as rows; two biases or none; projection"
PYTORCH_KINDS = "weight_ih, weight_hh, bias_ih, bias_hh, weight_hr"
KERAS_TITLE = "keras.layers.LSTM: gates i, f, c, o as columns; one bias or none"
ONNX_TITLE = "the ONNX operator LSTM: gates i, o, f, c as rows; directions on an axis; two biases or none; peepholes"


def refusal(name, **options):
    layer = ls.lstm(3, 4, **options)
    with pytest.raises(OptionError) as caught:
        dialects.get(name).tensors(layer)
    with pytest.raises(OptionError):
        dialects.get(name).pack(layer.random(0), layer)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("pytorch", {"bias": "one"}, "pytorch has no place for b_i, b_f, b_g, b_o"),
        ("pytorch", {"bias": "two", "peephole": True}, "pytorch has no place for p_i, p_f, p_o"),
        ("pytorch", {"bias": "none", "coupled": "f=1-i"}, "pytorch has no place for W_i, U_i, W_g, U_g, W_o, U_o"),
        ("pytorch", {"bias": "two", "reverse": True}, "pytorch has no layer that only reads backwards"),
    ],
)
def test_pytorch_has_no_place(name, options, what):
    assert refusal(name, **options) == (
        f"error[dialect]: {what}\n  expected {PYTORCH_KINDS}\n  help     what pytorch can express: {PYTORCH_TITLE}"
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"bias": "two"}, "keras has no place for b_Wi, b_Ui, b_Wf, b_Uf, b_Wg, b_Ug, b_Wo, b_Uo"),
        ({"projection": 2}, "keras has no place for W_proj"),
        ({"layers": 2}, "keras has no layer of 2 cells on each other: every one is a layer of its own"),
        ({"bidirectional": True}, "keras has no layer in both directions: it joins two layers"),
    ],
)
def test_keras_has_no_place(options, what):
    assert refusal("keras", **options) == (
        f"error[dialect]: {what}\n"
        "  expected kernel, recurrent_kernel, bias\n"
        f"  help     what keras can express: {KERAS_TITLE}"
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"bias": "none", "projection": 2}, "onnx has no place for W_proj"),
        ({"bias": "none", "layers": 2}, "onnx has no layer of 2 cells on each other: every one is a layer of its own"),
    ],
)
def test_onnx_has_no_place(options, what):
    assert refusal("onnx", **options) == (
        f"error[dialect]: {what}\n  expected W, R, B, P\n  help     what onnx can express: {ONNX_TITLE}"
    )


def test_a_constant_would_be_lost():
    """A forget constant leaves no trace in tensors: the framework would compute something else from them."""
    layer = ls.lstm(3, 4, bias="two", forget_bias=1)
    with pytest.raises(OptionError) as caught:
        dialects.get("pytorch").pack(layer.random(0), layer)
    assert str(caught.value) == (
        "error[dialect]: pytorch computes another f\n"
        "  expected f = sigmoid(W_f x + b_Wf + U_f h + b_Uf)\n"
        "  found    f = sigmoid(W_f x + b_Wf + U_f h + b_Uf + 1)\n"
        f"  help     what pytorch can express: {PYTORCH_TITLE}"
    )
    own = dialects.get("lstm-spec").pack(layer.random(0), layer)
    assert len(own) == 16


def test_no_such_dialect():
    with pytest.raises(OptionError) as caught:
        dialects.get("tensor\x1bflow")
    assert str(caught.value) == (
        "error[dialect]: no dialect is called tensor\\x1bflow\n  help     lstm-spec dialects lists them"
    )
    with pytest.raises(OptionError) as caught:
        dialects.get("kers")
    assert str(caught.value) == (
        "error[dialect]: no dialect is called kers\n  help     did you mean keras? lstm-spec dialects lists them"
    )


@pytest.fixture
def tensors():
    layer = ls.lstm(3, 4, bias="two")
    return dialects.get("pytorch").pack(layer.random(0), layer)


def unpacking(tensors, layer, name="pytorch"):
    with pytest.raises(TensorError) as caught:
        dialects.get(name).unpack(tensors, layer)
    return str(caught.value)


def test_a_missing_tensor(tensors):
    del tensors["bias_hh_l0"]
    assert unpacking(tensors, ls.lstm(3, 4, bias="two")) == (
        "error[missing]: there is no tensor bias_hh_l0\n"
        "  expected (16,)\n"
        "  found    weight_ih_l0, weight_hh_l0, bias_ih_l0"
    )
    assert unpacking({}, ls.lstm(3, 4, bias="two")) == (
        "error[missing]: there is no tensor weight_ih_l0\n  expected (16, 3)\n  found    none"
    )


@pytest.mark.parametrize("wrong", [(16, 4), (15, 3), (3, 16), (16,), (1, 16, 3), ()])
def test_a_wrong_shape(tensors, wrong):
    tensors["weight_ih_l0"] = np.zeros(wrong)
    assert unpacking(tensors, ls.lstm(3, 4, bias="two")) == (
        f"error[shape]: weight_ih_l0 does not have the derived shape\n  expected (16, 3)\n  found    {wrong}"
    )


def test_a_tensor_that_the_layer_has_no_place_for(tensors):
    """Dropped in silence, two biases would be two biases less."""
    assert unpacking(tensors, ls.lstm(3, 4, bias="none")) == (
        "error[extra]: the layer has no place for bias_ih_l0, bias_hh_l0\n"
        "  expected weight_hh_l0, weight_ih_l0\n"
        "  help     choose options for which the layer has these tensors, or leave them out"
    )


def test_other_tensors_of_a_model_are_none_of_its_business(tensors):
    tensors |= {"head.weight": np.zeros((2, 4)), "decoder.weight_ih_l0": np.zeros(3), "kernel": np.zeros(2)}
    assert len(dialects.get("pytorch").unpack(tensors, ls.lstm(3, 4, bias="two"))) == 16


def test_weights_that_are_not_the_layers():
    layer = ls.lstm(3, 4, bias="two")
    weights = dict(layer.random(0))
    weights["l0.W_f"] = np.zeros((4, 2))
    with pytest.raises(TensorError) as caught:
        dialects.get("pytorch").pack(weights, layer)
    assert str(caught.value) == (
        "error[shape]: l0.W_f does not have the derived shape\n  expected (4, 3)\n  found    (4, 2)"
    )
    del weights["l0.W_f"]
    with pytest.raises(TensorError, match="missing: l0.W_f"):
        dialects.get("pytorch").pack(weights, layer)


def test_sizes_are_solved_from_the_weights():
    """A layer in letters is packed as the numbers in its weights."""
    weights = ls.lstm(3, 4, bias="two").random(0)
    packed = dialects.get("pytorch").pack(weights, ls.lstm("n", "k", bias="two"))
    assert packed["weight_ih_l0"].shape == (16, 3)


def test_unpacked_weights_are_not_cast():
    layer = ls.lstm(3, 4, bias="one")
    tensors = dialects.get("keras").pack(layer.random(0, "float32"), layer)
    before = {name: a.copy() for name, a in tensors.items()}
    weights = dialects.get("keras").unpack(tensors, layer)
    assert {a.dtype for a in weights.values()} == {np.dtype("float32")}
    assert all(np.array_equal(before[name], a) for name, a in tensors.items())


@pytest.mark.parametrize("name", sorted(dialects.DIALECTS))
def test_every_dialect_cites_a_source(name):
    known = dialects.get(name)
    assert known.source
    assert known.title
    assert known.name == name


ASSUMED = [
    ("pytorch", {"bias": "two"}, ()),
    (
        "keras",
        {"bias": "one"},
        ("activation = tanh", "recurrent_activation = sigmoid", "go_backwards = False"),
    ),
    (
        "onnx",
        {"bias": "two"},
        ("activations = Sigmoid, Tanh, Tanh", "no clip", "input_forget = 0", "direction = forward"),
    ),
    (
        "onnx",
        {"bias": "two", "bidirectional": True},
        ("activations = Sigmoid, Tanh, Tanh", "no clip", "input_forget = 0"),
    ),
    ("lstm-spec", {}, ("activations = sigmoid, tanh, tanh", "forget_bias = 0")),
    ("lstm-spec", {"coupled": "f=1-i"}, ("activations = sigmoid, tanh, tanh",)),
    (
        "lstm-spec",
        {"peephole": True},
        ("activations = sigmoid, tanh, tanh", "forget_bias = 0", "p_i and p_f see c, p_o sees c'"),
    ),
]


@pytest.mark.parametrize(("name", "options", "assumed"), ASSUMED)
def test_what_leaves_no_trace_is_assumed(name, options, assumed):
    assert dialects.get(name).assumptions(ls.lstm(3, 4, **options)) == assumed
