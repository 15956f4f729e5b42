"""A trace → its table for the terminal, and its panels for a picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lstm_spec.compiler.trace_summary import Summary, summarize
from lstm_spec.compiler.tracing import Trace
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.phrases import counted
from lstm_spec.render.heatmap import Panel, downsample, draw_heat_maps
from lstm_spec.render.tables import Table
from lstm_spec.symbolic.bounds import bound_cell

DEFINED = """\
low: the share below 0.05; high: above 0.95, of the absolute value where it has a sign
dead: units whose absolute value never exceeds 0.05
memory: the median unit's -1/ln(mean share kept), in steps
proven: the range that holds over these steps, from these initial states"""


def list_trace(trace: Trace) -> Table:
    """A row a name; a group a cell."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    alone = len(trace.layer.members) == 1
    for row in summarize(trace):
        prefix, _, own = row.name.rpartition(".")
        groups.setdefault(prefix, []).append(_row(own if alone else row.name, row))
    headings = ("", "min", "mean", "max", "low", "high", "dead", "memory", "proven")
    return Table(headings, tuple(map(tuple, groups.values())))


def _row(name: str, row: Summary) -> tuple[str, ...]:
    low, high = ("-" if share is None else f"{share:.0%}" for share in (row.low, row.high))
    memory = "all" if row.memory == np.inf else _number(row.memory)
    verdict = row.proven if row.within is not False else f"{row.proven}, broken"
    numbers = map(_number, (row.lowest, row.mean, row.highest))
    return (name, *numbers, low, high, f"{row.dead} of {row.units}", memory, verdict or "nothing")


def _number(value: float | None) -> str:
    """Three digits; a dash where there is no number."""
    return "-" if value is None or np.isnan(value) else f"{value:.3g}"


def tell_trace(trace: Trace) -> Iterator[str]:
    """How to read the table, and what is strange."""
    yield DEFINED
    for row in summarize(trace):
        if row.strange:
            yield f"warning: {safe(row.name)} has {row.strange} entries that are NaN or infinite"


def draw_trace(trace: Trace, sample: int = 0, member: str | None = None) -> str:
    """One sample's values in one cell, as SVG. Raises OptionError for a sample or a cell that is not there."""
    steps, samples = trace.alive.shape
    if not 0 <= sample < samples:
        raise OptionError(
            Finding("sample", f"there is no sample {sample}", expected=f"0 to {samples - 1}" if samples else "none")
        )
    prefixes = [m.prefix for m in trace.layer.members]
    chosen = prefixes[0] if member is None else member
    if chosen not in prefixes:
        raise OptionError(Finding("member", f"there is no cell {safe(chosen, 40)}", expected=", ".join(prefixes)))
    names = [name for name in trace.arrays if name.rpartition(".")[0] == chosen]
    panels = [_panel(trace, name, sample) for name in names]
    about = f"{counted(steps, 'step')}, sample {sample} of {samples}, counted from 0"
    reverse = "; it reads from the last step to the first" if chosen.endswith(".reverse") else ""
    return draw_heat_maps(f"Every value of {chosen}", about + reverse, panels)


def _panel(trace: Trace, name: str, sample: int) -> Panel:
    """Colours from 0 to 1 where that is proven, from −1 to 1 likewise; else to the largest that is drawn."""
    values = trace.arrays[name][:, sample].T.astype(np.float64)
    real = bound_cell(trace.layer.cell)[name.rpartition(".")[2]].real
    own = name.rpartition(".")[2]
    if real.low >= 0 and real.high <= 1:
        return Panel(own, values, 0.0, 1.0, "sequential")
    if real.low >= -1 and real.high <= 1:
        return Panel(own, values, -1.0, 1.0, "diverging")
    shown = downsample(values)
    finite = np.abs(shown[np.isfinite(shown)])
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return Panel(own, values, -most, most, "diverging")
