"""A reading, as a value: some tensors taken for one recurrent layer, its sizes still open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lstm_spec.dialects import Dialect
from lstm_spec.errors import Finding
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Operator


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read some tensors: the layer with open sizes, and for each of the dialect's names the source's.

    `constants` are further tensors with a known shape in letters, such as a constant initial state. `is_expressed` is
    False where the source has an option that the layer lacks: its shapes can be held against it, its numbers cannot.
    """

    where: str
    dialect: Dialect
    layer: Layer
    names: Mapping[str, str]
    operator: Operator | None = None
    constants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_expressed: bool = True


@dataclass(frozen=True, slots=True)
class Recognized:
    """Every reading, what was not read, and the tensors that are in no recurrent layer."""

    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    other: tuple[str, ...]
