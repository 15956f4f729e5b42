"""`lstm-spec identify`: from arrays in any layout and one recorded step, the convention."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import Json
from lstm_spec_cli.output import CONFORMS, DOES_NOT_CONFORM, Answer, answer_json


def identify(
    weights: Annotated[
        str, typer.Argument(help="A file of arrays, in any layout.", metavar="WEIGHTS", show_default=False)
    ],
    step: Annotated[
        str,
        typer.Option(
            help="An npz of one recorded step: x (B, n), h, c before it, h1, c1 after it.",
            metavar="step.npz",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            help="How the names of the arrays begin, of one of several layers.", metavar="PREFIX", show_default=False
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="An array of the layer, where others stand beside them. Repeated for each.",
            metavar="ARRAY",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="Write the weights, once identified, as lstm-spec's own.", metavar="own.npz", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> Answer:
    """Find the convention of an LSTM's arrays: which block is which gate, how they lie, which activations.

    Exits with 0 when one convention fits, 1 when none or several do, 2 when the question was wrong.

    lstm-spec identify weights.npz --step step.npz
    """
    from lstm_spec.conformance.identification.identifying import identify as find
    from lstm_spec.conformance.identification.unpacking import unpack

    if output is not None:
        from lstm_spec_cli.array_files import refuse_other_suffix, refuse_overwriting, write_arrays

        refuse_overwriting(output, (weights, step))
        refuse_other_suffix(output)
    found = find(weights, step, at, only or ())
    code = CONFORMS if found.ok else DOES_NOT_CONFORM
    remark = ""
    if output is not None and found.ok:
        _, own = unpack(weights, found)
        write_arrays(output, own)
        remark = f"wrote {output}: {', '.join(own)}"
    elif output is not None:
        remark = f"{output} is not written: nothing was identified"
    answer = answer_json(found, code) if json else Answer((str(found),), code=code)
    return Answer(answer.parts, remark, code)
