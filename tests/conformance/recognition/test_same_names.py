"""Where two dialects have the same names the shapes choose; where no size can, the report says what the other is."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.recognition.test_dialect_names import K, N, found, tensors_of

SAME_SHAPES = [
    ("equinox", {}, "as equinox, gates i, f, g, o; coreml has the same names, gates i, f, o, g"),
    ("pytorch", {"bias": "none"}, ""),  # a layer's names have a number
    ("tinygrad", {"bias": "none"}, "as pytorch, gates i, f, g, o; coreml has the same names, gates i, f, o, g"),
    ("onnx", {"bias": "none"}, "as onnx, gates i, o, f, g; openvino has the same names, gates f, i, g, o"),
    ("onnx", {}, ""),  # its bias is twice as long
    ("onnx", {"bias": "none", "peephole": True}, ""),
    ("keras", {"bias": "none"}, "as keras; tf-keras-cudnn has the same names and another layout"),
    ("keras", {}, ""),
]


@pytest.mark.parametrize(("name", "options", "text"), SAME_SHAPES)
@pytest.mark.parametrize("prefix", ["", "a/"])
def test_where_two_dialects_have_names_and_shapes_the_other_is_told(name, options, text, prefix):
    tensors = tensors_of(name, prefix, **options)
    (layer,) = ls.check(tensors, numbers=False).layers
    assert [line for line in layer.assumed if line.startswith("as ")] == [text] * bool(text)
    asked = ls.check(tensors, dialect=layer.dialect, numbers=False)
    assert [line for line in asked.layers[0].assumed if line.startswith("as ")] == []


@pytest.mark.parametrize(("name", "other"), [("openvino", "onnx"), ("tf-keras-cudnn", "keras")])
def test_of_two_dialects_with_the_same_names_the_shapes_choose(name, other):
    """A bias of OpenVINO was ONNX's, half as long as it should be; where neither fits it still is."""
    tensors = tensors_of(name, "m/")
    bias = next(n for n in tensors if n.lower().endswith(("/b", "/bias")))
    assert found(tensors) == [name]
    report = ls.check(tensors | {bias: np.zeros((*tensors[bias].shape[:-1], 7), "f4")}, numbers=False)
    assert ([layer.dialect for layer in report.layers], [f.code for f in report.findings]) == ([other], ["shape"])


KALDI = [("kaldi", "W_rp.m", "W_i.xr", {}), ("kaldi-fast", "W_rp", "W_all", {"peephole": True})]


@pytest.mark.parametrize(("name", "rows", "joined", "options"), KALDI)
def test_a_projection_of_kaldi_has_two_readings(name, rows, joined, options):
    """Its recipes always add rows that do not recur: r was too large and n too small, and the file conformed."""
    tensors = tensors_of(name, "lstm1.", projection=4, **options)
    report = ls.check(tensors, numbers=False)
    assert [str(finding) for finding in report.findings] == [
        f"error[ambiguous]: no size tells how many of the 4 rows of lstm1.{rows} recur\n"
        "  at       arrays : lstm1\n"
        "  expected one reading\n"
        f"  found    1/2 of them, the default of {name}: r = 2, n = 7\n"
        "           all of them: r = 4, n = 5\n"
        f"  because  lstm1.{rows} has r + p rows, the p go to the next layer only, and lstm1.{joined} has n + r = 9"
        " columns\n"
        f"  help     --dialect {name} reads all of them as recurrent"
    ]
    assert not report.ok
    with pytest.raises(ls.LstmSpecError, match=r"^error\[ambiguous\]"):
        ls.read(tensors)
    assert found(tensors, name) == [name]
    assert "no part of the projection but the recurrent one" in ls.check(tensors, dialect=name).layers[0].assumed
    layer, _ = ls.read(tensors, dialect=name)
    assert {letter: int(size) for letter, size in layer.sizes.items()} == {"n": N, "r": 4, "k": K}


def test_an_odd_projection_of_kaldi_is_no_half_and_half():
    (finding,) = ls.check(tensors_of("kaldi", projection=3), numbers=False).findings
    assert finding.found == "all of them: r = 3, n = 5"
