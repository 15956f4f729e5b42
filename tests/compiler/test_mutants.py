"""Our own vectors kill every deliberate mutant that applies: random weights, distinct gates, T > 3, a state at first.

A third party's vectors with equal gates cannot see a swap; these must see everything. A mutant is the reference with
its arguments, or a line of its source, changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from tests import reference
from tests.compiler.oracle import Array, lstm_arguments, random_inputs

Arguments = dict[str, Any]
SOURCE = inspect.getsource(reference)

VECTORS: dict[str, Arguments] = {
    "plain": {},
    "no bias": {"bias": "none"},
    "two biases": {"bias": "two"},
    "peephole": {"peephole": True, "bias": "two"},
    "f = 1 - i": {"coupled": "f=1-i", "peephole": True},
    "i = 1 - f": {"coupled": "i=1-f", "peephole": True, "forget_bias": 1},
    "projection": {"projection": 4, "peephole": True},
    "narrow projection": {"projection": 2},
    "forget constant": {"forget_bias": 1},
    "reverse": {"reverse": True},
    "reverse, not realigned": {"reverse": True, "realign": False},
    "everything": {"bias": "two", "peephole": True, "coupled": "i=1-f", "projection": 4, "forget_bias": "1/2"},
}

# a name → what stands in tests/reference.py, and what stands there in the mutant
LINES: dict[str, tuple[str, str]] = {
    "the output's peephole sees the cell before": (
        'o = sigmoid(z["o"] + p["o"] * c[s] if "o" in p else z["o"])',
        'o = sigmoid(z["o"] + p["o"] * old if "o" in p else z["o"])',
    ),
    "the peepholes of i and f see h": ("z[gate] + p[gate] * c[s]", "z[gate] + p[gate] * h[s]"),
    "the peephole of f is that of i": ("p[gate] * c[s]", 'p["f" if "f" in p and gate == "i" else gate] * c[s]'),
    "the candidate goes through a sigmoid": ('np.tanh(z["g"])', 'sigmoid(z["g"])'),
    "the candidate goes through nothing": ('np.tanh(z["g"])', 'z["g"]'),
    "the output goes through nothing": ("o * np.tanh(c[s])", "o * c[s]"),
    "the output sees the cell before": ("o * np.tanh(c[s])", "o * np.tanh(old)"),
    "f is not squashed": ('f = sigmoid(before["f"])', 'f = before["f"]'),
    "i is squashed by a tanh": ('i = sigmoid(before["i"])', 'i = np.tanh(before["i"])'),
    "o is squashed by a tanh": ("o = sigmoid(", "o = np.tanh("),
    "the forget constant is outside": ('z["f"] = z["f"] + forget', 'after = forget\n    f = "f"'),
    "coupled gates are the same": ("f = 1 - i", "f = i"),
    "coupled gates are the same the other way": ("i = 1 - f", "i = f"),
    "the cell is not kept": ("f * c[s] + i *", "i *"),
    "the candidate is not gated": ('+ i * np.tanh(z["g"])', '+ np.tanh(z["g"])'),
    "h is not fed back": ("U[gate] @ h[s]", "U[gate] @ start[s]"),
    "only the first sample is read": ("W[gate] @ x[t, s]", "W[gate] @ x[t, 0]"),
    "steps are read one too early": ("x[t, s]", "x[t - 1, s]"),
}
ONLY_WITH: dict[str, Callable[[Arguments], bool]] = {
    "the output's peephole sees the cell before": lambda a: "o" in a["p"],
    "the peepholes of i and f see h": lambda a: bool(a["p"]) and a["h"].shape == a["c"].shape,
    "the peephole of f is that of i": lambda a: {"i", "f"} <= set(a["p"]),
    "f is not squashed": lambda a: "f" in a["W"],
    "i is squashed by a tanh": lambda a: "i" in a["W"],
    "the forget constant is outside": lambda a: bool(a["forget"]),
    "coupled gates are the same": lambda a: a["coupled"] == "f=1-i",
    "coupled gates are the same the other way": lambda a: a["coupled"] == "i=1-f",
}


def changed_lines(name: str) -> Callable[..., Any]:
    """The reference with one line changed."""
    old, new = LINES[name]
    assert SOURCE.count(old) == 1, f"{old} stands {SOURCE.count(old)} times"
    source = SOURCE.replace(old, new).replace("z = {gate:", "old, start = c[s].copy(), first; z = {gate:", 1)
    source = source.replace("    y = np.empty", "    first = h.copy()\n    y = np.empty")
    if name == "the forget constant is outside":
        source = SOURCE.replace(old, "pass").replace('if "f" in z else None', '+ forget if "f" in z else None')
    module: dict[str, Any] = {}
    exec(compile(source, f"<mutant: {name}>", "exec"), module)
    mutant: Callable[..., Any] = module["lstm"]
    return mutant


def with_gates(arguments: Arguments, part: str, change: Callable[[Arguments], Arguments]) -> Arguments:
    """The arguments with one dict of gates changed; `biases 0` is the first of the biases."""
    key, _, index = part.partition(" ")
    if not index:
        return arguments | {key: change(arguments[key])}
    biases = [change(b) if number == int(index) else b for number, b in enumerate(arguments["biases"])]
    return arguments | {"biases": biases}


def parts_of(arguments: Arguments) -> dict[str, Arguments]:
    biases = {f"biases {number}": bias for number, bias in enumerate(arguments["biases"])}
    return {part: gates for part, gates in ({k: arguments[k] for k in ("W", "U", "p")} | biases).items() if gates}


def swap(one: str, other: str) -> Callable[[Arguments], Arguments]:
    return lambda gates: gates | {one: gates[other], other: gates[one]}


def mutants(arguments: Arguments) -> Iterator[tuple[str, Callable[..., Any], Arguments]]:
    """Every mutant that applies: its name, the function, its arguments."""
    for part, gates in parts_of(arguments).items():
        for one, other in combinations(gates, 2):
            yield f"{part}: {one} and {other} swapped", reference.lstm, with_gates(arguments, part, swap(one, other))
        for gate in gates:
            zero = {gate: np.zeros_like(gates[gate])}
            yield f"{part}: {gate} dropped", reference.lstm, with_gates(arguments, part, lambda g, z=zero: g | z)
            if gates[gate].ndim == 2 and len({*gates[gate].shape}) == 1:
                turned = {gate: gates[gate].T}
                yield (
                    f"{part}: {gate} transposed",
                    reference.lstm,
                    with_gates(arguments, part, lambda g, t=turned: g | t),
                )
    for one, other in combinations(arguments["W"], 2):
        swapped = arguments
        for part, gates in parts_of(arguments).items():
            if one in gates and other in gates:
                swapped = with_gates(swapped, part, swap(one, other))
        yield f"all of {one} and {other} swapped", reference.lstm, swapped
    for number in range(len(arguments["biases"])):
        fewer = [b for index, b in enumerate(arguments["biases"]) if index != number]
        yield f"bias {number} dropped", reference.lstm, arguments | {"biases": fewer}
        yield (
            f"bias {number} twice",
            reference.lstm,
            arguments | {"biases": [*arguments["biases"], arguments["biases"][number]]},
        )
    yield from ((f"initial {n} dropped", reference.lstm, arguments | {n: np.zeros_like(arguments[n])}) for n in "hc")
    if arguments["h"].shape == arguments["c"].shape:
        yield "h and c swapped", reference.lstm, arguments | {"h": arguments["c"], "c": arguments["h"]}
    if arguments["forget"]:
        yield "forget constant dropped", reference.lstm, arguments | {"forget": 0.0}
        yield "forget constant twice", reference.lstm, arguments | {"forget": 2 * arguments["forget"]}
    else:
        if "f" in arguments["W"]:
            yield "a forget constant that nobody asked for", reference.lstm, arguments | {"forget": 1.0}
    yield "direction ignored", reference.lstm, arguments | {"reverse": not arguments["reverse"]}
    if arguments["reverse"]:
        yield "alignment ignored", reference.lstm, arguments | {"realign": not arguments["realign"]}
    if arguments["proj"] is not None and len({*arguments["proj"].shape}) == 1:
        yield "projection transposed", reference.lstm, arguments | {"proj": arguments["proj"].T}
        yield "projection dropped", reference.lstm, arguments | {"proj": None}
    for name in LINES:
        if ONLY_WITH.get(name, lambda _: True)(arguments):
            yield name, changed_lines(name), arguments


def vector(options: Arguments) -> tuple[Layer, list[Array], Arguments]:
    """A layer, what its compiled code gives, and the arguments of the reference for the same."""
    layer = lstm(4, 4, **options)
    x, weights, state = random_inputs(layer, 5, 3, 20)
    y, finals = compile_layer(layer)(x, weights, state)
    own = {name.removeprefix(f"{layer.members[0].prefix}."): array for name, array in weights.items()}
    arguments = lstm_arguments(own) | {
        "coupled": options.get("coupled"),
        "forget": {"1/2": 0.5}.get(options.get("forget_bias", 0), options.get("forget_bias", 0)),
        "reverse": options.get("reverse", False),
        "realign": options.get("realign", True),
        "x": x,
        "h": next(a for n, a in state.items() if n[-1] == "h"),
        "c": next(a for n, a in state.items() if n[-1] == "c"),
    }
    return layer, [y, *finals.values()], arguments


def distance(found: list[Array], other: tuple[Array, ...]) -> float:
    return max(float(np.max(np.abs(a - b))) for a, b in zip(found, other, strict=True))


@pytest.mark.parametrize("name", VECTORS)
def test_the_true_one_agrees_and_every_mutant_is_seen(name: str) -> None:
    _, found, arguments = vector(VECTORS[name])
    assert distance(found, reference.lstm(**arguments)) < 1e-12
    survivors = {
        mutant: how_far
        for mutant, function, changed in mutants(arguments)
        if not (how_far := distance(found, function(**changed))) > 1e-3
    }
    assert survivors == {}


def test_every_mutant_applies_to_some_vector() -> None:
    names = [name for options in VECTORS.values() for name, _, _ in mutants(vector(options)[2])]
    assert set(LINES) <= set(names)
    assert len(names) > 500
    for expected in (
        "W: i and f swapped",
        "U: g transposed",
        "biases 1: o dropped",
        "p: i and f swapped",
        "h and c swapped",
    ):
        assert expected in names


def test_vectors_with_equal_gates_do_not_see_a_swap() -> None:
    """Why the vectors above are what they are: with one matrix for every gate, swaps survive."""
    _, _, arguments = vector({})
    equal = arguments | {part: dict.fromkeys("ifgo", arguments[part]["i"]) for part in ("W", "U")} | {"biases": []}
    found = list(reference.lstm(**equal))
    survivors = [name for name, function, changed in mutants(equal) if distance(found, function(**changed)) < 1e-12]
    assert sum("swapped" in name for name in survivors) == 18
