"""Each counter's rule against the counter itself, over layers; run in an environment that has them all.

pytest --no-skips tests/layers/counters_peer.py
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import onnx
import pytest

import lstm_spec as ls
from lstm_spec.layers.counters import COUNTERS, report_as

LAYERS: list[dict[str, Any]] = [
    {"n": 64, "k": 64, "T": 100, "B": 1},
    {"n": 5, "k": 7, "T": 4, "B": 3, "bias": "none"},
    {"n": 5, "k": 7, "T": 4, "B": 3, "layers": 2},
    {"n": 5, "k": 7, "T": 4, "B": 3, "bidirectional": True},
    {"n": 3, "k": 8, "T": 6, "B": 2, "layers": 3, "bidirectional": True},
    {"n": 5, "k": 7, "T": 4, "B": 3, "projection": 2},
    {"n": 5, "k": 7, "T": 4, "B": 3, "projection": 2, "layers": 2, "bidirectional": True},
]


def made(sizes: dict[str, Any], **more: Any) -> Any:
    """The cost of one of `LAYERS`, in our words."""
    options = {name: value for name, value in sizes.items() if name not in ("n", "k", "T", "B")}
    return ls.lstm(sizes["n"], sizes["k"], **options).cost(batch=sizes["B"], time=sizes["T"], **more)


def peer(sizes: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer in PyTorch, in evaluation, and its input."""
    torch = pytest.importorskip("torch")
    names = {"layers": "num_layers", "bidirectional": "bidirectional", "projection": "proj_size"}
    options = {names[name]: value for name, value in sizes.items() if name in names}
    layer = torch.nn.LSTM(sizes["n"], sizes["k"], bias=sizes.get("bias") != "none", **options).eval()
    return layer, torch.zeros(sizes["T"], sizes["B"], sizes["n"])


def by_torchinfo(layer: Any, x: Any) -> int:
    return int(pytest.importorskip("torchinfo").summary(layer, input_data=x, verbose=0).total_mult_adds)


def by_thop(layer: Any, x: Any) -> int:
    return int(pytest.importorskip("thop").profile(layer, (x,), verbose=False)[0])


def by_ptflops(layer: Any, x: Any) -> int:
    count = pytest.importorskip("ptflops").get_model_complexity_info
    given = {"as_strings": False, "print_per_layer_stat": False, "backend": "pytorch"}
    sample = (x.shape[0], x.shape[2])  # ptflops puts the batch of one before it, and divides by it
    return int(count(layer, sample, **given)[0])


def by_calflops(layer: Any, x: Any) -> int:
    count = pytest.importorskip("calflops").calculate_flops
    flops, macs, _ = count(layer, args=[x], print_results=False, output_as_string=False)
    assert macs == 0
    return int(flops)


def by_deepspeed(layer: Any, x: Any) -> int:
    count = pytest.importorskip("deepspeed.profiling.flops_profiler").get_model_profile
    flops, macs, _ = count(layer, args=[x], print_profile=False, as_string=False)
    assert macs == 0
    return int(flops)


def by_fvcore(layer: Any, x: Any) -> int:
    analysis = pytest.importorskip("fvcore.nn").FlopCountAnalysis(layer, x)
    total = int(analysis.total())
    assert "aten::lstm" in analysis.unsupported_ops()
    return total


def by_onnx_tool(layer: Any, x: Any) -> int:
    tool, torch = pytest.importorskip("onnx_tool"), pytest.importorskip("torch")
    written = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        torch.onnx.export(layer, (x,), written, dynamo=False)
    graph = tool.Model(onnx.load_from_string(written.getvalue())).graph
    graph.shape_infer(None)
    graph.profile()
    return int(graph.macs[0])


RUN = {
    "torchinfo": by_torchinfo,
    "thop": by_thop,
    "ptflops": by_ptflops,
    "deepspeed": by_deepspeed,
    "calflops": by_calflops,
    "onnx-tool": by_onnx_tool,
    "fvcore": by_fvcore,
}


PAIRS = [(name, sizes) for name in RUN for sizes in LAYERS if name != "onnx-tool" or "projection" not in sizes]


@pytest.mark.filterwarnings("ignore")  # those of the counters
@pytest.mark.parametrize(("name", "sizes"), PAIRS, ids=str)
def test_each_rule_gives_what_the_counter_reports(name, sizes):
    assert report_as(made(sizes), name).count == RUN[name](*peer(sizes))


@pytest.mark.filterwarnings("ignore")
def test_packed_lengths_as_thop_counts_them():
    torch = pytest.importorskip("torch")
    thop = pytest.importorskip("thop")
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(7, 3, 5), torch.tensor([7, 3, 1]))
    reported = report_as(ls.lstm(5, 7).cost(lengths=[7, 3, 1]), "thop")
    assert int(reported.count) == thop.profile(torch.nn.LSTM(5, 7), (packed,), verbose=False)[0] == 11 * 448


def test_every_counter_is_run_here():
    assert set(RUN) == set(COUNTERS)
