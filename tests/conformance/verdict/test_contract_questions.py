"""A contract that no file could keep, or that is none, is a wrong question, told with its line."""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import read_contract, write_contract
from lstm_spec.errors import OptionError
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


NO_PATH = "  help     a contract is given by its text, a file's as pathlib.Path(…).read_text(encoding='utf-8')"


@pytest.mark.parametrize("read", [read_contract, lambda text: ls.check(own_names(), numbers=False, contract=text)])
def test_a_path_is_not_taken_for_a_text(read, tmp_path):
    """Whether there is such a file or not: a text is a text. Only what to pass was not said."""
    (tmp_path / "spec.toml").write_text(CONTRACT)
    for path in (str(tmp_path / "spec.toml"), "spec.toml", "models/spec.toml\n"):
        with pytest.raises(ls.LstmSpecError) as caught:
            read(path)
        lines = str(caught.value).splitlines()
        assert (lines[0], lines[-1]) == ("error[spec]: this is no TOML", NO_PATH)
    for given in (tmp_path / "spec.toml", b"[[layer]]", {}):
        with pytest.raises(OptionError) as caught:
            read(given)
        found = f"  expected its text\n  found    {type(given).__name__}"
        assert str(caught.value) == f"error[type]: this is no contract\n{found}\n{NO_PATH}"
    assert read((tmp_path / "spec.toml").read_text())


def test_a_file_of_one_line_is_told_what_writes_one():
    """The help is for those who hand over a text; the command reads the file itself."""
    with pytest.raises(ls.LstmSpecError) as caught:
        read_contract("spec.toml", "s.toml")
    assert str(caught.value).splitlines()[-1] == "  help     lstm-spec spec FILE writes a contract"
