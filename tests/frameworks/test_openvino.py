"""OpenVINO's LSTMSequence is ours: the forget gate first, one bias, directions on an axis. Float32 only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.openvino import OPENVINO
from tests.frameworks.cell_peers import MISS, SIZES, try_few
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences, misread

openvino = pytest.importorskip("openvino", reason="openvino is not installed")

DIRECTIONS = {"forward": "forward", "reverse": "reverse", "both": "bidirectional"}
TURNS = ({}, {"reverse": True}, {"bidirectional": True})


@st.composite
def cases(draw):
    n, k, batch = draw(st.sampled_from(SIZES))
    options = draw(st.sampled_from(TURNS)) | {"layout": "batch"}
    return Case(n, k, draw(st.integers(1, 4)), batch, draw(st.integers(0, 2**32 - 1)), "float32", True, options)


def run(tensors, case):
    """One operation in a model of its own: Y (B, D, T, k), Ho and Co (B, D, k)."""
    ops = openvino.opset5
    x, states = case.x(), OPENVINO.pack_state(case.state(), case.layer)
    steps = np.full(case.batch, case.time, dtype=np.int64)
    given_ = [ops.parameter(list(a.shape), np.float32) for a in (x, *states)]
    constants = [ops.constant(np.ascontiguousarray(a)) for a in tensors.values()]
    direction = DIRECTIONS[case.layer.direction]
    node = ops.lstm_sequence(*given_, ops.constant(steps), *constants, case.k, direction)
    model = openvino.Model([ops.result(out) for out in node.outputs()], given_, "one_lstm")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([x, *states])
    y, h, c = (np.array(found[i]) for i in range(3))
    y = np.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(case.batch, case.time, -1)
    return y, dict(OPENVINO.unpack_state((h, c), case.layer))


def ours(layer, weights, case):
    y, state = ls.compile(layer)(case.x(), weights, case.state())
    return y, dict(state)


@given(case=cases())
@try_few
def test_our_weights_in_their_operation(case):
    weights = case.weights()
    tensors = OPENVINO.pack(weights, case.layer)
    assert_equal(ours(case.layer, weights, case), run(tensors, case), TOLERANCE["float32"], "openvino")


@given(case=cases())
@try_few
def test_their_weights_in_our_code(case):
    rng, d, k = case.generator, case.layer.directions, case.k
    shapes = {"W": (d, 4 * k, case.n), "R": (d, 4 * k, k), "B": (d, 4 * k)}
    tensors = {name: rng.uniform(-0.9, 0.9, shape).astype("float32") for name, shape in shapes.items()}
    layer, weights = ls.read(tensors, dialect="openvino")
    layer = layer.with_(direction=case.layer.direction)
    assert layer.layout == "batch"
    assert_equal(ours(layer, OPENVINO.unpack(tensors, layer), case), run(tensors, case), 2e-6, "openvino")
    assert len(weights) == 12 * d


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "igfo"])
def test_another_order_of_gates_misses(gates):
    case = replace(MISS, options={"layout": "batch"})
    tensors = OPENVINO.pack(case.weights(4.0), case.layer)
    wrong = misread(OPENVINO, gates).unpack(tensors, case.layer)
    assert differences(ours(case.layer, wrong, case), run(tensors, case)) > WRONG


def test_states_stand_behind_the_batch():
    layer = ls.lstm(3, 4, bidirectional=True)
    state = {
        f"{m.prefix}.{s}": np.full((5, 4), i + 10 * j) for i, m in enumerate(layer.members) for j, s in enumerate("hc")
    }
    h, c = OPENVINO.pack_state(state, layer)
    assert h.shape == c.shape == (5, 2, 4)
    assert (h[:, 1] == 1).all()
    assert (c[:, 0] == 10).all()
    again = OPENVINO.unpack_state((h, c), layer)
    assert all(np.array_equal(again[name], a) for name, a in state.items())
    with pytest.raises(ls.LstmSpecError, match=r"expected h and c, each \(B, 2, width\)"):
        OPENVINO.unpack_state((h[:, :1], c), layer)
