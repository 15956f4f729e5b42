"""What the tests of all peers share: cases that hypothesis chooses, tolerances, and readings wrong on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects import Dialect
from tests.laws import tried

# Outputs and states, relative to max(1, |theirs|): issue 2, "It is right when".
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
# One step of one layer from the peer's own states, weights uniform in ±3: sums of 25 terms of size 3, rounded, are
# 1e-6 apart, and a projection sums 12 of those. (A second layer multiplies it by ten: 1e-5 was seen.)
LARGE = {"float32": 1e-5, "float64": 1e-12}
WRONG = 0.05  # what a wrong gate order misses by

WORST: dict[str, float] = {}

try_few, try_some, try_many = tried(10), tried(16), tried(60)

sizes = st.integers(1, 12)
steps = st.one_of(st.integers(1, 6), st.sampled_from([37, 100]))
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float32", "float64"])


@dataclass(frozen=True)
class Case:
    """One layer and what it is run on."""

    n: int
    k: int
    time: int
    batch: int
    seed: int
    dtype: str
    with_state: bool
    options: Mapping[str, Any]

    @property
    def layer(self) -> ls.Layer:
        return ls.lstm(self.n, self.k, **self.options)

    @property
    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def weights(self, scale: float | None = None) -> ls.Weights:
        """Uniform in ±1/√k, or in ±scale."""
        if scale is None:
            return self.layer.random(self.seed, self.dtype)
        shapes = self.layer.parameter_shapes().items()
        rng = self.generator
        drawn = {name: rng.uniform(-scale, scale, tuple(map(int, shape))) for name, shape in shapes}
        return ls.Weights(drawn).astype(self.dtype)

    def x(self) -> np.ndarray:
        """In the layer's layout."""
        time_first = self.generator.standard_normal((self.time, self.batch, self.n)).astype(self.dtype)
        return time_first if self.layer.layout == "time" else np.ascontiguousarray(time_first.swapaxes(0, 1))

    def state(self) -> dict[str, np.ndarray] | None:
        """By the layer's names; None for zeros."""
        if not self.with_state:
            return None
        shapes = self.layer.state_shapes().items()
        rng = self.generator
        return {name: rng.uniform(-1, 1, (self.batch, int(s[0]))).astype(self.dtype) for name, s in shapes}


@st.composite
def cases(draw: st.DrawFn, options: st.SearchStrategy[Mapping[str, Any]], dtype: Any = dtypes) -> Case:
    """Options may hold a projection as a share of k: it needs 0 < r < k."""
    chosen = dict(draw(options))
    n, k = draw(sizes), draw(sizes)
    share = chosen.pop("share", 0)
    if share and k > 1:
        chosen["projection"] = 1 + int(share * (k - 1)) % (k - 1)
    return Case(n, k, draw(steps), draw(st.integers(1, 4)), draw(seeds), draw(dtype), draw(st.booleans()), chosen)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest |ours - theirs| / max(1, |theirs|)."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)), initial=0))


def differences(ours: Any, theirs: Any) -> float:
    """Of outputs and every state: `(y, {name: array})` each."""
    assert set(ours[1]) == set(theirs[1])
    return max(difference(ours[0], theirs[0]), *(difference(ours[1][name], theirs[1][name]) for name in theirs[1]))


def assert_equal(ours: Any, theirs: Any, limit: float, peer: str) -> None:
    """Outputs and states within the limit."""
    found = differences(ours, theirs)
    WORST[peer] = max(WORST.get(peer, 0), found)
    assert found <= limit, f"{peer}: {found:.2e} > {limit:.0e}"


def misread(dialect: Dialect, gates: str, only: str = "") -> Dialect:
    """The dialect with another order of the gates, in all tensors that hold four or in one."""
    packings = tuple(
        replace(p, gates=gates) if len(p.gates) == len(gates) and only in ("", p.name) else p for p in dialect.packings
    )
    assert packings != dialect.packings
    return replace(dialect, packings=packings)
