"""Our compiled code is ONNX Runtime's operator LSTM: directions, biases, peepholes, initial states, opsets 7 to 22."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.frameworks import Refused, Request, forward
from tests.frameworks.peers import (
    LARGE,
    TOLERANCE,
    WRONG,
    Case,
    assert_equal,
    cases,
    differences,
    misread,
    sizes,
    try_few,
    try_many,
    try_some,
)

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

OPSETS = (7, 14, 22)

options = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["two", "none"]),
        "peephole": st.booleans(),
        "turn": st.sampled_from(["forward", "reverse", "bidirectional"]),
    }
)


def as_layer_options(chosen):
    turn = {"bidirectional": chosen["turn"] == "bidirectional", "reverse": chosen["turn"] == "reverse"}
    return {name: value for name, value in chosen.items() if name != "turn"} | turn


node_cases = cases(options.map(as_layer_options), st.just("float32"))


def session_of(tensors, case, opset=14):
    """One LSTM node, written by hand: X and the initial states are inputs, the tensors are initializers."""
    roles = ["X", "W", "R", "B", "", *(["initial_h", "initial_c"] if case.with_state else ["", ""]), "P"]
    inputs = ["X", *(["initial_h", "initial_c"] if case.with_state else [])]
    present = [role if role in tensors or role in inputs else "" for role in roles]
    direction = {"forward": "forward", "reverse": "reverse", "both": "bidirectional"}[case.layer.direction]
    node = onnx.helper.make_node("LSTM", present, ["Y", "Y_h", "Y_c"], hidden_size=case.k, direction=direction)
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info(name, float32, ["T", "B", case.n]) for name in inputs[:1]]
        + [onnx.helper.make_tensor_value_info(name, float32, ["D", "B", case.k]) for name in inputs[1:]],
        [onnx.helper.make_tensor_value_info(name, float32, ["D", "B", "k"]) for name in ("Y_h", "Y_c")]
        + [onnx.helper.make_tensor_value_info("Y", float32, ["T", "D", "B", "k"])],
        [onnx.numpy_helper.from_array(a, name) for name, a in tensors.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    model.ir_version = 3 if opset == 7 else 10
    if opset == 7:  # there an initializer must be an input too
        graph_inputs = [onnx.helper.make_tensor_value_info(n, float32, list(a.shape)) for n, a in tensors.items()]
        model.graph.input.extend(graph_inputs)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run_node(tensors, case, x, state=None, opset=14):
    """Y [T, D, B, k] as (T, B, D·k) and the states by our names."""
    members = [member.prefix for member in case.layer.members]
    feeds = {"X": x}
    if case.with_state:
        feeds |= {f"initial_{s}": np.stack([state[f"{m}.{s}"] for m in members]) for s in "hc"}
    h, c, y = session_of(tensors, case, opset).run(None, feeds)
    joined = np.concatenate([y[:, d] for d in range(y.shape[1])], axis=2)
    return joined, {f"{m}.{s}": a[i] for i, m in enumerate(members) for s, a in (("h", h), ("c", c))}


def their_tensors(case):
    """Drawn under the operator's own names and shapes."""
    rng, d, bound = case.generator, case.layer.directions, case.k**-0.5
    shapes = {"W": (d, 4 * case.k, case.n), "R": (d, 4 * case.k, case.k)}
    shapes |= {"B": (d, 8 * case.k)} if case.options["bias"] == "two" else {}
    shapes |= {"P": (d, 3 * case.k)} if case.options["peephole"] else {}
    return {name: rng.uniform(-bound, bound, shape).astype("float32") for name, shape in shapes.items()}


def hold_theirs(case, opset):
    tensors, layer = their_tensors(case), case.layer
    ours = ls.compile(layer)(case.x(), ONNX.unpack(tensors, layer), case.state())
    theirs = run_node(tensors, case, case.x(), case.state(), opset)
    assert_equal(ours, theirs, TOLERANCE["float32"], "onnxruntime LSTM float32")


@given(node_cases, st.sampled_from(OPSETS))
@try_some
def test_their_weights_in_our_code(case, opset):
    hold_theirs(case, opset)


@pytest.mark.slow
@given(node_cases, st.sampled_from(OPSETS))
@try_many
def test_their_weights_in_our_code_many_times(case, opset):
    hold_theirs(case, opset)


@given(node_cases, st.sampled_from(OPSETS))
@try_some
def test_our_weights_in_their_node(case, opset):
    layer, weights = case.layer, case.weights()
    theirs = run_node(ONNX.pack(weights, layer), case, case.x(), case.state(), opset)
    ours = ls.compile(layer)(case.x(), weights, case.state())
    assert_equal(ours, theirs, TOLERANCE["float32"], "onnxruntime LSTM float32")


@given(node_cases)
@try_few
def test_large_weights_step_by_step(case):
    case = replace(case, time=min(case.time, 5), with_state=True)
    layer, weights = case.layer, case.weights(scale=3)
    tensors, run, state = ONNX.pack(weights, layer), ls.compile(layer), case.state()
    for x_t in case.x():
        theirs = run_node(tensors, case, x_t[None], state)
        ours = run(x_t[None], weights, state)
        assert_equal(ours, theirs, LARGE["float32"], "onnxruntime LSTM float32, weights ±3, one step")
        state = theirs[1]


@given(node_cases)
@try_few
def test_the_node_that_check_runs_is_the_node(case):
    case = replace(case, with_state=True)
    tensors = their_tensors(case)
    theirs = run_node(tensors, case, case.x(), case.state())
    for attributes in ({}, {"hidden_size": case.k, "activations": ["Sigmoid", "Tanh", "Tanh"] * case.layer.directions}):
        ours = forward("onnxruntime", Request(case.layer, tensors, case.x(), case.state(), attributes))
        assert differences(ours, theirs) <= TOLERANCE["float32"]


def test_what_the_engine_does_not_take():
    layer = ls.lstm(2, 3, bias="two")
    tensors = ONNX.pack(layer.random(0), layer)
    x, state = np.zeros((2, 1, 2)), {"l0.h": np.zeros((1, 3)), "l0.c": np.zeros((1, 3))}
    with pytest.raises(Refused, match="^its LSTM does not take float64$"):
        forward("onnxruntime", Request(layer, tensors, x, state))
    single = {name: a.astype("float32") for name, a in {**tensors, **state, "x": x}.items()}
    request = Request(layer, {n: single[n] for n in tensors}, single["x"], {n: single[n] for n in state}, {"layout": 1})
    with pytest.raises(Refused, match="^it does not support layout = 1$"):
        forward("onnxruntime", request)


FIXED = Case(5, 6, 8, 3, 0, "float32", True, {"bias": "two", "peephole": True, "bidirectional": True, "reverse": False})


@pytest.mark.parametrize("gates", ["ifgo", "iogf", "oifg", "ifog"])
def test_a_wrong_gate_order_shows(gates):
    hold_wrong(misread(ONNX, gates))


@pytest.mark.parametrize("gates", ["ifo", "foi"])
def test_a_wrong_peephole_order_shows(gates):
    """P is i, o, f whatever the weights are; with peepholes of the size of real ones."""
    hold_wrong(misread(ONNX, gates, only="P"))


def hold_wrong(dialect):
    case, layer = FIXED, FIXED.layer
    tensors = {name: 3 * a if name == "P" else a for name, a in their_tensors(case).items()}
    theirs = run_node(tensors, case, case.x(), case.state())
    right = ls.compile(layer)(case.x(), ONNX.unpack(tensors, layer), case.state())
    assert_equal(right, theirs, TOLERANCE["float32"], "onnxruntime, fixed")
    wrong = ls.compile(layer)(case.x(), dialect.unpack(tensors, layer), case.state())
    assert differences(wrong, theirs) > WRONG
    with pytest.raises(AssertionError):
        assert_equal(wrong, theirs, TOLERANCE["float32"], "meta")


@given(sizes, sizes, options)
@try_few
def test_three_counts_agree(n, k, chosen):
    """The polynomial in letters, the sum over derived shapes, and the initializers of a model that the engine takes."""
    chosen = as_layer_options(chosen)
    polynomial = ls.lstm("n", "k", **chosen).parameter_count
    layer = ls.lstm(n, k, **chosen)
    case = Case(n, k, 1, 1, 0, "float32", False, chosen)
    tensors = their_tensors(case)
    session_of(tensors, case)
    derived = sum(int(np.prod(tuple(map(int, shape)))) for shape in layer.parameter_shapes().values())
    evaluated = polynomial.xreplace({s: layer.sizes[str(s)] for s in polynomial.free_symbols})
    assert evaluated == derived == sum(a.size for a in tensors.values())
