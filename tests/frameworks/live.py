"""What the tests of live layers with other options share.

The oracle is the live object itself, called as its framework calls it; `Live` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from tests.frameworks.peers import WORST

N, K, TIME, BATCH = 5, 4, 6, 2
AGREES = 2e-6
X = np.random.default_rng(1).standard_normal((BATCH, TIME, N)).astype("float32")
TIME_MAJOR = np.ascontiguousarray(X.swapaxes(0, 1))


@dataclass(frozen=True)
class Live:
    """What is read, at which place, what the framework makes of x (in the layout of its own), and that x."""

    source: Any
    run: Callable[[Any], Any]
    x: np.ndarray = field(default_factory=X.copy)
    at: str | None = None


def ran(live: Live) -> tuple[np.ndarray, np.ndarray]:
    """Our output and theirs."""
    layer, weights = ls.read(live.source, at=live.at)
    y, _ = ls.compile(layer)(live.x, weights)
    return y, np.asarray(live.run(live.x))


def agree(live: Live, peer: str) -> None:
    ours, theirs = ran(live)
    assert ours.shape == theirs.shape
    difference = float(np.abs(ours - theirs).max())
    WORST[peer] = max(WORST.get(peer, 0), difference)
    assert difference < AGREES
    report = ls.check(live.source)
    assert report.ok, str(report)
    assert all(layer.assumed == () for layer in report.layers)


def refused(source: Any) -> str:
    """What `read` says, and check with it."""
    report = ls.check(source)
    assert not report.ok
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.read(source, at=report.layers[0].where)
    assert str(caught.value) in map(str, report.findings)
    return str(caught.value)


def tanh(z: Any) -> Any:
    """Not the tanh that its name says."""
    return 2 * z


def doubled(base: type, method: str, place: int) -> type:
    """A class that computes with twice the input; `place` is where that stands among the arguments."""

    def call(self, *given, **named):
        return getattr(base, method)(self, *given[:place], 2 * given[place], *given[place + 1 :], **named)

    return type("Doubled", (base,), {method: call, "__module__": __name__})


def wrong_order(live: Live) -> float:
    """How far a reading with f and o in each other's place is off."""
    layer, weights = ls.read(live.source, at=live.at)
    swapped = {"f": "o", "o": "f"}
    turned = {n: weights[n[:-1] + swapped.get(n[-1], n[-1])] for n in weights}
    y, _ = ls.compile(layer)(4 * live.x, turned)
    return float(np.abs(y - live.run(4 * live.x)).max())
