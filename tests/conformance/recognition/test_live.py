"""Live layers: what they say of themselves is taken from them, and they are left as they were."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError

torch = pytest.importorskip("torch", reason="torch is not installed")

AGREES = 1e-6


class Model(torch.nn.Module):
    """Two LSTMs, one in a cell, beside a Linear layer; with or without a GRU."""

    def __init__(self, with_gru: bool) -> None:
        super().__init__()
        self.encoder = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5)
        self.step = torch.nn.LSTMCell(8, 5, dtype=torch.float64)
        self.head = torch.nn.Linear(5, 2)
        if with_gru:
            self.gru = torch.nn.GRU(3, 4)


def test_a_module_with_several_layers():
    report = ls.check(Model(with_gru=False))
    assert report.ok
    assert [(f.where, f.summary, f.layer.layout, f.assumed) for f in report.layers] == [
        ("encoder", "n = 3, k = 4, 2 layers, bidirectional, two biases", "batch", ()),
        ("step", "n = 8, k = 5, forward, two biases", "time", ()),
    ]
    assert all(f.agreement.engine == "torch" and f.agreement.difference < AGREES for f in report.layers)
    assert report.layers[1].agreement.tolerance == 1e-9  # it is float64
    assert report.other == ("head.weight", "head.bias")


def test_a_gru_in_it_is_unread():
    report = ls.check(Model(with_gru=True))
    assert [str(f) for f in report.findings] == [
        "error[unread]: gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs\n"
        "  at       Model : gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0"
    ]
    assert (report.ok, len(report.layers), report.other) == (False, 2, ("head.weight", "head.bias"))


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(training):
    """Its numbers, its mode, what wants a gradient, its hooks and the random state."""
    module = Model(with_gru=False).train(training)
    module.head.weight.requires_grad_(False)
    calls = []
    module.encoder.register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(module.state_dict())
    flags = {name: p.requires_grad for name, p in module.named_parameters()}
    torch.manual_seed(7)
    wanted = torch.rand(1).item()
    torch.manual_seed(7)
    ls.check(module)
    _, weights = ls.read(module, at="encoder")
    for array in weights.values():
        array += 1  # a copy: ours to change
    assert torch.rand(1).item() == wanted
    assert {name: p.requires_grad for name, p in module.named_parameters()} == flags
    assert all(p.grad is None for p in module.parameters())
    assert [part.training for part in module.modules()] == [training] * len(list(module.modules()))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_one_layer_is_read_and_runs():
    module = torch.nn.LSTM(3, 4, proj_size=2, batch_first=True, dtype=torch.float64)
    layer, weights = ls.read(module)
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    y, _ = ls.compile(layer)(x, weights)
    with torch.no_grad():
        expected, _ = module(torch.from_numpy(x))
    assert np.abs(y - expected.numpy()).max() < 1e-12


def test_a_layer_with_a_projection_is_compared_without_a_warning(recwarn):
    report = ls.check(torch.nn.LSTM(3, 5, proj_size=2))
    assert report.layers[0].agreement.difference < AGREES
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_in_half_precision(dtype):
    report = ls.check(torch.nn.LSTM(3, 4).to(dtype))
    assert report.ok
    assert str(report.layers[0].agreement).startswith("not compared with torch: ")


def test_a_module_without_values():
    """On the meta device there are shapes and nothing else."""
    report = ls.check(torch.nn.LSTM(3, 4, device="meta"))
    assert report.ok
    assert str(report.layers[0].agreement) == (
        "not compared with torch: the values of weight_ih_l0 (float32) cannot be read"
    )


class Named(torch.nn.Module):
    """Bears the names of an LSTM's parameters, and is none that we know."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in {"weight_ih": (16, 3), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}.items():
            setattr(self, name, torch.nn.Parameter(torch.zeros(shape)))


def test_a_module_that_only_bears_the_names():
    """It is not run: the tensors are put into a torch.nn.LSTM."""
    report = ls.check(torch.nn.Sequential(Named()))
    assert report.ok
    assert report.layers[0].agreement.difference < AGREES


class Twisted(torch.nn.LSTM):
    """Computes something else than its parent."""

    def forward(self, x, state=None):
        y, (h, c) = super().forward(x, state)
        return y + 1, (h, c)


def test_a_module_that_computes_something_else():
    report = ls.check(Twisted(3, 4))
    (finding,) = report.findings
    assert (finding.code, finding.found, report.ok) == ("numbers", "1.0e+00", False)


def test_a_module_that_cannot_be_run():
    class Broken(torch.nn.LSTM):
        def forward(self, x, state=None):
            raise RuntimeError("no\nway")

    report = ls.check(Broken(3, 4))
    assert str(report.layers[0].agreement) == "not compared with torch: it fails with RuntimeError: no"


@pytest.mark.parametrize("thing", [torch.zeros(3), torch.float32, torch.Generator()])
def test_other_things_of_torch(thing):
    with pytest.raises(TensorError, match="is no source of tensors"):
        ls.check(thing)


def test_a_state_dict_is_a_dict_of_arrays():
    """On any device, with gradients or without; a scalar beside the tensors is fine."""
    state = {f"module.{n}": p for n, p in torch.nn.LSTM(3, 4).named_parameters()} | {"steps": torch.tensor(3)}
    report = ls.check(state)
    assert (report.ok, report.layers[0].where, report.other) == (True, "module", ("steps",))
    assert report.layers[0].agreement.difference < AGREES


def test_weight_norm_renames_what_it_splits():
    module = torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0")
    report = ls.check(module)
    assert not report.ok
    assert ["parametrizations.weight_hh_l0.original1 (16, 4)" in f.found for f in report.findings] == [True]


# ---- Keras ----


@pytest.fixture
def keras():
    keras = pytest.importorskip("keras", reason="keras is not installed")
    keras.utils.set_random_seed(0)  # the same weights whichever tests came before
    return keras


def built(layer, width=3):
    layer.build((None, None, width))
    return layer


def test_a_keras_layer_says_its_options(keras):
    report = ls.check(built(keras.layers.LSTM(4, name="lstm_a")))
    (layer,) = report.layers
    assert (layer.where, layer.summary) == ("lstm_a/lstm_cell", "n = 3, k = 4, forward, one bias")
    assert (layer.assumed, layer.layer.layout, layer.layer.output) == ((), "batch", "last")
    assert layer.agreement.difference < AGREES
    assert report.ok


def test_a_keras_layer_without_bias_backwards_in_float64(keras):
    layer = built(keras.layers.LSTM(4, use_bias=False, go_backwards=True, return_sequences=True, dtype="float64"))
    report = ls.check(layer)
    (found,) = report.layers
    assert found.summary == "n = 3, k = 4, reverse, no bias"
    assert (found.layer.realign, found.layer.output) == (False, "sequence")
    assert found.agreement.difference < 1e-12


def test_a_keras_model(keras):
    lstm = keras.layers.LSTM
    parts = [keras.layers.Input((7, 3)), lstm(4, return_sequences=True), keras.layers.Bidirectional(lstm(5))]
    model = keras.Sequential([*parts, keras.layers.Dense(2)])
    before = [v.value.detach().clone() for v in model.weights]
    report = ls.check(model)
    assert report.ok
    assert [f.summary for f in report.layers] == [
        "n = 3, k = 4, forward, one bias",
        "n = 4, k = 5, forward, one bias",
        "n = 4, k = 5, reverse, one bias",
    ]
    assert [name.rpartition("/")[2] for name in report.other] == ["kernel", "bias"]
    assert all(f.agreement.difference < AGREES for f in report.layers)
    for array in ls.read(model, at=report.layers[0].where)[1].values():
        array += 1  # a copy: ours to change
    assert all(torch.equal(a, v.value) for a, v in zip(before, model.weights, strict=True))


def test_a_keras_model_with_other_cells(keras):
    parts = [keras.layers.Input((7, 3)), keras.layers.GRU(4, return_sequences=True), keras.layers.SimpleRNN(5)]
    report = ls.check(keras.Sequential(parts))
    assert [f.message.split(" is a ")[1].split(",")[0] for f in report.findings] == ["GRU", "simple RNN"]
    assert (report.ok, report.other) == (False, ())


KNOWN = "sigmoid, tanh, relu, linear, softplus, softsign, exponential, elu, leaky_relu, hard_sigmoid"


@pytest.mark.parametrize("option", ["activation", "recurrent_activation"])
def test_an_activation_that_there_is_no_option_for(keras, option):
    layer = built(keras.layers.LSTM(4, name=f"lstm_{option}", **{option: "selu"}))
    report = ls.check(layer)
    assert [str(f) for f in report.findings] == [
        f"error[unsupported]: {option} = selu\n"
        f"  at       lstm_{option} : lstm_{option}/lstm_cell\n"
        f"  expected {KNOWN}\n"
        "  help     this version has no such option"
    ]
    assert (report.ok, report.layers[0].agreement) == (False, None)
    with pytest.raises(TensorError, match=rf"^error\[unsupported\]: {option} = selu"):
        ls.read(layer)


@pytest.mark.parametrize("option", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("name", KNOWN.split(", "))
def test_an_activation_is_an_option(keras, option, name):
    """Read from the live layer, and computed as it is: by our code, and by the layer that check builds."""
    layer = built(keras.layers.LSTM(4, return_sequences=True, dtype="float64", **{option: name}))
    layer.set_weights([v.value.detach().numpy() / 4 for v in layer.weights])  # exponential would grow past numbers
    x = np.random.default_rng(0).standard_normal((2, 3, 3))
    own, weights = ls.read(layer)
    expected = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ls.compile(own)(x, weights)[0], expected, rtol=1e-11, atol=1e-12)
    plain = ls.compile(own.with_(cell=ls.lstm(3, 4).cell))(x, weights)[0]
    changed = name != {"activation": "tanh", "recurrent_activation": "sigmoid"}[option]
    assert (np.abs(plain - expected).max() > 1e-3) == changed
    report = ls.check(layer)
    assert report.ok
    assert report.layers[0].agreement.difference < 1e-12
    assert [f.code for f in report.findings] == ["hard-sigmoid"] * (name == "hard_sigmoid")


def test_a_subclass_is_asked_too(keras):
    class Mine(keras.layers.LSTM):
        pass

    assert not ls.check(built(Mine(4, activation="selu"))).ok
    cells = keras.layers.RNN([keras.layers.LSTMCell(4, activation="selu"), keras.layers.LSTMCell(5)])
    assert [f.message for f in ls.check(built(cells)).findings] == ["activation = selu"]


def test_a_layer_that_is_not_built(keras):
    with pytest.raises(TensorError) as caught:
        ls.check(keras.layers.LSTM(4, name="new"))
    assert str(caught.value) == (
        "error[unbuilt]: new is not built and has no tensors\n  help     call it once, or layer.build((B, T, n))"
    )


def test_what_is_no_layer_of_keras(keras):
    with pytest.raises(TensorError, match="is no source of tensors"):
        ls.check(keras.Variable(np.zeros(3)))


def test_a_live_layer_of_bfloat16_is_converted_as_its_file_is():
    module = torch.nn.LSTM(3, 4).to(torch.bfloat16)
    for source in (module, module.state_dict()):
        made = ls.convert(source, "pytorch")
        assert made.layers[0].adapted.notes == ("bfloat16 is written as float32, which holds it exactly",)
        for name, value in module.state_dict().items():
            np.testing.assert_array_equal(made.tensors[name], value.float().numpy())


def test_nan_is_told_of_a_live_layer_of_halves_too():
    module = torch.nn.LSTM(3, 4)
    with torch.no_grad():
        module.bias_hh_l0[3] = float("nan")
    report = ls.check(module.half())
    assert [finding.message for finding in report.findings] == ["bias_hh_l0 holds NaN or infinity"]
