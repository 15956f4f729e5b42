"""What an ONNX node's attributes say becomes equations, which compute what ONNX Runtime computes from the same node."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.recognition import operators
from tests.conformance.sets import K, N, drawn, node_attributes, onnx_model, onnx_names

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

LIMIT = 2e-6


def model_of(attributes, folder, d=1, peephole=False, **changes):
    """A node with weights of the size of real ones, so that a wrong reading shows."""
    tensors = {name: 3 * a for name, a in onnx_names(d=d, peephole=peephole).items()} | changes
    direction = "bidirectional" if d == 2 else "forward"
    path = folder / "node.onnx"
    path.write_bytes(onnx_model(tensors, node_attributes(direction=direction) | attributes))
    return path


def activations(*names):
    return {"activations": [*names]}


# The attributes, and what they leave in the equations.
NODES = {
    "clip": ({"clip": 0.3}, "o  = sigmoid(clip(W_o x + b_Wo + U_o h + b_Uo, -0.3, 0.3))"),
    "clip of a third": ({"clip": 1 / 3}, "clip(W_i x + b_Wi + U_i h + b_Ui, -0.33333334, 0.33333334)"),
    "a small clip": ({"clip": 1e-9}, "-1e-09, 1e-09)"),
    "a large clip": ({"clip": 1e9}, "-1000000000, 1000000000)"),
    "input_forget": ({"input_forget": 1}, "f  = 1 - i\n"),
    "default numbers": (
        activations("HardSigmoid", "LeakyRelu", "Elu"),
        "i  = hard_sigmoid(W_i x + b_Wi + U_i h + b_Ui, 0.2, 0.5)",
    ),
    "the default of LeakyRelu": (activations("sigmoid", "LEAKYRELU", "tanh"), "b_Ug, 0.01)"),
    "the default of Elu": (activations("Sigmoid", "Tanh", "Elu"), "h' = o * elu(c', 1)"),
    "alpha and beta in order": (
        activations("HardSigmoid", "LeakyRelu", "Elu")
        | {"activation_alpha": [0.3, 0.1, 0.7], "activation_beta": [0.4]},
        "h' = o * elu(c', 0.7)",
    ),
    "alpha of the first that takes one": (
        activations("Sigmoid", "LeakyRelu", "Tanh") | {"activation_alpha": [-0.25]},
        "g  = leaky_relu(W_g x + b_Wg + U_g h + b_Ug, -0.25)",
    ),
    "too many alphas": (
        activations("HardSigmoid", "Tanh", "Tanh") | {"activation_alpha": [0.3, 9.0, 9.0]},
        "f  = hard_sigmoid(W_f x + b_Wf + U_f h + b_Uf, 0.3, 0.5)",
    ),
    "no numbers": (activations("Softsign", "Relu", "Softplus"), "h' = o * softplus(c')"),
    "all at once": (
        {"clip": 0.5, "input_forget": 1} | activations("HardSigmoid", "Softsign", "Relu"),
        "o  = hard_sigmoid(clip(W_o x + b_Wo + U_o h + b_Uo, -0.5, 0.5), 0.2, 0.5)",
    ),
}


@pytest.mark.parametrize("peephole", [False, True], ids=["", "peephole"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("name", NODES)
def test_a_node_is_read_as_it_runs(name, d, peephole, tmp_path):
    attributes, line = NODES[name]
    for key in ("activations", "activation_alpha", "activation_beta"):
        if key in attributes and d == 2 and name != "too many alphas":
            attributes = attributes | {key: attributes[key] * 2}
    if d == 2 and name == "too many alphas":
        attributes = attributes | {"activations": attributes["activations"] * 2, "activation_alpha": [0.3, 0.3, 9.0]}
    path = model_of(attributes, tmp_path, d, peephole)
    report = ls.check(path)
    (found,) = report.layers
    assert report.findings == ()
    assert found.agreement.difference <= LIMIT
    if not peephole:
        assert line in f"{found.layer.cell}\n"
    layer, weights = ls.read(path)
    assert layer == found.layer
    assert set(weights) == set(layer.parameter_shapes())


@pytest.mark.parametrize("name", [name for name in NODES if name != "a large clip"])
def test_a_node_read_without_its_attributes_is_caught(name, tmp_path, monkeypatch):
    path = model_of(NODES[name][0], tmp_path, peephole=True)
    monkeypatch.setattr(operators, "_options", lambda attributes: {})
    report = ls.check(path)
    (finding,) = report.findings
    assert (finding.code, finding.message) == ("numbers", "node computes something else than onnxruntime")
    assert report.layers[0].agreement.difference > 0.05


def test_the_numbers_of_a_node_matter(tmp_path, monkeypatch):
    """Alphas taken by place instead of in order, beta for alpha, the slope of Keras 3: each is caught."""
    read = operators._read_activations
    attributes, _ = NODES["alpha and beta in order"]
    path = model_of(attributes, tmp_path)
    for wrong in (
        ["hard_sigmoid(0.4, 0.3)", "leaky_relu(0.1)", "elu(0.7)"],
        ["hard_sigmoid(0.3, 0.4)", "leaky_relu(0.7)", "elu(0.1)"],
        ["hard_sigmoid(1/6, 1/2)", "leaky_relu(0.1)", "elu(0.7)"],
    ):
        monkeypatch.setattr(operators, "_read_activations", lambda attributes, wrong=wrong: wrong)
        assert [f.code for f in ls.check(path).findings] == ["numbers"]
    monkeypatch.setattr(operators, "_read_activations", read)
    assert ls.check(path).ok


def test_rows_of_the_forget_gate_that_nobody_reads(tmp_path):
    """With input_forget they may hold anything, and are 0 when we write them."""
    tensors = {name: 3 * a for name, a in onnx_names(peephole=True).items()}
    dead = {name: a.copy() for name, a in tensors.items()}
    for name, start in (("W", 8), ("R", 8), ("B", 8), ("B", 24), ("P", 8)):
        dead[name][:, start : start + 4] = 1e6
    assert ls.check(model_of({"input_forget": 1}, tmp_path, peephole=True, **dead)).ok
    layer, weights = ls.read(model_of({"input_forget": 1}, tmp_path, peephole=True, **tensors))
    again = ls.dialects.get("onnx").pack(weights, layer)
    for name, start in (("W", 8), ("R", 8), ("B", 8), ("B", 24), ("P", 8)):
        tensors[name][:, start : start + 4] = 0
    assert set(again) == set(tensors)
    for name, a in tensors.items():
        np.testing.assert_array_equal(again[name], a)


def test_a_coupled_node_of_a_wrong_shape(tmp_path):
    """Three blocks where the operator has four: that the fourth is not read makes it no less wanted."""
    three = drawn({"W": (1, 3 * K, N)})
    report = ls.check(model_of({"input_forget": 1}, tmp_path, **three))
    path = tmp_path / "node.onnx"
    assert [str(f) for f in report.findings] == [
        "error[shape]: W does not fit\n"
        f"  at       {path} : node : W\n"
        "  expected (1, 4*k, n) = (1, 16, 3)\n"
        "  found    (1, 12, 3)\n"
        "  because  k = 4 from R, B, hidden_size, n = 3 from W"
    ]


REFUSED = {
    "mixed": (
        2,
        activations("Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Tanh", "Relu"),
        "error[unsupported]: activations ['Sigmoid', 'Tanh', 'Tanh', 'HardSigmoid', 'Tanh', 'Relu'] differ between the "
        "directions\n"
        "  at       {path} : node\n"
        "  because  forward sigmoid, tanh, tanh; reverse hard_sigmoid(0.2, 0.5), tanh, relu\n"
        "  help     a layer has one cell for both directions",
    ),
    "mixed by a number that is used up": (
        2,
        activations(*["HardSigmoid", "Tanh", "Tanh"] * 2) | {"activation_alpha": [0.3]},
        "error[unsupported]: activations ['HardSigmoid', 'Tanh', 'Tanh', 'HardSigmoid', 'Tanh', 'Tanh'] differ between "
        "the directions\n"
        "  at       {path} : node\n"
        "  because  forward hard_sigmoid(0.3, 0.5), tanh, tanh; reverse hard_sigmoid(0.2, 0.5), tanh, tanh\n"
        "  help     a layer has one cell for both directions",
    ),
    "of one direction": (
        2,
        activations("Sigmoid", "Tanh", "Tanh"),
        "error[option]: activations ['Sigmoid', 'Tanh', 'Tanh']\n"
        "  at       {path} : node\n"
        "  expected 3: of the gates, of the candidate, of the cell, twice\n"
        "  found    3",
    ),
    "without an option": (
        1,
        activations("Sigmoid", "ScaledTanh", "ThresholdedRelu"),
        "error[unsupported]: activation ScaledTanh, ThresholdedRelu\n"
        "  at       {path} : node\n"
        "  expected sigmoid, tanh, relu, softsign, softplus, hardsigmoid, leakyrelu, elu\n"
        "  help     this version has no option for it; the equations of a cell of your own can say it",
    ),
    "a number that is none": (
        1,
        activations("HardSigmoid", "Tanh", "Tanh") | {"activation_beta": [float("nan")]},
        "error[option]: activation_beta has nan\n"
        "  at       {path} : node\n"
        "  expected a number from 1e-09 to 1e+09, 0, or below 0 likewise",
    ),
    "a clip that is none": (
        1,
        {"clip": 0.0},
        "error[option]: clip = 0.0 is no bound\n  at       {path} : node\n  expected a number from 1e-09 to 1e+09",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    d, attributes, message = REFUSED[name]
    path = model_of(attributes, tmp_path, d)
    report = ls.check(path)
    assert [str(f) for f in report.findings] == [message.format(path=path)]
    assert (report.ok, report.layers) == (False, ())
