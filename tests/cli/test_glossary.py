"""`lstm-spec glossary`: people's words, and who means what by them."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls
from lstm_spec.dialects.glossary import all_entries, look_up
from lstm_spec.errors import OptionError

CELL = """\
the equations of one step (lstm-spec equations); c is the cell state
words  cell, memory cell, LSTM cell

who                            means                                  source

Hochreiter & Schmidhuber 1997  one of the k units, a scalar           Neural Computation 9(8), in notes
Keras, PyTorch                 the module of one time step: LSTMCell  keras/src/layers/rnn 3.15; torch/nn/modules/rnn.py 2.13
most papers                    the vector c of k entries              usage
"""  # noqa: E501

# The words that people ask with, and the letter or word that they must be told.
ASKED = {
    "units": "k",
    "hidden_size": "k",
    "num_units": "k",
    "neurons": "k",
    "features": "n",
    "input_size": "n",
    "state_size": "the sizes of the states",
    "cell": "the equations of one step",
    "candidate": "g",
    "new memory": "g",
    "carry": "c",
    "hidden state": "h",
    "output": "h",
    "gate": "i, f, o",
    "forget gate": "f",
    "φ": "f",
    "Γ_u": "i",
    "j": "g",
    "layer": "L",
    "timestep": "T",
    "sequence length": "T",
    "batch": "B",
    "directions": "D",
    "peephole": "p_i, p_f, p_o",
    "projection": "r",
    "forget bias": "--forget-bias",
    "return_sequences": "--output",
    "return_state": "the final State",
    "h_n": "l0.h",
    "c_n": "l0.c",
    "batch_first": "--layout",
    "time_major": "--layout",
    "stateful": "a run begins with zeros",
    "kernel": "W_i",
    "recurrent_kernel": "U_i",
}


def test_sources_disagree_about_a_cell(command):
    outcome = command("glossary", "cell")
    assert (outcome.code, outcome.out, outcome.err) == (0, CELL, "")


@pytest.mark.parametrize("word", ASKED)
def test_a_word_that_people_ask_with(word):
    assert look_up(word).entries[0].here.startswith(ASKED[word])


@pytest.mark.parametrize("word", ["Hidden-Size", "HIDDEN_SIZE", "hidden size", "hiddensize"])
def test_case_spaces_and_dashes_do_not_matter(word):
    assert look_up(word) == look_up("hidden_size")


def test_a_word_with_two_meanings_is_told_both():
    assert [entry.words[0] for entry in look_up("z").entries] == ["candidate", "z"]
    assert [entry.words[0] for entry in look_up("a").entries] == ["hidden state", "candidate"]


def test_all_words_are_listed(command):
    lines = command("glossary").out.splitlines()
    assert lines[0].split() == ["word", "here"]
    assert [line.split("  ")[0] for line in lines[2:]] == [entry.words[0] for entry in all_entries()]


def test_json(command):
    assert json.loads(command("glossary", "batch", "--json").out) == {
        "entries": [
            {
                "words": ["batch", "batch_size", "samples", "m", "B"],
                "here": "B, the sequences that are computed side by side",
                "meanings": [],
            }
        ]
    }
    assert len(json.loads(command("glossary", "--json").out)["entries"]) == len(all_entries())


@pytest.mark.parametrize(
    ("word", "shown", "hint"),
    [("unist", "unist", "did you mean units? "), ("\x1b[31m", r"\x1b[31m", ""), ("", "", "")],
)
def test_an_unknown_word(command, word, shown, hint):
    outcome = command("glossary", word)
    assert (outcome.code, outcome.out) == (2, "")
    message = f"error[word]: the glossary has no word {shown}".rstrip()
    assert outcome.err.replace(" \n", "\n") == f"{message}\n  help     {hint}lstm-spec glossary lists them\n"


def test_what_is_unknown_is_an_option_error():
    with pytest.raises(OptionError):
        look_up("unist")


def test_every_meaning_says_who_and_where():
    for entry in all_entries():
        assert entry.here
        assert len(set(entry.words)) == len(entry.words)
        assert all(m.who and m.means and m.source for m in entry.meanings)
        assert all(look_up(word).entries for word in entry.words)


def test_what_is_promised_here_exists():
    """The letters and commands that the glossary sends people to."""
    assert {"i", "f", "g", "o", "c'", "h'", "W_f", "U_f", "b_f"} <= set(ls.lstm().cell.roles)
    assert {"b_Wf", "b_Uf", "p_f", "W_proj"} <= set(ls.lstm(bias="two", peephole=True, projection=True).cell.roles)
    assert {"gru", "gru-reset-after", "udacity"} <= set(ls.cells.names())
