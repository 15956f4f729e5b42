"""Arrays whose names say nothing: every reading that their shapes allow.

Shapes tell sizes, orientation and the number of biases, never the order of the gates; so a reading by shape alone is
`ambiguous` unless the dialect is given, and even then where two tensors could change places. A GRU's shapes are told
beside an LSTM's: 3k rows may divide by 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations, permutations

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.dialects import DIALECTS, Dialect
from lstm_spec.dialects.tf1 import TF1_COUPLED
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import Layout
from lstm_spec.layers.tensors import Tensors

MOST_ARRAYS = 5  # past it, the orders to try explode
LONGEST_SHOWN = 30  # of a name
# Whose arrays reach people without names; nearly every other dialect that packs into so few has the shapes of one of
# these, and would only be one more line of the same reading.
TRIED = ("pytorch", "keras", "onnx", "tf1", "flax", "flax-nnx", "flax-nnx-optimized", "haiku", "equinox", "mlx")

ASK = "name the dialect (--dialect), or the tensors"
NAME = "name the tensors as the dialect does"


def readings_by_shape(tensors: Tensors, dialect: Dialect | None = None) -> tuple[list[Reading], Finding | None]:
    """The one reading of a few unnamed arrays in the dialect given; or the finding `ambiguous`; or neither."""
    found = list(_each_once(_readings(tensors, [dialect] if dialect else [DIALECTS[name] for name in TRIED])))
    if dialect is not None and len(found) == 1:
        return found, None
    grus = [] if dialect else list(_grus(tensors))
    if not found:
        return [], _is_gru(grus, tensors) if grus else None
    more = [] if dialect else list(_readings(tensors, [TF1_COUPLED]))  # 3k columns; alone, any matrix has them
    return [], _ambiguous([*found, *more], grus, tensors, NAME if dialect else ASK)


def _each_once(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The readings, one of those that differ only in which of two summed biases is which: as they stand in the source.

    Every gate adds b_W and b_U to one sum, so that nothing but their names depends on it.
    """
    seen = set()
    for reading in readings:
        summed = _summed(reading.dialect)
        places = frozenset((summed.get(own, own), source) for own, source in reading.names.items())
        key = (reading.dialect.name, reading.layer, places)
        if key in seen:
            continue
        seen.add(key)
        biases = [f"{own} = {_short(source)}" for own, source in reading.names.items() if own in summed]
        words = f"{', '.join(biases)}; in each other's place they have the same sum"
        yield replace(reading, assumed=(words,)) if len(biases) == 2 else reading


def _summed(dialect: Dialect) -> dict[str, str]:
    """The names of two biases of one layout, both under one word."""
    kinds = {p.name: p for p in dialect.packings if p.option == ("bias", "two") and len(p.families) == 1}
    sides = {p.families[0].replace("b_W", "b_").replace("b_U", "b_") for p in kinds.values()}
    alike = {replace(p, name="", families=()) for p in kinds.values()}
    both = len(kinds) == 2 and len(sides) == len(alike) == 1
    return {dialect.write_name(name): "bias" for name in kinds} if both else {}


def _readings(tensors: Tensors, dialects: Iterable[Dialect]) -> Iterator[Reading]:
    if not 2 <= len(tensors) <= MOST_ARRAYS:
        return
    for dialect in dialects:
        for layer in _layers(dialect):
            expected = dialect.tensors(layer)
            packed = [t.name for t in expected]
            if len(packed) != len(tensors):
                continue
            ranks = [len(t.shape) for t in expected]
            for order in permutations(tensors):
                if [len(tensors[name].shape) for name in order] != ranks:
                    continue
                reading = Reading(tensors.origin, dialect, layer, dict(zip(packed, order, strict=True)))
                solution = solve(reading, tensors)
                if not solution.findings and not solution.layer.open_letters:
                    yield reading


def _layers(dialect: Dialect) -> Iterator[Layer]:
    """One layer for every set of tensors that the dialect can write for a cell, or for two on an axis."""
    optional = [p.name for p in dialect.packings if p.option]
    layout: Layout = "batch" if dialect.batch_first else "time"
    said = [
        dialect.options(set(kinds)) for count in range(len(optional) + 1) for kinds in combinations(optional, count)
    ]
    for options in {tuple(sorted(options.items())): options for options in said}.values():
        try:
            cell = lstm_cell(LstmOptions(**options))
        except OptionError:  # a set that no cell has: Kaldi's bias of a projection, without the projection
            continue
        layer = Layer(cell, layout=layout)
        yield from [layer, layer.with_(direction="both")] if dialect.directions == "axis" else [layer]


def _grus(tensors: Tensors) -> Iterator[str]:
    """Every way to take the arrays for a GRU's, in words: 12 rows are 4k with k = 3, and 3k with k = 4."""
    matrices = [name for name in tensors if len(tensors[name].shape) == 2]
    vectors = [tensors[name].shape for name in tensors if len(tensors[name].shape) == 1]
    if len(matrices) != 2 or len(vectors) != len(tensors) - 2:
        return
    for on_x, on_h in permutations(matrices):
        for side, turn in (("rows", 1), ("columns", -1)):
            (gates, n), (three_k, k) = (tensors[name].shape[::turn] for name in (on_x, on_h))
            if gates == three_k == 3 * k > 0 < n and all(shape == (3 * k,) for shape in vectors):
                yield f"a GRU, n = {n}, k = {k}: {_short(on_x)} on x, {_short(on_h)} on h, gates as {side}"


def _is_gru(grus: list[str], tensors: Tensors) -> Finding:
    return Finding(
        "unread",
        "names and operators say nothing, and the shapes are a GRU's; this version reads LSTMs",
        at=safe(tensors.origin),
        found="\n".join(grus),
    )


def _ambiguous(readings: list[Reading], grus: list[str], tensors: Tensors, help: str) -> Finding:
    shown = [*(_told(reading, tensors) for reading in readings), *grus]
    more = f"\nand {len(shown) - 8} more" if len(shown) > 8 else ""
    open_ = "which tensor is which" if help == NAME else "the order of the gates"
    return Finding(
        "ambiguous",
        f"names and operators say nothing, and the shapes do not tell {open_}",
        at=safe(tensors.origin),
        expected="one reading",
        found="\n".join(shown[:8]) + more,
        help=f"{help}; one recorded step would decide: lstm-spec identify --step",
    )


def _told(reading: Reading, tensors: Tensors) -> str:
    sizes = ", ".join(f"{name} = {value}" for name, value in solve(reading, tensors).layer.given)
    places = ", ".join(f"{_short(source)} = {own}" for own, source in reading.names.items())
    return f"{reading.dialect.name}, {sizes}: {places}"


def _short(name: str) -> str:
    """A name with its end, which tells it from its neighbours where all begin alike."""
    shown = safe(name, None)
    return shown if len(shown) <= LONGEST_SHOWN else f"…{shown[1 - LONGEST_SHOWN :]}"
