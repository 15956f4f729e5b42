"""Layers that stand apart in a source and are one: two directions by their names, a stack by its numbers.

Keras, TensorFlow 1 and Flax have a layer for each direction, and this package writes a stack for them as `l0_forward`,
`l0_backward`, `l1_forward`, … Comes in: what was read. Goes out: the same, pairs and stacks as one layer, which the
target splits again where it must. Names decide, and sizes must fit; two halves that are not one cell stay two layers,
and say whose halves they are. A merge that is no joining is a loss: no tensor says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lstm_spec.conformance.conversion.adapting import Loss
from lstm_spec.conformance.conversion.beside import NOTHING, Beside
from lstm_spec.conformance.recognition.readings import Turn
from lstm_spec.errors import OptionError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import Merge
from lstm_spec.layers.weights import Weights

# One segment of a path: `forward_lstm`, `forward_layer`, `fw`, `forward`; or, as this package writes it, `l0_forward`.
TURNS = {"forward": False, "fw": False, "backward": True, "bw": True}
BEFORE = re.compile(r"(?P<turn>forward|backward|fw|bw)(?:_(?P<rest>.+))?", re.DOTALL)
AFTER = re.compile(r"(?P<rest>.+)_(?P<turn>forward|backward)", re.DOTALL)
# `enc/l0`, behind which Haiku and TensorFlow 1 want to see a scope of their own.
SCOPE = r"(?:/(?:lstm|rnn/(?:basic_lstm_cell|lstm_cell|coupled_input_forget_gate_lstm_cell)))?"
NUMBERED = re.compile(rf"(?P<prefix>(?:.*[/._])?)l(?P<index>\d{{1,3}}){SCOPE}", re.DOTALL)
# What a Bidirectional of Keras does with its two outputs → a layer's merge, and in words.
MERGES: Mapping[str, Merge] = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "average", "none": "apart"}
MERGED = {"sum": "added", "mul": "multiplied", "ave": "averaged"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A layer as it was read: where, in whose dialect, with its weights; and what was joined to make it.

    `losses` are what no target holds; `beside` is what the source computes beside the layer; `half_of` is the place of
    the layer whose one direction this is, where both are no one layer here; `turn` is its place in the order of the
    source.
    """

    where: str
    dialect: str
    layer: Layer
    weights: Weights
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    beside: Beside = NOTHING
    half_of: str = ""
    turn: Turn | None = None


def join_pieces(pieces: Iterable[Piece], origin: str) -> tuple[Piece, ...]:
    """The pieces with pairs of directions joined, then stacks; `origin` is where a layer without a prefix stands."""
    return tuple(_stacked(list(_paired(list(pieces), origin)), origin))


def unrepeat(where: str) -> str:
    """`lstm/lstm` → `lstm`: an HDF5 file of Keras says the layer's name twice."""
    segments = re.split(r"([/.])", where)
    kept = segments[:1]
    for separator, segment in zip(segments[1::2], segments[2::2], strict=True):
        kept += [] if segment == kept[-1] else [separator, segment]
    return "".join(kept)


def _paired(pieces: list[Piece], origin: str) -> Iterator[Piece]:
    """`bidirectional/forward_lstm`, `bidirectional/backward_lstm` → `bidirectional`, in both directions."""
    sides: dict[tuple[str, str], dict[bool, Piece]] = {}
    for piece, key, backwards in _turns(pieces):
        sides.setdefault(key, {})[backwards] = piece
    pairs = {key: (both[False], both[True]) for key, both in sides.items() if len(both) == 2 and _face(**_named(both))}
    of_piece = {id(piece): key for key, pair in pairs.items() for piece in pair}
    taken = {piece.where for piece in pieces}
    for piece in pieces:
        if (own := of_piece.get(id(piece))) is None:
            yield piece
        elif pair := pairs.pop(own, None):  # where the first of them stands
            wanted = unrepeat(own[0]) or own[1] or origin
            where = wanted if wanted not in taken else own[1]
            taken.add(where)
            yield from (_both(*pair, where),) if _fit(*pair) else _halves(*pair, where)


def _turns(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, tuple[str, str], bool]]:
    """The pieces that are one direction of something, of what, and which; a backward layer that was made for itself has
    a name of its own, and only the configuration says whose half it is.
    """
    sides = [(piece, _side(piece.where)) for piece in pieces]
    forward = {piece.attributes.get("half_of"): side for piece, side in sides if side and not side[2]}
    for piece, side in sides:
        whose = piece.attributes.get("half_of")
        if side:
            yield piece, side[:2], side[2]
        elif whose is not None and whose in forward:
            yield piece, forward[whose][:2], True


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


def _face(forward: Piece, backward: Piece) -> bool:
    """Whether they are two directions of something: as one cell, or because the second is told to read backwards."""
    one, other = forward.layer, backward.layer
    turned = one.direction == "forward" and other.direction != "both" and one.layers == other.layers == 1
    return turned and (_fit(forward, backward) or other.direction == "reverse")


def _fit(forward: Piece, backward: Piece) -> bool:
    """Whether they are the same cell with the same sizes, and what is made of their outputs is known."""
    one, other = forward.layer, backward.layer
    same = one.cell == other.cell and one.sizes == other.sizes and forward.beside.ends_as(backward.beside)
    return same and _mode(forward) in MERGES


def _mode(piece: Piece) -> str:
    return str(piece.attributes.get("merge_mode", "concat"))


def _told_of_merge(mode: str) -> tuple[tuple[Loss, ...], tuple[str, ...]]:
    """What is lost, or to be told, where the outputs of both directions are not joined."""
    if mode == "none":
        return (), ("the source keeps the outputs of both directions apart (merge_mode = None)",)
    if mode == "concat":
        return (), ()
    does = MERGED.get(mode, "merged")
    words = f"the outputs of both directions are {does} (merge_mode = {safe(mode, 20)}), which no tensor says"
    return (Loss("merge", words),), ()


def _both(forward: Piece, backward: Piece, where: str) -> Piece:
    weights = {f"l0.{name}": forward.weights[f"l0.{name}"] for name in forward.layer.cell.parameters}
    (member,) = backward.layer.members
    weights |= {
        f"l0.reverse.{name}": backward.weights[f"{member.prefix}.{name}"] for name in backward.layer.cell.parameters
    }
    layer = forward.layer.with_(direction="both", realign=True, merge=MERGES[_mode(forward)])
    losses, told = _told_of_merge(_mode(forward))
    note = f"{safe(forward.where)} and {safe(backward.where)} are one layer in both directions"
    notes = (*forward.notes, *backward.notes, note, *told)
    turned = {f"l0.reverse.{name.rpartition('.')[2]}": array for name, array in backward.beside.state.items()}
    starts = (*forward.beside.starts, *backward.beside.starts)
    beside = Beside({**forward.beside.state, **turned}, forward.beside.lengths, starts)
    return Piece(where, forward.dialect, layer, Weights(weights), {}, notes, losses, beside, turn=forward.turn)


def _halves(forward: Piece, backward: Piece, where: str) -> Iterator[Piece]:
    """Two layers, the forward one first; the other's output is put back in the order of the input."""
    losses, told = _told_of_merge(_mode(forward))
    differ = "sizes" if forward.layer.sizes != backward.layer.sizes else "equations"
    note = f"{safe(forward.where)} and {safe(backward.where)} are the two directions of one layer, with other {differ}"
    for piece in (forward, replace(backward, layer=backward.layer.with_(realign=True))):
        yield replace(piece, notes=(*piece.notes, note, *told), losses=losses, half_of=where)


def _stacked(pieces: list[Piece], origin: str) -> Iterator[Piece]:
    """`enc/l0`, `enc/l1` → `enc`, of two cells on each other, where the second reads what the first gives."""
    stacks: dict[str, dict[int, Piece]] = {}
    for piece in pieces:
        if match := NUMBERED.fullmatch(unrepeat(piece.where)):
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
            yield _stack(whole[prefix], prefix.rstrip("/._") or origin)


def _stands(stack: Mapping[int, Piece]) -> bool:
    """Whether each layer can read what the one below gives, and all but the widths of their inputs is the same."""
    first, *above = layers = [stack[i].layer for i in range(len(stack))]
    if any(layer.layers > 1 or layer.merge != "concat" for layer in layers):
        return False
    if not all(piece.beside.ends_as(stack[0].beside) for piece in stack.values()):
        return False
    turns = [stack[index].turn for index in range(len(stack))]
    said = [turn for turn in turns if turn is not None]
    if said != sorted(said) or 0 < len(said) < len(turns):  # their names say another order than the source
        return False
    try:
        wanted = first.with_(layers=len(stack))
    except OptionError:  # a cell that cannot stand on itself
        return False
    sizes = {member.index: dict(member.sizes) for member in wanted.members}
    return all(
        layer.cell == first.cell and layer.direction == first.direction and dict(layer.sizes) == sizes[index]
        for index, layer in enumerate(above, 1)
    )


def _stack(stack: list[Piece], where: str) -> Piece:
    weights, state = (
        {
            f"l{index}{name.removeprefix('l0')}": array
            for index, arrays in enumerate(kinds)
            for name, array in arrays.items()
        }
        for kinds in ([piece.weights for piece in stack], [piece.beside.state for piece in stack])
    )
    layer = stack[0].layer.with_(layers=len(stack))
    notes = tuple(note for piece in stack for note in piece.notes)
    note = f"{', '.join(safe(piece.where) for piece in stack)} are one stack"
    starts = tuple(name for piece in stack for name in piece.beside.starts)
    beside = Beside(state, stack[0].beside.lengths, starts)
    return Piece(where, stack[0].dialect, layer, Weights(weights), {}, (*notes, note), (), beside, turn=stack[0].turn)
