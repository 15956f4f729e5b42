"""`check`: a real file or live layer held against what is derived → `Report`.

Recognize, solve the sizes, compare every shape, and where a framework is at hand its numbers too. Everything that was
found is in the report; nothing recurrent is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from lstm_spec.checkpoints.listing import list_models
from lstm_spec.conformance.identification.steps import Step, read_step
from lstm_spec.conformance.recognition.custom import read_custom
from lstm_spec.conformance.recognition.reading import no_layer
from lstm_spec.conformance.recognition.readings import Reading, assumptions, is_of_files, place
from lstm_spec.conformance.recognition.recognizing import OPERATORS, recognize
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.conformance.report import Agreement, FoundLayer, Report, Row, shape_text
from lstm_spec.conformance.verdict.arguments import Dtype, Shape, dtype_of, hold_arguments, hold_dtypes, shape_of
from lstm_spec.conformance.verdict.collecting import check_each
from lstm_spec.conformance.verdict.contract import Contract, hold_report, read_contract
from lstm_spec.conformance.verdict.dtypes import hold_parameter_dtypes
from lstm_spec.conformance.verdict.evidence import explain_engine, hold_step
from lstm_spec.conformance.verdict.lengths import hold_lengths
from lstm_spec.conformance.verdict.numbers import compare_numbers
from lstm_spec.dialects import DIALECTS, get
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.symbolic.cell import Cell

RUN_IT = "lstm-spec run computes it; compare its output with what was recorded"


def check(
    source: Any,
    x: Any = None,
    h: Any = None,
    c: Any = None,
    *,
    dialect: str | None = None,
    cell: Cell | Layer | None = None,
    numbers: bool = True,
    contract: str | Contract | None = None,
    step: Any = None,
    at: str | None = None,
) -> Report:
    """What a file, a dict of arrays or a live layer holds, held against the derivation; `ls.check`.

    A path may be a directory, a pattern (`models/*.onnx`) or a URL that fsspec reads; several files make one report.
    `x`, `h` and `c`, arrays or shapes, are held against the layer too, before a framework sees them: (T, B, n) or
    (B, T, n) as the layer is laid out, and (L·D, B, width); `at` names the one of several layers that they are for.
    `dialect` reads in that dialect only; `cell` is a cell of your own, whose tensors bear its names; `numbers` compares
    with the framework's forward pass where it is installed; `contract` is the text that `write_contract` wrote of
    another file, never its path, or what `read_contract` made of it; `step` is one recorded step, as `identify` takes
    it, that one of the layers must compute. Values are read for `numbers`, of a layer whose weights take at most 1 GB,
    for `step` and for `cell`; shapes need none.
    Raises FileError when the source cannot be read, TensorError when it holds no LSTM at all or the step is none,
    OptionError for an argument without a shape, for arguments that one of several layers would take and none is named,
    for a step beside a cell of your own, and for a contract that is no text.
    """
    arguments = {name: value for name, value in {"x": x, "h": h, "c": c}.items() if value is not None}
    given = {name: (shape_of(name, value), dtype_of(value)) for name, value in arguments.items()}
    if at is not None and not given:
        help = "check(layer, x, h, c, at=…); without them every layer is checked"
        raise OptionError(Finding("at", "at names the layer that x, h and c are for, and there are none", help=help))
    held = contract if contract is None or isinstance(contract, Contract) else read_contract(contract)
    if step is not None and cell is not None:
        raise OptionError(Finding("options", "a recorded step does not go with a cell of your own", help=RUN_IT))
    recorded = None if step is None else read_step(step)
    check_one = partial(_check, given=given, at=at, dialect=dialect, cell=cell, numbers=numbers, step=recorded)
    path = os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
    models = list_models(path) if path else None
    report = check_one(open_source(source)) if models is None else check_each(path, models, check_one)
    return report if held is None else replace(report, findings=tuple(hold_report(report, held)))


def _check(
    tensors: Tensors,
    given: dict[str, tuple[Shape, Dtype]],
    at: str | None,
    dialect: str | None,
    cell: Cell | Layer | None,
    numbers: bool,
    step: Step | None,
) -> Report:
    if cell is not None:
        return _check_custom(tensors, cell if isinstance(cell, Layer) else Layer(cell))
    recognized = recognize(tensors, get(dialect) if dialect else None)
    if not recognized.readings and all(map(is_of_files, recognized.findings)):
        raise no_layer(tensors, asked=dialect)
    layers: list[FoundLayer] = []
    findings = list(recognized.findings)
    for reading in recognized.readings:
        layer, more = _check_reading(reading, tensors, numbers)
        layers.append(layer)
        findings += more
    if given:
        findings += _hold_given(given, at, list(zip(recognized.readings, layers, strict=True)), tensors)
    if step is not None and (recognized.readings or not findings):
        sound = [(r, found.layer) for r, found in zip(recognized.readings, layers, strict=True) if _is_sound(r, found)]
        held, more = hold_step(step, sound, tensors)
        layers = [replace(found, recorded=held.get(found.where)) for found in layers]
        findings += more
    return Report(tensors.origin, tuple(layers), tuple(findings), recognized.other)


def _hold_given(
    given: dict[str, tuple[Shape, Dtype]], at: str | None, read: list[tuple[Reading, FoundLayer]], tensors: Tensors
) -> list[Finding]:
    """What is wrong with x, h and c for the layer that they are handed to, if its sizes are known."""
    if not read:
        return []
    reading, found = _taking(tuple(given), at, read, tensors)
    if found.layer.open_letters:
        return []
    where = place(tensors, reading.where)
    facts = DIALECTS.get(tensors.format, reading.dialect) if tensors.live is not None else reading.dialect
    shapes = {name: shape for name, (shape, _) in given.items()}
    dtypes = {name: dtype for name, (_, dtype) in given.items()}
    return [
        *hold_arguments(shapes, reading, found.layer, where, facts),
        *hold_dtypes(dtypes, reading, found.dtype, where),
    ]


def _taking(
    names: tuple[str, ...], at: str | None, read: list[tuple[Reading, FoundLayer]], tensors: Tensors
) -> tuple[Reading, FoundLayer]:
    """The layer of that name; without a name the only one, or the first where all take the same."""
    by_name = {reading.where: (reading, found) for reading, found in read}
    known = ", ".join(safe(name) for name in by_name)
    if at is not None and at not in by_name:
        raise OptionError(Finding("at", f"there is no layer {safe(at)}", safe(tensors.origin), known))
    takes = {(r.dialect.name, f.layer.given, f.layer.layers, f.layer.directions, f.layer.layout) for r, f in read}
    if at is None and len(takes) > 1:
        message = f"there are {len(read)} layers, and they do not take the same {', '.join(names)}"
        help = 'name the one that takes it: at="…"'
        raise OptionError(Finding("several", message, safe(tensors.origin), found=known, help=help))
    return read[0] if at is None else by_name[at]


def _is_sound(reading: Reading, found: FoundLayer) -> bool:
    """Whether the layer can be run: nothing is wrong with its options, and every tensor has its shape."""
    return not any(p.severity == "error" for p in reading.problems) and all(row.ok for row in found.tensors)


def _check_reading(reading: Reading, tensors: Tensors, numbers: bool) -> tuple[FoundLayer, list[Finding]]:
    solution = solve(reading, tensors)
    findings = [*solution.findings, *hold_lengths(reading, tensors), *hold_parameter_dtypes(reading, tensors)]
    agreement = None
    if numbers and not any(finding.severity == "error" for finding in (*reading.problems, *findings)):
        agreement = compare_numbers(reading, solution.layer, tensors)
        findings += [*_strange(agreement, reading, tensors), *_differing(agreement, reading, solution.layer, tensors)]
    assumed = assumptions(reading, solution.layer, tensors)
    dtype = _dtypes(reading.names.values(), tensors)
    found = FoundLayer(reading.where, solution.layer, reading.dialect.name, solution.rows, assumed, agreement, dtype)
    layout = solution.layer.layout if _says_layout(reading, tensors) else ""
    return replace(found, merge=_merge(reading, solution.layer), layout=layout), findings


def _says_layout(reading: Reading, tensors: Tensors) -> bool:
    """Whether a source says how x lies: a live layer, a node, a configuration; tensors do not."""
    if reading.operator is None or reading.operator.kind == "LSTM cell":
        return False
    said = {"batch_first", "time_major", "keras_version"} & set(reading.operator.attributes)
    return bool(said) or tensors.live is not None or tensors.format in OPERATORS


def _merge(reading: Reading, layer: Layer) -> str:
    """How two directions become one output, where that is said: Keras's configuration has a layer for each."""
    said = reading.operator.attributes if reading.operator else {}
    apart = str(said.get("merge_mode", "concat")) if "keras_version" in said else ""
    return layer.merge if layer.direction == "both" else apart


def _strange(agreement: Agreement, reading: Reading, tensors: Tensors) -> list[Finding]:
    """A warning where the numbers were loaded and some are none: the shapes conform, the model is broken."""
    if not agreement.strange:
        return []
    message = f"{', '.join(map(safe, agreement.strange))} holds NaN or infinity"
    because = "the shapes conform; what is computed from such numbers is none, or fixed, and was not compared"
    return [Finding("values", message, place(tensors, reading.where), because=because, severity="warning")]


def _differing(agreement: Agreement, reading: Reading, layer: Layer, tensors: Tensors) -> list[Finding]:
    if agreement.difference is None or agreement.difference <= agreement.tolerance:
        return []
    sentences = explain_engine(agreement.engine, reading, layer, tensors)
    return [
        Finding(
            "numbers",
            f"{safe(reading.where)} computes something else than {agreement.engine}",
            at=place(tensors, reading.where),
            expected=f"a difference of at most {agreement.tolerance:.0e}",
            found=f"{agreement.difference:.1e}",
            because="\n".join((f"read as {reading.dialect.name}: {reading.dialect.title}", *sentences)),
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
    found = FoundLayer(tensors.origin, solved, "lstm-spec", rows, dtype=_dtypes(weights, tensors))
    return Report(tensors.origin, (found,), ())


def _dtypes(names: Iterable[str], tensors: Tensors) -> str:
    """`float32`; each once where they mix."""
    return ", ".join(dict.fromkeys(tensors[name].dtype for name in names if name in tensors))
