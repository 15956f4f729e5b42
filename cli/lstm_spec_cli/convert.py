"""`lstm-spec convert`: the layers of a file as another framework's tensors, proven to compute the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lstm_spec_cli.layer_options import InDialect, Json
from lstm_spec_cli.output import DOES_NOT_CONFORM, Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.conformance.conversion.conversion import Conversion


def convert(
    file: Annotated[str, typer.Argument(help="A file that lstm-spec check reads.", metavar="FILE", show_default=False)],
    to: Annotated[
        str, typer.Option(help="A name of lstm-spec dialects: whose tensors.", metavar="DIALECT", show_default=False)
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="*.npz, *.safetensors, *.onnx, *.pt, *.h5 or *.msgpack.",
            metavar="OUT",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None, typer.Option(help="Which of the file's layers; all without.", metavar="NAME", show_default=False)
    ] = None,
    dialect: InDialect = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="A loss that is agreed to: two-biases, forget-bias, options, merge, initial-state, lengths."
            " May be repeated.",
            metavar="LOSS",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> Answer:
    """Write the recurrent layers of a file under another framework's names, in its gate order and layout.

    Both sides are compiled, each from its own dialect's equations, and must agree on random sequences before anything
    is written. What the target cannot hold is listed and refused, unless --allow names it. Other recurrent layers, such
    as a GRU, stay behind and are listed.

    Exits with 0 when it is written, 1 when something would be lost that is not allowed, 2 when the question was wrong.

    lstm-spec convert model.onnx --to pytorch -o model.safetensors
    """
    import lstm_spec as ls
    from lstm_spec.errors import OptionError
    from lstm_spec_cli.array_files import refuse_overwriting

    refuse_overwriting(output, (file,))
    try:
        conversion = ls.convert(file, to, at=at, dialect=dialect, allow=allow or (), output=output)
    except OptionError as error:
        if error.code != "loss":
            raise
        return Answer(remark=str(error), code=DOES_NOT_CONFORM)
    if json:
        return answer_json(conversion)
    return Answer(remark="\n".join(_told(conversion, output)))


def _told(conversion: Conversion, output: str) -> list[str]:
    from lstm_spec.errors import safe
    from lstm_spec.phrases import begun

    lines = []
    for converted in conversion.layers:
        where = safe(converted.where)
        lines.append(f"{where}: {converted.source} -> {conversion.to}, {converted.agreement}")
        lines += [f"  lost: {loss.words}" for loss in converted.adapted.losses]
        lines += [f"  note: {note}" for note in converted.adapted.notes]
    if conversion.left:
        names = begun(conversion.left, 5, lambda name: safe(name, 60))
        lines.append(f"left out, for they are in no recurrent layer: {names}")
    lines += [f"left out, for it cannot be read: {safe(finding.message, None)}" for finding in conversion.unread]
    lines += [f"{finding.severity}: {safe(finding.message, None)}" for finding in conversion.told]
    return [*lines, f"wrote {output}: {len(conversion.tensors)} tensors"]
