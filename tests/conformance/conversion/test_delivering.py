"""The file that a conversion goes into: which suffixes fit, what stands beside the tensors, and what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.cells.recovering import recover_options
from lstm_spec.conformance.conversion.delivering import DELIVERIES
from lstm_spec.dialects import DIALECTS, get
from tests.conformance.sets import torch_names

ALLOWED = ("two-biases", "forget-bias")


def own(**options):
    layer = ls.lstm(3, 4, **options)
    return layer, get("lstm-spec").pack(layer.random(0, "float32"), layer)


def refusal(*arguments, **options):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(*arguments, **options)
    return str(caught.value)


def test_every_dialect_of_a_suffix_is_one():
    assert all(name in DIALECTS for kind in DELIVERIES.values() for name in kind.dialects)


REFUSED = {
    ("keras", "x.onnx"): (
        "error[output]: a *.onnx file holds no tensors of keras\n"
        "  at       x.onnx\n"
        "  expected *.npz, *.safetensors, *.weights.h5, *.h5\n"
        "  help     another suffix, or --to onnx"
    ),
    ("haiku", "x.MSGPACK"): (
        "error[output]: a *.msgpack file holds no tensors of haiku\n"
        "  at       x.MSGPACK\n"
        "  expected *.npz, *.safetensors\n"
        "  help     another suffix, or --to flax or --to flax-nnx or --to flax-nnx-optimized"
    ),
    ("pytorch", "x.tflite"): (
        "error[output]: x.tflite names no format that is written\n  expected *.npz, *.safetensors, *.pt, *.pth"
    ),
    (
        "pytorch",
        "pt",
    ): "error[output]: pt names no format that is written\n  expected *.npz, *.safetensors, *.pt, *.pth",
}


@pytest.mark.parametrize(("to", "path"), REFUSED)
def test_a_suffix_that_does_not_fit(tmp_path, monkeypatch, to, path):
    monkeypatch.chdir(tmp_path)
    assert refusal(torch_names(), to, allow=ALLOWED, output=path) == REFUSED[to, path]
    assert os.listdir() == []


@pytest.mark.parametrize("suffix", DELIVERIES)
def test_each_format_is_read_back_and_is_the_same_model(tmp_path, suffix):
    """Two layers that are no stack, the same bytes twice."""
    given = torch_names("a.", both=True) | torch_names("b.", n=6)
    to = (DELIVERIES[suffix].dialects or ("pytorch",))[0]
    paths = [tmp_path / f"{i}{suffix}" for i in range(2)]
    for path in paths:
        ls.convert(given, to, allow=ALLOWED, output=str(path))
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    comparison = ls.compare(given, paths[0])
    assert comparison.ok, str(comparison)
    assert len(comparison.pairs) == 3


def test_nothing_is_written_when_a_loss_is_refused(tmp_path):
    refusal(torch_names(), "keras", output=str(tmp_path / "x.h5"))
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_there_is_not():
    assert refusal(torch_names(), "keras", allow=["two-bias"]) == (
        "error[allow]: no loss is called two-bias\n"
        "  expected two-biases, forget-bias, options, merge, initial-state, lengths"
    )


def test_a_second_bias_of_zeros_is_no_loss():
    given = torch_names()
    given["bias_hh_l0"] = np.zeros_like(given["bias_hh_l0"])
    made = ls.convert(given, "keras")
    assert made.layers[0].adapted.notes == (
        "keras has one bias a gate: the second of two is all zeros here, and nothing is lost",
    )
    back = ls.convert(made.tensors, "pytorch").tensors
    assert all(np.array_equal(back[name], given[name]) for name in given)


# ---- options ----


def test_options_beside_tensors():
    layer, tensors = own(gate_activation="hard_sigmoid(1/5, 1/2)")
    assert refusal(tensors, "onnx", layer=layer) == (
        "error[loss]: onnx cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  gate_activation = hard_sigmoid(1/5, 1/2): onnx holds this beside its tensors, and only tensors are "
        "written; a *.onnx file holds both\n"
        "  help     --allow options, if that is agreed"
    )


@pytest.mark.parametrize("to", ["keras", "tf-keras"])
@pytest.mark.parametrize("function", ["relu", "identity", "softsign", "elu(1)", "leaky_relu(0.2)"])
def test_keras_holds_one_activation_of_g_and_h_beside_its_tensors(to, function):
    layer, tensors = own(candidate_activation=function, output_activation=function)
    found = str(recover_options(layer.cell).candidate_activation)
    assert refusal(tensors, to, layer=layer) == (
        f"error[loss]: {to} cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        f"  because  candidate_activation = {found}, output_activation = {found}: {to} holds this beside its tensors, "
        "and only tensors are written\n"
        "  help     --allow options, if that is agreed"
    )
    made = ls.convert(tensors, to, layer=layer, allow="options")
    assert [loss.name for loss in made.losses] == ["options"]


EQUATIONS = {
    ("keras", "output_activation", "relu"): (
        "error[dialect]: keras computes another h'\n"
        "  at       arrays\n"
        "  expected h' = o * tanh(c')\n"
        "  found    h' = o * relu(c')\n"
    ),
    ("pytorch", "gate_activation", "hard_sigmoid(1/5, 1/2)"): (
        "error[dialect]: pytorch computes another i\n"
        "  at       arrays\n"
        "  expected i = sigmoid(W_i x + b_Wi + U_i h + b_Ui)\n"
        "  found    i = hard_sigmoid(W_i x + b_Wi + U_i h + b_Ui, 1/5, 1/2)\n"
    ),
    ("onnx", "clip_cell", "3"): (
        "error[dialect]: onnx computes another c'\n"
        "  at       arrays\n"
        "  expected c' = f * c + i * g\n"
        "  found    c' = clip(f * c + i * g, -3, 3)\n"
    ),
    ("onnx", "projection", 2): (
        "error[dialect]: onnx has no place for W_proj\n  at       arrays\n  expected W, R, B, P\n"
    ),
    ("pytorch", "reverse", True): (
        "error[dialect]: pytorch has no layer that only reads backwards\n"
        "  at       arrays\n"
        "  expected weight_ih, weight_hh, bias_ih, bias_hh, weight_hr\n"
    ),
}


@pytest.mark.parametrize(("to", "option", "value"), EQUATIONS)
def test_what_the_target_computes_otherwise(to, option, value):
    layer, tensors = own(**{option: value})
    message = refusal(tensors, to, layer=layer, allow=(*ALLOWED, "options"))
    title = f"  help     what {to} can express: {get(to).title}"
    assert message == EQUATIONS[to, option, value] + title


def test_peepholes_of_onnx_in_tensorflow_1_and_back():
    """ONNX has them as i, o, f in one vector, TensorFlow 1 each in its own."""
    layer = ls.lstm(3, 4, bias="two", peephole=True)
    given = get("onnx").pack(layer.random(0, "float32"), layer)
    there = ls.convert(given, "tf1", allow=ALLOWED)
    i, o, f = np.split(given["P"][0], 3)
    for gate, values in {"i": i, "o": o, "f": f}.items():
        np.testing.assert_array_equal(there.tensors[f"rnn/lstm_cell/w_{gate}_diag"], values)
    back = ls.convert(there.tensors, "onnx", dialect="tf1", allow=ALLOWED).tensors
    np.testing.assert_array_equal(next(a for name, a in back.items() if name.endswith("P")), given["P"])


def test_projection_of_pytorch_in_tensorflow_1_and_back():
    given = torch_names(projection=2)
    there = ls.convert(given, "tf1", allow=ALLOWED).tensors
    np.testing.assert_array_equal(there["rnn/lstm_cell/projection/kernel"], given["weight_hr_l0"].T)
    back = ls.convert(there, "pytorch", allow=ALLOWED).tensors
    for name in ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0"):
        np.testing.assert_array_equal(next(a for n, a in back.items() if n.endswith(name)), given[name])


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_a_layer_of_a_keras_archive_with_hard_sigmoid(tmp_path):
    """The configuration says the activation, the node's attributes hold it, ONNX Runtime computes the same."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    lstm = keras.layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True, name="enc")
    model = keras.Sequential([keras.layers.Input((7, 3)), lstm])
    model.save(tmp_path / "m.keras")
    ls.convert(tmp_path / "m.keras", "onnx", output=str(tmp_path / "m.onnx"))
    x = np.random.default_rng(0).standard_normal((7, 2, 3)).astype("float32")
    theirs = model(keras.ops.convert_to_tensor(x.swapaxes(0, 1))).detach().cpu().numpy().swapaxes(0, 1)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["Y"], {"X": x})[0][:, 0], theirs, rtol=0, atol=2e-6)
    message = refusal(tmp_path / "m.keras", "pytorch")
    assert message.startswith(f"error[dialect]: pytorch computes another i\n  at       {tmp_path}/m.keras : ")


def test_a_backward_layer_says_so_in_a_node_and_nowhere_else(tmp_path):
    layer, tensors = own(reverse=True)
    in_node = ls.convert(tensors, "onnx", layer=layer, output=str(tmp_path / "x.onnx"))
    assert not any("backwards" in note for note in in_node.layers[0].adapted.notes)
    assert ls.read(tmp_path / "x.onnx")[0].direction == "reverse"
    in_keras = ls.convert(tensors, "keras", layer=layer)
    assert in_keras.layers[0].adapted.notes == ("it reads backwards, which no tensor of keras says",)
