"""Arrays whose names say nothing: every reading that their shapes allow, and what would decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS
from lstm_spec.errors import TensorError
from tests.conformance.sets import (
    drawn,
    found,
    keras_names,
    onnx_names,
    torch_names,
)
from tests.laws import tried


def messages(report):
    return [str(finding) for finding in report.findings]


def renamed(tensors, order=None):
    arrays = list(tensors.values())
    return {f"arr_{i}": arrays[j] for i, j in enumerate(order or range(len(arrays)))}


def test_unnamed_arrays_are_ambiguous():
    report = ls.check(renamed(onnx_names()))
    assert messages(report) == [
        "error[ambiguous]: names and operators say nothing, and the shapes do not tell the order of the gates\n"
        "  at       arrays\n"
        "  expected one reading\n"
        "  found    onnx, n = 3, k = 4: arr_0 = W, arr_1 = R, arr_2 = B\n"
        "  help     name the dialect (--dialect), or the tensors; one recorded step would decide: lstm-spec"
        " identify --step"
    ]
    assert (report.ok, report.layers, report.other) == (False, (), ())
    assert [f.code for f in ls.check(renamed(torch_names(bias=False))).findings] == ["ambiguous"]
    with pytest.raises(TensorError, match=r"^error\[ambiguous\]"):
        ls.read(renamed(onnx_names()))


@pytest.mark.parametrize(
    ("dialect", "tensors", "summary"),
    [
        ("onnx", onnx_names(), "n = 3, k = 4, forward, two biases"),
        ("onnx", onnx_names(d=2, peephole=True), "n = 3, k = 4, bidirectional, two biases"),
        ("onnx", onnx_names(bias=False), "n = 3, k = 4, forward, no bias"),
        ("keras", keras_names(), "n = 3, k = 4, forward, one bias"),
        ("pytorch", torch_names(bias=False), "n = 3, k = 4, forward, no bias"),
        ("pytorch", torch_names(bias=False, projection=2), "n = 3, r = 2, k = 4, forward, no bias"),
    ],
)
@given(data=st.data())
@tried(5)
def test_a_dialect_and_one_fit_are_a_reading(dialect, tensors, summary, data):
    """In any order of the arrays, and whatever they are called."""
    order = data.draw(st.permutations(range(len(tensors))))
    unnamed = renamed(tensors, order)
    assert found(unnamed, dialect=dialect) == {"arrays": (dialect, summary)}
    _, weights = ls.read(unnamed, dialect=dialect)
    _, named = ls.read(tensors, dialect=dialect)
    assert all(np.array_equal(weights[name], a) for name, a in named.items())
    looks_recurrent = {f"lstm_{name}": a for name, a in unnamed.items()}
    assert found(looks_recurrent, dialect=dialect) == {"arrays": (dialect, summary)}


@pytest.mark.parametrize(
    ("dialect", "tensors"),
    [
        ("onnx", onnx_names(4, 4)),
        ("keras", keras_names(n=4)),
        ("pytorch", torch_names(n=4, bias=False)),
        ("pytorch", torch_names(n=4)),
    ],
)
def test_two_fits_are_ambiguous_even_with_a_dialect(dialect, tensors):
    """And then the help is not to name the dialect."""
    report = ls.check(renamed(tensors), dialect=dialect)
    (finding,) = report.findings
    assert not report.ok
    assert len(finding.found.splitlines()) == 2
    assert (finding.code, finding.message, finding.help) == (
        "ambiguous",
        "names and operators say nothing, and the shapes do not tell which tensor is which",
        "name the tensors as the dialect does; one recorded step would decide: lstm-spec identify --step",
    )


def test_two_biases_that_could_change_places_are_one_reading(tmp_path):
    """They are added: whichever is which. `torch.save(list(lstm.parameters()))` was two readings, and stayed so."""
    torch = pytest.importorskip("torch")
    lstm = torch.nn.LSTM(3, 4)
    torch.save(list(lstm.parameters()), path := tmp_path / "list.pt")
    (finding,) = ls.check(path).findings
    assert finding.found == "pytorch, n = 3, k = 4: 0 = weight_ih_l0, 1 = weight_hh_l0, 2 = bias_ih_l0, 3 = bias_hh_l0"
    report = ls.check(path, dialect="pytorch")
    (layer,) = report.layers
    assert report.ok
    assert layer.agreement.difference < 1e-6
    assert layer.assumed == ("bias_ih_l0 = 2, bias_hh_l0 = 3; in each other's place they have the same sum",)
    _, weights = ls.read(path, dialect="pytorch")
    np.testing.assert_array_equal(weights["l0.b_Wi"], lstm.bias_ih_l0.detach().numpy()[:4])


def test_one_bias_that_is_two_halves_does_not_change_places():
    """ONNX has both in one vector; a peephole is no bias."""
    assert found(renamed(onnx_names(peephole=True)), dialect="onnx") == {
        "arrays": ("onnx", "n = 3, k = 4, forward, two biases")
    }


def test_too_many_unnamed_arrays_are_no_lstm():
    with pytest.raises(TensorError, match="there is no LSTM here"):
        ls.check(drawn({f"arr_{i}": (16, 4) for i in range(6)}))


def codes(arrays, name):
    """What is found, or the one error."""
    try:
        return {finding.code for finding in ls.check(arrays, dialect=name, numbers=False).findings}
    except ls.LstmSpecError as error:
        return {error.finding.code}


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_that_is_asked_for_complains_of_itself(name):
    """Some of its tensors without others make no cell, which is nobody's fault."""
    arrays = {"a": np.zeros((64, 5)), "b": np.zeros((64, 16)), "c": np.zeros(64), "d": np.zeros(64)}
    assert codes(arrays, name) <= {"no-lstm", "ambiguous", "unread"}


def test_long_names_that_begin_alike_are_told_apart():
    """ELMo's, with a projection: what was shown of all three was `RNN_0/RNN/MultiRNNCell/Cell0/…`."""
    where = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"
    shapes = {"W_0": (12, 64), "B": (64,), "W_P_0": (16, 6)}
    report = ls.check({f"{where}/{name}": np.zeros(shape) for name, shape in shapes.items()}, numbers=False)
    (finding,) = report.findings
    assert (finding.code, finding.found) == (
        "ambiguous",
        "tf1, n = 6, r = 6, k = 16: …ltiRNNCell/Cell0/LSTMCell/W_0 = kernel, …MultiRNNCell/Cell0/LSTMCell/B = bias, "
        "…iRNNCell/Cell0/LSTMCell/W_P_0 = projection/kernel",
    )
