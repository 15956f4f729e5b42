"""Sizes as people give them → numbers or letters, bound to a cell's size letters.

A size is an integer, a letter, or a SymPy symbol; on the command line it is text. Nothing is evaluated.
"""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Integer, Symbol

from lstm_spec.errors import Finding, SizeError, safe
from lstm_spec.symbolic.algebra import FUNCTIONS
from lstm_spec.symbolic.cell import AXES, KEYWORDS, Cell, letter

LARGEST = 10**9  # no layer has a billion units; past it, products overflow the int64 of array libraries
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
WHOLE = re.compile(r"[+-]?[0-9]+")


def read_size(given: Any, what: str, cell: Cell) -> Any:
    """A size as a SymPy `Integer` or size letter.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> read_size("5", "n", lstm_cell()), read_size("m", "k", lstm_cell())
    (5, m)

    `what` names the size in errors. Raises SizeError when it is neither a whole number ≥ 1 nor a plain letter.
    """
    if isinstance(given, Symbol) or (isinstance(given, str) and IDENTIFIER.fullmatch(given)):
        return _letter(str(given), what, cell)
    if isinstance(given, str) and WHOLE.fullmatch(given):
        given = int(given[:40])  # whatever is longer is as much too large, or too small
    number = read_whole(given)
    if number is None:
        found = "" if isinstance(given, str) else type(given).__name__
        raise _refused(f"{what} = {safe(given, 40) or repr(given)} is no size", found)
    if number < 1:
        raise _refused(f"{what} = {safe(number, 40)} is too small")
    if number > LARGEST:
        raise _refused(f"{what} = {safe(number, 40)} is too large", found=f"more than {LARGEST:,}")
    return Integer(number)


def read_whole(given: Any) -> int | None:
    """A whole number of any library as an `int`, or None; True and 4.0 are none.

    >>> read_whole(4), read_whole(4.0), read_whole(True)
    (4, None, None)
    """
    if isinstance(given, bool):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None


def _refused(message: str, found: str = "", help: str = "") -> SizeError:
    return SizeError(
        Finding("size", message, expected="a whole number ≥ 1, or a letter such as n", found=found, help=help)
    )


def _letter(name: str, what: str, cell: Cell) -> Symbol:
    reason = ""
    if name in AXES:
        reason = f"{name} counts {AXES[name]}"
    elif keyword.iskeyword(name) or name in KEYWORDS:
        reason = f"{name} is a keyword"
    elif name in FUNCTIONS:
        reason = f"{name} is a function of the equation language"
    elif name in cell.roles:
        reason = f"{name} is a tensor of this cell ({cell.roles[name]})"
    elif not IDENTIFIER.fullmatch(name):
        raise _refused(f"{what} = {safe(name, 40)} is no size")
    if reason:
        raise _refused(f"{what} = {name} cannot be a letter", found=reason, help="choose another letter, e.g. m")
    return letter(name)


def bind_sizes(cell: Cell, positional: Sequence[Any] = (), named: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every size letter of the cell → what was given for it; one not given stays its own letter.

    Positional sizes fill n, then k, where the cell has them, then its other letters by first appearance.
    Raises SizeError for a size too many, given twice, or of a letter that the cell does not have.
    """
    order = [a for a in ("n", "k") if a in cell.letters] + [a for a in cell.letters if a not in ("n", "k")]
    has = ", ".join(order)
    if len(positional) > len(order):
        extra = safe(positional[len(order)], 40)
        raise SizeError(
            Finding("size", f"{extra} is one size too many", expected=f"at most {len(order)}: {has}", help="remove it")
        )
    given = dict(zip(order, positional, strict=False))
    for name, value in (named or {}).items():
        if name not in cell.letters:
            raise SizeError(
                Finding(
                    "size",
                    f"the cell has no size {safe(name, 40)}",
                    expected=has,
                    help="sizes are named as in the equations",
                )
            )
        if name in given:
            raise SizeError(Finding("size", f"{name} is given twice", found=f"{given[name]} and {safe(value, 40)}"))
        given[name] = value
    return {name: read_size(given[name], name, cell) if name in given else letter(name) for name in cell.letters}


def symbols(sizes: Mapping[str, Any]) -> dict[Any, Any]:
    """A size mapping as `xreplace` takes it: all letters at once, so that n and k may change places."""
    return {letter(name): value for name, value in sizes.items()}
