"""Layers that stand apart in a source and are one: two directions by their names, a stack by its numbers.

Keras, TensorFlow 1 and Flax have a layer for each direction, and this package writes a stack for them as `l0_forward`,
`l0_backward`, `l1_forward`, … Comes in: what was read. Goes out: the same, pairs and stacks as one layer, which the
target splits again where it must. Names decide, and sizes must fit; a merge that does not join is left apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lstm_spec.errors import safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.weights import Weights

# One segment of a path: `forward_lstm`, `forward_layer`, `fw`, `forward`; or, as this package writes it, `l0_forward`.
TURNS = {"forward": False, "fw": False, "backward": True, "bw": True}
BEFORE = re.compile(r"(?P<turn>forward|backward|fw|bw)(?:_(?P<rest>.+))?", re.DOTALL)
AFTER = re.compile(r"(?P<rest>.+)_(?P<turn>forward|backward)", re.DOTALL)
# `enc/l0`, behind which Haiku and TensorFlow 1 want to see a scope of their own.
SCOPE = r"(?:/(?:lstm|rnn/(?:basic_lstm_cell|lstm_cell|coupled_input_forget_gate_lstm_cell)))?"
NUMBERED = re.compile(rf"(?P<prefix>(?:.*[/.])?)l(?P<index>\d{{1,3}}){SCOPE}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """A layer as it was read: where, in whose dialect, with its weights; and what was joined to make it."""

    where: str
    dialect: str
    layer: Layer
    weights: Weights
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def join_pieces(pieces: Iterable[Piece], origin: str) -> tuple[Piece, ...]:
    """The pieces with pairs of directions joined, then stacks; `origin` is where a layer without a prefix stands."""
    return tuple(_stacked(list(_paired(list(pieces), origin)), origin))


def _paired(pieces: list[Piece], origin: str) -> Iterator[Piece]:
    """`bidirectional/forward_lstm`, `bidirectional/backward_lstm` → `bidirectional`, in both directions."""
    sides: dict[tuple[str, str], dict[bool, Piece]] = {}
    for piece in pieces:
        if key := _side(piece.where):
            place, words, backwards = key
            sides.setdefault((place, words), {})[backwards] = piece
    pairs = {key: (both[False], both[True]) for key, both in sides.items() if len(both) == 2 and _fit(**_named(both))}
    of_piece = {id(piece): key for key, pair in pairs.items() for piece in pair}
    taken = {piece.where for piece in pieces}
    for piece in pieces:
        if (pair := of_piece.get(id(piece))) is None:
            yield piece
        elif piece is pairs[pair][0]:
            wanted = pair[0] or pair[1] or origin
            where = wanted if wanted not in taken else pair[1]
            taken.add(where)
            yield _both(*pairs[pair], where)


def _named(both: Mapping[bool, Piece]) -> dict[str, Piece]:
    return {"forward": both[False], "backward": both[True]}


def _side(where: str) -> tuple[str, str, bool] | None:
    """The place of the layer of both directions, a name if that is taken, and whether this is the backward one."""
    segments = re.split(r"([/.])", where)
    for number in range(len(segments) - 1, -1, -2):
        before, after = (pattern.fullmatch(segments[number]) for pattern in (BEFORE, AFTER))
        if match := after or before:
            parent = "".join(segments[:number])
            rest = match["rest"] or ""
            behind = "".join(segments[number + 1 :])
            place = parent + rest if after else parent.rstrip("/.") or rest
            return place, f"{parent}{rest}{behind}", TURNS[match["turn"]]
    return None


def _fit(forward: Piece, backward: Piece) -> bool:
    """Whether they are the same cell with the same sizes, one forwards, and their outputs are joined."""
    one, other = forward.layer, backward.layer
    merges = {str(piece.attributes.get("merge_mode", "concat")) for piece in (forward, backward)}
    same = one.cell == other.cell and one.sizes == other.sizes and one.layers == other.layers == 1
    return same and one.direction == "forward" and other.direction != "both" and merges == {"concat"}


def _both(forward: Piece, backward: Piece, where: str) -> Piece:
    weights = {f"l0.{name}": forward.weights[f"l0.{name}"] for name in forward.layer.cell.parameters}
    (member,) = backward.layer.members
    weights |= {
        f"l0.reverse.{name}": backward.weights[f"{member.prefix}.{name}"] for name in backward.layer.cell.parameters
    }
    layer = forward.layer.with_(direction="both", realign=True)
    note = f"{safe(forward.where)} and {safe(backward.where)} are one layer in both directions"
    return Piece(where, forward.dialect, layer, Weights(weights), {}, (*forward.notes, *backward.notes, note))


def _stacked(pieces: list[Piece], origin: str) -> Iterator[Piece]:
    """`enc/l0`, `enc/l1` → `enc`, of two cells on each other, where the second reads what the first gives."""
    stacks: dict[str, dict[int, Piece]] = {}
    for piece in pieces:
        if match := NUMBERED.fullmatch(piece.where):
            stacks.setdefault(match["prefix"], {})[int(match["index"])] = piece
    whole = {
        prefix: [stack[i] for i in range(len(stack))]
        for prefix, stack in stacks.items()
        if len(stack) > 1 and set(stack) == set(range(len(stack))) and _stands(stack)
    }
    of_piece = {id(piece): prefix for prefix, stack in whole.items() for piece in stack}
    for piece in pieces:
        prefix = of_piece.get(id(piece))
        if prefix is None:
            yield piece
        elif piece is whole[prefix][0]:
            yield _stack(whole[prefix], prefix.rstrip("/.") or origin)


def _stands(stack: Mapping[int, Piece]) -> bool:
    """Whether each layer reads what the one below gives, and all but the widths of their inputs is the same."""
    first, *above = (stack[i].layer for i in range(len(stack)))
    if first.layers > 1 or any(layer.layers > 1 for layer in above):
        return False
    try:
        wanted = first.with_(layers=len(stack))
    except Exception:  # pragma: no cover - a cell that cannot stand on itself says so itself
        return False
    sizes = {member.index: dict(member.sizes) for member in wanted.members}
    return all(
        layer.cell == first.cell and layer.direction == first.direction and dict(layer.sizes) == sizes[index]
        for index, layer in enumerate(above, 1)
    )


def _stack(stack: list[Piece], where: str) -> Piece:
    weights = {
        f"l{index}{name.removeprefix('l0')}": array
        for index, piece in enumerate(stack)
        for name, array in piece.weights.items()
    }
    layer = stack[0].layer.with_(layers=len(stack))
    notes = tuple(note for piece in stack for note in piece.notes)
    note = f"{', '.join(safe(piece.where) for piece in stack)} are one stack"
    return Piece(where, stack[0].dialect, layer, Weights(weights), {}, (*notes, note))
