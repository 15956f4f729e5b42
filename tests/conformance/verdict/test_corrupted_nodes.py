"""An ONNX LSTM node corrupted in 27 ways; its attributes, of which none is dropped; and what no operator reads."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import LstmSpecError
from tests.conformance.sets import K, N, blamed, drawn, node_attributes, node_tensors, onnx_model


def node(d=1, k=K, n=N, attributes=None, width=N, **changes):
    """A node whose inputs are all constants, some replaced (None: dropped)."""
    tensors = node_tensors(d, n, k)
    tensors |= {name: value for name, value in changes.items() if value is not None}
    tensors = {name: value for name, value in tensors.items() if changes.get(name, value) is not None}
    return onnx_model(tensors, node_attributes(**(attributes or {})), width)


def zeros(*shape):
    return np.zeros(shape, "float32")


# The nineteen that loading in ONNX Runtime misses, then eight that it finds.
NODES = {
    "W_rows": (lambda: node(W=zeros(1, 15, 3)), ("W", "(1, 4*k, n) = (1, 16, 3)", "(1, 15, 3)")),
    "W_cols": (lambda: node(W=zeros(1, 16, 5)), ("X", "(T, B, n) = (T, 2, 5)", "(?, 2, 3)")),  # n is W's word alone
    "R_cols": (lambda: node(R=zeros(1, 16, 5)), ("R", "(1, 4*k, k) = (1, 16, 4)", "(1, 16, 5)")),
    "R_rows": (lambda: node(R=zeros(1, 20, 4)), ("R", "(1, 4*k, k) = (1, 16, 4)", "(1, 20, 4)")),
    "WR_swapped": (
        lambda: node(W=zeros(1, 16, 4), R=zeros(1, 16, 3)),
        ("R", "(1, 4*k, k) = (1, 16, 4)", "(1, 16, 3)"),
    ),
    "B_4n": (lambda: node(B=zeros(1, 16)), ("B", "(1, 8*k) = (1, 32)", "(1, 16)")),
    "B_9n": (lambda: node(B=zeros(1, 36)), ("B", "(1, 8*k) = (1, 32)", "(1, 36)")),
    "P_2n": (lambda: node(P=zeros(1, 8)), ("P", "(1, 3*k) = (1, 12)", "(1, 8)")),
    "P_4n": (lambda: node(P=zeros(1, 16)), ("P", "(1, 3*k) = (1, 12)", "(1, 16)")),
    "h_n": (lambda: node(initial_h=zeros(1, 2, 5)), ("initial_h", "(1, B, k) = (1, 2, 4)", "(1, 2, 5)")),
    "c_n": (lambda: node(initial_c=zeros(1, 2, 5)), ("initial_c", "(1, B, k) = (1, 2, 4)", "(1, 2, 5)")),
    "h_batch": (lambda: node(initial_h=zeros(1, 3, 4)), ("initial_h", "(1, B, k) = (1, 2, 4)", "(1, 3, 4)")),
    "L_len": (lambda: node(sequence_lens=np.zeros(3, "int32")), ("sequence_lens", "(B,) = (2,)", "(3,)")),
    "hidden_attr": (lambda: node(attributes={"hidden_size": 5}), ("node", "k = 4", "")),
    "bidir_D1": (
        lambda: node(attributes={"direction": "bidirectional"}),
        ("W", "(2, 4*k, n) = (2, 16, 3)", "(1, 16, 3)"),
    ),
    "fwd_D2": (lambda: node(d=2), ("R", "(1, 4*k, k) = (1, 16, 4)", "(2, 16, 4)")),
    "W_rank2": (lambda: node(W=zeros(16, 3)), ("W", "(1, 4*k, n)", "(16, 3)")),
    "R_rank4": (lambda: node(R=zeros(1, 1, 16, 4)), ("R", "(1, 4*k, k) = (1, 16, 4)", "(1, 1, 16, 4)")),
    "gru_weights": (
        lambda: node(W=zeros(1, 12, 3), R=zeros(1, 12, 4), B=zeros(1, 24)),
        ("R", "(1, 4*k, k) = (1, 16, 4)", "(1, 12, 4)"),
    ),
    "hidden_0": (lambda: node(attributes={"hidden_size": 0}), ("node", "k = 4", "")),
    "hidden_negative": (lambda: node(attributes={"hidden_size": -4}), ("node", "k = 4", "")),
    "hidden_huge": (lambda: node(attributes={"hidden_size": 2**62}), ("node", "k = 4", "")),
    "hidden_missing": (lambda: node(attributes={"hidden_size": None}), ("node", "", "")),
    "direction_unknown": (
        lambda: node(attributes={"direction": "sideways"}),
        ("node", "forward, reverse, bidirectional", ""),
    ),
    "B_rank1": (lambda: node(B=zeros(32)), ("B", "(1, 8*k) = (1, 32)", "(32,)")),
    "W_absent": (lambda: node(W=None), ("node", "X, W and R", "")),
    "X_width": (lambda: node(width=5), ("X", "(T, B, n) = (T, 2, 3)", "(?, 2, 5)")),
}


def check_bytes(data, folder, **options):
    path = folder / "node.onnx"
    path.write_bytes(data)
    return ls.check(path, **options)


def test_the_node_conforms_before_it_is_corrupted(tmp_path):
    report = check_bytes(node(), tmp_path)
    assert report.ok
    assert [f.severity for f in report.findings] == ["warning"]  # it takes sequence_lens
    assert report.layers[0].agreement.difference < 1e-6
    assert check_bytes(node(d=2, attributes={"direction": "bidirectional"}), tmp_path).ok
    assert check_bytes(node(attributes={"direction": "reverse"}), tmp_path).ok


@pytest.mark.parametrize("case", NODES)
def test_a_corrupted_node(case, tmp_path):
    make, (name, derived, found) = NODES[case]
    report = check_bytes(make(), tmp_path)
    assert not report.ok
    assert blamed(report, name, derived, found), "\n".join(map(str, report.findings))


def test_how_many_of_the_27_are_caught_without_running(tmp_path, capsys):
    assert len(NODES) == 27
    missed = []
    for name, (make, _) in NODES.items():
        try:
            if check_bytes(make(), tmp_path, numbers=False).ok:
                missed.append(name)
        except LstmSpecError:
            pass
    with capsys.disabled():
        print(f"\ncorrupted ONNX nodes caught without running: {27 - len(missed)} of 27; missed: {', '.join(missed)}")
    assert missed == []


ATTRIBUTES = {
    "hidden_size = [4] has another type": {"hidden_size": [4]},
    "direction = [1] has another type": {"direction": [1]},
    "activations = 3 has another type": {"activations": 3},
    "activation Affine, Swish": {"activations": ["Sigmoid", "Affine", "Swish"]},
    "activations ['Tanh']": {"activations": ["Tanh"]},
    "activation_alpha has inf": {"activation_alpha": [0.5, float("inf")]},
    "activations ['Sigmoid', 'Tanh', 'Tanh', 'Sigmoid', 'Tanh', 'Tanh']": {
        "activations": ["Sigmoid", "Tanh", "Tanh"] * 2
    },
    "clip = 0.0 is no bound": {"clip": 0.0},
    "clip = -3.0 is no bound": {"clip": -3.0},
    "clip = nan is no bound": {"clip": float("nan")},
    "input_forget = 2": {"input_forget": 2},
    "layout = 2": {"layout": 2},
    "fast is no attribute of LSTM": {"fast": 1},
}


@pytest.mark.parametrize("message", ATTRIBUTES)
def test_an_attribute_is_never_dropped(message, tmp_path):
    report = check_bytes(node(attributes=ATTRIBUTES[message], sequence_lens=None), tmp_path)
    assert message in [finding.message for finding in report.findings]
    assert not report.ok


@pytest.mark.parametrize(
    "attributes", [{"activations": ["SIGMOID", "tanh", "Tanh"]}, {"input_forget": 0}, {"activation_alpha": [0.5]}]
)
def test_attributes_that_change_nothing(attributes, tmp_path):
    assert check_bytes(node(attributes=attributes, sequence_lens=None), tmp_path).findings == ()


def test_layout_1_has_the_batch_first(tmp_path):
    states = {"initial_h": zeros(2, 1, 4), "initial_c": zeros(2, 1, 4)}
    data = node(attributes={"layout": 1}, sequence_lens=None, **states)
    report = check_bytes(data, tmp_path)
    assert report.ok
    assert report.layers[0].layer.layout == "batch"
    assert str(report.layers[0].agreement) == "not compared with onnxruntime: it does not support layout = 1"
    assert [row.symbolic for row in report.layers[0].tensors][-2:] == ["(B, 1, k)", "(B, 1, k)"]


@pytest.mark.parametrize(("op", "kind"), [("GRU", "GRU"), ("RNN", "simple RNN")])
def test_another_operator_is_unread(op, kind, tmp_path):
    gates = 3 if op == "GRU" else 1
    tensors = drawn({"W": (1, gates * K, N), "R": (1, gates * K, K)})
    report = check_bytes(onnx_model(tensors, {"hidden_size": K}, op=op), tmp_path)
    path = tmp_path / "node.onnx"
    assert str(report) == (
        f"error[unread]: node is a {kind}; this version reads LSTMs\n  at       {path} : node\n"
        "does not conform: 0 LSTM layers, 1 error"
    )


def test_recurrent_weights_without_an_operator(tmp_path):
    """A decomposed LSTM beside a real one: its weights are seen, and said to be unread."""
    data = onnx_model(
        node_tensors(), node_attributes(), more={"dec.weight_hh_l0": zeros(16, 4), "dec.bias_ih_l0": zeros(16)}
    )
    report = check_bytes(data, tmp_path)
    assert [str(f) for f in report.findings if f.code == "unread"] == [
        "error[unread]: dec looks recurrent by its 2 names, and no operator reads it\n"
        f"  at       {tmp_path / 'node.onnx'} : dec\n"
        "  expected an operator LSTM that has it as a constant\n"
        "  found    dec.weight_hh_l0 (16, 4), dec.bias_ih_l0 (16,)"
    ]
    assert not report.ok
