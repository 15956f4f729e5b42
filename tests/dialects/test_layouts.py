"""Where every number lies in the tensors of the other frameworks, said again by index, as their sources say it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec import dialects
from tests.laws import tried

law = tried(10)
sizes = st.integers(1, 5)


def packed(name, n, k, **options):
    layer = ls.lstm(n, k, **options)
    weights = layer.random(0)
    return dialects.get(name).pack(weights, layer), {part.removeprefix("l0."): a for part, a in weights.items()}


JOINED = [  # dialect, its kernel and bias, gates, h first?, gates as columns?
    ("tf1", "kernel", "bias", "igfo", True, {"forget_bias": 1}),
    ("haiku", "linear/w", "linear/b", "igfo", True, {"forget_bias": 1}),
    ("tf1-coupled", "W_0", "B", "gfo", True, {"forget_bias": 1, "coupled": "i=1-f"}),
    ("tflite-basic", "weights", "biases", "igfo", False, {}),
    ("kaldi-fast", "W_all", "W_all.bias", "ifgo", False, {}),
]


@pytest.mark.parametrize(("name", "kernel", "bias", "gates", "columns", "options"), JOINED)
@given(n=sizes, k=sizes)
@law
def test_one_matrix_on_x_and_h(name, kernel, bias, gates, columns, options, n, k):
    """Rows of gates, columns of [x, h]; turned where the gates are columns."""
    tensors, weights = packed(name, n, k, **options)
    rows = tensors[kernel].T if columns else tensors[kernel]
    assert rows.shape == (len(gates) * k, n + k)
    for q, gate in enumerate(gates):
        for j in range(k):
            assert np.array_equal(rows[q * k + j, :n], weights[f"W_{gate}"][j])
            assert np.array_equal(rows[q * k + j, n:], weights[f"U_{gate}"][j])
            assert tensors[bias][q * k + j] == weights[f"b_{gate}"][j]


@given(n=sizes, k=sizes)
@law
def test_chainer_unit_by_unit(n, k):
    """Chainer's `_extract_gates` reshapes (B, 4k) to (B, k, 4): a, i, f, o of one unit are neighbours."""
    tensors, weights = packed("chainer", n, k, peephole="full")
    for j in range(k):
        for q, gate in enumerate("gifo"):
            assert np.array_equal(tensors["upward/W"][4 * j + q], weights[f"W_{gate}"][j])
            assert np.array_equal(tensors["lateral/W"][4 * j + q], weights[f"U_{gate}"][j])
            assert tensors["upward/b"][4 * j + q] == weights[f"b_{gate}"][j]
    assert np.array_equal(tensors["peep_f/W"], weights["P_f"])


@given(n=sizes, k=sizes)
@law
def test_embarc_gates_on_the_first_axis(n, k):
    tensors, weights = packed("embarc-mli", n, k)
    assert {name: a.shape for name, a in tensors.items()} == {
        "weights_in": (4, n, k),
        "weights_out": (4, k, k),
        "bias": (4, k),
    }
    for q, gate in enumerate("igfo"):
        assert np.array_equal(tensors["weights_in"][q], weights[f"W_{gate}"].T)
        assert np.array_equal(tensors["weights_out"][q], weights[f"U_{gate}"].T)
        assert np.array_equal(tensors["bias"][q], weights[f"b_{gate}"])


@given(n=sizes, k=sizes, r=sizes, both=st.booleans())
@law
def test_onednn_ldigo(n, k, r, both):
    """ldigo: layer, direction, input channel, gate, output channel."""
    layer = ls.lstm(n, k, peephole=True, projection=r, bidirectional=both)
    weights = layer.random(0)
    tensors, d = dialects.get("onednn").pack(weights, layer), 1 + both
    assert {name: a.shape for name, a in tensors.items()} == {
        "weights_layer": (1, d, n, 4, k),
        "weights_iter": (1, d, r, 4, k),
        "bias": (1, d, 4, k),
        "weights_peephole": (1, d, 3, k),
        "weights_projection": (1, d, k, r),
    }
    for direction, member in enumerate(("l0", "l0.reverse")[:d]):
        for q, gate in enumerate("ifgo"):
            assert np.array_equal(tensors["weights_layer"][0, direction, :, q], weights[f"{member}.W_{gate}"].T)
            assert np.array_equal(tensors["weights_iter"][0, direction, :, q], weights[f"{member}.U_{gate}"].T)
            assert np.array_equal(tensors["bias"][0, direction, q], weights[f"{member}.b_{gate}"])
        for q, gate in enumerate("ifo"):
            assert np.array_equal(tensors["weights_peephole"][0, direction, q], weights[f"{member}.p_{gate}"])
        assert np.array_equal(tensors["weights_projection"][0, direction], weights[f"{member}.W_proj"].T)


BLOCKS = [  # dialect, kernel, recurrent, gates, columns?
    ("openvino", "W", "R", "figo", False, {}),
    ("coreml", "weight_ih", "weight_hh", "ifog", False, {}),
    ("mxnet", "l0_i2h_weight", "l0_h2h_weight", "ifgo", False, {"bias": "two"}),
    ("sonnet", "w_i", "w_h", "ifgo", True, {}),
    ("matlab", "InputWeights", "RecurrentWeights", "ifgo", False, {}),
    ("webnn", "weight", "recurrentWeight", "iofg", False, {"bias": "two"}),
    ("candle", "weight_ih_l0", "weight_hh_l0", "ifgo", False, {"bias": "two"}),
    ("mlx", "Wx", "Wh", "ifgo", False, {}),
    ("flax-nnx-optimized", "dense_i/kernel", "dense_h/kernel", "ifgo", True, {}),
]


@pytest.mark.parametrize(("name", "kernel", "recurrent", "gates", "columns", "options"), BLOCKS)
@given(n=sizes, k=sizes)
@law
def test_blocks_of_k(name, kernel, recurrent, gates, columns, options, n, k):
    tensors, weights = packed(name, n, k, **options)
    for tensor, family, width in ((kernel, "W", n), (recurrent, "U", k)):
        rows = tensors[tensor].T if columns else tensors[tensor].reshape(4 * k, width)
        for q, gate in enumerate(gates):
            assert np.array_equal(rows[q * k : (q + 1) * k], weights[f"{family}_{gate}"])


def test_matlab_keeps_its_bias_as_a_column():
    tensors, weights = packed("matlab", 3, 2)
    assert tensors["Bias"].shape == (8, 1)
    assert np.array_equal(tensors["Bias"][2:4, 0], weights["b_f"])


def test_two_biases_of_cudnn_lstm_stand_in_one_vector():
    tensors, weights = packed("tf-keras-cudnn", 3, 2, bias="two")
    assert tensors["bias"].shape == (16,)
    assert np.array_equal(tensors["bias"][2:4], weights["b_Wf"])
    assert np.array_equal(tensors["bias"][10:12], weights["b_Uf"])


def test_the_columns_of_cudnn_lstm_are_not_turned():
    """cuDNN reads each gate's (n, k) columns, as they lie in memory, as its (k, n) matrix."""
    tensors, weights = packed("tf-keras-cudnn", 3, 2, bias="two")
    assert np.array_equal(tensors["kernel"][:, 2:4].ravel(), weights["W_f"].ravel())
    assert np.array_equal(tensors["recurrent_kernel"][:, 2:4], weights["U_f"])


def test_nstep_lstm_has_the_candidate_third():
    """Its docstring says w2 is the output gate; the code and its tests do not."""
    tensors, weights = packed("chainer-nstep", 3, 2, bias="two")
    for q, gate in enumerate("ifgo"):
        assert np.array_equal(tensors[f"0/w{q}"], weights[f"W_{gate}"])
        assert np.array_equal(tensors[f"0/w{q + 4}"], weights[f"U_{gate}"])
        assert np.array_equal(tensors[f"0/b{q}"], weights[f"b_W{gate}"])
        assert np.array_equal(tensors[f"0/b{q + 4}"], weights[f"b_U{gate}"])


SEPARATE = [  # dialect, the tensor of gate f on x and on h, columns?
    ("flax", "if/kernel", "hf/kernel", True, {}),
    ("flax-nnx", "if_/kernel", "hf/kernel", True, {}),
    ("tflite", "input_to_forget_weights", "recurrent_to_forget_weights", False, {}),
    ("cmsis-nn", "forget_gate.input_weights", "forget_gate.hidden_weights", False, {}),
    ("lasagne", "W_in_to_forgetgate", "W_hid_to_forgetgate", True, {}),
    ("burn", "forget_gate.input_transform.weight", "forget_gate.hidden_transform.weight", True, {"bias": "two"}),
    ("madmom", "forget_gate.weights", "forget_gate.recurrent_weights", True, {}),
    ("cudnn", "layer0/matrix_1", "layer0/matrix_5", False, {"bias": "two"}),
]


@pytest.mark.parametrize(("name", "kernel", "recurrent", "columns", "options"), SEPARATE)
def test_a_matrix_for_each_gate(name, kernel, recurrent, columns, options):
    tensors, weights = packed(name, 3, 4, **options)
    assert np.array_equal(tensors[kernel], weights["W_f"].T if columns else weights["W_f"])
    assert np.array_equal(tensors[recurrent], weights["U_f"].T if columns else weights["U_f"])


def test_kaldi_joins_x_and_r_for_each_gate():
    tensors, weights = packed("kaldi", 3, 4, projection=2, projection_bias=True, peephole=True)
    for word, gate in zip("ifoc", "ifog", strict=True):
        assert np.array_equal(tensors[f"W_{word}.xr"], np.hstack([weights[f"W_{gate}"], weights[f"U_{gate}"]]))
        assert np.array_equal(tensors[f"W_{word}.xr.bias"], weights[f"b_{gate}"])
    assert np.array_equal(tensors["W_rp.m"], weights["W_proj"])
    assert np.array_equal(tensors["W_rp.m.bias"], weights["b_proj"])


PEEPHOLES = [  # the order of the peepholes in one tensor; dialects.md: another one than the weights' in ONNX and WebNN
    ("webnn", "peepholeWeight", "iof", {"bias": "two", "peephole_output": "before"}),
    ("coreml", "peephole", "ifo", {}),
    ("kaldi-fast", "lstm_nonlin", "ifo", {}),
]


@pytest.mark.parametrize(("name", "tensor", "gates", "options"), PEEPHOLES)
def test_the_order_of_peepholes(name, tensor, gates, options):
    tensors, weights = packed(name, 3, 4, peephole=True, **options)
    rows = tensors[tensor].reshape(3, 4)
    for row, gate in zip(rows, gates, strict=True):
        assert np.array_equal(row, weights[f"p_{gate}"])


STATES = [("tf1", "ch"), ("flax", "ch"), ("chainer", "ch"), ("burn", "ch"), ("haiku", "hc"), ("tinygrad", "hc")]


@pytest.mark.parametrize(("name", "order"), STATES)
def test_the_order_of_states(name, order):
    layer = ls.lstm(3, 4)
    state = {"l0.h": np.full((2, 4), 1.0), "l0.c": np.full((2, 4), 2.0)}
    found = dialects.get(name).pack_state(state, layer)
    assert [a[0, 0] for a in found] == [{"h": 1.0, "c": 2.0}[s] for s in order]
    again = dialects.get(name).unpack_state(found, layer)
    assert {key: a[0, 0] for key, a in again.items()} == {"l0.h": 1.0, "l0.c": 2.0}


REFUSED = [
    ("haiku", {}, "haiku computes another f"),
    ("tf1", {"forget_bias": "0.5"}, "tf1 computes another f"),
    ("webnn", {"bias": "two", "peephole": True}, "webnn computes another o"),
    ("flax", {"gate_activation": "hard_sigmoid(1/5, 1/2)"}, "flax computes another i"),
    ("burn", {"coupled": "i=1-f", "bias": "two"}, "burn does not couple gates so"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_the_framework_would_compute_otherwise_is_refused(name, options, message):
    layer = ls.lstm(3, 4, **options)
    with pytest.raises(ls.LstmSpecError) as caught:
        dialects.get(name).pack(layer.random(0), layer)
    assert str(caught.value).startswith(f"error[dialect]: {message}\n")
