"""Inputs, weights and expected numbers from other projects' own tests: ../shared/data, whose README says how they lie.

Every LSTM case that this library can express runs and must agree; the others are counted by the reason they wait for,
so that no filter can shrink unseen. The cases stay where they are: nothing of them is copied here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer

FOLDER = Path(__file__).parents[2].parent / "shared/data/cases"
HERE = FOLDER.is_dir()
pytestmark = pytest.mark.skipif(not HERE, reason=f"{FOLDER} is not there")

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
PASS = 93
ELSEWHERE = {"gru": 69, "rnn": 28}  # their equations are written out in test_other_cells.py


def cases() -> list[Case]:
    return [case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))]


def waits_for(case: Case) -> str:
    """What a case needs that this file has not; "" where everything is."""
    if case["cell"] == "network":
        return next(filter(None, map(waits_for, case["layers"])), "")
    if case["cell"] != "lstm":
        return "" if case["cell"] == "dense" else str(case["cell"])
    return "merge mode" if "merged" in case.get("expected", {}) else ""


ALL = cases() if HERE else []
READY = [case for case in ALL if not waits_for(case)]


# ---- a case in our words ----


def array(written: Case) -> Array:
    return np.array(written["data"], written["dtype"]).reshape(written["shape"])


def as_layer(case: Case, layers: int = 1) -> Layer:
    """The layer that a case's config and tensors describe."""
    config, weights = case["config"], case["weights"]
    known = {
        *("input_size", "hidden_size", "direction", "gate_order", "activations", "keras", "coupling", "peephole"),
        *("proj_size", "forget_bias_extra", "clip_preact_noop", "source_layout"),
        *("clip_preact", "clip_cell", "clip_proj", "layer_norm", "zero_output_for_mask"),
    }
    assert {key for key, value in config.items() if value} <= known, "an option that this test does not know"
    gate, candidate, output = map(activation, config["activations"][0])
    assert all(direction == config["activations"][0] for direction in config["activations"])
    clips = {"clip": "clip_preact", "clip_cell": "clip_cell", "clip_projection": "clip_proj"}
    return lstm(
        config["input_size"],
        config["hidden_size"],
        bias=["none", "one", "two"][sum(name in weights for name in ("Wb", "Rb"))],  # type: ignore[arg-type]
        peephole=any(name in weights for name in ("Pi", "Pf", "Po")),
        coupled=config.get("coupling"),
        projection=config.get("proj_size", False),
        forget_bias=config.get("forget_bias_extra", 0),
        layers=layers,
        bidirectional=config["direction"] == "bidirectional",
        reverse=config["direction"] == "reverse",
        gate_activation=gate,
        candidate_activation=candidate,
        output_activation=output,
        projection_bias="b_proj" in weights,
        layer_norm="tflite" if config.get("layer_norm") else "none",
        padding="zero" if config.get("zero_output_for_mask") or "sequence_lens" in case.get("inputs", {}) else "repeat",
        **{ours: round(config[theirs], 6) for ours, theirs in clips.items() if config.get(theirs)},
    )


def activation(written: list[Any]) -> str:
    """`["hardsigmoid", 0.2, 0.5]` as `hard_sigmoid(0.2, 0.5)`."""
    name, alpha, beta = written
    if name == "hardsigmoid":
        return f"hard_sigmoid({round(alpha, 6)}, {round(beta, 6)})"
    assert name in ("sigmoid", "tanh", "relu")
    return str(name)


def as_weights(case: Case, index: int = 0) -> Iterator[tuple[str, Array]]:
    """The case's stacked blocks under our names; rows of a gate that is coupled are nobody's."""
    config, weights = case["config"], {name: array(written) for name, written in case["weights"].items()}
    gates = [{"c": "g"}.get(gate, gate) for gate in config["gate_order"]]
    coupled = (config.get("coupling") or " ")[0]
    two = {"Wb", "Rb"} <= set(weights)
    stems = {"W": "W_", "R": "U_", "Wb": "b_W" if two else "b_", "Rb": "b_U" if two else "b_"}
    for direction, prefix in enumerate(prefixes(case, index)):
        for name, stem in stems.items():
            if name in weights:
                for gate, block in zip(gates, np.split(weights[name][direction], len(gates)), strict=True):
                    if gate != coupled:
                        yield f"{prefix}.{stem}{gate}", block
        for gate in "ifo":
            if f"P{gate}" in weights and gate != coupled:
                yield f"{prefix}.p_{gate}", weights[f"P{gate}"][direction]
        for name in ("W_proj", "b_proj"):
            if name in weights:
                yield f"{prefix}.{name}", weights[name][direction]
        for gate in "ifco":
            if f"ln_{gate}" in weights and gate != coupled:
                yield f"{prefix}.s_{'g' if gate == 'c' else gate}", weights[f"ln_{gate}"][direction]


def prefixes(case: Case, index: int = 0) -> list[str]:
    forward, reverse = f"l{index}", f"l{index}.reverse"
    directions = {"forward": [forward], "reverse": [reverse], "bidirectional": [forward, reverse]}
    return directions[case["config"]["direction"]]


def as_state(case: Case, layer: Layer, batch: int, index: int = 0) -> Iterator[tuple[str, Array]]:
    shapes = layer.state_shapes()
    for direction, prefix in enumerate(prefixes(case, index)):
        for name in "hc":
            given = case["inputs"].get(f"{name}0")
            zeros = np.zeros((batch, int(shapes[f"{prefix}.{name}"][0])), np.float32)
            yield f"{prefix}.{name}", zeros if given is None else array(given)[direction]


def cast(arrays: Any, dtype: str) -> dict[str, Array]:
    return {name: a.astype(dtype) for name, a in arrays}


def hold(found: Array, written: Case, case: Case, suspect: Any = ()) -> None:
    wanted = array(written).astype(np.float64)
    assert found.shape == wanted.shape
    near = np.isclose(found, wanted, rtol=case["tol"]["rtol"], atol=case["tol"]["atol"])
    for element in suspect:  # the source has these wrong, as the case's note says
        near[tuple(element)] = True
    assert near.all(), np.max(np.abs(found - wanted))


def hold_finals(finals: Any, expected: Case, case: Case, own: Case, index: int = 0) -> None:
    for key, name in (("Y_h", "h"), ("Y_c", "c")):
        if key in expected:
            hold(np.stack([finals[f"{prefix}.{name}"] for prefix in prefixes(own, index)]), expected[key], case)


def steps(case: Case) -> dict[str, Array]:
    """Which steps are there, where a case says so."""
    inputs = case["inputs"]
    lengths = {"lengths": array(inputs["sequence_lens"])} if "sequence_lens" in inputs else {}
    return lengths | ({"mask": array(inputs["mask"]).astype(bool)} if "mask" in inputs else {})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [c for c in READY if c["cell"] == "lstm"], ids=lambda case: case["id"])
def test_a_case(case: Case, dtype: str) -> None:
    layer = as_layer(case)
    run = compile_layer(layer)
    x = array(case["inputs"]["X"]).astype(dtype)
    weights = run.pack(cast(as_weights(case), dtype))
    state: Any = cast(as_state(case, layer, x.shape[1]), dtype)
    outputs = []
    for part in np.split(x, case["config"].get("keras", {}).get("calls", 1)):  # a stateful layer, called again
        y, state = run(part, weights, state, **steps(case))
        outputs.append(y)
    expected, suspect = case["expected"], case.get("expected_suspect", {})
    assert set(expected) <= {"Y", "Y_h", "Y_c"}
    assert expected
    if "Y" in expected:
        y = np.concatenate(outputs)
        apart = np.moveaxis(y.reshape(*y.shape[:2], layer.directions, -1), 2, 1)
        hold(apart, expected["Y"], case, suspect.get("Y", ()))
    hold_finals(state, expected, case, case)


# ---- networks: LSTM layers on each other run as one stack; a dense layer is one line of this test ----


def dense(layer: Case, x: Array) -> Array:
    z = x @ array(layer["weights"]["W"]).astype(x.dtype).T + array(layer["weights"]["b"]).astype(x.dtype)
    return {"linear": z, "tanh": np.tanh(z)}[layer["activation"]]


def stacks(case: Case) -> Iterator[list[Case]]:
    """Layers in a row that are alike but for the width of the first input, and dense layers alone."""
    stack: list[Case] = []
    for layer in case["layers"]:
        if stack and not _alike(stack[-1], layer):
            yield stack
            stack = []
        stack.append(layer)
    yield stack


def _alike(one: Case, other: Case) -> bool:
    keep = [{k: v for k, v in layer.get("config", {}).items() if k != "input_size"} for layer in (one, other)]
    return (
        one["cell"] == other["cell"] == "lstm" and keep[0] == keep[1] and set(one["weights"]) == set(other["weights"])
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [c for c in READY if c["cell"] == "network"], ids=lambda case: case["id"])
def test_a_network(case: Case, dtype: str) -> None:
    y = array(case["X"]).astype(dtype)
    expected = iter(case.get("expected", ()))
    for stack in stacks(case):
        if stack[0]["cell"] == "dense":
            y = dense(stack[0], y)
            continue
        layer = as_layer(stack[0], len(stack))
        numbered = list(enumerate(stack))
        weights = cast((pair for i, own in numbered for pair in as_weights(own, i)), dtype)
        state = cast((pair for i, own in numbered for pair in as_state(own, layer, y.shape[1], i)), dtype)
        y, finals = compile_layer(layer)(y, weights, state)
        if "expected" in case:
            for index, own in numbered:
                hold_finals(finals, next(expected), case, own, index)
    assert next(expected, None) is None
    if "expected_output" in case:
        hold(y, case["expected_output"], case)


def test_no_case_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = Counter(map(waits_for, ALL))
    passing = reasons.pop("")
    with capsys.disabled():
        others = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        print(f"\nthird-party cases: {passing} of {len(ALL)} run here; in test_other_cells.py: {others}")
    assert reasons == ELSEWHERE
    assert passing == len(READY) == PASS


def test_a_case_with_a_wrong_number_fails() -> None:
    """The comparison can fail: each case with one weight changed, or its state forgotten, does."""
    case = json.loads(
        json.dumps(next(c for c in READY if c["id"] == "torch-cpp/RNNTest.CheckOutputValuesMatchPyTorch"))
    )
    case["weights"]["R"]["data"][0] += 0.1
    with pytest.raises(AssertionError):
        test_a_case(case, "float64")
