"""`layer.shapes()`: every tensor a person asks about, in letters and numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec.errors import SizeError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.language import parse
from tests.strategies import law, layers


def lines(layer: Layer, **axes: Any) -> dict[str, str]:
    return {t.name: str(t).removeprefix(t.name + " ") for t in layer.shapes(**axes).tensors}


def test_the_whole_table_of_a_small_layer() -> None:
    cell = parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)")
    assert str(Layer(cell, 5, 10).shapes(1000, 10)) == (
        "x (T, B, n) = (10, 1000, 5)\n"
        "y (T, B, k) = (10, 1000, 10)\n"
        "h (B, k) = (1000, 10)\n"
        "W (k, n) = (10, 5)\n"
        "U (k, k) = (10, 10)\n"
        "b (k,) = (10,)\n"
        "h' (B, k) = (1000, 10)\n"
        "[x, h] (B, n + k) = (1000, 15)\n"
        "[W U] (k, n + k) = (10, 15)\n"
        "parameters k*(k + n + 1) = 160"
    )


@pytest.mark.parametrize(
    ("options", "x", "y"),
    [
        ({}, "(T, B, n) = (10, 1000, 5)", "(T, B, k) = (10, 1000, 7)"),
        ({"layout": "batch"}, "(B, T, n) = (1000, 10, 5)", "(B, T, k) = (1000, 10, 7)"),
        ({"output": "last"}, "(T, B, n) = (10, 1000, 5)", "(B, k) = (1000, 7)"),
        ({"output": "last", "layout": "batch"}, "(B, T, n) = (1000, 10, 5)", "(B, k) = (1000, 7)"),
        ({"bidirectional": True}, "(T, B, n) = (10, 1000, 5)", "(T, B, 2k) = (10, 1000, 14)"),
        ({"projection": 3}, "(T, B, n) = (10, 1000, 5)", "(T, B, r) = (10, 1000, 3)"),
        ({"projection": 3, "bidirectional": True}, "(T, B, n) = (10, 1000, 5)", "(T, B, 2r) = (10, 1000, 6)"),
    ],
    ids=str,
)
def test_sequences(options: dict[str, Any], x: str, y: str) -> None:
    found = lines(lstm(5, 7, **options), batch=1000, time=10)
    assert (found["x"], found["y"]) == (x, y)


def test_letters_alone_are_shown_once() -> None:
    found = lines(lstm("n", "k"))
    assert found["x"] == "(T, B, n)"
    assert found["[x, h]"] == "(B, n + k)"
    assert str(lstm("n", "k").shapes()).endswith("parameters 4*k*(k + n + 1)")


def test_a_mix_of_letters_and_numbers() -> None:
    assert lines(lstm(5, "k"))["W_f"] == "(k, n) = (k, 5)"
    assert lines(lstm("k", "n"))["W_f"] == "(k, n) = (n, k)"
    assert lines(lstm("m", "m"))["[W_f U_f]"] == "(k, n + k) = (m, 2m)"
    assert lines(lstm(5, 10), batch=4)["x"] == "(T, B, n) = (T, 4, 5)"


def test_an_empty_batch_of_no_steps() -> None:
    assert lines(lstm(5, 10), batch=0, time=np.int64(0))["x"] == "(T, B, n) = (0, 0, 5)"


def test_a_stack_names_its_members() -> None:
    found = lines(lstm("n", "k", layers=2, bidirectional=True))
    assert found["l0.x"] == "(B, n)"
    assert found["l1.reverse.x"] == "(B, 2k)"
    assert found["l1.reverse.W_o"] == "(k, 2k)"
    assert "W_o" not in found


def test_a_cell_that_has_a_y_of_its_own() -> None:
    layer = Layer(parse("input x[n]\nstate h[k]\noutput y\ny = V h'\nlet y[m]\nh' = W x"))
    assert lines(layer)["output"] == "(T, B, m)"
    assert lines(layer)["y"] == "(B, m)"


def test_by_name() -> None:
    shapes = lstm(5, 10).shapes()
    assert shapes["W_f"].numeric == "(10, 5)"
    assert shapes["W_f"].kind == "parameter"
    with pytest.raises(KeyError, match="nothing"):
        shapes["nothing"]


def test_to_dict() -> None:
    told = lstm(5, "k", layout="batch").shapes(time=10).to_dict()
    assert told["sizes"] == {"n": "5", "k": "k"}
    assert told["parameters"] == {"symbolic": "4*k*(k + n + 1)", "count": "4*k*(k + 6)"}
    assert told["tensors"][0] == {
        "name": "x",
        "kind": "sequence",
        "symbolic": ["B", "T", "n"],
        "shape": ["B", 10, 5],
    }


@law
@given(layers(), st.integers(0, 3), st.integers(0, 3))
def test_the_shapes_told_are_the_shapes_held(layer: Layer, batch: int, time: int) -> None:
    shapes = layer.shapes(batch, time)
    prefix = layer.members[0].prefix + "." if len(layer.members) == 1 else ""
    weights = layer.random(0)
    told = {t.name: tuple(map(int, t.sizes)) for t in shapes.tensors if t.kind == "parameter"}
    assert {prefix + name: size for name, size in told.items()} == {
        name: array.shape for name, array in weights.items()
    }
    assert shapes.count == sum(array.size for array in weights.values())
    assert all(size.is_Integer for t in shapes.tensors for size in t.sizes)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"batch": -1}, "batch = -1 is no length"),
        ({"batch": True}, "batch = True is no length"),
        ({"time": 2.0}, "time = 2.0 is no length"),
        ({"time": "10"}, "time = '10' is no length"),
        ({"time": np.array([1, 2])}, "time = array([1, 2]) is no length"),
    ],
    ids=str,
)
def test_lengths_that_are_none(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(SizeError) as caught:
        lstm(5, 10).shapes(**axes)
    letter = "B" if "batch" in axes else "T"
    assert str(caught.value) == f"error[size]: {message}\n  expected a whole number ≥ 0, or {letter}"


def python(code: str, seed: str = "0") -> str:
    environment = os.environ | {"PYTHONHASHSEED": seed}
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_same_under_every_hash_seed() -> None:
    code = (
        "from lstm_spec.layers.factory import lstm\n"
        "layer = lstm('m', 'q', peephole=True, projection='z', layers=2, bidirectional=True)\n"
        "print(layer.shapes(), layer, layer.shapes().to_dict(), lstm('m', 'm').shapes())\n"
        "from lstm_spec.symbolic.language import parse\n"
        "from lstm_spec.symbolic.shapes import infer\n"
        "try:\n    infer(parse('input x[b + a]\\nstate h[k]\\nlet V[q]\\nh\\' = W x + U [h, V, x] + x'))\n"
        "except ValueError as error:\n    print(error)\n"
    )
    assert len({python(code, seed) for seed in "012"}) == 1


def test_shapes_need_no_numpy() -> None:
    code = (
        "import sys\nfrom lstm_spec.layers.factory import lstm\n{}\nlstm(5, 10).shapes()\nprint('numpy' in sys.modules)"
    )
    assert python(code.format("")) == "False\n"
    assert python(code.format("import numpy")) == "True\n"  # the test can fail
