"""What people choose of a layer beside its cell and its sizes; which choices there are, and which go together.

Comes in: the options as given. Goes out: nothing, or the error that says what may stand there. Knows no shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.sizes import read_whole
from lstm_spec.symbolic.cell import Cell

Direction = Literal["forward", "reverse", "both"]
Layout = Literal["time", "batch"]
Output = Literal["sequence", "last"]
Merge = Literal["concat", "sum", "mul", "average", "apart"]
Padding = Literal["zero", "repeat", "run"]
CHOICES: dict[str, tuple[str, ...]] = {
    "direction": ("forward", "reverse", "both"),
    "layout": ("time", "batch"),
    "output": ("sequence", "last"),
    "merge": ("concat", "sum", "mul", "average", "apart"),
    "padding": ("zero", "repeat", "run"),
}
MOST_LAYERS = 1000


def hold_choices(chosen: Mapping[str, Any], realign: Any) -> None:
    """Raises OptionError for what is no choice of an option."""
    for option, value in chosen.items():
        if value not in CHOICES[option]:
            raise OptionError(Finding("option", f"{option}={value!r} is unknown", expected=", ".join(CHOICES[option])))
    if not isinstance(realign, bool):
        raise OptionError(Finding("option", f"realign={realign!r} is unknown", expected="True, False"))


def read_layers(given: Any) -> int:
    """How many cells stand on each other. Raises SizeError for what is no such count."""
    count = read_whole(given)
    if count is None or not 1 <= count <= MOST_LAYERS:
        found = safe(repr(given), 40)
        raise SizeError(Finding("size", f"layers = {found} is no count of layers", expected=f"1 to {MOST_LAYERS}"))
    return count


def hold_letters(cell: Cell) -> None:
    """Raises SizeError for a size letter that has the name of an option: `Layer(cell, …)` could not tell them apart."""
    for name in cell.letters:
        if name in (*CHOICES, "cell", "layers", "realign"):
            message = f"{name} is a size letter of this cell and an option of every layer"
            raise SizeError(Finding("letter", message, help="choose another letter in the equations"))


def hold_merge(merge: Merge, padding: Padding, direction: Direction, layers: int) -> None:
    """A merge has two directions to merge, and a stack reads vectors. Raises OptionError where it is not so."""
    if merge != "concat" and direction != "both":
        message = f"merge={merge!r} needs two directions"
        raise OptionError(Finding("options", message, found=direction, help="bidirectional, or no merge"))
    if padding == "run" and direction != "forward":
        message = "padding='run' goes with forward layers only"
        because = "a cell that reads backwards would run through the padding first"
        raise OptionError(Finding("options", message, because=because, help="padding='zero', or 'repeat'"))
    if merge == "apart" and layers > 1:
        because = "the layer above would read two sequences"
        raise OptionError(Finding("options", "merge='apart' goes with one layer only", because=because))
