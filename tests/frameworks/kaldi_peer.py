"""Kaldi's nnet3 is ours through the dialects `kaldi` and `kaldi-fast`, both ways: its own compiler runs whole networks.

Not collected with the other tests: it needs g++ and the library of the package vosk. `.ci/run` runs it there with

    python -m pytest tests/frameworks/kaldi_peer.py

Seen: less than 2e-6 apart, with the Kaldi that is in vosk 0.3.45. Kaldi computes in float32, and from zero states.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import Dialect, get
from tests.frameworks.cell_peers import MISS, swap_parts
from tests.frameworks.kaldi_network import (
    NAME,
    Kaldi,
    Sizes,
    fast_config,
    find_library,
    read_tensors,
    separate_config,
    write_tensors,
)
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences, misread, seeds, try_some

LIBRARY = find_library()
if LIBRARY is None or shutil.which("g++") is None:
    pytest.skip("vosk, whose library holds Kaldi, or g++ is not installed", allow_module_level=True)

SIZES = ((5, 4, 2), (3, 3, 1), (1, 6, 3), (7, 40, 2))  # n, k, batch


@dataclass(frozen=True)
class Peer:
    """A dialect, the config of its layers, and the cells that such a layer can be."""

    dialect: Dialect
    config: Callable[[Sizes], Iterator[str]]
    cells: tuple[dict[str, object], ...]


PEEPHOLES = {"peephole": True}
PROJECTED = {"projection": 2, "projection_bias": True}
PEERS = {
    "kaldi": Peer(get("kaldi"), separate_config, ({}, PEEPHOLES, PROJECTED, PEEPHOLES | PROJECTED)),
    "kaldi-fast": Peer(get("kaldi-fast"), fast_config, (PEEPHOLES, PEEPHOLES | PROJECTED)),
}
both = pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)


@pytest.fixture(scope="module")
def kaldi(tmp_path_factory):
    return Kaldi(tmp_path_factory.mktemp("kaldi"), LIBRARY)


@st.composite
def cases(draw: st.DrawFn, options: dict[str, object]) -> Case:
    n, k, batch = draw(st.sampled_from(SIZES))
    return Case(n, k, draw(st.sampled_from((1, 2, 5, 37))), batch, draw(seeds), "float32", False, options)


def sizes_of(case, **more):
    return Sizes(case.n, case.k, case.options.get("projection", 0), **more)


def theirs(kaldi, peer, tensors, case, **more):
    """Their output and last states: what is not in the tensors is 0 in the network."""
    model = kaldi.make(peer.config(sizes_of(case, **more)))
    return last(*kaldi.run(write_tensors(model, tensors), case.x()))


def last(y, c):
    return y, {"l0.h": y[-1], "l0.c": c[-1]}


def named(peer, weights, case):
    """Our weights under their names, behind the layer's."""
    return {f"{NAME}.{name}": a for name, a in peer.dialect.pack(weights, case.layer).items()}


def ours(layer, weights, case):
    y, state = ls.compile(layer)(case.x(), weights)
    return y, dict(state)


@both
def test_our_weights_in_their_network(kaldi, peer):
    for options in peer.cells:

        @given(case=cases(options))
        @try_some
        def hold(case):
            weights = case.weights()
            found = theirs(kaldi, peer, named(peer, weights, case), case)
            assert_equal(ours(case.layer, weights, case), found, TOLERANCE["float32"], peer.dialect.name)

        hold()


@both
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("projected", [False, True])
def test_their_weights_in_our_code(kaldi, peer, sizes, projected):
    """The parameters that Kaldi draws, from its own text; the names alone decide the reading, but for a projection."""
    n, k, batch = sizes
    case = Case(n, k, 9, batch, 3, "float32", False, PEEPHOLES | (PROJECTED if projected else {}))
    model = kaldi.make(peer.config(sizes_of(case)))
    tensors = read_tensors(model)
    asked = peer.dialect.name if projected else None
    report = ls.check(tensors, dialect=asked, numbers=False)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == [peer.dialect.name]
    layer, weights = ls.read(tensors, dialect=asked)
    assert layer.cell == case.layer.cell
    assert layer.sizes == case.layer.sizes
    assert sum(a.size for a in weights.values()) == sum(a.size for a in tensors.values())
    found = last(*kaldi.run(model, case.x()))
    assert_equal(ours(layer, weights, case), found, TOLERANCE["float32"], peer.dialect.name)


@both
@pytest.mark.parametrize("options", [{"bias": "none"}, {"bias": "none", "projection": 2}, {"bias": "one"}], ids=str)
def test_a_converted_layer_is_whole(kaldi, peer, options):
    """Their layers are never without biases and peepholes, nor a projection without its bias: zeros are written."""
    case = Case(5, 4, 7, 2, 7, "float32", False, options)
    weights = case.weights()
    tensors = ls.convert(get("lstm-spec").pack(weights, case.layer), peer.dialect.name).tensors
    named = {f"{NAME}.{name}": a for name, a in tensors.items()}
    assert set(named) == set(read_tensors(kaldi.make(peer.config(sizes_of(case)))))
    found = theirs(kaldi, peer, named, case)
    assert_equal(ours(case.layer, weights, case), found, TOLERANCE["float32"], f"{peer.dialect.name}, converted")
    assert differences(ours(case.layer, case.weights(2.0), case), found) > WRONG


# ---- what the tensors do not tell ----

TRAP = Case(5, 8, 7, 2, 7, "float32", False, PEEPHOLES | PROJECTED)


@both
def test_a_positive_delay_reads_backwards(kaldi, peer):
    weights = TRAP.weights(2.0)
    y, _ = theirs(kaldi, peer, named(peer, weights, TRAP), TRAP, delay=1)
    backwards, _ = ls.compile(TRAP.layer)(TRAP.x()[::-1], weights)
    assert np.abs(backwards[::-1] - y).max() < TOLERANCE["float32"]
    assert np.abs(ours(TRAP.layer, weights, TRAP)[0] - y).max() > WRONG


@both
def test_with_a_delay_of_3_three_recurrences_take_turns(kaldi, peer):
    weights, run = TRAP.weights(2.0), ls.compile(TRAP.layer)
    y, _ = theirs(kaldi, peer, named(peer, weights, TRAP), TRAP, delay=-3)
    turns = np.empty_like(y)
    for first in range(3):
        turns[first::3], _ = run(np.ascontiguousarray(TRAP.x()[first::3]), weights)
    assert np.abs(turns - y).max() < TOLERANCE["float32"]
    assert np.abs(run(TRAP.x(), weights)[0] - y).max() > WRONG


def scaled(layer, weights, case):
    """Our cell with both states scaled by 3/4 before every step."""
    run, state, steps = ls.compile(layer), None, []
    for x_t in case.x():
        y_t, state = run.step(x_t, weights, state)
        state = {name: (a * 0.75).astype("float32") for name, a in state.items()}
        steps.append(y_t)
    return np.stack(steps)


def test_a_decay_time_of_the_fast_layer_scales_both_states_before_each_step(kaldi):
    """decay-time = 4 is a scale of 3/4, which is beside the tensors."""
    peer, weights = PEERS["kaldi-fast"], TRAP.weights(2.0)
    y, _ = theirs(kaldi, peer, named(peer, weights, TRAP), TRAP, scale=0.75)
    assert np.abs(scaled(TRAP.layer, weights, TRAP) - y).max() < TOLERANCE["float32"]
    assert np.abs(ours(TRAP.layer, weights, TRAP)[0] - y).max() > WRONG


def test_a_decay_time_of_the_other_layer_scales_the_cell_within_the_step(kaldi):
    """There o and h' see the scaled cell already; h alone is scaled on its way to the next step."""
    peer, weights = PEERS["kaldi"], TRAP.weights(2.0)
    found = theirs(kaldi, peer, named(peer, weights, TRAP), TRAP, scale=0.75)
    text = str(TRAP.layer.cell).replace("f * c + i * g", "3/4 * (f * c + i * g)")
    text = re.sub(r"(U_\w) h", r"\1 s", text) + "\ns = 3/4 * h\n"
    layer = ls.Layer(ls.parse(text), **TRAP.layer.sizes)
    assert_equal(ours(layer, weights, TRAP), found, TOLERANCE["float32"], "kaldi")
    assert np.abs(scaled(TRAP.layer, weights, TRAP) - found[0]).max() > 0.01
    assert differences(ours(TRAP.layer, weights, TRAP), found) > WRONG


@both
def test_of_the_projection_only_the_first_rows_recur(kaldi, peer):
    """xconfig's layers always have others, as many by default; read as they are, n is too small by as many.

    Unasked, both readings are told.
    """
    r = p = TRAP.options["projection"]
    tensors = read_tensors(kaldi.make(peer.config(sizes_of(TRAP, p=p))))
    (projection,) = (name for name in tensors if name.endswith((".W_rp.m", ".W_rp")))
    assert tensors[projection].shape == (r + p, TRAP.k)
    y, c = theirs(kaldi, peer, tensors, TRAP, p=p)
    kept = {name: a[:r] if name.startswith(projection) else a for name, a in tensors.items()}
    _, weights = ls.read(kept, dialect=peer.dialect.name)
    expected = ours(TRAP.layer, weights, TRAP)
    first = y[..., :r], {"l0.h": y[-1, :, :r], "l0.c": c["l0.c"]}
    assert_equal(expected, first, TOLERANCE["float32"], peer.dialect.name)
    (finding,) = ls.check(tensors, numbers=False).findings
    half, every = finding.found.splitlines()
    assert finding.code == "ambiguous"
    assert half.endswith(f": r = {r}, n = {TRAP.n}")
    assert every == f"all of them: r = {r + p}, n = {TRAP.n - p}"
    layer, _ = ls.read(tensors, dialect=peer.dialect.name)
    assert int(layer.sizes["n"]) == TRAP.n - p
    assert any("projection" in text for text in peer.dialect.assumptions(layer))


# ---- readings that are wrong on purpose ----


def missed(kaldi, peer, wrong, case):
    """How far off the layer is, read by a wrong dialect."""
    weights = case.weights(4.0)
    found = theirs(kaldi, peer, named(peer, weights, case), case)
    misreading = wrong.unpack(peer.dialect.pack(weights, case.layer), case.layer)
    assert differences(ours(case.layer, weights, case), found) < 1e-5
    return differences(ours(case.layer, misreading, case), found)


SMALL = replace(MISS, time=7, with_state=False, options=PEEPHOLES)


@pytest.mark.parametrize(("one", "other"), [("i", "f"), ("i", "o"), ("f", "o"), ("g", "o"), ("i", "g"), ("f", "g")])
def test_gates_in_each_other_s_place_miss(kaldi, one, other):
    case = replace(SMALL, options={})
    assert missed(kaldi, PEERS["kaldi"], swap_parts(get("kaldi"), one, other), case) > WRONG


@pytest.mark.parametrize("gates", ["".join(p) for p in permutations("ifgo") if p != tuple("ifgo")])
def test_another_order_of_gates_misses(kaldi, gates):
    assert missed(kaldi, PEERS["kaldi-fast"], misread(get("kaldi-fast"), gates, "W_all"), SMALL) > WRONG


@pytest.mark.parametrize("gates", ["iof", "fio", "foi", "oif", "ofi"])
def test_another_order_of_peepholes_misses(kaldi, gates):
    assert missed(kaldi, PEERS["kaldi-fast"], misread(get("kaldi-fast"), gates), SMALL) > WRONG


@both
def test_a_peephole_on_the_cell_before_misses(kaldi, peer):
    """The output gate looks at the new cell state."""
    weights = SMALL.weights(4.0)
    found = theirs(kaldi, peer, named(peer, weights, SMALL), SMALL)
    before = ls.lstm(SMALL.n, SMALL.k, peephole=True, peephole_output="before")
    assert differences(ours(before, weights, SMALL), found) > WRONG
