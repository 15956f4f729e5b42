"""Traps of shapes, states and trees, 19 to 39: each provoked for real, and the words that the tool has for it.

A trap has the number under which it was collected (test_traps.py has the list).
"""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.identification.test_identify_frameworks import flax_step
from tests.conformance.recorded import one_step
from tests.conformance.sets import node_attributes, onnx_model, onnx_names, torch_names
from tests.conformance.trapped import B, K, N, notes, refused, told

torch = pytest.importorskip("torch", reason="torch is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras", reason="keras is not installed")


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
