"""Dialects → text: the list of all, and one of them with its tensors drawn as blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from lstm_spec.dialects.blocks import Block, blocks_of
from lstm_spec.dialects.facts import EVIDENCE, Facts
from lstm_spec.dialects.packing import PackedTensor
from lstm_spec.render.tables import Table


def list_dialects(known: Iterable[Facts]) -> Table:
    """One line a dialect; those that were run stand before those that were only read."""
    every = list(known)
    groups = []
    for evidence in EVIDENCE:
        chosen = [facts for facts in every if facts.dialect.evidence == evidence]
        groups.append(tuple(_line(facts) for facts in chosen))
    return Table(("dialect", "gates", "as", "biases", "state", "evidence"), tuple(filter(None, groups)))


def _line(facts: Facts) -> tuple[str, ...]:
    dialect = facts.dialect
    return (dialect.name, facts.gates, facts.orientation, facts.biases, facts.states, dialect.evidence)


REVERSED = {None: "", True: "its output is in the order of the input", False: "its output stays reversed"}


def tell_dialect(facts: Facts, *sizes: Any) -> Iterator[str]:
    """What there is to know of a dialect, part by part: its title, its tensors, its facts, its traps."""
    dialect = facts.dialect
    yield f"{dialect.name}: {dialect.title}"
    yield from _drawn(facts, *sizes)
    axis = f"axis {int(dialect.layer_axis)}: forward, then reverse" if dialect.directions == "axis" else ""
    assumed = [text for text, _ in dialect.assumed if not text.startswith(facts.constants or ("\0",))]
    lines = [
        ("state", facts.states),
        ("direction", axis),
        ("reverse", REVERSED[dialect.realigned]),
        ("padding", dialect.padding),
        ("constant", "; ".join(f"{text}, in no tensor" for text in facts.constants)),
        ("assumed", "; ".join(assumed)),
        ("evidence", EVIDENCE[dialect.evidence] if not dialect.any_equations else "its own"),
        ("source", dialect.source),
    ]
    yield "\n".join(f"{word.ljust(10)}{text}" for word, text in lines if text)
    if dialect.traps:
        yield "\n".join(f"note      {trap}" for trap in dialect.traps)


def _drawn(facts: Facts, *sizes: Any) -> Iterator[str]:
    """Each tensor; those of one parameter stand line by line."""
    drawings = [draw_tensor(tensor, facts.is_optional(tensor)) for tensor in facts.tensors(*sizes)]
    for single, group in groupby(drawings, key=lambda text: "\n" not in text):
        parts = list(group)
        yield from ["\n".join(parts)] if single else parts


def draw_tensor(tensor: PackedTensor, optional: bool = False) -> str:
    """A tensor's name and shape over its blocks, one box each, with what to write in the brackets.

    >>> from lstm_spec.dialects import get
    >>> *_, bias = Facts(get("keras")).tensors()
    >>> print(draw_tensor(bias))
    bias (4*k,)
    +--------------------------------------+
    | b_i    b_f      b_g        b_o       |
    | [0:k]  [k:2*k]  [2*k:3*k]  [3*k:4*k] |
    +--------------------------------------+
    """
    blocks = blocks_of(tensor)
    head = f"{tensor.name} {tensor.symbolic}" + " optional" * optional
    if len(blocks) == 1:
        return f"{head} = {blocks[0]}"
    return "\n".join([head, *_boxed(_grid(tensor, blocks))])


def _grid(tensor: PackedTensor, blocks: tuple[Block, ...]) -> list[list[Block]]:
    """The blocks row by row; a vector's in one line."""
    flat = not tensor.packing.is_matrix and tensor.packing.arranged == "blocks" and not tensor.packing.column
    if flat:
        return [list(blocks)]
    rows = sorted({block.row for block in blocks})
    return [[block for block in blocks if block.row == row] for row in rows]


def _boxed(grid: list[list[Block]]) -> list[str]:
    """Each row of blocks in a box: the parameters, and under them the brackets that take them out."""
    cells = [[(str(block), f"[{', '.join(block.index)}]") for block in row] for row in grid]
    if len(grid[0]) == 1:  # one block a row: its brackets stand beside it
        names = max(len(name) for ((name, _),) in cells)
        boxes = [[f"{name.ljust(names)}  {index}" for ((name, index),) in cells]]
    else:
        widths = [max(map(len, column)) for column in (sum(cells_of, ()) for cells_of in zip(*cells, strict=True))]
        boxes = [[_line_of(row, widths, part) for part in (0, 1)] for row in cells]
    width = max(len(line) for box in boxes for line in box)
    rule = f"+{'-' * (width + 2)}+"
    return [rule, *(line for box in boxes for line in [*(f"| {text.ljust(width)} |" for text in box), rule])]


def _line_of(row: list[tuple[str, str]], widths: list[int], part: int) -> str:
    return "  ".join(cell[part].ljust(width) for cell, width in zip(row, widths, strict=True))
