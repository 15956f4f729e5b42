"""What a notebook shows for a value; None where its text says it all."""

from __future__ import annotations

from html import escape

from lstm_spec.compiler.bounding import Bounds
from lstm_spec.compiler.jacobians import Jacobians
from lstm_spec.compiler.tracing import Trace
from lstm_spec.layers.cost import Cost
from lstm_spec.layers.described import LayerShapes
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.question import Solution
from lstm_spec.render.bounds import list_bounds
from lstm_spec.render.costs import list_cost
from lstm_spec.render.jacobian import draw_jacobians, jacobian_latex, list_jacobians
from lstm_spec.render.listings import equated, list_shapes
from lstm_spec.render.mathematics import aligned
from lstm_spec.render.solutions import explain_solution, list_solution
from lstm_spec.render.tables import html as table_html
from lstm_spec.render.trace import draw_trace, list_trace
from lstm_spec.symbolic.blocks import Jacobian
from lstm_spec.symbolic.cell import Cell


def latex(value: object) -> str | None:
    """A cell's equations, or those of a layer's cell, as displayed mathematics."""
    match value:
        case Cell():
            return f"$${aligned(value)}$$"
        case Layer():
            return f"$${aligned(value.cell)}$$"
        case Jacobian():
            return f"$${jacobian_latex(value)}$$"
    return None


def html(value: object) -> str | None:
    """A table: of a layer's shapes with the count below it, of a cost, of a solution."""
    match value:
        case Cost():
            return table_html(list_cost(value))
        case Solution():
            return f"<p>{escape(explain_solution(value))}</p>{table_html(list_solution(value))}"
        case LayerShapes():
            return f"{table_html(list_shapes(value))}<p>{escape(equated(value.formula, value.count))} parameters</p>"
        case Bounds():
            return table_html(list_bounds(value))
        case Trace():
            return table_html(list_trace(value)) + (draw_trace(value) if value.alive.shape[1] else "")
        case Jacobians():
            return table_html(list_jacobians(value)) + (draw_jacobians(value) if value.alive.shape[1] else "")
    return None
