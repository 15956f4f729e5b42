"""`identify`: every convention is found again from one step that independent code computed, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec import dialects
from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.options import LstmOptions
from lstm_spec.conformance.identification.hypotheses import STATES
from lstm_spec.conformance.identification.searching import search
from lstm_spec.conformance.identification.steps import read_step
from lstm_spec.conformance.identification.sums import Sums, errors
from lstm_spec.conformance.identification.unpacking import unpack
from lstm_spec.layers.layer import Layer
from tests.conformance.conventions import GATES, record
from tests.laws import tried

try_some = tried(30)
FORMS = ("rows", "columns", "rows units", "columns units", "axis", "apart", "apart, turned")


@st.composite
def conventions(draw: st.DrawFn) -> dict[str, Any]:
    """One choice on every axis that goes together with the others."""
    said: dict[str, Any] = {
        "order": "".join(draw(st.permutations("ifgo"))),
        "form": draw(st.sampled_from(FORMS)),
        "bias": draw(st.integers(0, 2)),
        "gate": draw(st.sampled_from(list(GATES))),
        "candidate": draw(st.sampled_from(["tanh", "tanh", "softsign"])),
        "output": draw(st.sampled_from(["tanh", "tanh", "relu"])),
        "coupled": draw(st.sampled_from(["", "", "", "f=1-i", "i=1-f"])),
        "join": draw(st.sampled_from([None, None, "xh", "hx"])),
        "peephole": draw(st.sampled_from([None, None, "vector", "full"])),
        "peepholes": "".join(draw(st.permutations("ifo"))),
        "sees": draw(st.sampled_from(["c'", "c"])),
        "one array": draw(st.booleans()),
        "axis": draw(st.booleans()),
    }
    if said["coupled"] != "f=1-i":
        said["forget"] = draw(st.integers(0, 1))
    if said["coupled"] and draw(st.booleans()):
        said["blocks"] = 3
        said["peepholes"] = said["peepholes"].replace(said["coupled"][0], "")
    return said


def expected_words(said: dict[str, Any]) -> dict[str, str]:
    """What must be found, in the words of the axes; which block is dead cannot be seen of four."""
    alive = [g for g in said["order"] if not (said.get("blocks") == 3 and g == said["coupled"][0])]
    words = {
        "gates": ", ".join(alive),
        "gate activation": said["gate"],
        "candidate activation": said["candidate"],
        "output activation": said["output"],
        "coupling": {"": "none", "f=1-i": "f = 1 - i", "i=1-f": "i = 1 - f"}[said["coupled"]],
        "states": "as named",
    }
    if said["coupled"] != "f=1-i":
        words["forget constant"] = str(said["forget"])
    if said["bias"]:
        words["biases added"] = "all"
    return words


@try_some
@given(said=conventions(), seed=st.integers(0, 1000), projected=st.booleans())
def test_every_convention_is_found_again(said, seed, projected):
    r = 4 if projected and said["peephole"] != "full" else 0
    arrays, step = record(3, 5, said, r=r, batch=4, seed=seed)
    found = ls.identify(arrays, step)
    assert found.best.error < 1e-9, (said, str(found))
    words = found.best.hypothesis.axes()
    # A dead peephole of four blocks may be any that is left; everything else is unique.
    open_axes = {"peepholes"} if said["coupled"] and said.get("blocks") != 3 and said["peephole"] else set()
    assert {doubt.axis for doubt in found.doubts} <= open_axes, str(found)
    wanted = expected_words(said)
    assert {axis: words[axis] for axis in wanted} == wanted
    if said["join"]:
        assert words["one matrix on x and h"].endswith({"xh": "; [x, h]", "hx": "; [h, x]"}[said["join"]])
    if said["peephole"] and not open_axes:
        assert words["peepholes"] == f"{', '.join(said['peepholes'])}; o sees {said['sees']}"


@try_some
@given(said=conventions(), seed=st.integers(0, 1000), n=st.sampled_from([3, 5]))
def test_what_was_identified_can_be_run(n, said, seed):
    """Taken over under our own names, compiled, and run: the step again, by another way than the search's."""
    arrays, step = record(n, 5, said, batch=4, seed=seed)
    found = ls.identify(arrays, step)
    if not found.ok:
        return
    layer, weights = unpack(arrays, found)
    y, state = ls.compile(layer)(step["x"][None], weights, {"l0.h": step["h"], "l0.c": step["c"]})
    np.testing.assert_allclose(y[0], step["h1"], atol=1e-10)
    np.testing.assert_allclose(state["c"], step["c1"], atol=1e-10)


@pytest.mark.parametrize("bias", ["none", "one", "two"])
@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_every_dialect_is_found(name, bias, peephole):
    """Weights that a dialect packs, and a step that the equations compute: its name is among those found."""
    dialect = dialects.get(name)
    options = {"bias": bias, "peephole": peephole, **getattr(dialect, "constants", {})}
    layer = Layer(lstm_cell(LstmOptions(**options)), n=3, k=6)
    weights = layer.random(3)
    try:
        arrays = dialect.pack(weights, layer)
    except ls.LstmSpecError:
        return
    rng = np.random.default_rng(1)
    x, h, c = rng.standard_normal((4, 3)), rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    y, state = ls.compile(layer)(x[None], weights, {"l0.h": h, "l0.c": c})
    found = ls.identify(arrays, {"x": x, "h": h, "c": c, "h1": y[0], "c1": state["c"]})
    assert found.ok, str(found)
    assert found.best.error < 1e-6
    assert name in [d.dialect for d in found.dialects if not d.change], str(found)
    named = next(d for d in found.dialects if d.dialect == name)
    assert named.error is None or named.error < 1e-6


@pytest.mark.parametrize("swapped", [name for name in STATES if name])
def test_states_in_each_others_place(swapped):
    arrays, step = record(3, 4, {})
    before, after = STATES[swapped]
    if before:
        step["h"], step["c"] = step["c"], step["h"]
    if after:
        step["h1"], step["c1"] = step["c1"], step["h1"]
    found = ls.identify(arrays, step)
    assert found.ok
    assert found.match.swapped == swapped


@pytest.mark.parametrize("turned", [False, True])
def test_stacked_states_have_an_order_of_their_own(turned):
    arrays, step = record(3, 4, {})
    pair, after = [step["h"], step["c"]], [step["h1"], step["c1"]]
    stacked = {"x": step["x"], "state": np.stack(pair[:: -1 if turned else 1])}
    found = ls.identify(arrays, stacked | {"state1": np.stack(after[:: -1 if turned else 1])})
    assert found.ok
    assert found.match.swapped == ("both" if turned else "")


@pytest.mark.parametrize("which", ["input", "recurrent"])
def test_one_square_matrix_is_transposed(which):
    """Flax's trap: no shape tells a k×k matrix of one gate from its transpose."""
    arrays, step = record(4, 4, {"form": "apart", "turned": (which,)})
    found = ls.identify(arrays, step)
    words = found.match.axes()
    side = {"input": "matrix on x", "recurrent": "matrix on h"}[which]
    other = {"input": "matrix on h", "recurrent": "matrix on x"}[which]
    assert words[side] == "a matrix for each gate, units as columns"
    assert words[other] == "a matrix for each gate, units as rows"
    assert any(side in miss.change and miss.candidate.error > 0.01 for miss in found.near)


def test_two_biases_of_each_gate_by_turns():
    """Burn names its arrays gate by gate."""
    arrays, step = record(3, 4, {"form": "apart", "bias": 2, "order": "ifog"})
    by_gate = {name: arrays[name] for name in sorted(arrays, key=lambda name: name[-1])}
    found = ls.identify(by_gate, step)
    assert found.ok
    assert found.match.order == "ifog"
    assert found.match.axes()["biases"] == "two a gate"


def test_arrays_in_no_order_at_all():
    """Which matrix on x goes with which on h and which bias is found too."""
    arrays, step = record(3, 4, {"form": "apart"})
    rng = np.random.default_rng(5)
    names = list(rng.permutation(list(arrays)))
    found = ls.identify({f"t{number}": arrays[name] for number, name in enumerate(names)}, step)
    assert found.ok
    for part in found.match.layout.parts:
        gates = [names[int(own[1:])].rpartition("_")[2] for own in part.names]
        assert ["ifgo"[int(g)] for g in gates] == list(found.match.order)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_recording_is_as_coarse_as_its_numbers(dtype):
    arrays, step = record(3, 6, {"order": "iofg", "bias": 2})
    found = ls.identify({n: a.astype(dtype) for n, a in arrays.items()}, {n: a.astype(dtype) for n, a in step.items()})
    assert found.ok
    assert found.dtype == dtype
    assert found.match.order == "iofg"
    assert 1e-12 < found.best.error < found.tolerance


def test_small_weights_still_tell_hard_sigmoid_from_sigmoid():
    rng = np.random.default_rng(0)
    for gate in GATES:
        from tests.conformance import conventions as by_hand

        said = {"gate": gate}
        weights = by_hand.draw(8, 8, 8, rng, said)
        for family in (weights["W"], weights["U"], *weights["biases"]):
            for block in family.values():
                block *= 0.02
        x, h, c = (rng.standard_normal((3, 8)) for _ in range(3))
        h1, c1 = by_hand.step(weights, x, h, c, said)
        step = {"x": x, "h": h, "c": c, "h1": h1, "c1": c1}
        cast = {name: array.astype("float32") for name, array in step.items()}
        found = ls.identify({n: a.astype("float32") for n, a in by_hand.pack(weights, said).items()}, cast)
        assert found.best.hypothesis.gate == gate
        assert found.ok


def test_the_search_and_the_measure_agree():
    """The search looks at all hypotheses at once; each alone, measured by plain code, has the error that it says."""
    arrays, step = record(3, 4, {"order": "gifo", "peephole": "vector"})
    found = ls.identify(arrays, step)
    sums = Sums(arrays, read_step(step))
    scored = list(search(found.match.layout, sums, "", "all", 0.4))
    assert len(scored) > 20
    for one in scored:
        assert one.error == pytest.approx(max(errors(one.hypothesis, sums)), abs=1e-12)


def test_one_layer_of_a_stack_is_found_by_its_numbers():
    rng = np.random.default_rng(0)
    shapes = {"weight_ih": (16, 4), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}
    arrays = {f"rnn.{n}_l{layer}": rng.uniform(-1, 1, s) for layer in range(3) for n, s in shapes.items()}
    arrays["head.weight"] = rng.uniform(-1, 1, (10, 4))
    layer = ls.lstm(4, 4, bias="two")
    own = {n.replace("_l1", "_l0").removeprefix("rnn."): a for n, a in arrays.items() if n.endswith("_l1")}
    weights = dialects.get("pytorch").unpack(own, layer)
    x, h, c = (rng.standard_normal((2, 4)) for _ in range(3))
    y, state = ls.compile(layer)(x[None], weights, {"l0.h": h, "l0.c": c})
    found = ls.identify(arrays, {"x": x, "h": h, "c": c, "h1": y[0], "c1": state["c"]})
    assert found.ok
    assert all(name.endswith("_l1") for name in found.arrays)
    assert "head.weight" in found.unread
    assert found.dialect == "pytorch"


@pytest.mark.parametrize("said", [{}, {"bias": 2, "peephole": "vector", "form": "columns"}])
def test_it_is_found_among_512_units(said):
    arrays, step = record(512, 512, said, batch=8)
    assert ls.identify(arrays, step).ok
