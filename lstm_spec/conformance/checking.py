"""`check`: a real file or live layer held against what is derived → `Report`.

Recognize, solve the sizes, compare every shape, and where a framework is at hand its numbers too. Everything that was
found is in the report; nothing recurrent is passed over.
"""

from __future__ import annotations

from typing import Any

from lstm_spec.conformance.custom import read_custom
from lstm_spec.conformance.numbers import compare_numbers
from lstm_spec.conformance.reading import no_layer
from lstm_spec.conformance.readings import Reading, place
from lstm_spec.conformance.recognizing import recognize
from lstm_spec.conformance.report import Agreement, FoundLayer, Report, Row, shape_text
from lstm_spec.conformance.solving import solve
from lstm_spec.conformance.sources import open_source
from lstm_spec.dialects import get
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.symbolic.cell import Cell


def check(source: Any, *, dialect: str | None = None, cell: Cell | Layer | None = None, numbers: bool = True) -> Report:
    """What a file, a dict of arrays or a live layer holds, held against the derivation; `ls.check`.

    `dialect` reads in that dialect only; `cell` is a cell of your own, whose tensors bear its names; `numbers` compares
    with the framework's forward pass where it is installed. Raises FileError when the source cannot be read,
    TensorError when it holds no LSTM at all.
    """
    tensors = open_source(source)
    if cell is not None:
        return _check_custom(tensors, cell if isinstance(cell, Layer) else Layer(cell))
    recognized = recognize(tensors, get(dialect) if dialect else None)
    if not recognized.readings and not recognized.findings:
        raise no_layer(tensors)
    layers: list[FoundLayer] = []
    findings = list(recognized.findings)
    for reading in recognized.readings:
        layer, more = _check_reading(reading, tensors, numbers)
        layers.append(layer)
        findings += more
    return Report(tensors.origin, tuple(layers), tuple(findings), recognized.other)


def _check_reading(reading: Reading, tensors: Tensors, numbers: bool) -> tuple[FoundLayer, list[Finding]]:
    solution = solve(reading, tensors)
    findings = list(solution.findings)
    agreement = None
    if numbers and not any(p.severity == "error" for p in reading.problems) and not findings:
        agreement = compare_numbers(reading, solution.layer, tensors)
        findings += _differing(agreement, reading, tensors)
    assumed = _assumed(reading, solution.layer, tensors)
    found = FoundLayer(reading.where, solution.layer, reading.dialect.name, solution.rows, assumed, agreement)
    return found, findings


def _assumed(reading: Reading, layer: Layer, tensors: Tensors) -> tuple[str, ...]:
    """The options that nobody said. An ONNX node that does not say one has the default of the operator's definition."""
    if reading.operator and tensors.format == "onnx":
        return ()
    said = reading.operator.attributes if reading.operator else {}
    return tuple(text for text in reading.dialect.assumptions(layer) if text.partition(" = ")[0] not in said)


def _differing(agreement: Agreement, reading: Reading, tensors: Tensors) -> list[Finding]:
    if agreement.difference is None or agreement.difference <= agreement.tolerance:
        return []
    return [
        Finding(
            "numbers",
            f"{safe(reading.where)} computes something else than {agreement.engine}",
            at=place(tensors, reading.where),
            expected=f"a difference of at most {agreement.tolerance:.0e}",
            found=f"{agreement.difference:.1e}",
            because=f"read as {reading.dialect.name}: {reading.dialect.title}",
        )
    ]


def _check_custom(tensors: Tensors, layer: Layer) -> Report:
    """A cell of one's own: its tensors are read by its names; what does not fit is the one finding."""
    solved, weights = read_custom(tensors, layer)
    shapes = solved.parameter_shapes()
    lettered = Layer(solved.cell, layers=solved.layers, direction=solved.direction).parameter_shapes()
    rows = tuple(
        Row(name, shape_text(lettered[name]), tuple(map(int, shapes[name])), weights[name].shape) for name in weights
    )
    found = FoundLayer(tensors.origin, solved, "lstm-spec", rows)
    return Report(tensors.origin, (found,), ())
