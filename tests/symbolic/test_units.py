"""A cell seen by a unit: the classic questions, the scalar equations computed as they are written, the counts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lstm_spec import cells
from lstm_spec.cells.family import lstm_cell
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.errors import SizeError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.render.units import tell_unit
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.units import Mixing, Unit, describe_unit

SIZES = {"n": 5, "k": 10, "r": 2, "j": 7}
OPTIONS: dict[str, dict[str, Any]] = {
    "peephole": {"peephole": True},
    "full peephole": {"peephole": "full"},
    "projection": {"projection": 2, "projection_bias": True},
    "two biases": {"bias": "two"},
    "coupled": {"coupled": "f=1-i"},
    **{f"layer_norm={name}": {"layer_norm": name} for name in ("ba", "tfa", "tf1", "tflite")},
    "gate_hidden": {"gate_hidden": 7},
    "clip": {"clip": 3},
}


def layer_of(name: str) -> Layer:
    if name in OPTIONS:
        return lstm(5, 10, **OPTIONS[name])
    cell = cells.get(name)
    return Layer(cell, **{a: SIZES[a] for a in cell.letters})


def unit_of(name: str, index: Any = 3) -> Unit:
    layer = layer_of(name)
    return describe_unit(layer.cell, index, layer.sizes)


PLAIN = """\
unit 3 of k = 10; units count from 1

i[3] = sigmoid(Σ_q W_i[3,q] x[q] (q = 1…5) + Σ_q U_i[3,q] h[q] (q = 1…10) + b_i[3])
f[3] = sigmoid(Σ_q W_f[3,q] x[q] (q = 1…5) + Σ_q U_f[3,q] h[q] (q = 1…10) + b_f[3])
g[3] = tanh(Σ_q W_g[3,q] x[q] (q = 1…5) + Σ_q U_g[3,q] h[q] (q = 1…10) + b_g[3])
o[3] = sigmoid(Σ_q W_o[3,q] x[q] (q = 1…5) + Σ_q U_o[3,q] h[q] (q = 1…10) + b_o[3])
c'[3] = f[3] * c[3] + i[3] * g[3]
h'[3] = o[3] * tanh(c'[3])

reads          x[1…5]: all 5 entries of the input
               h[1…10]: all 10 entries of h before the step
               c[3]: its own entry of c before the step
learns         i[3]: 5 of W_i + 10 of U_i + 1 of b_i = 16
               f[3]: 5 of W_f + 10 of U_f + 1 of b_f = 16
               g[3]: 5 of W_g + 10 of U_g + 1 of b_g = 16
               o[3]: 5 of W_o + 10 of U_o + 1 of b_o = 16
               in all 4·(15 + 1) = 64
puts out       h'[3] and c'[3]: h[3] and c[3] of the next step

within a step  no unit reads another's new value
across steps   ∂h_t[i]/∂h_{t-1}[j] ≠ 0 in general, for all i, j
               ∂h_t[i]/∂c_{t-1}[j] = 0 for i ≠ j, with h_{t-1} held fixed
               ∂c_t[i]/∂h_{t-1}[j] ≠ 0 in general, for all i, j
               ∂c_t[i]/∂c_{t-1}[j] = 0 for i ≠ j, with h_{t-1} held fixed

a neuron or a layer?
  The cell is a layer of 10 units side by side, all with these 6 equations.
  Unit 3 is one of them: 4 weighted sums, where a neuron has one. It learns 64 of 640."""


def test_the_classic_answers() -> None:
    assert tell_unit(unit_of("lstm")) == PLAIN


def test_json() -> None:
    described = describe_unit(lstm_cell(), 3, {"n": 5, "k": 10}).to_dict()
    assert described["units"] == {"symbolic": "k", "count": 10}
    assert described["reads"] == [
        {"name": "x", "role": "input", "entries": "all", "count": 5},
        {"name": "h", "role": "state", "entries": "all", "count": 10},
        {"name": "c", "role": "state", "entries": "own", "count": 1},
    ]
    learns = described["learns"]
    assert (learns["count"], learns["whole_cell"]) == (64, 640)
    assert learns["by_equation"][0] == {"equation": "i[3]", "parameters": {"W_i": 5, "U_i": 10, "b_i": 1}}
    assert described["outputs"] == ["h'[3]", "c'[3]"]
    assert described["within_a_step"] == []
    assert described["across_steps"] == [
        {"value": "h'", "state": "h", "entries": "all"},
        {"value": "h'", "state": "c", "entries": "own"},
        {"value": "c'", "state": "h", "entries": "all"},
        {"value": "c'", "state": "c", "entries": "own"},
    ]


UNLIKE = {
    "lstm": [],
    "two biases": ["a unit learns 68 numbers of its own; there 64"],
    "peephole": ["a unit learns 67 numbers of its own; there 64", "i, f and o depend on c[3] alone; there on no c"],
    "full peephole": [
        "a unit learns 94 numbers of its own; there 64",
        "i, f and o depend on all of c; there on no c",
        "c' and h' depend on all of c; there on c[3] alone",
        "within a step o reads of every unit; there no unit reads another's new value",
    ],
    "projection": [
        "a unit learns 32 numbers of its own; there 64",
        "h' depends on all of c; there on c[3] alone",
        "h' is of no unit alone",
    ],
    "layer-norm": [
        "a unit learns 22 numbers of its own; there 64",
        "h' depends on all of c; there on c[3] alone",
        "within a step [z_i, z_f, z_g, z_o] and h' read of every unit; there no unit reads another's new value",
    ],
    "gate_hidden": ["a unit learns 32 numbers of its own; there 64", "a_i, a_f, a_g and a_o are of no unit alone"],
    "gru": [
        "a unit learns 48 numbers of its own; there 64",
        "within a step g reads of every unit; there no unit reads another's new value",
        "there is no state c",
    ],
    "gru-reset-after": ["a unit learns 49 numbers of its own; there 64", "there is no state c"],
    "sru": [
        "a unit learns 24 numbers of its own; there 64",
        "f depends on c[3] alone; there on no c",
        "there is no state h",
    ],
    "slstm": ["there is a state v", "there is a state m"],
}


@pytest.mark.parametrize("name", UNLIKE)
def test_where_the_answer_changes_the_command_says_so(name: str) -> None:
    said = tell_unit(unit_of(name)).partition("\n\nunlike the plain LSTM\n")[2]
    assert [line.strip() for line in said.splitlines()] == UNLIKE[name]


def test_who_reads_whom_within_a_step() -> None:
    assert unit_of("gru").within == (Mixing("g", ("r",), of_units=True),)
    assert unit_of("layer-norm").within == (
        Mixing("[z_i, z_f, z_g, z_o]", ("W x", "U h"), of_units=True),
        Mixing("h'", ("c'",), of_units=True),
    )
    assert unit_of("gate_hidden").within[0] == Mixing("i", ("a_i",), of_units=False)
    told = tell_unit(unit_of("gate_hidden"))
    assert "within a step  no unit reads another's new value\n               i reads all of a_i, of no unit" in told


def test_what_no_unit_has_alone() -> None:
    told = tell_unit(unit_of("projection"))
    assert "               of no unit alone: W_proj (20), b_proj (2)\nputs out       c'[3]: c[3] of the next" in told
    assert "               of no unit alone: h' = W_proj (o * tanh(c')) + b_proj\n" in told
    assert "               and, shared with every unit: W (200), U (400)\n" in tell_unit(unit_of("layer-norm"))


def test_states_that_do_not_meet() -> None:
    told = tell_unit(unit_of("slstm"))
    assert "∂c_t[i]/∂v_{t-1}[j] = 0 for all i, j, with the other states held fixed\n" in told
    assert "across steps   ∂h_t[i]/∂h_{t-1}[j] ≠ 0 in general, for all i, j\n\n" in tell_unit(unit_of("gru"))
    assert "∂h_t[i]/∂c_{t-1}[j] = 0 for i ≠ j\n\n" in tell_unit(unit_of("qrnn"))


@pytest.mark.parametrize("name", ["lstm", *cells.names(), *OPTIONS])
def test_all_units_and_what_they_share_make_the_count(name: str) -> None:
    assert unit_of(name).total == layer_of(name).parameter_count
    assert [unit_of(name, u).count for u in (1, 2, 10)] == [unit_of(name).count] * 3


# ---- the scalar equations, computed as they are written ----

SUM = re.compile(r"Σ_(\w+) ([^Σ]*?) \(\1 = 1…(\d+)\)")


class FromOne:
    """An array whose indices count from 1."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Any:
        return self.array[tuple(i - 1 for i in index) if isinstance(index, tuple) else index - 1]


def computed(text: str) -> str:
    """A right-hand side as Python: each Σ a sum, each product a *."""
    while match := SUM.search(text):
        index, body, count = match.groups()
        body = re.sub(r"([\])]) (?=[\w(])", r"\1 * ", body)
        text = f"{text[: match.start()]}sum({body} for {index} in range(1, {count} + 1)){text[match.end() :]}"
    return text.replace("'", "_new")


FUNCTIONS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "exp": np.exp,
    "softplus": lambda z: np.log1p(np.exp(z)),
    "max": max,
    "clip": lambda z, low, high: min(max(z, low), high),
    "sum": sum,
    "range": range,
}


@pytest.mark.parametrize("name", [*(n for n in cells.names() if n != "layer-norm"), "full peephole", "clip"])
def test_scalar_equations_give_what_the_code_gives(name: str) -> None:
    layer = layer_of(name)
    draw = np.random.default_rng(3)
    weights = {n: draw.normal(0, 0.5, tuple(map(int, s))) for n, s in layer.parameter_shapes().items()}
    state = {n: draw.uniform(0.2, 1, int(s[0])) for n, s in layer.state_shapes().items()}
    x = draw.normal(size=10 if layer.cell.letters == ("k",) else 5)
    y, final = compile_layer(layer)(x[None, None], weights, {n: array[None] for n, array in state.items()})
    arrays = {n.removeprefix("l0."): array for n, array in (weights | state).items()} | {"x": x}
    found: dict[str, dict[int, float]] = {}
    units = [unit_of(name, u) for u in range(1, 11)]
    order = [e.left for e in layer.cell.ordered]
    for left in order:
        for u, unit in enumerate(units, 1):
            (text,) = [e for e in unit.equations if e.startswith(f"{left}[{u}] = ")] or [""]
            if text:
                known = {n: FromOne(array) for n, array in arrays.items()} | {
                    n.replace("'", "_new"): values for n, values in found.items()
                }
                value = eval(computed(text.partition(" = ")[2]), FUNCTIONS | known)
                found.setdefault(left, {})[u] = value
    for d in layer.cell.states:
        if d.name + "'" in found:
            ours = [found[d.name + "'"][u] for u in range(1, 11)]
            assert np.abs(np.array(ours) - final[d.name][0]).max() < 1e-12
    if "h" in found:
        assert np.abs(np.array([found["h"][u] for u in range(1, 11)]) - y[0, 0]).max() < 1e-12


def test_nested_products_joins_splits_and_transposes() -> None:
    cell = parse(
        "input x[n]\nstate h[k]\nlet M[k, k], a[k], s[k], q[k]\n"
        "[a, b] = W [h, x] - c * (d / e)\nq = M^T tanh(V x)\nz = -(U (A x + a)) * b\n"
        "[s, t] = [h, q]\nh' = (U + D) z - (a - b) * s + t\n"
    )
    assert describe_unit(cell, 2, {"n": 3, "k": 4}).equations == (
        "a[2] = Σ_p W[2,p] [h, x][p] (p = 1…7) - c[2] * (d[2] / e[2])",
        "b[2] = Σ_p W[6,p] [h, x][p] (p = 1…7) - c[6] * (d[6] / e[6])",
        "q[2] = Σ_p M[p,2] tanh(Σ_u V[p,u] x[u] (u = 1…3)) (p = 1…4)",
        "z[2] = -(Σ_p U[2,p] (Σ_u A[p,u] x[u] (u = 1…3) + a[p]) (p = 1…4)) * b[2]",
        "s[2] = h[2]",
        "t[2] = q[2]",
        "h'[2] = Σ_p (U[2,p] + D[2,p]) z[p] (p = 1…4) - (a[2] - b[2]) * s[2] + t[2]",
    )


@pytest.mark.parametrize("unit", [0, 11, -1, "0", "-3", "x", "2.5", 2.5, True, "", "9" * 40])
def test_there_is_no_such_unit(unit: Any) -> None:
    with pytest.raises(SizeError) as caught:
        unit_of("lstm", unit)
    shown = str(unit) if len(str(unit)) <= 40 else str(unit)[:39] + "…"
    assert str(caught.value) == (
        f"error[unit]: there is no unit {shown}\n  expected 1 to 10: units count from 1, and k = 10"
    )


@pytest.mark.parametrize(
    ("sizes", "message"), [({"n": 5}, "k is not given"), ({"n": 5, "k": "m"}, "k = m is no number")]
)
def test_units_are_counted_in_numbers(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(SizeError) as caught:
        describe_unit(lstm_cell(), 3, sizes)
    assert str(caught.value) == (
        f"error[size]: {message}\n  because  a unit is one of a number of units\n  help     give it one, e.g. k=10"
    )


def test_a_unit_may_be_given_as_digits() -> None:
    assert unit_of("lstm", "3") == unit_of("lstm", 3)
