"""Every line of a contract may be deleted, and what is left is held."""

from __future__ import annotations

import re

import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import write_contract
from tests.conformance.sets import own_names, torch_names

# Keras on PyTorch copies an array in an old way.
WARNING = "ignore::DeprecationWarning"
TENSORS = torch_names("enc.", both=True)
MEANT = "if this is meant, change or delete what the contract:{} says of it"


def contract_of(tensors, **options):
    return write_contract(ls.check(tensors, numbers=False, **options))


def held(tensors, contract, **options):
    return [str(f) for f in ls.check(tensors, numbers=False, contract=contract, **options).findings]


CONTRACT = contract_of(TENSORS)
LINES = CONTRACT.splitlines()
DELETABLE = [n for n, line in enumerate(LINES) if not line.startswith(("#", "[[", '"""', "equations"))]


@pytest.mark.parametrize("number", DELETABLE, ids=lambda n: LINES[n] or "empty")
def test_a_deleted_line_holds_nothing(number):
    contract = "\n".join(LINES[:number] + LINES[number + 1 :])
    assert held(TENSORS, contract) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", DELETABLE)
def test_any_two_deleted_lines_hold_nothing(first):
    for second in DELETABLE:
        assert held(TENSORS, "\n".join(line for n, line in enumerate(LINES) if n not in (first, second))) == []


@pytest.mark.parametrize("number", [n for n in DELETABLE if re.match(r"\w+'? +=|direction|sizes", LINES[n])])
def test_what_is_left_is_still_held(number):
    """Meta: with one line deleted, another cell is found wherever another line holds it."""
    contract = "\n".join(LINES[:number] + LINES[number + 1 :])
    other = torch_names("enc.", n=5, both=False, bias=False)
    assert len(held(other, contract)) >= 2


def test_an_equation_that_is_left_is_held_and_one_that_is_deleted_is_not():
    peepholes = own_names(peephole=True)
    plain = contract_of(own_names())
    text = "error[spec]: the equations are others than in the contract\n  at       arrays\n  because  "
    (told,) = held(peepholes, plain)
    assert told == (
        f"{text}i also adds p_i * c; f also adds p_f * c; o also adds p_o * c'\n"
        "  help     lstm-spec cells diff shows two cells beside each other\n"
        f"           {MEANT.format(10)}"
    )
    without = "\n".join(line for line in plain.splitlines() if not line.startswith(("i ", "f ")))
    (told,) = held(peepholes, without)
    assert told.splitlines()[2] == "  because  o also adds p_o * c'"
    assert held(peepholes, "\n".join(line for line in without.splitlines() if not line.startswith("o "))) == []


def test_equations_may_stand_in_any_order():
    lines = contract_of(own_names()).splitlines()
    start = lines.index("") + 1
    assert held(own_names(), "\n".join([*lines[:start], *lines[start:-1][::-1], lines[-1]])) == []


def test_equations_that_are_no_cell_with_the_found_ones_are_told():
    contract = contract_of(own_names()).replace("o  = sig", "q  = tanh(V x)\no  = sig")
    assert held(own_names(), contract) == [
        "error[spec]: the equations are others than in the contract\n"
        "  at       arrays\n"
        "  because  the contract's: q is computed but never read\n"
        "  help     read it, or remove it\n"
        f"           {MEANT.format(10)}"
    ]


# ---- a layer that has no place ----

TWO = torch_names("a.", n=3) | torch_names("b.", n=5)


def placeless(tensors):
    return "\n".join(line for line in contract_of(tensors).splitlines() if not line.startswith("at "))


def test_layers_without_a_place_are_any_that_keep_the_promise():
    assert held(TWO, placeless(TWO)) == []
    assert held({f"model.{name}": array for name, array in TWO.items()}, placeless(TWO)) == []
    turned = torch_names("a.", n=5) | torch_names("b.", n=3)
    assert held(turned, placeless(TWO)) == []


def test_a_loose_promise_leaves_a_layer_to_a_strict_one():
    assert held(TWO, "[[layer]]\nlayers = 1\n[[layer]]\nsizes = { n = 3 }\n") == []
    assert held(TWO, '[[layer]]\n[[layer]]\nat = "a"\n') == []


def test_a_layer_that_keeps_no_promise_in_full():
    other = torch_names("a.", n=3) | torch_names("c.", n=7)
    assert held(other, placeless(TWO)) == [
        "error[spec]: n is another than in the contract\n  at       arrays : c\n  expected 5\n  found    7\n"
        f"  help     {MEANT.format(25)}"
    ]
    assert held(torch_names("a."), placeless(TWO)) == [
        "error[spec-missing]: layer 2 is in the contract and not here\n  at       arrays\n  found    a\n"
        "  help     if this is meant, delete the table at the contract:20"
    ]
    assert held(TWO, "[[layer]]\n") == [
        "error[spec-extra]: b is here and not in the contract\n  at       arrays : b\n"
        "  help     if this is meant, lstm-spec spec writes the contract of this file",
    ]


# ---- how two directions become one output ----


def test_the_merge_of_two_directions_is_held():
    assert 'merge = "concat"' in LINES
    (told,) = held(TENSORS, CONTRACT.replace('"concat"', '"sum"'))
    assert told == (
        "error[spec]: merge is another than in the contract\n  at       arrays : enc\n"
        "  expected sum\n  found    concat\n"
        f"  help     {MEANT.format(8)}"
    )


@pytest.mark.filterwarnings(WARNING)
def test_the_merge_that_keras_says_is_held(tmp_path):
    """The two halves have the same tensors, whatever becomes of their outputs: (7, 16) joined, (7, 8) added."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    shapes = {}
    for merge in ("concat", "sum"):
        inner = keras.layers.LSTM(8, return_sequences=True)
        model = keras.Sequential([keras.Input((7, 5)), keras.layers.Bidirectional(inner, merge_mode=merge)])
        shapes[merge] = model.output_shape
        model.save(tmp_path / f"{merge}.keras")
    assert shapes["concat"] != shapes["sum"]
    keras.Sequential([keras.Input((7, 5)), keras.layers.LSTM(8)]).save(tmp_path / "plain.keras")
    contracts = {name: contract_of(str(tmp_path / f"{name}.keras")) for name in ("concat", "sum", "plain")}
    assert [text.count("merge = ") for text in contracts.values()] == [2, 2, 0]
    for name, contract in contracts.items():
        assert held(str(tmp_path / f"{name}.keras"), contract) == []
    found = held(str(tmp_path / "sum.keras"), contracts["concat"])
    assert [text.splitlines()[0] for text in found] == ["error[spec]: merge is another than in the contract"] * 2
    assert [text.splitlines()[2:4] for text in found] == [["  expected concat", "  found    sum"]] * 2
    assert held(str(tmp_path / "sum.keras"), re.sub("merge.*\n", "", contracts["concat"])) == []


@pytest.mark.filterwarnings(WARNING)
def test_a_merge_that_nobody_says_is_told(tmp_path):
    keras = pytest.importorskip("keras", reason="keras is not installed")
    layer = keras.layers.Bidirectional(keras.layers.LSTM(8), merge_mode="sum")
    model = keras.Sequential([keras.Input((7, 5)), layer])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    found = held(str(tmp_path / "m.weights.h5"), re.sub("at = .*\n", "", contract_of(str(tmp_path / "m.keras"))))
    assert "note[spec]: merge is in the contract, and this file does not say it" in [f.splitlines()[0] for f in found]
