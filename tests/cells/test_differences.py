"""What differs between two cells: in words, in equations, in parameters."""

from __future__ import annotations

from functools import cache

import pytest

from lstm_spec import cells
from lstm_spec.cells.differences import Difference, compare_cells
from lstm_spec.symbolic.language import parse


@cache
def compare(first: str, second: str) -> Difference:
    return compare_cells(cells.get(first), cells.get(second))


WORDS = {
    ("lstm", "greff-np"): ["c' is the same in another order"],
    ("lstm", "gers2002"): [
        "i also adds p_i * c",
        "f also adds p_f * c",
        "o also adds p_o * c'",
        "h' is o * c', not o * tanh(c')",
    ],
    ("greff-vanilla", "greff-niaf"): ["g goes through no function, not tanh"],
    ("greff-vanilla", "greff-cifg"): ["f is 1 - i, not sigmoid(W_f x + U_f h + p_f * c + b_f)"],
    ("greff-vanilla", "greff-np"): ["i does not add p_i * c", "f does not add p_f * c", "o does not add p_o * c'"],
    ("gers2000", "hochreiter1997"): [
        "there is no equation of f",
        "g is 4 * sigmoid(W_g x + U_g h + b_g) - 2, not tanh(W_g x + U_g h + b_g)",
        "c' adds c in place of f * c",
        "h' is o * (2 * sigmoid(c') - 1), not o * tanh(c')",
    ],
    ("gers2002", "sak2014"): ["the state h has another size", "h' is W_proj (o * tanh(c')), not o * c'"],
    ("gru", "gru-reset-after"): ["g adds b_Wg, r * (U_g h + b_Ug) in place of U_g (r * h), b_g"],
    ("lstm", "udacity"): ["h' is o * tanh(W_u (f * c) + b_u), not o * tanh(c')"],
    ("mgu", "janet"): [
        "there is no equation of f",
        "g adds U_g h in place of U_g (f * h)",
        "h' is sigmoid(z) * h + (1 - sigmoid(z - 1)) * g, not (1 - f) * h + f * g",
        "there is an equation of z",
    ],
    ("sru", "sru-square"): ["the input x has another size", "h adds (1 - r) * x in place of (1 - r) * W_skip x"],
}


@pytest.mark.parametrize("pair", WORDS, ids="-".join)
def test_words(pair: tuple[str, str]) -> None:
    assert [change.words for change in compare(*pair).changes] == WORDS[pair]


COSTS = {
    ("lstm", "gers2002"): "3*k more",
    ("gers2002", "lstm"): "3*k fewer",
    ("lstm", "udacity"): "k*(k + 1) more",
    ("lstm", "gru"): "k*(k + n + 1) fewer",
    ("gers2000", "greff-np"): "as many",
    ("gers2002", "sak2014"): "k*(-4*k + 5*r) more (or fewer, as the sizes are)",
}


@pytest.mark.parametrize("pair", COSTS, ids="-".join)
def test_cost(pair: tuple[str, str]) -> None:
    assert compare(*pair).cost == COSTS[pair]


@pytest.mark.parametrize("first", cells.names())
def test_the_parameters_account_for_the_cost(first: str) -> None:
    for second in cells.names()[cells.names().index(first) :]:
        difference = compare(first, second)
        extra = sum(after - before for _, before, after in difference.parameters)
        assert (extra - difference.extra).expand() == 0


def test_a_cell_does_not_differ_from_itself() -> None:
    for name in cells.names():
        difference = compare(name, name)
        assert (difference.same, difference.changes, difference.parameters) == (True, (), ())
        assert difference.cost == "as many"


def test_which_of_the_literature_are_the_same() -> None:
    """Gers 2002 is Greff's NOAF, Graves 2013 is Greff's V, and V without peepholes is Gers 2000 with tanh."""
    names = cells.names()
    same = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if compare(a, b).same]
    assert same == [("gers2000", "greff-np"), ("gers2002", "greff-noaf"), ("graves2013", "greff-vanilla")]


def test_a_change_shows_both_equations() -> None:
    assert str(compare("lstm", "udacity").changes[0]) == (
        "h' is o * tanh(W_u (f * c) + b_u), not o * tanh(c')\n"
        "  - h' = o * tanh(c')\n"
        "  + h' = o * tanh(W_u (f * c) + b_u)"
    )
    assert str(compare("gers2002", "sak2014").changes[0]) == (
        "the state h has another size\n  - state h[k]\n  + state h[r]"
    )


def test_outputs_and_functions_with_numbers() -> None:
    text = "input x[n]\nstate c[k]\n{}a = tanh(W x)\nh = c + a\nc' = clip(c + a, -{}, 3)\n"
    one, other = parse(text.format("", 1)), parse(text.format("output a, h\n", 2))
    assert [change.words for change in compare_cells(one, other).changes] == [
        "the output is another",
        "c' goes through clip(…, -2, 3), not clip(…, -1, 3)",
    ]


def test_json() -> None:
    assert compare("lstm", "udacity").to_dict() == {
        "same": False,
        "changes": [
            {
                "name": "h'",
                "first": "h' = o * tanh(c')",
                "second": "h' = o * tanh(W_u (f * c) + b_u)",
                "words": "h' is o * tanh(W_u (f * c) + b_u), not o * tanh(c')",
            }
        ],
        "parameters": [
            {"name": "W_u", "first": "0", "second": "k**2"},
            {"name": "b_u", "first": "0", "second": "k"},
        ],
        "count": {"first": "4*k*(k + n + 1)", "second": "k*(5*k + 4*n + 5)", "extra": "k*(k + 1)"},
    }
