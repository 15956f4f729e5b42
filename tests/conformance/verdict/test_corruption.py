"""Tensors corrupted on purpose: none passes, and each finding names the tensor, the derived shape and the found one."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from tests.checkpoints.torch.pickled import saved
from tests.conformance.sets import blamed, keras_names, torch_names

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
    "W_transposed": ({}, reshaped("weight_ih_l0", (3, 16)), ("weight_ih_l0", "(4*k, n) = (16, 3)", "(3, 16)")),
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
    "bias_of_cudnn": (reshaped("bias", (2, 16)), ("bias", "(4*k,) = (16,)", "(2, 16)")),
    "kernel_missing": (dropped("kernel"), ("kernel", "(n, 4*k)", "no such tensor")),
    "swapped": (swapped("kernel", "recurrent_kernel"), ("recurrent_kernel", "(k, 4*k) = (4, 16)", "(3, 16)")),
}


def test_a_bias_of_8k_under_keras_names_is_the_layer_that_has_one():
    """CuDNNLSTM has Keras's names; a file whose configuration says LSTM does not conform (test_keras_files)."""
    tensors = keras_names()
    reshaped("bias", (32,))(tensors)
    report = ls.check(tensors, numbers=False)
    assert [found.dialect for found in report.layers] == ["tf-keras-cudnn"]
    assert "assumed as tf-keras-cudnn; keras has the same names and other shapes" in str(report)


@pytest.mark.parametrize("case", KERAS)
def test_keras_names(case):
    corrupt, expected = KERAS[case]
    tensors = keras_names()
    assert ls.check(dict(tensors), numbers=False).ok
    corrupt(tensors)
    report = ls.check(tensors, numbers=False)
    assert not report.ok
    assert blamed(report, *expected), "\n".join(map(str, report.findings))
