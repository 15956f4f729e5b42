"""A gate without parameters whose rows a framework keeps: read they are dropped, written they are 0."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.pytorch import PYTORCH
from lstm_spec.errors import OptionError

N, K = 3, 4
PLACES = {"W": [8], "R": [8], "B": [8, 24], "P": [8]}  # where f's rows begin: i, o, f, c; of P i, o, f


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"reverse": True}], ids=str)
@pytest.mark.parametrize("bias", ["two", "none"])
@pytest.mark.parametrize("peephole", [False, True])
def test_packed_and_unpacked(options, bias, peephole):
    layer = ls.lstm(N, K, coupled="f=1-i", bias=bias, peephole=peephole, **options)
    plain = ls.lstm(N, K, bias=bias, peephole=peephole, **options)
    weights = layer.random(0)
    tensors = ONNX.pack(weights, layer)
    assert [(t.name, t.shape) for t in ONNX.tensors(layer)] == [(t.name, t.shape) for t in ONNX.tensors(plain)]
    for name, tensor in tensors.items():
        for start in PLACES[name]:
            assert not tensor[:, start : start + K].any()
            tensor[:, start : start + K] = 7
    again = ONNX.unpack(tensors, layer)
    assert list(again) == list(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)
    full = ONNX.unpack(tensors, plain)  # the same rows of the other gates
    for name, array in full.items():
        dead = name.endswith(("_f", "_Wf", "_Uf"))
        np.testing.assert_array_equal(array, np.full(array.shape, 7.0) if dead else weights[name])


def test_letters():
    layer = ls.lstm("n", "k", coupled="f=1-i", bias="two", peephole=True)
    assert [t.symbolic for t in ONNX.tensors(layer)] == ["(1, 4*k, n)", "(1, 4*k, k)", "(1, 8*k)", "(1, 3*k)"]
    assert str(layer.parameter_count) == "k*(3*k + 3*n + 8)"


def test_coupled_the_other_way_has_no_place():
    with pytest.raises(OptionError) as caught:
        ONNX.tensors(ls.lstm(N, K, coupled="i=1-f", bias="two"))
    assert str(caught.value) == (
        "error[dialect]: onnx has no place for W_f, b_Wf, U_f, b_Uf, W_g, b_Wg, U_g, b_Ug, W_o, b_Wo, U_o, b_Uo\n"
        "  expected W, R, B, P\n"
        "  help     what onnx can express: " + ONNX.title
    )


@pytest.mark.parametrize("dialect", [PYTORCH, KERAS], ids=lambda dialect: dialect.name)
def test_other_dialects_keep_no_dead_rows(dialect):
    with pytest.raises(OptionError, match=f"{dialect.name} has no place for W_i, "):
        dialect.tensors(ls.lstm(N, K, coupled="f=1-i", bias="none"))


def test_a_cell_that_has_no_forget_gate_is_not_coupled():
    """Its other gates would fit in; ONNX Runtime would read 1 - i there."""
    with pytest.raises(OptionError, match="onnx has no place for W_i, "):
        ONNX.tensors(ls.Layer(ls.parse(str(ls.lstm(N, K, coupled="f=1-i", bias="none").cell).replace("1 - i", "i"))))


def test_a_coupled_cell_with_a_clip_is_still_refused():
    layer = ls.lstm(N, K, coupled="f=1-i", bias="two", clip_cell=3)
    with pytest.raises(OptionError) as caught:
        ONNX.pack(layer.random(0), layer)
    assert str(caught.value) == (
        "error[dialect]: onnx computes another c'\n"
        "  expected c' = f * c + i * g\n"
        "  found    c' = clip(f * c + i * g, -3, 3)\n"
        "  help     what onnx can express: " + ONNX.title
    )
