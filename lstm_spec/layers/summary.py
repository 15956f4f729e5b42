"""A network → a row for each member: what it takes, what it gives, what it holds. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lstm_spec.layers.modules import Input
from lstm_spec.layers.network import Network
from lstm_spec.layers.placing import Placed
from lstm_spec.layers.signals import B, Shape, T, count_entries, json_size, read_length
from lstm_spec.symbolic.printing import tuple_text


@dataclass(frozen=True, slots=True)
class MemberShapes:
    """One member: `takes` is None for an input. `parameters` and `states` have full names; shared ones none."""

    name: str
    words: str
    takes: Shape | None
    gives: Shape
    parameters: dict[str, Shape]
    states: dict[str, Shape]
    options: dict[str, Any]

    @property
    def count(self) -> Any:
        """Its parameters, a factored polynomial."""
        return count_entries(self.parameters.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sizes are integers where they are numbers, else text."""
        return {
            "name": self.name,
            "module": self.options,
            "takes": None if self.takes is None else list(map(json_size, self.takes)),
            "gives": list(map(json_size, self.gives)),
            "parameters": {name: list(map(json_size, shape)) for name, shape in self.parameters.items()},
            "states": {name: list(map(json_size, (B, *shape))) for name, shape in self.states.items()},
            "count": _json_count(self.count),
        }


@dataclass(frozen=True, slots=True)
class NetworkShapes:
    """Every member of a network with its shapes, and the parameters of all."""

    network: Network
    members: tuple[MemberShapes, ...]
    count: Any

    def __getitem__(self, name: str) -> MemberShapes:
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)

    @property
    def answer(self) -> Shape:
        """The shape of what comes out."""
        return self.members[-1].gives

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the table."""
        return "member", "module", "takes", "gives", "parameters"

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Of the table, one a member."""
        return tuple(map(_row, self.members))

    def __str__(self) -> str:
        table = (self.headings, *self.rows)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return "\n".join([*lines, f"parameters {self.count}"])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "layout": self.network.layout,
            "members": [member.to_dict() for member in self.members],
            "answer": list(map(json_size, self.answer)),
            "parameters": _json_count(self.count),
        }


def _row(member: MemberShapes) -> tuple[str, ...]:
    takes = "" if member.takes is None else tuple_text(member.takes)
    count = str(member.count) if member.parameters else ""
    return member.name, member.words, takes, tuple_text(member.gives), count


def _json_count(count: Any) -> Any:
    return int(count) if count.is_Integer else str(count)


def describe_network(network: Network, batch: Any = None, time: Any = None) -> NetworkShapes:
    """Every member in its place, with numbers for B and T where they are given.

    Raises SizeError for a `batch` or `time` that is no whole number ≥ 0.
    """
    axes = {T: read_length(time, "time", T), B: read_length(batch, "batch", B)}
    return NetworkShapes(network, tuple(_members(network, axes)), network.parameter_count)


def _members(network: Network, axes: dict[Any, Any]) -> Iterator[MemberShapes]:
    def shown(signal: Any) -> Shape:
        return tuple(size.xreplace(axes) for size in signal.shape(network.layout))

    for placed in network.members:
        takes = None if isinstance(placed.module, Input) else shown(placed.takes)
        own = placed.parameters if placed.owner == placed.name else {}
        yield MemberShapes(
            placed.name, _words(placed), takes, shown(placed.gives), own, placed.states, placed.module.to_dict()
        )


def _words(placed: Placed) -> str:
    shared = f", the weights of {placed.owner}" if placed.owner != placed.name else ""
    return placed.module.words + shared
