"""A cell of one's own: its tensors bear the names of its equations, and its sizes are solved from them."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError

TEXT = """
input x[n]
state h[k]
z = sigmoid(W_z x + U_z h + b_z)
h' = z * h + (1 - z) * tanh(W x + U h + V (z * h))
"""
SHAPES = {"W_z": (4, 3), "U_z": (4, 4), "b_z": (4,), "W": (4, 3), "U": (4, 4), "V": (4, 4)}


@pytest.fixture
def cell():
    return ls.parse(TEXT)


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "w.npz", **{name: np.zeros(shape) for name, shape in SHAPES.items()})
    return tmp_path / "w.npz"


def test_sizes_are_solved(cell, path):
    report = ls.check(path, cell=cell)
    assert str(report) == (
        f"{path}: lstm-spec, n = 3, k = 4, forward, one bias\n"
        "  l0.W_z                           (k, n) = (4, 3), found (4, 3)\n"
        "  l0.U_z                           (k, k) = (4, 4), found (4, 4)\n"
        "  l0.b_z                           (k,) = (4,), found (4,)\n"
        "  l0.W                             (k, n) = (4, 3), found (4, 3)\n"
        "  l0.U                             (k, k) = (4, 4), found (4, 4)\n"
        "  l0.V                             (k, k) = (4, 4), found (4, 4)\n"
        "conforms: 1 layer"
    )
    assert report.layers[0].layer == ls.Layer(cell, n=3, k=4)


def test_a_layer_says_the_stack(cell, tmp_path):
    layer = ls.Layer(cell, n=3, k=4, layers=2, direction="both")
    layer.random(0).save(tmp_path / "w.npz")
    assert ls.check(tmp_path / "w.npz", cell=cell).layers[0].layer == layer
    assert ls.read(tmp_path / "w.npz", layer=ls.Layer(cell))[0] == layer
    backwards = ls.Layer(cell, n=3, k=4, direction="reverse")
    backwards.random(0).save(tmp_path / "r.npz")
    assert ls.read(tmp_path / "r.npz", layer=ls.Layer(cell, direction="reverse"))[0] == backwards


def test_read_runs(cell, path):
    layer, weights = ls.read(path, layer=ls.Layer(cell))
    y, _ = ls.compile(layer)(np.ones((5, 2, 3)), weights)
    assert y.shape == (5, 2, 4)


def refusal(arrays, cell):
    with pytest.raises(TensorError) as caught:
        ls.check(arrays, cell=cell)
    return str(caught.value)


def arrays(**changes):
    return {name: np.zeros(shape) for name, shape in (SHAPES | changes).items() if shape is not None}


def test_a_wrong_shape(cell):
    assert refusal(arrays(V=(4, 5)), cell) == (
        "error[shape]: l0.V does not have the derived shape\n"
        "  expected (k, k) = (4, 4)\n"
        "  found    (4, 5)\n"
        "  because  k = 4 from l0.W_z"
    )


def test_wrong_names(cell):
    assert refusal(arrays(V=None, **{"Q\x1b[31m": (4, 4)}), cell) == (
        "error[names]: the weights do not have the layer's names\n"
        "  expected l0.W_z, l0.U_z, l0.b_z, l0.W, l0.U, l0.V\n"
        "  found    missing: l0.V; unknown: Q\\x1b[31m\n"
        "  help     a described layer's tensors have its equations' names; describe none to read a framework's"
    )


def test_a_wrong_dtype(cell):
    made = arrays()
    made["V"] = made["V"].astype("int32")
    assert refusal(made, cell).startswith("error[dtype]: the weights are not of one float dtype\n")


def test_values_that_cannot_be_read(cell):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    made = arrays() | {"V": torch.zeros(4, 4, dtype=torch.float8_e4m3fn)}
    assert refusal(made, cell) == "error[dtype]: the values of V cannot be read\n  found    float8_e4m3fn"
