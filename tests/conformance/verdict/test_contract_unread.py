"""What is recurrent beside the layers and not read is held by its place, its kind and its shapes."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import write_contract
from tests.conformance.sets import keras_names, onnx_model, onnx_names, torch_names

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
MESSAGE = "gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"
NAMES = ", ".join(GRU)
GONE = "if this is meant, delete the table at the contract:3"


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
    assert held(TENSORS, contract) == [f"{missing}nothing unread\n  help     {GONE}"]
    assert held(TENSORS | torch_names("gru."), contract)[0] == (
        f"{missing}nothing unread\n  because  it is read here: pytorch, n = 3, k = 4, forward, two biases\n"
        f"  help     {GONE}"
    )
    other = {name.replace("gru", "gru2"): array for name, array in GRU.items()}
    found = held(TENSORS | other, contract)
    assert found[1:] == [f"{missing}gru2\n  help     {GONE}"]
    assert found[0].startswith("error[unread]: gru2 is a GRU")


def test_a_layer_that_became_a_gru_is_told_as_that():
    changed = {name.replace("gru.", "enc."): array for name, array in GRU.items()}
    found = held(changed | torch_names("dec."), contract_of(torch_names("enc.") | torch_names("dec.")))
    assert found[1] == (
        "error[spec-missing]: enc is in the contract and not here\n  at       arrays : enc\n  found    dec\n"
        f"  because  {MESSAGE.replace('gru', 'enc')}\n"
        "  help     if this is meant, delete the table at the contract:2"
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
