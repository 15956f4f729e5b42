"""Bounds → tables: what is proven, in real numbers and in floats; each unit's range in short; fixed-point formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lstm_spec.compiler.bounding import CLOSED, OPEN, Bounds, MemberBounds
from lstm_spec.render.tables import Row, Table
from lstm_spec.symbolic.fixed_point import WIDTHS, hold_range, scale_of
from lstm_spec.symbolic.intervals import Interval
from lstm_spec.symbolic.ranging import FORMATS

ROUNDOFFS = "u, the unit roundoff: " + ", ".join(f"{f.name} 2^-{f.digits}" for f in FORMATS.values())
HOLDS = """\
t counts steps from 1. It holds for finite weights and inputs, where nothing
overflows, underflows, divides by 0 or is NaN. In floats tanh, exp and the like
are taken to be within 8u of their value, never outside the function's range."""
READING = """\
Qm.n is signed, -2^m to 2^m - 2^-n in steps of 2^-n; -n is its scale's power of
two, as TFLite and CMSIS-NN take it for the cell state (cell_scale_power).
A scale is most / 127, or most / 32767. Formats hold the ranges; what arithmetic
in them rounds is not included."""
STAR = "* the upper end is above the format's largest number by one step at most, and saturates"


def tell_bounds(bounds: Bounds) -> tuple[str | Table, ...]:
    """The parts of an answer, in order."""
    assumed = [f"assumed: {'; '.join(bounds.cell.assumed)}"] if bounds.cell.assumed else []
    parts: list[str | Table] = [*assumed, list_bounds(bounds), f"{ROUNDOFFS}\n{HOLDS}", "\n".join(tell_proofs(bounds))]
    if bounds.members:
        parts += [list_units(bounds), "\n".join(tell_units(bounds))]
    elif bounds.time is not None:
        parts.append(list_over_time(bounds))
    formats = list_formats(bounds)
    return (*parts, formats, "\n".join(tell_formats(bounds, formats)))


def list_bounds(bounds: Bounds) -> Table:
    """Every equation's range, as it is proven of any weights."""
    rows = [(b.role, (b.name, b.real_text(), b.float_text())) for b in bounds.cell.bounds]
    groups = [tuple(row for role, row in rows if role == kind) for kind in dict.fromkeys(role for role, _ in rows)]
    return Table(("name", "in real numbers", "in floating point"), tuple(groups))


def tell_proofs(bounds: Bounds) -> Iterator[str]:
    """Why, a paragraph a name; gates whose range is their function's share one line."""
    yield "why"
    for bound in bounds.cell.bounds:
        first, *rest = bound.reasons
        yield f"  {first}"
        yield from (f"    {reason}" for reason in rest)


def list_over_time(bounds: Bounds) -> Table:
    """The states after T steps, in numbers, and in each format."""
    rows: list[Row] = []
    for bound in bounds.cell.bounds:
        if bound.growth is not None:
            ends = [bound.over_floats(f, bounds.initial_max, bounds.time) for f in FORMATS]
            rows.append((bound.name, _size(bounds.over_time(bound)), *map(_size, ends)))
    headings = (f"most over {bounds.time} steps", "in real numbers", *FORMATS)
    return Table(headings, (tuple(rows),) if rows else ())


def _size(found: Interval | None) -> str:
    if found is None or not found.is_bounded:
        return "unbounded"
    return f"{float(found.magnitude):.9g}"


def list_units(bounds: Bounds) -> Table:
    """Every name over its units, from the weights: the widest range, and the smallest and median bound of a unit."""
    import numpy as np

    groups = []
    for member in bounds.members:
        dot = f"{member.prefix}." if len(bounds.members) > 1 else ""
        rows = []
        for name, ends in [*((f"before {n}", e) for n, e in member.before.items()), *member.units.items()]:
            sizes = np.sort(ends.magnitude)
            shown = (float(ends.low.min()), float(ends.high.max()), sizes[0], sizes[len(sizes) // 2], sizes[-1])
            rows.append((f"{dot}{name}", *(_number(v) for v in shown)))
        groups.append(tuple(rows))
    return Table(("over the units", "lowest", "highest", "least |·|", "median |·|", "most |·|"), tuple(groups))


def _number(value: Any) -> str:
    return "unbounded" if abs(value) == float("inf") else f"{float(value):.5g}"


def tell_units(bounds: Bounds) -> Iterator[str]:
    """For which |x|, T and dtype that holds; and gates that are proven to stay closed or open."""
    time = "" if bounds.time is None else f", steps 1 to {bounds.time}"
    yield (
        f"for |x| <= {float(bounds.input_max):g}, every |s_0| <= {float(bounds.initial_max):g}{time}; "
        f"rounding in {bounds.dtype} included"
    )
    if bounds.time is None and any(not member.whole(n).is_bounded for member in bounds.members for n in member.units):
        yield "unbounded: nothing bounds it for ever; --time T may bound it over T steps"
    for member in bounds.members:
        yield from _tell_stuck(member)


def _tell_stuck(member: MemberBounds) -> Iterator[str]:
    for name, ends in member.units.items():
        if name not in member.before or ends.low.min() < 0 or ends.high.max() > 1:
            continue
        closed, opened = int((ends.high <= CLOSED).sum()), int((ends.low >= OPEN).sum())
        of = f"of {len(ends.low)} units"
        if closed:
            yield f"{member.prefix}.{name}: {closed} {of} never rise above {CLOSED}, whatever comes in"
        if opened:
            yield f"{member.prefix}.{name}: {opened} {of} never fall below {OPEN}, whatever comes in"


def list_formats(bounds: Bounds) -> Table:
    """The finest fixed-point format of each width that holds each range, and symmetric scales."""
    rows = []
    for name, found in bounds.ranges().items():
        if found.is_bounded:
            fits = [str(hold_range(found, bits)) for bits in WIDTHS]
            rows.append((name, f"{float(found.magnitude):.6g}", *fits, *(_scale(found, bits) for bits in (8, 16))))
    headings = ("holds", "most |·|", *(f"{bits} bits" for bits in WIDTHS), "int8 scale", "int16 scale")
    return Table(headings, (tuple(rows),) if rows else ())


def _scale(found: Interval, bits: int) -> str:
    scale = scale_of(found, bits)
    return "-" if scale is None else f"{float(scale):.4g}"


def tell_formats(bounds: Bounds, formats: Table) -> Iterator[str]:
    """How to read the formats, and what has none."""
    yield READING
    if any("*" in cell for row in formats.rows for cell in row):
        yield STAR
    missing = [name for name, found in bounds.ranges().items() if not found.is_bounded]
    if missing:
        why = "" if bounds.members and bounds.time else "; weights with --input-max, or --time T, may bound it"
        yield f"no format holds {', '.join(missing)}: no bound of its own{why}"
