"""Which layers a dialect can express, and in which words it refuses the others.

Comes in: a dialect's table and a layer. Goes out: the kinds of its tensors that the layer fills, or an OptionError that
names what has no place there, or would be computed otherwise. Packs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.cells.options import spaced
from lstm_spec.cells.recovering import recover_options
from lstm_spec.dialects.packing import Packing
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer

if TYPE_CHECKING:
    from lstm_spec.dialects.dialect import Dialect


def packings_of(dialect: Dialect, layer: Layer) -> tuple[Packing, ...]:
    """The kinds of tensors that the layer has all parts of, but for those of a dead gate."""
    dead = set(dead_gates(dialect, layer))
    return tuple(p for p in dialect.packings if set(p.parts_without(dead)) <= set(layer.cell.parameters))


def dead_gates(dialect: Dialect, layer: Layer) -> dict[str, str]:
    """The gates of the layer that have no parameters here and keep their rows, with their equations."""
    return {gate: text for gate, text in dialect.dead.items() if str(layer.cell.defined.get(gate)) == text}


def couplings_of(dialect: Dialect) -> Iterator[str]:
    """`f=1-i`, in the order of the options: always, by a missing tensor, or with rows that nothing reads."""
    yield from (str(value) for name, value in dialect.constants.items() if name == "coupled")
    yield from (str(value) for name, value in dialect.missing.values() if name == "coupled")
    yield from (text.replace(" ", "") for text in dialect.dead.values())


def hold_layer(dialect: Dialect, layer: Layer) -> None:
    """Raises OptionError when the framework has no place for the layer, or would compute something else."""
    _hold_coupling(dialect, layer)
    hold_places(dialect, layer)
    _hold_equations(dialect, layer)


def hold_places(dialect: Dialect, layer: Layer) -> None:
    """Raises OptionError when the layer has a parameter, a stack or a direction that has no place there."""
    if refusal := _unplaced(dialect, layer) or _unnamed(dialect, layer):
        fits = ", ".join(p.name for p in dialect.packings) if len(dialect.packings) < 9 else ""
        raise _refused(dialect, refusal, fits)


def _unplaced(dialect: Dialect, layer: Layer) -> str:
    placed = {part for packing in packings_of(dialect, layer) for part in packing.parts}
    unplaced = [p for p in layer.cell.parameters if p not in placed]
    return f"{dialect.name} has no place for {', '.join(unplaced)}" if unplaced else ""


def _unnamed(dialect: Dialect, layer: Layer) -> str:
    """Why two cells of the layer would have tensors of one name."""
    by_name = "{reverse}" in dialect.template or dialect.cells_numbered
    names_them = dialect.directions == "axis" or by_name
    if layer.layers > 1 and "{layer}" not in dialect.template:
        return f"{dialect.name} has no layer of {layer.layers} cells on each other: every one is a layer of its own"
    if layer.direction == "both" and not names_them:
        return f"{dialect.name} has no layer in both directions: it joins two layers"
    if layer.direction == "reverse" and by_name and not dialect.reverse_alone:
        return f"{dialect.name} has no layer that only reads backwards"
    return ""


def _hold_coupling(dialect: Dialect, layer: Layer) -> None:
    recovered = recover_options(layer.cell)
    if recovered and recovered.coupled and not dialect.couples(recovered.coupled):
        known = " or ".join(map(spaced, couplings_of(dialect)))
        raise _refused(dialect, f"{dialect.name} does not couple gates so", known, spaced(recovered.coupled))


def _hold_equations(dialect: Dialect, layer: Layer) -> None:
    """A constant in an equation leaves no trace in tensors, and would be lost on the way."""
    if dialect.any_equations:
        return
    options = dialect.options({p.name for p in packings_of(dialect, layer)}) | dialect.said_outside(layer)
    for equation in dead_gates(dialect, layer).values():
        options["coupled"] = equation.replace(" ", "")
    theirs = lstm_cell(LstmOptions(**options)).defined
    ours = layer.cell.defined
    if differing := [name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name)]:
        name = differing[0]
        expected, found = (str(equations.get(name, f"no {name}")) for equations in (theirs, ours))
        raise _refused(dialect, f"{dialect.name} computes another {name}", expected, found)


def _refused(dialect: Dialect, message: str, expected: str, found: str = "") -> OptionError:
    help = f"what {dialect.name} can express: {dialect.title}"
    return OptionError(Finding("dialect", message, expected=expected, found=found, help=help))
