"""Recurrent cells that are no LSTM, as data: whose names and shapes they are, so that a file of them is told for what
it is. What Keras' configuration, an operator, or the rows of a recurrent matrix already tell is told elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lstm_spec.conformance.recognition.readings import Unread, place
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors


@dataclass(frozen=True, slots=True)
class OtherCell:
    """A cell by its tensors: `shapes` are those that must be there, each axis a letter or a multiple of one.

    All that `pattern` matches under one `prefix` are its own.
    """

    kind: str
    source: str
    pattern: re.Pattern[str]
    shapes: Mapping[str, str]


def _cell(kind: str, source: str, prefix: str, tensors: str, shapes: Mapping[str, str]) -> OtherCell:
    return OtherCell(kind, source, re.compile(rf"(?s)(?P<prefix>{prefix})(?P<tensor>{tensors})"), shapes)


PREFIX = r"(?:.*[/.])?"
LINEN = "flax/linen/recurrent.py, Flax 0.12"
HAIKU = "haiku/_src/recurrent.py, Haiku 0.0.17"
KERAS = "keras/src/layers/rnn/conv_lstm.py, Keras 3.15"
SPACE = ("s ", "s t ", "s t u ")  # the axes that a convolution of one, two or three dimensions has besides
OTHER_CELLS = (
    _cell(
        "GRU",
        LINEN,
        PREFIX,
        "[ih][rzn]/(?:kernel|bias)",
        {f"i{g}/kernel": "n k" for g in "rzn"} | {f"h{g}/kernel": "k k" for g in "rzn"},
    ),
    _cell(
        "minimal gated unit",
        LINEN,
        PREFIX,
        "[ih][fn]/(?:kernel|bias)",
        {f"i{g}/kernel": "n k" for g in "fn"} | {f"h{g}/kernel": "k k" for g in "fn"},
    ),
    _cell("simple RNN", LINEN, PREFIX, "[ih]/(?:kernel|bias)", {"i/kernel": "n k", "h/kernel": "k k"}),
    _cell("GRU", HAIKU, PREFIX, "w_i|w_h|b", {"w_i": "n 3k", "w_h": "k 3k", "b": "3k"}),
    _cell(
        "simple RNN",
        HAIKU,
        PREFIX + "vanilla_rnn[^/]*/",
        "linear(?:_1)?/[wb]",
        {"linear/w": "n k", "linear_1/w": "k k"},
    ),
    *(
        _cell(
            "ConvLSTM",
            KERAS,
            PREFIX,
            "(?:recurrent_)?kernel(?::0)?|bias(?::0)?",
            {"kernel": f"{space}n 4k", "recurrent_kernel": f"{space}k 4k"},
        )
        for space in SPACE
    ),
    *(
        _cell("ConvLSTM", LINEN, PREFIX, "[ih]h/(?:kernel|bias)", {"ih/kernel": f"{s}n 4k", "hh/kernel": f"{s}k 4k"})
        for s in SPACE
    ),
    *(
        _cell(
            "ConvLSTM",
            HAIKU,
            PREFIX,
            "(?:input|hidden)_to_hidden/[wb]",
            {"input_to_hidden/w": f"{s}n 4k", "hidden_to_hidden/w": f"{s}k 4k"},
        )
        for s in SPACE
    ),
)
SIZE = re.compile(r"(\d*)([a-z])")


def find_other_cells(tensors: Tensors) -> Iterator[tuple[Finding, list[str]]]:
    """A finding for each cell of the table that no operator tells of, and the tensors that are its own."""
    told = {name for operator in tensors.operators for name in operator.tensors.values()}
    for cell in OTHER_CELLS:
        groups: dict[str, dict[str, str]] = {}
        for name in tensors:
            if name not in told and (match := cell.pattern.fullmatch(name.replace(".", "/"))):
                groups.setdefault(name[: match.end("prefix")], {})[match["tensor"].removesuffix(":0")] = name
        for prefix, names in groups.items():
            shapes = {own: tensors[name].shape for own, name in names.items()}
            if _fits(cell, shapes):
                told |= set(names.values())
                yield _told(cell, prefix, list(names.values()), tensors)


def _told(cell: OtherCell, prefix: str, names: list[str], tensors: Tensors) -> tuple[Finding, list[str]]:
    where, evidence = prefix.rstrip("./") or tensors.origin, "by the names and shapes of its tensors"
    return other_cell(where, cell.kind, evidence, tensors, *names), names


def _fits(cell: OtherCell, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether every tensor is there, and one number for each letter gives all their axes."""
    sizes: dict[str, int] = {}
    for own, text in cell.shapes.items():
        axes = SIZE.findall(text)
        if own not in shapes or len(shapes[own]) != len(axes):
            return False
        for (factor, letter), length in zip(axes, shapes[own], strict=True):
            size, left = divmod(length, int(factor or 1))
            if left or size < 1 or sizes.setdefault(letter, size) != size:
                return False
    return True


def other_cell(where: str, kind: str, evidence: str, tensors: Tensors, *names: str) -> Unread:
    """The finding for a recurrent cell that is no LSTM."""
    return Unread(
        "unread",
        f"{safe(where)} is a {kind}, {evidence}; this version reads LSTMs",
        at=f"{place(tensors)} : {', '.join(safe(n) for n in names)}",
        where=where,
        kind=kind,
        shapes=tuple((name, tensors[name].shape) for name in names),
    )
