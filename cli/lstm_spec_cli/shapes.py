"""`lstm-spec shapes`: every tensor of a layer, with letters or numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import InNotation, Json, LayerOptions, in_notation, spread, whole
from lstm_spec_cli.output import Answer, answer_json


@spread
def shapes(
    chosen: LayerOptions,
    batch: Annotated[str | None, typer.Option(help="B, a number.", metavar="B", show_default=False)] = None,
    time: Annotated[str | None, typer.Option(help="T, a number.", metavar="T", show_default=False)] = None,
    notation: InNotation = None,
    json: Json = False,
) -> Answer:
    """Print every tensor of a layer with its shape, in letters or numbers, and the parameter count.

    lstm-spec shapes n k

    lstm-spec shapes 5 10 --batch 1000 --time 10
    """
    described = chosen.read_layer().shapes(batch=whole(batch), time=whole(time))
    if notation is not None:
        from lstm_spec.render.notated import rename_shapes

        described = rename_shapes(described, in_notation(described.layer.cell, notation))
    if json:
        return answer_json(described)
    from lstm_spec.render.listings import equated, list_shapes

    return Answer((list_shapes(described), f"parameters  {equated(described.formula, described.count)}"))
