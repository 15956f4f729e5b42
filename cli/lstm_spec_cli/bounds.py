"""`lstm-spec bounds`: proven ranges of gates and states, and the fixed-point formats that hold them."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import At, InDialect, Json, StackOptions, spread, whole
from lstm_spec_cli.output import Answer, answer_json


@spread
def bounds(
    chosen: StackOptions,
    weights: Annotated[
        str | None,
        typer.Argument(help="A file of weights: then each unit has its bound.", metavar="[FILE]", show_default=False),
    ] = None,
    input_max: Annotated[
        str | None, typer.Option(help="The most that |x| is; with FILE, needed.", metavar="X", show_default=False)
    ] = None,
    initial_max: Annotated[
        str, typer.Option(help="The most that a state is before the first step; 0 without.", metavar="S")
    ] = "0",
    time: Annotated[
        str | None, typer.Option(help="T: numbers for what grows over time.", metavar="T", show_default=False)
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="What else is known; may be repeated.", metavar='"f <= 0.9"', show_default=False),
    ] = None,
    at: At = None,
    dialect: InDialect = None,
    json: Json = False,
) -> Answer:
    """Print proven ranges: what no weights and no input can exceed, with the proof.

    With weights and --input-max, each unit's own range.

    lstm-spec bounds --coupled f=1-i

    lstm-spec bounds weights.npz --input-max 1.5 --time 100
    """
    from lstm_spec.compiler.bounding import bound_layer
    from lstm_spec.errors import Finding, OptionError
    from lstm_spec_cli.weights_files import read_layer

    for flag, value in {"--at": at, "--dialect": dialect}.items():
        if weights is None and value is not None:
            raise OptionError(Finding("options", f"{flag} is of a file, and none is given", help=f"drop {flag}"))
    layer, found = (chosen.read_layer(), None) if weights is None else read_layer(weights, chosen, at, dialect)
    proven = bound_layer(
        layer, found, input_max=input_max, initial_max=initial_max, time=whole(time), assume=assume or ()
    )
    if json:
        return answer_json(proven)
    from lstm_spec.render.bounds import tell_bounds

    return Answer(tell_bounds(proven))
