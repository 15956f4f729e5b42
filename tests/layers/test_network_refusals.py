"""What does not fit in a network is refused, with both sides named."""

from __future__ import annotations

from typing import Any

import pytest

import lstm_spec as ls

DECODER = ls.Recurrent(ls.lstm(k="j"), start="encoder")
WRONG: list[tuple[Any, str]] = [
    (
        lambda: ls.Network(first=ls.lstm(5, 10), second=ls.lstm(11, 4)),
        """error[width]: second takes 11, and first gives 10
  expected (T, B, 11)
  found    (T, B, 10)
  help     leave the layer's input size a letter, such as n: it takes the width below""",
    ),
    (
        lambda: ls.Network(first=ls.lstm(output="last"), second=ls.lstm()),
        """error[network]: second takes a sequence, and first gives one vector a sample (B, k)
  help     RepeatVector(steps) makes one of it""",
    ),
    (
        lambda: ls.Network(first=ls.lstm(), repeat=ls.RepeatVector()),
        """error[network]: repeat takes one vector a sample, and first gives a sequence of vectors (T, B, k)
  help     a layer with output="last" gives one""",
    ),
    (
        lambda: ls.Network(words=ls.Input(None), head=ls.Dense(3)),
        """error[network]: head takes vectors, and words gives a sequence of tokens (T, B)
  help     an Embedding makes vectors of tokens""",
    ),
    (
        lambda: ls.Network(first=ls.lstm(), embed=ls.Embedding(9, 2)),
        """error[network]: embed takes tokens, and first gives a sequence of vectors (T, B, k)
  help     begin with it, or with Input(width=None)""",
    ),
    (
        lambda: ls.Network(cell=ls.lstm(), again=ls.Shared("cell")),
        """error[width]: again cannot have the weights of cell
  expected (T, B, n), as cell takes
  found    (T, B, k), from cell
  help     shared weights take one width: give the layer as many inputs as outputs""",
    ),
    (
        lambda: ls.Network(cell=ls.lstm(), again=ls.Shared("cel")),
        """error[network]: again shares cel, which is no earlier member with weights of its own
  expected cell""",
    ),
    (
        lambda: ls.Network(encoder=ls.lstm(), target=ls.Input(3), decoder=ls.lstm()),
        """error[network]: target begins a new chain, and nobody reads what encoder gives
  help     a later Recurrent(layer, start="encoder") does, or move target to the front""",
    ),
    (
        lambda: ls.Network(encoder=ls.lstm(bidirectional=True), target=ls.Input(3), decoder=DECODER),
        """error[start]: decoder cannot start from encoder: their states differ
  expected l0.h (B, j), l0.c (B, j)
  found    l0.h (B, k), l0.c (B, k), l0.reverse.h (B, k), l0.reverse.c (B, k)""",
    ),
    (
        lambda: ls.Network(encode=ls.lstm(), decoder=DECODER),
        """error[network]: decoder starts from encoder, which is no earlier recurrent member
  expected encode""",
    ),
    (
        lambda: ls.Network(x=ls.Input()),
        """error[network]: a network has members
  found    x
  help     Network(head=Dense(3))""",
    ),
    (
        lambda: ls.Network(x=ls.Dense(3)),
        "error[network]: x is the network's input; call the member otherwise",
    ),
    (
        lambda: ls.Network(**{"a.b": ls.Dense(3)}),
        """error[network]: a.b is no name for a member
  expected such as encoder""",
    ),
    (
        lambda: ls.Network(head=3),  # type: ignore[arg-type]
        """error[network]: head is no module
  expected a Layer, Input, Dense, Dropout, Embedding, RepeatVector, Recurrent or Shared
  found    int""",
    ),
    (
        lambda: ls.Network(first=ls.lstm(layout="batch")),
        """error[network]: first has a layout of its own; in a network all sequences have one
  found    batch
  help     Network(layout='batch', …)""",
    ),
    (
        lambda: ls.Network(layout="row", head=ls.Dense(3)),  # type: ignore[arg-type]
        """error[option]: layout='row' is unknown
  expected time, batch""",
    ),
    (
        lambda: ls.Network(both=ls.lstm(bidirectional=True, merge="apart")),
        """error[network]: merge='apart' keeps the directions on an axis that no module takes
  help     join them""",
    ),
    (
        lambda: ls.Network(head=ls.Dense(3)).at(k=3),
        """error[size]: the network has no open size k
  expected n""",
    ),
    (
        lambda: ls.Dense(0),
        """error[size]: units = 0 is no size
  expected a whole number from 1 to 1,000,000,000, or a letter such as m""",
    ),
    (
        lambda: ls.Dense("B"),
        """error[size]: units = B cannot be a letter
  found    B counts the batch""",
    ),
    (
        lambda: ls.Dense(3, "gelu"),  # type: ignore[arg-type]
        """error[option]: activation='gelu' is unknown
  expected identity, softmax, sigmoid, tanh, relu""",
    ),
    (
        lambda: ls.Dropout(1),
        """error[option]: rate=1 is no share
  expected 0 ≤ rate < 1""",
    ),
    (
        lambda: ls.Network(head=ls.Dense("m")).random(0),
        """error[size]: n, m must be numbers to draw weights
  help     network.at(n=5, k=10).random(0)""",
    ),
    (
        lambda: ls.Network(head=ls.Dense(3)).shapes(batch=-1),
        """error[size]: batch = -1 is no length
  expected a whole number ≥ 0""",
    ),
    (
        lambda: ls.build_form("many", ls.lstm()),
        """error[option]: form='many' is unknown
  expected one-to-one, one-to-many, many-to-one, many-to-many, encoder-decoder""",
    ),
]


@pytest.mark.parametrize(
    ("make", "message"), WRONG, ids=lambda value: value.split(":")[1] if isinstance(value, str) else ""
)
def test_what_does_not_fit_is_told_with_both_sides(make: Any, message: str) -> None:
    with pytest.raises(ls.LstmSpecError) as caught:
        make()
    assert str(caught.value) == message
