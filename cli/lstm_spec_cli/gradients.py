"""`lstm-spec gradients`: the backward pass of a cell."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec.errors import Finding, OptionError
from lstm_spec_cli.layer_options import CellOptions, Json, one_of, spread
from lstm_spec_cli.output import Answer, answer_json


@spread
def gradients(
    chosen: CellOptions,
    format: Annotated[
        str, typer.Option(help="How to write them; text is the equation language.", metavar="text|latex")
    ] = "text",
    over_time: Annotated[
        bool, typer.Option("--over-time", help="With time indices: the recursion, and the sums over t.")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Count the operations of one step instead, forward and backward.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Print the backward pass of a cell: one step of it, as a cell that runs in reverse time.

    lstm-spec gradients

    lstm-spec gradients --cell gru --over-time

    lstm-spec gradients --peephole --format latex

    lstm-spec gradients --cost
    """
    from lstm_spec.render.gradients import COUNTED, FORMATS, list_gradient_cost
    from lstm_spec.symbolic.gradient import derive_backward

    write = one_of("format", format, FORMATS)
    derived = derive_backward(chosen.read_cell())
    if cost and (over_time or format != "text"):
        help = "leave out --over-time and --format"
        raise OptionError(Finding("options", "--cost counts, and writes no equations", help=help))
    if json and (over_time or format != "text"):
        help = "leave out --over-time and --format"
        raise OptionError(Finding("options", "--json has the equations of one step as text", help=help))
    if cost and not json:
        return Answer((list_gradient_cost(derived), COUNTED))
    return answer_json(derived) if json else Answer((write(derived, over_time),))
