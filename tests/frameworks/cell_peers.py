"""What the tests of frameworks that step a cell share: small cases, both directions, and readings wrong on purpose.

A peer is a function `run(tensors, x, h, c) → (y, h, c)`: it makes the framework's own cell, sets its parameters from
tensors under the framework's own names, and steps it over `x (T, B, n)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import Dialect
from tests.frameworks.peers import WRONG, Case, assert_equal, differences, misread
from tests.laws import tried

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
try_few = tried(3)
SIZES = ((5, 4, 2), (3, 3, 1))  # few: JAX compiles every operation for each anew
Run = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


@st.composite
def small_cases(draw: st.DrawFn, options: st.SearchStrategy[Mapping[str, object]], dtypes: tuple[str, ...]) -> Case:
    """A few steps of a small cell, always from a state: a cell's first argument after x."""
    chosen = dict(draw(options))
    n, k, batch = draw(st.sampled_from(SIZES))
    return Case(
        n,
        k,
        draw(st.integers(1, 3)),
        batch,
        draw(st.integers(0, 2**32 - 1)),
        draw(st.sampled_from(dtypes)),
        True,
        chosen,
    )


def plain(**options: object) -> st.SearchStrategy[Mapping[str, object]]:
    """The same options every time."""
    return st.just(options)


def theirs(run: Run, tensors: Mapping[str, np.ndarray], case: Case):
    """The peer's output and states, under the layer's names."""
    state = case.state()
    y, h, c = run(tensors, case.x(), state["l0.h"], state["l0.c"])
    return np.asarray(y), {"l0.h": np.asarray(h), "l0.c": np.asarray(c)}


def ours(layer: ls.Layer, weights: ls.Weights, case: Case):
    """Our compiled code on the same input."""
    y, state = ls.compile(layer.with_(layout="time"))(case.x(), weights, case.state())
    return y, dict(state)


def hold_ours(dialect: Dialect, run: Run, case: Case) -> None:
    """Our random weights → their layer."""
    weights = case.weights()
    found = ours(case.layer, weights, case)
    assert_equal(found, theirs(run, dialect.pack(weights, case.layer), case), TOLERANCE[case.dtype], dialect.name)


def hold_theirs(dialect: Dialect, run: Run, tensors: Mapping[str, np.ndarray], case: Case, prefix: str) -> None:
    """Their own tensors, drawn anew so that no bias is 0 → our compiled code; the names alone decide the reading."""
    rng = case.generator
    drawn = {name: rng.uniform(-0.9, 0.9, a.shape).astype(case.dtype) for name, a in tensors.items()}
    source = {prefix + name: a for name, a in drawn.items()}
    asked = dialect.name if dialect.is_asked_for else None
    report = ls.check(source, dialect=asked, numbers=False)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == [dialect.name]
    layer, weights = ls.read(source, dialect=asked)
    assert layer.cell == case.layer.cell
    assert_equal(ours(layer, weights, case), theirs(run, drawn, case), TOLERANCE[case.dtype], dialect.name)


def miss(dialect: Dialect, run: Run, case: Case, gates: str) -> None:
    """Read with another order of the gates, the same tensors compute something else; so these tests can fail."""
    weights = ls.Weights({name: a * 4 for name, a in case.weights(1.0).items()})
    tensors = dialect.pack(weights, case.layer)
    wrong = misread(dialect, gates).unpack(tensors, case.layer)
    assert differences(ours(case.layer, wrong, case), theirs(run, tensors, case)) > WRONG


def swap_parts(dialect: Dialect, one: str, other: str) -> Dialect:
    """The dialect with two gates' tensors in each other's place, where every gate has its own."""
    trade = {one: other, other: one}
    packings = tuple(
        replace(p, families=tuple(f[:-1] + trade.get(f[-1], f[-1]) for f in p.families)) for p in dialect.packings
    )
    assert packings != dialect.packings
    return replace(dialect, packings=packings)


MISS = Case(5, 4, 3, 2, 7, "float32", True, {})
