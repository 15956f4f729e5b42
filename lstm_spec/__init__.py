"""What an LSTM is: equations, tensor shapes, parameter counts and code, derived from one definition.

    equations text ──parse──▶ ┐
    lstm(peephole=…, …) ────▶ Cell ──┬─ infer ────▶ Shapes      W_f: k×n …            (dimension inference)
                                     └─ count ────▶ polynomials 4k(n+k+1)
    Cell + sizes + stack + directions + layout = Layer        the thing that is specified, run and checked
    Layer ──lower──▶ Program ──optimize──▶ Program ──emit──▶ NumPy source ──load──▶ Compiled ──▶ arrays
    file or live layer ──read──▶ Tensors ──recognize──▶ Layer + Weights ──check──▶ Report ──render──▶ terminal | JSON

Rooms, each importing only those to its right:
`cli > render > conformance > frameworks > compiler | checkpoints > dialects > layers > cells > symbolic > display | errors`

    >>> import lstm_spec as ls
    >>> ls.lstm("n", "k").parameter_count
    4*k*(k + n + 1)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_spec import cells as cells
    from lstm_spec import dialects as dialects
    from lstm_spec.compiler.compiled import Compiled as Compiled
    from lstm_spec.compiler.compiled import compile_layer as compile
    from lstm_spec.conformance.checking import check as check
    from lstm_spec.conformance.reading import read as read
    from lstm_spec.conformance.report import Report as Report
    from lstm_spec.errors import LstmSpecError as LstmSpecError
    from lstm_spec.layers.factory import lstm as lstm
    from lstm_spec.layers.layer import Layer as Layer
    from lstm_spec.layers.tensors import Tensors as Tensors
    from lstm_spec.layers.weights import State as State
    from lstm_spec.layers.weights import Weights as Weights
    from lstm_spec.symbolic.cell import Cell as Cell
    from lstm_spec.symbolic.language import parse as parse

__version__ = "0.1.0"

# Public name → where it lives. Loaded when used (PEP 562), so that importing the package costs nothing.
PUBLIC: dict[str, tuple[str, str]] = {
    "Cell": ("symbolic.cell", "Cell"),
    "Compiled": ("compiler.compiled", "Compiled"),
    "Layer": ("layers.layer", "Layer"),
    "LstmSpecError": ("errors", "LstmSpecError"),
    "Report": ("conformance.report", "Report"),
    "State": ("layers.weights", "State"),
    "Tensors": ("layers.tensors", "Tensors"),
    "Weights": ("layers.weights", "Weights"),
    "cells": ("cells", ""),
    "check": ("conformance.checking", "check"),
    "compile": ("compiler.compiled", "compile_layer"),
    "dialects": ("dialects", ""),
    "lstm": ("layers.factory", "lstm"),
    "parse": ("symbolic.language", "parse"),
    "read": ("conformance.reading", "read"),
}

__all__ = [
    "Cell",
    "Compiled",
    "Layer",
    "LstmSpecError",
    "Report",
    "State",
    "Tensors",
    "Weights",
    "__version__",
    "cells",
    "check",
    "compile",
    "dialects",
    "lstm",
    "parse",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'lstm_spec' has no attribute {name!r}")
    module, attribute = PUBLIC[name]
    loaded = import_module(f"lstm_spec.{module}")
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
