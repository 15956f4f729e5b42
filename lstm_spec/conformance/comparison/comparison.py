"""The result of `compare`, as values: two cells beside each other, and all of them with what could not be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.conformance.comparison.extras import NO_EXTRAS, Extras
from lstm_spec.conformance.comparison.rounding import Parameter
from lstm_spec.conformance.recognition.loading import narrowest
from lstm_spec.conformance.recognition.readings import Turn
from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, safe
from lstm_spec.symbolic.cell import Cell


@dataclass(frozen=True, slots=True)
class Side:
    """One cell of a source: where it is, its dialect, and its numbers by our names, the biases of a gate in one.

    `layer` is its layer's name, empty where the source has none, and `index` its place in a stack; `called` is the name
    as both sources spell it. `turn` is its place in the order of the source, `listed` in the list of its layers.
    `extras` are what it does beside its equations. `dtype` is that of the file, the narrowest where there are several;
    `unreadable` says why there are no numbers.
    """

    where: str
    dialect: str
    cell: Cell
    reverse: bool
    sizes: tuple[tuple[str, Any], ...]
    parameters: Mapping[str, Parameter]
    dtype: str = "float32"
    unreadable: str = ""
    layer: str = ""
    called: str = ""
    index: int = 0
    turn: Turn | None = None
    listed: int = 0
    extras: Extras = NO_EXTRAS

    @property
    def name(self) -> tuple[str, int, bool]:
        """What two sources may both call a cell: its layer, and its place in it."""
        return self.called, self.index, self.reverse

    def fits(self, other: Side) -> bool:
        """Whether the other has the same parameters and sizes."""
        return self.sizes == other.sizes and self.cell.parameters == other.cell.parameters

    @property
    def label(self) -> str:
        """Its name for people: `encoder l0`, and `l0` where the layer has none."""
        return self.where if self.layer else f"l{self.index}{'.reverse' * self.reverse}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells held against each other; `second` is None where the other source has none left.

    `differences` are the largest |a - b| by parameter where that is not 0; `wrong` are those that differ by more than
    rounding; `words` say what differs beside numbers, and what the difference looks like. `by` says what put the two
    together: `order`, `name`, `size` where nothing else fits, else `numbers`.
    """

    first: Side | None
    second: Side | None
    differences: Mapping[str, float]
    words: tuple[str, ...]
    wrong: tuple[str, ...] = ()
    by: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether only one of the sources has this cell."""
        return self.first is None or self.second is None

    @property
    def unreadable(self) -> str:
        """Why the numbers of one side are not to be had; empty where they are."""
        return next((side.unreadable for side in (self.first, self.second) if side and side.unreadable), "")

    @property
    def verdict(self) -> str:
        """`equal to the bit`, `equal within 3e-08`, `differs by up to 0.41`, `only in the first`."""
        if self.is_alone:
            return f"only in the {'first' if self.second is None else 'second'}"
        if self.words and not self.wrong:
            return "another cell"
        if self.unreadable:
            return "the same sizes and equations; the numbers are not compared"
        if not self.differences:
            return "equal to the bit"
        return (
            f"equal within {self.largest:.1e}{self._rounded}" if self.same else f"differs by up to {self.largest:.1e}"
        )

    @property
    def _rounded(self) -> str:
        sides = [side for side in (self.first, self.second) if side]
        dtypes = {side.dtype for side in sides}
        return f", as {narrowest(dtypes)} rounds" if len(dtypes) > 1 else ""

    @property
    def strange(self) -> tuple[str, ...]:
        """The parameters of the first that hold NaN or infinity: where they are equal, both are equally broken."""
        parameters = self.first.parameters if self.first else {}
        return tuple(name for name, own in parameters.items() if not np.isfinite(own.array).all())

    @property
    def largest(self) -> float:
        """The largest difference that is more than rounding; where none is, of all."""
        return max((self.differences[name] for name in self.wrong or self.differences), default=0.0)

    @property
    def same(self) -> bool:
        """Whether both compute the same: nothing differs by more than rounding."""
        return not self.is_alone and not self.unreadable and not self.words and not self.wrong

    def lines(self) -> Iterator[str]:
        """For people: one line, and below it what differs."""
        sides = [f"{safe(side.where)} ({side.dialect})" for side in (self.first, self.second) if side]
        yield f"{' and '.join(sides)}: {self.verdict}"
        yield from (f"  {safe(words, None)}" for words in self.words)
        if self.unreadable and not self.is_alone:
            yield f"  {safe(self.unreadable, None)}"
        if self.same and self.strange:
            yield f"  both hold NaN or infinity in {', '.join(self.strange)}"
        if not self.same:
            yield from (f"  {name:<8} differs by up to {self.differences[name]:.1e}" for name in self.wrong)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: the difference between a number and none is None."""
        return {
            "first": self.first.where if self.first else None,
            "second": self.second.where if self.second else None,
            "paired_by": self.by or None,
            "same": self.same,
            "verdict": self.verdict,
            "words": [*self.words, *([self.unreadable] if self.unreadable else [])],
            "differences": {name: gap if np.isfinite(gap) else None for name, gap in self.differences.items()},
            "wrong": list(self.wrong),
            "strange": list(self.strange),
        }


@dataclass(frozen=True, slots=True)
class Comparison(Displayed):
    """Every cell of two sources; `ok` when each has its equal in its place and nothing recurrent was left out.

    `moved` says of equal cells that they stand where others should, by an order or by names that both sources have;
    `renamed` which cells were paired by their numbers alone, and which against their names; `unread` is what is
    recurrent and could not be compared, with the source that has it; `shared` tells that cells which only one source
    has do not count; `told` is what there is to say of a source's files.
    """

    first: str
    second: str
    pairs: tuple[Pair, ...]
    unread: tuple[tuple[str, Finding], ...] = ()
    shared: bool = False
    moved: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    told: tuple[tuple[str, Finding], ...] = ()

    @property
    def counted(self) -> tuple[Pair, ...]:
        """The pairs that decide."""
        return tuple(pair for pair in self.pairs if not (self.shared and pair.is_alone))

    @property
    def ok(self) -> bool:
        """Whether both are the same model, or with `shared` the same in what both have."""
        return bool(self.counted) and all(pair.same for pair in self.counted) and not self.unread and not self.moved

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for pair in self.pairs:
            yield from pair.lines()
        yield from (safe(sentence, None) for sentence in (*self.renamed, *self.moved))
        for side, finding in self.unread:
            yield f"not compared, in the {side}: {safe(finding.message, None)}"
        for side, finding in self.told:
            yield f"{finding.severity}, of the {side}: {safe(finding.message, None)}"
        yield self._conclusion()

    def _conclusion(self) -> str:
        equal, alone = sum(pair.same for pair in self.counted), sum(pair.is_alone for pair in self.pairs)
        counted = f"{equal} of {len(self.counted)} cells are equal"
        undecided = sum(bool(pair.unreadable) and not pair.words and not pair.is_alone for pair in self.counted)
        if equal + undecided < len(self.counted) or not self.counted:
            only_alone = equal > 0 and equal + undecided + alone == len(self.counted)
            return f"not the same: {counted}" + "; --shared leaves out what only one has" * only_alone
        if self.moved:
            return f"not the same: {counted}, but not in their places"
        if left := undecided + len(self.unread):
            return f"undecided: {counted}, and {left} {'was' if left == 1 else 'were'} not compared"
        if self.shared and alone:
            return f"the same in what both have: {counted}, {alone} left out"
        return f"the same: {counted}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "ok": self.ok,
            "shared": self.shared,
            "cells": [pair.to_dict() for pair in self.pairs],
            "moved": list(self.moved),
            "renamed": list(self.renamed),
            "unread": [{"in": side, **finding.to_dict()} for side, finding in self.unread],
            "told": [{"of": side, **finding.to_dict()} for side, finding in self.told],
        }
