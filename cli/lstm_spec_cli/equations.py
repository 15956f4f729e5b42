"""`lstm-spec equations`: what a cell computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lstm_spec_cli.layer_options import CellOptions, InNotation, in_notation, one_of, spread
from lstm_spec_cli.output import Answer

if TYPE_CHECKING:
    from lstm_spec.symbolic.cell import Cell


@spread
def equations(
    chosen: CellOptions,
    format: Annotated[
        str, typer.Option(help="How to write them; text is the equation language.", metavar="text|latex|markdown")
    ] = "text",
    notation: InNotation = None,
) -> Answer:
    """Print a cell's equations, in the order they were written.

    lstm-spec equations

    lstm-spec equations --peephole --format latex

    lstm-spec equations --notation colah
    """
    write = one_of("format", format, {"text": str, "latex": _latex, "markdown": _markdown})
    if notation is not None:
        from lstm_spec.render.notated import FORMATS

        return Answer((FORMATS[format](in_notation(chosen.read_cell(), notation)),))
    return Answer((write(chosen.read_cell()),))


def _latex(cell: Cell) -> str:
    from lstm_spec.render.mathematics import aligned

    return aligned(cell)


def _markdown(cell: Cell) -> str:
    from lstm_spec.render.mathematics import document

    return document(cell)
