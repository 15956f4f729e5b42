"""Heat maps: well-formed, one rectangle a value, the same bytes for the same arrays."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import OptionError
from lstm_spec.render.heatmap import MISSING, PALETTES, Panel, colour_of, downsample, draw_heat_maps
from lstm_spec.render.trace import draw_trace

SVG = "{http://www.w3.org/2000/svg}"


def cells(svg: str) -> list[list[ElementTree.Element]]:
    """The rectangles of each panel."""
    groups = ElementTree.fromstring(svg).iter(f"{SVG}g")
    return [list(g.iter(f"{SVG}rect")) for g in groups if g.get("class") == "cells"]


def words(svg: str) -> list[str]:
    return [t.text or "" for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_one_rectangle_a_value_in_its_place_and_colour():
    values = np.array([[0.0, 0.5, 1.0], [1.0, np.nan, 0.25]])
    panel = Panel("f <&>", values, 0, 1, "sequential")
    svg = draw_heat_maps("A & B", "two units", [panel])
    ((*rects,),) = cells(svg)
    found = {(int(r.get("y")), int(r.get("x"))): r.get("fill") for r in rects}
    assert found == {(r, c): colour_of(values[r, c], panel) for r in range(2) for c in range(3)}
    low, *_, high = PALETTES["sequential"]
    assert (found[0, 0], found[0, 1], found[0, 2], found[1, 1]) == (low, PALETTES["sequential"][2], high, MISSING)
    assert {"A & B", "two units", "f <&>", "unit", "step", "0.5"} <= set(words(svg))
    assert "Grey: no step of this sample, or no finite number." in words(svg)


def test_a_diverging_scale_is_white_at_zero():
    panel = Panel("c", np.zeros((1, 1)), -3, 3, "diverging")
    assert colour_of(0, panel) == PALETTES["diverging"][2]
    assert [colour_of(v, panel) for v in (-9, 9)] == [PALETTES["diverging"][0], PALETTES["diverging"][-1]]


def test_what_is_too_large_is_averaged_and_said():
    values = np.arange(128 * 400, dtype=float).reshape(128, 400)
    small = downsample(values)
    assert small.shape == (43, 100)
    assert small[0, 0] == values[:3, :4].mean()
    assert small[-1, -1] == values[-2:, -4:].mean()
    svg = draw_heat_maps("t", "s", [Panel("f", values, 0, values.max(), "sequential")])
    assert "Each cell is the mean of 3 units by 4 steps." in words(svg)
    assert len(cells(svg)[0]) == 43 * 100


def test_a_trace_is_drawn_panel_by_panel_and_always_alike():
    layer = ls.lstm(3, 4, bidirectional=True)
    traced = ls.trace(layer, layer.random(seed=0), np.random.default_rng(0).normal(size=(6, 2, 3)), lengths=[6, 2])
    svg = draw_trace(traced, 1, "l0.reverse")
    assert [len(c) for c in cells(svg)] == [4 * 6] * 6
    assert [w for w in words(svg) if w in tuple("ifgoch")] == list("ifgoch")
    assert "6 steps, sample 1 of 2, counted from 0; it reads from the last step to the first" in words(svg)
    assert svg == draw_trace(traced, 1, "l0.reverse")
    forget = Panel("f", traced["l0.reverse.f"][:, 1].T, 0, 1, "sequential")
    assert [r.get("fill") for r in cells(svg)[1]] == [colour_of(v, forget) for v in forget.values.ravel()]


@pytest.mark.parametrize(
    ("sample", "member", "message"),
    [
        (2, None, "error[sample]: there is no sample 2\n  expected 0 to 1"),
        (-1, None, "error[sample]: there is no sample -1\n  expected 0 to 1"),
        (0, "l1", "error[member]: there is no cell l1\n  expected l0"),
    ],
)
def test_what_is_not_there(sample, member, message):
    layer = ls.lstm(3, 4)
    traced = ls.trace(layer, layer.random(seed=0), np.zeros((6, 2, 3)))
    with pytest.raises(OptionError) as error:
        draw_trace(traced, sample, member)
    assert str(error.value) == message


def test_no_steps_still_make_a_picture():
    layer = ls.lstm(3, 4)
    svg = draw_trace(ls.trace(layer, layer.random(seed=0), np.zeros((0, 1, 3))))
    assert cells(svg) == []
    assert "0 steps, sample 0 of 1, counted from 0" in words(svg)


def test_a_notebook_shows_bounds_and_traces():
    layer = ls.lstm(3, 4)
    traced = ls.trace(layer, layer.random(seed=0), np.zeros((6, 2, 3)))
    shown = traced._repr_html_()
    assert shown.startswith("<table>")
    assert shown.endswith(draw_trace(traced))
    assert "<td>|c_t| &lt;= |c_0| + t</td>" in ls.bounds(layer)._repr_html_()


def test_the_largest_floats_have_colours_and_short_labels():
    most = 1.7e308
    panel = Panel("c", np.array([[most, -most, 0.0]]), -most, most, "diverging")
    low, _, middle, _, high = PALETTES["diverging"]
    assert [colour_of(v, panel) for v in (most, -most, 0.0)] == [high, low, middle]
    assert words(draw_heat_maps("t", "s", [panel]))[-3:] == ["1.7e308", "0", "−1.7e308"]
    small = Panel("c", np.zeros((1, 1)), -123456, 123456, "diverging")
    assert words(draw_heat_maps("t", "s", [small]))[-3:] == ["1.2e5", "0", "−1.2e5"]


def test_a_long_name_ends_before_the_next_panel():
    panel = Panel("g" * 100, np.zeros((1, 1)), 0, 1, "sequential")
    assert "g" * 43 + "…" in words(draw_heat_maps("t", "s", [panel, panel]))


def test_no_steps_are_said():
    panel = Panel("f", np.zeros((3, 0)), 0, 1, "sequential")
    assert words(draw_heat_maps("t", "s", [panel]))[-1] == "There are no steps."
