"""The GRU and RNN cases of other projects' own tests, as cells in the equation language: no code of ours knows them.

Each case's equations are written out from its config, and run through the same compiler as any cell.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.layers.layer import Layer

FOLDER = Path(__file__).parents[2].parent / "shared/data/cases"
HERE = FOLDER.is_dir()
pytestmark = pytest.mark.skipif(not HERE, reason=f"{FOLDER} is not there")

Case = dict[str, Any]
MERGES = {"sum": "sum", "mul": "mul", "ave": "average", "concat": "concat"}
CASES: list[Case] = [
    case
    for path in (sorted(FOLDER.glob("*.json")) if HERE else [])
    for case in json.loads(path.read_text(encoding="utf-8"))
    if case["cell"] in ("gru", "rnn")
]


def array(written: Case, dtype: str = "float64") -> Any:
    return np.array(written["data"], dtype).reshape(written["shape"])


# ---- equations ----


def applied(activation: list[Any], z: str, clip: float | None) -> str:
    name, alpha, beta = activation
    z = f"clip({z}, -{clip}, {clip})" if clip else z
    return {
        "hardsigmoid": f"hard_sigmoid({z}, {alpha}, {beta})",
        "leakyrelu": f"leaky_relu({z}, {alpha})",
        "scaledtanh": f"{alpha} * tanh({beta} * ({z}))",
    }.get(name, f"{name}({z})")


def equations(case: Case, direction: int) -> str:
    """The cell of a case, as text: a_* is the bias of W, d_* that of U; the candidate is named g."""
    config, clip = case["config"], case["config"].get("clip_preact")
    activations = config["activations"][direction]
    wx = {g: f"W_{g} x" + (f" + a_{g}" if "Wb" in case["weights"] else "") for g in "zrg"}
    bias = {g: f" + d_{g}" if "Rb" in case["weights"] else "" for g in "zrg"}
    head = "input x[n]\nstate h[k]\n"
    if case["cell"] == "rnn":
        return head + "h' = " + applied(activations[0], f"{wx['g']} + U_g h{bias['g']}", clip)
    gates = [f"{g} = {applied(activations[0], f'{wx[g]} + U_{g} h{bias[g]}', clip)}" for g in "zr"]
    after, before = f"r * (U_g h{bias['g']})", f"U_g (r * h){bias['g']}"
    reset = after if config.get("linear_before_reset") else before
    candidate = "g = " + applied(activations[1], f"{wx['g']} + {reset}", clip)
    return head + "\n".join([*gates, candidate, "h' = z * h + (1 - z) * g"])


def weights(case: Case, prefixes: list[str], start: int = 0) -> dict[str, Any]:
    order = ["g" if gate == "h" else gate for gate in case["config"]["gate_order"]]
    stems = {"W": "W", "R": "U", "Wb": "a", "Rb": "d"}
    found = {}
    for (direction, prefix), (name, stem) in product(enumerate(prefixes, start), stems.items()):
        if name in case["weights"]:
            blocks = np.split(array(case["weights"][name])[direction], len(order))
            found |= {f"{prefix}.{stem}_{gate}": block for gate, block in zip(order, blocks, strict=True)}
    return found


# ---- running ----


def run(case: Case, merge: str, last: bool) -> tuple[Any, Any]:
    """Y as the case lays it out, or merged; and Y_h (D, B, k)."""
    config = case["config"]
    directions = {"forward": ["forward"], "reverse": ["reverse"], "bidirectional": ["forward", "reverse"]}
    sides = directions[config["direction"]]
    padding: Any = "zero" if config.get("zero_output_for_mask") or "sequence_lens" in case["inputs"] else "repeat"
    options: dict[str, Any] = {"n": config["input_size"], "k": config["hidden_size"], "padding": padding}
    options["output"] = "last" if last else "sequence"
    texts = [equations(case, d) for d in range(len(sides))]
    if len(set(texts)) == 1 and len(sides) == 2:
        layer = Layer(ls.parse(texts[0]), direction="both", merge=merge, **options)  # type: ignore[arg-type]
        y, state = computed(case, layer, [m.prefix for m in layer.members], 0)
        return y, np.stack([state[f"{m.prefix}.h"] for m in layer.members])
    ys, finals = [], []
    for d, (text, side) in enumerate(zip(texts, sides, strict=True)):  # each direction may have a cell of its own
        layer = Layer(ls.parse(text), direction=side, **options)  # type: ignore[arg-type]
        y, state = computed(case, layer, [layer.members[0].prefix], d)
        ys.append(y)
        finals.append(state["h"])
    return np.stack(ys, axis=-3), np.stack(finals)


def computed(case: Case, layer: Layer, prefixes: list[str], start: int) -> tuple[Any, Any]:
    inputs = case["inputs"]
    x = array(inputs["X"])
    state = None
    if "h0" in inputs:
        state = {f"{prefix}.h": array(inputs["h0"])[d] for d, prefix in enumerate(prefixes, start)}
    steps: dict[str, Any] = {}
    if "sequence_lens" in inputs:
        steps["lengths"] = array(inputs["sequence_lens"], "int64")
    if "mask" in inputs:
        steps["mask"] = array(inputs["mask"]).astype(bool)
    return ls.compile(layer)(x, weights(case, prefixes, start), state, **steps)


def hold(found: Any, written: Any, case: Case) -> None:
    expected = array(written)
    assert found.shape == expected.shape
    near = np.isclose(found, expected, rtol=case["tol"]["rtol"], atol=case["tol"]["atol"])
    for place in case.get("expected_suspect", {}).get("Y", ()):
        near[tuple(place)] = True
    assert near.all(), np.max(np.abs(found - expected))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case(case: Case) -> None:
    expected = case["expected"]
    assert expected
    assert set(expected) <= {"Y", "Y_h", "Y_slice", "merged"}
    y, y_h = run(case, "apart", last=False)
    if "Y" in expected:
        hold(y if y.ndim == 4 else y[:, None], expected["Y"], case)
    if "Y_h" in expected:
        hold(y_h, expected["Y_h"], case)
    if "Y_slice" in expected:
        part = expected["Y_slice"]
        hold((y if y.ndim == 4 else y[:, None])[part["start"] : part["stop"]], part["value"], case)
    if "merged" in expected:
        merged = expected["merged"]
        hold(run(case, MERGES[merged["mode"]], last=merged["of"] == "Y_h")[0], merged["value"], case)


def test_none_is_left_out() -> None:
    assert len(CASES) == 97
