"""What cannot be solved for, and how it is told: every message whole."""

from __future__ import annotations

from typing import Any

import pytest

import lstm_spec as ls

WRONG: dict[str, tuple[Any, str]] = {
    "no budget": (
        lambda: ls.solve(ls.lstm(n=3)),
        "error[budget]: there is no budget\n  expected parameters, macs, bytes, memory, kept, same_as\n"
        "  help     e.g. parameters=10**6, --params 1e6",
    ),
    "no unknown": (
        lambda: ls.solve(ls.lstm(3, 4), parameters=5),
        "error[size]: there is nothing to solve for\n  found    n = 3, k = 4\n"
        "  help     leave one size out, or ask for L",
    ),
    "three unknowns": (
        lambda: ls.solve(ls.lstm(projection=True), parameters=5),
        "error[size]: 3 sizes are open\n  expected one or two\n  found    n, r, k\n  help     give the others",
    ),
    "too small": (
        lambda: ls.solve(ls.lstm(n=128), parameters=100),
        "error[budget]: no size is small enough\n  found    parameters 100\n"
        "  because  k = 1 already has parameters 520",
    ),
    "not exact": (
        lambda: ls.solve(ls.lstm(n=128), parameters=10**6, exact=True),
        "error[budget]: no k is exact\n  expected parameters 1,000,000\n"
        "  found    k = 439: parameters 997,408 (2,592 left)\n"
        "           k = 440: parameters 1,001,440 (-1,440 left)\n  help     leave exact out",
    ),
    "no pair": (
        lambda: ls.solve(ls.lstm(), parameters=999, exact=True),
        "error[budget]: no k and n are exact\n  help     leave exact out: what fits is listed",
    ),
    "unbounded": (
        lambda: ls.solve(
            ls.Layer(ls.parse("input x[n]\nstate h[k]\nh' = tanh(U h + mean(U h))\nz = mean(x)\noutput h, z"), k=4),
            parameters=10**6,
        ),
        "error[budget]: this budget does not bound n up to 1,000,000,000, the most that there may be\n"
        "  found    parameters 1,000,000\n"
        "  because  it still fits at n = 1,000,000,000",
    ),
    "twice": (
        lambda: ls.solve(ls.lstm(n=3), parameters=5, same_as=ls.Layer(ls.cells.get("gru-two-biases"), 3, 4)),
        "error[options]: parameters are given twice\n  found    as a number, and as a layer's",
    ),
    "letters": (
        lambda: ls.solve(ls.lstm(n=3), same_as=ls.lstm(n=3)),
        "error[size]: the layer to match has letters for sizes\n  found    k\n  help     give numbers",
    ),
    "fraction": (
        lambda: ls.solve(ls.lstm(n=3), parameters="1.5"),
        "error[budget]: parameters = '1.5' is no budget\n  expected a whole number, e.g. 1e6, 1_000_000 or 3.5M\n"
        "  found    3/2",
    ),
    "words": (
        lambda: ls.solve(ls.lstm(n=3), macs="many"),
        "error[budget]: macs = 'many' is no budget\n  expected a whole number, e.g. 1e6, 1_000_000 or 3.5M",
    ),
    "nan": (
        lambda: ls.solve(ls.lstm(n=3), macs=float("nan")),
        "error[budget]: macs = nan is no budget\n  expected a whole number, e.g. 1e6, 1_000_000 or 3.5M",
    ),
    "range": (
        lambda: ls.solve(ls.lstm(n=3), macs="1e19"),
        "error[budget]: macs = '1e19' is out of range\n  expected from 1 to 1e18",
    ),
    "multiple": (
        lambda: ls.solve(ls.lstm(n=3), macs="1e9", multiple=0),
        "error[option]: multiple = 0 is no step\n  expected a whole number ≥ 1",
    ),
    "letters for axes": (
        lambda: ls.solve(ls.lstm(n=3), macs="1e9", batch=None),
        "error[size]: batch = None is no length of a budget\n  expected a whole number ≥ 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_questions(name):
    ask, message = WRONG[name]
    with pytest.raises(ls.LstmSpecError) as caught:
        ask()
    assert str(caught.value) == message


def test_a_cell_that_cannot_stand_on_itself_has_no_layers_to_find():
    with pytest.raises(ls.LstmSpecError, match="this cell cannot stand on itself"):
        ls.solve(ls.Layer(ls.cells.get("sru-square"), k=4).with_(direction="both"), parameters=10**6, layers=True)
