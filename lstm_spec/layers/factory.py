"""`lstm(...)`: sizes and options in one call → a `Layer`."""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from lstm_spec.cells.family import Bias, Coupling, LstmOptions, lstm_cell
from lstm_spec.cells.options import CLIPS
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import Direction, Layout, Output

OPTIONS = tuple(f.name for f in fields(LstmOptions))
OVER_TIME = ("layers", "bidirectional", "reverse", "layout", "output", "realign")
NUMBER = re.compile(r"[+-]?[0-9]{0,15}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,2})?(/[0-9]{1,15})?")


def lstm(
    *sizes: Any,
    bias: Bias | None = None,
    peephole: Any = False,
    coupled: Coupling | None = None,
    projection: Any = False,
    forget_bias: int | float | str | Fraction = 0,
    layers: int = 1,
    bidirectional: bool = False,
    reverse: bool = False,
    layout: Layout = "time",
    output: Output = "sequence",
    realign: bool = True,
    **named: Any,
) -> Layer:
    """An LSTM layer: n input features, k hidden units, as numbers, letters or symbols.

    >>> lstm("n", "k").parameter_count
    4*k*(k + n + 1)
    >>> lstm(5, 10, bias="two", layers=2, bidirectional=True).parameter_count
    3920
    >>> lstm(3, 4, layer_norm="ba").parameter_count
    200

    The options of the cell are those of `LstmOptions`; `projection` and `gate_hidden` are True, or the size r or j
    itself. The options of the layer are those of `Layer`; what is neither is a size by its letter. Raises OptionError
    and SizeError.
    """
    for option, value in (("bidirectional", bidirectional), ("reverse", reverse)):
        if not isinstance(value, bool):
            raise OptionError(Finding("option", f"{option}={value!r} is unknown", expected="True, False"))
    if bidirectional and reverse:
        raise OptionError(
            Finding("options", "reverse does not go with bidirectional", help="a bidirectional layer reads both ways")
        )
    cell = {"bias": bias, "peephole": peephole, "coupled": coupled, "projection": projection}
    cell |= {name: named.pop(name) for name in OPTIONS if name in named}
    for name in named:
        if len(name) > 1 and (near := get_close_matches(name, (*OPTIONS, *OVER_TIME), n=1)):
            raise OptionError(Finding("option", f"{safe(name, 40)} is no option", help=f"did you mean {near[0]}?"))
    for option, letter in (("projection", "r"), ("gate_hidden", "j")):
        _take_size(option, letter, cell, named)
    cell |= {name: exact_number(name, cell[name]) for name in CLIPS if cell.get(name) is not None}
    options = LstmOptions(**cell, forget_bias=exact_number("forget_bias", forget_bias))
    direction: Direction = "both" if bidirectional else "reverse" if reverse else "forward"
    rest: dict[str, Any] = {"layers": layers, "layout": layout, "output": output, "realign": realign}
    return Layer(lstm_cell(options), *sizes, direction=direction, **rest, **named)


def _take_size(option: str, letter: str, cell: dict[str, Any], named: dict[str, Any]) -> None:
    """`projection=3` is the option and its size r = 3 at once."""
    value = cell.get(option, False)
    if not isinstance(value, bool):
        if letter in named:
            found = f"{option}={safe(value, 40)}, {letter}={safe(named[letter], 40)}"
            raise OptionError(Finding("options", f"{letter} is given twice", found=found))
        cell[option], named[letter] = True, value


def exact_number(option: str, value: int | float | str | Fraction) -> Fraction:
    """`0.1` as 1/10, the number as people write it. Raises OptionError for what is no number of moderate size."""
    shown = safe(repr(value), 40)
    text = repr(float(value)) if isinstance(value, float) else str(value)
    exact = None
    if not isinstance(value, bool) and len(text) <= 60 and NUMBER.fullmatch(text):
        try:
            exact = Fraction(text)
        except (ValueError, ZeroDivisionError):
            exact = None
    if exact is None:
        raise OptionError(Finding("option", f"{option}={shown} is no number", expected="e.g. 1, or 0.5"))
    if abs(exact) > 1000 or exact.denominator > 10**9:
        limits = "-1000 to 1000, with nine decimals at most"
        raise OptionError(Finding("option", f"{option}={shown} is out of range", expected=limits))
    return exact
