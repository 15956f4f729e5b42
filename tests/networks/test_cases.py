"""The networks of ../shared/data/cases: weights, inputs and outputs of other projects' own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
GATES = {"i": "i", "f": "f", "c": "g", "o": "o"}  # c is their candidate
ACTIVATIONS = {"linear": "identity"}
# What a case may say of a layer; anything else would be an option that we drop in silence.
KNOWN = {
    "input_size",
    "hidden_size",
    "direction",
    "gate_order",
    "activations",
    "forget_bias_extra",
    "peephole",
    "coupling",
}


def network_cases() -> list[dict[str, Any]]:
    found = [case for path in sorted(CASES.glob("*.json")) for case in json.loads(path.read_text())]
    return [case for case in found if case["cell"] == "network"]


def array(given: dict[str, Any]) -> np.ndarray:
    """A case's array, in float64."""
    return np.array(given["data"], given["dtype"]).reshape(given["shape"]).astype(np.float64)


def lstm_of(spec: dict[str, Any]) -> tuple[ls.Layer, dict[str, np.ndarray]]:
    """A layer and its weights by our names."""
    config, packed = spec["config"], {name: array(a)[0] for name, a in spec["weights"].items()}
    assert set(config) <= KNOWN, set(config) - KNOWN
    assert config["direction"] == "forward"
    assert [[name for name, *_ in one] for one in config["activations"]] == [["sigmoid", "tanh", "tanh"]]
    bias = {0: "none", 1: "one", 2: "two"}[len({"Wb", "Rb"} & set(packed))]
    layer = ls.lstm(
        config["input_size"],
        config["hidden_size"],
        bias=bias,
        peephole=config.get("peephole", False),
        coupled=config.get("coupling"),
        forget_bias=config.get("forget_bias_extra", 0),
    )
    families = {"W": "W_{}", "R": "U_{}", "Wb": "b_W{}" if bias == "two" else "b_{}", "Rb": "b_U{}"}
    weights: dict[str, np.ndarray] = {}
    for name, family in families.items():
        if name in packed:
            blocks = np.split(packed[name], len(config["gate_order"]))
            weights |= {family.format(GATES[g]): b for g, b in zip(config["gate_order"], blocks, strict=True)}
    weights |= {f"p_{g}": packed[f"P{g}"] for g in "ifo" if f"P{g}" in packed}
    if config.get("coupling") == "i=1-f":  # the rows of i are there, and nothing reads them
        weights = {name: a for name, a in weights.items() if not name.endswith("_i")}
    return layer, {f"l0.{name}": a for name, a in weights.items()}


def build(case: dict[str, Any]) -> tuple[ls.Network, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The network, its weights, and the states it starts from."""
    members: dict[str, Any] = {"x": ls.Input(case["X"]["shape"][-1])}
    weights: dict[str, np.ndarray] = {}
    state: dict[str, np.ndarray] = {}
    for index, spec in enumerate(case["layers"]):
        name = f"m{index}"
        if spec["cell"] == "lstm":
            members[name], own = lstm_of(spec)
            state |= {f"{name}.l0.{s}": array(spec["inputs"][f"{s}0"])[0] for s in "hc" if spec["inputs"]}
        else:
            assert spec["cell"] == "dense"
            own = {key: array(a) for key, a in spec["weights"].items()}
            activation = ACTIVATIONS.get(spec["activation"], spec["activation"])
            members[name] = ls.Dense(len(own["W"]), activation, "b" in own)
        weights |= {f"{name}.{key}": a for key, a in own.items()}
    return ls.Network(**members), weights, state


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/data is not there")
def test_every_network_case(record_property):
    cases = network_cases()
    for case in cases:
        network, weights, state = build(case)
        y, after = ls.compile_network(network)(array(case["X"]), weights, state or None)
        tolerance = case["tol"]
        if "expected_output" in case:
            np.testing.assert_allclose(y, array(case["expected_output"]), **tolerance, err_msg=case["id"])
        for index, expected in enumerate(case.get("expected", ())):
            assert set(expected) <= {"Y_h", "Y_c"}, expected
            for key, value in expected.items():
                found = after[f"m{index}.l0.{key[-1]}"]
                np.testing.assert_allclose(found, array(value)[0], **tolerance, err_msg=f"{case['id']} {index} {key}")
    assert len(cases) == 9
    print(f"\n{len(cases)} network cases of {len(cases)}: {', '.join(case['id'] for case in cases)}")
