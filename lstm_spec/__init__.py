"""What an LSTM is: equations, shapes, counts, cost, gradients, ranges and code, derived from one definition.

    equations text ──parse──▶ ┐
    lstm(peephole=…, …) ────▶ Cell ──┬─ infer ─────────▶ Shapes      W_f: k×n …            (dimension inference)
                                     ├─ count ─────────▶ polynomials 4k(n+k+1), MACs, bytes, and back: budget → k
                                     ├─ differentiate ─▶ Cell        the backward pass, again as equations
                                     └─ bounds ────────▶ CellBounds  gates in (0, 1), |c_t| ≤ |c_0| + t
    Cell + sizes + stack + directions + layout = Layer        the thing that is specified, run and checked
    Layer ──lower──▶ Program ──optimize──▶ Program ──emit──▶ NumPy source ──load──▶ Compiled ──▶ arrays, gradients
    Layer + Weights + x ──trace──▶ Trace: every gate at each step
    file or live layer ──read──▶ Tensors ──recognize──▶ Layer + Weights ──check──▶ Report ──render──▶ terminal | JSON
    arrays + one recorded step ──identify──▶ Identification; Layer + Weights ──convert──▶ another dialect's tensors

Rooms, each importing only those to its right: `cli > render > conformance > frameworks > compiler | checkpoints >
dialects > layers > cells > symbolic > display | errors | phrases`

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
    from lstm_spec.compiler.bounding import Bounds as Bounds
    from lstm_spec.compiler.bounding import bound_layer as bounds
    from lstm_spec.compiler.compiled import Compiled as Compiled
    from lstm_spec.compiler.compiled import compile_layer as compile
    from lstm_spec.compiler.jacobians import Jacobians as Jacobians
    from lstm_spec.compiler.jacobians import jacobian_layer as jacobian
    from lstm_spec.compiler.networks import compile_network as compile_network
    from lstm_spec.compiler.tracing import Trace as Trace
    from lstm_spec.compiler.tracing import trace_layer as trace
    from lstm_spec.conformance.comparison.comparing import compare as compare
    from lstm_spec.conformance.conversion.converting import convert as convert
    from lstm_spec.conformance.identification.identification import Identification as Identification
    from lstm_spec.conformance.identification.identifying import identify as identify
    from lstm_spec.conformance.recognition.reading import read as read
    from lstm_spec.conformance.report import Report as Report
    from lstm_spec.conformance.verdict.checking import check as check
    from lstm_spec.conformance.verdict.contract import read_contract as read_contract
    from lstm_spec.conformance.verdict.contract import write_contract as write_contract
    from lstm_spec.errors import LstmSpecError as LstmSpecError
    from lstm_spec.layers.cost import Cost as Cost
    from lstm_spec.layers.counters import report_as as report_as
    from lstm_spec.layers.factory import lstm as lstm
    from lstm_spec.layers.forms import build_form as build_form
    from lstm_spec.layers.inverse import solve as solve
    from lstm_spec.layers.layer import Layer as Layer
    from lstm_spec.layers.modules import Dense as Dense
    from lstm_spec.layers.modules import Dropout as Dropout
    from lstm_spec.layers.modules import Embedding as Embedding
    from lstm_spec.layers.modules import Input as Input
    from lstm_spec.layers.modules import RepeatVector as RepeatVector
    from lstm_spec.layers.modules import Shared as Shared
    from lstm_spec.layers.network import Network as Network
    from lstm_spec.layers.noise import RecurrentDropout as RecurrentDropout
    from lstm_spec.layers.noise import Zoneout as Zoneout
    from lstm_spec.layers.noise import zoneout as zoneout
    from lstm_spec.layers.question import Solution as Solution
    from lstm_spec.layers.recurrent import Recurrent as Recurrent
    from lstm_spec.layers.tensors import Tensors as Tensors
    from lstm_spec.layers.weights import State as State
    from lstm_spec.layers.weights import Weights as Weights
    from lstm_spec.symbolic.blocks import Jacobian as Jacobian
    from lstm_spec.symbolic.blocks import derive_jacobian as derive_jacobian
    from lstm_spec.symbolic.cell import Cell as Cell
    from lstm_spec.symbolic.gradient import differentiate as differentiate
    from lstm_spec.symbolic.language import parse as parse

__version__ = "0.1.0"

# Public name → where it lives. Loaded when used (PEP 562), so that importing the package costs nothing.
PUBLIC: dict[str, tuple[str, str]] = {
    "Bounds": ("compiler.bounding", "Bounds"),
    "Cell": ("symbolic.cell", "Cell"),
    "Compiled": ("compiler.compiled", "Compiled"),
    "Cost": ("layers.cost", "Cost"),
    "Dense": ("layers.modules", "Dense"),
    "Dropout": ("layers.modules", "Dropout"),
    "Embedding": ("layers.modules", "Embedding"),
    "Identification": ("conformance.identification.identification", "Identification"),
    "Input": ("layers.modules", "Input"),
    "Jacobian": ("symbolic.blocks", "Jacobian"),
    "Jacobians": ("compiler.jacobians", "Jacobians"),
    "Layer": ("layers.layer", "Layer"),
    "LstmSpecError": ("errors", "LstmSpecError"),
    "Network": ("layers.network", "Network"),
    "Recurrent": ("layers.recurrent", "Recurrent"),
    "RecurrentDropout": ("layers.noise", "RecurrentDropout"),
    "RepeatVector": ("layers.modules", "RepeatVector"),
    "Report": ("conformance.report", "Report"),
    "Shared": ("layers.modules", "Shared"),
    "Solution": ("layers.question", "Solution"),
    "State": ("layers.weights", "State"),
    "Tensors": ("layers.tensors", "Tensors"),
    "Trace": ("compiler.tracing", "Trace"),
    "Weights": ("layers.weights", "Weights"),
    "Zoneout": ("layers.noise", "Zoneout"),
    "bounds": ("compiler.bounding", "bound_layer"),
    "build_form": ("layers.forms", "build_form"),
    "cells": ("cells", ""),
    "check": ("conformance.verdict.checking", "check"),
    "compare": ("conformance.comparison.comparing", "compare"),
    "compile": ("compiler.compiled", "compile_layer"),
    "compile_network": ("compiler.networks", "compile_network"),
    "convert": ("conformance.conversion.converting", "convert"),
    "derive_jacobian": ("symbolic.blocks", "derive_jacobian"),
    "dialects": ("dialects", ""),
    "differentiate": ("symbolic.gradient", "differentiate"),
    "identify": ("conformance.identification.identifying", "identify"),
    "jacobian": ("compiler.jacobians", "jacobian_layer"),
    "lstm": ("layers.factory", "lstm"),
    "parse": ("symbolic.language", "parse"),
    "read": ("conformance.recognition.reading", "read"),
    "read_contract": ("conformance.verdict.contract", "read_contract"),
    "report_as": ("layers.counters", "report_as"),
    "solve": ("layers.inverse", "solve"),
    "trace": ("compiler.tracing", "trace_layer"),
    "write_contract": ("conformance.verdict.contract", "write_contract"),
    "zoneout": ("layers.noise", "zoneout"),
}

__all__ = [
    "Bounds",
    "Cell",
    "Compiled",
    "Cost",
    "Dense",
    "Dropout",
    "Embedding",
    "Identification",
    "Input",
    "Jacobian",
    "Jacobians",
    "Layer",
    "LstmSpecError",
    "Network",
    "Recurrent",
    "RecurrentDropout",
    "RepeatVector",
    "Report",
    "Shared",
    "Solution",
    "State",
    "Tensors",
    "Trace",
    "Weights",
    "Zoneout",
    "__version__",
    "bounds",
    "build_form",
    "cells",
    "check",
    "compare",
    "compile",
    "compile_network",
    "convert",
    "derive_jacobian",
    "dialects",
    "differentiate",
    "identify",
    "jacobian",
    "lstm",
    "parse",
    "read",
    "read_contract",
    "report_as",
    "solve",
    "trace",
    "write_contract",
    "zoneout",
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
