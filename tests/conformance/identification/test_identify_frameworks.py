"""Steps that the frameworks themselves computed: the convention is found, and each silent trap ends in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.identification.explaining import explain, record_step
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.conformance.recognition.sources import open_source
from tests.conformance.conventions import record
from tests.conformance.sets import keras_names, onnx_names, torch_names

N, K, B = 5, 6, 3


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((B, width)).astype("float32") for width in (N, K, K))


def recorded(x, h, c, h1, c1):
    return {name: np.asarray(a) for name, a in zip(("x", "h", "c", "h1", "c1"), (x, h, c, h1, c1), strict=True)}


def assert_found(arrays, step, order, **words):
    found = ls.identify(arrays, step)
    assert found.ok, str(found)
    assert found.best.error < 1e-6
    axes = found.match.axes()
    assert axes["gates"] == ", ".join(order)
    assert {axis: axes[axis] for axis in words} == words
    return found


def explained(arrays, step, dialect=None):
    tensors = open_source(arrays)
    (reading,) = recognize(tensors, dialect).readings
    return explain(reading, tensors, step)


def test_a_torch_cell():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    cell = torch.nn.LSTMCell(N, K)
    x, h, c = drawn()
    with torch.no_grad():
        h1, c1 = cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    step = recorded(x, h, c, h1, c1)
    found = assert_found(cell, step, "ifgo", biases="two a gate")
    assert found.dialect == "pytorch"
    assert explained({n: p.detach().numpy() for n, p in cell.named_parameters()}, step).agrees


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projection():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.LSTM(N, K, proj_size=4)
    x, h, c = drawn()
    with torch.no_grad():
        state = torch.from_numpy(h[None, :, :4].copy()), torch.from_numpy(c[None])
        _, (h1, c1) = layer(torch.from_numpy(x[None]), state)
    step = recorded(x, h[:, :4], c, h1[0], c1[0])
    assert assert_found(layer, step, "ifgo", projection="rows").dialect == "pytorch"


@pytest.mark.parametrize(("activation", "word"), [("sigmoid", "sigmoid"), ("hard_sigmoid", "hard_sigmoid(1/6, 1/2)")])
def test_a_keras_cell(activation, word):
    pytest.importorskip("torch", reason="torch is not installed")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    cell = keras.layers.LSTMCell(K, recurrent_activation=activation)
    x, h, c = drawn()
    cell.build((None, N))
    convert = keras.ops.convert_to_tensor
    _, (h1, c1) = cell(convert(x), [convert(h), convert(c)])
    step = recorded(x, h, c, h1.detach().numpy(), c1.detach().numpy())
    arrays = {v.name: v.value.detach().numpy() for v in cell.weights}
    found = assert_found(arrays, step, "ifgo", **{"gate activation": word, "matrix on x": "gates as columns"})
    named = next(d for d in found.dialects if d.dialect == "keras")
    assert named.named
    assert named.change == ({} if activation == "sigmoid" else {"gate activation": (word, "sigmoid")})
    if activation != "sigmoid":
        first, gates = explained(arrays, step).sentences
        off, right = explained(arrays, step).error, f"{explained(arrays, step).right:.0e}"
        assert off > 0.01
        assert first == f"as keras {off:.2g}, with gate activation hard_sigmoid(1/6, 1/2) {right}"
        assert gates.startswith("gate by gate, read as keras: i 0.")


def onnx_step(arrays):
    """One step that ONNX Runtime computed."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    tensors = open_source(arrays)
    (reading,) = recognize(tensors).readings
    return record_step("onnxruntime", reading, solve(reading, tensors).layer, tensors)


@pytest.mark.parametrize("peephole", [False, True])
def test_a_node_of_onnx_runtime(peephole):
    arrays = {name: 2 * array for name, array in onnx_names(N, K, peephole=peephole).items()}
    words = {"biases": "two a gate, in one array"} | ({"peepholes": "i, o, f; o sees c'"} if peephole else {})
    found = assert_found(arrays, onnx_step(arrays), "iofg", **words)
    assert found.dialect == "onnx"


def test_the_first_of_two_directions_is_explained():
    """Both directions lie on one axis: the step is of the first."""
    arrays = onnx_names(N, K, d=2)
    explanation = explained(arrays, onnx_step(arrays))
    assert explanation.agrees
    assert explanation.sentences == (f"as onnx {explanation.error:.0e}",)


def test_onnx_weights_under_pytorchs_names():
    """CrispASR's trap: the blocks are i, o, f, c, and the names say i, f, g, o."""
    arrays = {name: 2 * array for name, array in onnx_names(N, K).items()}
    step = onnx_step(arrays)
    first, second = np.split(arrays["B"][0], 2)
    renamed = {
        "weight_ih_l0": arrays["W"][0],
        "weight_hh_l0": arrays["R"][0],
        "bias_ih_l0": first,
        "bias_hh_l0": second,
    }
    explanation = explained(renamed, step)
    off = explanation.error
    assert off > 0.05
    near = explanation.right
    assert explanation.sentences[0] == f"as pytorch {off:.2g}, as onnx {near:.0e}: the blocks are i, o, f, g"
    assert explanation.sentences[1].startswith("gate by gate, read as pytorch: i 0, f ")
    found = ls.identify(renamed, step)
    scored = next(d.error for d in found.dialects if d.dialect == "pytorch")  # h' by the recorded c'
    words = f"not pytorch (whose names these are, and believed they are off by {scored:.2g}): gates i, f, g, o there"
    assert words in str(found)


def test_haiku_adds_one_to_the_forget_gate():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    haiku = pytest.importorskip("haiku", reason="dm-haiku is not installed")

    def forward(x, h, c):
        return haiku.LSTM(K)(x, haiku.LSTMState(h, c))

    x, h, c = drawn()
    network = haiku.without_apply_rng(haiku.transform(forward))
    weights = network.init(jax.random.PRNGKey(0), x, h, c)
    _, state = network.apply(weights, x, h, c)
    arrays = {f"{module}/{name}": np.asarray(a) for module, own in weights.items() for name, a in own.items()}
    words = {"forget constant": "1", "one matrix on x and h": "gates as columns; [x, h]"}
    assert_found(arrays, recorded(x, h, c, state.hidden, state.cell), "igfo", **words)


def flax_step():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    linen = pytest.importorskip("flax.linen", reason="flax is not installed")
    x, h, c = drawn()
    cell = linen.LSTMCell(K)
    tree = cell.init(jax.random.PRNGKey(1), (c, h), x)
    (c1, h1), _ = cell.apply(tree, (c, h), x)
    named = {f"{m}/{n}": np.asarray(a) for m, own in tree["params"].items() for n, a in own.items()}
    return named, recorded(x, h, c, h1, c1)


def test_flax_and_its_square_matrices():
    """Each recurrent kernel is k×k: transposed it has the same shape, and only the numbers tell."""
    arrays, step = flax_step()
    side = "a matrix for each gate, units as columns"
    turned = {n: a.T if n.startswith("h") and n.endswith("kernel") else a for n, a in arrays.items()}
    found = ls.identify(arrays, step)
    assert found.ok
    assert found.match.axes()["matrix on h"] == side
    other = ls.identify(turned, step)
    assert other.ok
    assert other.match.axes()["matrix on x"] == side
    assert other.match.axes()["matrix on h"] == "a matrix for each gate, units as rows"
    for result in (found, other):
        gates = {n: g for p in result.match.layout.parts for n, g in zip(p.names, result.match.order, strict=True)}
        assert all(name.split("/")[0][1] == gate for name, gate in gates.items())


def test_an_old_keras_model_with_hard_sigmoid():
    """Keras 1 and 2 have another slope than Keras 3, under the same name."""
    arrays, step = record(N, K, {"form": "columns", "gate": "hard_sigmoid(1/5, 1/2)"})
    named = dict(zip(keras_names(), arrays.values(), strict=True))
    explanation = explained(named, step)
    assert ", with gate activation hard_sigmoid(1/5, 1/2) " in explanation.sentences[0]
    assert explanation.identification.dialects[0].dialect == "keras"


def test_tensorflow_1_without_its_forget_constant():
    """A checkpoint does not hold the 1 that the cell adds."""
    arrays, step = record(N, K, {"order": "igfo", "form": "columns", "join": "xh", "forget": 1})
    found = ls.identify({"basic_lstm_cell/kernel": arrays["kernel"], "basic_lstm_cell/bias": arrays["bias0"]}, step)
    assert found.match.forget == 1
    (miss,) = [m for m in found.near if "forget constant" in m.change]
    assert miss.change == {"forget constant": ("1", "0")}
    assert miss.candidate.of_c > 0.05
    assert miss.candidate.of_h < 1e-9


def test_a_reading_that_nothing_explains():
    arrays, step = record(3, 4, {"order": "iofg", "bias": 2})
    named = dict(zip(torch_names(), arrays.values(), strict=True))
    strange = explained(named, step | {"h1": step["h1"] + 0.3})
    (sentence,) = strange.sentences
    assert ", and no convention that is known here agrees: the nearest misses by " in sentence
    assert strange.gates == {}
    assert strange.to_dict()["sentences"] == [sentence]


def test_a_reading_that_the_data_cannot_explain():
    """One h' off by half a unit would be a finding; which of two equal blocks is which is not known."""
    arrays, step = record(3, 4, {"order": "iofg", "bias": 2})
    named = dict(zip(torch_names(), arrays.values(), strict=True))
    zero = {name: np.zeros_like(array) for name, array in named.items()}
    half = {"h1": 0.5 * np.tanh(0.5 * step["c"]), "c1": 0.5 * step["c"]}
    assert explained(zero, step | half).agrees


def test_a_step_of_other_sizes_explains_nothing():
    named = dict(zip(torch_names(), record(3, 4, {"bias": 2})[0].values(), strict=True))
    assert explained(named, record(5, 7, {})[1]) is None
