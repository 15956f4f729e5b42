"""Two cells with other numbers → what the difference looks like, in words: gates that changed places, a transpose, a
constant, one gate alone, another training. Says nothing where it sees nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from lstm_spec.conformance.comparison import Array, Side

GATES = "ifgo"
WORDS = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}
RELATED = 0.5  # correlation of two trainings that began alike; of strangers it is near 0 (0.02 for 1e4 numbers)


def describe_difference(one: Side, other: Side, limit: float) -> Iterator[str]:
    """The first reading that explains the whole difference, else what the numbers have in common."""
    wrong = [name for name, array in one.arrays.items() if not _near(array, other.arrays[name], limit)]
    told = (
        _gates_moved(one, other, limit)
        or _transposed(one, other, wrong, limit)
        or _constant(one, other, wrong, limit)
        or _one_gate(wrong)
        or _related(one, other)
    )
    if told:
        yield told


def _gates_moved(one: Side, other: Side, limit: float) -> str:
    live = [gate for gate in GATES if f"U_{gate}" in one.arrays]
    for order in permutations(live):
        pairs = list(zip(live, order, strict=True))
        moved = [f"{b} stands where {a} should" for a, b in pairs if a != b]
        if moved and all(_near(one.arrays[f"U_{b}"], other.arrays[f"U_{a}"], limit) for a, b in pairs):
            return f"the gates of the second are in another order: {', '.join(moved)}"
    return ""


def _transposed(one: Side, other: Side, wrong: list[str], limit: float) -> str:
    """Square matrices, of which no shape says that they lie the other way."""
    turned = [n for n in wrong if one.arrays[n].ndim == 2 and one.arrays[n].shape[0] == one.arrays[n].shape[1]]
    if wrong and wrong == turned and all(_near(one.arrays[n], other.arrays[n].T, limit) for n in wrong):
        return f"{', '.join(wrong)} of the second {'is' if len(wrong) == 1 else 'are'} transposed"
    return ""


def _constant(one: Side, other: Side, wrong: list[str], limit: float) -> str:
    """One number more or less in every unit of the forget gate's bias: a constant that is in one equation only."""
    if wrong != ["b_f"]:
        return ""
    more = other.arrays["b_f"].astype("float64") - one.arrays["b_f"].astype("float64")
    constant = float(np.median(more))
    if not np.isfinite(more).all() or np.max(np.abs(more - constant), initial=0) > 4 * limit:
        return ""
    words = f"{abs(constant):.4g} {'more' if constant > 0 else 'less'}"
    return f"b_f of the second is {words} in every unit: a forget constant that only one of them has in its equation"


def _one_gate(wrong: list[str]) -> str:
    gates = {name[-1] for name in wrong if name[-1] in WORDS and name[-2:-1] in ("_", "W", "U")}
    if wrong and all(name.startswith("b_") for name in wrong) and len(gates) > 1:
        return "only biases differ"
    if len(gates) == 1 and all(name[-1] in gates for name in wrong):
        return f"only the {WORDS[gates.pop()]} differs"
    return ""


def _related(one: Side, other: Side) -> str:
    """Whether two sets of weights have anything in common but their shapes."""
    names = [name for name, array in one.arrays.items() if array.ndim == 2]
    first, second = (np.concatenate([side.arrays[n].ravel() for n in names]).astype("float64") for side in (one, other))
    if not (np.isfinite(first).all() and np.isfinite(second).all()) or not (first.std() and second.std()):
        return ""
    correlation = float(np.corrcoef(first, second)[0, 1])
    if correlation > 1 - 1e-12:
        return ""
    if correlation >= RELATED:
        return f"the matrices resemble each other (correlation {correlation:.2f}), as after further training"
    return f"the same shapes, other numbers: no order of the gates makes them agree (correlation {correlation:.2f})"


def _near(mine: Array, theirs: Array, limit: float) -> bool:
    return mine.shape == theirs.shape and bool(np.allclose(mine, theirs, rtol=0, atol=limit, equal_nan=True))
