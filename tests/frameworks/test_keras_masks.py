"""Our masks are those of Keras: what is left out keeps the states; there y repeats, or is 0. On Keras's torch backend.

In float32: there Keras 3.15 leaves torch's own kernel for `keras.ops.matmul`, which rounds float64 to float32 (6e-7).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, cases, difference, differences, try_few

pytest.importorskip("torch", reason="torch is not installed")
keras = pytest.importorskip("keras", reason="keras is not installed")

options = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["one", "none"]),
        "layout": st.just("batch"),
        "output": st.sampled_from(["sequence", "last"]),
        "reverse": st.booleans(),
        "realign": st.just(False),
        "padding": st.sampled_from(["zero", "repeat"]),
    }
)
mask_cases = cases(options, st.just("float32")).map(lambda case: replace(case, time=min(case.time, 9)))


def layer_of(case: Case):
    """Without `zero_output_for_mask` a masked step repeats the output before."""
    chosen = case.options
    layer = keras.layers.LSTM(
        case.k,
        use_bias=chosen["bias"] == "one",
        go_backwards=chosen["reverse"],
        return_sequences=chosen["output"] == "sequence",
        return_state=True,
        zero_output_for_mask=chosen["padding"] == "zero" and chosen["output"] == "sequence",
        dtype=case.dtype,
    )
    layer.build((None, None, case.n))
    generator, bound = case.generator, case.k**-0.5
    layer.set_weights([generator.uniform(-bound, bound, v.shape).astype(case.dtype) for v in layer.weights])
    return layer


def to_numpy(tensor):
    return tensor.detach().numpy()


def to_keras(array):
    return keras.ops.convert_to_tensor(array)


def mask_for(case) -> np.ndarray:
    """Anything; but the step that is read first is there where a state is given: see the test of the first step."""
    mask = np.random.default_rng(case.seed + 1).random((case.batch, case.time)) < 0.6
    if case.with_state and (case.options["padding"] == "repeat" or case.options["output"] == "last"):
        mask[:, -1 if case.options["reverse"] else 0] = True
    return mask


def run_layer(peer, case, mask):
    prefix, state = case.layer.members[0].prefix, case.state()
    initial = None if state is None else [to_keras(state[f"{prefix}.{s}"]) for s in "hc"]
    y, h, c = map(to_numpy, peer(to_keras(case.x()), mask=to_keras(mask), initial_state=initial))
    return y, {f"{prefix}.h": h, f"{prefix}.c": c}


def run_ours(peer, case, mask, **other):
    layer = case.layer.with_(**other)
    weights = KERAS.unpack({v.name: to_numpy(v.value) for v in peer.weights}, layer)
    return ls.compile(layer)(case.x(), weights, case.state(), mask=mask)


@given(mask_cases)
@try_few
def test_masks(case):
    peer, mask = layer_of(case), mask_for(case)
    theirs = run_layer(peer, case, mask)
    assert_equal(run_ours(peer, case, mask), theirs, TOLERANCE[case.dtype], f"keras.layers.LSTM, masked, {case.dtype}")


PLAIN = {"bias": "one", "layout": "batch", "output": "sequence", "reverse": False, "realign": False}
FIXED = Case(3, 4, 7, 3, 0, "float32", True, {**PLAIN, "padding": "repeat"})
GAPS = np.array([[1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 0, 1, 1], [1, 1, 0, 1, 1, 1, 0]], bool)


@pytest.mark.parametrize("padding", ["zero", "repeat"])
def test_a_wrong_reading_of_the_mask_shows(padding):
    """No mask, only its end, or the other padding: each misses by much more than rounding."""
    case = replace(FIXED, options={**PLAIN, "padding": padding})
    peer = layer_of(case)
    theirs = run_layer(peer, case, GAPS)
    assert_equal(run_ours(peer, case, GAPS), theirs, TOLERANCE["float32"], "keras.layers.LSTM, masked, fixed")
    other = "repeat" if padding == "zero" else "zero"
    assert difference(run_ours(peer, case, GAPS, padding=other)[0], theirs[0]) > WRONG
    lengths = [1 + np.flatnonzero(row)[-1] for row in GAPS]
    ends = np.arange(7) < np.array(lengths)[:, None]
    for wrong in (np.ones_like(GAPS), ends):
        assert min(difference(run_ours(peer, case, wrong)[1][f"l0.{s}"], theirs[1][f"l0.{s}"]) for s in "hc") > WRONG
    with pytest.raises(AssertionError):
        assert_equal(run_ours(peer, case, ends), theirs, TOLERANCE["float32"], "meta")


def test_masked_backwards_is_another():
    """A masked reverse layer starts at the end of the mask and leaves its output in the order in which it read."""
    case = replace(FIXED, with_state=False, options={**PLAIN, "reverse": True, "padding": "repeat"})
    peer = layer_of(case)
    theirs = run_layer(peer, case, GAPS)
    assert_equal(run_ours(peer, case, GAPS), theirs, TOLERANCE["float32"], "keras.layers.LSTM, masked, backwards")
    assert difference(run_ours(peer, case, GAPS, realign=True)[0], theirs[0]) > WRONG


def test_the_first_step_left_out():
    """There "repeat" is the initial h, as on Keras's NumPy and JAX backends; its torch backend has 0 there.

    keras/src/backend/torch/rnn.py begins with zeros as the output before; with a state of zeros all are the same.
    """
    case, mask = FIXED, GAPS.copy()
    mask[1, :2] = False
    peer = layer_of(case)
    (ours, our_state), (theirs, their_state) = run_ours(peer, case, mask), run_layer(peer, case, mask)
    np.testing.assert_array_equal(ours[1, :2], np.stack([case.state()["l0.h"][1]] * 2))
    assert not theirs[1, :2].any()
    assert difference(ours[1, 2:], theirs[1, 2:]) <= TOLERANCE["float32"]
    assert difference(ours[[0, 2]], theirs[[0, 2]]) <= TOLERANCE["float32"]
    assert max(difference(our_state[name], a) for name, a in their_state.items()) <= TOLERANCE["float32"]


def test_zeros_and_the_last_output():
    """Of a sample that ends early, our last output is the last that was computed; with zeros asked for, Keras has 0."""
    case = replace(FIXED, options={**PLAIN, "output": "last", "padding": "zero"})
    peer = layer_of(case)
    ours = run_ours(peer, case, GAPS)
    repeating = run_layer(peer, case, GAPS)
    peer.zero_output_for_mask = True
    zeroing = run_layer(peer, case, GAPS)
    assert differences(ours, repeating) <= TOLERANCE["float32"]
    ended = ~GAPS[:, -1]
    assert not zeroing[0][ended].any()
    assert difference(ours[0][~ended], zeroing[0][~ended]) <= TOLERANCE["float32"]


MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "average", None: "apart"}


@pytest.mark.parametrize("merge", MERGES, ids=str)
@pytest.mark.parametrize("output", ["sequence", "last"])
@given(case=cases(st.just({"bias": "one", "bidirectional": True}), st.just("float32")), masked=st.booleans())
@try_few
def test_bidirectional(merge, output, case, masked):
    """The backward part is put back in order; a masked step of either is 0; `None` keeps the two apart."""
    case = replace(case, time=min(case.time, 6), options={**case.options, "layout": "batch", "output": output})
    layer = case.layer.with_(merge=MERGES[merge])
    mask = mask_for(replace(case, options={"padding": "repeat", "reverse": False})) if masked else None
    theirs, weights = run_pair(case, merge, mask)
    state = case.state()
    ours = ls.compile(layer)(case.x(), weights, state, mask=mask)
    assert_equal(ours, theirs, TOLERANCE[case.dtype], f"keras.layers.Bidirectional {case.dtype}")


def run_pair(case, merge, mask):
    """`(y, {name: state})` of `Bidirectional`, and its weights: two dialect packs, forward first."""
    sequences = case.options["output"] == "sequence"
    inner = keras.layers.LSTM(case.k, return_sequences=sequences, return_state=True, dtype=case.dtype)
    pair = keras.layers.Bidirectional(inner, merge_mode=merge, dtype=case.dtype)
    pair.build((None, None, case.n))
    generator, bound = case.generator, case.k**-0.5
    pair.set_weights([generator.uniform(-bound, bound, v.shape).astype(case.dtype) for v in pair.weights])
    weights = {}
    for prefix, part in (("l0", pair.forward_layer), ("l0.reverse", pair.backward_layer)):
        arrays = {v.name: to_numpy(v.value) for v in part.weights}
        one = KERAS.unpack(arrays, ls.lstm(case.n, case.k))
        weights |= {f"{prefix}.{name.removeprefix('l0.')}": a for name, a in one.items()}
    names = ["l0.h", "l0.c", "l0.reverse.h", "l0.reverse.c"]
    state = case.state()
    given_ = {} if state is None else {"initial_state": [to_keras(state[name]) for name in names]}
    given_ |= {} if mask is None else {"mask": to_keras(mask)}
    outputs = [to_numpy(a) for a in pair(to_keras(case.x()), **given_)]
    y = outputs[0] if merge is not None else np.stack(outputs[:2], axis=-2)
    return (y, dict(zip(names, outputs[-4:], strict=True))), ls.Weights(weights)


def test_a_wrong_merge_shows():
    case = Case(3, 4, 7, 3, 0, "float32", True, {"bias": "one", "bidirectional": True, "layout": "batch"})
    case = replace(case, options={**case.options, "output": "sequence"})
    for mode, merge in MERGES.items():
        theirs, weights = run_pair(case, mode, GAPS)
        for other in ("sum", "mul", "average"):
            run = ls.compile(case.layer.with_(merge=other))
            y, _ = run(case.x(), weights, case.state(), mask=GAPS)
            if y.shape == theirs[0].shape:
                assert (difference(y, theirs[0]) > WRONG) == (other != merge)
        y, _ = ls.compile(case.layer.with_(merge=merge))(case.x(), weights, case.state())
        assert difference(y, theirs[0]) > WRONG
