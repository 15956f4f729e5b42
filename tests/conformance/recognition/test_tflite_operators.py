"""TFLite's LSTM operators: the numbers of its own kernel tests through a file, and options that no layer has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints.tflite.reading import SLOTS
from tests.cases.test_vectors import ALL, Case, array, as_weights, hold
from tests.checkpoints.tflite.models import BIDIRECTIONAL, LSTM, UNIDIRECTIONAL, Model, one_lstm, options, quantization

Array = np.ndarray[Any, Any]
CASES = [case for case in ALL if case["id"].startswith("tflite/")]
N, K = 3, 2


def slots_of(code: int, arrays: dict[str, Array]) -> dict[int, Array]:
    return {SLOTS[code].index(name): a.astype("f4") for name, a in arrays.items()}


def states_of(code: int) -> list[int]:
    return [number for number, name in enumerate(SLOTS[code]) if name.removeprefix("reverse.") in ("h", "c")]


@pytest.mark.skipif(not CASES, reason="no shared data")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_kernels_own_tests(tmp_path: Any, case: Case) -> None:
    """Its matrices in its slots, read back, give the numbers that its makers expect."""
    both = case["config"]["direction"] == "bidirectional"
    code = BIDIRECTIONAL if both else UNIDIRECTIONAL
    arrays = {name.removeprefix("l0."): a for name, a in as_weights(case)}
    clips = {"cell": case["config"].get("clip_cell", 0), "proj": case["config"].get("clip_proj", 0)}
    model = one_lstm(code, slots_of(code, arrays), states_of(code), options(code, **clips, time_major=1))
    path = tmp_path / "m.tflite"
    path.write_bytes(model.data())
    assert ls.check(path).ok
    layer, weights = ls.read(path)
    assert set(weights) == {f"l0.{name}" for name in arrays}
    y, _ = ls.compile(layer)(array(case["inputs"]["X"]).astype("f4"), weights)
    steps, batch, width = y.shape
    found = y.reshape(steps, batch, 2, width // 2).transpose(0, 2, 1, 3) if both else y[:, None]
    hold(found, case["expected"]["Y"], case, case.get("expected_suspect", {}).get("Y", ()))


def plain(n: int = N, k: int = K) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shapes = {"W": (k, n), "U": (k, k), "b": (k,)}
    return {f"{f}_{g}": rng.standard_normal(s).astype("f4") for f, s in shapes.items() for g in "ifgo"}


def save(tmp_path: Any, code: int = UNIDIRECTIONAL, more: dict[str, Array] | None = None, **chosen: Any) -> Any:
    arrays = slots_of(code, plain() | (more or {}))
    path = tmp_path / "m.tflite"
    path.write_bytes(one_lstm(code, arrays, states_of(code), options(code, **chosen)).data())
    return path


def findings(path: Any) -> list[str]:
    return [str(finding).replace(str(path), "PATH") for finding in ls.check(path).findings]


@pytest.mark.parametrize(("code", "layout"), [(UNIDIRECTIONAL, "batch"), (LSTM, "time")])
def test_the_layout_and_the_activation(tmp_path: Any, code: int, layout: str) -> None:
    layer, weights = ls.read(save(tmp_path, code))
    assert (layer.layout, layer.direction) == (layout, "forward")
    assert all(np.array_equal(weights[f"l0.{name}"], a) for name, a in plain().items())
    relu, _ = ls.read(save(tmp_path, code, activation=1))
    assert str(relu.cell.defined["h'"]) == "h' = o * relu(c')"


def test_a_wrong_shape_is_named(tmp_path: Any) -> None:
    path = save(tmp_path, more={"U_g": np.zeros((K, K + 1), "f4")})
    assert findings(path) == [
        "error[shape]: t7 does not fit\n"
        "  at       PATH : y : t7\n"
        "  expected (k, k) = (2, 2)\n"
        "  found    (2, 3)\n"
        "  because  k = 2 from t1, t2, t3, t4 and 8 more"
    ]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"activation": 3},
            "error[unsupported]: fused activation relu6\n  at       PATH : y\n  expected tanh, relu",
        ),
        (
            {"activation": 77},
            "error[unsupported]: fused activation 77\n  at       PATH : y\n  expected tanh, relu",
        ),
        (
            {"activation": 0},
            "error[unsupported]: fused activation none\n  at       PATH : y\n  expected tanh, relu\n"
            "  because  TFLite then computes h = o * g: nothing writes the buffer that h reads",
        ),
        (
            {"diagonal": 1},
            "error[unsupported]: the recurrent matrices are diagonal\n  at       PATH : y\n  expected k×k matrices",
        ),
        (
            {"cell": float("nan")},
            "error[option]: cell_clip = nan is no bound\n"
            "  at       PATH : y\n"
            "  expected 0, or a number from 1e-09 to 1e+09",
        ),
        (
            {"proj": 1.0},
            "error[option]: proj_clip needs a projection, which the operator does not have\n  at       PATH : y",
        ),
    ],
)
def test_options_that_no_layer_has(tmp_path: Any, chosen: Any, message: str) -> None:
    assert findings(save(tmp_path, **chosen)) == [message]


def test_an_auxiliary_input_is_told(tmp_path: Any) -> None:
    more = {f"reverse.{name}": a for name, a in plain().items()} | {"aux_W_i": np.zeros((K, N), "f4")}
    path = save(tmp_path, BIDIRECTIONAL, more)
    assert findings(path) == [
        "error[unsupported]: the layer has an auxiliary input\n  at       PATH : y\n  expected x alone"
    ]


def test_both_directions(tmp_path: Any) -> None:
    more = {f"reverse.{name}": 2 * a for name, a in plain().items()}
    layer, weights = ls.read(save(tmp_path, BIDIRECTIONAL, more, time_major=0))
    assert (layer.direction, layer.layout) == ("both", "batch")
    np.testing.assert_array_equal(weights["l0.reverse.W_o"], 2 * plain()["W_o"])


def test_a_computed_matrix_is_unread(tmp_path: Any) -> None:
    model = one_lstm(UNIDIRECTIONAL, slots_of(UNIDIRECTIONAL, plain()), [18, 19], options(UNIDIRECTIONAL))
    model.operators[0].fields[1].values[3] = model.value("computed")
    (tmp_path / "m.tflite").write_bytes(model.data())
    assert findings(tmp_path / "m.tflite") == [
        "error[unread]: W_g of y is no constant\n"
        "  at       PATH : y\n"
        "  because  the graph computes it, or a delegate keeps it"
    ]


def test_quantized_matrices_are_checked_by_shape(tmp_path: Any) -> None:
    model, places = Model(), [-1] * 24
    places[0] = model.value("x")
    for slot, a in slots_of(UNIDIRECTIONAL, plain()).items():
        eight = (a * 40).astype("i1")
        places[slot] = model.constant(f"t{slot}", eight, quantization([0.025], [3]) if a.ndim == 2 else None)
    model.operator(UNIDIRECTIONAL, places, [model.value("y")], options(UNIDIRECTIONAL))
    path = tmp_path / "m.tflite"
    path.write_bytes(model.data())
    report = ls.check(path)
    assert report.ok
    assert report.layers[0].summary == "n = 3, k = 2, forward, one bias"
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.read(path)
    assert caught.value.finding.message == "the values of t1 (int8, scale 0.025, zero point 3) cannot be read"


def test_the_basic_kernel_is_cut_into_gates(tmp_path: Any) -> None:
    """One matrix on [x, h], rows i, g, f, o."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((4 * K, N + K)).astype("f4"), rng.standard_normal(4 * K).astype("f4")
    model = one_lstm(LSTM, {2: w, 3: b}, [1, 4], options(LSTM, kernel_type=1))
    (tmp_path / "m.tflite").write_bytes(model.data())
    assert ls.check(tmp_path / "m.tflite").ok
    layer, weights = ls.read(tmp_path / "m.tflite")
    assert int(layer.sizes["n"]) == N
    for q, gate in enumerate("igfo"):
        rows = slice(q * K, (q + 1) * K)
        np.testing.assert_array_equal(weights[f"l0.W_{gate}"], w[rows, :N])
        np.testing.assert_array_equal(weights[f"l0.U_{gate}"], w[rows, N:])
        np.testing.assert_array_equal(weights[f"l0.b_{gate}"], b[rows])
