"""After a layer's loops: outputs put back in time order, or their last steps; then the two directions as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from sympy import Integer, Rational

from lstm_spec.compiler.building import Builder
from lstm_spec.compiler.ops import Size, op_shape
from lstm_spec.compiler.program import Loop, Op
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.sizes import symbols

MERGES = {"sum": "add", "mul": "multiply", "apart": "apart"}


@dataclass(slots=True)
class Lowered:
    """One member: what stands before its loop, the loop, and its output sequences in time order."""

    before: list[Op]
    loop: Loop
    member: Member
    builder: Builder
    alive: str | None = None
    sides: list[tuple[str, tuple[Size, ...]]] = field(default_factory=list)  # its outputs as they are merged


def merge_outputs(layer: Layer, index: int, lowered: list[Lowered], last: bool) -> tuple[list[Op], str]:
    """What follows a layer's loops: outputs put back in time order, or their last steps; then merged."""
    ops: list[Op] = []
    for one in lowered:
        for output, sequence in zip(layer.cell.outputs, one.loop.outputs, strict=True):
            at, shape = symbols(one.member.sizes), layer.shapes_of_cell[layer.cell.value_of(output)]
            size = tuple(s.xreplace(at) for s in shape.size)
            name = sequence
            if last:
                is_state = any(s.name == output for s in layer.cell.states)
                name = f"{one.loop.name}:{output}" if is_state else f"{sequence}.last"
                ops += [] if is_state else [Op(name, "last", (sequence,), size)]
            elif one.member.reverse and (layer.realign or layer.direction == "both"):
                name = f"{sequence}.aligned"
                ops.append(Op(name, "reverse_time", (sequence,), size))
            one.sides.append((name, size))
    sides = [one.sides for one in lowered]
    if layer.merge == "concat":
        return _joined(f"l{index}::y", [part for side in sides for part in side], ops)
    values = []
    for one, side in zip(lowered, sides, strict=True):
        ops, value = _joined(f"{one.loop.name}::side", side, ops)
        values.append(value)
    return [*ops, *_merged(layer, f"l{index}::y", tuple(values), _size_of_all(sides[0]))], f"l{index}::y"


def _joined(name: str, parts: list[tuple[str, tuple[Size, ...]]], ops: list[Op]) -> tuple[list[Op], str]:
    """The parts one under the other; one part is itself."""
    if len(parts) == 1:
        return ops, parts[0][0]
    return [*ops, Op(name, "join", tuple(part for part, _ in parts), _size_of_all(parts))], name


def _size_of_all(parts: list[tuple[str, tuple[Size, ...]]]) -> tuple[Size, ...]:
    return op_shape("join", [size for _, size in parts])


def _merged(layer: Layer, name: str, sides: tuple[str, ...], size: tuple[Size, ...]) -> list[Op]:
    """Both directions as one value: `average` is half their sum."""
    if layer.merge != "average":
        return [Op(name, MERGES[layer.merge], sides, size)]
    total, half = f"{name}.sum", f"{name}.half"
    return [
        Op(total, "add", sides, size),
        Op(half, "constant", (), (), (Rational(1, 2),)),
        Op(name, "multiply", (total, half), size),
    ]


# ---- the same, backwards ----


def split_gradient(
    layer: Layer, lowered: list[Lowered], incoming: str, last: bool, before: list[Op]
) -> list[dict[str, str]]:
    """For each member, its outputs → the sequence of their gradients in the order that its loop took the steps.

    `incoming` is the gradient of y; what has to be computed first is put into `before`.
    """
    wholes = [_size_of_all(one.sides) for one in lowered]
    found: list[dict[str, str]] = []
    start: Size = Integer(0)
    for one, size in zip(lowered, wholes, strict=True):
        name = f"{one.loop.name}::d_y"
        if layer.merge == "concat":
            parted = _rows(name, incoming, _sum_of(wholes), start, size[0], before)
            start += size[0]
        else:
            parted = _unmerged(layer, name, incoming, lowered, one, before)
        found.append(_of_outputs(layer, one, parted, last, before))
    return found


def _sum_of(sizes: list[tuple[Size, ...]]) -> Size:
    return op_shape("join", sizes)[0]


def _rows(name: str, whole: str, width: Size, start: Size, rows: Size, ops: list[Op]) -> str:
    """Some rows of a gradient; all of them are itself."""
    if rows == width:
        return whole
    ops.append(Op(name, "rows", (whole,), (rows,), (start, start + rows)))
    return name


def _unmerged(layer: Layer, name: str, incoming: str, lowered: list[Lowered], one: Lowered, ops: list[Op]) -> str:
    """The gradient of one direction where both became one value."""
    size = _size_of_all(one.sides)
    if layer.merge == "apart":
        ops.append(Op(name, "side", (incoming,), size, (Integer(lowered.index(one)),)))
    elif layer.merge == "average":
        half = f"{name}.half"
        ops += [Op(half, "constant", (), (), (Rational(1, 2),)), Op(name, "multiply", (incoming, half), size)]
    elif layer.merge == "mul":
        (other,) = (o for o in lowered if o is not one)
        value = other.sides[0][0] if len(other.sides) == 1 else f"{other.loop.name}::side"
        ops.append(Op(name, "multiply", (incoming, value), size))
    else:
        return incoming
    return name


def _of_outputs(layer: Layer, one: Lowered, whole: str, last: bool, ops: list[Op]) -> dict[str, str]:
    """One member's gradient, output by output, in its own time order."""
    found: dict[str, str] = {}
    width, start = _size_of_all(one.sides)[0], Integer(0)
    for output, (_, size), sequence in zip(layer.cell.outputs, one.sides, one.loop.outputs, strict=True):
        name = f"{one.loop.name}::d_y.{output}"
        part = _rows(name, whole, width, start, size[0], ops)
        start += size[0]
        if last:
            ops.append(Op(f"{name}.last", "place_last", (part, sequence), size))
            part = f"{name}.last"
        elif one.member.reverse and (layer.realign or layer.direction == "both"):
            ops.append(Op(f"{name}.turned", "reverse_time", (part,), size))
            part = f"{name}.turned"
        found[output] = part
    return found
