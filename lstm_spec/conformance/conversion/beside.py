"""What an operator computes beside its layer: from which states it begins, where a sample ends, how x lies.

Its tensors say nothing of it under another framework's names. A constant that changes numbers is carried where the
target has a place for it, and is a loss elsewhere; what comes from outside of the operator is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_spec.conformance.conversion.adapting import Loss
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.errors import safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Operator, Tensors
from lstm_spec.phrases import begun

Array = np.ndarray[Any, Any]
STATES = {"initial_h": "h", "initial_c": "c"}
LENGTHS = "sequence_lens"
MOST_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Beside:
    """Constant states that are not all zeros, by their names in the layer, each (B, k); constant lengths (B,).

    `starts` are words for what is a state too, for any number of samples: no target takes them.
    """

    state: Mapping[str, Array] = field(default_factory=dict)
    lengths: Array | None = None
    starts: tuple[str, ...] = ()

    def ends_as(self, other: Beside) -> bool:
        """Whether the samples of both are of the same lengths."""
        if self.lengths is None or other.lengths is None:
            return self.lengths is other.lengths
        return np.array_equal(self.lengths, other.lengths)

    def losses(self, to: str, holds: str | None) -> Iterator[Loss]:
        """What a target loses; `holds` says which file has a place for constants of an operator, None that this has."""
        if self.starts:
            words = f"{', '.join(self.starts)}: the state that the source starts from, which {to} has no place for"
            yield Loss("initial-state", words)
        if holds is None:
            return
        if self.state:
            names = " and ".join(dict.fromkeys(name.rpartition(".")[2] for name in self.state))
            are = "are" if " " in names else "is"
            words = f"the initial {names} {are} constant and not zero, which no tensor of {to} says"
            yield Loss("initial-state", words + holds)
        if self.lengths is not None:
            shown = begun(self.lengths.tolist(), MOST_SHOWN)
            words = f"every sample ends after its own number of steps ({shown}), which no tensor of {to} says"
            yield Loss("lengths", words + holds)


NOTHING = Beside()


def read_beside(reading: Reading, layer: Layer, tensors: Tensors, dtype: Any) -> Beside:
    """What a layer starts from, and an operator's constants beside its weights, in their dtype; zeros are none."""
    operator = reading.operator
    roles = operator.tensors if operator else {}
    named = [name for name in reading.constants if name not in roles.values()]
    starts = tuple(safe(name, 60) for name in named if _values(name, tensors).any())
    if operator is None:
        return Beside(starts=starts)
    starts += tuple(f"{role} ({operator.reasons[role]})" for role in _spread(operator))
    given = {role: _values(roles[role], tensors) for role in STATES if role in roles}
    state: dict[str, Array] = {}
    for role, array in given.items():
        if array.any():
            cells = array.swapaxes(0, 1) if layer.layout == "batch" else array
            own = zip(layer.members, cells, strict=True)
            state |= {f"{member.prefix}.{STATES[role]}": cell.astype(dtype) for member, cell in own}
    return Beside(state, _lengths(operator, layer, tensors), starts)


def _lengths(operator: Operator, layer: Layer, tensors: Tensors) -> Array | None:
    """None where there are none, or where every sample is as long as x is declared to be."""
    if LENGTHS not in operator.tensors:
        return None
    lengths = _values(operator.tensors[LENGTHS], tensors)
    declared = operator.declared.get("X")
    steps = declared[1 if layer.layout == "batch" else 0] if declared else None
    return None if (lengths == steps).all() else lengths


def _values(name: str, tensors: Tensors) -> Array:
    load = tensors[name].load
    assert load is not None  # `hold_readable` has seen to it
    return load()


def _spread(operator: Operator) -> list[str]:
    """The states that are spread from constants over any number of samples: no constants, and with a reason."""
    return [role for role in STATES if role in operator.absent and role in operator.reasons]


def tell_outside(operator: Operator | None, layer: Layer, holds_options: bool) -> Iterator[str]:
    """Notes of what comes from outside of an operator, and of how x lies where a model of operators is written."""
    absent = operator.absent if operator else ()
    spread = _spread(operator) if operator else []
    if states := [role for role in STATES if role in absent and role not in spread]:
        verb = "comes" if len(states) == 1 else "come"
        yield f"{', '.join(states)} {verb} from outside: what is written begins with zeros unless it is given others"
    if LENGTHS in absent:
        yield f"{LENGTHS} comes from outside: what is written runs every sample to its end unless it is given lengths"
    if holds_options and layer.layout == "batch":
        yield "the source takes x as (B, T, n): what is written takes X (T, B, n)"
