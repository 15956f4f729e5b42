"""Pack and unpack: inverse of each other, and where every number lies, said again here by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS
from lstm_spec.dialects.keras import KERAS
from lstm_spec.dialects.native import NATIVE
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.pytorch import PYTORCH
from tests.laws import tried

law, swift = tried(60), tried(15)
sizes = st.integers(1, 6)

TURNS = {"forward": {}, "reverse": {"reverse": True}, "both": {"bidirectional": True}}
ONE, TWO = {"bias": ["one", "none"]}, {"bias": ["two", "none"]}
BIASED, PLAIN = {"bias": ["one"]}, {"turn": ["forward", "reverse"]}
PEEPHOLE, PROJECTED = {"peephole": [False, True]}, {"projection": [0, 1, 2]}
STACKED = {"layers": [1, 2, 3], "turn": ["forward", "both"]}
AXIS = {"turn": list(TURNS)}
OPTIONS = {
    "pytorch": TWO | STACKED | PROJECTED,
    "keras": ONE | PLAIN,
    "onnx": TWO | PEEPHOLE | AXIS,
    "lstm-spec": {"bias": ["one", "two", "none"], "coupled": [None, "f=1-i", "i=1-f"], "layers": [1, 2]}
    | (PEEPHOLE | PROJECTED | AXIS),
    "keras-1": ONE | PLAIN | {"gate_activation": ["hard_sigmoid(1/5, 1/2)"]},
    "tf-keras": ONE | PLAIN,
    "tf-keras-cudnn": {"bias": ["two"]} | PLAIN,
    "tf1": ONE | PEEPHOLE | PROJECTED | {"forget_bias": [1]},
    "tf1-coupled": ONE | PEEPHOLE | PROJECTED | {"forget_bias": [1], "coupled": ["i=1-f"]},
    "openvino": ONE | AXIS,
    "flax": ONE,
    "flax-nnx": ONE,
    "flax-nnx-optimized": ONE,
    "haiku": BIASED | {"forget_bias": [1]},
    "equinox": ONE,
    "mlx": ONE,
    "tinygrad": TWO,
    "cudnn": TWO | STACKED | PROJECTED,
    "onednn": ONE | PEEPHOLE | PROJECTED | AXIS,
    "tflite": BIASED
    | PEEPHOLE
    | PROJECTED
    | {"projection_bias": [False, True], "coupled": [None, "i=1-f"], "layer_norm": ["none", "tflite"]},
    "tflite-basic": ONE,
    "cmsis-nn": ONE,
    "embarc-mli": ONE,
    "coreml": ONE | PEEPHOLE | {"turn": ["forward", "both"]},
    "mxnet": TWO | STACKED | PROJECTED,
    "sonnet": ONE | PROJECTED,
    "lasagne": ONE | PEEPHOLE | PLAIN,
    "chainer": ONE | {"peephole": [False, "full"]},
    "chainer-nstep": TWO | STACKED,
    "burn": TWO | {"coupled": [None, "f=1-i"]},
    "candle": TWO | {"turn": list(TURNS), "layers": [1, 2]},
    "kaldi": ONE | PEEPHOLE | PROJECTED | {"projection_bias": [True]},
    "kaldi-fast": ONE | PEEPHOLE | PROJECTED | {"projection_bias": [True]},
    "madmom": ONE | PEEPHOLE,
    "matlab": ONE,
    "webnn": TWO | PEEPHOLE | AXIS | {"peephole_output": ["before"]},
}


@st.composite
def layers(draw, dialect):
    """A layer that the dialect can express."""
    chosen = {option: draw(st.sampled_from(values)) for option, values in OPTIONS[dialect.name].items()}
    chosen |= TURNS[chosen.pop("turn", "forward")]
    if not chosen.get("projection"):
        chosen.pop("projection", None)
        chosen.pop("projection_bias", None)
    if chosen.get("peephole") in (None, False):
        chosen.pop("peephole_output", None)
    return ls.lstm(draw(sizes), draw(sizes), **chosen)


def same(ours, theirs):
    return list(ours) == list(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(data=st.data(), seed=st.integers(0, 99), dtype=st.sampled_from(["float32", "float64"]))
@swift
def test_unpack_undoes_pack(name, data, seed, dtype):
    dialect = DIALECTS[name]
    layer = data.draw(layers(dialect))
    weights = layer.random(seed, dtype)
    tensors = dialect.pack(weights, layer)
    assert {n: a.shape for n, a in tensors.items()} == {
        t.name: tuple(map(int, t.shape)) for t in dialect.tensors(layer)
    }
    assert all(a.dtype == dtype for a in tensors.values())
    assert same(dialect.unpack(tensors, layer), weights)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(data=st.data(), seed=st.integers(0, 99))
@swift
def test_pack_undoes_unpack(name, data, seed):
    dialect = DIALECTS[name]
    layer = data.draw(layers(dialect))
    rng = np.random.default_rng(seed)
    tensors = {t.name: rng.standard_normal(tuple(map(int, t.shape))) for t in dialect.tensors(layer)}
    assert same(dialect.pack(dialect.unpack(tensors, layer), layer), tensors)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(data=st.data())
@swift
def test_the_tensors_say_the_options(name, data):
    """What is there tells the cell: nothing else but the names is asked."""
    dialect = DIALECTS[name]
    layer = data.draw(layers(dialect))
    kinds = {t.packing.name for t in dialect.tensors(layer)}
    assert ls.lstm("n", "k", **dialect.options(kinds)).cell == layer.cell


# ---- where every number lies, by index, without a Packing ----


def by_gate(weights, family, gate, member="l0"):
    return weights[f"{member}.{family.format(gate)}"]


TORCH_KINDS = {"weight_ih": "W_{}", "weight_hh": "U_{}", "bias_ih": "b_W{}", "bias_hh": "b_U{}"}


@given(n=sizes, k=sizes, bias=st.sampled_from(["two", "none"]), layers=st.integers(1, 2), both=st.booleans())
@law
def test_pytorch_rows(n, k, bias, layers, both):
    """Rows q·k … of gate q, in the order i, f, g, o; one tensor for each of W x, U h and two biases."""
    layer = ls.lstm(n, k, bias=bias, layers=layers, bidirectional=both)
    weights = layer.random(0)
    tensors = PYTORCH.pack(weights, layer)
    expected_names = []
    for index in range(layers):
        for suffix, member in (("", f"l{index}"), ("_reverse", f"l{index}.reverse"))[: 1 + both]:
            for kind, family in (
                ("weight_ih", "W_{}"),
                ("weight_hh", "U_{}"),
                ("bias_ih", "b_W{}"),
                ("bias_hh", "b_U{}"),
            ):
                if kind.startswith("bias") and bias == "none":
                    continue
                name = f"{kind}_l{index}{suffix}"
                expected_names.append(name)
                for q, gate in enumerate(("i", "f", "g", "o")):
                    for j in range(k):
                        assert np.array_equal(tensors[name][q * k + j], by_gate(weights, family, gate, member)[j])
    assert list(tensors) == expected_names


def test_pytorch_projection_is_its_own_tensor():
    layer = ls.lstm(3, 4, bias="two", projection=2)
    weights = layer.random(0)
    tensors = PYTORCH.pack(weights, layer)
    assert {name: a.shape for name, a in tensors.items()} == {
        "weight_ih_l0": (16, 3),
        "weight_hh_l0": (16, 2),
        "bias_ih_l0": (16,),
        "bias_hh_l0": (16,),
        "weight_hr_l0": (2, 4),
    }
    assert np.array_equal(tensors["weight_hr_l0"], weights["l0.W_proj"])


@given(n=sizes, k=sizes, bias=st.sampled_from(["one", "none"]))
@law
def test_keras_columns(n, k, bias):
    """Columns q·k … of gate q, in the order i, f, c, o: kernel (n, 4k), recurrent_kernel (k, 4k)."""
    layer = ls.lstm(n, k, bias=bias)
    weights = layer.random(0)
    tensors = KERAS.pack(weights, layer)
    assert list(tensors) == ["kernel", "recurrent_kernel", *(["bias"] if bias == "one" else [])]
    for q, gate in enumerate(("i", "f", "g", "o")):
        for j in range(k):
            for a in range(n):
                assert tensors["kernel"][a, q * k + j] == weights[f"l0.W_{gate}"][j, a]
            for a in range(k):
                assert tensors["recurrent_kernel"][a, q * k + j] == weights[f"l0.U_{gate}"][j, a]
            if bias == "one":
                assert tensors["bias"][q * k + j] == weights[f"l0.b_{gate}"][j]
    assert all(a.flags.c_contiguous for a in tensors.values())


@given(n=sizes, k=sizes, bias=st.sampled_from(["two", "none"]), peephole=st.booleans(), both=st.booleans())
@law
def test_onnx_rows(n, k, bias, peephole, both):
    """Rows in the order i, o, f, c; B is [Wb iofc, Rb iofc]; P is i, o, f; the direction is the first axis."""
    layer = ls.lstm(n, k, bias=bias, peephole=peephole, bidirectional=both)
    weights = layer.random(0)
    tensors = ONNX.pack(weights, layer)
    assert list(tensors) == ["W", "R", *(["B"] if bias == "two" else []), *(["P"] if peephole else [])]
    for d, member in enumerate(("l0", "l0.reverse")[: 1 + both]):
        for q, gate in enumerate(("i", "o", "f", "g")):
            for j in range(k):
                assert np.array_equal(tensors["W"][d, q * k + j], by_gate(weights, "W_{}", gate, member)[j])
                assert np.array_equal(tensors["R"][d, q * k + j], by_gate(weights, "U_{}", gate, member)[j])
                if bias == "two":
                    assert tensors["B"][d, q * k + j] == by_gate(weights, "b_W{}", gate, member)[j]
                    assert tensors["B"][d, (4 + q) * k + j] == by_gate(weights, "b_U{}", gate, member)[j]
        for q, gate in enumerate(("i", "o", "f") if peephole else ()):
            for j in range(k):
                assert tensors["P"][d, q * k + j] == by_gate(weights, "p_{}", gate, member)[j]


def test_our_own_dialect_is_the_weights_themselves():
    layer = ls.lstm(3, 4, bias="two", peephole=True, layers=2, bidirectional=True)
    weights = layer.random(0)
    tensors = NATIVE.pack(weights, layer)
    assert sorted(tensors) == sorted(weights)
    assert all(np.array_equal(tensors[name], array) for name, array in weights.items())


# ---- derived shapes, as ../shared/dialects.md §1 writes them; r = k without projection ----

DERIVED = {
    ("pytorch", ("bias", "two"), ("layers", 2), ("bidirectional", True), ("projection", "r")): {
        "weight_ih_l0": "(4*k, n)",
        "weight_hh_l0": "(4*k, r)",
        "bias_ih_l0": "(4*k,)",
        "bias_hh_l0": "(4*k,)",
        "weight_hr_l0": "(r, k)",
        "weight_ih_l0_reverse": "(4*k, n)",
        "weight_hh_l0_reverse": "(4*k, r)",
        "bias_ih_l0_reverse": "(4*k,)",
        "bias_hh_l0_reverse": "(4*k,)",
        "weight_hr_l0_reverse": "(r, k)",
        "weight_ih_l1": "(4*k, 2*r)",
        "weight_hh_l1": "(4*k, r)",
        "bias_ih_l1": "(4*k,)",
        "bias_hh_l1": "(4*k,)",
        "weight_hr_l1": "(r, k)",
        "weight_ih_l1_reverse": "(4*k, 2*r)",
        "weight_hh_l1_reverse": "(4*k, r)",
        "bias_ih_l1_reverse": "(4*k,)",
        "bias_hh_l1_reverse": "(4*k,)",
        "weight_hr_l1_reverse": "(r, k)",
    },
    ("keras", ("bias", "one")): {"kernel": "(n, 4*k)", "recurrent_kernel": "(k, 4*k)", "bias": "(4*k,)"},
    ("onnx", ("bias", "two"), ("peephole", True), ("bidirectional", True)): {
        "W": "(2, 4*k, n)",
        "R": "(2, 4*k, k)",
        "B": "(2, 8*k)",
        "P": "(2, 3*k)",
    },
    ("onnx", ("bias", "none"), ("reverse", True)): {"W": "(1, 4*k, n)", "R": "(1, 4*k, k)"},
    ("lstm-spec", ("bias", "none"), ("coupled", "f=1-i"), ("reverse", True)): {
        **{f"l0.reverse.W_{g}": "(k, n)" for g in "igo"},
        **{f"l0.reverse.U_{g}": "(k, k)" for g in "igo"},
    },
}


@pytest.mark.parametrize("case", DERIVED, ids=lambda case: case[0])
def test_derived_shapes(case):
    name, *options = case
    layer = ls.lstm("n", "k", **dict(options))
    assert {t.name: t.symbolic for t in DIALECTS[name].tensors(layer)} == DERIVED[case]


GOLDEN = [  # n = 3, k = 4, p = 2: ../shared/dialects.md §0
    ("keras", {"bias": "one"}, 128),
    ("pytorch", {"bias": "two"}, 144),
    ("pytorch", {"bias": "none"}, 112),
    ("onnx", {"bias": "two", "peephole": True}, 156),
    ("pytorch", {"bias": "two", "projection": 2}, 120),
    ("lstm-spec", {"bias": "one", "peephole": True}, 140),
]


@pytest.mark.parametrize(("name", "options", "count"), GOLDEN)
def test_golden_counts(name, options, count):
    layer = ls.lstm(3, 4, **options)
    packed = DIALECTS[name].pack(layer.random(0), layer)
    assert sum(a.size for a in packed.values()) == layer.parameter_count == count
