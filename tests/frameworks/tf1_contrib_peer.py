"""The LSTMs of TensorFlow 1's `contrib` on TensorFlow 2: the coupled cell, layer normalization, and the way to cuDNN.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TENSORFLOW_1_WHEEL=… TF_USE_LEGACY_KERAS=1 python -m pytest tests/frameworks/tf1_contrib_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from importlib import import_module

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import hold_ours, miss, ours, theirs
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

pytest.importorskip("tensorflow", reason="tensorflow is not installed")
pytest.importorskip("tf_keras", reason="tf_keras is not installed")
from tests.frameworks.tf1_contrib import find_contrib, open_contrib
from tests.frameworks.tf_peer import run_tf1, tf

if not find_contrib():
    pytest.skip("TENSORFLOW_1_WHEEL is not set", allow_module_level=True)
open_contrib(find_contrib())
cells = import_module("tensorflow.contrib.rnn.python.ops.rnn_cell")
cudnn_rnn = import_module("tensorflow.contrib.cudnn_rnn.python.ops.cudnn_rnn_ops")

pytestmark = pytest.mark.filterwarnings("ignore")
COUPLED, TF1, CUDNN = get("tf1-coupled"), get("tf1"), get("cudnn")
SIZES = [(5, 4, 2), (3, 3, 1)]
SAID = {"forget_bias": 1, "coupled": "i=1-f"}
MAKERS = {
    "plain": ({}, {}),
    "peepholes": ({"use_peepholes": True}, {"peephole": True}),
    "projection": ({"num_proj": 2}, {"projection": 2}),
    "both": ({"use_peepholes": True, "num_proj": 2}, {"peephole": True, "projection": 2}),
}


def case_of(sizes, dtype, **options):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, dtype, True, options)


def coupled(**options):
    return lambda k: cells.CoupledInputForgetGateLSTMCell(k, **options)


# ---- the coupled cell ----


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("maker", MAKERS)
def test_our_weights_in_the_coupled_cell(maker, sizes, dtype):
    said, options = MAKERS[maker]
    hold_ours(COUPLED, run_tf1(coupled(**said)), case_of(sizes, dtype, **SAID, **options))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("maker", MAKERS)
def test_the_coupled_cells_weights_in_our_code(maker, sizes, dtype):
    """By the names of the checkpoint: `rnn/coupled_input_forget_gate_lstm_cell/W_0`."""
    said, options = MAKERS[maker]
    case, drawn = case_of(sizes, dtype, **SAID, **options), {}
    found = theirs(run_tf1(coupled(**said), drawn), {}, case)
    assert all(name.startswith("rnn/coupled_input_forget_gate_lstm_cell/") for name in drawn)
    report = ls.check(drawn)
    assert report.ok, str(report)
    assert [layer.dialect for layer in report.layers] == ["tf1-coupled"]
    layer, weights = ls.read(drawn)
    assert layer.cell == case.layer.cell
    assert_equal(ours(layer, weights, case), found, TOLERANCE[dtype], "tf1-coupled")


@pytest.mark.parametrize("gates", ["fgo", "gof", "ogf"])
def test_another_order_misses_the_coupled_cell(gates):
    miss(COUPLED, run_tf1(coupled()), case_of((5, 4, 2), "float32", **SAID), gates)


@pytest.mark.parametrize("options", [{"coupled": "i=1-f"}, {"coupled": "f=1-i", "forget_bias": 0}], ids=str)
def test_without_the_constant_or_coupled_otherwise_it_misses(options):
    case = case_of((5, 4, 2), "float64", **SAID)
    weights = case.weights(2.0)
    found = theirs(run_tf1(coupled()), COUPLED.pack(weights, case.layer), case)
    turned = {n.replace("_f", "_i") if options["coupled"] == "f=1-i" else n: a for n, a in weights.items()}
    assert differences(ours(ls.lstm(5, 4, **options), ls.Weights(turned), case), found) > WRONG


def test_the_projection_is_clipped():
    case = case_of((5, 4, 2), "float64", **SAID, projection=2)
    weights = case.weights(2.0)
    found = theirs(run_tf1(coupled(num_proj=2, proj_clip=0.125)), COUPLED.pack(weights, case.layer), case)
    clipped = case_of((5, 4, 2), "float64", **SAID, projection=2, clip_projection="0.125")
    assert_equal(ours(clipped.layer, weights, case), found, 1e-12, "tf1-coupled, clip")


# ---- layer normalization: of each gate's sum and of c, which is stored so ----

SCOPES = {"i": "input", "g": "transform", "f": "forget", "o": "output", "c": "state"}
WHOLE = {"use_peepholes": True, "num_proj": 2}
CLIPS = {"cell_clip": 0.25, "proj_clip": 0.125}


def named(kind, **options):
    return lambda k: getattr(cells, kind)(k, **options)


NORMALIZED = {
    "basic": (named("LayerNormBasicLSTMCell"), {}),
    "coupled": (coupled(layer_norm=True), {"coupled": "i=1-f"}),
    "coupled, whole": (
        coupled(layer_norm=True, **WHOLE),
        {"coupled": "i=1-f", "peephole": True, "projection": 2},
    ),
    "LayerNormLSTMCell": (named("LayerNormLSTMCell", layer_norm=True), {}),
    "whole": (named("LayerNormLSTMCell", layer_norm=True, **WHOLE), {"peephole": True, "projection": 2}),
    "clipped": (
        named("LayerNormLSTMCell", layer_norm=True, **WHOLE, **CLIPS),
        {"peephole": True, "projection": 2, "clip_cell": "0.25", "clip_projection": "0.125"},
    ),
}


def as_variables(weights, gates):
    """Our weights as the cell's variables; both kinds of a bias, which nothing reads."""
    own = {name.removeprefix("l0."): a for name, a in weights.items()}
    kernel, diagonal, projection = (
        ("W_0", "W_{}_diag", "W_P_0") if len(gates) == 3 else ("kernel", "w_{}_diag", "projection/kernel")
    )
    columns = [np.concatenate([own[f"W_{g}"].T, own[f"U_{g}"].T]) for g in gates]
    tensors = {kernel: np.concatenate(columns, axis=1)}
    for g in (*gates, "c"):
        tensors |= {f"{SCOPES[g]}/gamma": own[f"s_{g}"], f"{SCOPES[g]}/beta": own[f"t_{g}"]}
    for g in "ifo":
        name = diagonal.format(g.upper() if len(gates) == 3 else g)
        tensors |= {name: own[f"p_{g}"]} if f"p_{g}" in own else {}
    tensors |= {projection: own["W_proj"].T} if "W_proj" in own else {}
    unread = np.ones(len(gates) * len(own["s_c"]), columns[0].dtype)
    return tensors | {"B": unread, "bias": unread}


@pytest.mark.parametrize(("maker", "dtype"), [*((maker, "float32") for maker in NORMALIZED), ("basic", "float64")])
def test_a_normalized_cell(maker, dtype):
    """The 1 of f and the peepholes are added behind the normalization. Most make float32 variables only."""
    make, options = NORMALIZED[maker]
    gates = "gfo" if "coupled" in options else "igfo"
    case = case_of((5, 4, 2), dtype, forget_bias=1, layer_norm="tf1", **options)
    weights = case.weights(1.0)
    found = theirs(run_tf1(make), as_variables(weights, gates), case)
    limit = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert_equal(ours(case.layer, weights, case), found, limit, f"tf1, layer norm, {dtype}")
    wrong = as_variables(weights, gates[::-1])
    assert differences(ours(case.layer, weights, case), theirs(run_tf1(make), wrong, case)) > WRONG


# ---- to cuDNN, and back: whole stacks, both directions ----

STACKS = [{}, {"layers": 2}, {"bidirectional": True}, {"layers": 3, "bidirectional": True}]


def kernels(layer, weights):
    """A kernel and a bias for each cell, in TensorFlow 1's order; its projection apart."""
    cells_ = [
        {
            n.rpartition(".")[2]: a
            for n, a in weights.items()
            if n.startswith(f"{m.prefix}.") and n.removeprefix(f"{m.prefix}.").count(".") == 0
        }
        for m in layer.members
    ]
    whole = [np.concatenate([np.concatenate([c[f"W_{g}"].T, c[f"U_{g}"].T]) for g in "igfo"], axis=1) for c in cells_]
    biases = [np.concatenate([c[f"b_W{g}"] + c[f"b_U{g}"] for g in "igfo"]) for c in cells_]
    return whole, biases, [c["W_proj"].T for c in cells_ if "W_proj" in c]


@pytest.mark.parametrize("projection", [0, 2])
@pytest.mark.parametrize("options", STACKS, ids=str)
def test_the_matrices_of_a_stack_in_cudnns_order(options, projection):
    """TensorFlow 1's converter gives them pseudo-layer by pseudo-layer, with the projection last; biases are halved."""
    layer = ls.lstm(5, 4, bias="two", **options, **({"projection": projection} if projection else {}))
    drawn = layer.random(3)
    halves = {
        n: (a + drawn[n.replace("b_W", "b_U").replace("b_U", "b_U")]) / 2 for n, a in drawn.items() if ".b_W" in n
    }
    weights = ls.Weights({n: halves.get(n.replace("b_U", "b_W"), a) for n, a in drawn.items()})
    converter = cudnn_rnn.CudnnParamsFormatConverterLSTM(
        layer.layers, 4, 5, projection or None, direction=f"{'bi' if layer.directions == 2 else 'uni'}directional"
    )
    whole, biases, projections = kernels(layer, weights)
    found = converter._tf_canonical_to_cu_canonical([*map(tf.constant, [*whole, *biases])], projections or None)
    packed = CUDNN.pack(weights, layer)
    for kind, arrays in zip(("matrix", "bias"), found, strict=True):
        expected = [a for name, a in packed.items() if f"/{kind}_" in name]
        assert len(arrays) == len(expected)
        for array, own in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(array.numpy(), own, rtol=1e-15 if kind == "bias" else 0)
