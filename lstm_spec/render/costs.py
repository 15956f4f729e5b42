"""A cost, and what other counters make of it → tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from lstm_spec.layers.cost import Cost, CostLine, number_text
from lstm_spec.layers.counters import TWO_BIASES, Reported
from lstm_spec.render.tables import Row, Table
from lstm_spec.symbolic.operations import Operation


def list_cost(cost: Cost) -> Table:
    """Every line with its polynomial and its number; a new group for each unit."""
    rows = [(line.unit, (line.name, _formula(line), number_text(line.count))) for line in cost.lines]
    groups = tuple(tuple(row for _, row in group) for _, group in groupby(rows, key=lambda pair: pair[0]))
    table = Table(("line", "formula", "count"), groups)
    says_more = any(line.count != line.shown for line in cost.lines if line.unit != "operations a byte")
    if says_more:
        return table
    return Table(table.headings[:2], tuple(tuple(row[:2] for row in group) for group in groups))


def _formula(line: CostLine) -> str:
    """The polynomial; a ratio is told by the lines that it is of."""
    return line.definition.partition(":")[0] if line.unit == "operations a byte" else str(line.formula)


def list_definitions(cost: Cost) -> Table:
    """Every line with what it counts."""
    functions = [line.name for line in cost.lines if line.definition == "of the activations"]
    rows = [(line.name, line.definition) for line in cost.lines if line.name not in functions]
    return Table(("line", "what it counts"), (tuple(rows),))


def list_operations(operations: Sequence[Operation]) -> Table:
    """Every operation of one evaluation of a cell, a group an equation."""
    groups = groupby(operations, key=lambda o: o.equation)
    rows = tuple(tuple(_operation_row(o) for o in group) for _, group in groups)
    return Table(("equation", "kind", "count", "what"), rows)


def _operation_row(operation: Operation) -> Row:
    kind = f"{operation.kind}, {operation.function}" if operation.function else operation.kind
    return operation.equation, kind, str(operation.count), operation.what


def list_reports(reports: Sequence[Reported]) -> Table:
    """What each counter reports, and how many times the true MACs that is."""
    first = reports[0]
    true = (
        ("true MACs", number_text(first.macs), "1", "lstm-spec"),
        ("true FLOPs", number_text(first.flops), _ratio(first.flops, first.macs), "lstm-spec"),
    )
    rows = tuple((r.counter.name, number_text(r.count), _ratio(r.count, r.macs), r.counter.version) for r in reports)
    return Table(("counter", "reports", "of the MACs", "version"), (true, rows))


def _ratio(count: Any, macs: Any) -> str:
    ratio = count / macs if macs != 0 else macs
    return f"{float(ratio):.4g}" if ratio.is_Rational else ""


def explain_report(report: Reported) -> str:
    """The figure, its formula, why it is that, and where that stands."""
    counter = report.counter
    lines = [
        f"{counter.name} {counter.version}",
        f"  reports  {counter.figure} = " + " = ".join(dict.fromkeys((str(report.formula), number_text(report.count)))),
        f"  true     {number_text(report.macs)} MACs, {number_text(report.flops)} FLOPs",
        f"  because  {counter.because}",
        f"  source   {counter.source}",
    ]
    if report.is_rewritten:
        lines.insert(2, f"  layer    {TWO_BIASES}")
    return "\n".join(lines)
