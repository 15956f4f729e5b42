"""Traps of the equations, 1 to 18: gates, biases and constants in each other's place, each provoked for real.

A trap has the number under which it was collected (test_traps.py has the list). Whole messages are asserted where the
trap ends in a message, notes of `dialects show` where nothing can be measured.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.conformance.identification.test_identify_frameworks import onnx_step
from tests.conformance.recorded import onnx_as_torch
from tests.conformance.sets import drawn, keras_names, node_attributes, onnx_model, onnx_names, torch_names
from tests.conformance.trapped import TF1, B, K, N, named, notes, refused, told

torch = pytest.importorskip("torch", reason="torch is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras", reason="keras is not installed")


# ---- gates ----


def test_01_candidate_and_forget_gate_in_each_others_place(command):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    haiku = pytest.importorskip("haiku", reason="dm-haiku is not installed")
    x, h, c = (np.random.default_rng(0).standard_normal((B, width)).astype("float32") for width in (N, K, K))
    cell = haiku.without_apply_rng(haiku.transform(lambda *a: haiku.LSTM(K)(a[0], haiku.LSTMState(a[1], a[2]))))
    weights = cell.init(jax.random.PRNGKey(0), x, h, c)
    _, after = cell.apply(weights, x, h, c)
    step = {"x": x, "h": h, "c": c, "h1": np.asarray(after.hidden), "c1": np.asarray(after.cell)}
    w, b = (np.asarray(weights["lstm/linear"][name]) for name in "wb")
    as_keras = {"kernel": w[:N], "recurrent_kernel": w[N:], "bias": b}
    off, by_gate = told(as_keras, step)
    assert off == "as keras #, as tf1 ~0: the blocks are i, g, f, o; forget constant: 1, not 0"
    assert by_gate == "gate by gate, read as keras: i ~0, f #, g #, o ~0"
    assert "note      1 is added to the forget gate at every step and is in no tensor" in notes(command, "haiku")
    assert "note      j is the candidate: read as i, f, g, o the forget gate and the candidate change places" in notes(
        command, "tf1"
    )


def test_02_onnx_read_as_pytorch(command):
    off, by_gate = told(*onnx_as_torch())
    assert off == "as pytorch #, as onnx ~0: the blocks are i, o, f, g"
    assert by_gate == "gate by gate, read as pytorch: i ~0, f #, g #, o #"
    assert (
        "note      the rows are i, o, f, c: read as i, f, g, o three gates change places, and every shape fits"
        in notes(command, "onnx")
    )


def openvino_step(arrays, k):
    """One step of OpenVINO's LSTMSequence."""
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    rng = np.random.default_rng(1)
    ops, n = openvino.opset5, arrays["W"].shape[2]
    x, h, c = (rng.standard_normal((B, 1, width)).astype("float32") for width in (n, k, k))
    feeds = [ops.parameter(list(a.shape), np.float32) for a in (x, h, c)]
    constants = [ops.constant(np.ascontiguousarray(arrays[name])) for name in "WRB"]
    node = ops.lstm_sequence(*feeds, ops.constant(np.ones(B, np.int64)), *constants, k, "forward")
    model = openvino.Model([ops.result(out) for out in node.outputs()], feeds, "one")
    found = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x, h, c])
    h1, c1 = (np.array(found[i])[:, 0] for i in (1, 2))
    return {"x": x[:, 0], "h": h[:, 0], "c": c[:, 0], "h1": h1, "c1": c1}


def test_03_input_and_forget_gate_in_each_others_place(command):
    arrays = drawn({"W": (1, 4 * K, N), "R": (1, 4 * K, K), "B": (1, 4 * K)})
    arrays = {name: 2 * a for name, a in arrays.items()}
    step = openvino_step(arrays, K)
    as_equinox = dict(zip(("weight_ih", "weight_hh", "bias"), (a[0] for a in arrays.values()), strict=True))
    off, by_gate = told(as_equinox, step)
    assert off == "as equinox #, as openvino ~0: the blocks are f, i, g, o"
    assert by_gate == "gate by gate, read as equinox: i #, f #, g ~0, o ~0"
    first = "note      the forget gate stands first: read as i, f, g, o the input and the forget gate change places"
    assert first in notes(command, "openvino")


def test_06_peepholes_in_the_order_of_the_weights(command):
    arrays = {name: 2 * a for name, a in onnx_names(N, K, peephole=True).items()}
    step = onnx_step(arrays)
    i, o, f = np.split(arrays["P"][0], 3)
    wrong = arrays | {"P": np.concatenate([i, f, o])[None]}
    off, _ = told(wrong, step)
    assert off == "as onnx #, with peepholes i, f, o; o sees c' ~0"
    assert "note      P is i, o, f: not the order of W, R and B; its o sees c'" in notes(command, "onnx")


def test_07_the_output_gate_sees_the_old_state():
    said = {"order": "iofg", "bias": 2, "peephole": "vector", "peepholes": "iof", "sees": "c"}
    arrays, step = named(said, ("W", "R", "first", "second", "P"))
    arrays["B"] = np.concatenate([arrays.pop("first"), arrays.pop("second")])
    off, by_gate = told({name: a[None] for name, a in arrays.items()}, step)
    assert off == "as onnx #, with peepholes i, o, f; o sees c ~0"
    assert by_gate == "gate by gate, read as onnx: i ~0, f ~0, g ~0, o #"


def coupled_node(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(onnx_names(), node_attributes(input_forget=1)))
    return path


def test_08_which_gate_is_coupled(tmp_path, command):
    path = coupled_node(tmp_path)
    report = ls.check(path)
    assert report.ok
    assert "f  = 1 - i" in str(report.layers[0].layer.cell)
    assert report.layers[0].agreement.difference < 1e-5  # ONNX Runtime couples so
    (converted,) = ls.convert(path, "tf1-coupled", allow=("two-biases", "forget-bias")).layers
    assert converted.adapted.notes[0] == (
        "tf1-coupled couples the other way: f gets weights of its own, those of i negated (1 - sigmoid(z) is "
        "sigmoid(-z))"
    )
    note = "the gates are coupled i = 1 - f; ONNX Runtime, Burn and Greff et al. couple f = 1 - i"
    assert f"note      {note}" in notes(command, "tf1-coupled")


def test_09_options_that_another_reader_drops(tmp_path, command):
    """onnx.reference runs the node without its activations: a step that it recorded is not this node's."""
    from onnx.reference import ReferenceEvaluator

    arrays = {name: 3 * a for name, a in onnx_names().items()}
    h, c = np.random.default_rng(1).uniform(-1, 1, (2, 1, 2, 4)).astype("float32")
    arrays |= {"initial_h": h, "initial_c": c}
    attributes = node_attributes(activations=["HardSigmoid", "Tanh", "Tanh"])
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(arrays, attributes))
    assert ls.check(path).layers[0].agreement.difference < 1e-5
    x = np.random.default_rng(0).standard_normal((1, 2, 3)).astype("float32")
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("Y_h", 1, None))
    model.graph.output.append(onnx.helper.make_tensor_value_info("Y_c", 1, None))
    _, h1, c1 = ReferenceEvaluator(model).run(None, {"X": x})
    off, _ = told(path, {"x": x[0], "h": h[0], "c": c[0], "h1": h1[0], "c1": c1[0]})
    assert off == "as onnx #, with gate activation sigmoid ~0"
    note = "onnx.reference passes over clip, activations, sequence_lens and input_forget without an error"
    assert f"note      {note}" in notes(command, "onnx")
    assert refused(ls.convert, onnx_names(peephole=True), "openvino", allow=("two-biases",)).startswith(
        "error[dialect]: openvino has no place for p_i, p_f, p_o\n"
    )
    dropped = "note      its ONNX reader drops peepholes and input_forget without an error"
    assert dropped in notes(command, "openvino")


def clipped_node(tmp_path):
    path = tmp_path / "clip.onnx"
    path.write_bytes(onnx_model({name: 9 * a for name, a in onnx_names().items()}, node_attributes(clip=0.5)))
    return path


def test_10_what_a_clip_bounds(tmp_path, command):
    report = ls.check(clipped_node(tmp_path))
    assert report.ok
    assert "clip(W_i x + b_Wi + U_i h + b_Ui, -0.5, 0.5)" in str(report.layers[0].layer.cell)
    assert refused(ls.convert, clipped_node(tmp_path), "tf1", allow=("two-biases", "forget-bias")).startswith(
        f"error[dialect]: tf1 computes another i\n  at       {tmp_path}/clip.onnx : node\n"
        "  expected i = sigmoid(W_i x + U_i h + b_i)\n"
        "  found    i = sigmoid(clip(W_i x + U_i h + b_i, -0.5, 0.5))\n"
    )
    note = "clip bounds the gates' sums before the activation; TensorFlow 1 and TFLite clip the stored c"
    assert f"note      {note}" in notes(command, "onnx")


def tf1_arrays(forget=1):
    """A BasicLSTMCell's checkpoint, and a step of it."""
    said = {"order": "igfo", "form": "columns", "join": "xh", "forget": forget}
    return named(said, (f"{TF1}kernel", f"{TF1}bias"))


def test_11_a_clipped_state_that_is_stored():
    arrays, step = tf1_arrays()
    assert ls.check(arrays, step=step).ok
    assert "no cell_clip, no proj_clip" in ls.check(arrays).layers[0].assumed
    clipped = step | {"c1": np.clip(step["c1"], -0.3, 0.3)}
    (sentence,) = told(arrays, clipped)
    assert sentence == (
        "as tf1 #, and no convention that is known here agrees: the nearest misses by #"
        " (not tried: clipping, layer normalization, other activations)"
    )


# ---- biases ----


def test_12_a_forget_constant_missing_or_added_twice():
    arrays, step = tf1_arrays()
    report = ls.check(arrays, step=step)
    assert report.ok
    assert "  assumed forget_bias = 1, which is not in the file" in str(report).splitlines()
    stripped, step = named({"form": "columns", "forget": 1}, keras_names())
    off, by_gate = told(stripped, step)
    assert off == "as keras #, with forget constant 1 ~0"
    assert by_gate == "gate by gate, read as keras: i ~0, f #, g ~0, o ~0"
    off, by_gate = told(*tf1_arrays(forget=0))
    assert off == "as tf1 #, as tflite-basic ~0: forget constant: 0, not 1"
    assert refused(ls.convert, arrays, "keras") == (
        "error[loss]: keras cannot hold all of this layer as it is\n"
        "  at       arrays : rnn/basic_lstm_cell\n"
        "  because  the forget gate adds 1 at every step: keras gets it in the bias\n"
        "  help     --allow forget-bias, if that is agreed"
    )


def test_13_the_initial_bias_is_no_constant(keras, command):
    layer = keras.layers.LSTM(K)
    layer.build((1, 2, N))
    found, weights = ls.read(layer)
    assert (weights["l0.b_f"] == 1).all()
    assert str(found.cell.defined["f"]) == "f = sigmoid(W_f x + U_f h + b_f)"
    assert ls.check(layer).ok
    note = "note      unit_forget_bias adds 1 to the initial value only, never in the equation"
    assert note in notes(command, "keras")


def test_14_one_name_for_two_hard_sigmoids(tmp_path, keras):
    """An old file: read as its own Keras computes it, and said."""
    layer = keras.layers.LSTM(4, recurrent_activation=lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1))
    layer.build((None, None, 3))
    config = {"name": "lstm", "units": 4, "recurrent_activation": "hard_sigmoid", "activation": "tanh"}
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.2.4"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": config}]}}
        )
        for variable in layer.weights:
            file[f"model_weights/lstm/lstm/{variable.name}:0"] = variable.value.detach().cpu().numpy()
    report = ls.check(path)
    (finding,) = report.findings
    assert str(finding) == (
        "warning[hard-sigmoid]: recurrent_activation = hard_sigmoid is clip(0.2 z + 0.5, 0, 1) here,"
        " as in Keras 2.2.4\n"
        f"  at       {path} : lstm/lstm\n"
        "  because  under the same name, Keras 3 computes clip(z / 6 + 0.5, 0, 1): other numbers, no error\n"
        "  help     write the function out where the weights go: hard_sigmoid(1/5, 1/2) or hard_sigmoid(1/6, 1/2)"
    )
    own, weights = ls.read(path)
    x = 3 * np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    theirs = layer(keras.ops.convert_to_tensor(x)).detach().cpu().numpy()
    assert np.abs(ls.compile(own)(x, weights)[0][:, -1] - theirs).max() < 1e-5
    plain, step = named({"form": "columns", "gate": "hard_sigmoid(1/5, 1/2)"}, keras_names())
    off, _ = told(plain, step)
    assert off == "as keras #, with gate activation hard_sigmoid(1/5, 1/2) ~0"


def test_15_one_bias_or_two():
    reports = [ls.check(torch_names()), ls.check(keras_names())]
    assert [(r.layers[0].to_dict()["bias"], r.layers[0].to_dict()["parameters"]) for r in reports] == [
        ("two biases", "144"),
        ("one bias", "128"),
    ]
    assert refused(ls.convert, torch_names(), "keras") == (
        "error[loss]: keras cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  keras has one bias a gate: the two are summed\n"
        "  help     --allow two-biases, if that is agreed"
    )


def test_16_a_normalized_cell_is_no_plain_one():
    """Whether c is stored normalized, no tensor says: such a cell is not read as a plain one."""
    norms = {"kernel_norm": 4 * K, "recurrent_norm": 4 * K, "state_norm": K}
    shapes = {f"cell/{norm}/{part}": (size,) for norm, size in norms.items() for part in ("gamma", "beta")}
    tensors = keras_names("cell/", N, K) | drawn(shapes)
    report = ls.check(tensors, numbers=False)
    assert not report.ok
    assert [str(f) for f in report.findings] == [
        "error[unread]: cell/kernel_norm/gamma, cell/kernel_norm/beta, cell/recurrent_norm/gamma,"
        " cell/recurrent_norm/beta …: keras has no such tensor, and by its name it changes the equations\n"
        "  at       arrays : cell\n"
        "  expected keras.layers.LSTM: gates i, f, c, o as columns; one bias or none\n"
        "  help     describe the cell with --cell, its tensors under the names of its equations"
    ]
    peepholes = drawn({f"cell/{gate}_gate_peephole_weights": (K,) for gate in ("input", "forget", "output")})
    assert [f.code for f in ls.check(keras_names("cell/", N, K) | peepholes, numbers=False).findings] == ["unread"]
    contrib = {"kernel": (N + K, 4 * K)} | {f"{g}/{p}": (K,) for g in ("input", "state") for p in ("gamma", "beta")}
    assert not ls.check(drawn({f"rnn/layer_norm_basic_lstm_cell/{n}": s for n, s in contrib.items()})).ok


def test_18_a_bias_of_the_projection():
    layer = ls.lstm(3, 4, bias="two", projection=2, projection_bias=True)
    assert refused(get("pytorch").tensors, layer) == (
        "error[dialect]: pytorch has no place for b_proj\n"
        "  expected weight_ih, weight_hh, bias_ih, bias_hh, weight_hr\n"
        "  help     what pytorch can express: torch.nn.LSTM and LSTMCell: gates i, f, g, o as rows; two biases or none;"
        " projection"
    )
