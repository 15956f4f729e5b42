"""What the backward cell calls each gradient: `d_W_f`, `d_x`, `d_h`, `d_y`; names that the cell has are avoided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lstm_spec.symbolic.cell import Cell


@dataclass(frozen=True, slots=True)
class GradientNames:
    """What the backward cell calls each gradient: of an output, a parameter, an input or a state of the cell."""

    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    inputs: Mapping[str, str]
    states: Mapping[str, str]

    @property
    def taken(self) -> set[str]:
        """Every one of these names."""
        found = (self.outputs, self.parameters, self.inputs, self.states)
        return {name for names in found for name in names.values()}


def name_gradients(cell: Cell) -> GradientNames:
    """`d_y`, `d_W_f`, `d_x`, `d_h`; a prefix that the cell has already is lengthened to `dd_`."""
    prefix = lengthen(cell, "d_")
    own = [*cell.parameters, *(d.name for d in cell.inputs + cell.states)]
    incoming = f"{prefix}y" if "y" not in own else f"d{prefix}y"
    single = len(cell.outputs) == 1
    return GradientNames(
        {name: incoming if single else f"{incoming}_{name}" for name in cell.outputs},
        {name: f"{prefix}{name}" for name in cell.parameters},
        {d.name: f"{prefix}{d.name.replace(chr(39), '_next')}" for d in cell.inputs},
        {d.name: f"{prefix}{d.name}" for d in cell.states},
    )


def lengthen(cell: Cell, prefix: str) -> str:
    """The prefix, lengthened until no name of the cell has it."""
    while any(name.startswith(prefix) for name in (*cell.roles, *cell.letters)):
        prefix = prefix[0] + prefix
    return prefix
