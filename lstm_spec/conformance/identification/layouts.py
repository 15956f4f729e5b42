"""Shapes → every way to lay some arrays into the places of an LSTM.

The step says n, r and k; so a shape leaves few places for an array, and few ways to lie in it. What each place can
look like is the table `ROLES`. Reads no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shapes = Mapping[str, tuple[int, ...]]
Axes = tuple[str, ...]

# Letters of an axis, slowest first: g block (a gate's), k unit, m what the matrix multiplies, s which of two biases,
# p which peephole, j a unit too, r a row of the projection. "gk" is an axis of blocks, "kg" goes unit by unit.
MATRIX: tuple[Axes, ...] = (
    *(("gk", "m"), ("m", "gk"), ("kg", "m"), ("m", "kg")),
    *permutations(("g", "k", "m")),
)
ROLES: dict[str, tuple[str, tuple[Axes, ...]]] = {
    "W": ("gkm", MATRIX),
    "U": ("gkm", MATRIX),
    "J": ("gkm", MATRIX),  # one matrix on x and h joined
    "w1": ("km", (("k", "m"), ("m", "k"))),  # one of a gate alone
    "u1": ("km", (("k", "m"), ("m", "k"))),
    "j1": ("km", (("k", "m"), ("m", "k"))),
    "b": ("gk", (("gk",), ("kg",), ("g", "k"), ("k", "g"))),
    "bb": ("sgk", (("sgk",), ("skg",), ("s", "gk"), ("s", "kg"), ("sg", "k"), ("s", "g", "k"))),
    "b1": ("k", (("k",),)),
    "p": ("pk", (("pk",), ("kp",), ("p", "k"), ("k", "p"))),
    "p1": ("k", (("k",),)),
    "P1": ("kj", (("k", "j"), ("j", "k"))),  # a full peephole matrix
    "proj": ("rk", (("r", "k"), ("k", "r"))),
}
BIASES: tuple[dict[str, int], ...] = ({}, {"b": 1}, {"b": 2}, {"bb": 1}, {"b1": 1}, {"b1": 2})  # of b1: for each block
WORDS = {
    ("gk", "m"): "gates as rows",
    ("m", "gk"): "gates as columns",
    ("kg", "m"): "gates as rows, unit by unit",
    ("m", "kg"): "gates as columns, unit by unit",
    ("k", "m"): "a matrix for each gate, units as rows",
    ("m", "k"): "a matrix for each gate, units as columns",
}
PLACES = {"w1": "W", "u1": "U", "j1": "J"}
MOST_LAYOUTS = 400


@dataclass(frozen=True, slots=True)
class Sizes:
    """n, r and k of the step, and how many blocks the arrays hold."""

    n: int
    r: int
    k: int
    blocks: int = 4

    def of(self, role: str) -> dict[str, int]:
        """The length of every letter in an array of this role."""
        width = {"W": self.n, "U": self.r, "J": self.n + self.r}.get(PLACES.get(role, role), 0)
        return {"g": self.blocks, "k": self.k, "m": width, "s": 2, "p": self.blocks - 1, "j": self.k, "r": self.r}


@dataclass(frozen=True, slots=True)
class Part:
    """Some arrays of one shape in one place: `axes` says how each lies, once it has the shape `shape`.

    In a `reshaped` array each block of columns holds the numbers of its transpose in their own order, as cuDNN's do in
    tf.keras: (n, k) columns are a (k, n) matrix that was not turned.
    """

    role: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    axes: Axes
    reshaped: bool = False

    def lay(self, array: Array, sizes: Sizes) -> Array:
        """One array with its letters in the role's order, as a view where it can be."""
        letters, lengths = "".join(self.axes), sizes.of(self.role)
        target = ROLES[self.role][0]
        if self.reshaped:
            blocks = array.reshape([lengths[x] for x in letters]).transpose([letters.index(x) for x in "gmk"])
            return blocks.reshape([lengths[x] for x in target])
        return array.reshape([lengths[x] for x in letters]).transpose([letters.index(x) for x in target])

    @property
    def words(self) -> str:
        """How it lies, in words."""
        if self.axes in WORDS:
            return WORDS[self.axes] + ", each reshaped" * self.reshaped
        names = {"g": "gate", "k": "unit", "m": "input", "s": "bias", "p": "peephole"}
        return f"axes ({', '.join(' '.join(names.get(x, x) for x in axis) for axis in self.axes)})"


@dataclass(frozen=True, slots=True)
class Layout:
    """A place for every array. `join` is "xh" or "hx" where one matrix multiplies both."""

    parts: tuple[Part, ...]
    blocks: int = 4
    join: str = ""

    def has(self, *roles: str) -> bool:
        """Whether there is an array in one of these places."""
        return any(part.role in roles for part in self.parts)

    def of(self, role: str) -> list[Part]:
        """The parts in one place."""
        return [part for part in self.parts if part.role == role]

    @property
    def biases(self) -> int:
        """How many biases a gate has."""
        counts = {"b": len(self.of("b")), "bb": 2 * len(self.of("bb")), "b1": len(self.of("b1"))}
        return sum(counts.values())

    @property
    def is_apart(self) -> bool:
        """Whether each gate has a matrix of its own, so that their order says nothing."""
        return self.has("w1", "j1")

    @property
    def unusual(self) -> int:
        """How far from the plainest: blocks, not units; x before h; nothing reshaped."""
        units = sum("kg" in axis for part in self.parts for axis in part.axes)
        return units + (self.join == "hx") + sum(part.reshaped for part in self.parts)

    def axes(self) -> dict[str, str]:
        """How the arrays lie, by the axes of a convention."""
        said: dict[str, str] = {"blocks": "3" if self.blocks == 3 else ""}
        for part in self.parts:
            place = PLACES.get(part.role, part.role)
            if place in "WUJ":
                joined = {"xh": "[x, h]", "hx": "[h, x]"}.get(self.join, "")
                word = {"W": "matrix on x", "U": "matrix on h", "J": "one matrix on x and h"}[place]
                said[word] = f"{part.words}{f'; {joined}' if joined else ''}"
        full = " as full matrices" if self.has("P1") else ""
        words = {0: "none", 1: "one a gate", 2: "two a gate, in one array" if self.has("bb") else "two a gate"}
        said["biases"] = words[self.biases]
        said["full peepholes"] = f"{self.of('P1')[0].words}{full}" if full else ""
        said["projection"] = "".join("rows" if p.axes[0] == "r" else "columns" for p in self.of("proj"))
        return {axis: word for axis, word in said.items() if word}

    def places(self) -> dict[str, str]:
        """Which array is where: `W: kernel`."""
        return {f"place of {', '.join(part.names)}": PLACES.get(part.role, part.role) for part in self.parts}


def variants(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The shape, and without the axes of length 1 that people put before or behind."""
    seen = [shape]
    while seen[-1] and seen[-1][0] == 1 and len(seen[-1]) > 1:
        seen.append(seen[-1][1:])
    if len(shape) > 1 and shape[-1] == 1:
        seen.append(shape[:-1])
    yield from dict.fromkeys(seen)


def ways(role: str, shape: tuple[int, ...], sizes: Sizes) -> list[tuple[tuple[int, ...], Axes]]:
    """How an array of this shape can lie in a place; with one unit, blocks and units are the same."""
    lengths = sizes.of(role)
    found = [
        (flat, axes)
        for flat in variants(shape)
        for axes in ROLES[role][1]
        if flat == tuple(prod(lengths[x] for x in axis) for axis in axes)
    ]
    return found if sizes.k > 1 else [way for way in found if not any(a in ("kg", "kp", "skg") for a in way[1])]


def fits(shape: tuple[int, ...], sizes: Sizes) -> bool:
    """Whether an array of this shape has any place among so many blocks."""
    return any(ways(role, shape, sizes) for role in ROLES)


def layouts(shapes: Shapes, n: int, r: int, k: int) -> Iterator[Layout]:
    """Every layout that puts each of the arrays in a place."""
    classes: dict[tuple[int, ...], list[str]] = {}
    for name, shape in shapes.items():
        classes.setdefault(shape, []).append(name)
    for blocks in (4, 3):
        sizes = Sizes(n, r, k, blocks)
        roles = {shape: [role for role in ROLES if ways(role, shape, sizes)] for shape in classes}
        for template in _templates(blocks, r != k):
            if sum(template.values()) == len(shapes):
                for places in _assign(classes, roles, template):
                    yield from _lay(places, shapes, sizes)


def _templates(blocks: int, projected: bool) -> Iterator[dict[str, int]]:
    """How many arrays each place may hold."""
    matrices: list[dict[str, int]] = [{"J": 1}, {"W": 1, "U": 1}, {"j1": blocks}, {"w1": blocks, "u1": blocks}]
    peepholes: list[dict[str, int]] = [{}, {"p": 1}, {"p1": blocks - 1}, {"P1": blocks - 1}]
    projections: list[dict[str, int]] = [{"proj": 1}] if projected else [{}, {"proj": 1}]
    for matrix, bias, peephole, projection in product(matrices, BIASES, peepholes, projections):
        biases = {role: count * (blocks if role == "b1" else 1) for role, count in bias.items()}
        yield {**matrix, **biases, **peephole, **projection}


Places = dict[str, tuple[str, ...]]


def _assign(
    classes: Mapping[tuple[int, ...], Sequence[str]],
    roles: Mapping[tuple[int, ...], list[str]],
    template: Mapping[str, int],
) -> Iterator[Places]:
    """The names in each place, arrays of one shape together and in their order."""
    if not classes:
        if not any(template.values()):
            yield {}
        return
    (shape, names), *rest = classes.items()
    here = [role for role in roles[shape] if template.get(role)]
    for counts in product(*(range(template[role] + 1) for role in here)):
        if sum(counts) != len(names):
            continue
        left = {**template, **{role: template[role] - c for role, c in zip(here, counts, strict=True)}}
        taken = {role: c for role, c in zip(here, counts, strict=True) if c}
        for tail in _assign(dict(rest), roles, left):
            for head in _share(names, taken):
                yield {role: head.get(role, ()) + tail.get(role, ()) for role in {**head, **tail}}


def _share(names: Sequence[str], counts: Mapping[str, int]) -> Iterator[Places]:
    """Names of one shape shared among places: one after the other in any order, or by turns."""
    for order in permutations(counts):
        ends = np.cumsum([0, *(counts[role] for role in order)])
        yield {role: tuple(names[a:b]) for role, a, b in zip(order, ends, ends[1:], strict=False)}
    if len(counts) > 1 and len(set(counts.values())) == 1 and max(counts.values()) > 1:
        for order in permutations(counts):
            yield {role: tuple(names[i :: len(counts)]) for i, role in enumerate(order)}


def _lay(places: Places, shapes: Shapes, sizes: Sizes) -> Iterator[Layout]:
    """The layouts of one assignment: every way to lie that goes together."""
    roles = sorted(places, key=list(ROLES).index)
    for grouped in product(*(_grouped(role, places[role], sizes.blocks) for role in roles)):
        groups = [(role, names) for role, several in zip(roles, grouped, strict=True) for names in several]
        if any(len({shapes[name] for name in names}) > 1 for _, names in groups):
            continue
        choices = [list(_ways_to_lie(role, names, shapes[names[0]], sizes)) for role, names in groups]
        for parts in filter(_consistent, product(*choices)):
            joins = ("xh", "hx") if any(p.role in ("J", "j1") for p in parts) else ("",)
            yield from (Layout(parts, sizes.blocks, join) for join in joins)


def _ways_to_lie(role: str, names: tuple[str, ...], shape: tuple[int, ...], sizes: Sizes) -> Iterator[Part]:
    for flat, axes in ways(role, shape, sizes):
        yield Part(role, names, flat, axes)
        if role in ("W", "U") and axes == ("m", "gk") and sizes.k > 1:  # a block of one column has one order
            yield Part(role, names, flat, axes, reshaped=True)


def _grouped(role: str, names: tuple[str, ...], blocks: int) -> list[list[tuple[str, ...]]]:
    """The arrays of one place in parts: each bias is one; two biases of each gate come after each other or by turns."""
    if role == "b":
        return [[(name,) for name in names]]
    if role == "b1" and len(names) > blocks:
        return [[names[:blocks], names[blocks:]], [names[::2], names[1::2]]]
    return [[names]]


def _consistent(parts: tuple[Part, ...]) -> bool:
    """One writer: unit by unit everywhere or nowhere, reshaped both or none. Each matrix may be turned by itself."""
    axes = [axis for part in parts for axis in part.axes]
    units = any(axis in ("kg", "kp", "skg") for axis in axes)
    blocks = any(axis in ("gk", "pk", "sgk") for axis in axes)
    reshaped = {part.reshaped for part in parts if part.role in ("W", "U")}
    return not (units and blocks) and len(reshaped) < 2
