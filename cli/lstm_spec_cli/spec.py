"""`lstm-spec spec`: the layers of a file as a contract, to hold other files to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lstm_spec.errors import TensorError, safe
from lstm_spec_cli.layer_options import InDialect, refuse_beside_own_names
from lstm_spec_cli.output import DOES_NOT_CONFORM, Answer

if TYPE_CHECKING:
    from lstm_spec.conformance.report import Report


def spec(
    file: Annotated[str, typer.Argument(help="A file that lstm-spec check reads.", metavar="FILE", show_default=False)],
    dialect: InDialect = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Another cell: a name of lstm-spec cells, or a file.", metavar="NAME|FILE.cell", show_default=False
        ),
    ] = None,
) -> Answer:
    """Print the recurrent layers of a file as TOML: what lstm-spec check FILE --spec holds another file to.

    Lines may be deleted: what is not written is not held. The dtype is that of the stored weights: without its line
    they may be stored in another. A recurrent layer that is not read, such as a GRU, is held by its kind and shapes;
    what the file does not say and was assumed has a line of its own. Exits with 1 when the file does not conform.

    lstm-spec spec model.onnx > spec.toml
    """
    import lstm_spec as ls
    from lstm_spec.conformance.verdict.contract import write_contract
    from lstm_spec_cli.cell_files import read_cell

    if cell is not None:
        refuse_beside_own_names({"--dialect": dialect})
    report = ls.check(file, dialect=dialect, cell=None if cell is None else read_cell(cell), numbers=False)
    try:
        written = write_contract(report)
    except TensorError:
        return Answer(remark=str(report), code=DOES_NOT_CONFORM)
    return Answer((written,), remark="\n".join(f"not read: {message}" for message in _unread(report)))


def _unread(report: Report) -> list[str]:
    """What the contract accepts unread, by its kind and shapes."""
    return [safe(finding.message, None) for finding in report.findings if finding.severity == "error"]
