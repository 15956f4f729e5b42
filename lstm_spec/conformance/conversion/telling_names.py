"""What the names of written tensors alone say, by reading them again: another dialect than they are in, or none.

A dialect whose names are those of another is only read when it is asked for, and that is to be told with the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lstm_spec.conformance.conversion.conversion import Written
from lstm_spec.conformance.conversion.proving import held
from lstm_spec.conformance.recognition.reading import load_reading
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.dialects import Dialect
from lstm_spec.errors import LstmSpecError
from lstm_spec.layers.tensors import Tensors


def told_by_names(written: Iterable[Written], to: Dialect) -> Iterator[str]:
    """A note where the tensors are read as another function, or not at all, unless the dialect is named."""
    parts = tuple(written)
    others = set()
    for part in parts:
        tensors = held(part.tensors)
        readings = recognize(tensors).readings
        if not readings:
            yield f"its names are not read unless --dialect {to.name} is given"
            return
        others |= {r.dialect.name for r in readings if r.dialect.name != to.name and not _is_same(r, part, tensors)}
    if others:
        yield f"its names are read as {', '.join(sorted(others))}'s unless --dialect {to.name} is given"


def _is_same(reading: Reading, part: Written, tensors: Tensors) -> bool:
    """Whether the other dialect reads the same function: Keras and tf.keras, PyTorch and tinygrad."""
    try:
        layer, weights = load_reading(reading, tensors)
    except LstmSpecError:
        return False
    if layer.cell != part.layer.cell or len(layer.members) != len(part.layer.members):
        return False
    return all(
        np.array_equal(weights[f"{read.prefix}.{name}"], part.weights[f"{own.prefix}.{name}"], equal_nan=True)
        for read, own in zip(layer.members, part.layer.members, strict=True)  # no tensor tells which way a cell reads
        for name in layer.cell.parameters
    )
