"""What the tests of frameworks that run a whole layer share: both directions, and readings wrong on purpose.

A peer makes the framework's own layer, sets its parameters by the framework's own names, tells what it saves them as,
and runs it on a sequence from a state. Both sides are compared in outputs and final states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import lstm_spec as ls
from lstm_spec.dialects import Dialect
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

Arrays = Mapping[str, np.ndarray]
SIZES = [(5, 4, 2), (3, 3, 1), (1, 6, 3)]
DTYPES = ["float32", "float64"]


@dataclass(frozen=True)
class Peer:
    """One kind of layer of one framework.

    `make(case)` is a live layer, `tensors(live)` its parameters by the names that it saves them under, `load(live,
    arrays)` sets them by those names or the dialect's, and `call(live, x, *states)` is y and the final states, in the
    dialect's order. `saved(live)` is what `ls.check` gets: a file, or the tensors.
    """

    dialect: Dialect
    make: Callable[[Case], Any]
    tensors: Callable[[Any], dict[str, np.ndarray]]
    load: Callable[[Any, Arrays], None]
    call: Callable[..., tuple[np.ndarray, ...]]
    saved: Callable[[Any], Any] | None = None

    def run(self, live: Any, case: Case) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Their output and final states, the states under the layer's names."""
        x, states = case.x(), self.dialect.pack_state(case.state(), case.layer)
        y, *after = self.call(live, x, *states)
        return y, dict(self.dialect.unpack_state(after, case.layer))


def case_of(sizes: tuple[int, int, int], dtype: str, time: int = 5, **options: Any) -> Case:
    """A few steps from a state."""
    n, k, batch = sizes
    return Case(n, k, time, batch, 11, dtype, True, options)


def ours(layer: ls.Layer, weights: ls.Weights, case: Case) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Our compiled code on the same input."""
    y, state = ls.compile(layer)(case.x(), weights, case.state())
    return y, dict(state)


def hold_ours(peer: Peer, case: Case) -> None:
    """Our random weights, packed → their layer; it takes every tensor, and has no other."""
    weights, live = case.weights(), peer.make(case)
    peer.load(live, peer.dialect.pack(weights, case.layer))
    assert_equal(
        ours(case.layer, weights, case),
        peer.run(live, case),
        TOLERANCE[case.dtype],
        f"{peer.dialect.name}, {case.dtype}",
    )


def draw(peer: Peer, case: Case) -> Any:
    """Their own layer, its parameters drawn anew so that no bias is 0."""
    live, rng = peer.make(case), case.generator
    peer.load(
        live, {name: rng.uniform(-0.9, 0.9, a.shape).astype(case.dtype) for name, a in peer.tensors(live).items()}
    )
    return live


def hold_theirs(peer: Peer, case: Case) -> None:
    """Their own layer → `check` and `read`, which know it by its names alone → our compiled code."""
    live = draw(peer, case)
    source = peer.saved(live) if peer.saved else peer.tensors(live)
    report = ls.check(source, numbers=False)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == [peer.dialect.name]
    assert not report.other
    layer, weights = ls.read(source)
    assert (layer.cell, layer.sizes, layer.layers) == (case.layer.cell, case.layer.sizes, case.layer.layers)
    assert layer.directions == case.layer.directions
    found = ours(layer.with_(layout=case.layer.layout), weights, case)
    assert_equal(found, peer.run(live, case), TOLERANCE[case.dtype], f"{peer.dialect.name}, {case.dtype}")


def miss(peer: Peer, case: Case, wrong: Dialect) -> None:
    """Read in another order of the gates, the same tensors compute something else; so these tests can fail."""
    weights = ls.Weights({name: a * 4 for name, a in case.weights(1.0).items()})
    live, tensors = peer.make(case), peer.dialect.pack(weights, case.layer)
    peer.load(live, tensors)
    misread = ours(case.layer, wrong.unpack(tensors, case.layer), case)
    theirs = peer.run(live, case)
    assert differences(ours(case.layer, weights, case), theirs) < 1e-4
    assert differences(misread, theirs) > WRONG


def made_by_torch(path: Any, to: str, allow: tuple[str, ...] = (), **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """A state dict in PyTorch's shapes, converted into a file of that dialect; x, and what the layer computes."""
    layer = ls.lstm(5, 4, **({"bias": "two"} | options))
    weights = layer.random(1, "float32")
    ls.convert(ls.dialects.get("pytorch").pack(weights, layer), to, allow=allow, output=str(path))
    x = np.random.default_rng(0).standard_normal((7, 3, 5)).astype("float32")
    return x, ls.compile(layer)(x, weights)[0]
