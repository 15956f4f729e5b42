"""A layer written as an ONNX model: ONNX's checker takes it, ONNX Runtime computes what we do, and it reads back."""

import numpy as np
import onnx
import onnxruntime
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints.onnx.writing import onnx_model
from lstm_spec.dialects.onnx_node import node_attributes
from lstm_spec.errors import LstmSpecError

T, B, N, K = 5, 2, 3, 4
OPTIONS = {
    "plain": {},
    "no bias": {"bias": "none"},
    "peepholes": {"peephole": True},
    "clip": {"clip": "0.25"},
    "coupled": {"coupled": "f=1-i", "peephole": True},
    "hard": {"gate_activation": "hard_sigmoid(0.2, 0.5)", "candidate_activation": "softsign"},
    "leaky": {"candidate_activation": "leaky_relu(0.1)", "output_activation": "elu(0.5)"},
    "relu": {"gate_activation": "hard_sigmoid(0.25, 0.75)", "output_activation": "relu", "clip": "3"},
}


def written(options, direction):
    layer = ls.lstm(N, K, **{"bias": "two"} | options).with_(direction=direction)
    return layer, layer.random(0).astype("float32")


@pytest.mark.parametrize("direction", ["forward", "reverse", "both"])
@pytest.mark.parametrize("case", OPTIONS)
def test_what_is_written_runs_and_reads_back(tmp_path, case, direction):
    layer, weights = written(OPTIONS[case], direction)
    data = onnx_model(layer, weights)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    x = 3 * np.random.default_rng(1).standard_normal((T, B, N)).astype("f4")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    y, h, c = session.run(None, {"X": x})
    ours, state = ls.compile(layer)(x, weights)
    assert np.abs(y.transpose(0, 2, 1, 3).reshape(ours.shape) - ours).max() <= 1e-6
    for number, member in enumerate(layer.members):
        assert np.abs(state[f"{member.prefix}.h"] - h[number]).max() <= 1e-6
        assert np.abs(state[f"{member.prefix}.c"] - c[number]).max() <= 1e-6
    (tmp_path / "m.onnx").write_bytes(data)
    assert ls.check(tmp_path / "m.onnx").ok
    again, read = ls.read(tmp_path / "m.onnx")
    assert again.cell == layer.cell
    assert again.direction == direction
    assert all(np.array_equal(read[name], weights[name]) for name in weights)


def test_the_same_bytes_every_time():
    layer, weights = written(OPTIONS["coupled"], "both")
    assert onnx_model(layer, weights) == onnx_model(layer, dict(reversed(list(weights.items()))))


def test_batch_first_is_said_and_doubles_stay_doubles(tmp_path):
    layer = ls.lstm(N, K, bias="two", layout="batch")
    weights = layer.random(0)
    data = onnx_model(layer, weights)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    (tmp_path / "m.onnx").write_bytes(data)
    again, read = ls.read(tmp_path / "m.onnx")
    assert again.layout == "batch"
    assert read["l0.W_i"].dtype == np.float64


def test_attributes():
    assert node_attributes(ls.lstm(N, K, bias="two")) == {"hidden_size": 4, "direction": "forward"}
    layer = ls.lstm(N, K, layout="batch", bidirectional=True, **OPTIONS["hard"], clip="0.5")
    assert node_attributes(layer) == {
        "hidden_size": 4,
        "direction": "bidirectional",
        "activations": ["HardSigmoid", "Softsign", "Tanh"] * 2,
        "activation_alpha": [float(np.float32(0.2))] * 2,
        "activation_beta": [0.5] * 2,
        "clip": 0.5,
        "layout": 1,
    }
    assert node_attributes(ls.lstm(N, K, coupled="f=1-i"))["input_forget"] == 1


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ls.lstm("n", 4), "error[size]: n must be numbers in an ONNX node\n  help     layer.at(n=5, k=10)"),
        (
            ls.lstm(N, K, forget_bias=1),
            "error[dialect]: onnx computes another f\n"
            "  expected f = sigmoid(W_f x + U_f h + b_f)\n"
            "  found    f = sigmoid(W_f x + U_f h + b_f + 1)",
        ),
        (
            ls.lstm(N, K, coupled="i=1-f"),
            "error[dialect]: onnx computes another i\n"
            "  expected i = sigmoid(W_i x + U_i h + b_i)\n"
            "  found    i = 1 - f",
        ),
        (
            ls.lstm(N, K, output_activation="identity"),
            "error[dialect]: onnx has no such activations\n"
            "  expected o, g and h' with sigmoid, tanh, relu, softsign, softplus, hard_sigmoid, leaky_relu, elu\n"
            "  found    o = sigmoid(W_o x + U_o h + b_o); g = tanh(W_g x + U_g h + b_g); h' = o * identity(c')",
        ),
        (
            ls.lstm(N, K, clip_cell=1),
            "error[dialect]: onnx computes another c'\n"
            "  expected c' = f * c + i * g\n"
            "  found    c' = clip(f * c + i * g, -1, 1)",
        ),
        (
            ls.Layer(ls.cells.get("gru"), n=N, k=K),
            "error[dialect]: onnx has no such activations\n"
            "  expected o, g and h' with sigmoid, tanh, relu, softsign, softplus, hard_sigmoid, leaky_relu, elu\n"
            "  found    g = tanh(W_g x + U_g (r * h) + b_g); h' = z * h + (1 - z) * g",
        ),
        (
            ls.lstm(N, K).with_(direction="reverse", realign=False),
            "error[dialect]: onnx gives reversed outputs in the order of the input\n  found    realign=False",
        ),
    ],
    ids=["letters", "forget constant", "other coupling", "identity", "clipped cell", "GRU", "not re-aligned"],
)
def test_what_the_operator_lacks_is_refused(layer, message):
    with pytest.raises(LstmSpecError) as caught:
        node_attributes(layer)
    assert str(caught.value) == message


def test_a_stack_and_one_bias_are_refused():
    stack, one = ls.lstm(N, K, layers=2, bias="two"), ls.lstm(N, K)
    with pytest.raises(LstmSpecError, match="onnx has no layer of 2 cells on each other"):
        onnx_model(stack, stack.random(0))
    with pytest.raises(LstmSpecError, match="onnx has no place for b_i, b_f, b_g, b_o"):
        onnx_model(one, one.random(0))
