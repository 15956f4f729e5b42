"""Core ML through coremltools: where its converter puts PyTorch's matrices, and the NumPy reference of its own tests.

Core ML runs on a Mac only. Here its converter from PyTorch, its builders and both of its formats run: what they write
is held to the dialect `coreml` to the bit, and read back it computes what PyTorch does. The numbers that coremltools
holds Core ML to are made by a NumPy reference in its package; it runs here too, with peepholes, clip and activations.
Not collected with the other tests: coremltools wants an environment of its own. `.ci/run` runs it there with

    python -m pytest tests/frameworks/coreml_peer.py
"""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences, misread

torch = pytest.importorskip("torch", reason="torch is not installed")
ct = pytest.importorskip("coremltools", reason="coremltools is not installed")
reference = pytest.importorskip(
    "coremltools.converters.mil.mil.ops.tests.iOS14.test_recurrent", reason="pillow is not installed"
)
from coremltools.converters.mil.mil import Builder as mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
COREML, PYTORCH = get("coreml"), get("pytorch")
SIZES = [(5, 4, 2), (3, 3, 1)]
CONSTANTS = ("weight_ih", "weight_hh", "bias", "peephole")
TARGETS = {
    "milinternal": {},
    "mlprogram": {"compute_precision": ct.precision.FLOAT32, "minimum_deployment_target": ct.target.iOS15},
    "neuralnetwork": {"minimum_deployment_target": ct.target.iOS14},
}


def case_of(sizes, **options):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, "float32", True, {"bias": "two"} | options)


# ---- the converter ----


class Traced(torch.nn.Module):
    """A layer with its states as inputs."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, h, c):
        y, (h, c) = self.layer(x, (h, c))
        return y, h, c


def converted(case, target):
    """PyTorch's layer with the case's weights, what it computes, and what coremltools makes of it."""
    layer = case.layer
    live = torch.nn.LSTM(case.n, case.k, bidirectional=layer.directions == 2)
    live.load_state_dict({n: torch.from_numpy(a) for n, a in PYTORCH.pack(case.weights(), layer).items()})
    inputs = tuple(map(torch.from_numpy, (case.x(), *PYTORCH.pack_state(case.state(), layer))))
    with torch.no_grad():
        traced = torch.jit.trace(Traced(live).eval(), inputs)
        y, h, c = (a.numpy() for a in traced(*inputs))
    described = [ct.TensorType(name=name, shape=a.shape) for name, a in zip("xhc", inputs, strict=True)]
    saved = {} if target == "milinternal" else {"skip_model_load": True}
    model = ct.convert(traced, inputs=described, convert_to=target, **saved, **TARGETS[target])
    return (y, dict(PYTORCH.unpack_state([h, c], layer))), model


def operation(program):
    (found,) = program.functions["main"].find_ops(op_type="lstm")
    return found


def constants(op):
    """The operation's tensors, by the names of its own inputs."""
    named = [f"{name}{way}" for way in ("", "_back") for name in CONSTANTS]
    return {name: op.inputs[name].val for name in named if op.inputs.get(name) is not None}


def summed(weights):
    """One bias a gate."""
    kept = {name: a for name, a in weights.items() if ".b_" not in name}
    sums = {
        name.replace("b_W", "b_"): a + weights[name.replace("b_W", "b_U")]
        for name, a in weights.items()
        if ".b_W" in name
    }
    return ls.Weights(kept | sums)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_the_converter_packs_as_the_dialect(tmp_path, target, sizes, bidirectional):
    """To the bit, and by our own conversion of the same state dict; read back it computes what PyTorch does."""
    case = case_of(sizes, bidirectional=bidirectional)
    single = case_of(sizes, bidirectional=bidirectional, bias="one").layer
    theirs, model = converted(case, target)
    op = operation(model if target == "milinternal" else model._mil_program)
    found = constants(op)
    expected = COREML.pack(summed(case.weights()), single)
    assert set(found) == set(expected)
    for name, a in expected.items():
        np.testing.assert_array_equal(found[name], a)
    path = tmp_path / "out.npz"
    ls.convert(PYTORCH.pack(case.weights(), case.layer), "coreml", allow=("two-biases",), output=str(path))
    with np.load(path) as archive:
        assert set(archive) == set(found)
        for name, a in found.items():
            np.testing.assert_array_equal(archive[name], a)
    layer, weights = ls.read(found, dialect="coreml")
    y, state = ls.compile(layer.with_(layout="time"))(case.x(), weights, case.state())
    assert_equal((y, dict(state)), theirs, TOLERANCE["float32"], "coreml, converter")
    assert [tuple(o.shape) for o in op.outputs][1:] == [(case.batch, layer.directions * case.k)] * 2


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "figo"])
def test_another_order_of_gates_misses(gates):
    """`ifgo` is the reading as PyTorch, and as Equinox, whose names these are."""
    case, single = case_of((5, 4, 2)), case_of((5, 4, 2), bias="one").layer
    _, model = converted(case, "milinternal")
    found = constants(operation(model))
    right, wrong = (dialect.unpack(found, single) for dialect in (COREML, misread(COREML, gates)))
    assert max(np.abs(right[name] - wrong[name]).max() for name in right) > WRONG
    big = [ls.Weights({name: 8 * a for name, a in weights.items()}) for weights in (right, wrong)]
    run = ls.compile(single)
    ours, other = ((y, dict(s)) for y, s in (run(case.x(), weights, case.state()) for weights in big))
    assert differences(other, ours) > WRONG


# ---- the older format: a message for each gate ----

MESSAGES = {"i": "inputGate", "f": "forgetGate", "g": "blockInput", "o": "outputGate"}
KINDS = {"W": "WeightMatrix", "U": "RecursionMatrix", "b": "BiasVector", "p": "PeepholeVector"}


def by_gate(message):
    """The matrices of a LSTMWeightParams under our names, flat."""
    named = {
        f"{f}_{g}": getattr(message, word + kind)
        for f, kind in KINDS.items()
        for g, word in MESSAGES.items()
        if (f, g) != ("p", "g")
    }
    return {name: np.array(a.floatValue, "f4") for name, a in named.items() if a.floatValue}


def layers_of(spec, kind):
    return [getattr(layer, kind) for layer in spec.neuralNetwork.layers if layer.WhichOneof("layer") == kind]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_messages_of_a_converted_model(bidirectional):
    case = case_of((5, 4, 2), bidirectional=bidirectional)
    _, model = converted(case, "neuralnetwork")
    (found,) = layers_of(model.get_spec(), "biDirectionalLSTM" if bidirectional else "uniDirectionalLSTM")
    messages = found.weightParams if bidirectional else [found.weightParams]
    weights = summed(case.weights())
    for member, message in zip(case.layer.members, messages, strict=True):
        gates = by_gate(message)
        assert len(gates) == 12
        for name, a in gates.items():
            np.testing.assert_array_equal(a, weights[f"{member.prefix}.{name}"].ravel())
    assert not found.params.forgetBias
    assert not found.params.coupledInputAndForgetGate
    assert found.params.cellClipThreshold == 500  # where the operation says no clip


@pytest.mark.parametrize("peephole", [False, True])
def test_the_builder_takes_the_blocks_in_the_dialects_order(peephole):
    """Its lists are [i, f, o, z], and its messages bear the gates' names."""
    case = case_of((5, 4, 2), bias="one", peephole=peephole)
    weights = case.weights()
    packed = COREML.pack(weights, case.layer)
    shape = datatypes.Array(5, 2, 5)
    builder = NeuralNetworkBuilder([("x", shape)], [("y", shape)], disable_rank5_shape_mapping=True)
    lists = {"W_x": "weight_ih", "W_h": "weight_hh", "b": "bias"}
    arguments = {theirs: np.split(packed[name], 4) for theirs, name in lists.items()}
    arguments |= {"peep": np.split(packed["peephole"], 3)} if peephole else {}
    builder.add_unilstm(
        "lstm", hidden_size=4, input_size=5, input_names=["x", "h", "c"], output_names=["y", "H", "C"], **arguments
    )
    (found,) = layers_of(builder.spec, "uniDirectionalLSTM")
    gates = by_gate(found.weightParams)
    assert {f"l0.{name}" for name in gates} == set(weights)
    for name, a in gates.items():
        np.testing.assert_array_equal(a, weights[f"l0.{name}"].ravel())
    assert found.params.hasPeepholeVectors == peephole
    assert (found.params.forgetBias, found.params.cellClipThreshold) == (False, 50000)


# ---- the NumPy reference that coremltools holds Core ML to ----

HARD = "hard_sigmoid(1/5, 1/2)"
ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "scaled_tanh": "tanh", "hard_sigmoid": HARD, "linear": "identity"}


def referred(monkeypatch, seed=0, **options):
    """The operation that its test builds, with the input and the numbers that the test expects of Core ML."""
    caught = {}

    def compare(build, placeholders, values, types, expected, **_):
        caught.update(build=build, x=values["x"], y=expected)

    monkeypatch.setattr(reference, "run_compare_builder", compare)
    chosen = {"activation": "sigmoid", "inner_activation": "tanh", "outer_activation": "tanh", "clip": 50.0}
    chosen |= {"has_bias": True, "forget_bias": False, "has_peephole": True, "return_seq": True} | options
    np.random.seed(seed)  # what theirs draws from
    test = reference.TestLSTM().test_numpy_numerical
    common = {"compute_unit": None, "backend": None, "input_dims": [3, 6, 5], "output_dim": 4, "dtype": np.float32}
    test(**common, coupled_input_forget=False, **chosen)
    x = caught["x"]

    @mb.program(input_specs=[mb.TensorSpec(shape=x.shape)])
    def program(x):
        return caught["build"](x)

    return operation(program), x, caught["y"]


def read_operation(op, **options):
    """The operation through the dialect; what its tensors cannot tell comes from its other inputs."""
    found = constants(op)
    activations = {"output_activation": ACTIVATIONS[op.activation.val]}
    layer = ls.lstm(5, 4, peephole="peephole" in found, **activations, **options)
    return layer, COREML.unpack(found, layer)


OUTER = list(ACTIVATIONS)


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("clip", [50.0, 0.2, 0.01])
def test_their_reference_clips_the_stored_cell(monkeypatch, clip, outer):
    """c is clipped before o's peephole and h read it; the message's own text has clip() around each gate's sum."""
    op, x, y = referred(monkeypatch, clip=clip, outer_activation=outer)
    assert op.clip.val == np.float32(clip)
    layer, weights = read_operation(op, clip_cell=str(clip))
    found, _ = ls.compile(layer)(x, weights)
    assert np.abs(found - y).max() < TOLERANCE["float32"]


def test_a_clip_of_the_sums_misses_their_reference(monkeypatch):
    op, x, y = referred(monkeypatch, clip=0.2)
    layer, weights = read_operation(op, clip="0.2")
    assert np.abs(ls.compile(layer)(x, weights)[0] - y).max() > WRONG


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_their_reference_in_our_code(monkeypatch, seed, has_bias):
    op, x, y = referred(monkeypatch, seed, has_bias=has_bias, clip=50.0)
    found = constants(op)
    layer, weights = ls.read(found)  # with peepholes the names decide
    assert layer.cell == ls.lstm(5, 4, peephole=True).cell
    assert np.abs(ls.compile(layer)(x, weights)[0] - y).max() < TOLERANCE["float32"]
    assert ls.check(found).layers[0].dialect == "coreml"


def test_another_order_of_peepholes_misses_their_reference(monkeypatch):
    op, x, y = referred(monkeypatch)
    found = constants(op)
    layer, _ = read_operation(op)
    wrong = COREML.unpack(found | {"peephole": np.roll(found["peephole"], 4)}, layer)
    assert np.abs(ls.compile(layer)(x, wrong)[0] - y).max() > WRONG


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "figo"])
def test_another_order_misses_their_reference(monkeypatch, gates):
    op, x, y = referred(monkeypatch)
    layer, _ = read_operation(op)
    wrong = misread(COREML, gates).unpack(constants(op), layer)
    assert np.abs(ls.compile(layer)(x, wrong)[0] - y).max() > WRONG
