"""`lstm-spec trace`: every gate and state at each step, as arrays, as a table, as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import At, Cast, InDialect, Json, StackOptions, spread
from lstm_spec_cli.output import Answer, answer_json


@spread
def trace(
    weights: Annotated[str, typer.Argument(help="A file of weights.", metavar="FILE", show_default=False)],
    input: Annotated[
        str,
        typer.Option(
            help="An npz with x; if wanted, h0 and c0, and lengths or mask.", metavar="x.npz", show_default=False
        ),
    ],
    chosen: StackOptions,
    output: Annotated[
        str | None, typer.Option(help="Where to write every array.", metavar="t.npz", show_default=False)
    ] = None,
    picture: Annotated[
        str | None, typer.Option(help="Where to write heat maps.", metavar="t.svg", show_default=False)
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="Whose heat maps, from 0; 0 without.", metavar="B", show_default=False)
    ] = None,
    member: Annotated[
        str | None, typer.Option(help="Which cell's heat maps; l0 without.", metavar="l0.reverse", show_default=False)
    ] = None,
    at: At = None,
    dialect: InDialect = None,
    cast: Cast = False,
    json: Json = False,
) -> Answer:
    """Run a layer and show every gate and state: how saturated, which units are dead, how long it remembers.

    Arrays are (T, B, k) in the time order of x, for reverse cells too; NaN where a sample has no step.

    lstm-spec trace weights.npz --input x.npz --output t.npz --picture t.svg
    """
    from lstm_spec.compiler.tracing import trace_layer
    from lstm_spec.errors import Finding, OptionError
    from lstm_spec.render.trace import draw_trace, list_trace, tell_trace
    from lstm_spec_cli.array_files import hold_outputs, read_inputs, read_sample, write_both
    from lstm_spec_cli.weights_files import read_layer

    number = read_sample(sample)
    if picture is None and (sample, member) != (None, None):
        raise OptionError(Finding("options", "--sample and --member choose what --picture shows", help="add --picture"))
    hold_outputs(output, picture, (weights, input))
    layer, found = read_layer(weights, chosen, at, dialect)
    inputs = read_inputs(input, layer, found, cast=cast)
    traced = trace_layer(layer, found, inputs.x, inputs.state, lengths=inputs.lengths, mask=inputs.mask)
    drawn = draw_trace(traced, number, member) if picture is not None else ""
    remark = write_both(output, traced.arrays, picture, drawn)
    if json:
        return Answer(answer_json(traced).parts, remark=remark)
    return Answer((list_trace(traced), "\n".join(tell_trace(traced))), remark=remark)
