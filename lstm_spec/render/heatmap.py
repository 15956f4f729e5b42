"""Arrays → heat maps as SVG: a panel an array, units down, time across, a colour bar beside each.

The same arrays give the same bytes. No fonts and nothing else is loaded from elsewhere. Both palettes can be told apart
by the colour-blind, and in grey: from light to dark, and from blue over white to brown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np

Array = np.ndarray[Any, Any]
Scale = Literal["sequential", "diverging"]

PALETTES: dict[Scale, tuple[str, ...]] = {
    "sequential": ("#faf8f0", "#cfe2dd", "#7fb5c3", "#3b7aa3", "#163058"),
    "diverging": ("#1d4a75", "#74a5cb", "#f6f4ef", "#e0a066", "#8f430f"),
}
MISSING = "#d0d0d0"
INK, FAINT = "#222222", "#6b6b6b"
FONT = 'font-family="Helvetica, Arial, sans-serif"'
MOST_ROWS, MOST_COLUMNS = 48, 120
MOST_LETTERS = 44  # of a panel's title: the next panel begins there
WIDTH, HEIGHT = 360, 150  # of a panel's cells
LEFT, TOP, RIGHT, BOTTOM = 46, 26, 58, 34  # around them
MARGIN, HEAD = 18, 54


@dataclass(frozen=True, slots=True)
class Panel:
    """One map: `values` (units, steps), NaN where there is none; colours run from `low` to `high`."""

    title: str
    values: Array
    low: float
    high: float
    scale: Scale


def draw_heat_maps(title: str, subtitle: str, panels: Sequence[Panel], columns: int = 2) -> str:
    """The SVG document. Units and steps beyond 48 and 120 are averaged in blocks, and the picture says so."""
    across, down = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
    columns = max(1, min(columns, len(panels)))
    rows = -(-len(panels) // columns)
    notes = _notes(panels)
    width = 2 * MARGIN + columns * across
    height = 2 * MARGIN + HEAD + rows * down + 16 * len(notes)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label={_quoted(title)} {FONT}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN + 4, MARGIN + 16, title, 16, INK, weight="bold"),
        _text(MARGIN + 4, MARGIN + 36, subtitle, 12, FAINT),
        "<defs>",
        *(_gradient(scale) for scale in PALETTES),
        "</defs>",
    ]
    for number, panel in enumerate(panels):
        x, y = MARGIN + (number % columns) * across, MARGIN + HEAD + (number // columns) * down
        lines += [f'<g transform="translate({x + LEFT} {y + TOP})">', *_panel(panel), "</g>"]
    for number, note in enumerate(notes):
        lines.append(_text(MARGIN + 4, MARGIN + HEAD + rows * down + 12 + 16 * number, note, 11, FAINT))
    return "\n".join([*lines, "</svg>", ""])


def _notes(panels: Sequence[Panel]) -> list[str]:
    notes = []
    if any(panel.values.shape[1] == 0 for panel in panels):
        notes.append("There are no steps.")
    blocks = sorted({_block(panel.values.shape) for panel in panels} - {(1, 1)})
    for units, steps in blocks:
        parts = [f"{units} units"] * (units > 1) + [f"{steps} steps"] * (steps > 1)
        notes.append(f"Each cell is the mean of {' by '.join(parts)}.")
    if any(not np.isfinite(panel.values).all() for panel in panels):
        notes.append("Grey: no step of this sample, or no finite number.")
    return notes


def _block(shape: tuple[int, ...]) -> tuple[int, int]:
    return -(-shape[0] // MOST_ROWS) or 1, -(-shape[1] // MOST_COLUMNS) or 1


def downsample(values: Array) -> Array:
    """Means over blocks, so that no more is drawn than can be seen; NaN counts in no mean."""
    units, steps = _block(values.shape)
    if (units, steps) == (1, 1):
        return values
    made = np.full((-(-values.shape[0] // units), -(-values.shape[1] // steps)), np.nan)
    for row in range(made.shape[0]):
        for column in range(made.shape[1]):
            block = values[row * units : (row + 1) * units, column * steps : (column + 1) * steps]
            known = block[np.isfinite(block)]
            made[row, column] = known.mean() if known.size else np.nan
    return made


def _panel(panel: Panel) -> Iterator[str]:
    title = panel.title if len(panel.title) <= MOST_LETTERS else panel.title[: MOST_LETTERS - 1] + "…"
    yield _text(0, -9, title, 13, INK, weight="bold")
    shown = downsample(panel.values)
    rows, columns = shown.shape
    if rows and columns:
        # one unit a cell, stretched: the numbers stay short
        yield (
            f'<g class="cells" shape-rendering="crispEdges" '
            f'transform="scale({_short(WIDTH / columns)} {_short(HEIGHT / rows)})">'
        )
        for row in range(rows):
            for column in range(columns):
                colour = colour_of(float(shown[row, column]), panel)
                yield f'<rect x="{column}" y="{row}" width="1" height="1" fill="{colour}"/>'
        yield "</g>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{FAINT}" stroke-width="0.7"/>'
    yield from _axes(panel.values.shape)
    yield from _bar(panel)


def _axes(shape: tuple[int, ...]) -> Iterator[str]:
    """Units count from 1 down, steps from 1 across."""
    units, steps = shape[0], shape[1]
    for index in _ticks(units):
        yield _text(-6, (index - 0.5) / units * HEIGHT + 3.5, str(index), 10, FAINT, anchor="end")
    for index in _ticks(steps):
        yield _text((index - 0.5) / steps * WIDTH, HEIGHT + 13, str(index), 10, FAINT, anchor="middle")
    yield _text(WIDTH / 2, HEIGHT + 27, "step", 11, INK, anchor="middle")
    label = _text(0, 0, "unit", 11, INK, anchor="middle")
    yield f'<g transform="translate(-39 {HEIGHT / 2:g}) rotate(-90)">{label}</g>'


def _ticks(count: int) -> list[int]:
    """1, a few round numbers, and the last."""
    if count <= 6:
        return list(range(1, count + 1))
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if count / (s * 10**e) <= 5)
    inner = [i for i in range(step, count, step) if i > 0.12 * count and count - i >= 0.12 * count]
    return [1, *inner, count]


def _bar(panel: Panel) -> Iterator[str]:
    x = WIDTH + 12
    fill = f'fill="url(#{panel.scale})" stroke="{FAINT}" stroke-width="0.5"'
    yield f'<rect x="{x}" y="0" width="10" height="{HEIGHT}" {fill}/>'
    for value, y in ((panel.high, 0), (panel.low / 2 + panel.high / 2, HEIGHT / 2), (panel.low, HEIGHT)):
        yield _text(x + 14, y + 3.5, _bar_label(value), 10, FAINT)


def _bar_label(value: float) -> str:
    """Three digits, `−3.64`, `1.2e30`: never wider than the room beside the bar."""
    shown = f"{value:.3g}"
    if "e" in shown:
        digits, _, exponent = f"{value:.1e}".partition("e")
        shown = f"{digits.removesuffix('.0')}e{int(exponent)}"
    return shown.replace("-", "−")


def _gradient(scale: Scale) -> str:
    stops = PALETTES[scale]
    inside = "".join(f'<stop offset="{n / (len(stops) - 1):g}" stop-color="{c}"/>' for n, c in enumerate(stops))
    return f'<linearGradient id="{scale}" x1="0" y1="1" x2="0" y2="0">{inside}</linearGradient>'


def colour_of(value: float, panel: Panel) -> str:
    """The colour of a value: between the two stops beside it."""
    if not np.isfinite(value):
        return MISSING
    stops = PALETTES[panel.scale]
    width = panel.high / 2 - panel.low / 2  # halves, for the largest floats would overflow
    share = 0.5 if width <= 0 else min(max((value / 2 - panel.low / 2) / width, 0.0), 1.0)
    first = min(int(share * (len(stops) - 1)), len(stops) - 2)
    part = share * (len(stops) - 1) - first
    pairs = ((int(stops[first][i : i + 2], 16), int(stops[first + 1][i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def _text(x: float, y: float, words: str, size: int, colour: str, anchor: str = "", weight: str = "") -> str:
    extra = f' text-anchor="{anchor}"' * bool(anchor) + f' font-weight="{weight}"' * bool(weight)
    return f'<text x="{_short(x)}" y="{_short(y)}" font-size="{size}" fill="{colour}"{extra}>{escape(words)}</text>'


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _quoted(words: str) -> str:
    return '"' + escape(words, {'"': "&quot;"}) + '"'
