"""What was identified, as a value: the convention, its error, what the data cannot tell, and what comes near."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.display import Displayed


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hypothesis, measured: the errors of c' and h', each max|ours - theirs| / max|theirs|."""

    hypothesis: Hypothesis
    of_c: float
    of_h: float

    @property
    def error(self) -> float:
        """The larger of the two."""
        return max(self.of_c, self.of_h)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.hypothesis.axes(),
            "error": _number(self.error),
            "c'": _number(self.of_c),
            "h'": _number(self.of_h),
        }


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A candidate that differs from the best in `change`, axis → (the best's choice, this one's), and fails."""

    candidate: Candidate
    change: Mapping[str, tuple[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        changes = {axis: {"instead of": mine, "is": theirs} for axis, (mine, theirs) in self.change.items()}
        measured = self.candidate
        return {"change": changes, **{n: v for n, v in measured.to_dict().items() if n in ("error", "c'", "h'")}}


@dataclass(frozen=True, slots=True)
class Doubt:
    """An axis on which several choices fit equally well, and why the data cannot tell them apart."""

    axis: str
    choices: tuple[str, ...]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"axis": self.axis, "choices": list(self.choices), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Namesake:
    """A dialect beside the best hypothesis: the axes on which it differs, (the best's choice, the dialect's).

    `named` says whether the arrays bear the dialect's names, `error` how far off the step is when they are believed.
    """

    dialect: str
    change: Mapping[str, tuple[str, str]]
    named: bool = False
    error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        changes = {axis: {"is": mine, "dialect": theirs} for axis, (mine, theirs) in self.change.items()}
        return {"dialect": self.dialect, "differs": changes, "names": self.named, "error": _number(self.error)}


@dataclass(frozen=True, slots=True)
class Identification(Displayed):
    """The result of `identify`: the best hypothesis, and whether it is the only one that fits.

    `doubts` are axes that the data cannot decide, `notes` what was settled without being seen, `near` the near misses,
    each one choice away, `dialects` the named ones from the nearest on, `unread` arrays that are in no place.
    """

    origin: str
    arrays: tuple[str, ...]
    sizes: Mapping[str, int]
    samples: int
    dtype: str
    tolerance: float
    best: Candidate
    doubts: tuple[Doubt, ...] = ()
    notes: tuple[str, ...] = ()
    near: tuple[NearMiss, ...] = ()
    dialects: tuple[Namesake, ...] = ()
    unread: tuple[str, ...] = ()
    tried: int = 0

    @property
    def fits(self) -> bool:
        """Whether the best hypothesis explains the step."""
        return self.best.error <= self.tolerance

    @property
    def ok(self) -> bool:
        """Whether one convention fits, and no other."""
        return self.fits and not self.doubts

    @property
    def match(self) -> Hypothesis | None:
        """The only convention that fits."""
        return self.best.hypothesis if self.ok else None

    @property
    def dialect(self) -> str | None:
        """A named dialect with this very convention; one whose names the arrays bear comes first."""
        return next((d.dialect for d in self.dialects if not d.change), None) if self.ok else None

    def __str__(self) -> str:
        from importlib import import_module

        text: str = import_module("lstm_spec.render.identification").tell_identification(self)
        return text

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "origin": self.origin,
            "identified": self.ok,
            "fits": self.fits,
            "arrays": list(self.arrays),
            "sizes": dict(self.sizes),
            "samples": self.samples,
            "dtype": self.dtype,
            "tolerance": self.tolerance,
            "best": self.best.to_dict(),
            "places": self.best.hypothesis.layout.places(),
            "doubts": [doubt.to_dict() for doubt in self.doubts],
            "notes": list(self.notes),
            "near misses": [miss.to_dict() for miss in self.near],
            "dialects": [one.to_dict() for one in self.dialects],
            "unread": list(self.unread),
            "tried": self.tried,
        }


def _number(error: float | None) -> float | None:
    """JSON has no infinity."""
    return error if error is not None and error < float("inf") else None
