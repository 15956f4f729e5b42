"""The report as text and as JSON, and what a stranger's names may do to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.conformance.report import Agreement
from tests.conformance.sets import drawn, keras_names, node_attributes, node_tensors, onnx_model, own_names, torch_names
from tests.laws import tried

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_a_good_report_in_full():
    tensors = torch_names("enc.", layers=2, projection=2) | drawn({"fc.weight": (2, 2)})
    assert str(ls.check(tensors, numbers=False)) == (
        "enc: pytorch, n = 3, r = 2, k = 4, 2 layers, forward, two biases\n"
        "  enc.weight_ih_l0                 (4*k, n) = (16, 3), found (16, 3)\n"
        "  enc.weight_hh_l0                 (4*k, r) = (16, 2), found (16, 2)\n"
        "  enc.bias_ih_l0                   (4*k,) = (16,), found (16,)\n"
        "  enc.bias_hh_l0                   (4*k,) = (16,), found (16,)\n"
        "  enc.weight_hr_l0                 (r, k) = (2, 4), found (2, 4)\n"
        "  enc.weight_ih_l1                 (4*k, r) = (16, 2), found (16, 2)\n"
        "  enc.weight_hh_l1                 (4*k, r) = (16, 2), found (16, 2)\n"
        "  enc.bias_ih_l1                   (4*k,) = (16,), found (16,)\n"
        "  enc.bias_hh_l1                   (4*k,) = (16,), found (16,)\n"
        "  enc.weight_hr_l1                 (r, k) = (2, 4), found (2, 4)\n"
        "other tensors: 1\n"
        "conforms: 1 LSTM layer"
    )


def test_a_bad_report_in_full():
    tensors = own_names(bias="none") | torch_names("gru.", gates=3)
    tensors |= drawn({"l0.W_f": (5, 3), "l0.p_g": (4,)})
    del tensors["l0.U_o"]
    assert str(ls.check(tensors)) == (
        "arrays: lstm-spec, n = 3, k = 4, forward, no bias\n"
        "  l0.W_i                           (k, n) = (4, 3), found (4, 3)\n"
        "  l0.W_f                           (k, n) = (4, 3), found (5, 3)  <--\n"
        "  l0.W_g                           (k, n) = (4, 3), found (4, 3)\n"
        "  l0.W_o                           (k, n) = (4, 3), found (4, 3)\n"
        "  l0.U_i                           (k, k) = (4, 4), found (4, 4)\n"
        "  l0.U_f                           (k, k) = (4, 4), found (4, 4)\n"
        "  l0.U_g                           (k, k) = (4, 4), found (4, 4)\n"
        "  l0.U_o                           (k, k) = (4, 4), missing  <--\n"
        "  assumed activations = sigmoid, tanh, tanh\n"
        "  assumed forget_bias = 0\n"
        "error[unread]: gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs\n"
        "  at       arrays : gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0\n"
        "error[shape]: l0.W_f does not fit\n"
        "  at       arrays : l0.W_f\n"
        "  expected (k, n) = (4, 3)\n"
        "  found    (5, 3)\n"
        "  because  k = 4 from l0.W_i, l0.W_g, l0.W_o, l0.U_i and 2 more, n = 3 from l0.W_i, l0.W_f, l0.W_g, l0.W_o\n"
        "error[missing]: l0.U_o is missing\n"
        "  at       arrays : l0.U_o\n"
        "  expected (k, k) = (4, 4)\n"
        "  found    no such tensor\n"
        "error[extra]: l0.p_g has no place in this layer\n"
        "  at       arrays : l0.p_g\n"
        "  expected no such tensor\n"
        "  found    (4,)\n"
        "  help     the parameters of a cell of your own are read with --cell\n"
        "does not conform: 1 LSTM layer, 4 errors"
    )


def test_json_in_full():
    report = ls.check(keras_names("lstm/") | drawn({"fc": (2,)}), numbers=False)
    assert report.to_dict() == {
        "origin": "arrays",
        "ok": True,
        "layers": [
            {
                "where": "lstm",
                "dialect": "keras",
                "dtype": "float32",
                "sizes": {"n": 3, "k": 4},
                "layers": 1,
                "direction": "forward",
                "layout": "batch",
                "bias": "one bias",
                "parameters": "128",
                "equations": str(ls.lstm("n", "k").cell),
                "assumed": ["activation = tanh", "recurrent_activation = sigmoid", "go_backwards = False"],
                "tensors": [
                    {
                        "name": f"lstm/{name}",
                        "symbolic": symbolic,
                        "expected": list(shape),
                        "found": list(shape),
                        "ok": True,
                    }
                    for name, symbolic, shape in [
                        ("kernel", "(n, 4*k)", (3, 16)),
                        ("recurrent_kernel", "(k, 4*k)", (4, 16)),
                        ("bias", "(4*k,)", (16,)),
                    ]
                ],
                "agreement": None,
                "recorded": None,
            }
        ],
        "findings": [],
        "other": ["fc"],
    }


SOURCES = [
    torch_names("a."),
    torch_names("a.") | drawn({"a.bias_hh_l0": (3,)}),
    torch_names(gates=3),
    drawn({"weight_ih_l0": (0, 3), "weight_hh_l0": (0, 0)}),
    drawn({"arr_0": (1, 16, 4), "arr_1": (1, 16, 4)}),
    own_names(layers=2, bidirectional=True),
]


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
def test_json_is_json_and_stable(source):
    first, second = (json.dumps(ls.check(dict(source)).to_dict(), allow_nan=False) for _ in range(2))
    assert first == second
    said = json.loads(first)
    assert said["ok"] is ls.check(dict(source)).ok
    assert set(said) == {"origin", "ok", "layers", "findings", "other"}
    assert {finding["severity"] for finding in said["findings"]} <= {"error", "warning"}


names = st.text(st.sampled_from(list("ab.\x1b\n\r\t\x00\x07\x7f\x9b\u202e\u2066\u200f\ud800[]31m")), min_size=1)


@given(names, names, st.sampled_from(["", ".weight_ih_l0", ".kernel", ".l0.W_f", "lstm", ".weight_hh"]))
@tried(30)
def test_no_name_steers_a_terminal(prefix, name, end):
    sets = [
        torch_names(prefix + "."),
        torch_names(prefix + ".") | drawn({f"{prefix}.bias_hh_l0": (3,), name + end: (16, 4)}),
        torch_names(prefix + ".", gates=3) | drawn({name + end: (16, 4)}),
        keras_names(prefix + "/", end=":0") | drawn({prefix + "/bias": (3,), name + end: (4,)}),
        drawn({prefix: (16, 3), prefix + name: (16, 4)}),
    ]
    for tensors in sets:
        try:
            said = str(ls.check(tensors, numbers=False))
        except ls.LstmSpecError as error:
            said = str(error)
        assert not UNSAFE.search(said), ascii(said)


@pytest.mark.parametrize("name", ["\x1b]52;c;aGk=\x07", "\u202enode", "a\nb"])
def test_names_in_an_onnx_model(name, tmp_path):
    import onnx

    model = onnx.load_from_string(onnx_model(node_tensors(), node_attributes(clip=-3.0)))
    model.graph.node[0].name = name
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert not UNSAFE.search(str(ls.check(tmp_path / "m.onnx")))


def test_what_an_engine_says_steers_no_terminal():
    report = ls.check(torch_names(), numbers=False)
    found = replace(report.layers[0], agreement=Agreement("torch", reason="\x1b[31m\u202e"))
    assert "not compared with torch: \\x1b[31m\\u202e" in str(replace(report, layers=(found,)))


def test_a_huge_number_of_names_stays_readable():
    tensors = torch_names("x" * 5000 + ".", gates=3)
    assert max(map(len, str(ls.check(tensors)).splitlines())) < 2000


def test_letters_that_no_tensor_solves_are_shown_as_letters():
    report = ls.check({"weight_hh_l0": np.zeros((16, 4), "float32")})
    assert report.layers[0].summary == "n = n, k = 4, forward, no bias"
    assert report.layers[0].to_dict()["sizes"] == {"n": "n", "k": 4}
    assert report.layers[0].tensors[0].to_dict()["expected"] is None
