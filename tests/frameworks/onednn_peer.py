"""oneDNN's LSTM primitive is ours through the dialect `onednn`, both ways: its own library, weights in ldigo, float32.

Not collected with the other tests: the library wants an environment of its own. `.ci/run` runs it there with

    python -m pytest tests/frameworks/onednn_peer.py

Seen: less than 1e-6 apart, with oneDNN 3.2.0 (onednn-cpu-gomp 2023.2.0) and with 3.13.2 (onednn 2026.1.0).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import MISS
from tests.frameworks.onednn_library import OneDnn, OneDnnError, find_library
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences, misread, seeds, try_some

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the library is loaded: the matrices here are tiny
PATH = find_library()
if PATH is None:
    pytest.skip("oneDNN's libdnnl is not installed", allow_module_level=True)

LIBRARY = OneDnn(PATH)
ONEDNN = get("onednn")
SIZES = ((5, 4, 2), (3, 3, 1), (1, 6, 3), (7, 40, 2))  # n, k, batch
CELLS = ({}, {"peephole": True}, {"projection": 2}, {"peephole": True, "projection": 2})
TURNS: dict[str, dict[str, object]] = {
    "left2right": {},
    "right2left": {"reverse": True},
    "bidirectional_concat": {"bidirectional": True},
    "bidirectional_sum": {"bidirectional": True, "merge": "sum"},
}


@st.composite
def cases(draw: st.DrawFn, turn: Mapping[str, object]) -> Case:
    n, k, batch = draw(st.sampled_from(SIZES))
    options = draw(st.sampled_from(CELLS)) | turn
    return Case(n, k, draw(st.sampled_from((1, 2, 5, 37))), batch, draw(seeds), "float32", True, options)


def shapes_of(case: Case) -> dict[str, tuple[int, ...]]:
    """What the documentation of the primitive says: L, D, n, gates, k, where L = 1."""
    d, k = case.layer.directions, case.k
    r = case.options.get("projection", k)
    shapes = {"weights_layer": (1, d, case.n, 4, k), "weights_iter": (1, d, r, 4, k), "bias": (1, d, 4, k)}
    shapes |= {"weights_peephole": (1, d, 3, k)} if "peephole" in case.options else {}
    return shapes | ({"weights_projection": (1, d, k, r)} if "projection" in case.options else {})


def direction_of(layer: ls.Layer) -> str:
    """Its name in dnnl_types.h."""
    ways = {"forward": "left2right", "reverse": "right2left", "both": f"bidirectional_{layer.merge}"}
    return ways[layer.direction]


def theirs(tensors, case):
    """Their output and states (L, D, B, width) under the layer's names."""
    h, c = (a[None] for a in ONEDNN.pack_state(case.state(), case.layer))
    given_ = {"src_layer": case.x(), "src_iter": h, "src_iter_c": c, **tensors}
    joined = case.layer.directions if case.layer.merge == "concat" else 1
    y, h, c = LIBRARY.run_lstm(direction_of(case.layer), given_, joined * h.shape[-1])
    return y, dict(ONEDNN.unpack_state((h[0], c[0]), case.layer))


def ours(layer, weights, case):
    y, state = ls.compile(layer)(case.x(), weights, case.state())
    return y, dict(state)


@pytest.mark.parametrize("turn", TURNS)
def test_our_weights_in_their_primitive(turn):
    @given(case=cases(TURNS[turn]))
    @try_some
    def hold(case):
        assert direction_of(case.layer) == turn
        weights = case.weights()
        tensors = ONEDNN.pack(weights, case.layer)
        assert {name: a.shape for name, a in tensors.items()} == shapes_of(case)
        assert_equal(ours(case.layer, weights, case), theirs(tensors, case), TOLERANCE["float32"], "onednn")

    hold()


@pytest.mark.parametrize("turn", TURNS)
def test_their_weights_in_our_code(turn):
    """The names alone decide the reading; a single direction leaves no trace and is told."""

    @given(case=cases(TURNS[turn]))
    @try_some
    def hold(case):
        rng = case.generator
        tensors = {name: rng.uniform(-0.9, 0.9, s).astype("float32") for name, s in shapes_of(case).items()}
        report = ls.check(tensors, numbers=False)
        assert report.ok, str(report)
        assert [found.dialect for found in report.layers] == ["onednn"]
        layer, _ = ls.read(tensors)
        layer = layer.with_(direction=case.layer.direction, merge=case.layer.merge)
        assert layer == case.layer
        found = ours(layer, ONEDNN.unpack(tensors, layer), case)
        assert_equal(found, theirs(tensors, case), TOLERANCE["float32"], "onednn")

    hold()


@pytest.mark.parametrize("name", ["bias", "weights_iter"])
def test_a_primitive_without_it_is_refused(name):
    """Peepholes and the projection may be left out, the bias may not."""
    tensors = ONEDNN.pack(MISS.weights(), MISS.layer)
    del tensors[name]
    with pytest.raises(OneDnnError, match="lstm_forward_primitive_desc_create returned the status"):
        theirs(tensors, MISS)


# ---- readings that are wrong on purpose ----


def missed(wrong, case):
    """How far off the layer is, read by a wrong dialect."""
    tensors = ONEDNN.pack(case.weights(4.0), case.layer)
    return differences(ours(case.layer, wrong.unpack(tensors, case.layer), case), theirs(tensors, case))


@pytest.mark.parametrize("gates", ["".join(p) for p in permutations("ifgo") if p != tuple("ifgo")])
def test_another_order_of_gates_misses(gates):
    assert missed(misread(ONEDNN, gates), MISS) > WRONG


@pytest.mark.parametrize("gates", ["iof", "fio", "foi", "oif", "ofi"])
def test_another_order_of_peepholes_misses(gates):
    assert missed(misread(ONEDNN, gates), replace(MISS, options={"peephole": True})) > WRONG


@pytest.mark.parametrize("turn", ["right2left", "bidirectional_concat"])
def test_the_output_of_a_reverse_layer_is_in_the_order_of_its_input(turn):
    case = replace(MISS, time=7, options=TURNS[turn])
    weights = case.weights()
    y, state = ours(case.layer, weights, case)
    k, found = case.k, theirs(ONEDNN.pack(weights, case.layer), case)
    assert differences((y, state), found) < TOLERANCE["float32"]
    turned = y.copy()
    turned[..., -k:] = y[::-1, :, -k:]
    assert differences((turned, state), found) > WRONG


def test_a_peephole_on_the_cell_before_misses():
    """The output gate looks at the new cell state."""
    case = replace(MISS, options={"peephole": True})
    weights = case.weights(4.0)
    before = ls.lstm(case.n, case.k, peephole=True, peephole_output="before")
    found = theirs(ONEDNN.pack(weights, case.layer), case)
    assert differences(ours(case.layer, weights, case), found) < TOLERANCE["float32"]
    assert differences(ours(before, weights, case), found) > WRONG
