"""Two cells with other numbers → what the difference looks like, in words: gates that changed places, a transpose, a
constant, one gate alone, some matrices alone, another training. Says nothing where it sees nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from lstm_spec.conformance.comparison.comparison import Side
from lstm_spec.conformance.comparison.rounding import agree, largest_gap

GATES = "ifgo"
WORDS = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}
RELATED = 0.5  # correlation of two trainings that began alike; of strangers it is near 0 (0.02 for 1e4 numbers)


def describe_difference(one: Side, other: Side, wrong: Collection[str]) -> Iterator[str]:
    """The first reading that explains the whole difference, else what the numbers have in common.

    `wrong` are the parameters that differ by more than rounding.
    """
    told = (
        _gates_moved(one, other)
        or _transposed(one, other, wrong)
        or _constant(one, other, wrong)
        or _one_gate(wrong)
        or _related(one, other, wrong)
    )
    if told:
        yield told


def _gates_moved(one: Side, other: Side) -> str:
    mine, theirs = one.parameters, other.parameters
    live = [gate for gate in GATES if f"U_{gate}" in mine]
    for order in permutations(live):
        pairs = list(zip(live, order, strict=True))
        moved = [f"{b} stands where {a} should" for a, b in pairs if a != b]
        if moved and all(agree(mine[f"U_{b}"], theirs[f"U_{a}"]) for a, b in pairs):
            return f"the gates of the second are in another order: {', '.join(moved)}"
    return ""


def _transposed(one: Side, other: Side, wrong: Collection[str]) -> str:
    """Square matrices, of which no shape says that they lie the other way."""
    for name in wrong:
        turned = replace(other.parameters[name], array=other.parameters[name].array.T)
        if turned.array.ndim != 2 or not agree(one.parameters[name], turned):
            return ""
    return f"{', '.join(wrong)} of the second {'is' if len(wrong) == 1 else 'are'} transposed"


def _constant(one: Side, other: Side, wrong: Collection[str]) -> str:
    """One number more or less in every unit of the forget gate's bias: a constant that is in one equation only."""
    if [*wrong] != ["b_f"]:
        return ""
    mine, theirs = one.parameters["b_f"], other.parameters["b_f"]
    with np.errstate(all="ignore"):
        more = float(np.median(theirs.total.astype("float64") - mine.total.astype("float64")))
    constants = (float(f"{more:.4g}"), more) if np.isfinite(more) else ()
    if not any(agree(replace(mine, constant=mine.constant + constant), theirs) for constant in constants):
        return ""
    words = f"{abs(more):.4g} {'more' if more > 0 else 'less'}"
    return f"b_f of the second is {words} in every unit: a forget constant that only one of them has in its equation"


def _one_gate(wrong: Collection[str]) -> str:
    gates = {name[-1] for name in wrong if name[-1] in WORDS and name[-2:-1] in ("_", "W", "U")}
    if wrong and all(name.startswith("b_") for name in wrong) and len(gates) > 1:
        return "only biases differ"
    if len(gates) == 1 and all(name[-1] in gates for name in wrong):
        return f"only the {WORDS[gates.pop()]} differs"
    return ""


# ---- what they have in common ----


def _related(one: Side, other: Side, wrong: Collection[str]) -> str:
    """Which parameters are equal, which matrices have something in common, which have nothing but their shapes."""
    equal = [name for name in one.parameters if name not in wrong]
    related, strange, rest = _by_likeness(one, other, wrong)
    if not (equal or related or strange):
        return ""
    alike, unlike = (f"(correlation {_correlation(one, other, names) or 0:.2f})" for names in (related, strange))
    if not equal and bool(related) != bool(strange) and all(one.parameters[name].array.ndim < 2 for name in rest):
        if related:
            return f"the matrices resemble each other {alike}, as after further training"
        return f"the same shapes, other numbers: no order of the gates makes them agree {unlike}"
    exact = all(largest_gap(one.parameters[name], other.parameters[name]) == 0 for name in equal)
    said = {
        "equal" + " to the bit" * exact: equal,
        f"resembling each other {alike}, as after further training": related,
        f"unrelated {unlike}": strange,
        "different": rest,
    }
    return "; ".join(f"{words}: {_called(names, one.parameters)}" for words, names in said.items() if names)


def _by_likeness(one: Side, other: Side, wrong: Collection[str]) -> tuple[list[str], list[str], list[str]]:
    """The matrices that resemble each other, those that do not, and what no correlation tells of: vectors are short,
    and those of two strangers often begin alike. The matrices of one kind, all W or all U, go together."""
    related: list[str] = []
    strange: list[str] = []
    rest = [name for name in wrong if one.parameters[name].array.ndim < 2]
    matrices = [name for name in wrong if name not in rest]
    for kind in dict.fromkeys(map(_kind, matrices)):
        names = [name for name in matrices if _kind(name) == kind]
        correlation = _correlation(one, other, names)
        (rest if correlation is None else related if correlation >= RELATED else strange).extend(names)
    return related, strange, rest


def _correlation(one: Side, other: Side, names: Iterable[str]) -> float | None:
    """That of all their entries; None where there is none, or nothing in it: of a matrix beside a multiple of it."""
    first, second = (
        np.concatenate([np.zeros(0), *(side.parameters[name].array.ravel() for name in names)]) for side in (one, other)
    )
    if not (np.isfinite(first).all() and np.isfinite(second).all()) or not (first.any() and second.any()):
        return None
    if not (first.std() and second.std()):
        return None
    correlation = float(np.corrcoef(first, second)[0, 1])
    return None if correlation > 1 - 1e-12 else correlation


def _kind(name: str) -> str:
    """`W` of `W_f`; `W_proj` is of its own."""
    return name[:-2] if name[-2:-1] == "_" and name[-1] in GATES else name


def _called(names: Collection[str], every: Iterable[str]) -> str:
    """`W, U_f`: a kind by its letter where all of it is there."""
    kinds = {kind: [name for name in every if _kind(name) == kind] for kind in map(_kind, every)}
    whole = {kind for kind, members in kinds.items() if all(name in names for name in members)}
    return ", ".join(dict.fromkeys(_kind(name) if _kind(name) in whole else name for name in names))
