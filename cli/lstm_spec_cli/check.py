"""`lstm-spec check`: a real file, held against what the equations derive."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import InDialect, Json, refuse_beside_own_names
from lstm_spec_cli.output import CONFORMS, DOES_NOT_CONFORM, Answer, answer_json

WRITTEN_BY, CONTRACT = "what lstm-spec spec FILE prints", "a contract as TOML"


def check(
    file: Annotated[
        str,
        typer.Argument(
            help="A checkpoint file, a folder or pattern of them, or a URL.", metavar="FILE", show_default=False
        ),
    ],
    dialect: InDialect = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Another cell: a name of lstm-spec cells, or a file.", metavar="NAME|FILE.cell", show_default=False
        ),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(help="A contract that lstm-spec spec wrote.", metavar="spec.toml", show_default=False),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            help="An npz of one recorded step that it must compute: x, h, c before it, h1, c1 after it.",
            metavar="step.npz",
            show_default=False,
        ),
    ] = None,
    numbers: Annotated[
        bool,
        typer.Option(
            help="Also read values and compare numbers, of layers up to 1 GB, where a framework is installed."
        ),
    ] = True,
    json: Json = False,
) -> Answer:
    """Find the recurrent layers in a file and hold every tensor against its derived shape.

    Exits with 0 when the file conforms, 1 when it does not, 2 when the question was wrong.

    lstm-spec check model.onnx

    lstm-spec spec model.onnx > spec.toml; lstm-spec check new.onnx --spec spec.toml

    lstm-spec check weights.npz --step step.npz
    """
    import lstm_spec as ls
    from lstm_spec.conformance.verdict.contract import LONGEST, read_contract
    from lstm_spec_cli.cell_files import read_cell
    from lstm_spec_cli.text_files import read_text

    if cell is not None:
        refuse_beside_own_names({"--dialect": dialect, "--step": step})
    report = ls.check(
        file,
        dialect=dialect,
        cell=None if cell is None else read_cell(cell),
        numbers=numbers,
        contract=None if spec is None else read_contract(read_text(spec, LONGEST, WRITTEN_BY, CONTRACT), spec),
        step=step,
    )
    code = CONFORMS if report.ok else DOES_NOT_CONFORM
    return answer_json(report, code) if json else Answer((str(report),), code=code)
