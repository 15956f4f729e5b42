"""`lstm(...)`: sizes and options in one call → a `Layer`."""

from __future__ import annotations

from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from lstm_spec.cells.family import Bias, Coupling, LstmOptions, lstm_cell
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer, Layout, Output

OPTIONS = ("bias", "peephole", "coupled", "projection", "forget_bias", "layers", "bidirectional", "reverse", "layout")


def lstm(
    *sizes: Any,
    bias: Bias = "one",
    peephole: bool = False,
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

    The options of the cell are those of `LstmOptions`; `projection` is True, or the size r itself. The options of the
    layer are those of `Layer`. Raises OptionError and SizeError.
    """
    for option, value in (("bidirectional", bidirectional), ("reverse", reverse)):
        if not isinstance(value, bool):
            raise OptionError(Finding("option", f"{option}={value!r} is unknown", expected="True, False"))
    if bidirectional and reverse:
        raise OptionError(
            Finding("options", "reverse does not go with bidirectional", help="a bidirectional layer reads both ways")
        )
    for name in named:
        if len(name) > 1 and (near := get_close_matches(name, OPTIONS, n=1)):
            raise OptionError(Finding("option", f"{safe(name, 40)} is no option", help=f"did you mean {near[0]}?"))
    if projection is not False and projection is not True:
        if "r" in named:
            raise OptionError(Finding("options", "r is given twice", found=f"projection={projection}, r={named['r']}"))
        named["r"] = projection
    options = LstmOptions(bias, peephole, coupled, projection is not False, _exact(forget_bias))
    direction = "both" if bidirectional else "reverse" if reverse else "forward"
    rest: dict[str, Any] = {"layers": layers, "layout": layout, "output": output, "realign": realign}
    return Layer(lstm_cell(options), *sizes, direction=direction, **rest, **named)  # type: ignore[arg-type]


def _exact(value: int | float | str | Fraction) -> Fraction:
    """`0.1` as 1/10, the number as people write it."""
    shown = safe(repr(value), 40)
    try:
        exact = Fraction(repr(float(value)) if isinstance(value, float) else value)
    except (TypeError, ValueError, ZeroDivisionError):
        exact = None
    if exact is None or isinstance(value, bool):
        raise OptionError(Finding("option", f"forget_bias={shown} is no number", expected="e.g. 1, or 0.5"))
    if abs(exact) > 1000 or exact.denominator > 10**9:
        limits = "-1000 to 1000, with nine decimals at most"
        raise OptionError(Finding("option", f"forget_bias={shown} is out of range", expected=limits))
    return exact
