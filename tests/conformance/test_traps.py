"""The 39 ways to get a wrong result in silence: each one provoked for real, and the words that the tool has for it.

A trap has the number under which it was collected; those of systems that are not run here are in `LEFT_OUT`, with the
reason. Whole messages are asserted where the trap ends in a message, notes of `dialects show` where nothing can be
measured.
"""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.conformance.conventions import record
from tests.conformance.recorded import one_step, onnx_as_torch
from tests.conformance.sets import drawn, keras_names, node_attributes, onnx_model, onnx_names, torch_names
from tests.conformance.test_identify_frameworks import flax_step, onnx_step

torch = pytest.importorskip("torch", reason="torch is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

N, K, B = 5, 6, 3
TF1 = "rnn/basic_lstm_cell/"
LEFT_OUT = {
    4: "blocks that lie unit by unit: Chainer and SRU, read from their sources; identify tells them (test_identify)",
    5: "Chainer's NStepLSTM: its code is followed, not its documentation (dialects show chainer-nstep)",
    17: "TFLite's bias after the normalization: read from its sources (test_tflite_operators)",
    29: "zoneout of MXNet and Chainer, at training: no dialect holds it",
    32: "Kaldi's delay is assumed to be -1, and said to be (test_dialect_names)",
    33: "QRNN is no LSTM and no dialect",
    34: "Lasagne 0.1: read from its sources (dialects show lasagne)",
    35: "Udacity's cell is one of the catalogue, and no dialect",
    38: "quantized kernels of CMSIS-NN and TFLite: read from their sources (dialects show cmsis-nn)",
}


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras", reason="keras is not installed")


def test_every_trap_is_here_or_left_out():
    tested = {int(number) for name in globals() for number in re.findall(r"^test_(\d\d)_", name)}
    assert tested | set(LEFT_OUT) == set(range(1, 40))
    assert not tested & set(LEFT_OUT)


def named(said, names, n=N, k=K):
    """The arrays of a convention under some names, and a step that it computed."""
    arrays, step = record(n, k, said)
    return dict(zip(names, arrays.values(), strict=True)), step


def measured(text):
    """The text with every small number as ~0 and every other as #."""
    text = re.sub(r"(?<![\w./])\d+(?:\.\d+)?e-\d+\b|(?<=[ifgo] )0(?=[,:]|$)", "~0", text, flags=re.MULTILINE)
    return re.sub(r"(?<![\w.])\d+\.\d+\b|(?<=\w )\d+(?=, (?:as|otherwise|with) )", "#", text)


def told(arrays, step, **options):
    """What check says of a recorded step, after the dialect's title."""
    report = ls.check(arrays, step=step, **options)
    assert not report.ok
    (finding,) = (f for f in report.findings if f.severity == "error")
    assert finding.code == "numbers"
    return [measured(line) for line in finding.because.splitlines()[1:]]


def notes(command, name):
    """What `dialects show` says."""
    outcome = command("dialects", "show", name)
    assert outcome.code == 0
    return outcome.out.splitlines()


def refused(call, *arguments, **options):
    with pytest.raises(ls.LstmSpecError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def torch_arrays(module):
    return {name: a.detach().numpy() for name, a in module.named_parameters()}


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
    assert refused(ls.convert, path, "tf1-coupled", allow=("two-biases", "forget-bias")) == (
        "error[dialect]: tf1-coupled does not couple gates so\n"
        f"  at       {path} : node\n"
        "  expected i = 1 - f\n"
        "  found    f = 1 - i\n"
        "  help     what tf1-coupled can express: CoupledInputForgetGateLSTMCell of TensorFlow 1:"
        " a kernel on [x, h], gates j, f, o as columns; i = 1 - f"
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


# ---- shapes and states ----


def test_19_a_projection_makes_the_states_unequal():
    live = torch.nn.LSTM(3, 5, num_layers=2, proj_size=2)
    shapes = {row.name: row.numbers for row in ls.check(live, numbers=False).layers[0].tensors}
    assert (shapes["weight_hh_l0"], shapes["weight_ih_l1"], shapes["weight_hr_l0"]) == ((20, 2), (20, 2), (2, 5))
    assert ls.check(live, (7, 2, 3), (2, 2, 2), (2, 2, 5), numbers=False).ok
    swapped = ls.check(live, (7, 2, 3), (2, 2, 5), (2, 2, 2), numbers=False)
    assert [str(f) for f in swapped.findings] == [
        "error[state]: h does not fit\n"
        "  at       LSTM : h\n"
        "  expected (L·D, B, width) = (2, 2, 2)\n"
        "  found    (2, 2, 5)\n"
        "  because  the other state has that width: h and c look swapped",
        "error[state]: c does not fit\n"
        "  at       LSTM : c\n"
        "  expected (L·D, B, width) = (2, 2, 5)\n"
        "  found    (2, 2, 2)\n"
        "  because  the other state has that width: h and c look swapped",
    ]


def test_20_a_state_with_the_batch_first():
    live = torch.nn.LSTM(3, 4, num_layers=2, batch_first=True)
    (finding,) = ls.check(live, (5, 7, 3), (5, 2, 4), numbers=False).findings
    assert str(finding) == (
        "error[state]: h does not fit\n"
        "  at       LSTM : h\n"
        "  expected (L·D, B, width) = (2, 5, 4)\n"
        "  found    (5, 2, 4)\n"
        "  because  its first axis counts samples: batch_first moves x, never the state\n"
        "  help     h.transpose(0, 1)"
    )
    (warning,) = ls.check(live, (2, 7, 3), (2, 2, 4), numbers=False).findings
    assert str(warning) == (
        "warning[state-square]: h has as many samples as the layer has cells, 2\n"
        "  at       LSTM : h\n"
        "  expected (L·D, B, width) = (2, 2, 4)\n"
        "  because  a batch-first state has the same shape here, and would be taken in silence\n"
        "  help     be sure that the first axis of h counts cells, the second samples"
    )


def test_21_the_last_step_of_both_directions(keras, command):
    """PyTorch's out[-1] is not what ended in each direction; our `output="last"` is."""
    torch.manual_seed(0)
    live = torch.nn.LSTM(N, K, bidirectional=True)
    x = np.random.default_rng(0).standard_normal((7, B, N)).astype("float32")
    with torch.no_grad():
        y, (h, _) = live(torch.from_numpy(x))
    layer, weights = ls.read(live)
    last = ls.compile(layer.with_(output="last"))(x, weights)[0]
    ended = np.concatenate(list(h.numpy()), axis=-1)
    assert np.abs(last - ended).max() < 1e-6
    assert np.abs(y[-1].numpy() - ended)[:, K:].max() > 0.01
    note = "out[-1] of a bidirectional layer holds the first step of the reverse direction; its last is in h_n"
    assert f"note      {note}" in notes(command, "pytorch")
    both = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))
    batch = keras.ops.convert_to_tensor(x.swapaxes(0, 1))
    sequence = both(batch).detach().numpy()
    both.backward_layer.return_sequences = both.forward_layer.return_sequences = both.return_sequences = False
    alone = both(batch).detach().numpy()
    assert np.abs(sequence[:, -1] - alone)[:, 4:].max() > 0.01
    assert np.abs(sequence[:, 0] - alone)[:, 4:].max() < 1e-6
    note = "y[:, -1] of a Bidirectional holds the first step of the backward layer, unless return_sequences is off"
    assert f"note      {note}" in notes(command, "keras")


def test_22_the_order_of_a_reversed_output(keras, command):
    live = keras.layers.LSTM(K, go_backwards=True, return_sequences=True)
    x = np.random.default_rng(0).standard_normal((B, 7, N)).astype("float32")
    theirs = live(keras.ops.convert_to_tensor(x)).detach().numpy()
    layer, weights = ls.read(live)
    assert np.abs(ls.compile(layer)(x, weights)[0] - theirs).max() < 1e-5
    assert np.abs(ls.compile(layer.with_(realign=True))(x, weights)[0] - theirs).max() > 0.01
    for name in ("keras", "flax", "flax-nnx", "tf-keras"):
        assert "reverse   its output stays reversed" in notes(command, name)
    for name in ("pytorch", "onnx", "openvino"):
        assert "reverse   its output is in the order of the input" in notes(command, name)


def test_23_padding_without_lengths(command):
    """PyTorch's reverse direction runs through the padding first, unless the sequence is packed."""
    from torch.nn.utils import rnn

    torch.manual_seed(0)
    live = torch.nn.LSTM(N, K, bidirectional=True)
    x, lengths = np.random.default_rng(0).standard_normal((7, B, N)).astype("float32"), [7, 3, 1]
    with torch.no_grad():
        loose = live(torch.from_numpy(x))[0].numpy()
        packed = live(rnn.pack_padded_sequence(torch.from_numpy(x), lengths))[0]
        packed = rnn.pad_packed_sequence(packed)[0].numpy()
    layer, weights = ls.read(live)
    run = ls.compile(layer)
    assert np.abs(run(x, weights, lengths=lengths)[0] - packed).max() < 1e-6
    assert np.abs(run(x, weights)[0] - loose).max() < 1e-6
    assert np.abs(loose[0, 2, K:] - packed[0, 2, K:]).max() > 0.01
    for name, text in {
        "pytorch": "zero (pad_packed_sequence); without packing the reverse direction starts in the padding",
        "keras": "repeats the last output; zero with zero_output_for_mask",
        "flax": "runs on: outputs behind the end are no zeros",
    }.items():
        assert f"padding   {text}" in notes(command, name)


def test_24_a_first_step_that_is_masked_out(keras, command):
    """On torch its output is 0, whatever h0 is; the numbers are held in test_keras_masks."""
    live = keras.layers.LSTM(4, return_sequences=True)
    arrays = (np.ones((1, 2, 3)), np.full((1, 4), 0.5), np.full((1, 4), 0.5))
    x, h, c = (keras.ops.convert_to_tensor(a, dtype="float32") for a in arrays)
    mask = keras.ops.convert_to_tensor([[False, True]])
    y = live(x, initial_state=[h, c], mask=mask).detach().numpy()
    assert not y[0, 0].any()
    note = "where the first step is masked out, its output is h0 on NumPy and JAX, 0 on torch"
    assert f"note      {note}" in notes(command, "keras")


def test_25_states_in_each_others_place(command):
    """Flax carries (c, h): taken as (h, c) the shapes are the same."""
    arrays, step = flax_step()
    assert ls.check(arrays, step=step).ok
    turned = {"x": step["x"], "h": step["c"], "c": step["h"], "h1": step["c1"], "c1": step["h1"]}
    assert told(arrays, turned)[0] == "as flax #, otherwise ~0: h and c change places"
    for name in ("flax", "flax-nnx", "tf1"):
        assert "state     c, h" in notes(command, name)
    for name in ("pytorch", "keras", "onnx", "haiku"):
        assert "state     h, c" in notes(command, name)


def test_26_the_axis_of_the_directions(tmp_path, command):
    """Y is (T, D, B, k): a reshape alone fits, and mixes samples with directions."""
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(onnx_names(d=2), node_attributes(direction="bidirectional")))
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    (y,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"X": x})
    layer, weights = ls.read(path)
    ours = ls.compile(layer)(x, weights)[0]
    assert np.abs(ours - y.transpose(0, 2, 1, 3).reshape(5, 2, 8)).max() < 1e-6
    assert np.abs(ours - y.reshape(5, 2, 8)).max() > 0.01
    note = "Y is (T, D, B, k): to join the directions it must be transposed, not only reshaped"
    assert f"note      {note}" in notes(command, "onnx")
    assert "note      Y is (B, D, T, k); ONNX has (T, D, B, k)" in notes(command, "openvino")


# ---- training ----


def test_27_dropout_is_another_in_each(command):
    """Nothing of it is in the numbers that are compared: a layer in training conforms as it is."""
    assert ls.check(torch.nn.LSTM(3, 4, num_layers=2, dropout=0.9).train()).ok
    note = "dropout stands between layers, drawn anew for each element and step; Keras draws once for a sequence"
    assert f"note      {note}" in notes(command, "pytorch")


def test_28_recurrent_dropout_takes_another_way(keras, command):
    live = keras.layers.LSTM(4, recurrent_dropout=0.9, dropout=0.9)
    live.build((1, 2, 3))
    assert ls.check(live).ok
    (note,) = (line for line in notes(command, "keras") if "recurrent_dropout" in line)
    assert note.startswith("note      dropout is drawn once for a sequence; with recurrent_dropout ")


def test_30_a_second_sequence_that_is_no_state(command):
    mlx = pytest.importorskip("mlx.nn", reason="mlx is not installed")
    core = pytest.importorskip("mlx.core", reason="mlx is not installed")
    h, c = mlx.LSTM(3, 4)(core.zeros((2, 7, 3)))
    assert h.shape == c.shape == (2, 7, 4)
    assert "note      it returns two sequences, all h and all c, and no state" in notes(command, "mlx")


# ---- trees ----


def test_31_two_trees_under_one_docstring(command):
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    cell = nnx.OptimizedLSTMCell(3, 4, rngs=nnx.Rngs(0))
    report = ls.check(cell)
    assert (report.ok, report.layers[0].dialect) == (True, "flax-nnx-optimized")
    assert refused(ls.check, cell, dialect="flax-nnx").splitlines()[-1] == (
        "  help     they are no tensors of flax-nnx; unasked, they are read as flax-nnx-optimized"
    )
    note = "note      its tree is not that of nnx.LSTMCell, though its docstring says so"
    assert note in notes(command, "flax-nnx-optimized")


def test_36_a_gru_is_no_lstm(keras):
    """Its biases are a trap of their own: nothing of it is read."""
    gru = keras.layers.GRU(4)
    gru.build((1, 2, 3))
    for live in (torch.nn.GRU(3, 4), gru):
        report = ls.check(live)
        assert not report.ok
        assert "; this version reads LSTMs" in report.findings[0].message
        assert " is a GRU, " in report.findings[0].message


def test_37_a_square_matrix_that_is_transposed():
    """Flax's kernels on h are k×k for each gate: no shape tells, one recorded step does, and so does compare."""
    arrays, step = flax_step()
    turned = {name: a.T if name.startswith("h") and name.endswith("kernel") else a for name, a in arrays.items()}
    assert ls.check(turned).ok
    off, by_gate = told(turned, step)
    assert off == (
        "as flax #, otherwise ~0: the matrix on h is transposed: a matrix for each gate, units as rows, not columns"
    )
    assert by_gate == "gate by gate, read as flax: i #, f #, g #, o #"
    assert ls.compare(arrays, turned).pairs[0].words == ("U_i, U_f, U_g, U_o of the second are transposed",)
    square = torch_names(n=16)  # n = 4k: the packed matrix on x is square
    _, weights = ls.read(square)
    step = one_step(ls.lstm(16, 4, bias="two"), weights)
    assert ls.check(square, step=step).ok
    off, _ = told(square | {"weight_ih_l0": square["weight_ih_l0"].T.copy()}, step)
    assert off == "as pytorch #, otherwise ~0: the matrix on x is transposed: gates as columns, not rows"


def test_39_a_fresh_layer_tells_its_order(keras, command):
    live = keras.layers.LSTM(4)
    live.build((1, 2, 3))
    bias = next(v for v in live.weights if v.name == "bias").value.detach().numpy()
    assert bias.reshape(4, 4).tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]
    note = "a fresh layer's bias is 1 for the forget gate, 0 for the others: the block of ones tells the order"
    assert f"note      {note}" in notes(command, "keras")
    assert "note      there are two biases: 4k parameters more than with one, and none starts at 1" in notes(
        command, "pytorch"
    )
