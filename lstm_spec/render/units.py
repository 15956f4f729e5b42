"""A unit of a cell → words: its equations, what it reads, learns and puts out, and who reads whom.

Every sentence is made of derived facts; there is none that a cell could make untrue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lstm_spec.cells.family import lstm_cell
from lstm_spec.phrases import counted, listed
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.sparsity import Reach, dependence
from lstm_spec.symbolic.units import Learned, Reading, Unit, describe_unit

LABEL = 14


def tell_unit(unit: Unit, plain: Cell | None = None, *, beside_plain: bool = True) -> str:
    """Everything about a unit, as lines of text; `plain` is the plain LSTM under the unit's names.

    Without `beside_plain` nothing is said of how the plain LSTM's units differ.
    """
    sections = (
        [f"unit {unit.index} of {_equated(unit)}; units count from 1"],
        list(unit.equations),
        [
            *_labelled("reads", [_reading(r, unit) for r in unit.readings]),
            *_labelled("learns", _learning(unit)),
            *_labelled("puts out", _outputs(unit)),
        ],
        [*_labelled("within a step", _within(unit)), *_labelled("across steps", _across(unit))],
        list(_what_it_is(unit)),
        list(_unlike_plain(unit, plain or lstm_cell())) if beside_plain else [],
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _equated(unit: Unit) -> str:
    return f"{unit.width} = {unit.units}"


def _labelled(label: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{label if number == 0 else '':<{LABEL}} {line}"


def _reading(reading: Reading, unit: Unit) -> str:
    """`x[1…5]: all 5 entries of the input`."""
    of = "the input" if reading.role == "input" else f"{reading.name} before the step"
    if reading.reach == "all":
        return f"{reading.name}[1…{reading.rows}]: all {reading.rows} entries of {of}"
    return f"{reading.name}[{unit.index}]: its own entry of {of}"


def _learning(unit: Unit) -> Iterator[str]:
    for entry in unit.learned:
        if entry.count:
            yield f"{entry.equation}: {_added(entry)}"
    yield f"in all {_formula(unit)}"
    if unit.whole:
        yield f"and, shared with every unit: {_named(unit.whole)}"
    if unit.unowned:
        yield f"of no unit alone: {_named(unit.unowned)}"


def _added(entry: Learned) -> str:
    parts = {**entry.weights, **entry.others}
    shown = " + ".join(f"{count} of {name}" for name, count in parts.items())
    return f"{shown} = {entry.count}" if len(parts) > 1 else shown


def _formula(unit: Unit) -> str:
    """`4·(15 + 1) = 64`, where every weighted sum has as many numbers."""
    entries = [e for e in unit.learned if e.count]
    shapes = {(sum(e.weights.values()), sum(e.others.values())) for e in entries}
    if len(shapes) != 1 or len(entries) == 1:
        return str(unit.count)
    ((weights, others),) = shapes
    inside = f"({weights} + {others})" if weights and others else str(weights or others)
    return f"{len(entries)}·{inside} = {unit.count}"


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _outputs(unit: Unit) -> Iterator[str]:
    states = [name.replace("'", "") for name in unit.outputs if "'" in name]
    after = f": {listed(states)} of the next step" if states else ""
    yield f"{listed(unit.outputs)}{after}" if unit.outputs else "nothing of its own"
    for equation in unit.mixed:
        yield f"of no unit alone: {equation}"


def _within(unit: Unit) -> Iterator[str]:
    if not any(mixing.of_units for mixing in unit.within):
        yield "no unit reads another's new value"
    for mixing in unit.within:
        whose = "of every unit" if mixing.of_units else "of no unit alone"
        yield f"{mixing.equation} reads all of {listed(mixing.vectors)}, {whose}"


def _across(unit: Unit) -> Iterator[str]:
    states = [d.name for d in unit.cell.states]
    for value, state, reach in unit.across:
        held = [f"{name}_{{t-1}}" for name in states if name != state]
        fixed = f", with {held[0] if len(held) == 1 else 'the other states'} held fixed" if held else ""
        after, before = value.removesuffix("'") + "_t", state + "_{t-1}"
        derivative = f"∂{after}[i]/∂{before}[j]"
        if reach == "all":
            yield f"{derivative} ≠ 0 in general, for all i, j"
        elif reach == "own":
            yield f"{derivative} = 0 for i ≠ j{fixed}"
        else:
            yield f"{derivative} = 0 for all i, j{fixed}"


def _what_it_is(unit: Unit) -> Iterator[str]:
    sums = counted(unit.sums, "weighted sum")
    yield "a neuron or a layer?"
    equations = "this equation" if len(unit.equations) == 1 else f"these {len(unit.equations)} equations"
    yield f"  The cell is a layer of {unit.units} units side by side, all with {equations}."
    yield f"  Unit {unit.index} is one of them: {sums}, where a neuron has one. It learns {unit.count} of {unit.total}."


def _unlike_plain(unit: Unit, plain: Cell) -> Iterator[str]:
    """Which of these answers are others than the plain LSTM's."""
    lines = [*_other_counts(unit, plain), *_other_dependence(unit, plain)]
    mixing = [m.equation for m in unit.within if m.of_units]
    if mixing:
        verb = "reads" if len(mixing) == 1 else "read"
        lines.append(f"within a step {listed(mixing)} {verb} of every unit; there no unit reads another's new value")
    if unit.mixed:
        mixed = [equation.split(" = ")[0] for equation in unit.mixed]
        lines.append(f"{listed(mixed)} {'is' if len(mixed) == 1 else 'are'} of no unit alone")
    here, there = ([d.name for d in cell.states] for cell in (unit.cell, plain))
    lines += [f"there is no state {name}" for name in there if name not in here]
    lines += [f"there is a state {name}" for name in here if name not in there]
    if lines:
        yield "unlike the plain LSTM"
        yield from (f"  {line}" for line in lines)


def _other_counts(unit: Unit, plain: Cell) -> Iterator[str]:
    (rows,) = [r.rows for r in unit.readings if r.role == "input"] or [1]
    there = describe_unit(plain, unit.index, {"n": rows, "k": unit.units})
    if unit.count != there.count:
        yield f"a unit learns {unit.count} numbers of its own; there {there.count}"


def _other_dependence(unit: Unit, plain: Cell) -> Iterator[str]:
    """`i, f and o depend on c[3] alone; there on no c`."""
    here, there = dependence(unit.cell), dependence(plain)
    states = [d.name for d in unit.cell.states if d.name in {s.name for s in plain.states}]
    found: dict[tuple[str, Reach, Reach], list[str]] = {}
    for name in here:
        for state in states if name in there else ():
            now, then = here[name].get(state, "none"), there[name].get(state, "none")
            if now != then:
                found.setdefault((state, now, then), []).append(name)
    for (state, now, then), names in found.items():
        words: dict[Reach, str] = {
            "none": f"no {state}",
            "own": f"{state}[{unit.index}] alone",
            "all": f"all of {state}",
        }
        verb = "depends" if len(names) == 1 else "depend"
        yield f"{listed(names)} {verb} on {words[now]}; there on {words[then]}"
