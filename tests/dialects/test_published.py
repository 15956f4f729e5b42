"""The dialects against numbers that their own projects publish: ../shared/data, whose README says how they lie.

A case's tensors are put under the project's names, in its own layout, and must give its numbers through the dialect.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import dialects

FOLDER = Path(__file__).parents[2].parent / "shared/data/cases"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not there")


def read(file):
    path = FOLDER / f"{file}.json"
    return [c for c in json.loads(path.read_text(encoding="utf-8")) if c["cell"] == "lstm"] if path.is_file() else []


def array(written):
    return np.array(written["data"], written["dtype"]).reshape(written["shape"])


def tensors_of(case, role):
    return {name: array(written) for name, written in case[role].items()}


def options_of(case):
    """The options of the equations that a case's config states, by the README's words."""
    config = case["config"]
    options = {"activations": config["activations"], "coupled": config.get("coupling")}
    named = options.pop("activations")[0]
    words = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu"}
    for option, (name, *_) in zip(("gate_activation", "candidate_activation", "output_activation"), named, strict=True):
        options[option] = words[name.lower()]
    if config.get("layer_norm"):
        options["layer_norm"] = "tflite"
    for option, key in (("clip_cell", "clip_cell"), ("clip_projection", "clip_proj")):
        if config.get(key):
            options[option] = str(config[key])
    return options


def hold(case, dialect, tensors, layer):
    """The compiled code of the dialect's equations on the case's inputs gives the case's numbers."""
    weights = dialect.unpack(tensors, layer)
    inputs, expected = tensors_of(case, "inputs"), tensors_of(case, "expected")
    state = None
    if {"h0", "c0"} & set(inputs):
        batch, widths = inputs["X"].shape[1], layer.state_shapes()
        given = {name: inputs.get(f"{name[-1]}0") for name in widths}
        state = {
            name: np.zeros((batch, int(widths[name][0])), "float32") if a is None else a[i // 2]
            for i, (name, a) in enumerate(given.items())
        }
    y, after = ls.compile(layer)(inputs["X"], weights, state)
    found = {"Y": y.reshape(*y.shape[:2], layer.directions, -1).transpose(0, 2, 1, 3)}
    for key in "hc":
        found[f"Y_{key}"] = np.stack([after[f"{m.prefix}.{key}"] for m in layer.members])
    tolerance = case["tol"]
    held = [key for key in ("Y", "Y_h", "Y_c") if key in expected]
    assert held
    for key in held:
        np.testing.assert_allclose(found[key], expected[key], atol=2 * tolerance["atol"], rtol=tolerance["rtol"] + 1e-6)


def layer_of(case, **options):
    config = case["config"]
    turn = {"forward": {}, "reverse": {"reverse": True}, "bidirectional": {"bidirectional": True}}[config["direction"]]
    sizes = {"projection": config["proj_size"]} if config.get("proj_size") else {}
    return ls.lstm(config["input_size"], config["hidden_size"], **(options_of(case) | options | turn | sizes))


def ids(cases):
    return [case["id"] for case in cases]


# ---- WebNN: weight, recurrentWeight, bias, recurrentBias [D, 4k, ·], peepholeWeight [D, 3k] of i, o, f ----

WEBNN = read("webnn")


@pytest.mark.parametrize("case", WEBNN, ids=ids(WEBNN))
def test_webnn(case):
    weights = tensors_of(case, "weights")
    names = {"W": "weight", "R": "recurrentWeight", "Wb": "bias", "Rb": "recurrentBias"}
    tensors = {own: weights[key] for key, own in names.items() if key in weights}
    options = {"bias": "two" if "Wb" in weights else "none"}
    peepholes = [weights[p] for p in ("Pi", "Po", "Pf") if p in weights]
    if peepholes:
        tensors["peepholeWeight"] = np.concatenate(peepholes, axis=1)
        options |= {"peephole": True, "peephole_output": "before"}
    dialect, order = dialects.get("webnn"), case["config"]["gate_order"].replace("c", "g")
    if order != "iofg":  # its option layout; the peepholes stay
        packings = tuple(replace(p, gates=order) if len(p.gates) == 4 else p for p in dialect.packings)
        dialect = replace(dialect, packings=packings)
    hold(case, dialect, tensors, layer_of(case, **options))


# ---- TFLite: a tensor for each gate ----

TFLITE = read("tflite")
WORDS = {"i": "input", "f": "forget", "g": "cell", "o": "output"}


@pytest.mark.parametrize("case", [c for c in TFLITE if c["config"]["direction"] == "forward"], ids=str)
def test_tflite(case):
    weights, order = tensors_of(case, "weights"), case["config"]["gate_order"].replace("c", "g")
    tensors = {}
    for key, kind in (("W", "input_to_{}_weights"), ("R", "recurrent_to_{}_weights"), ("Wb", "{}_gate_bias")):
        for gate, rows in zip(order, np.split(weights[key][0], len(order)), strict=True):
            tensors[kind.format(WORDS[gate])] = rows
    for gate in "ifo":
        if f"P{gate}" in weights and gate in order:
            tensors[f"cell_to_{WORDS[gate]}_weights"] = weights[f"P{gate}"][0]
    for gate in order:
        if f"ln_{gate.replace('g', 'c')}" in weights:
            tensors[f"{WORDS[gate]}_layer_norm_coefficients"] = weights[f"ln_{gate.replace('g', 'c')}"][0]
    for key, own in (("W_proj", "projection_weights"), ("b_proj", "projection_bias")):
        if key in weights:
            tensors[own] = weights[key][0]
    dialect = dialects.get("tflite")
    said = dialect.options(set(tensors))
    config = case["config"]
    sizes = {"n": config["input_size"], "k": config["hidden_size"]}
    if config.get("proj_size"):
        sizes["projection"] = config["proj_size"]
        said.pop("projection")
    layer = ls.lstm(**sizes, **(options_of(case) | said))
    hold(case, dialect, tensors, layer)
    assert said.get("coupled") == config.get("coupling")
    report = ls.check(tensors)  # the names alone decide, and the sizes are solved
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == ["tflite"]


# ---- candle and Burn ----

MISC = {case["id"]: case for case in read("misc")}


def test_candle():
    case = MISC["candle/rnn.rs::lstm"]
    assert case["config"]["gate_order"] == "ifco"
    weights = tensors_of(case, "weights")
    names = {"W": "weight_ih_l0", "R": "weight_hh_l0", "Wb": "bias_ih_l0", "Rb": "bias_hh_l0"}
    hold(case, dialects.get("candle"), {own: weights[k][0] for k, own in names.items()}, layer_of(case, bias="two"))


@pytest.mark.parametrize("name", [name for name in MISC if name.startswith("burn/")])
def test_burn(name):
    """A matrix for each gate, turned: burn's Linear is y = x W; each direction is a layer of its own."""
    case = MISC[name]
    weights, order = tensors_of(case, "weights"), case["config"]["gate_order"].replace("c", "g")
    dialect, whole = dialects.get("burn"), layer_of(case, bias="two")
    single = whole.with_(direction="forward")
    held = {}
    for direction, member in enumerate(whole.members):
        tensors = {}
        for key, side, kind in (
            ("W", "input", "weight"),
            ("R", "hidden", "weight"),
            ("Wb", "input", "bias"),
            ("Rb", "hidden", "bias"),
        ):
            for gate, rows in zip(order, np.split(weights[key][direction], 4), strict=True):
                tensors[f"{WORDS[gate]}_gate.{side}_transform.{kind}"] = rows.T
        found = dialect.unpack(tensors, single)
        held |= {name.replace("l0.", f"{member.prefix}."): a for name, a in found.items()}
    native = dialects.get("lstm-spec")
    hold(case, native, held, whole)
