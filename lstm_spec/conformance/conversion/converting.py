"""`convert`: the recurrent layers of a source → the tensors of another dialect, proven before they are handed out.

The layer as it was read and the tensors as they would be read again are compiled, each from its own dialect's
equations, and run on the same random sequences; only what agrees goes out. What cannot be carried is listed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import replace
from typing import Any

import numpy as np

from lstm_spec.conformance.conversion.adapting import Adapted, Loss, Part, adapt_layer
from lstm_spec.conformance.conversion.beside import Beside, read_beside, tell_outside
from lstm_spec.conformance.conversion.conversion import Conversion, Converted, Written, cells_of_parts
from lstm_spec.conformance.conversion.delivering import choose_delivery, deliver, suffixes_with_options, told_of_order
from lstm_spec.conformance.conversion.joining import Piece, join_pieces, unrepeat
from lstm_spec.conformance.conversion.proving import prove
from lstm_spec.conformance.conversion.telling_names import told_by_names
from lstm_spec.conformance.conversion.unreadable import hold_readable
from lstm_spec.conformance.recognition.loading import HALVES
from lstm_spec.conformance.recognition.reading import choose_readings, load_reading
from lstm_spec.conformance.recognition.readings import (
    Reading,
    Recognized,
    assumptions,
    find_turns,
    is_of_files,
    place,
)
from lstm_spec.conformance.recognition.recognizing import recognize
from lstm_spec.conformance.recognition.sources import open_source
from lstm_spec.dialects import Dialect, get
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import Weights

LOSSES = ("two-biases", "forget-bias", "options", "merge", "initial-state", "lengths")
# What some dialects want to see before their names. A BasicLSTMCell has no peepholes and no projection.
PREFIXES = ("", "lstm", "rnn/basic_lstm_cell", "rnn/lstm_cell", "rnn/coupled_input_forget_gate_lstm_cell")
BASIC = ("kernel", "bias")


def convert(
    source: Any,
    to: str,
    *,
    at: str | None = None,
    dialect: str | None = None,
    layer: Layer | None = None,
    allow: str | Collection[str] = (),
    holds_options: bool = False,
    output: str | None = None,
) -> Conversion:
    """The recurrent layers of a file, a dict of arrays or a live layer as tensors of the dialect `to`; `ls.convert`.

    `at` names one of several layers; `dialect` reads in that dialect only; `layer` gives options that leave no trace in
    tensors; `allow` names the loss or losses that are agreed to ("two-biases", "forget-bias", "options", "merge",
    "initial-state", "lengths"); `holds_options` says that what is written has a place for options beside tensors, as an
    ONNX model has. `output` names the file that the result is written to, once it is proven; its suffix says the
    format.
    Raises OptionError when the target cannot compute the same, a loss is not allowed or the suffix does not fit,
    TensorError when the source does not conform or the two sides do not agree: nothing is handed out then.
    """
    target = get(to)
    allow = (allow,) if isinstance(allow, str) else allow
    _hold_allowed(allow)
    delivery = choose_delivery(output, to) if output is not None else None
    holds_options = delivery.holds_options if delivery else holds_options
    tensors = open_source(source)
    recognized = recognize(tensors, get(dialect) if dialect else None)
    converted: list[Converted] = []
    for piece in _pieces(recognized, at, tensors, layer, holds_options):
        where = place(tensors, piece.where)
        adapted = _adapted(piece, target, where, holds_options)
        _refuse_losses(adapted.losses, allow, where, target)
        prefix = "" if piece.where == tensors.origin else piece.where
        taken = {name for other in converted for name in other.tensors}
        written = tuple(_named(adapted.parts, prefix, target, taken))
        converted.append(_proven(piece, adapted, written, target, where, holds_options))
    if delivery and delivery.in_order and tensors.format == "hdf5":
        converted[:1] = [_with_notes(first, told_of_order(converted)) for first in converted[:1]]
    unread = tuple(finding for finding in recognized.findings if finding.code == "unread")
    told = tuple(filter(is_of_files, tensors.findings))
    left, unread = (recognized.other, unread) if at is None else ((), ())
    conversion = Conversion(to, tuple(converted), left, unread, told)
    if output is not None:
        deliver(conversion, output)
    return conversion


def _proven(
    piece: Piece, adapted: Adapted, written: tuple[Written, ...], to: Dialect, at: str, holds_options: bool
) -> Converted:
    """What is written, once it is proven; with what only operators hold, or with what names alone do not say."""
    if holds_options:
        written = tuple(_with_beside(piece, written))
    else:
        adapted = replace(adapted, notes=(*adapted.notes, *told_by_names(written, to)))
    difference = prove(piece, adapted, written, to, at)
    return Converted(piece.where, piece.dialect, piece.layer, written, adapted, difference, piece.half_of)


def _with_notes(converted: Converted, notes: Iterable[str]) -> Converted:
    adapted = converted.adapted
    return replace(converted, adapted=replace(adapted, notes=(*adapted.notes, *notes)))


def _adapted(piece: Piece, to: Dialect, at: str, holds_options: bool) -> Adapted:
    """The layer as the target can write it, with all that is lost and to be told.

    Raises OptionError, with the place, where it cannot.
    """
    try:  # of a half it is told below whose it is, and how it reads
        whole = holds_options or bool(piece.half_of)
        adapted = adapt_layer(piece.layer, piece.weights, to, whole, get(piece.dialect).always)
    except OptionError as error:
        raise OptionError(replace(error.finding, at=error.finding.at or at)) from None
    losses = [*adapted.losses, *piece.losses]
    suffixes = " or ".join(f"*{suffix}" for suffix in suffixes_with_options(to.name))
    if not holds_options:
        losses += _options_lost(adapted, to, f"; a {suffixes} file holds both" if suffixes else "")
    holds = f"; a {suffixes} file does" if suffixes else ""
    losses += piece.beside.losses(to.name, None if holds_options else holds)
    notes = dict.fromkeys((*piece.notes, *adapted.notes, *_doubts(piece.weights)))
    return Adapted(adapted.parts, tuple(losses), tuple(notes))


def _with_beside(piece: Piece, written: Iterable[Written]) -> Iterator[Written]:
    """Each part with the states that its cells begin with, under its own names."""
    for part, pairs in cells_of_parts(piece.layer, written):
        state = {
            f"{new.prefix}.{name.rpartition('.')[2]}": array
            for old, new in pairs
            for name, array in piece.beside.state.items()
            if name.rpartition(".")[0] == old.prefix
        }
        yield replace(part, beside=Beside(state, piece.beside.lengths))


def _pieces(
    recognized: Recognized, at: str | None, tensors: Tensors, layer: Layer | None, holds_options: bool
) -> Iterator[Piece]:
    """The layers that are asked for; one that was joined of several may be named too."""
    own = {reading.where for reading in recognized.readings}
    turns = find_turns(recognized.readings, tensors)
    pieces = []
    for reading in choose_readings(recognized, at if at in own else None, tensors):
        hold_readable(reading, tensors)
        found, weights = load_reading(reading, tensors)
        found = found if layer is None else found.with_(cell=layer.cell)
        said = reading.operator.attributes if reading.operator else {}
        assumed = () if layer else assumptions(reading, found, tensors)
        told = (*_widened(reading, weights, tensors), *tell_outside(reading.operator, found, holds_options))
        notes = (*(f"assumed {text}" for text in assumed), *told)
        beside = read_beside(reading, found, tensors, next(iter(weights.values())).dtype)
        turn = turns.get(reading.where)
        pieces.append(Piece(reading.where, reading.dialect.name, found, weights, said, notes, beside=beside, turn=turn))
    joined = join_pieces(pieces, tensors.origin)
    if at is None or at in own:
        yield from joined
    elif chosen := [piece for piece in joined if piece.where == at]:
        yield from chosen
    else:
        choose_readings(recognized, at, tensors)


def _widened(reading: Reading, weights: Weights, tensors: Tensors) -> tuple[str, ...]:
    """The note that halves do not stay halves."""
    half = sorted(HALVES & {tensors[name].dtype for name in reading.names.values()})
    wide = next(iter(weights.values())).dtype
    return (f"{', '.join(half)} is written as {wide}, which holds it exactly",) if half else ()


def _doubts(weights: Weights) -> Iterator[str]:
    """What the proof cannot tell: NaN equals NaN in any order."""
    if strange := [name for name, array in weights.items() if not np.isfinite(array).all()]:
        yield f"{', '.join(strange)} holds NaN or infinity: the outputs that are compared prove little"


def _options_lost(adapted: Adapted, to: Dialect, holds: str) -> Iterator[Loss]:
    """Options that the tensors alone do not say are a loss where only tensors are written."""
    if said := to.said_outside(adapted.parts[0].layer):
        told = ", ".join(f"{name} = {value}" for name, value in said.items())
        yield Loss("options", f"{told}: {to.name} holds this beside its tensors, and only tensors are written{holds}")


def _hold_allowed(allow: Collection[str]) -> None:
    """Raises OptionError for a loss that there is not: a word mistyped allows nothing."""
    if unknown := [name for name in allow if name not in LOSSES]:
        message = f"no loss is called {', '.join(safe(name, 40) for name in unknown)}"
        raise OptionError(Finding("allow", message, expected=", ".join(LOSSES)))


def _refuse_losses(losses: Iterable[Loss], allow: Collection[str], at: str, to: Dialect) -> None:
    refused = [loss for loss in losses if loss.name not in allow]
    if refused:
        words = "\n".join(loss.words for loss in refused)
        help = " ".join(f"--allow {name}" for name in dict.fromkeys(loss.name for loss in refused))
        message = f"{to.name} cannot hold all of this layer as it is"
        raise OptionError(Finding("loss", message, at, because=words, help=f"{help}, if that is agreed"))


def _named(parts: Iterable[Part], prefix: str, to: Dialect, taken: Collection[str]) -> Iterator[Written]:
    """Each part's tensors under full names, by the part's own prefix; names that the dialect itself recognizes."""
    for part in parts:
        packed = to.pack(part.weights, part.layer)
        words = [word for word in (*re.split("[/.]", unrepeat(prefix)), part.prefix) if word]
        number = 1
        while True:
            distinct = words if number == 1 else [*words[:-1], f"{''.join(words[-1:])}_{number}"]
            before = _prefix(to, distinct, set(packed))
            named = {before + name: array for name, array in packed.items()}
            if not named.keys() & set(taken):
                break
            number += 1
        yield Written("/".join(distinct), part.index, part.layer, part.weights, named)


def _prefix(to: Dialect, words: list[str], names: Set[str]) -> str:
    """What stands before tensors' names: where they stood, and what the dialect wants to see there."""
    separator = to.separator
    for wanted in PREFIXES:
        parts = [*words, *([wanted] if wanted else [])]
        before = separator.join(parts) + separator * bool(parts)
        if "basic" in wanted and not names <= set(BASIC):
            continue
        is_said = to.said is None or to.said.fullmatch(before)
        if is_said and all(to.pattern.fullmatch(before + name) for name in names):
            return before
    return separator.join(words) + separator * bool(words)
