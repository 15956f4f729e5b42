"""`--cell` → a `Cell`: a file in the equation language, or a name of the catalogue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lstm_spec_cli.text_files import read_text

if TYPE_CHECKING:
    from lstm_spec.symbolic.cell import Cell

LARGEST = 64 * 1024  # bytes, the language's own bound
WRITTEN_BY, EXPECTED = "equations, e.g. what lstm-spec equations prints", "equations as text"


def read_cell(given: str) -> Cell:
    """The cell that `--cell` names: a path when it ends in `.cell` or has a slash, else a name.

    Raises FileError when the file cannot be read as text, CellError when its equations are wrong, OptionError when
    the catalogue does not know the name.
    """
    if not (given.endswith(".cell") or "/" in given or os.sep in given):
        from lstm_spec.cells import get

        return get(given)
    from lstm_spec.symbolic.language import parse

    return parse(
        read_text(given, LARGEST, "equations, e.g. what lstm-spec equations prints", EXPECTED),
        name=os.path.basename(given),
    )
