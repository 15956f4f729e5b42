"""TFLite's own interpreter on every kind of its LSTM operators, through the dialects and through files.

The models are written here, field by field; no converter writes one with peepholes, a projection or normalization.
Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/frameworks/tflite_operators_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import replace

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.checkpoints.tflite.models import BIDIRECTIONAL, LSTM, UNIDIRECTIONAL, Model, one_lstm, options
from tests.frameworks.cell_peers import hold_ours, miss, ours, swap_parts, theirs
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")
TFLITE, BASIC = get("tflite"), get("tflite-basic")
TANH, RELU, NONE = 4, 1, 0

# The inputs of the operator, in the order of tensorflow/lite/kernels/lstm_shared.h; 18 and 19 are its states.
GATES = ("input", "forget", "cell", "output")
SLOTS = (
    "input",
    *(f"input_to_{gate}_weights" for gate in GATES),
    *(f"recurrent_to_{gate}_weights" for gate in GATES),
    *(f"cell_to_{gate}_weights" for gate in ("input", "forget", "output")),
    *(f"{gate}_gate_bias" for gate in GATES),
    *("projection_weights", "projection_bias", "output_state", "cell_state"),
    *(f"{gate}_layer_norm_coefficients" for gate in GATES),
)
H, C = SLOTS.index("output_state"), SLOTS.index("cell_state")

COUPLED = {"coupled": "i=1-f"}
PEEPHOLES, PROJECTED = {"peephole": True}, {"projection": 2}
WHOLE = PEEPHOLES | PROJECTED | {"projection_bias": True}
CELLS = [
    *({}, COUPLED, PEEPHOLES, PEEPHOLES | COUPLED),
    *(PROJECTED, PROJECTED | {"projection_bias": True}, WHOLE, WHOLE | COUPLED),
    *({"layer_norm": "tflite"}, {"layer_norm": "tflite"} | WHOLE, {"layer_norm": "tflite"} | WHOLE | COUPLED),
]
SIZES = [(5, 4, 2), (3, 3, 1)]


def case_of(sizes=(5, 4, 2), seed=11, **chosen):
    n, k, batch = sizes
    return Case(n, k, 5, batch, seed, "float32", True, {"bias": "one"} | chosen)


# ---- the interpreter ----


class Interpreter:
    """A model's graph, by the names of its tensors."""

    def __init__(self, data):
        self.own = tf.lite.Interpreter(model_content=data)
        self.own.allocate_tensors()
        self.places = {detail["name"]: detail["index"] for detail in self.own.get_tensor_details() if detail["name"]}

    def set(self, **arrays):
        for name, array in arrays.items():
            self.own.set_tensor(self.places[name], array)

    def get(self, *names):
        return [self.own.get_tensor(self.places[name]) for name in names]

    def __call__(self, x):
        self.set(x=x)
        self.own.invoke()
        return self.get("y")[0]


def built(code, tensors, x, h, c, chosen):
    """The operator with these constants, by the names of the slots."""
    shapes = {"x": x.shape, "y": (*x.shape[:-1], h.shape[-1]), H: h.shape, C: c.shape}
    constants = {SLOTS.index(name): a for name, a in tensors.items()}
    return one_lstm(code, constants, [H, C], chosen, shapes).data()


def run_with(time_major=True, **chosen):
    """The sequence operator over x (T, B, n), in either layout."""

    def run(tensors, x, h, c):
        turned = x if time_major else np.ascontiguousarray(x.swapaxes(0, 1))
        selected = options(UNIDIRECTIONAL, time_major=int(time_major), **chosen)
        interpreter = Interpreter(built(UNIDIRECTIONAL, tensors, turned, h, c, selected))
        interpreter.set(**{f"state{H}": h, f"state{C}": c})
        y = interpreter(turned)
        return y if time_major else y.swapaxes(0, 1), *interpreter.get(f"state{H}", f"state{C}")

    return run


def run_steps(tensors, x, h, c):
    """The operator of one step, called T times: its states stay between the calls."""
    interpreter = Interpreter(built(LSTM, tensors, x[0], h, c, options(LSTM)))
    interpreter.set(**{f"state{H}": h, f"state{C}": c})
    y = np.stack([interpreter(x_t).copy() for x_t in x])
    return y, *interpreter.get(f"state{H}", f"state{C}")


def run_basic(tensors, x, h, c):
    """The kernel of type BASIC, step by step: h and c go in and come out."""
    model, batch, k, width = Model(), len(h), h.shape[-1], x.shape[-1] + h.shape[-1]
    inputs = [model.value("x", x[0].shape), model.value("h", h.shape)]
    inputs += [model.constant("w", tensors["weights"]), model.constant("b", tensors["biases"])]
    inputs += [model.value("c", c.shape)]
    outputs = [model.value("y", h.shape), model.value("c1", c.shape)]
    outputs += [model.value("joined", (batch, width)), model.value("gates", (batch, 4 * k))]
    model.operator(LSTM, inputs, outputs, options(LSTM, kernel_type=1))
    model.inputs, model.outputs = [inputs[0], inputs[1], inputs[4]], outputs[:2]
    interpreter, y = Interpreter(model.data()), []
    for x_t in x:
        interpreter.set(h=h, c=c)
        h = interpreter(x_t).copy()
        c = interpreter.get("c1")[0].copy()
        y.append(h)
    return np.stack(y), h, c


run = run_with()
RUNS = {"time": run, "batch": run_with(time_major=False), "steps": run_steps}


# ---- the dialects ----


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("chosen", CELLS, ids=str)
def test_our_weights_in_tflite(chosen, sizes, kind):
    hold_ours(TFLITE, RUNS[kind], case_of(sizes, **chosen))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_our_weights_in_the_basic_kernel(sizes):
    hold_ours(BASIC, run_basic, case_of(sizes))


@pytest.mark.parametrize("chosen", CELLS, ids=str)
def test_two_gates_in_each_others_place_miss(chosen):
    """The candidate and the output gate; so these tests can fail."""
    case = case_of(**chosen)
    weights = ls.Weights({name: a * 4 for name, a in case.weights(1.0).items()})
    tensors = TFLITE.pack(weights, case.layer)
    wrong = swap_parts(TFLITE, "f", "o").unpack(tensors, case.layer)
    found = theirs(run, tensors, case)
    assert differences(ours(case.layer, wrong, case), found) > WRONG


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "figo"])
def test_another_order_of_gates_misses_the_basic_kernel(gates):
    miss(BASIC, run_basic, case_of(), gates)


def test_the_other_coupling_misses():
    """Without the input gate's tensors i = 1 - f; f = 1 - i is another cell."""
    case, other = case_of(**COUPLED), case_of(coupled="f=1-i")
    weights = case.weights(2.0)
    turned = ls.Weights({name.replace("_f", "_i"): a for name, a in weights.items()})
    found = theirs(run, TFLITE.pack(weights, case.layer), case)
    assert differences(ours(other.layer, turned, case), found) > WRONG
    assert differences(ours(case.layer, weights, case), found) < 2e-6


@pytest.mark.parametrize("runs", [*RUNS.values(), run_basic])
def test_no_bias_may_be_left_out(runs):
    """All of them are written, as zeros, of a layer that has none: without one the interpreter reads no memory."""
    case = case_of(bias="none")
    weights, name = case.weights(), "tflite-basic" if runs is run_basic else "tflite"
    made = ls.convert(get("lstm-spec").pack(weights, case.layer), name).tensors
    assert_equal(ours(case.layer, weights, case), theirs(runs, made, case), TOLERANCE["float32"], f"{name}, no bias")
    assert sum("bias" in key for key in made) == (1 if runs is run_basic else 4)
    assert differences(ours(case.layer, case.weights(2.0), case), theirs(runs, made, case)) > WRONG


def test_a_state_stays_from_one_call_to_the_next():
    case = case_of()
    weights, state = case.weights(), {name: np.zeros_like(a) for name, a in case.state().items()}
    x, tensors = case.x(), TFLITE.pack(weights, case.layer)
    data = built(UNIDIRECTIONAL, tensors, x, *(state[f"l0.{s}"] for s in "hc"), options(UNIDIRECTIONAL, time_major=1))
    interpreter = Interpreter(data)
    first, second = interpreter(x).copy(), interpreter(x).copy()
    once, state = ls.compile(case.layer)(x, weights, state)
    assert np.abs(once - first).max() < 2e-6
    assert np.abs(ls.compile(case.layer)(x, weights, state)[0] - second).max() < 2e-6
    assert np.abs(first - second).max() > WRONG


# ---- files: options that no tensor shows ----


@pytest.mark.parametrize("chosen", [{}, WHOLE, {"layer_norm": "tflite"} | WHOLE], ids=str)
@pytest.mark.parametrize(
    ("said", "ours_"),
    [
        ({"cell": 0.25}, {"clip_cell": "0.25"}),
        ({"activation": RELU}, {"candidate_activation": "relu", "output_activation": "relu"}),
        ({"cell": 0.25, "proj": 0.125}, {"clip_cell": "0.25", "clip_projection": "0.125"}),
    ],
    ids=str,
)
def test_a_file_with_options(tmp_path, said, ours_, chosen):
    if "proj" in said and not chosen:
        chosen = PROJECTED
    case = case_of(**chosen)
    tensors = TFLITE.pack(case.weights(1.0), case.layer)
    path, state = tmp_path / "m.tflite", case.state()
    arguments = (case.x(), state["l0.h"], state["l0.c"])
    path.write_bytes(built(UNIDIRECTIONAL, tensors, *arguments, options(UNIDIRECTIONAL, time_major=1, **said)))
    assert ls.check(path).ok
    layer, weights = ls.read(path)
    assert layer.cell == case_of(**chosen, **ours_).layer.cell
    found = theirs(run_with(**said), tensors, case)
    assert_equal(ours(layer, weights, case), found, TOLERANCE["float32"], "tflite files")
    assert differences(ours(case.layer, weights, case), found) > WRONG  # without the options


def test_without_an_activation_h_reads_what_the_candidate_left(tmp_path):
    """The kernel writes no activated c where there is no activation, and multiplies o with the buffer of g."""
    case = case_of()
    tensors, state, path = TFLITE.pack(case.weights(1.0), case.layer), case.state(), tmp_path / "m.tflite"
    x, h, c = case.x(), state["l0.h"], state["l0.c"]
    theirs_ = theirs(run_with(activation=NONE), tensors, case)
    cell = str(case.layer.cell).replace("tanh(W_g", "identity(W_g").replace("tanh(c')", "g")
    found = ours(ls.Layer(ls.parse(cell), case.n, case.k), case.weights(1.0), case)
    assert_equal(found, theirs_, TOLERANCE["float32"], "tflite, no activation")
    path.write_bytes(built(UNIDIRECTIONAL, tensors, x, h, c, options(UNIDIRECTIONAL, time_major=1, activation=NONE)))
    report = ls.check(path)
    assert not report.layers
    assert "fused activation none" in str(report.findings[0])


@pytest.mark.parametrize("merge", [0, 1])
@pytest.mark.parametrize("chosen", CELLS[:8], ids=str)
def test_both_directions(tmp_path, chosen, merge):
    """One operator; its reverse output is in the order of its input. It has no normalization."""
    case = case_of(**chosen)
    x, width = case.x(), int(case.layer.width)
    model = both_ways(case, x, width, merge)
    path = tmp_path / "m.tflite"
    path.write_bytes(model.data())
    assert ls.check(path).ok
    layer, weights = ls.read(path)
    interpreter = Interpreter(model.data())
    interpreter(x)
    found = np.concatenate(interpreter.get("y", *["z"] * (not merge)), axis=-1)
    y, _ = ls.compile(layer)(x, weights)
    assert np.abs(y - found).max() < TOLERANCE["float32"]
    forward = {name: weights[name.replace("reverse.", "")] for name in weights}
    assert np.abs(ls.compile(layer)(x, forward)[0] - found).max() > WRONG  # the same matrices both ways


def both_ways(case, x, width, merge):
    """The operator of 48 inputs: slots 1 to 17 are the forward cell's, 18 to 34 the other's, then h and c of each."""
    constants = {}
    for way in (0, 1):
        packed = TFLITE.pack(replace(case, seed=case.seed + way).weights(1.0), case.layer)
        constants |= {SLOTS.index(name) + 17 * way: a for name, a in packed.items()}
    shapes = {"x": x.shape, "y": (*x.shape[:2], (1 + merge) * width)}
    shapes |= {35 + i: (x.shape[1], case.k if i % 2 else width) for i in range(4)}
    model = one_lstm(BIDIRECTIONAL, constants, [35, 36, 37, 38], None, shapes)
    inputs = [*model.operators.pop().fields[1].values, *[-1] * 9]
    model.codes.clear()
    model.outputs += [] if merge else [model.value("z", shapes["y"])]
    model.operator(BIDIRECTIONAL, inputs, model.outputs, options(BIDIRECTIONAL, time_major=1, merge=merge))
    assert len(inputs) == 48
    return model
