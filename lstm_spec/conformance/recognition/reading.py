"""`read`: one recurrent layer out of a file or live object, as a `Layer` and `Weights` that compiled code takes."""

from __future__ import annotations

from typing import Any

from lstm_spec.conformance.recognition.custom import read_custom
from lstm_spec.conformance.recognition.loading import load_tensors
from lstm_spec.conformance.recognition.readings import Reading, Recognized, place
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.dialects import get
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import Weights


def read(
    source: Any, at: str | None = None, dialect: str | None = None, layer: Layer | None = None
) -> tuple[Layer, Weights]:
    """The layer that a file, a dict of arrays or a live layer holds, with its weights; `ls.read`.

    `at` names one of several layers; `dialect` reads in that dialect only; `layer`, with sizes open or not, says what
    the tensors of a cell of your own are. Raises FileError when the source cannot be read, TensorError when it holds
    no LSTM, holds several and none is named, or does not conform.
    """
    tensors = open_source(source)
    if layer is not None:
        return read_custom(tensors, layer)
    recognized = recognize(tensors, get(dialect) if dialect else None)
    return load_reading(_chosen(recognized, at, tensors), tensors)


def load_reading(reading: Reading, tensors: Tensors) -> tuple[Layer, Weights]:
    """A reading with its sizes solved and its weights. Raises TensorError when it does not conform."""
    layer = solve_reading(reading, tensors)
    arrays = load_tensors(reading, tensors)
    if isinstance(arrays, str):
        raise TensorError(Finding("dtype", arrays, at=place(tensors, reading.where)))
    return layer, reading.dialect.unpack(arrays, layer)


def solve_reading(reading: Reading, tensors: Tensors) -> Layer:
    """The layer of a reading, its sizes solved. Raises TensorError when it does not conform."""
    solution = solve(reading, tensors)
    errors = [f for f in (*reading.problems, *solution.findings) if f.severity == "error"]
    if errors:
        raise TensorError(errors[0])
    return solution.layer


def choose_readings(recognized: Recognized, at: str | None, tensors: Tensors) -> tuple[Reading, ...]:
    """The reading of that name, or all. Raises TensorError when there is none, or one cannot be trusted.

    What is recurrent, unread and elsewhere stops nothing here: the caller tells of it.
    """
    if at is not None or not recognized.readings:
        return (_chosen(recognized, at, tensors),)
    errors = [finding for finding in recognized.findings if finding.severity == "error"]
    if errors := [finding for finding in errors if not _is_elsewhere(finding, recognized, tensors)]:
        raise TensorError(errors[0])
    return recognized.readings


def _is_elsewhere(finding: Finding, recognized: Recognized, tensors: Tensors) -> bool:
    """Whether it tells of another layer; an unread tensor at or below a reading's place may change its equations."""
    places = [place(tensors, reading.where) for reading in recognized.readings]
    below = tuple(where + separator for where in places for separator in "./")
    return finding.code == "unread" and finding.at not in places and not finding.at.startswith(below)


def _chosen(recognized: Recognized, at: str | None, tensors: Tensors) -> Reading:
    readings = {r.where: r for r in recognized.readings}
    names = ", ".join(safe(name) for name in readings)
    if not readings:
        raise no_layer(tensors, recognized)
    if at is not None and at not in readings:
        raise TensorError(Finding("at", f"there is no layer {safe(at)}", safe(tensors.origin), names))
    if at is None and len(recognized.readings) > 1:
        raise TensorError(
            Finding(
                "several",
                f"there are {len(recognized.readings)} layers, and they are no stack",
                at=safe(tensors.origin),
                found=names,
                help='name one: at="…", or --at on the command line',
            )
        )
    return readings[at] if at is not None else recognized.readings[0]


def no_layer(tensors: Tensors, recognized: Recognized | None = None, asked: str | None = None) -> TensorError:
    """The error for a source without an LSTM that can be read; `asked` is the dialect that alone was tried."""
    errors = [f for f in recognized.findings if f.severity == "error"] if recognized else []
    if errors:
        return TensorError(errors[0])
    names = ", ".join(safe(name, 60) for name in list(tensors)[:5])
    more = f" and {len(tensors) - 5} more" if len(tensors) > 5 else ""
    return TensorError(
        Finding(
            "no-lstm",
            "there is no LSTM here",
            at=safe(tensors.origin),
            expected="names such as weight_ih_l0, recurrent_kernel or l0.W_f, or an ONNX operator LSTM",
            found=f"{len(tensors)} tensor{'s' * (len(tensors) != 1)}: {names}{more}"
            if tensors
            else "no tensors at all",
            help=_unasked(tensors, asked) if asked else "",
        )
    )


def _unasked(tensors: Tensors, asked: str) -> str:
    """What the tensors are in another dialect than the one that was asked for."""
    others = dict.fromkeys(reading.dialect.name for reading in recognize(tensors).readings)
    return f"they are no tensors of {asked}; unasked, they are read as {', '.join(others)}" if others else ""
