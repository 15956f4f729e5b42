"""`lstm-spec trace`: every gate and state at each step, as arrays, as a table, as a picture."""

from __future__ import annotations

from os.path import realpath
from typing import Annotated

import typer

from lstm_spec_cli.layer_options import Cast, Json, StackOptions, spread, whole
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
    at: Annotated[
        str | None, typer.Option(help="Which of the file's layers.", metavar="NAME", show_default=False)
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="Whose names and gate order; told from the file without.", metavar="NAME", show_default=False
        ),
    ] = None,
    cast: Cast = False,
    json: Json = False,
) -> Answer:
    """Run a layer and show every gate and state: how saturated, which units are dead, how long it remembers.

    Arrays are (T, B, k) in the time order of x, for reverse cells too; NaN where a sample has no step.

    lstm-spec trace weights.npz --input x.npz --output t.npz --picture t.svg
    """
    from lstm_spec.compiler.tracing import trace_layer
    from lstm_spec.errors import Finding, OptionError, safe
    from lstm_spec.render.trace import draw_trace, list_trace, tell_trace
    from lstm_spec_cli.array_files import (
        read_inputs,
        refuse_other_suffix,
        refuse_overwriting,
        write_arrays,
        write_text,
    )
    from lstm_spec_cli.weights_files import read_layer

    if picture is not None and not picture.endswith(".svg"):
        help = "name it t.svg; browsers show it, and rsvg-convert or Inkscape make a PNG of it"
        raise OptionError(Finding("picture", "a picture is SVG", found=safe(picture, None), help=help))
    number = whole(sample or "0")
    if picture is None and (sample, member) != (None, None):
        raise OptionError(Finding("options", "--sample and --member choose what --picture shows", help="add --picture"))
    if not isinstance(number, int):
        raise OptionError(Finding("sample", f"--sample {safe(sample or '', 40)} is no number", expected="0, 1, …"))
    if output is not None and picture is not None and realpath(output) == realpath(picture):
        raise OptionError(Finding("output", "--output and --picture are one file", safe(output, None)))
    for path, option in ((output, "--output"), (picture, "--picture")):
        if path is not None:
            refuse_overwriting(path, (weights, input), option)
    if output is not None:
        refuse_other_suffix(output)
    layer, found = read_layer(weights, chosen, at, dialect)
    inputs = read_inputs(input, layer, found, cast=cast)
    traced = trace_layer(layer, found, inputs.x, inputs.state, lengths=inputs.lengths, mask=inputs.mask)
    drawn = draw_trace(traced, number, member) if picture is not None else ""
    wrote = []
    if output is not None:
        write_arrays(output, traced.arrays)
        wrote.append(f"wrote {output}: {', '.join(f'{n} {a.shape}' for n, a in traced.arrays.items())}")
    if picture is not None:
        write_text(picture, drawn)
        wrote.append(f"wrote {picture}")
    if json:
        return Answer(answer_json(traced).parts, remark="\n".join(wrote))
    return Answer((list_trace(traced), "\n".join(tell_trace(traced))), remark="\n".join(wrote))
