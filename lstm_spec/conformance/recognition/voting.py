"""The shapes of a reading → what each axis asks each letter to be, and who asks: the votes on its sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sympy import Integer

from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.report import shape_text
from lstm_spec.layers.sizes import LARGEST, symbols

HIDDEN_SIZES = ("hidden_size", "units")


@dataclass(frozen=True, slots=True)
class Expected:
    """One tensor's derived shape in letters, and the found one, if it is in the source; `turned`, as it would vote."""

    name: str
    sizes: tuple[Any, ...]
    found: tuple[int, ...] | None
    turned: bool = False

    @property
    def symbolic(self) -> str:
        """`(4*k, n)`."""
        return shape_text(self.sizes)

    @property
    def voter(self) -> str:
        """Whose votes its axes are."""
        return f"{self.name} transposed" if self.turned else self.name


@dataclass(slots=True)
class Votes:
    """For each letter, the values that the axes ask for, and who asks."""

    by_letter: dict[str, dict[int, list[str]]] = field(default_factory=dict)

    def add(self, letter: str, value: int, voter: str) -> None:
        """One axis' vote."""
        self.by_letter.setdefault(letter, {}).setdefault(value, []).append(voter)

    def winners(self, letter: str, without: str = "") -> list[int]:
        """The values with the most votes: one, or several in a tie; `without` the votes of one."""
        asked = self.by_letter.get(letter, {}).items()
        counts = {value: len(voters) - (voters.count(without) if without else 0) for value, voters in asked}
        most = max(counts.values(), default=0)
        return sorted(value for value, count in counts.items() if count == most > 0)


def count_votes(expected: list[Expected], reading: Reading) -> Votes:
    """The votes of all axes, and of the hidden size that an operator says; a turned tensor's where no other has any."""
    votes = Votes()
    for one in sorted(expected, key=lambda one: one.turned):
        if one.found is None or len(one.found) != len(one.sizes):
            continue
        settled = set(votes.by_letter) if one.turned else set()
        for size, length in zip(one.sizes, one.found, strict=True):
            letter, factor = linear_of(size)
            if letter and letter not in settled and length % factor == 0 and 1 <= length // factor <= LARGEST:
                votes.add(letter, length // factor, one.voter)
    _count_sums(expected, votes)
    for name, hidden in said_sizes(reading):
        if isinstance(hidden, int) and not isinstance(hidden, bool) and 1 <= hidden <= LARGEST:
            votes.add("k", hidden, name)
    return votes


def _count_sums(expected: list[Expected], votes: Votes) -> None:
    """An axis of n + k votes for n once the other axes have settled k."""
    winners = {letter: votes.winners(letter) for letter in votes.by_letter}
    known = symbols({letter: Integer(values[0]) for letter, values in winners.items() if len(values) == 1})
    for one in expected:
        if one.found is None or len(one.found) != len(one.sizes):
            continue
        for size, length in zip(one.sizes, one.found, strict=True):
            left = length - size.xreplace(known)
            if size.is_Add and len(left.free_symbols) == 1:
                (letter,) = left.free_symbols
                value = letter - left / left.coeff(letter)
                if value.is_Integer and 1 <= value <= LARGEST:
                    votes.add(str(letter), int(value), one.voter)


def linear_of(size: Any) -> tuple[str, int]:
    """`4*k` as ("k", 4); ("", 1) for a number or a sum."""
    factor, symbol = size.as_coeff_Mul()
    return (str(symbol), int(factor)) if symbol.is_Symbol else ("", 1)


def said_sizes(reading: Reading) -> Iterator[tuple[str, Any]]:
    """The hidden size as the operator calls it: `hidden_size` (ONNX, PyTorch), `units` (Keras)."""
    attributes = reading.operator.attributes if reading.operator else {}
    yield from ((name, attributes[name]) for name in HIDDEN_SIZES if attributes.get(name) is not None)
