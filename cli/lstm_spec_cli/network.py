"""`lstm-spec network`: a layer in one of the task forms, from the input to the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from lstm_spec_cli.layer_options import Json, StackOptions, spread, whole
from lstm_spec_cli.output import Answer, answer_json


@dataclass(frozen=True, slots=True)
class FormOptions(StackOptions):
    """A layer with sizes by position; its output is the form's."""

    sizes: Annotated[
        list[str] | None,
        typer.Argument(
            help="n, then k, then the cell's other sizes: numbers, or letters.", metavar="SIZES", show_default=False
        ),
    ] = None


@spread
def network(
    form: Annotated[
        str,
        typer.Argument(
            help="one-to-one, one-to-many, many-to-one, many-to-many or encoder-decoder.",
            metavar="FORM",
            show_default=False,
        ),
    ],
    chosen: FormOptions,
    units: Annotated[str, typer.Option(help="Of the dense head; m without.", metavar="M", show_default=False)] = "m",
    activation: Annotated[
        str,
        typer.Option(
            help="Of the head; identity without.", metavar="identity|softmax|sigmoid|tanh|relu", show_default=False
        ),
    ] = "identity",
    steps: Annotated[str, typer.Option(help="S, where the form has it.", metavar="S", show_default=False)] = "S",
    batch: Annotated[str | None, typer.Option(help="B, a number.", metavar="B", show_default=False)] = None,
    time: Annotated[str | None, typer.Option(help="T, a number.", metavar="T", show_default=False)] = None,
    json: Json = False,
) -> Answer:
    """Print a network in one of the task forms: what each member takes and gives, and its parameters.

    lstm-spec network many-to-one n k

    lstm-spec network encoder-decoder 5 10 --units 3 --bias two
    """
    from lstm_spec.layers.forms import build_form

    layer = chosen.build_layer(tuple(chosen.sizes or ()), "sequence")
    built = build_form(form, layer, units, activation, steps)  # type: ignore[arg-type]
    described = built.shapes(batch=whole(batch), time=whole(time))
    if json:
        return answer_json(described)
    from lstm_spec.render.tables import Table

    return Answer((Table(described.headings, (described.rows,)), f"parameters  {described.count}"))
