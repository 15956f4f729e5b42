"""Networks: the shape of everything from the input to the answer, the counts, and what does not fit."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from sympy import Integer, Symbol

import lstm_spec as ls
from lstm_spec.layers.forms import FORMS
from lstm_spec.symbolic.cell import letter
from tests.networks.generated import Drawn, networks
from tests.strategies import few, law

FORM_SHAPES = {
    "one-to-one": {"x": "(B, n)", "step": "(1, B, n)", "layer": "(B, k)", "head": "(B, m)"},
    "one-to-many": {"x": "(B, n)", "repeat": "(S, B, n)", "layer": "(S, B, k)", "head": "(S, B, m)"},
    "many-to-one": {"x": "(T, B, n)", "layer": "(B, k)", "head": "(B, m)"},
    "many-to-many": {"x": "(T, B, n)", "layer": "(T, B, k)", "head": "(T, B, m)"},
    "encoder-decoder": {
        "x": "(T, B, n)",
        "encoder": "(B, k)",
        "target": "(S, B, m)",
        "decoder": "(S, B, k)",
        "head": "(S, B, m)",
    },
}


def shown(network: ls.Network, **axes: Any) -> dict[str, str]:
    """What each member gives, as text."""
    return {m.name: str(m.gives) for m in network.shapes(**axes).members}


# ---- shapes ----


@pytest.mark.parametrize("form", FORMS)
def test_the_task_forms_in_letters(form: str) -> None:
    assert shown(ls.build_form(form, ls.lstm())) == FORM_SHAPES[form]


@pytest.mark.parametrize("form", FORMS)
def test_the_task_forms_batch_first_in_numbers(form: str) -> None:
    network = ls.build_form(form, ls.lstm(5, 10, layout="batch"), 3, steps=4)
    lengths = {"T": "7", "S": "4", "B": "2", "n": "5", "k": "10", "m": "3"}

    def turned(shape: str) -> str:
        axes = shape.strip("()").split(", ")
        axes = [axes[1], axes[0], *axes[2:]] if len(axes) == 3 else axes
        return f"({', '.join(lengths.get(axis, axis) for axis in axes)})"

    expected = {name: turned(shape) for name, shape in FORM_SHAPES[form].items()}
    assert shown(network, batch=2, time=7) == expected


def test_a_network_prints_as_a_table() -> None:
    network = ls.Network(
        layout="batch",
        embed=ls.Embedding("v", "e"),
        first=ls.lstm(k="k", bidirectional=True),
        drop=ls.Dropout(0.5, mask="sequence"),
        second=ls.Recurrent(ls.lstm(k="j", layers=2, output="last"), start=None),
        head=ls.Dense("m", "softmax", bias=False),
    )
    assert str(network) == (
        "member  module                            takes       gives       parameters\n"
        "x       input                                         (B, T)\n"
        "embed   embedding                         (B, T)      (B, T, e)   e*v\n"
        "first   lstm, both                        (B, T, e)   (B, T, 2k)  8*k*(e + k + 1)\n"
        "drop    dropout 0.5, one mask a sequence  (B, T, 2k)  (B, T, 2k)\n"
        "second  lstm, 2 layers, last              (B, T, 2k)  (B, j)      8*j*(3*j/2 + k + 1)\n"
        "head    dense, softmax, no bias           (B, j)      (B, m)      j*m\n"
        "parameters 8*e*k + e*v + 12*j**2 + 8*j*k + j*m + 8*j + 8*k**2 + 8*k"
    ).replace("8*j*(3*j/2 + k + 1)", "4*j*(3*j + 2*k + 2)")


def test_names_have_their_members_before_them() -> None:
    network = ls.Network(embed=ls.Embedding("v", "e"), encoder=ls.lstm(k="k", output="last"), head=ls.Dense("m"))
    shapes = network.parameter_shapes()
    assert {n: str(shapes[n]) for n in ("embed.E", "encoder.l0.W_f", "encoder.l0.U_f", "head.W", "head.b")} == {
        "embed.E": "(v, e)",
        "encoder.l0.W_f": "(k, e)",
        "encoder.l0.U_f": "(k, k)",
        "head.W": "(m, k)",
        "head.b": "(m,)",
    }
    assert {n: str(s) for n, s in network.state_shapes().items()} == {"encoder.l0.h": "(k,)", "encoder.l0.c": "(k,)"}


def test_a_layer_takes_the_width_below_whatever_its_letter() -> None:
    network = ls.Network(a=ls.lstm("n", "k", bidirectional=True), b=ls.lstm("k", "n"), c=ls.lstm("z", 3))
    assert shown(network) == {"x": "(T, B, n)", "a": "(T, B, 2*k)", "b": "(T, B, n)", "c": "(T, B, 3)"}
    assert str(network.parameter_shapes()["b.l0.W_f"]) == "(n, 2*k)"
    assert str(network.at(k=4).parameter_shapes()["b.l0.W_f"]) == "(n, 8)"
    assert network.at(k=4, n=5) == ls.Network(
        x=ls.Input(5), a=ls.lstm("n", 4, bidirectional=True), b=ls.lstm("k", 5), c=ls.lstm("z", 3)
    )


def test_a_cell_of_equal_sizes_is_as_wide_as_what_is_below() -> None:
    network = ls.Network(embed=ls.Embedding(9, "e"), sru=ls.Layer(ls.cells.get("sru-square")), head=ls.Dense(2))
    assert shown(network)["sru"] == "(T, B, e)"


def test_the_input_is_that_of_the_first_module_that_says_it() -> None:
    assert shown(ls.Network(drop=ls.Dropout(0), layer=ls.lstm(5, 4)))["x"] == "(T, B, 5)"
    assert shown(ls.Network(repeat=ls.RepeatVector(3), layer=ls.lstm(5, 4)))["x"] == "(B, 5)"
    assert shown(ls.Network(hidden=ls.Dense(4), layer=ls.lstm(k=4)))["x"] == "(T, B, n)"
    assert shown(ls.Network(embed=ls.Embedding(9, 2)))["x"] == "(T, B)"
    assert shown(ls.Network(x=ls.Input(7, None), head=ls.Dense(4)))["x"] == "(B, 7)"
    assert shown(ls.Network(words=ls.Input(None, "S"), embed=ls.Embedding(9, 2)))["embed"] == "(S, B, 2)"


def test_one_table_reads_and_writes_words() -> None:
    """Tied weights: the same rows wherever the table stands."""
    network = ls.Network(
        source=ls.Input(None),
        embed=ls.Embedding("v", "e"),
        encoder=ls.lstm(k="k", output="last"),
        target=ls.Input(None, "S"),
        again=ls.Shared("embed"),
        decoder=ls.Recurrent(ls.lstm(k="k"), start="encoder"),
        head=ls.Dense("v", "softmax"),
    )
    assert shown(network)["again"] == "(S, B, e)"
    assert [name for name in network.parameter_shapes() if name.endswith(".E")] == ["embed.E"]
    assert network.shapes()["again"].words == "embedding, the weights of embed"


# ---- counts ----


@law
@given(networks())
def test_three_counts_agree(drawn: Drawn) -> None:
    network = drawn.network
    arrays = network.random(drawn.seed)
    assert network.parameter_count == sum(array.size for array in arrays.values())
    assert network.parameter_count == sum(member.count for member in network.shapes().members)
    assert {n: a.shape for n, a in arrays.items()} == network.parameter_shapes()


@few
@given(networks())
def test_the_count_in_letters_is_the_count_in_numbers(drawn: Drawn) -> None:
    """Every number replaced by a letter of its own, and put back."""
    members: dict[str, Any] = {}
    numbers: dict[str, int] = {}

    def lettered(size: Any) -> str:
        name = f"z{len(numbers)}"
        numbers[name] = int(size)
        return name

    for name, module in drawn.network.modules:
        match module:
            case ls.Input(width=width, time=time):
                members[name] = ls.Input(width if width is None else lettered(width), time)
            case ls.Dense():
                members[name] = ls.Dense(lettered(module.units), module.activation, module.bias)
            case ls.Embedding():
                members[name] = ls.Embedding(lettered(module.vocabulary), lettered(module.width))
            case ls.RepeatVector():
                members[name] = ls.RepeatVector(lettered(module.steps))
            case ls.Recurrent():
                members[name] = module.layer.with_(k=lettered(module.layer.sizes["k"]))
            case _:
                members[name] = module
    network = ls.Network(layout=drawn.network.layout, **members)
    at = {letter(name): Integer(value) for name, value in numbers.items()}
    assert network.parameter_count.xreplace(at) == drawn.network.parameter_count
    assert network.at(**{n: v for n, v in numbers.items() if n in network.open_letters}) == drawn.network
    assert tuple(s.xreplace(at) for s in network.shapes().answer) == drawn.network.shapes().answer


def test_shared_weights_count_once() -> None:
    network = ls.Network(cell=ls.lstm(4, 4), again=ls.Shared("cell"), third=ls.Shared("cell"))
    assert network.parameter_count == ls.lstm(4, 4).parameter_count
    assert len(network.state_shapes()) == 6


# ---- values ----


@law
@given(networks())
def test_networks_are_values(drawn: Drawn) -> None:
    again = pickle.loads(pickle.dumps(drawn.network))
    assert (again, hash(again), str(again)) == (drawn.network, hash(drawn.network), str(drawn.network))
    assert json.loads(json.dumps(again.to_dict())) == drawn.network.to_dict()


def test_to_dict() -> None:
    network = ls.Network(layout="batch", embed=ls.Embedding("v", 8), drop=ls.Dropout("1/4"), head=ls.Dense(3))
    told = network.to_dict()
    assert told["answer"] == ["B", "T", 3]
    assert told["parameters"] == "8*v + 27"
    assert told["members"][1:] == [
        {
            "name": "embed",
            "module": {"kind": "Embedding", "vocabulary": "v", "width": 8},
            "takes": ["B", "T"],
            "gives": ["B", "T", 8],
            "parameters": {"embed.E": ["v", 8]},
            "states": {},
            "count": "8*v",
        },
        {
            "name": "drop",
            "module": {"kind": "Dropout", "rate": 0.25, "mask": "element"},
            "takes": ["B", "T", 8],
            "gives": ["B", "T", 8],
            "parameters": {},
            "states": {},
            "count": 0,
        },
        {
            "name": "head",
            "module": {"kind": "Dense", "units": 3, "activation": "identity", "bias": True},
            "takes": ["B", "T", 8],
            "gives": ["B", "T", 3],
            "parameters": {"head.W": [3, 8], "head.b": [3]},
            "states": {},
            "count": 27,
        },
    ]


def test_a_symbol_is_a_letter() -> None:
    assert ls.Dense(Symbol("m")) == ls.Dense("m")
    assert ls.Dense(Integer(3)) == ls.Dense("3") == ls.Dense(3)
