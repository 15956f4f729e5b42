"""Line charts: well-formed, every point at its height, the same bytes for the same values."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import OptionError
from lstm_spec.render.curves import Chart, Line, draw_charts
from lstm_spec.render.heatmap import HEIGHT, WIDTH
from lstm_spec.render.jacobian import draw_jacobians, power_text

SVG = "{http://www.w3.org/2000/svg}"


def paths(svg: str) -> list[str]:
    return [p.get("d") or "" for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == "line"]


def test_every_point_is_at_its_step_and_its_power_of_ten() -> None:
    line = Line("a <&> b", np.array([0.0, -2.0, -4.0, np.nan, -1.0, -np.inf]))
    svg = draw_charts("A & B", "below", [Chart("one", (line,))])
    x = [(i + 0.5) * WIDTH / 6 for i in range(6)]
    y = [HEIGHT * part for part in (0, 0.5, 1, 0, 0.25)]
    expected = f"M{x[0]:g} {y[0]:g}h0.01L{x[1]:g} {y[1]:g}L{x[2]:g} {y[2]:g}M{x[4]:g} {y[4]:g}h0.01"
    assert paths(svg) == [expected]
    words = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"A & B", "below", "one", "a <&> b", "step", "1"} <= set(words)
    raised = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}tspan")]
    assert raised == ["−4", "−3", "−2", "−1"]
    assert draw_charts("A & B", "below", [Chart("one", (line,))]) == svg


@pytest.mark.parametrize("logs", [[], [np.nan], [0.0], [-1e6, 0], [250.0]])
def test_no_points_one_point_and_very_many_decades(logs: list[float]) -> None:
    svg = draw_charts("", "", [Chart("", (Line("", np.array(logs)),))])
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}tspan"))) <= 6
    assert "nan" not in svg
    assert "inf" not in svg


def test_the_picture_of_a_layer() -> None:
    layer = ls.lstm(3, 4, bidirectional=True)
    found = ls.jacobian(layer, layer.random(0), np.random.default_rng(0).normal(size=(6, 2, 3)), lengths=[6, 3])
    first, second = draw_jacobians(found, 0), draw_jacobians(found, 1, "l0.reverse")
    assert [path.count("L") for path in paths(first)] == [5] * 7
    assert [path.count("L") for path in paths(second)] == [2] * 7
    assert "From step t to the last: |dc[1]/dc[t+1]|" in second
    assert "sample 1 of 2, counted from 0" in second
    with pytest.raises(OptionError, match=r"error\[sample\]: there is no sample 2"):
        draw_jacobians(found, 2)


def test_a_notebook_shows_both() -> None:
    layer = ls.lstm(3, 4)
    shown = ls.jacobian(layer, layer.random(0), np.zeros((3, 1, 3)))._repr_html_()
    assert shown is not None
    assert shown.startswith("<table")
    assert shown.rstrip().endswith("</svg>")
    derived = ls.derive_jacobian(layer.cell)._repr_latex_()
    assert derived is not None
    assert derived.startswith(r"$$\begin{aligned}")


@pytest.mark.parametrize(
    ("log", "told"), [(0, "1"), (-1.5, "0.0316"), (-400.5, "3.16e-401"), (400, "1e+400"), (-np.inf, "0")]
)
def test_a_number_by_its_power(log: float, told: str) -> None:
    assert power_text(log) == told
