"""A contract that no file could keep, or that is none, is a wrong question, told with its line."""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import read_contract, write_contract
from tests.conformance.sets import own_names

CONTRACT = write_contract(ls.check(own_names(), numbers=False))


def refused(old, new):
    assert CONTRACT.count(old) == 1, old
    with pytest.raises(ls.LstmSpecError) as caught:
        read_contract(CONTRACT.replace(old, new), "s.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "i  = sigmoid(W_i x + U_i h + b_i)",
            "i  = sigmoid(W_i x + U_i h + b_i)\ni  = tanh(W_i x)",
            "error[twice]: i is defined twice\n"
            "  at       s.toml:15   i  = tanh(W_i x)\n"
            "                       ^^^^^^^^^^^^^^^^\n"
            "  help     rename or remove one of the two",
        ),
        (
            "h[k], c",
            "h[2k], c",
            "error[dimension]: h' has 2k rows, and o * tanh(c') has k\n"
            "  at       s.toml:19   h' = o * tanh(c')\n"
            "                            ^^^^^^^^^^^^\n"
            "  because  h' is 2k (from the state h[2k]);  o is k (from the state c[k])",
        ),
        (
            "c' = f * c + i * g",
            "c' = f * c + i * g * h'",
            "error[cycle]: these read each other in a circle: c' → h' → c'\n"
            "  at       s.toml:18   c' = f * c + i * g * h'\n"
            "                       ^^^^^^^^^^^^^^^^^^^^^^^\n"
            "  help     read h, the value before the step, in one of them",
        ),
        (
            "state h[k], c[k]",
            "state h[k], h[k]",
            "error[twice]: h is declared twice\n"
            "  at       s.toml:12   state h[k], h[k]\n"
            "                                   ^^^^\n"
            "  help     remove one of the two",
        ),
        (
            "f * c",
            "f ** c",
            "error[syntax]: * does not fit here\n"
            "  at       s.toml:18   c' = f ** c + i * g\n"
            "                               ^\n"
            "  expected a tensor, a number or a call",
        ),
    ],
    ids=["defined twice", "size", "circle", "declared twice", "syntax"],
)
def test_equations_that_are_none_of_one_cell(old, new, message):
    """The first four were told of each file as if it did not conform, or not at all."""
    assert refused(old, new) == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'dialect = "lstm-spec"',
            'dialect = "pytroch"',
            "error[spec]: no dialect is called pytroch\n  at       s.toml:4\n"
            "  help     did you mean pytorch? lstm-spec dialects lists them",
        ),
        (
            '"forward"',
            '"foward"',
            "error[spec]: direction = foward is none\n  at       s.toml:7\n"
            "  expected forward, reverse, both\n  help     a line that is deleted is not held",
        ),
        (
            "layers = 1",
            "layers = 0",
            "error[spec]: layers is not what it should be\n  at       s.toml:6\n"
            "  expected a whole number of 1 and more\n  found    0\n  help     a line that is deleted is not held",
        ),
        (
            "layers = 1",
            "layer = 1",
            "error[spec]: layer is nothing that a contract holds of a layer\n  at       s.toml:6\n"
            "  expected at, dialect, dtype, layers, direction, merge, layout, assumed, sizes, equations\n"
            "  help     did you mean layers? a line that is deleted is not held",
        ),
        (
            "n = 3",
            'n = "n"',
            "error[spec]: n is no size\n  at       s.toml:9\n"
            "  expected a whole number of 1 and more\n  found    'n'\n"
            "  help     a line that is deleted is not held; nor is a letter that is deleted between the braces",
        ),
        (
            "n = 3",
            "n = n",
            "error[spec]: this is no TOML\n  at       s.toml:9   sizes = { n = n, k = 4 }\n"
            "  because  Invalid value (at line 9, column 15)\n  help     lstm-spec spec FILE writes a contract",
        ),
        (
            "assumed = [",
            "assumed = [3, ",
            "error[spec]: assumed is not what it should be\n  at       s.toml:8\n"
            "  expected a list of texts\n"
            "  found    [3, 'activations = sigmoid, tanh, tanh', 'forget_bias = 0']\n"
            "  help     a line that is deleted is not held",
        ),
        (
            "assumed = [",
            'assumed = ["direction = reverse", ',
            "error[spec]: direction = reverse is assumed, and another is held\n  at       s.toml:8\n"
            "  because  s.toml:7 says direction = forward\n  help     make the two lines say the same",
        ),
        (
            "[[layer]]",
            '[[unread]]\nkinds = "GRU"\n[[layer]]',
            "error[spec]: kinds is nothing that a contract holds of what is unread\n  at       s.toml:3\n"
            "  expected at, kind, shapes\n  help     did you mean kind? a line that is deleted is not held",
        ),
        (
            "[[layer]]",
            '[[unread]]\nshapes = { "gru.w" = 12 }\n[[layer]]',
            "error[spec]: the shape of gru.w is none\n  at       s.toml:3\n"
            "  expected whole numbers, [12, 4]\n  found    12\n  help     a line that is deleted is not held",
        ),
        (
            "[[layer]]",
            '[[unread]]\nat = "g"\n[[unread]]\nat = "g"\n[[layer]]',
            "error[spec]: g is named twice\n  at       s.toml:5\n"
            "  because  s.toml:3 names it too\n  help     remove one of the two",
        ),
    ],
)
def test_words_and_keys_that_no_file_could_keep(old, new, message):
    assert refused(old, new) == message


def test_what_more_equations_would_mend_is_no_wrong_question():
    """Lines may be deleted: the cell of a file completes what is left."""
    lines = [line for line in CONTRACT.splitlines() if line.startswith(("input", "state", *"ifgo", "c'", "h'"))]
    assert len(lines) == 8
    for line in lines:
        assert ls.check(own_names(), numbers=False, contract=CONTRACT.replace(line + "\n", "")).ok, line


@pytest.mark.parametrize("turn", [str, lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")])
def test_what_an_editor_adds_is_no_part_of_it(turn):
    assert ls.check(own_names(), numbers=False, contract=turn(CONTRACT)).ok
    wrong = turn(CONTRACT.replace("f * c", "f * q"))
    (found,) = ls.check(own_names(), numbers=False, contract=wrong).findings
    assert found.because == "c' adds f * c in place of f * q"


def test_a_line_is_found_among_texts_that_look_like_lines():
    """Meta: a key in a text is none of the contract's."""
    text = CONTRACT.replace("input x[n]\n", "# [[layer]]\n# layers = 7\ninput x[n]\n").replace(
        "layers = 1", "layers = 2"
    )
    (found,) = ls.check(own_names(), numbers=False, contract=text).findings
    assert found.help == "if this is meant, change or delete what the contract:6 says of it"
    two = (
        text.replace("layers = 2", "layers = 1")
        + "\n"
        + CONTRACT.partition("\n")[2].replace("at =", "#").replace("layers = 1", "layers = 0")
    )
    with pytest.raises(
        ls.LstmSpecError, match=rf"at       s.toml:{two[: two.index('layers = 0')].count(chr(10)) + 1}\n"
    ):
        read_contract(two, "s.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [("n = 3", "n = " + "9" * 5000), ("n = 3", "n = [0x" + "f" * 5000 + "]"), ("h[k], c", "h[" + "9" * 5000 + "k], c")],
)
def test_numbers_of_thousands_of_digits_are_refused(old, new):
    """Python reads and writes no integer of more than 4300 digits: it was an internal error."""
    assert refused(old, new).startswith(
        ("error[spec]: this is no TOML", "error[spec]: n is no size", "error[number]: ")
    )
