"""What other counters report for an LSTM, and why: each one's rule over the operations that are derived here.

These tools run `torch.nn.LSTM` (onnx-tool: the ONNX operator), so a layer is first written as they would get it: one
bias a gate becomes PyTorch's two. A rule is stated in our own words from reading the tool's source at the version
named, and the tests hold it against that version where it is installed. Counts nothing anew: everything but a tool's
own constants comes from `costing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from sympy import Integer

from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.options import BIASES, LstmOptions
from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.cost import Cost, number_text, plain_number
from lstm_spec.layers.costing import Costing, E, L, Stack, operation_polynomials, parameter_entries
from lstm_spec.layers.described import D, T
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import letter
from lstm_spec.symbolic.counts import factored

K, R = letter("k"), letter("r")
GATES = 4


@dataclass(frozen=True, slots=True)
class Counter:
    """One tool: `rule` gives its figure in E, L, D and the cell's letters; `because` says how that comes about.

    `figure` is what the tool calls it. `lengths` says what it does with packed sequences: "" where it counts them.
    """

    name: str
    version: str
    source: str
    figure: str
    rule: Callable[[Stack, Mapping[str, Any]], Any]
    because: str
    lengths: str = "it takes B and T from the shape of x, which a packed sequence does not have"
    projection: bool = True


def _torchinfo(stack: Stack, made: Mapping[str, Any]) -> Any:
    return E * parameter_entries(stack)


def _thop(stack: Stack, made: Mapping[str, Any]) -> Any:
    return made["macs"] + made["bias"] + made["sums"] + made["products"]


def _unprojected(stack: Stack, made: Mapping[str, Any]) -> Any:
    """The MACs of W and U alone: the counters below look for weight_ih and weight_hh, and for no weight_hr."""
    return made["macs"] - (E * L * D * K * R if R in stack.shapes["h"].rows.free_symbols else 0)


def _ptflops(stack: Stack, made: Mapping[str, Any]) -> Any:
    """For one sample: it divides by the batch that it made itself."""
    return _tripled(stack, made).xreplace({E: T})


def _tripled(stack: Stack, made: Mapping[str, Any]) -> Any:
    return _unprojected(stack, made) + made["bias"] + made["sums"] + made["products"] + 2 * E * L * D * K


def _deepspeed(stack: Stack, made: Mapping[str, Any]) -> Any:
    rows = 2 * GATES * E * L * D * K
    return _tripled(stack, made) + _unprojected(stack, made) - rows


# onnx-tool's costs of one entry, in its MACs: an addition or product 1, exp 32, tanh exp + 2 additions + a division
EXP, TANH = 32, 38


def _onnx_tool(stack: Stack, made: Mapping[str, Any]) -> Any:
    each = GATES + 3 * EXP + 2 * TANH + 4  # W x + U h; i, f, o; g and tanh(c'); the rest of c' and h'
    return made["macs"] + made["bias"] + E * L * each * K


def _nothing(stack: Stack, made: Mapping[str, Any]) -> Any:
    return Integer(0)


TWO_BIASES = "as PyTorch has it, with two biases a gate; --bias two writes them"
TRIPLE = "o * tanh(c') as three operations an entry where it is one, so 2 k more a step and cell"
COUNTERS: dict[str, Counter] = {
    counter.name: counter
    for counter in (
        Counter(
            "torchinfo",
            "1.8.0",
            "torchinfo/layer_info.py, LayerInfo.calculate_macs",
            "total_mult_adds",
            _torchinfo,
            "B T times every parameter, so each bias counts as a multiplication; elementwise work is left out",
            lengths="it cannot be given a PackedSequence",
        ),
        Counter(
            "thop",
            "ultralytics-thop 2.2.3",
            "thop/rnn_hooks.py, count_lstm",
            "total_ops",
            _thop,
            "the matrix products' MACs, and each addition and elementwise product as one more; activations are free",
            lengths="",
        ),
        Counter(
            "ptflops",
            "0.7.5, backend pytorch (backend aten reports 0)",
            "ptflops/pytorch_ops.py, rnn_flops_counter_hook",
            "macs",
            _ptflops,
            f"for one sample: MACs of W and U, each addition and elementwise product, and {TRIPLE}; "
            "a projection is left out",
        ),
        Counter(
            "deepspeed",
            "0.19.8",
            "deepspeed/profiling/flops_profiler/profiler.py, _rnn_forward_hook",
            "flops (its MACs are 0)",
            _deepspeed,
            "a product of p×q as p (2 q - 1) operations, each addition and elementwise product, and "
            f"{TRIPLE}; a projection is left out; the module's MACs are never filled",
        ),
        Counter(
            "calflops",
            "0.3.2",
            "calflops/pytorch_ops.py, _rnn_forward_hook",
            "flops (its MACs are 0)",
            _deepspeed,
            f"DeepSpeed's rule: p (2 q - 1) operations for p×q, additions, elementwise products, and {TRIPLE}",
        ),
        Counter(
            "onnx-tool",
            "1.0.1",
            "onnx_tool/node.py, LSTMNode.profile",
            "macs",
            _onnx_tool,
            "MACs and biases of each direction; then 180 k a step for one direction only: 32 MACs an exponential "
            "(i, f, o), 38 a tanh (g and c'), 8 for sums and products",
            lengths="it takes T from the shape of X",
            projection=False,
        ),
        Counter(
            "fvcore",
            "0.1.5.post20221221",
            "fvcore/nn/flop_count.py, _DEFAULT_SUPPORTED_OPS",
            "total",
            _nothing,
            "it has no formula for aten::lstm, says so in unsupported_ops() and adds nothing",
            lengths="it takes a PackedSequence apart into arguments of its own",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Reported(Displayed):
    """What a counter reports: its figure as a polynomial and a number, beside the true MACs and FLOPs.

    `is_rewritten` where the layer has one bias a gate, and the counter sees PyTorch's two.
    """

    counter: Counter
    layer: Layer
    expanded: Any
    count: Any
    macs: Any
    flops: Any
    is_rewritten: bool = False

    @property
    def formula(self) -> Any:
        """The figure in letters, factored."""
        return factored(self.expanded)

    def __str__(self) -> str:
        made = " = ".join(dict.fromkeys((str(self.formula), number_text(self.count))))
        return f"{self.counter.name} {made}\n{self.counter.because}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        counter = self.counter
        return {
            "counter": counter.name,
            "version": counter.version,
            "source": counter.source,
            "figure": counter.figure,
            "formula": str(self.formula),
            "count": plain_number(self.count),
            "macs": plain_number(self.macs),
            "flops": plain_number(self.flops),
            "because": counter.because,
            "layer": TWO_BIASES if self.is_rewritten else "",
        }


def report_as(cost: Cost, name: str) -> Reported:
    """What the counter of that name reports for the layer of a cost.

    >>> from lstm_spec.layers.factory import lstm
    >>> report_as(lstm(64, 64).cost(batch=1, time=100), "thop").count
    3379200

    Raises OptionError when no counter has that name, and when the counter cannot be given such a layer.
    """
    if name not in COUNTERS:
        near = get_close_matches(str(name), COUNTERS, n=1)
        known = ", ".join(COUNTERS)
        help = f"did you mean {near[0]}?" if near else ""
        raise OptionError(Finding("counter", f"no counter is called {safe(name, 40)}", expected=known, help=help))
    counter = COUNTERS[name]
    layer = _as_they_get_it(counter, cost)
    lengths = cost.lengths or None
    batch, time = (int(a) if a.is_Integer and not lengths else None for a in (cost.batch, cost.time))
    costing = Costing.of(layer, batch, time, lengths, cost.dtype)
    made = operation_polynomials(costing.stack)
    line = costing.line("flops", counter.rule(costing.stack, made))
    true = costing.cost()
    figures = line.shown, line.count, true["macs"].count, true["flops"].count
    return Reported(counter, layer, *figures, is_rewritten=layer.cell != cost.layer.cell)


def _as_they_get_it(counter: Counter, cost: Cost) -> Layer:
    """The layer that PyTorch would make of it. Raises OptionError where it makes none."""
    layer = cost.layer
    cell = _two_biases().get(layer.cell)
    because = ""
    if cell is None:
        because = f"{counter.name} counts PyTorch's LSTM: no peepholes, no other activations, no cell of one's own"
    elif layer.direction == "reverse" or layer.merge != "concat":
        because = f"PyTorch's LSTM has no {'reverse layer' if layer.direction == 'reverse' else f'merge {layer.merge}'}"
    elif not counter.projection and R in cell_letters(layer):
        because = "the ONNX operator has no projection"
    elif cost.lengths and counter.lengths:
        because = counter.lengths
    if because or cell is None:
        message = f"{counter.name} has no count for this layer"
        raise OptionError(Finding("counter", message, because=because, help="leave --as out for the true count"))
    return layer.with_(cell=cell)


def cell_letters(layer: Layer) -> set[Any]:
    """The size letters of a layer's cell, as symbols."""
    return {letter(name) for name in layer.cell.letters}


@lru_cache(maxsize=1)
def _two_biases() -> dict[Any, Any]:
    """Every LSTM that PyTorch has, with one bias a gate too → the same with PyTorch's two."""
    found = {}
    for bias in BIASES:
        for projection in (False, True):
            written = LstmOptions(bias=bias, projection=projection)
            wanted = LstmOptions(bias="none" if bias == "none" else "two", projection=projection)
            found[lstm_cell(written)] = lstm_cell(wanted)
    return found


@dataclass(frozen=True, slots=True)
class Reports:
    """What several counters report for one layer."""

    reports: tuple[Reported, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"reports": [report.to_dict() for report in self.reports]}
