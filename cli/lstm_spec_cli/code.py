"""`lstm-spec code`: the program that would run."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import LayerOptions, one_of, spread
from lstm_spec_cli.output import Answer


@spread
def code(
    chosen: LayerOptions,
    stage: Annotated[
        str, typer.Option(help="The emitted source, or the program's listing.", metavar="source|program")
    ] = "source",
    gradient: Annotated[bool, typer.Option("--gradient", help="With its backward pass.")] = False,
    target: Annotated[str, typer.Option(help="What the source is written for.", metavar="numpy")] = "numpy",
) -> Answer:
    """Print the program that computes a layer.

    lstm-spec code 5 10

    lstm-spec code n k --stage program

    lstm-spec code 5 10 --gradient
    """
    import lstm_spec as ls

    attribute = one_of("stage", stage, {"source": "source", "program": "backward" if gradient else "program"})
    compiled = ls.compile(chosen.read_layer(), target=target, gradient=gradient)
    return Answer((str(getattr(compiled, attribute)),))
