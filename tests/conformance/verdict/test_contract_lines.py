"""Every line of a contract may be deleted; what is recurrent and not read is accepted by a line of its own."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import write_contract
from tests.conformance.sets import keras_names, onnx_model, onnx_names, own_names, torch_names

# Keras on PyTorch copies an array in an old way.
WARNING = "ignore::DeprecationWarning"
TENSORS = torch_names("enc.", both=True)
GRU = {
    f"gru.{kind}_{side}_l0": np.zeros(shape, "float32")
    for side, n in (("ih", 3), ("hh", 4))
    for kind, shape in (("weight", (12, n)), ("bias", (12,)))
}


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
        f"  help     {MEANT.format(20)}"
    ]
    assert held(TWO, "[[layer]]\n") == [
        "error[spec-extra]: b is here and not in the contract\n  at       arrays : b\n"
        "  help     if this is meant, lstm-spec spec writes the contract of this file",
    ]


# ---- what is recurrent and not read ----


MESSAGE = "gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"
NAMES = ", ".join(GRU)


def test_a_gru_beside_is_accepted_by_a_table():
    tensors = TENSORS | GRU
    assert not ls.check(tensors, numbers=False).ok
    contract = contract_of(tensors)
    shapes = ", ".join(f'"{name}" = {list(array.shape)}' for name, array in GRU.items())
    assert contract.splitlines()[1:7] == [
        f"# Recurrent and not read: {MESSAGE}",
        "[[unread]]",
        'at = "gru"',
        'kind = "GRU"',
        f"shapes = {{ {shapes} }}",
        "",
    ]
    assert contract.partition("}\n\n")[2] == CONTRACT.partition("\n")[2]
    report = ls.check(tensors, numbers=False, contract=contract)
    assert report.ok
    assert [str(f) for f in report.findings] == [f"note[unread]: {MESSAGE}\n  at       arrays : {NAMES}"]
    lines = contract.splitlines()
    assert held(tensors, "\n".join([lines[0], *lines[7:]])) == [
        f"error[unread]: {MESSAGE}\n  at       arrays : {NAMES}\n"
        "  help     if this is meant, lstm-spec spec writes a contract that accepts it"
    ]


@pytest.mark.parametrize("deleted", ["at", "kind", "shapes"])
def test_each_line_of_what_is_accepted_may_be_deleted(deleted):
    contract = re.sub(rf"(?m)^{deleted} = .*\n", "", contract_of(TENSORS | GRU), count=1)
    assert ls.check(TENSORS | GRU, numbers=False, contract=contract).ok
    assert not ls.check(TENSORS | SMALL, numbers=False, contract=contract).ok  # what is left is held


SMALL = torch_names("gru.", gates=1)


def test_a_gru_that_became_another_cell_is_told():
    """It was held to nothing but its place."""
    found = held(TENSORS | SMALL, contract_of(TENSORS | GRU))
    message = MESSAGE.replace("GRU", "simple RNN")
    assert found == [
        f"note[unread]: {message}\n  at       arrays : {', '.join(SMALL)}",
        "error[spec]: gru is another kind of cell than in the contract\n  at       arrays : gru\n"
        f"  expected GRU\n  found    simple RNN\n  because  {message}\n  help     {MEANT.format(5)}",
        "error[spec]: gru has other tensors than in the contract\n  at       arrays : gru\n"
        "  expected gru.weight_ih_l0 (12, 3), gru.bias_ih_l0 (12,), gru.weight_hh_l0 (12, 4), gru.bias_hh_l0 (12,)\n"
        "  found    gru.weight_ih_l0 (4, 3), gru.bias_ih_l0 (4,), gru.weight_hh_l0 (4, 4), gru.bias_hh_l0 (4,)\n"
        f"  help     {MEANT.format(6)}",
    ]


@pytest.mark.parametrize(
    ("other", "expected", "found"),
    [
        ({"gru.bias_hh_l0": None}, "gru.bias_hh_l0 (12,)", "gru.bias_hh_l0 not there"),
        ({"gru.weight_ih_l0": np.zeros((12, 5), "float32")}, "gru.weight_ih_l0 (12, 3)", "gru.weight_ih_l0 (12, 5)"),
    ],
)
def test_the_shapes_of_what_is_not_read_are_held(other, expected, found):
    changed = {name: array for name, array in (GRU | other).items() if array is not None}
    (told,) = [text for text in held(TENSORS | changed, contract_of(TENSORS | GRU)) if text.startswith("error")]
    assert told == (
        "error[spec]: gru has other tensors than in the contract\n  at       arrays : gru\n"
        f"  expected {expected}\n  found    {found}\n  help     {MEANT.format(6)}"
    )


@pytest.mark.parametrize("op", ["GRU", "RNN"])
def test_an_operator_that_is_not_read_is_held_by_its_kind(tmp_path, op):
    """Its tensors go by their roles: an exporter numbers their names anew each time."""
    for name, kind, rows in (("one", "GRU", 3), ("two", op, {"GRU": 3, "RNN": 1}[op])):
        arrays = {f"W_{name}": np.zeros((1, rows * 4, 3), "f"), f"R_{name}": np.zeros((1, rows * 4, 4), "f")}
        (tmp_path / f"{name}.onnx").write_bytes(two_nodes(kind, arrays))
    contract = contract_of(str(tmp_path / "one.onnx"))
    assert 'at = "beside"\nkind = "GRU"\nshapes = { "W" = [1, 12, 3], "R" = [1, 12, 4] }\n' in contract
    report = ls.check(str(tmp_path / "two.onnx"), numbers=False, contract=contract)
    assert report.ok == (op == "GRU"), str(report)


def two_nodes(kind, arrays):
    """An LSTM, and beside it a node of that kind."""
    tensors = onnx_names(bias=False)
    model = onnx.load_from_string(onnx_model(tensors, {"hidden_size": 4}, more=arrays))
    model.graph.node.append(onnx.helper.make_node(kind, ["X", *arrays], ["Z"], name="beside", hidden_size=4))
    return model.SerializeToString()


@pytest.mark.parametrize("place", [NAMES, "gru"])
def test_an_older_contract_holds_the_place_alone(place):
    contract = CONTRACT.replace("[[layer]]", f'unread = [\n  "{place}",\n]\n\n[[layer]]', 1)
    for tensors, kind in ((GRU, "GRU"), (SMALL, "simple RNN")):
        names = ", ".join(GRU)
        if kind == "simple RNN" and place == NAMES:
            tensors = {name: SMALL[name] for name in GRU}
        names = ", ".join(tensors)
        assert held(TENSORS | tensors, contract) == [
            f"note[unread]: {MESSAGE.replace('GRU', kind)}\n  at       arrays : {names}\n"
            "  help     the contract holds its place alone; one that lstm-spec spec writes now holds its kind and"
            " shapes too"
        ]
    (told,) = held(TENSORS, contract)
    assert told == (
        f"error[spec-missing]: {place} is in the contract, unread, and not here\n  at       arrays\n"
        "  found    nothing unread\n  help     if this is meant, change or delete what the contract:2 says of it"
    )


def test_what_the_contract_accepts_must_be_there():
    contract = contract_of(TENSORS | GRU)
    missing = "error[spec-missing]: gru is in the contract, unread, and not here\n  at       arrays\n  found    "
    assert held(TENSORS, contract) == [f"{missing}nothing unread\n  help     {MEANT.format(4)}"]
    assert held(TENSORS | torch_names("gru."), contract)[0] == (
        f"{missing}nothing unread\n  because  it is read here: pytorch, n = 3, k = 4, forward, two biases\n"
        f"  help     {MEANT.format(4)}"
    )
    other = {name.replace("gru", "gru2"): array for name, array in GRU.items()}
    found = held(TENSORS | other, contract)
    assert found[1:] == [f"{missing}gru2\n  help     {MEANT.format(4)}"]
    assert found[0].startswith("error[unread]: gru2 is a GRU")


def test_a_layer_that_became_a_gru_is_told_as_that():
    changed = {name.replace("gru.", "enc."): array for name, array in GRU.items()}
    found = held(changed | torch_names("dec."), contract_of(torch_names("enc.") | torch_names("dec.")))
    assert found[1] == (
        "error[spec-missing]: enc is in the contract and not here\n  at       arrays : enc\n  found    dec\n"
        f"  because  {MESSAGE.replace('gru', 'enc')}\n  help     {MEANT.format(3)}"
    )


def test_the_contract_of_a_folder_names_files_below_it(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "a.npz", **TENSORS, **GRU)
    contract = contract_of(str(tmp_path / "one"))
    assert 'at = "a.npz : gru"' in contract
    report = ls.check(str(tmp_path / "two"), numbers=False, contract=contract)
    assert report.ok, str(report)


def test_a_tensor_that_changes_a_layers_equations_is_not_accepted():
    tensors = keras_names("lstm/") | {"lstm/peephole": np.zeros((3, 4), "float32")}
    with pytest.raises(ls.LstmSpecError, match=r"^error\[spec\]: only a file that conforms"):
        contract_of(tensors)
    contract = contract_of(keras_names("lstm/")).replace("\n[[", '\nunread = ["lstm"]\n[[', 1)
    assert [text.partition(":")[0] for text in held(tensors, contract)] == ["error[unread]", "error[spec-missing]"]


def test_nothing_but_what_is_not_read_is_no_contract():
    with pytest.raises(ls.LstmSpecError, match=r"^error\[spec\]: only a file that conforms"):
        contract_of(GRU)


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
