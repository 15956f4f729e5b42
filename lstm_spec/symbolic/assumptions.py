"""What is assumed of a cell's names, `f <= 0.9` → ranges. Whether it can be so is asked of the equations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sympy import Rational, oo

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.intervals import EVERYTHING, Interval

ASSUMPTION = re.compile(r"\s*([A-Za-z_]\w*'?)\s*(<=|>=|<|>)\s*(-?\d{1,30}(?:\.\d{1,30})?(?:/\d{1,30})?)\s*")


def read_assumptions(cell: Cell, assume: Iterable[str]) -> dict[str, Interval]:
    """`f <= 0.9` → the range of f. Raises OptionError when it is not so written, or no name is called that."""
    found: dict[str, Interval] = {}
    known = [n for n, role in cell.roles.items() if role in ("gate", "input", "parameter")]
    for text in assume:
        matched = ASSUMPTION.fullmatch(text)
        if not matched:
            message = f"the assumption {safe(text, 60)!r} is not read"
            raise OptionError(Finding("assume", message, expected="a name, <= or >=, and a number: f <= 0.9"))
        name, sign, number = matched.groups()
        if name not in known:
            listed = ", ".join(known)
            message = f"no gate, input or parameter is called {safe(name, 40)}"
            raise OptionError(Finding("assume", message, expected=listed, found=safe(text, 60)))
        if number.endswith("/0") or re.fullmatch(r".*/0+", number):
            raise OptionError(Finding("assume", f"{number} divides by 0", found=safe(text, 60)))
        within = _half_line(sign, Rational(number))
        both = found.get(name, EVERYTHING).meet(within)
        if both is None:
            raise OptionError(Finding("assume", f"no number is all that is assumed of {name}", found=safe(text, 60)))
        found[name] = both
    return found


def _half_line(sign: str, value: Any) -> Interval:
    if sign[0] == "<":
        return Interval(-oo, value, True, sign == "<")
    return Interval(value, oo, sign == ">", True)
