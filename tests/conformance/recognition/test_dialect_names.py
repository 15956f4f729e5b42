"""Which names decide which dialect, where two could claim them, and what is said where none can."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS, get

N, K = 5, 3
OPTIONS = {
    "tf1": {"forget_bias": 1},
    "tf1-coupled": {"forget_bias": 1, "coupled": "i=1-f"},
    "haiku": {"forget_bias": 1},
}
OPTIONS |= {name: {"bias": "two"} for name in ("cudnn", "mxnet", "burn", "candle", "webnn", "pytorch", "tinygrad")}
OPTIONS |= {name: {"bias": "two"} for name in ("chainer-nstep", "tf-keras-cudnn", "onnx")}


def tensors_of(name, prefix="", **more):
    layer = ls.lstm(N, K, **(OPTIONS.get(name, {}) | more))
    return {prefix + own: a for own, a in get(name).pack(layer.random(0), layer).items()}


def conforms(tensors):
    try:
        return ls.check(tensors, numbers=False).ok
    except ls.LstmSpecError:  # there is no LSTM here
        return False


def found(tensors, dialect=None):
    report = ls.check(tensors, dialect=dialect, numbers=False)
    assert report.ok, str(report)
    return [layer.dialect for layer in report.layers]


PREFIXES = [
    ("flax", "params/LSTMCell_0/"),
    ("flax", "params.ScanLSTMCell_0."),
    ("flax-nnx", "rnn/cell/"),
    ("flax-nnx-optimized", "rnn.cell."),
    ("haiku", "lstm/"),
    ("haiku", "encoder/~/deep_lstm_1/"),
    ("tf1", "rnn/basic_lstm_cell/"),
    ("tf1", "model/rnn/multi_rnn_cell/cell_0/lstm_cell/"),
    ("tf1", "bidirectional_rnn/fw/lstm_cell/"),
    ("tf1-coupled", "rnn/coupled_input_forget_gate_lstm_cell/"),
    ("equinox", "cell."),
    ("equinox", ""),
    ("mlx", "encoder.rnn."),
    ("keras", "lstm/lstm_cell/"),
    ("pytorch", "encoder.rnn."),
    ("mxnet", "lstm0_"),
    ("mxnet", "arg:lstm0_"),
    ("madmom", "fwd_layer."),
    ("sonnet", "lstm/"),
    ("lasagne", ""),
    ("chainer", "l1/"),
    ("chainer-nstep", ""),
    ("chainer-nstep", "predictor/rnn/"),
    ("burn", "encoder."),
    ("tflite", ""),
    ("kaldi", "lstm1."),
    ("kaldi-fast", "lstm1."),
    ("embarc-mli", ""),
    ("matlab", ""),
    ("webnn", ""),
    ("onednn", ""),
]
PEEPHOLED = {"kaldi-fast": {"peephole": True}}


@pytest.mark.parametrize(("name", "prefix"), PREFIXES)
def test_the_names_decide(name, prefix):
    """And the sizes are solved, from fused tensors too: 4k columns, n + k rows."""
    tensors = tensors_of(name, prefix, **PEEPHOLED.get(name, {}))
    assert found(tensors) == [name]
    layer, weights = ls.read(tensors)
    assert {letter: int(size) for letter, size in layer.sizes.items()} == {"n": N, "k": K}
    expected = ls.lstm(N, K, **(OPTIONS.get(name, {}) | PEEPHOLED.get(name, {})))
    assert layer.cell == expected.cell
    assert all(np.array_equal(weights[part], a) for part, a in expected.random(0).items())


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.directions == "axis"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_axis_of_directions_decides(name, bidirectional):
    """In oneDNN it is the second one, behind the layers."""
    tensors = tensors_of(name, bidirectional=bidirectional)
    assert found(tensors, name) == [name]
    layer, _ = ls.read(tensors, dialect=name)
    assert layer.direction == ("both" if bidirectional else "forward")


def test_keras_weights_with_the_names_of_their_variables():
    assert found({f"{name}:0": a for name, a in tensors_of("keras", "lstm/lstm_cell/").items()}) == ["keras"]


def test_sonnet_weights_with_the_names_of_a_checkpoint():
    """TensorFlow 2 saves a module by its attributes, of which the matrices' begin with an underscore."""
    names = {"w_i": "_w_i", "w_h": "_w_h", "b": "b"}
    tensors = tensors_of("sonnet")
    assert set(tensors) == set(names)
    saved = {f"agent/lstm/{names[name]}/.ATTRIBUTES/VARIABLE_VALUE": a for name, a in tensors.items()}
    assert found(saved) == ["sonnet"]


ASKED = [name for name, dialect in DIALECTS.items() if dialect.is_asked_for]


@pytest.mark.parametrize("name", ASKED)
def test_names_that_say_too_little_are_read_when_asked(name):
    tensors = tensors_of(name)
    assert found(tensors, name) == [name]
    layer, weights = ls.read(tensors, dialect=name)
    expected = ls.lstm(N, K, **OPTIONS.get(name, {}))
    assert layer.cell == expected.cell
    assert all(np.array_equal(weights[part], a) for part, a in expected.random(0).items())


SAME = {"tf-keras": "keras", "tinygrad": "pytorch", "candle": "pytorch"}  # one packing, two names
SAME |= {name: name for name in ("openvino", "tf-keras-cudnn")}  # ONNX's and Keras' names, and shapes of their own


@pytest.mark.parametrize("name", ASKED)
def test_unasked_they_are_never_read_as_something_else(name):
    tensors = tensors_of(name)
    if name not in SAME:
        assert not conforms(tensors)
    else:
        assert found(tensors) == [SAME[name]]
        _, weights = ls.read(tensors)
        expected = ls.lstm(N, K, **OPTIONS.get(name, {})).random(0)
        assert all(np.array_equal(weights[part], a) for part, a in expected.items())


def test_the_bias_tells_equinox_from_pytorch():
    equinox = tensors_of("equinox", "cell.")
    torch = {f"cell.{name}": a for name, a in tensors_of("tinygrad").items()}
    assert found(equinox) == ["equinox"]
    assert found(torch) == ["pytorch"]
    report = ls.check(torch | {"cell.bias": np.zeros(7)}, numbers=False)  # a neighbour of PyTorch's four
    assert ([layer.dialect for layer in report.layers], report.other) == (["pytorch"], ("cell.bias",))
    both = {"a." + n.removeprefix("cell."): a for n, a in equinox.items()} | torch
    assert sorted(found(both)) == ["equinox", "pytorch"]


def test_one_bias_too_few_is_no_equinox():
    torch = {f"cell.{name}": a for name, a in tensors_of("tinygrad").items()}
    renamed = {("cell.bias" if n == "cell.bias_ih" else n): a for n, a in torch.items()}
    report = ls.check(renamed, numbers=False)
    assert not report.ok
    assert [f.code for f in report.findings] == ["missing"]


def test_core_ml_has_a_peephole_that_equinox_has_not():
    assert found(tensors_of("coreml", peephole=True)) == ["coreml"]


def test_a_keras_layer_without_its_recurrent_kernel_is_no_tensorflow_1():
    for n in (5, 40):  # 40 rows would be n + k of another layer
        tensors = {"lstm/lstm_cell/kernel": np.zeros((n, 12)), "lstm/lstm_cell/bias": np.zeros(12)}
        alone = ls.check(tensors, numbers=False)  # then its shapes have two readings, and none is chosen
        assert (alone.layers, [f.code for f in alone.findings]) == ((), ["ambiguous"])
        report = ls.check(tensors | tensors_of("mlx", "other."), numbers=False)
        assert (report.ok, [f.code for f in report.findings]) == (False, ["unread"])
        assert "lstm/lstm_cell/kernel looks recurrent by its name, and no dialect reads it" in str(report)


def test_a_dense_layer_beside_an_lstm_is_no_tensorflow_1():
    tensors = tensors_of("tf1", "rnn/basic_lstm_cell/") | {"dense/kernel": np.zeros((3, 2)), "dense/bias": np.zeros(2)}
    report = ls.check(tensors, numbers=False)
    assert ([layer.dialect for layer in report.layers], report.other) == (["tf1"], ("dense/kernel", "dense/bias"))


OLDER = {
    "weights": {"kernel": "weights", "bias": "biases"},
    "Linear": {"kernel": "Linear/Matrix", "bias": "Linear/Bias"},
}


@pytest.mark.parametrize("words", OLDER)
def test_older_names_of_tensorflow_1(words):
    scope = {"weights": "rnn/basic_lstm_cell/", "Linear": "RNN/BasicLSTMCell/"}[words]
    tensors = {scope + OLDER[words][name]: a for name, a in tensors_of("tf1").items()}
    assert found(tensors) == ["tf1"]
    _, weights = ls.read(tensors)
    assert np.array_equal(weights["l0.W_f"], ls.lstm(N, K, forget_bias=1).random(0)["l0.W_f"])


def test_a_projection_of_tensorflow_1_is_part_of_its_cell():
    tensors = tensors_of("tf1", "rnn/lstm_cell/", projection=2, peephole=True)
    assert "rnn/lstm_cell/projection/kernel" in tensors
    report = ls.check(tensors, numbers=False)
    assert report.ok, str(report)
    assert len(report.layers[0].tensors) == 6
    sizes = {letter: int(size) for letter, size in report.layers[0].layer.sizes.items()}
    assert sizes == {"n": N, "r": 2, "k": K}


@pytest.mark.parametrize(
    "name", ["flax", "flax-nnx", "lasagne", "burn", "madmom", "cmsis-nn", "kaldi", "equinox", "haiku"]
)
def test_a_dropped_tensor_is_never_passed_over(name):
    prefix = "lstm/" if name == "haiku" else ""
    tensors = tensors_of(name, prefix)
    for dropped in tensors:
        left = {n: a for n, a in tensors.items() if n != dropped}
        without = name == "equinox" and dropped == "bias"  # use_bias=False: the same as PyTorch's
        assert conforms(left) == without, dropped


@pytest.mark.parametrize(
    ("names", "where"),
    [
        ({"Wx": (9, 5), "Wh": (9, 3), "b": (9,), "bhn": (3,)}, "mlx"),
        ({"dense_i.kernel": (5, 9), "dense_h.kernel": (3, 9), "dense_h.bias": (9,)}, "flax-nnx-optimized"),
        ({"InputWeights": (9, 5), "RecurrentWeights": (9, 3), "Bias": (9, 1)}, "matlab"),
    ],
)
def test_a_gru_is_told_apart(names, where):
    report = ls.check({f"cell.{name}": np.zeros(shape) for name, shape in names.items()}, numbers=False)
    assert (report.ok, report.layers) == (False, ())
    assert report.findings[0].message == "cell is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"


def test_a_fused_kernel_that_does_not_fit_is_blamed():
    tensors = tensors_of("haiku", "lstm/") | {"lstm/linear/b": np.zeros(16)}
    report = ls.check(tensors, numbers=False)
    assert [str(f) for f in report.findings] == [
        "error[tie]: the tensors of lstm do not agree on k, and no side has the majority\n"
        "  at       arrays : lstm\n"
        "  found    k = 3 from lstm/linear/w; k = 4 from lstm/linear/b\n"
        "  help     one of these tensors has a wrong shape"
    ]
    narrow = {"lstm/linear/w": np.zeros((3, 12)), "lstm/linear/b": np.zeros(12)}  # no row is left for x
    assert not ls.check(narrow, numbers=False).ok


def test_unnamed_fused_arrays_have_every_reading():
    tensors = {"arr_0": np.zeros((8, 12)), "arr_1": np.zeros(12)}
    (finding,) = ls.check(tensors, numbers=False).findings
    assert (finding.code, finding.found) == (
        "ambiguous",
        "tf1, n = 5, k = 3: arr_0 = kernel, arr_1 = bias\nhaiku, n = 5, k = 3: arr_0 = linear/w, arr_1 = linear/b\n"
        "tf1-coupled, n = 4, k = 4: arr_0 = W_0, arr_1 = B",
    )


def test_the_same_tensor_twice_is_said():
    tensors = tensors_of("flax", "params/") | {"params/hi.kernel": np.zeros((3, 3))}
    report = ls.check(tensors, numbers=False)
    assert [f.code for f in report.findings] == ["names"]


ASSUMED = [
    ("tf1", "rnn/basic_lstm_cell/", "forget_bias = 1, which is not in the file"),
    ("haiku", "lstm/", "forget_bias = 1, which is not in the file"),
    ("tflite", "", "no cell_clip, no proj_clip"),
    ("webnn", "", "layout = iofg"),
    ("kaldi", "", "delay = -1"),
    ("kaldi", "", "decay-time = -1"),
]


@pytest.mark.parametrize(("name", "prefix", "text"), ASSUMED)
def test_the_report_says_what_no_tensor_can(name, prefix, text):
    report = ls.check(tensors_of(name, prefix))
    assert text in report.layers[0].assumed
    assert f"assumed {text}" in str(report)
    assert f"not compared: no {name} is run here" in str(report)
