"""`lstm-spec cost`: operations, memory and arithmetic intensity, and what other counters report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_spec.errors import Finding, LstmSpecError, OptionError, SizeError, safe
from lstm_spec_cli.layer_options import Json, LayerOptions, spread, whole
from lstm_spec_cli.output import Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.layers.cost import Cost

MOST_LENGTHS = 100_000
AS = "torchinfo|thop|ptflops|deepspeed|calflops|onnx-tool|fvcore|all"


@spread
def cost(
    chosen: LayerOptions,
    batch: Annotated[str | None, typer.Option(help="B, a number.", metavar="B", show_default=False)] = None,
    time: Annotated[str | None, typer.Option(help="T, a number.", metavar="T", show_default=False)] = None,
    lengths: Annotated[
        str | None, typer.Option(help="Of packed sequences, instead of B and T.", metavar="7,3,1", show_default=False)
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Of the bytes; float32 without.", metavar="float32|float16|…", show_default=False)
    ] = "float32",
    counter: Annotated[
        str | None, typer.Option("--as", help="What that counter reports, and why.", metavar=AS, show_default=False)
    ] = None,
    operations: Annotated[
        bool, typer.Option("--operations", help="List every operation of one step.", show_default=False)
    ] = False,
    json: Json = False,
) -> Answer:
    """Print what a layer costs: multiply-accumulates, biases, elementwise work, bytes, with a definition for each line.

    lstm-spec cost n k

    lstm-spec cost 64 64 --batch 1 --time 100 --as thop
    """
    if counter is not None and operations:
        message = "--operations lists lstm-spec's own count, --as another's"
        raise OptionError(Finding("options", message, help="drop one of them"))
    packed = None if lengths is None else [_length(given) for given in lengths.split(",")[: MOST_LENGTHS + 1]]
    derived = chosen.read_layer().cost(whole(batch), whole(time), packed, dtype)
    if counter is not None:
        return _reported(derived, counter, json)
    if json:
        return answer_json(derived)
    from lstm_spec.render.costs import list_cost, list_definitions, list_operations

    more = (list_operations(derived.operations),) if operations else ()
    return Answer((list_cost(derived), list_definitions(derived), *more))


def _length(given: str) -> Any:
    number = whole(given.strip())
    if not isinstance(number, int):
        shown = safe(repr(given), 40)
        raise SizeError(Finding("size", f"lengths: {shown} is no length", expected="whole numbers ≥ 1, e.g. 7,3,1"))
    return number


def _reported(derived: Cost, name: str, json: bool) -> Answer:
    from lstm_spec.layers.counters import COUNTERS, Reports, report_as
    from lstm_spec.render.costs import explain_report, list_reports

    if name != "all":
        report = report_as(derived, name)
        return answer_json(report) if json else Answer((explain_report(report),))
    reports, refused = [], []
    for each in COUNTERS:
        try:
            reports.append(report_as(derived, each))
        except LstmSpecError as error:
            refused.append(error)
    if not reports:
        because = (refused[0].finding.because or "").replace("torchinfo counts", "they count")
        message = "no counter has a count for this layer"
        raise OptionError(Finding("counter", message, because=because, help="leave --as out for the true count"))
    if json:
        return answer_json(Reports(tuple(reports)))
    remark = "\n".join(f"{error.finding.message}: {error.finding.because}" for error in refused)
    return Answer((list_reports(reports), *map(explain_report, reports)), remark=remark)
