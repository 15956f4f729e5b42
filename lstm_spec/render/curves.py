"""Lines over time → SVG in the frame of the heat maps: a panel for each group of lines, on a scale of powers of ten.

The same values give the same bytes. Lines differ in colour and in dashes, so that they can be told apart in grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from lstm_spec.render.heatmap import BOTTOM, FAINT, FONT, HEIGHT, INK, LEFT, MARGIN, TOP, WIDTH, _quoted, _short, _text
from lstm_spec.render.heatmap import _ticks as count_ticks

Array = np.ndarray[Any, Any]
LINES = (("#163058", ""), ("#c0661d", "7 3"), ("#3b7aa3", "2 2.5"), ("#8f430f", "9 3 2 3"), ("#6b6b6b", "4 4"))
HEAD, KEY = 58, 150  # above the panels; beside each
MOST_DECADES = 5  # numbers at the scale


@dataclass(frozen=True, slots=True)
class Line:
    """One line: log10 of its values by step; no number, no point."""

    label: str
    logs: Array


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same steps."""

    title: str
    lines: tuple[Line, ...]


def draw_charts(title: str, subtitle: str, charts: Sequence[Chart], columns: int = 2) -> str:
    """The SVG document."""
    across, down = LEFT + 8 + WIDTH + KEY, TOP + HEIGHT + BOTTOM + 8
    columns = max(1, min(columns, len(charts)))
    rows = -(-len(charts) // columns)
    width, height = 2 * MARGIN + columns * across, 2 * MARGIN + HEAD + rows * down
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label={_quoted(title)} {FONT}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN + 4, MARGIN + 16, title, 16, INK, weight="bold"),
        _text(MARGIN + 4, MARGIN + 36, subtitle, 12, FAINT),
    ]
    for number, chart in enumerate(charts):
        x, y = MARGIN + (number % columns) * across, MARGIN + HEAD + (number // columns) * down
        lines += [f'<g transform="translate({x + LEFT + 8} {y + TOP})">', *_chart(chart), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _chart(chart: Chart) -> Iterator[str]:
    yield _text(0, -9, chart.title, 13, INK, weight="bold")
    low, high = _range(chart)
    steps = max((len(line.logs) for line in chart.lines), default=0)
    for decade in _decades(low, high):
        y = _height(decade, low, high)
        yield f'<path d="M0 {_short(y)}H{WIDTH}" stroke="#e4e4e0" stroke-width="0.8"/>'
        yield _power(-6, y + 3.5, decade)
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{FAINT}" stroke-width="0.7"/>'
    for index in count_ticks(steps):
        yield _text(_across(index - 1, steps), HEIGHT + 13, str(index), 10, FAINT, anchor="middle")
    yield _text(WIDTH / 2, HEIGHT + 27, "step", 11, INK, anchor="middle")
    for number, line in enumerate(chart.lines):
        colour, dashes = LINES[number % len(LINES)]
        style = f'fill="none" stroke="{colour}" stroke-width="1.6"' + f' stroke-dasharray="{dashes}"' * bool(dashes)
        yield f'<path class="line" d="{_path(line.logs, low, high)}" {style}/>'
        y = 8 + 17 * number
        yield f'<path d="M{WIDTH + 12} {y}h24" {style}/>'
        yield _text(WIDTH + 42, y + 3.5, line.label, 11, INK)


def _range(chart: Chart) -> tuple[int, int]:
    """The decades around all that is finite, and 1 = 10^0 among them."""
    finite = [line.logs[np.isfinite(line.logs)] for line in chart.lines]
    every = np.concatenate([*finite, [0.0]])
    low, high = floor(every.min() + 1e-9), ceil(every.max() - 1e-9)
    return (low, high) if high > low else (low - 1, high)


def _decades(low: int, high: int) -> list[int]:
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if (high - low) / (s * 10**e) <= MOST_DECADES)
    return [d for d in range(low, high + 1) if d % step == 0]


def _height(log: float, low: int, high: int) -> float:
    return (high - log) / (high - low) * HEIGHT


def _across(index: int, steps: int) -> float:
    return (index + 0.5) / max(steps, 1) * WIDTH


def _path(logs: Array, low: int, high: int) -> str:
    """A line through the finite points; a gap where there is none, a dot's width where one stands alone."""
    parts, pen = [], "M"
    for index, log in enumerate(logs):
        if not np.isfinite(log):
            pen = "M"
            continue
        x, y = _short(_across(index, len(logs))), _short(_height(float(log), low, high))
        parts.append(f"{pen}{x} {y}" + "h0.01" * (pen == "M"))
        pen = "L"
    return "".join(parts)


def _power(x: float, y: float, decade: int) -> str:
    if decade == 0:
        return _text(x, y, "1", 10, FAINT, anchor="end")
    shown = str(decade).replace("-", "−")
    raised = f'<tspan dy="-3.5" font-size="8">{shown}</tspan>'
    return f'<text x="{_short(x)}" y="{_short(y)}" font-size="10" fill="{FAINT}" text-anchor="end">10{raised}</text>'
