"""What a conversion gives, as values: the layers of the target as they are written, what is lost, what stays behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_spec.conformance.conversion.adapting import Adapted, Loss
from lstm_spec.conformance.conversion.beside import NOTHING, Beside
from lstm_spec.errors import Finding
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import Weights

Array = np.ndarray[Any, Any]

# Both sides of a proof run in float64. A mapping that only moves numbers agrees to rounding, which no two processors
# do alike: how little it is says nothing.
EXACT = 1e-12


@dataclass(frozen=True, slots=True)
class Written:
    """One layer of the target as it is written: its place (`encoder/l0`), its number in the stack, its full names.

    `beside` is what is written with it that is no weight.
    """

    place: str
    index: int
    layer: Layer
    weights: Weights
    tensors: Mapping[str, Array]
    beside: Beside = NOTHING


@dataclass(frozen=True, slots=True)
class Converted:
    """One layer under the target's names: where it stood, as it was read, what is written, and how well both agree.

    `half_of` is the place of the layer whose one direction it is, where the two are no one layer here.
    """

    where: str
    source: str
    layer: Layer
    written: tuple[Written, ...]
    adapted: Adapted
    difference: float
    half_of: str = ""

    @property
    def agreement(self) -> str:
        """How well both sides agree: `the same to rounding`, `the same within 6.0e-08`."""
        return "the same " + ("to rounding" if self.difference <= EXACT else f"within {self.difference:.1e}")

    @property
    def tensors(self) -> dict[str, Array]:
        """Its tensors under the target's names."""
        return {name: array for part in self.written for name, array in part.tensors.items()}


@dataclass(frozen=True, slots=True)
class Conversion:
    """The result of a conversion: every layer, and the tensors of the source that are in none and stay behind.

    `unread` is what is recurrent and stays behind too, for it could not be read; `told` is what there is to say of the
    source's files.
    """

    to: str
    layers: tuple[Converted, ...]
    left: tuple[str, ...]
    unread: tuple[Finding, ...] = ()
    told: tuple[Finding, ...] = ()

    @property
    def tensors(self) -> dict[str, Array]:
        """All tensors under the target's names."""
        return {name: array for converted in self.layers for name, array in converted.tensors.items()}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was lost and allowed, each once."""
        return tuple(dict.fromkeys(loss for converted in self.layers for loss in converted.adapted.losses))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "to": self.to,
            "layers": [
                {
                    "where": c.where,
                    "from": c.source,
                    "tensors": {name: list(array.shape) for name, array in c.tensors.items()},
                    "lost": [{"name": loss.name, "words": loss.words} for loss in c.adapted.losses],
                    "notes": list(c.adapted.notes),
                    "difference": c.difference,
                }
                for c in self.layers
            ],
            "left": list(self.left),
            "unread": [finding.to_dict() for finding in self.unread],
            "told": [finding.to_dict() for finding in self.told],
        }


def cells_of_parts(layer: Layer, parts: Iterable[Written]) -> Iterator[tuple[Written, list[tuple[Member, Member]]]]:
    """Each part with its cells: as the source's layer has them, and as the part itself has."""
    members = list(layer.members)
    for part in parts:
        own, members = members[: len(part.layer.members)], members[len(part.layer.members) :]
        yield part, list(zip(own, part.layer.members, strict=True))
