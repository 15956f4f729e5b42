"""The comparison of numbers: a wrong reading is found out by running both, whatever the shapes say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import dialects
from lstm_spec.conformance.identification import explaining, namesakes
from lstm_spec.conformance.verdict import numbers
from lstm_spec.errors import TensorError
from lstm_spec.frameworks import named_states
from tests.conformance.sets import keras_names, onnx_names, torch_names
from tests.frameworks.peers import misread

ENGINES = {
    "pytorch": ("torch", torch_names(n=7, k=6)),
    "keras": ("keras", keras_names(n=7, k=6)),
    "onnx": ("onnxruntime", onnx_names(n=7, k=6)),
}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("gates", ["ifog", "figo", "gifo"])
def test_a_wrong_gate_order_is_found_out(name, gates, monkeypatch):
    """The table of a dialect is changed: shapes still fit, and the numbers do not."""
    engine, tensors = ENGINES[name]
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    assert ls.check(tensors).ok
    wrong = misread(dialects.get(name), gates)
    for module in (dialects, namesakes, explaining):
        monkeypatch.setattr(module, "DIALECTS", {**dialects.DIALECTS, name: wrong})
    namesakes.convention_of.cache_clear()
    report = ls.check(tensors, dialect=name)
    namesakes.convention_of.cache_clear()
    (finding,) = report.findings
    assert not report.ok
    assert (finding.code, finding.expected) == ("numbers", "a difference of at most 1e-03")
    read_as, off, by_gate = finding.because.splitlines()
    assert read_as == f"read as {name}: {wrong.title}"
    assert off.startswith(f"as {name} ")
    assert by_gate.startswith(f"gate by gate, read as {name}: ")
    assert finding.message == f"arrays computes something else than {engine}"
    agreement = report.layers[0].agreement
    assert agreement.difference > 0.01
    assert str(agreement) == f"DIFFERS from {engine} within {agreement.difference:.1e} (limit 1e-03)"


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def test_numbers_can_be_left_out(monkeypatch):
    monkeypatch.setattr(numbers, "forward", None)
    assert ls.check(torch_names(), numbers=False).layers[0].agreement is None


def test_an_engine_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(numbers, "installed", lambda engine: False)
    assert str(ls.check(torch_names()).layers[0].agreement) == (
        'not compared with torch: it is not installed (pip install "lstm-spec[frameworks]")'
    )
    assert str(ls.check(onnx_names()).layers[0].agreement) == (
        'not compared with onnxruntime: it is not installed (pip install "lstm-spec[onnx]")'
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -1e38])
def test_values_that_are_no_weights(value, torch, recwarn):
    """NaN and infinity where the other has them too are agreement; no warning escapes."""
    tensors = torch_names()
    tensors["weight_ih_l0"][0, 0] = value
    report = ls.check(tensors)
    assert report.layers[0].agreement.engine == "torch"
    assert report.ok, str(report)
    assert not recwarn.list


def perturbed(change):
    """Our own output as the framework's, with one thing changed."""

    def forward(engine, request):
        weights = dialects.get("pytorch").unpack(request.tensors, request.layer)
        y, state = ls.compile(request.layer)(request.x, weights, request.state)
        states = {"h": state["h"][None].copy(), "c": state["c"][None].copy()}
        y = change(y, states)
        return y, named_states(request.layer, states)

    return forward


def set_nan(y, states):
    states["c"][0, 0, 0] = np.nan
    return y


def shift_state(y, states):
    states["h"] += 0.1
    return y


@pytest.mark.parametrize(
    ("change", "found"),
    [(set_nan, "inf"), (shift_state, "1.0e-01"), (lambda y, _: y[:, :1], "inf"), (lambda y, _: y * 0, "5.3e-01")],
)
def test_any_difference_is_a_finding(change, found, monkeypatch, torch):
    """A number that only one side has, a state alone, a shape."""
    monkeypatch.setattr(numbers, "forward", perturbed(change))
    report = ls.check(torch_names())
    (finding,) = report.findings
    assert finding.code == "numbers"
    assert finding.found.startswith(found)
    assert not report.ok


def large(scale):
    rng = np.random.default_rng(0)
    return {n: rng.uniform(-scale, scale, a.shape).astype("float32") for n, a in torch_names(n=64, k=128).items()}


@pytest.mark.parametrize("scale", [1, 3, 10, 30, 100])
def test_large_weights_are_no_false_alarm(scale, torch):
    """A recurrence with large weights is chaotic, and no two processors round alike."""
    assert ls.check(large(scale)).ok
    wrong = replace(ls.check(large(1)).layers[0].agreement, difference=1.0)
    assert "DIFFERS" in str(wrong)


@pytest.mark.parametrize("scale", [1, 3, 10])
def test_large_weights_hide_no_wrong_order(scale, torch, monkeypatch):
    """Rounding that is measured widens the limit to what rounding explains, never to what an order makes."""
    monkeypatch.setitem(dialects.DIALECTS, "pytorch", misread(dialects.get("pytorch"), "figo"))
    assert not ls.check(large(scale), dialect="pytorch").ok


def test_where_rounding_alone_decides_nothing_is_compared(torch, monkeypatch):
    """Ours in float32 beside ours in float64, where the framework is past the limit."""
    monkeypatch.setattr(numbers, "forward", perturbed(lambda y, _: y + 0.01))
    monkeypatch.setattr(numbers, "ROUNDINGS", 1e6)
    agreement = ls.check(torch_names()).layers[0].agreement
    assert agreement.reason.startswith("with weights so large, rounding alone changes the output by ")
    monkeypatch.setattr(numbers, "ROUNDINGS", 30)
    assert "DIFFERS" in str(ls.check(torch_names()).layers[0].agreement)


def test_a_reading_with_errors_is_not_run(monkeypatch):
    monkeypatch.setattr(numbers, "forward", None)
    tensors = torch_names() | {"bias_hh_l0": np.zeros(3, "float32")}
    assert ls.check(tensors).layers[0].agreement is None
    with pytest.raises(TensorError, match=r"^error\[shape\]: bias_hh_l0 does not fit"):
        ls.read(tensors)


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_weights_that_are_not_finite_agree_with_nobody(strange: float) -> None:
    """NaN equals NaN whatever the gate order: nothing is measured on it."""
    pytest.importorskip("torch", reason="torch is not installed")
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}
    arrays = {name: np.ones(shape) for name, shape in shapes.items()}
    arrays["bias_ih_l0"][3] = strange
    agreement = ls.check(arrays).layers[0].agreement
    assert str(agreement) == "not compared with torch: bias_ih_l0 holds NaN or infinity"


def test_a_newline_in_a_prefix_hides_nothing() -> None:
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4)}
    report = ls.check({f"evil\n.{name}": np.ones(shape) for name, shape in shapes.items()}, numbers=False)
    assert [found.dialect for found in report.layers] == ["pytorch"]
    assert "evil\\x0a" in str(report)


def test_a_tall_stack_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(numbers, "MOST_CELLS", 1)
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "weight_ih_l1": (16, 4), "weight_hh_l1": (16, 4)}
    agreement = ls.check({name: np.ones(shape) for name, shape in shapes.items()}).layers[0].agreement
    assert str(agreement) == "not compared with torch: 2 cells are more than 1"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_weights_are_compared_and_read(dtype, suffix, tmp_path):
    """They were said to be unreadable; float32 holds them exactly."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    state = {name: value.to(getattr(torch, dtype)) for name, value in torch.nn.LSTM(3, 4).state_dict().items()}
    path = tmp_path / f"half{suffix}"
    (torch.save if suffix == ".pt" else save_file)(state, path)
    report = ls.check(path)
    assert str(report.layers[0].agreement).startswith("agrees with torch within ")
    layer, weights = ls.read(path)
    assert layer.sizes == {"n": 3, "k": 4}
    np.testing.assert_array_equal(weights["l0.W_i"], state["weight_ih_l0"][:4].float().numpy())


def test_a_live_layer_of_halves_is_not_compared():
    torch = pytest.importorskip("torch")
    agreement = ls.check(torch.nn.LSTM(3, 4).half()).layers[0].agreement
    assert str(agreement) == "not compared with torch: the layer computes in float16"
