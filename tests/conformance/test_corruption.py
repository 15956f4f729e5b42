"""Tensors corrupted on purpose: none passes, and each finding names the tensor, the derived shape and the found one."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.errors import LstmSpecError
from tests.checkpoints.torch.pickled import saved
from tests.conformance.sets import K, N, drawn, keras_names, node_attributes, node_tensors, onnx_model, torch_names

# ---- PyTorch names, as a dict, an npz and a safetensors file ----


def reshaped(name, shape):
    def corrupt(tensors):
        tensors[name] = np.zeros(shape, "float32")

    return corrupt


def swapped(a, b):
    def corrupt(tensors):
        tensors[a], tensors[b] = tensors[b], tensors[a]

    return corrupt


def dropped(*names):
    def corrupt(tensors):
        for name in names:
            del tensors[name]

    return corrupt


STACK = {"prefix": "enc.", "layers": 2, "both": True}
PROJECTED = {"prefix": "enc.", "k": 5, "projection": 2}

# name: the set, the corruption, what must be blamed (name, derived, found)
TORCH = {
    "W_rows": ({}, reshaped("weight_ih_l0", (15, 3)), ("weight_ih_l0", "(4*k, n) = (16, 3)", "(15, 3)")),
    "W_rows_of_5": ({}, reshaped("weight_ih_l0", (20, 3)), ("weight_ih_l0", "(4*k, n) = (16, 3)", "(20, 3)")),
    "W_transposed": ({}, reshaped("weight_ih_l0", (3, 16)), ("weight_ih_l0", "(4*k, n) = (16, 16)", "(3, 16)")),
    "R_rows": ({}, reshaped("weight_hh_l0", (12, 4)), ("weight_hh_l0", "(4*k, k) = (16, 4)", "(12, 4)")),
    "R_columns": ({}, reshaped("weight_hh_l0", (16, 5)), ("weight_hh_l0", "(4*k, k) = (16, 4)", "(16, 5)")),
    "R_transposed": ({}, reshaped("weight_hh_l0", (4, 16)), ("weight_hh_l0", "(4*k, k) = (16, 4)", "(4, 16)")),
    "W_and_R_swapped": (
        {},
        swapped("weight_ih_l0", "weight_hh_l0"),
        ("weight_hh_l0", "(4*k, k) = (16, 4)", "(16, 3)"),
    ),
    "bias_short": ({}, reshaped("bias_ih_l0", (12,)), ("bias_ih_l0", "(4*k,) = (16,)", "(12,)")),
    "bias_of_8k": ({}, reshaped("bias_hh_l0", (32,)), ("bias_hh_l0", "(4*k,) = (16,)", "(32,)")),
    "bias_rank_2": ({}, reshaped("bias_hh_l0", (1, 16)), ("bias_hh_l0", "(4*k,) = (16,)", "(1, 16)")),
    "W_rank_3": ({}, reshaped("weight_ih_l0", (1, 16, 3)), ("weight_ih_l0", "(4*k, n)", "(1, 16, 3)")),
    "W_rank_0": ({}, reshaped("weight_ih_l0", ()), ("weight_ih_l0", "(4*k, n)", "()")),
    "R_rank_1": ({}, reshaped("weight_hh_l0", (64,)), ("weight_hh_l0", "(4*k, k) = (16, 4)", "(64,)")),
    "R_empty": ({}, reshaped("weight_hh_l0", (16, 0)), ("weight_hh_l0", "(4*k, k) = (16, 4)", "(16, 0)")),
    "n_of_0": ({}, reshaped("weight_ih_l0", (16, 0)), ("weight_ih_l0", "(4*k, n)", "(16, 0)")),
    "W_missing": ({}, dropped("weight_ih_l0"), ("weight_ih_l0", "(4*k, n)", "no such tensor")),
    "bias_missing": ({}, dropped("bias_hh_l0"), ("bias_hh_l0", "(4*k,) = (16,)", "no such tensor")),
    "upper_width": (
        STACK,
        reshaped("enc.weight_ih_l1", (16, 4)),
        ("enc.weight_ih_l1", "(4*k, 2*k) = (16, 8)", "(16, 4)"),
    ),
    "reverse_of_another_k": (
        STACK,
        reshaped("enc.weight_hh_l0_reverse", (20, 5)),
        ("enc.weight_hh_l0_reverse", "(4*k, k) = (16, 4)", "(20, 5)"),
    ),
    "reverse_of_another_n": (
        STACK,
        reshaped("enc.weight_ih_l1_reverse", (16, 3)),
        ("enc.weight_ih_l1_reverse", "(4*k, 2*k) = (16, 8)", "(16, 3)"),
    ),
    "reverse_bias_missing": (
        STACK,
        dropped("enc.bias_ih_l1_reverse"),
        ("enc.bias_ih_l1_reverse", "(4*k,) = (16,)", "no such tensor"),
    ),
    "one_direction_of_a_layer_missing": (
        STACK,
        dropped(*[f"enc.{kind}_l1_reverse" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]),
        ("enc.weight_hh_l1_reverse", "(4*k, k) = (16, 4)", "no such tensor"),
    ),
    "projection_rows": (
        PROJECTED,
        reshaped("enc.weight_hr_l0", (3, 5)),
        ("enc.weight_hr_l0", "(r, k)", "(3, 5)"),
    ),
    "projection_columns": (
        PROJECTED,
        reshaped("enc.weight_hr_l0", (2, 4)),
        ("enc.weight_hr_l0", "(r, k) = (2, 5)", "(2, 4)"),
    ),
    "projection_missing": (
        PROJECTED,
        dropped("enc.weight_hr_l0"),
        ("enc.weight_hh_l0", "(4*k, k) = (20, 5)", "(20, 2)"),
    ),
    "LSTMCell_bias_missing": (
        {"prefix": "cell.", "cell": True},
        dropped("cell.bias_hh"),
        ("cell.bias_hh", "(4*k,) = (16,)", "no such tensor"),
    ),
}


def write(tensors, kind, folder):
    if kind == "dict":
        return tensors
    path = folder / f"corrupt.{kind}"
    if kind == "npz":
        np.savez(path, **tensors)
    elif kind == "pt":
        path.write_bytes(saved(tensors))
    else:
        save_file({name: np.array(a, order="C") for name, a in tensors.items()}, path)
    return path


def blamed(report, name, derived, found):
    """The findings that name the tensor, with the derived and the found shape."""
    return [f for f in report.findings if f.at.endswith(f" : {name}") and derived in f.expected and found in f.found]


@pytest.mark.parametrize("kind", ["dict", "npz", "safetensors", "pt"])
@pytest.mark.parametrize("case", TORCH)
def test_pytorch_names(case, kind, tmp_path):
    options, corrupt, expected = TORCH[case]
    tensors = torch_names(**options)
    if kind == "dict":
        assert ls.check(dict(tensors)).ok
    corrupt(tensors)
    report = ls.check(write(tensors, kind, tmp_path))
    assert not report.ok
    if case == "projection_rows":  # R has r = 2, W_hr has r = 3: a tie, where both parties are named
        (finding,) = report.findings
        assert finding.found == "r = 2 from enc.weight_hh_l0; r = 3 from enc.weight_hr_l0"
    else:
        assert blamed(report, *expected), "\n".join(map(str, report.findings))


def test_a_layer_missing_in_a_stack():
    tensors = torch_names("enc.", layers=3)
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        del tensors[f"enc.{kind}_l1"]
    report = ls.check(tensors)
    assert [str(f) for f in report.findings] == [
        "error[layers]: layer 1 is missing between 0 and 2\n"
        "  at       arrays : enc\n"
        "  help     a stack is numbered without gaps"
    ]
    assert (report.ok, report.layers, report.other) == (False, (), ())


def test_one_tensor_alone_is_not_recurrent_enough():
    report = ls.check({"weight_ih_l0": np.zeros((16, 3)), "fc": np.zeros(3)})
    assert [str(f) for f in report.findings] == [
        "error[unread]: weight_ih_l0 looks recurrent by its name, and no dialect reads it\n"
        "  at       arrays : weight_ih_l0 (16, 3)\n"
        "  expected the names of a dialect: lstm-spec dialects lists them\n"
        "  help     name the dialect with --dialect, or rename the tensors"
    ]
    assert (report.ok, report.other) == (False, ("fc",))


# ---- Keras names ----

KERAS = {
    "kernel_rows": (reshaped("kernel", (16, 3)), ("kernel", "(n, 4*k)", "(16, 3)")),
    "kernel_columns": (reshaped("kernel", (3, 12)), ("kernel", "(n, 4*k) = (3, 16)", "(3, 12)")),
    "recurrent_transposed": (
        reshaped("recurrent_kernel", (16, 4)),
        ("recurrent_kernel", "(k, 4*k) = (4, 16)", "(16, 4)"),
    ),
    "recurrent_rows": (reshaped("recurrent_kernel", (5, 16)), ("recurrent_kernel", "(k, 4*k) = (4, 16)", "(5, 16)")),
    "bias_of_8k": (reshaped("bias", (32,)), ("bias", "(4*k,) = (16,)", "(32,)")),
    "bias_of_cudnn": (reshaped("bias", (2, 16)), ("bias", "(4*k,) = (16,)", "(2, 16)")),
    "kernel_missing": (dropped("kernel"), ("kernel", "(n, 4*k)", "no such tensor")),
    "swapped": (swapped("kernel", "recurrent_kernel"), ("recurrent_kernel", "(k, 4*k) = (4, 16)", "(3, 16)")),
}


@pytest.mark.parametrize("case", KERAS)
def test_keras_names(case):
    corrupt, expected = KERAS[case]
    tensors = keras_names()
    assert ls.check(dict(tensors), numbers=False).ok
    corrupt(tensors)
    report = ls.check(tensors, numbers=False)
    assert not report.ok
    assert blamed(report, *expected), "\n".join(map(str, report.findings))


# ---- an ONNX LSTM node: the 27 corruptions of ../shared/trust.md ----


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
