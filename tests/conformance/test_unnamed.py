"""Arrays whose names say nothing: every reading that their shapes allow, and what would decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.errors import TensorError
from tests.conformance.sets import (
    drawn,
    keras_names,
    onnx_names,
    torch_names,
)
from tests.laws import tried


def found(source, **options):
    """`{where: (dialect, summary)}` of a report that conforms."""
    report = ls.check(source, numbers=False, **options)
    assert report.ok, str(report)
    return {f.where: (f.dialect, f.summary) for f in report.layers}


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
        ("pytorch", torch_names()),  # the two biases could change places
    ],
)
def test_two_fits_are_ambiguous_even_with_a_dialect(dialect, tensors):
    report = ls.check(renamed(tensors), dialect=dialect)
    assert ([f.code for f in report.findings], report.ok) == (["ambiguous"], False)
    assert len(report.findings[0].found.splitlines()) == 2


def test_too_many_unnamed_arrays_are_no_lstm():
    with pytest.raises(TensorError, match="there is no LSTM here"):
        ls.check(drawn({f"arr_{i}": (16, 4) for i in range(6)}))
