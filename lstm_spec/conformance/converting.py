"""`convert`: the recurrent layers of a source → the tensors of another dialect, proven before they are handed out.

The layer as it was read and the tensors as they would be read again are compiled, each from its own dialect's
equations, and run on the same random sequences; only what agrees goes out. What cannot be carried is listed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.conformance.adapting import Adapted, Loss, Part, adapt_layer
from lstm_spec.conformance.conversion import EXACT, Array, Conversion, Converted, Written
from lstm_spec.conformance.delivering import choose_delivery, deliver, suffixes_with_options
from lstm_spec.conformance.joining import Piece, join_pieces, unrepeat
from lstm_spec.conformance.numbers import HALVES, load_tensors
from lstm_spec.conformance.reading import choose_readings, load_reading
from lstm_spec.conformance.readings import Reading, Recognized, place
from lstm_spec.conformance.recognizing import recognize
from lstm_spec.conformance.sources import open_source, tensor_of
from lstm_spec.dialects import Dialect, get
from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import Weights

LOSSES = ("two-biases", "forget-bias", "options")
STEPS, BATCH, SEED = 7, 3, 0
# A mapping that adds biases in the weights' own dtype is off by that dtype's rounding of a pre-activation.
ROUNDED = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
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
    tensors; `allow` names the loss or losses that are agreed to ("two-biases", "forget-bias", "options");
    `holds_options` says that what is written has a place for options beside tensors, as an ONNX model has. `output`
    names the file that the result is written to, once it is proven; its suffix says the format.
    Raises OptionError when the target cannot compute the same, a loss is not allowed or the suffix does not fit,
    TensorError when the source does not conform or the two sides do not agree: nothing is handed out then.
    """
    target = get(to)
    allow = (allow,) if isinstance(allow, str) else allow
    _hold_allowed(allow)
    if output is not None:
        holds_options = choose_delivery(output, to).holds_options
    tensors = open_source(source)
    recognized = recognize(tensors, get(dialect) if dialect else None)
    converted: list[Converted] = []
    for piece in _pieces(recognized, at, tensors, layer):
        where = place(tensors, piece.where)
        adapted = _adapted(piece, target, where, holds_options)
        notes = dict.fromkeys((*piece.notes, *adapted.notes, *_doubts(piece.weights)))
        adapted = replace(adapted, notes=tuple(notes))
        adapted = adapted if holds_options else _without_options(adapted, target)
        _refuse_losses(adapted.losses, allow, where, target)
        prefix = "" if piece.where == tensors.origin else piece.where
        taken = {name for other in converted for name in other.tensors}
        written = tuple(_named(adapted.parts, prefix, target, taken))
        difference = _proven(piece, adapted, written, target, where)
        converted.append(Converted(piece.where, piece.dialect, piece.layer, written, adapted, difference))
    unread = tuple(finding for finding in recognized.findings if finding.code == "unread")
    conversion = Conversion(to, tuple(converted), *((recognized.other, unread) if at is None else ((), ())))
    if output is not None:
        deliver(conversion, output)
    return conversion


def _adapted(piece: Piece, to: Dialect, at: str, holds_options: bool) -> Adapted:
    """The layer as the target can write it. Raises OptionError, with the place, where it cannot."""
    try:
        return adapt_layer(piece.layer, piece.weights, to, holds_options)
    except OptionError as error:
        raise OptionError(replace(error.finding, at=error.finding.at or at)) from None


def _pieces(recognized: Recognized, at: str | None, tensors: Tensors, layer: Layer | None) -> Iterator[Piece]:
    """The layers that are asked for; one that was joined of several may be named too."""
    own = {reading.where for reading in recognized.readings}
    pieces = []
    for reading in choose_readings(recognized, at if at in own else None, tensors):
        found, weights = load_reading(reading, tensors)
        found = found if layer is None else found.with_(cell=layer.cell)
        said = reading.operator.attributes if reading.operator else {}
        notes = (*_widened(reading, weights, tensors), *_left_behind(reading, tensors))
        pieces.append(Piece(reading.where, reading.dialect.name, found, weights, said, notes))
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


def _left_behind(reading: Reading, tensors: Tensors) -> Iterator[str]:
    """A state that the source starts from is no weight, and no target has a place for it; zeros are no loss."""
    loaded = {name: tensors[name].load for name in reading.constants}
    if told := [name for name, load in loaded.items() if load is None or load().any()]:
        yield f"{', '.join(map(safe, told))}: the state it starts from, which stays behind"


def _doubts(weights: Weights) -> Iterator[str]:
    """What the proof cannot tell: NaN equals NaN in any order."""
    if strange := [name for name, array in weights.items() if not np.isfinite(array).all()]:
        yield f"{', '.join(strange)} holds NaN or infinity: the outputs that are compared prove little"


def _without_options(adapted: Adapted, to: Dialect) -> Adapted:
    """Options that the tensors alone do not say are a loss where only tensors are written."""
    said = to.said_outside(adapted.parts[0].layer)
    if not said:
        return adapted
    told = ", ".join(f"{name} = {value}" for name, value in said.items())
    suffixes = " or ".join(f"*{suffix}" for suffix in suffixes_with_options(to.name))
    words = f"{told}: {to.name} holds this beside its tensors, and only tensors are written"
    loss = Loss("options", words + (f"; a {suffixes} file holds both" if suffixes else ""))
    return Adapted(adapted.parts, (*adapted.losses, loss), adapted.notes)


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
            before = _prefix(to, distinct, set(packed) <= set(BASIC))
            named = {before + name: array for name, array in packed.items()}
            if not named.keys() & set(taken):
                break
            number += 1
        yield Written("/".join(distinct), part.index, part.layer, part.weights, named)


def _prefix(to: Dialect, words: list[str], is_basic: bool) -> str:
    """What stands before a tensor's name: where it stood, and what the dialect wants to see there."""
    separator = to.separator
    for wanted in PREFIXES:
        parts = [*words, *([wanted] if wanted else [])]
        before = separator.join(parts) + separator * bool(parts)
        if "basic" in wanted and not is_basic:
            continue
        if to.said is None or to.said.fullmatch(before):
            return before
    return separator.join(words) + separator * bool(words)


# ---- the proof ----


def _proven(piece: Piece, adapted: Adapted, written: Iterable[Written], to: Dialect, at: str) -> float:
    """The largest difference between the two sides. Raises TensorError when it is more than rounding."""
    moved_only = not adapted.losses or all(loss.name == "options" for loss in adapted.losses)
    layer, weights = piece.layer, piece.weights
    limit = EXACT if moved_only else ROUNDED[next(iter(weights.values())).dtype]
    x, state = _random_input(layer)
    plain = layer.with_(layout="time", output="sequence", merge="concat", realign=True)
    y, final = compile_layer(plain)(x, weights.astype("float64"), state)
    theirs, finals = _run_parts(x, state, layer, written, to)
    differences = [_largest(y, theirs), *(_largest(final[name], finals[name]) for name in final)]
    difference = float(np.max(differences, initial=0))
    if not difference <= limit:
        raise TensorError(
            Finding(
                "proof",
                f"the layer as {to.name} would read it computes something else",
                at,
                expected=f"a difference of at most {limit:.0e}",
                found=f"{difference:.1e}",
                help="nothing was written; if the weights are finite and not huge, please report this",
            )
        )
    return difference


def _random_input(layer: Layer) -> tuple[Array, dict[str, Array]]:
    generator = np.random.default_rng(SEED)
    (rows,) = layer.cell.inputs[0].size
    x = generator.standard_normal((STEPS, BATCH, int(layer.sizes[str(rows)])))
    shapes = layer.state_shapes().items()
    return x, {name: generator.uniform(-1, 1, (BATCH, int(shape[0]))) for name, shape in shapes}


def _run_parts(
    x: Array,
    state: Mapping[str, Array],
    layer: Layer,
    parts: Iterable[Written],
    to: Dialect,
) -> tuple[Array, dict[str, Array]]:
    """The target's layers on the same input, each read back from its tensors, stacked and joined as the source is."""
    outputs: dict[int, list[Array]] = {}
    finals: dict[str, Array] = {}
    members = list(layer.members)
    for part in parts:
        tensors = Tensors("converted", "arrays", _held(part.tensors))
        (reading,) = recognize(tensors, to).readings
        arrays = load_tensors(reading, tensors)
        assert not isinstance(arrays, str)  # they are plain arrays
        weights = to.unpack(arrays, part.layer)
        plain = part.layer.with_(layout="time", output="sequence", realign=True)
        own = members[: len(part.layer.members)]
        del members[: len(part.layer.members)]
        index = own[0].index
        below = x if index == 0 else np.concatenate(outputs[index - 1], axis=-1)
        pairs = list(zip(own, part.layer.members, strict=True))
        names = [s.name for s in layer.cell.states]
        given = {f"{new.prefix}.{s}": state[f"{old.prefix}.{s}"] for old, new in pairs for s in names}
        y, final = compile_layer(plain)(below, weights.astype("float64"), given)
        outputs.setdefault(own[-1].index, []).append(y)
        finals |= {f"{old.prefix}.{s}": final[f"{new.prefix}.{s}"] for old, new in pairs for s in names}
    return np.concatenate(outputs[layer.layers - 1], axis=-1), finals


def _held(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: tensor_of(name, array) for name, array in arrays.items()}


def _largest(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        differences = np.abs(ours - theirs) / np.maximum(1, np.abs(ours))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return float(np.max(np.where(same, 0, np.where(np.isnan(differences), np.inf, differences)), initial=0))
