"""A contract that one file wrote, and other files held to it."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import read_contract, write_contract
from tests.conformance.sets import drawn, keras_names, own_names, torch_names

GOOD = torch_names("enc.", layers=2, both=True) | keras_names("head/") | drawn({"fc": (2, 3)})

MEANT = "if this is meant, change or delete what the contract:{} says of it"

RENAMED = "if this is meant, write the new name into the contract:{}, or delete that line: any place then"


def contract_of(tensors):
    return write_contract(ls.check(tensors, numbers=False))


def held(tensors, contract):
    return [str(f) for f in ls.check(tensors, numbers=False, contract=contract).findings]


def test_a_contract_in_full():
    assert contract_of(keras_names("lstm/")) == (
        "# The recurrent layers of a file; lstm-spec check FILE --spec THIS holds a file to them.\n"
        "[[layer]]\n"
        'at = "lstm"\n'
        'dialect = "keras"\n'
        'dtype = "float32"\n'
        "layers = 1\n"
        'direction = "forward"\n'
        'assumed = ["activation = tanh", "recurrent_activation = sigmoid", "go_backwards = False"]  # read nowhere\n'
        "sizes = { n = 3, k = 4 }\n"
        f'equations = """\n{ls.lstm("n", "k").cell}\n"""\n'
    )


@pytest.mark.parametrize("tensors", [GOOD, own_names(), torch_names('a"\\\n\x7fé.', cell=True)])
def test_a_file_keeps_its_own_contract(tensors):
    assert held(tensors, contract_of(tensors)) == []


def test_what_another_file_has_otherwise():
    other = torch_names("enc.", n=5, layers=2, bias=False) | keras_names("lstm/")
    assert held(other, contract_of(GOOD)) == [
        "error[spec]: direction is another than in the contract\n"
        "  at       arrays : enc\n"
        "  expected both\n"
        "  found    forward\n"
        f"  help     {MEANT.format(7)}",
        "error[spec]: n is another than in the contract\n  at       arrays : enc\n  expected 3\n  found    5\n"
        f"  help     {MEANT.format(9)}",
        "error[spec]: the equations are others than in the contract\n"
        "  at       arrays : enc\n"
        "  because  i does not add b_Wi, b_Ui; f does not add b_Wf, b_Uf; g does not add b_Wg, b_Ug; "
        "o does not add b_Wo, b_Uo\n"
        "  help     lstm-spec cells diff shows two cells beside each other\n"
        f"           {MEANT.format(10)}",
        "error[spec-missing]: head is in the contract and not here\n  at       arrays : head\n  found    enc, lstm\n"
        "  because  lstm keeps all but the place: it may be another name\n"
        f"  help     {RENAMED.format(23)}",
        "error[spec-extra]: lstm is here and not in the contract\n  at       arrays : lstm\n"
        "  help     if this is meant, lstm-spec spec writes the contract of this file",
    ]


def test_what_is_deleted_is_not_held():
    only = '[[layer]]\nat = "enc"\nsizes = { k = 4 }\n[[layer]]\nat = "head"\n'
    assert held(GOOD, only) == []
    (found,) = held(GOOD, only.replace("k = 4", "k = 9"))
    assert found.endswith(f"  expected 9\n  found    4\n  help     {MEANT.format(3)}")


def test_no_contract_from_what_does_not_conform():
    tensors = torch_names()
    tensors["bias_hh_l0"] = np.zeros(15, "float32")
    with pytest.raises(ls.LstmSpecError) as caught:
        contract_of(tensors)
    assert str(caught.value) == (
        "error[spec]: only a file that conforms can be a contract for others\n"
        "  at       arrays\n"
        "  found    does not conform: 1 LSTM layer, 1 error\n"
        "  help     lstm-spec check says what does not fit"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[layer]\n",
            "error[spec]: this is no TOML\n  at       s.toml:1   [[layer]\n"
            "  because  Expected ']]' at the end of an array declaration (at line 1, column 8)\n"
            "  help     lstm-spec spec FILE writes a contract",
        ),
        (
            "x = 1\n",
            "error[spec]: this is no contract\n  at       s.toml\n"
            "  expected [[layer]] tables, at least one, and [[unread]] tables\n  found    x\n"
            "  help     lstm-spec spec FILE writes a contract",
        ),
        (
            "",
            "error[spec]: this is no contract\n  at       s.toml\n"
            "  expected [[layer]] tables, at least one, and [[unread]] tables\n  found    nothing\n"
            "  help     lstm-spec spec FILE writes a contract",
        ),
        (
            "[[layer]]\nk = 3\n",
            "error[spec]: k is nothing that a contract holds of a layer\n  at       s.toml:2\n"
            "  expected at, dialect, dtype, layers, direction, merge, layout, assumed, sizes, equations\n"
            "  help     a line that is deleted is not held",
        ),
        (
            "[[layer]]\nat = 1\n",
            "error[spec]: at is not what it should be\n  at       s.toml:2\n  expected a text\n  found    1\n"
            "  help     a line that is deleted is not held",
        ),
        (
            '[[layer]]\nsizes = { n = 3 }\nequations = """\ninput x[n]\n',
            "error[spec]: this is no TOML\n  at       s.toml\n"
            "  because  Unterminated string (at end of document)\n"
            '  help     the equations stand between """ and """: delete some of them, or all with both marks',
        ),
        (
            "unread = 3\n[[layer]]\n",
            "error[spec]: unread is not what it should be\n  at       s.toml:1\n"
            "  expected [[unread]] tables\n  found    3\n  help     a line that is deleted is not held",
        ),
        (
            '[[layer]]\nat = "x"\nlayers = true\n',
            "error[spec]: layers is not what it should be\n  at       s.toml:3\n"
            "  expected a whole number\n  found    True\n  help     a line that is deleted is not held",
        ),
        (
            '[[layer]]\nat = "x"\nsizes = { n = 0 }\n',
            "error[spec]: n is no size\n  at       s.toml:3\n"
            "  expected a whole number of 1 and more\n  found    0\n"
            "  help     a line that is deleted is not held; nor is a letter that is deleted between the braces",
        ),
        (
            '[[layer]]\nat = "x"\n[[layer]]\nat = "x"\n',
            "error[spec]: x is named twice\n  at       s.toml:4\n"
            "  because  s.toml:2 names it too\n  help     remove one of the two",
        ),
        (
            '[[layer]]\nat = ""\n[[layer]]\nat = ""\n',
            "error[spec]: a layer without a prefix is named twice\n  at       s.toml:4\n"
            "  because  s.toml:2 names it too\n  help     remove one of the two",
        ),
    ],
)
def test_what_is_no_contract(text, message):
    with pytest.raises(ls.LstmSpecError) as caught:
        read_contract(text, "s.toml")
    assert str(caught.value) == message


def test_wrong_equations_are_told_with_their_place():
    """The line was counted from the first equation."""
    with pytest.raises(ls.LstmSpecError, match=r"s.toml:6   h' = tanh\(x"):
        read_contract('[[layer]]\nat = "x"\nequations = """\ninput x[n]\nstate h[k]\nh\' = tanh(x\n"""\n', "s.toml")
    with pytest.raises(ls.LstmSpecError, match=r"s.toml:3:3   h' = tanh\(x"):
        read_contract('[[layer]]\nat = "x"\nequations = "input x[n]\\nstate h[k]\\nh\' = tanh(x"\n', "s.toml")


def test_a_contract_of_bare_names_holds_a_file_of_another_name(tmp_path):
    """`at` was the name of the file: a contract held nothing but the file it came from."""
    for name in ("one.npz", "two.npz"):
        np.savez(tmp_path / name, **torch_names())
    contract = contract_of(str(tmp_path / "one.npz"))
    assert contract.splitlines()[2] == 'at = ""'
    assert held(str(tmp_path / "two.npz"), contract) == []
    np.savez(tmp_path / "two.npz", **torch_names(k=5))
    assert held(str(tmp_path / "two.npz"), contract)[0] == (
        f"error[spec]: k is another than in the contract\n  at       {tmp_path / 'two.npz'}\n"
        "  expected 4\n  found    5\n"
        f"  help     {MEANT.format(8)}"
    )
    np.savez(tmp_path / "two.npz", **torch_names("enc."))
    assert held(str(tmp_path / "two.npz"), contract) == [
        "error[spec-missing]: a layer without a prefix is in the contract and not here\n"
        f"  at       {tmp_path / 'two.npz'}\n  found    enc\n"
        "  because  enc keeps all but the place: it may be another name\n"
        f"  help     {RENAMED.format(3)}",
        f"error[spec-extra]: enc is here and not in the contract\n  at       {tmp_path / 'two.npz'} : enc\n"
        "  help     if this is meant, lstm-spec spec writes the contract of this file",
    ]
