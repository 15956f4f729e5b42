"""Arrays that do not fit a network are refused, with what was expected and found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstm_spec as ls

ONE = ls.Network(encoder=ls.lstm(5, 4), drop=ls.Dropout(0.5), head=ls.Dense(3))
TWO = ls.build_form("encoder-decoder", ls.lstm(5, 4), 3)
WORDS = ls.Network(embed=ls.Embedding(9, 2))
X = np.zeros((7, 2, 5))


def call(network: ls.Network, x: Any, *rest: Any, **options: Any) -> Any:
    return lambda: ls.compile_network(network)(x, network.random(0), *rest, **options)


WRONG: list[tuple[Any, str]] = [
    (
        call(ONE, np.zeros((7, 2, 6))),
        """error[shape]: x does not have the derived shape
  expected (T, B, 5)
  found    (7, 2, 6)""",
    ),
    (
        call(TWO, {"x": X, "target": np.zeros((4, 3, 3))}),
        """error[shape]: target does not have the derived shape
  expected (S, B, 3) = (S, 2, 3)
  found    (4, 3, 3)""",
    ),
    (
        call(TWO, X),
        """error[names]: the inputs do not have the network's names
  expected arrays by name: x, target
  found    ndarray""",
    ),
    (
        call(ONE, X.astype("float32")),
        """error[dtype]: x is float32; the others are float64
  expected one dtype, float32 or float64
  help     nothing is cast in silence: x.astype(np.float64)""",
    ),
    (
        call(ONE, [[1.0]]),
        """error[type]: x is no plain NumPy array
  expected (T, B, 5)
  found    list
  help     np.asarray(…) makes a plain array""",
    ),
    (
        call(WORDS, np.zeros((7, 2))),
        """error[dtype]: x is float64
  expected whole numbers (T, B)""",
    ),
    (
        call(WORDS, np.array([[0, -1]])),
        """error[token]: embed has no row for the token -1
  expected 0 to 8""",
    ),
    (
        call(ONE, X, {"encoder.l0.h": np.zeros((2, 4))}),
        """error[names]: the state does not have the network's names
  expected encoder.l0.h, encoder.l0.c
  found    encoder.l0.h""",
    ),
    (
        call(ONE, X, {"encoder.l0.h": np.zeros((2, 4)), "encoder.l0.c": np.zeros((3, 4))}),
        """error[shape]: encoder.l0.c does not have the derived shape and dtype
  expected float64 (2, 4)
  found    float64 (3, 4)""",
    ),
    (
        call(ONE, X, dropout=0.5),
        """error[dropout]: dropout draws no masks
  expected a numpy.random.Generator, or masks by name
  found    float""",
    ),
    (
        call(ONE, X, dropout={"drop": np.ones((7, 2, 5))}),
        """error[mask]: the mask drop does not fit
  expected float64 (7, 2, 4)
  found    float64 (7, 2, 5)""",
    ),
    (
        call(ONE, X, dropout={}),
        """error[names]: the masks do not have their names
  expected drop
  found    none""",
    ),
    (
        call(ls.Network(head=ls.Dense(3)).at(n=5), X, lengths=[1, 2]),
        """error[options]: no member reads lengths
  because  none is recurrent over x""",
    ),
    (
        call(ls.build_form("one-to-many", ls.lstm(5, 4), 3), np.zeros((2, 5))),
        """error[size]: no array says what S is
  help     give it to the network: network.at(S=…)""",
    ),
    (
        lambda: ls.compile_network(ls.Network(a=ls.lstm(5, 4, reverse=True))).step(X[0], {}),
        """error[step]: this network cannot be stepped
  because  a reads backwards: its first output depends on the last input
  help     run the whole sequence""",
    ),
    (
        lambda: ls.compile_network(TWO).step(X[0], {}),
        """error[step]: this network cannot be stepped
  because  it has several inputs: x, target
  help     run the whole sequence""",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=lambda v: v.split("\n")[0] if isinstance(v, str) else "")
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ls.LstmSpecError) as caught:
        make()
    assert str(caught.value) == message


def test_weights_packed_for_another_network_are_refused() -> None:
    other = ls.Network(encoder=ls.lstm(5, 4))
    packed = ls.compile_network(other).pack(other.random(0))
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.compile_network(ONE)(X, packed)
    assert str(caught.value) == (
        "error[packed]: these weights were packed for another network\n"
        "  help     pack them with this one: run.pack(weights)"
    )


def test_weights_are_held_to_the_networks_shapes() -> None:
    weights = dict(ONE.random(0)) | {"head.W": np.zeros((3, 5))}
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.compile_network(ONE)(X, weights)
    assert str(caught.value) == (
        "error[shape]: head.W does not have the derived shape\n  expected (3, 4)\n  found    (3, 5)"
    )
