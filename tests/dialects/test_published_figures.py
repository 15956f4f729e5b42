"""The dialects of microcontrollers and of MATLAB against figures that their makers publish, kept in `published/`.

`published/embarc_mli.json`: floats of embARC MLI's own test of its kernel, one step. `published/cmsis_nn.json`: the
quantized tensors, input and expected output of CMSIS-NN's own test `lstm_2`. Each file names its source. Whatever
`test_published.py` reads lies elsewhere, because it was at hand; these are small.
"""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import dialects

FOLDER = Path(__file__).parent / "published"
ORDERS = ["".join(order) for order in permutations("ifgo")]
WRONG = 0.02  # what another order of the gates misses by, at the least


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def swapped(weights, order):
    """The weights as if the gates stood in another order: i's under the first letter, and so on."""
    trade = dict(zip("ifgo", order, strict=True))
    return ls.Weights({name: weights[name[:-1] + trade[name[-1]]] for name in weights})


# ---- embARC MLI ----


def embarc():
    """Four of the test's 20 units: a unit's output reads its own columns, its own c and the whole of h."""
    case = read("embarc_mli.json")
    arrays = {n: np.array(a["data"]).reshape(a["shape"]) for n, a in case.items() if n != "source"}
    others = 20 - 4
    whole = {
        "weights_in": np.pad(arrays["weights_in"], ((0, 0), (0, 0), (0, others))),
        "weights_out": np.pad(arrays["weights_out"], ((0, 0), (0, 0), (0, others))),
        "bias": np.pad(arrays["bias"], ((0, 0), (0, others))),
    }
    state = {"h": arrays["hidden"][None], "c": np.pad(arrays["cell"], (0, others))[None]}
    return whole, arrays["input"][:, None], state, arrays["output"]


def run_embarc(order="ifgo"):
    tensors, x, state, expected = embarc()
    layer = ls.lstm(4, 20)
    weights = swapped(dialects.get("embarc-mli").unpack(tensors, layer), order)
    y, _ = ls.compile(layer)(x, weights, state)
    return float(np.abs(y[0, :, :4] - expected).max())


def test_embarc_gives_its_published_output():
    """Published with six decimals."""
    assert run_embarc() < 1e-6


@pytest.mark.parametrize("order", ORDERS[1:])
def test_embarc_in_another_order_misses(order):
    assert run_embarc(order) > WRONG


def test_embarc_tensors_are_read_by_their_names():
    tensors, *_ = embarc()
    report = ls.check(tensors)
    assert report.ok, str(report)
    assert [(found.dialect, found.summary) for found in report.layers] == [
        ("embarc-mli", "n = 4, k = 20, forward, one bias")
    ]


# ---- CMSIS-NN ----

QUANTIZED = read("cmsis_nn.json")


def scale(quantized, power=QUANTIZED["gate_scale_power"]):
    """A multiplier of 31 bits and a shift, onto the gates' sums, which have 12 bits after the point."""
    return quantized["multiplier"] / 2**31 * 2.0 ** quantized["shift"] * 2.0**power


# h = STEP (q - offset): the output's multiplier takes a product of two 15-bit fractions to q.
STEP, OFFSET = 2.0**-30 / scale(QUANTIZED["hidden"], 0), QUANTIZED["hidden"]["offset"]
LOWEST, HIGHEST = (STEP * (q - OFFSET) for q in (-128, 127))

# The kernel's equations: the output is held in the range of an int8; and, since a cell of scale 2^-13 is finer than its
# tanh reads, it shifts the cell right by one bit in place, before tanh, and never back.
KERNEL = f"""
input x[n]
state h[k], c[k]

i  = sigmoid(W_i x + U_i h + b_i)
f  = sigmoid(W_f x + U_f h + b_f)
g  = tanh(W_g x + U_g h + b_g)
o  = sigmoid(W_o x + U_o h + b_o)
m  = f * c + i * g
c' = m / 2
h' = clip(o * tanh(m), {LOWEST:.17f}, {HIGHEST:.17f})
"""


def cmsis():
    """The gates' structs as real numbers, and x and the expected y, both (T, B, ·)."""
    n, k = QUANTIZED["inputs"], QUANTIZED["units"]
    tensors = {}
    for gate, sides in QUANTIZED["gates"].items():
        on_x, on_h = sides["input"], sides["hidden"]
        rows = np.array(on_h["weights"]).reshape(k, k)
        tensors[f"{gate}.input_weights"] = scale(on_x) * np.array(on_x["weights"]).reshape(k, n)
        tensors[f"{gate}.hidden_weights"] = scale(on_h) / STEP * rows
        # An effective bias holds what the other's offset adds: -offset · sum of the row.
        folded = np.array(on_h["effective_bias"]) + OFFSET * rows.sum(axis=1)
        tensors[f"{gate}.bias"] = scale(on_x) * np.array(on_x["effective_bias"]) + scale(on_h) * folded
    shape = (QUANTIZED["batch"], QUANTIZED["steps"], -1)
    x = np.array(QUANTIZED["input"], float).reshape(shape).swapaxes(0, 1)
    return tensors, x, STEP * (np.array(QUANTIZED["output"]).reshape(shape).swapaxes(0, 1) - OFFSET)


def run_cmsis(cell, order="ifgo"):
    tensors, x, expected = cmsis()
    n, k = QUANTIZED["inputs"], QUANTIZED["units"]
    weights = swapped(dialects.get("cmsis-nn").unpack(tensors, ls.lstm(n, k)), order)
    y, _ = ls.compile(ls.Layer(cell, n=n, k=k))(x, weights)
    return float(np.abs(y - expected).max())


def test_cmsis_nn_gives_its_published_output():
    """All 126 numbers within one step of the int8 that they are published as."""
    assert run_cmsis(ls.parse(KERNEL)) < STEP
    assert STEP < 0.003


def test_cmsis_nn_halves_a_cell_of_a_fine_scale():
    """What its traps say: with the cell kept whole, as everywhere else, the numbers are far away."""
    whole = ls.parse(KERNEL.replace("m / 2", "m"))
    assert run_cmsis(whole) > 50 * STEP
    assert any("2^-12" in trap for trap in dialects.get("cmsis-nn").traps)


@pytest.mark.parametrize("order", ORDERS[1:])
def test_cmsis_nn_in_another_order_misses(order):
    assert run_cmsis(ls.parse(KERNEL), order) > WRONG


def test_cmsis_nn_tensors_are_read_by_their_names():
    report = ls.check(cmsis()[0])
    assert report.ok, str(report)
    assert [(found.dialect, found.summary) for found in report.layers] == [
        ("cmsis-nn", "n = 6, k = 7, forward, one bias")
    ]


# ---- MATLAB ----


def test_matlab_puts_the_ones_of_its_forget_gate_where_the_dialect_reads_them():
    """MathWorks' examples write the initializer unit-forget-gate out: zeros, but for ones in rows k + 1 to 2k.

    Counted from 1. It is the only figure of an order that MathWorks publishes; no output of a layer is.
    """
    k = 5
    bias = np.zeros((4 * k, 1))
    bias[k + 1 - 1 : 2 * k] = 1
    tensors = {"InputWeights": np.ones((4 * k, 3)), "RecurrentWeights": np.ones((4 * k, k)), "Bias": bias}
    weights = dialects.get("matlab").unpack(tensors, ls.lstm(3, k))
    assert {g: weights[f"l0.b_{g}"].tolist() for g in "ifgo"} == {g: [float(g == "f")] * k for g in "ifgo"}
