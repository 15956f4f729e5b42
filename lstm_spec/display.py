"""The base class of values that a notebook shows as mathematics and tables.

The pictures are drawn by `render`, which stands above every value; it is looked up by name when a notebook asks, so
that nothing below it imports it.
"""

from __future__ import annotations

from importlib import import_module


class Displayed:
    """A value with notebook hooks; each asks `lstm_spec.render.notebook` and may get None, which shows `str(value)`."""

    __slots__ = ()

    def _repr_latex_(self) -> str | None:
        shown: str | None = import_module("lstm_spec.render.notebook").latex(self)
        return shown

    def _repr_html_(self) -> str | None:
        shown: str | None = import_module("lstm_spec.render.notebook").html(self)
        return shown
