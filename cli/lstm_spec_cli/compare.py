"""`lstm-spec compare`: whether two files hold the same recurrent layers, each in its place, however called."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lstm_spec_cli.layer_options import Json
from lstm_spec_cli.output import CONFORMS, DOES_NOT_CONFORM, Answer, answer_json


def _file(metavar: str) -> Any:
    return typer.Argument(help="A file that lstm-spec check reads.", metavar=metavar, show_default=False)


def compare(
    first: Annotated[str, _file("A")],
    second: Annotated[str, _file("B")],
    at: Annotated[
        str | None, typer.Option(help="Which of A's layers; all without.", metavar="NAME", show_default=False)
    ] = None,
    with_: Annotated[
        str | None, typer.Option("--with", help="Which of B's layers.", metavar="NAME", show_default=False)
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="Whose names and gate order both have; told from the files without.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    with_dialect: Annotated[
        str | None,
        typer.Option(help="The same of B, where it has others.", metavar="NAME", show_default=False),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Leave out the cells that only one of the files has.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Hold two files against each other, tensor by tensor, across formats, gate orders and layouts.

    Exits with 0 when every recurrent cell has its equal in its place in the other file, 1 when one differs, stands in
    another place, is in one file only or could not be compared, 2 when the question was wrong.

    The place is where data comes to the layer, if both files say it: a graph, a Keras configuration, a stack, numbers
    in the names. Names do not count then. Else it is the name, if both files have it. Cells that neither puts anywhere
    are paired by their numbers: the answer says so, and exits with 0 when they are equal.

    lstm-spec compare model.onnx model.safetensors

    lstm-spec compare model.pt model.npz --with-dialect openvino
    """
    import lstm_spec as ls

    dialects = (dialect, with_dialect or dialect)
    comparison = ls.compare(first, second, at=(at, with_), dialect=dialects, shared=shared)
    code = CONFORMS if comparison.ok else DOES_NOT_CONFORM
    return answer_json(comparison, code) if json else Answer((str(comparison),), code=code)
