"""The literature's cells by name: each is a file in the equation language beside this one, with its citation.

A new cell is a new file; nothing here knows their names. Shapes and counts follow from the text.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of every cell of the catalogue, sorted.

    >>> "gru" in names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.cell")))


@lru_cache(maxsize=256)
def get(name: str) -> Cell:
    """The cell of that name; its `description` has a title, then the source.

    >>> print(get("elman").equations[0])
    h' = tanh(W x + U h + b)

    Raises OptionError when there is none.
    """
    if name not in names():
        near = get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise OptionError(
            Finding(
                "cell",
                f"no cell is called {safe(name, 40)}",
                help=f"{hint}lstm-spec cells lists them; a file's name ends in .cell or has a slash",
            )
        )
    return parse((FOLDER / f"{name}.cell").read_text(encoding="utf-8"), f"{name}.cell")


def title(cell: Cell) -> str:
    """The first line of a cell's description."""
    return cell.description.partition("\n")[0]
