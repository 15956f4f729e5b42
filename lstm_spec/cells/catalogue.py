"""The literature's cells by name: each is a file in the equation language beside this one, with its citation.

A new cell is a new file; nothing here knows their names. Shapes and counts follow from the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from lstm_spec.cells.family import lstm_cell
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.counts import parameter_count
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.shapes import Shapes, infer

FOLDER = Path(__file__).parent
PLAIN = "lstm"  # the cell that `lstm()` makes without options: it has a name here, and no file


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell under a name, with what is told of it."""

    name: str
    cell: Cell

    @property
    def title(self) -> str:
        """The first line of the description."""
        return self.cell.description.partition("\n")[0]

    @property
    def shapes(self) -> Shapes:
        """The inferred shapes."""
        return infer(self.cell)

    @property
    def count(self) -> Any:
        """The parameters, a polynomial."""
        return parameter_count(self.shapes)

    @property
    def by_shape(self) -> dict[str, tuple[str, ...]]:
        """The parameters of each shape: `k×n` → (`W_i`, `W_f`, …)."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.cell.parameters:
            shape = self.shapes.text(name)
            found[shape] = (*found.get(shape, ()), name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "text": str(self.cell),
            "sizes": list(self.cell.letters),
            "parameters": {"symbolic": str(self.count), "by_shape": {s: list(n) for s, n in self.by_shape.items()}},
        }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every cell of the literature, by name."""

    entries: tuple[Entry, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: a line a cell."""
        return {"cells": [{"name": e.name, "title": e.title, "parameters": str(e.count)} for e in self.entries]}


def catalogue() -> Catalogue:
    """All of them, read."""
    return Catalogue(tuple(Entry(name, get(name)) for name in names()))


def names() -> tuple[str, ...]:
    """The names of every cell of the catalogue, sorted.

    >>> "gru" in names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.cell")))


@lru_cache(maxsize=256)
def get(name: str) -> Cell:
    """The cell of that name; its `description` has a title, then the source. `lstm` is the plain one.

    >>> print(get("elman").equations[0])
    h' = tanh(W x + U h + b)

    Raises OptionError when there is none.
    """
    if name == PLAIN:
        return lstm_cell()
    if name not in names():
        near = get_close_matches(str(name), (PLAIN, *names()), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise OptionError(
            Finding(
                "cell",
                f"no cell is called {safe(name, 40)}",
                help=f"{hint}lstm-spec cells lists them; a file's name ends in .cell or has a slash",
            )
        )
    return parse((FOLDER / f"{name}.cell").read_text(encoding="utf-8"), f"{name}.cell")
