"""After a layer's loops: outputs put back in time order, or their last steps; then the two directions as one value."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Rational

from lstm_spec.compiler.program import Loop, Op, Size, op_shape
from lstm_spec.layers.layer import Layer, Member, symbols

MERGES = {"sum": "add", "mul": "multiply", "apart": "apart"}


@dataclass(slots=True)
class Lowered:
    """One member: what stands before its loop, the loop, and its output sequences in time order."""

    before: list[Op]
    loop: Loop
    member: Member


def merge_outputs(layer: Layer, index: int, lowered: list[Lowered], last: bool) -> tuple[list[Op], str]:
    """What follows a layer's loops: outputs put back in time order, or their last steps; then merged."""
    ops: list[Op] = []
    sides: list[list[tuple[str, tuple[Size, ...]]]] = [[] for _ in lowered]
    for one, side in zip(lowered, sides, strict=True):
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
            side.append((name, size))
    if layer.merge == "concat":
        return _joined(f"l{index}::y", [part for side in sides for part in side], ops)
    values = []
    for one, side in zip(lowered, sides, strict=True):
        ops, value = _joined(f"{one.loop.name}::y", side, ops)
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
