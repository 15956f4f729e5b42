"""What other counters report: the figures that people quote, and the layers that a counter cannot be given.

The rules are held against the counters themselves in `counters_peer.py`.
"""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec.layers.counters import COUNTERS, report_as

FIGURES = {
    "torchinfo": 3_328_000,
    "thop": 3_379_200,
    "ptflops": 3_392_000,
    "deepspeed": 6_617_600,
    "calflops": 6_617_600,
    "onnx-tool": 4_480_000,
    "fvcore": 0,
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_of_the_same_lstm(name):
    reported = report_as(ls.lstm(64, 64).cost(batch=1, time=100), name)
    assert (reported.count, reported.macs) == (FIGURES[name], 3_276_800)


REFUSED = {
    "gru": (
        ls.Layer(ls.cells.get("gru"), 3, 4),
        "thop counts PyTorch's LSTM: no peepholes, no other activations, no cell of one's own",
    ),
    "reverse": (ls.lstm(3, 4, reverse=True), "PyTorch's LSTM has no reverse layer"),
    "sum": (ls.lstm(3, 4, bidirectional=True, merge="sum"), "PyTorch's LSTM has no merge sum"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_layer_that_pytorch_has_not_is_refused(why):
    layer, because = REFUSED[why]
    with pytest.raises(ls.LstmSpecError) as caught:
        report_as(layer.cost(batch=1, time=2), "thop")
    assert str(caught.value) == (
        f"error[counter]: thop has no count for this layer\n  because  {because}\n"
        "  help     leave --as out for the true count"
    )


def test_onnx_has_no_projection_and_most_count_no_packed_sequences():
    with pytest.raises(ls.LstmSpecError, match="because  the ONNX operator has no projection"):
        report_as(ls.lstm(3, 4, projection=2).cost(batch=1, time=2), "onnx-tool")
    with pytest.raises(ls.LstmSpecError, match="because  it takes B and T from the shape of x"):
        report_as(ls.lstm(3, 4).cost(lengths=[2, 1]), "ptflops")


def test_an_unknown_counter_has_a_neighbour():
    with pytest.raises(ls.LstmSpecError) as caught:
        report_as(ls.lstm(3, 4).cost(), "thopp")
    assert str(caught.value) == (
        "error[counter]: no counter is called thopp\n"
        "  expected torchinfo, thop, ptflops, deepspeed, calflops, onnx-tool, fvcore\n"
        "  help     did you mean thop?"
    )


def test_ptflops_reports_one_sample():
    assert report_as(ls.lstm(64, 64).cost(batch=3, time=100), "ptflops").count == FIGURES["ptflops"]


def test_letters_stay_letters():
    assert str(report_as(ls.lstm("n", "k").cost(), "thop").formula) == "4*B*T*k*(k + n + 4)"


def test_every_counter_has_a_figure():
    assert set(COUNTERS) == set(FIGURES)
