"""The attributes and inputs that change what ONNX Runtime's LSTM computes, against options and equations of ours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.onnx import ONNX
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, cases, difference, differences, try_some

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

LIMIT = TOLERANCE["float32"]
ROLES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
turns = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["two", "none"]),
        "peephole": st.booleans(),
        "turn": st.sampled_from(["forward", "reverse", "bidirectional"]),
    }
)


def as_options(chosen):
    """As `ls.lstm` takes them; the directions apart, as in Y [T, D, B, k]."""
    turn = chosen.pop("turn")
    both = {"bidirectional": True, "merge": "apart"} if turn == "bidirectional" else {"reverse": turn == "reverse"}
    return chosen | both


node_cases = cases(turns.map(dict).map(as_options), st.just("float32"))
node_cases = node_cases.map(lambda case: replace(case, time=min(case.time, 12)))


@dataclass(frozen=True)
class Node:
    """One LSTM node: its tensors, and what it is told besides."""

    tensors: dict[str, Any]
    attributes: dict[str, Any] = field(default_factory=dict)

    def run(self, case, lengths=None):
        """`(Y, {name: state})`."""
        direction = {"forward": "forward", "reverse": "reverse", "both": "bidirectional"}[case.layer.direction]
        told = {"hidden_size": case.k, "direction": direction} | self.attributes
        feeds, state = {"X": case.x()}, case.state()
        members = [member.prefix for member in case.layer.members]
        if state is not None:
            feeds |= {f"initial_{s}": np.stack([state[f"{m}.{s}"] for m in members]) for s in "hc"}
        if lengths is not None:
            feeds["sequence_lens"] = np.array(lengths, "int32")
        present = [role if role in {*feeds, *self.tensors} else "" for role in ROLES]
        node = onnx.helper.make_node("LSTM", present, ["Y", "Y_h", "Y_c"], **told)
        types = {"sequence_lens": onnx.TensorProto.INT32}
        inputs, outputs = (
            [onnx.helper.make_tensor_value_info(n, types.get(n, onnx.TensorProto.FLOAT), None) for n in names]
            for names in (feeds, ["Y", "Y_h", "Y_c"])
        )
        constants = [onnx.numpy_helper.from_array(a, name) for name, a in self.tensors.items()]
        graph = onnx.helper.make_graph([node], "g", inputs, outputs, constants)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
        model.ir_version = 8
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        y, h, c = session.run(None, feeds)
        y = y if case.layer.merge == "apart" else y[:, 0]
        return y, {f"{m}.{s}": a[i] for i, m in enumerate(members) for s, a in (("h", h), ("c", c))}


def tensors_of(case, scale=1.0):
    """Drawn under the operator's own names and shapes."""
    rng, d, bound = case.generator, case.layer.directions, scale * case.k**-0.5
    shapes = {"W": (d, 4 * case.k, case.n), "R": (d, 4 * case.k, case.k)}
    shapes |= {"B": (d, 8 * case.k)} if case.options["bias"] == "two" else {}
    shapes |= {"P": (d, 3 * case.k)} if case.options["peephole"] else {}
    return {name: rng.uniform(-bound, bound, shape).astype("float32") for name, shape in shapes.items()}


def run_ours(case, tensors, lengths=None, **options):
    layer = replace(case, options={**case.options, **options}).layer
    return ls.compile(layer)(case.x(), ONNX.unpack(tensors, layer), case.state(), lengths=lengths)


FIXED = Case(5, 6, 7, 3, 0, "float32", True, {"bias": "two", "peephole": True, "bidirectional": True, "merge": "apart"})


# ---- clip ----


@given(node_cases, st.sampled_from([0.05, 0.3, 1, 2.5]))
@try_some
def test_clip(case, bound):
    """The bound is on the inputs of f and g, bias and peephole included; c may leave it, also where h reads it."""
    tensors = tensors_of(case, 3)
    theirs = Node(tensors, {"clip": float(bound)}).run(case)
    assert_equal(run_ours(case, tensors, clip=bound), theirs, LIMIT, "onnxruntime LSTM, clip, float32")


@pytest.mark.parametrize("wrong", [{}, {"clip_cell": 0.3}, {"clip": 0.3, "clip_cell": 0.3}, {"clip": 0.6}], ids=str)
def test_another_clip_shows(wrong):
    tensors = tensors_of(FIXED, 3)
    theirs = Node(tensors, {"clip": 0.3}).run(FIXED)
    assert_equal(run_ours(FIXED, tensors, clip=0.3), theirs, LIMIT, "onnxruntime LSTM, clip, fixed")
    assert differences(run_ours(FIXED, tensors, **wrong), theirs) > WRONG
    layer = ls.lstm(5, 6, **FIXED.options, clip=0.3)  # as the schema may be read: h's input is held too
    cell = ls.parse(str(layer.cell).replace("tanh(c')", "tanh(clip(c', -0.3, 0.3))"))
    held = ls.Layer(cell, n=5, k=6, direction="both", merge="apart")
    assert differences(ls.compile(held)(FIXED.x(), ONNX.unpack(tensors, layer), FIXED.state()), theirs) > WRONG


# ---- activations, with alpha and beta ----

PLACES = ("gate_activation", "candidate_activation", "output_activation")


@st.composite
def activations(draw):
    """`(attributes, options)` of one direction."""
    names, ours, alphas, betas = [], [], [], []
    for place in PLACES:
        kinds = ["Sigmoid", "Tanh", "HardSigmoid", "Softsign"]
        kinds += ["Relu", "LeakyRelu", "Elu", "Softplus"] if place != "gate_activation" else []
        name = draw(st.sampled_from(kinds))
        names.append(name)
        alpha, beta = draw(st.sampled_from([0.125, 0.3, 0.7])), draw(st.sampled_from([0.25, 0.6]))
        if name in ("HardSigmoid", "LeakyRelu", "Elu"):
            alphas.append(alpha)
        if name == "HardSigmoid":
            betas.append(beta)
        ours.append(
            {
                "HardSigmoid": f"hard_sigmoid({alpha}, {beta})",
                "LeakyRelu": f"leaky_relu({alpha})",
                "Elu": f"elu({alpha})",
            }.get(name, name.lower())
        )
    numbers = {"activation_alpha": alphas, "activation_beta": betas}
    told = {"activations": names} | {name: given_ for name, given_ in numbers.items() if given_}
    return told, dict(zip(PLACES, ours, strict=True))


@given(node_cases, activations())
@try_some
def test_activations(case, chosen):
    """Each function that takes an alpha takes the next of the list; the same for the beta."""
    case = replace(case, time=min(case.time, 6))
    told, options = chosen
    told = {name: value * case.layer.directions for name, value in told.items()}
    tensors = tensors_of(case)
    theirs = Node(tensors, told).run(case)
    assert_equal(run_ours(case, tensors, **options), theirs, LIMIT, "onnxruntime LSTM, activations, float32")


DEFAULTS = {
    ("HardSigmoid", "gate_activation"): ("hard_sigmoid(1/5, 1/2)", "hard_sigmoid(1/6, 1/2)"),
    ("LeakyRelu", "candidate_activation"): ("leaky_relu(0.01)", "leaky_relu(0.2)"),
    ("Elu", "candidate_activation"): ("elu(1)", "elu(1/2)"),
    ("Elu", "output_activation"): ("elu(1)", "tanh"),
}


@pytest.mark.parametrize(("name", "place"), DEFAULTS)
def test_default_numbers(name, place):
    right, wrong = DEFAULTS[name, place]
    named = ["Sigmoid", "Tanh", "Tanh"]
    named[PLACES.index(place)] = name
    tensors = tensors_of(FIXED, 3)
    theirs = Node(tensors, {"activations": named * 2}).run(FIXED)
    assert_equal(run_ours(FIXED, tensors, **{place: right}), theirs, LIMIT, "onnxruntime LSTM, activations, fixed")
    assert differences(run_ours(FIXED, tensors, **{place: wrong}), theirs) > WRONG


Z = "(W_g x + b_Wg + U_g h + b_Ug)"
WRITTEN = {  # what has no option is written: the function, where, and the other that must show
    ("Affine", "g"): (f"0.7 * {Z} + 0.6", f"0.6 * {Z} + 0.7"),
    ("Affine", "h"): ("(0.7 * c' + 0.6)", "(0.6 * c' + 0.7)"),
    ("ScaledTanh", "g"): (f"0.7 * tanh(0.6 * {Z})", f"tanh{Z}"),
    ("ScaledTanh", "h"): ("0.7 * tanh(0.6 * c')", "tanh(c')"),
    ("ThresholdedRelu", "g"): (f"{Z} * step({Z} - 0.7)", f"relu{Z}"),
    ("ThresholdedRelu", "h"): ("c' * step(c' - 0.7)", "relu(c')"),
}


@pytest.mark.parametrize(("name", "place"), WRITTEN)
def test_activations_that_are_written_as_equations(name, place):
    case = Case(5, 6, 7, 3, 0, "float32", True, {"bias": "two", "peephole": False})
    named = ["Sigmoid", "Tanh", "Tanh"]
    named["fgh".index(place)] = name
    tensors = tensors_of(case, 3)
    told = {"activations": named, "activation_alpha": [0.7], "activation_beta": [0.6]}
    theirs = Node(tensors, {n: v for n, v in told.items() if name != "ThresholdedRelu" or "beta" not in n}).run(case)
    plain = str(case.layer.cell)
    replaced = f"tanh{Z}" if place == "g" else "tanh(c')"
    assert replaced in plain
    ours = []
    for text in WRITTEN[name, place]:
        layer = ls.Layer(ls.parse(plain.replace(replaced, text)), n=5, k=6)
        ours.append(ls.compile(layer)(case.x(), ONNX.unpack(tensors, case.layer), case.state()))
    assert_equal(ours[0], theirs, LIMIT, "onnxruntime LSTM, written activations, float32")
    assert differences(ours[1], theirs) > WRONG


# ---- sequence_lens ----


@given(node_cases)
@try_some
def test_sequence_lens(case):
    """After the end Y is 0 and the states stay; a reverse direction begins at the end."""
    lengths = np.random.default_rng(case.seed + 1).integers(1, case.time + 1, case.batch)
    tensors = tensors_of(case)
    theirs = Node(tensors).run(case, lengths)
    assert_equal(run_ours(case, tensors, lengths), theirs, LIMIT, "onnxruntime LSTM, sequence_lens, float32")


def test_other_lengths_show():
    tensors, lengths = tensors_of(FIXED, 3), [7, 4, 1]
    theirs = Node(tensors).run(FIXED, lengths)
    assert_equal(run_ours(FIXED, tensors, lengths), theirs, LIMIT, "onnxruntime LSTM, sequence_lens, fixed")
    for wrong in (run_ours(FIXED, tensors), run_ours(FIXED, tensors, lengths, padding="repeat")):
        assert difference(wrong[0], theirs[0]) > WRONG
    ignored = run_ours(FIXED, tensors)
    assert min(difference(ignored[1][name], theirs[1][name]) for name in theirs[1]) > WRONG
    assert difference(ignored[0][0, 1], theirs[0][0, 1]) > WRONG  # reverse, at the first step


def test_a_length_of_0():
    """Ours keeps the initial state of a sample without steps; ONNX Runtime 1.31 has 0 (the schema is silent)."""
    tensors, lengths = tensors_of(FIXED, 3), [7, 0, 2]
    (ours, our_states), (theirs, their_states) = run_ours(FIXED, tensors, lengths), Node(tensors).run(FIXED, lengths)
    assert difference(ours, theirs) <= LIMIT
    for name, initial in FIXED.state().items():
        assert not their_states[name][1].any()
        np.testing.assert_array_equal(our_states[name][1], initial[1])
        assert difference(our_states[name][[0, 2]], their_states[name][[0, 2]]) <= LIMIT
    without = replace(FIXED, with_state=False)
    assert differences(run_ours(without, tensors, lengths), Node(tensors).run(without, lengths)) <= LIMIT


# ---- input_forget ----


@given(node_cases, st.booleans(), st.sampled_from([None, 0.4]))
@try_some
def test_input_forget(case, garbage, clip):
    """It is f = 1 - i, and nothing reads the forget gate's rows of W, R, B and P."""
    tensors = tensors_of(case, 3)
    if garbage:
        overwrite_forget(tensors, case.k)
    attributes = {"input_forget": 1} | ({"clip": clip} if clip else {})
    theirs = Node(tensors, attributes).run(case)
    ours = run_ours(case, tensors, coupled="f=1-i", clip=clip)
    assert_equal(ours, theirs, LIMIT, "onnxruntime LSTM, input_forget, float32")


def overwrite_forget(tensors, k):
    """Rows i, o, f, c of W and R; of B twice; P is i, o, f."""
    for name, starts in {"W": [2], "R": [2], "B": [2, 6], "P": [2]}.items():
        for start in starts if name in tensors else ():
            tensors[name][:, start * k : (start + 1) * k] = 1000


def test_coupled_the_other_way_shows():
    tensors = tensors_of(FIXED, 3)
    theirs = Node(tensors, {"input_forget": 1}).run(FIXED)
    ours = run_ours(FIXED, tensors, coupled="f=1-i")
    assert_equal(ours, theirs, LIMIT, "onnxruntime LSTM, input_forget, fixed")
    assert differences(run_ours(FIXED, tensors), theirs) > WRONG
    layer = ls.lstm(5, 6, **FIXED.options, coupled="i=1-f")
    weights = ONNX.unpack(tensors, FIXED.layer)
    kept = {name: weights[name] for name in layer.parameter_shapes()}
    assert differences(ls.compile(layer)(FIXED.x(), kept, FIXED.state()), theirs) > WRONG


@given(node_cases)
@try_some
def test_our_weights_in_a_coupled_node(case):
    layer = replace(case, options={**case.options, "coupled": "f=1-i"}).layer
    weights = layer.random(case.seed, "float32")
    theirs = Node(ONNX.pack(weights, layer), {"input_forget": 1}).run(case)
    ours = ls.compile(layer)(case.x(), weights, case.state())
    assert_equal(ours, theirs, LIMIT, "onnxruntime LSTM, input_forget, float32")
