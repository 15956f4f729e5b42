"""A gate that is 1 minus another, converted into dialects that couple the other way, or not at all.

What is compared with: a loop in NumPy that couples its gates itself, PyTorch's own layer, ONNX Runtime's own node.
"""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get

N, K, T, B = 5, 4, 6, 3
ALLOWED = ("two-biases", "forget-bias", "options")
SYMMETRIC = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid(1/5, 1/2)": lambda z: np.clip(z / 5 + 0.5, 0, 1),
}


def made(dtype="float32", **options):
    layer = ls.lstm(N, K, **options)
    return layer, get("lstm-spec").pack(layer.random(3, dtype), layer)


def loop(tensors, options, x):
    """The equations as they stand in the literature, in float64; o sees the new cell."""
    own = {name.removeprefix("l0."): a.astype("float64") for name, a in tensors.items()}
    squash = SYMMETRIC[options.get("gate_activation", "sigmoid")]
    h, c = np.zeros((B, K)), np.zeros((B, K))

    def total(x_t, gate, cell=None):
        z = x_t @ own[f"W_{gate}"].T + h @ own[f"U_{gate}"].T + own.get(f"b_{gate}", 0)
        z = z + own.get(f"b_W{gate}", 0) + own.get(f"b_U{gate}", 0)
        return z if cell is None else z + own.get(f"p_{gate}", 0) * cell

    outputs = []
    for x_t in x:
        if options["coupled"] == "f=1-i":
            i = squash(total(x_t, "i", c))
            f = 1 - i
        else:
            f = squash(total(x_t, "f", c) + options.get("forget_bias", 0))
            i = 1 - f
        after = f * c + i * np.tanh(total(x_t, "g"))
        h, c = squash(total(x_t, "o", after)) * np.tanh(after), after
        outputs.append(h)
    return np.stack(outputs)


def input_of(dtype="float32"):
    return np.random.default_rng(1).standard_normal((T, B, N)).astype(dtype)


OPTIONS = [
    {"coupled": "f=1-i"},
    {"coupled": "f=1-i", "bias": "two"},
    {"coupled": "f=1-i", "bias": "none"},
    {"coupled": "f=1-i", "peephole": True},
    {"coupled": "i=1-f"},
    {"coupled": "i=1-f", "bias": "two", "forget_bias": 1},
    {"coupled": "i=1-f", "bias": "none"},
    {"coupled": "i=1-f", "peephole": True, "forget_bias": 1},
    {"coupled": "i=1-f", "gate_activation": "hard_sigmoid(1/5, 1/2)"},
]


TARGETS = ["pytorch", "keras", "onnx", "tf1", "tf1-coupled", "burn", "haiku", "tflite", "mlx"]
CAN = {"peephole": {"onnx", "tf1", "tf1-coupled", "tflite"}, "gate_activation": {"keras", "onnx"}}


def can(to, options):
    return all(to in CAN[name] for name in CAN.keys() & options.keys())


@pytest.mark.parametrize(("to", "options"), [(to, o) for to in TARGETS for o in OPTIONS if can(to, o)], ids=str)
def test_it_computes_what_the_coupled_loop_computes(to, options):
    layer, tensors = made("float64", **options)
    (converted,) = ls.convert(tensors, to, layer=layer, allow=ALLOWED).layers
    (written,) = converted.written
    x = input_of("float64")
    weights = get(to).unpack(get(to).pack(written.weights, written.layer), written.layer)
    y, _ = ls.compile(written.layer)(x, weights)
    np.testing.assert_allclose(y, loop(tensors, options, x), rtol=0, atol=1e-14)
    assert {loss.name for loss in converted.adapted.losses} <= set(ALLOWED)


@pytest.mark.parametrize(("to", "options"), [(to, o) for to in TARGETS for o in OPTIONS if not can(to, o)], ids=str)
def test_what_is_refused_is_not_the_coupling(to, options):
    layer, tensors = made(**options)
    with pytest.raises(ls.LstmSpecError, match=f"{to} (has no place for p_|computes another)"):
        ls.convert(tensors, to, layer=layer, allow=ALLOWED)


def test_pytorch_runs_a_coupled_cell():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    options = {"coupled": "i=1-f", "forget_bias": 1}
    layer, tensors = made(**options)
    module = torch.nn.LSTM(N, K)
    found = ls.convert(tensors, "pytorch", layer=layer, allow="forget-bias")
    module.load_state_dict({name: torch.tensor(a) for name, a in found.tensors.items()})
    with torch.no_grad():
        y, _ = module(torch.tensor(input_of()))
    np.testing.assert_allclose(y.numpy(), loop(tensors, options, input_of()), rtol=0, atol=2e-6)
    assert found.layers[0].adapted.notes[0] == (
        "pytorch does not couple gates: i gets weights of its own, those of f negated (1 - sigmoid(z) is sigmoid(-z))"
    )


def test_onnx_runtime_couples_a_cell_that_was_coupled_the_other_way(tmp_path):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = {"coupled": "i=1-f"}
    layer, tensors = made(**options)
    path = str(tmp_path / "m.onnx")
    ls.convert(tensors, "onnx", layer=layer, output=path)
    y = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["Y"], {"X": input_of()})[0][:, 0]
    np.testing.assert_allclose(y, loop(tensors, options, input_of()), rtol=0, atol=2e-6)
    assert ls.check(path).ok


def test_there_and_back():
    """TensorFlow 1's coupled cell as ONNX's coupled node and back: its numbers, but for what the folding rounds."""
    layer = ls.lstm(N, K, coupled="i=1-f", forget_bias=1)
    given = get("tf1-coupled").pack(layer.random(0, "float32"), layer)
    names = {f"rnn/coupled_input_forget_gate_lstm_cell/{name}": a for name, a in given.items()}
    there = ls.convert(names, "onnx", allow=ALLOWED, holds_options=True)
    (written,) = there.layers[0].written
    assert str(written.layer.cell.defined["f"]) == "f = 1 - i"
    native = get("lstm-spec").pack(written.weights, written.layer)
    back = ls.convert(native, "tf1-coupled", layer=written.layer, allow=ALLOWED).tensors
    for name, array in names.items():
        found = next(a for n, a in back.items() if n.rpartition("/")[2] == name.rpartition("/")[2])
        np.testing.assert_allclose(found, array, rtol=0, atol=3e-7)


COUPLED = "rnn/coupled_input_forget_gate_lstm_cell/"
WITHOUT_COUPLING = ["pytorch", "keras", "tf1", "haiku", "burn", "tflite", "mlx", "lasagne", "kaldi"]


def coupled_cell(**options):
    """TensorFlow 1's coupled cell as its checkpoint names it, in float32."""
    layer = ls.lstm(N, K, coupled="i=1-f", forget_bias=1, **options)
    given = get("tf1-coupled").pack(layer.random(0, "float32"), layer)
    return layer, {COUPLED + name: array for name, array in given.items()}


@pytest.mark.parametrize("to", WITHOUT_COUPLING)
def test_tensors_alone_lead_back_into_a_coupled_cell(to):
    """Weights that are another gate's, negated, are that gate's again: nothing else has to be said."""
    _, names = coupled_cell()
    there = ls.convert(names, to, allow=ALLOWED)
    (back,) = ls.convert(there.tensors, "tf1-coupled", dialect=to, allow=ALLOWED).layers
    for name, array in names.items():
        found = next(a for n, a in back.tensors.items() if n.rpartition("/")[2] == name.rpartition("/")[2])
        np.testing.assert_allclose(found, array, rtol=0, atol=3e-7)
    if to not in ("tflite", "burn"):  # which couple by missing tensors: no gate was written out
        assert (
            "the weights of i are those of f negated: tf1-coupled, which couples the two, leaves them out"
            in back.adapted.notes
        )


@pytest.mark.parametrize("changed", ["weight_hh_l0", "bias_ih_l0"])
def test_gates_that_are_nearly_mirrored_are_gates_of_their_own(changed):
    _, names = coupled_cell()
    tensors = dict(ls.convert(names, "pytorch", allow=ALLOWED).tensors)
    key = next(name for name in tensors if name.endswith(changed))
    tensors[key] = tensors[key].copy()
    tensors[key].flat[0] = np.nextafter(tensors[key].flat[0], np.float32(9))
    with pytest.raises(ls.LstmSpecError, match="tf1-coupled has no place for W_i"):
        ls.convert(tensors, "tf1-coupled", allow=ALLOWED)


@pytest.mark.parametrize("to", ["haiku", "tf1"])
def test_both_add_the_constant_and_one_bias_takes_it_up(to):
    """f keeps its constant; the gate that is written out has it in its bias, rounded as float32 does."""
    layer, names = coupled_cell()
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(names, to)
    assert str(caught.value) == (
        f"error[loss]: {to} cannot hold all of this layer as it is\n"
        "  at       arrays : rnn/coupled_input_forget_gate_lstm_cell\n"
        "  because  the forget gate adds 1 at every step: the bias of i gets that much less\n"
        "  help     --allow forget-bias, if that is agreed"
    )
    (converted,) = ls.convert(names, to, allow="forget-bias").layers
    (written,) = converted.written
    weights = get(to).unpack(get(to).pack(written.weights, written.layer), written.layer)
    y, _ = ls.compile(written.layer)(input_of("float64"), weights.astype("float64"))
    expected = loop(
        get("lstm-spec").pack(layer.random(0, "float32"), layer),
        {"coupled": "i=1-f", "forget_bias": 1},
        input_of("float64"),
    )
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("function", ["softsign", "hard_sigmoid(1/5, 1/3)"])
def test_other_gates_stay_coupled(function):
    """1 - softsign(z) is no softsign of anything, nor is it of a hard sigmoid that is not symmetric about 1/2."""
    layer, tensors = made(coupled="f=1-i", gate_activation=function)
    with pytest.raises(ls.LstmSpecError, match="keras does not couple gates so") as caught:
        ls.convert(tensors, "keras", layer=layer, allow=ALLOWED)
    assert "found    f = 1 - i" in str(caught.value)
