"""Models as PyTorch's two exporters write them: each LSTM is found and computes what ONNX Runtime makes of the model.

What is no LSTM of ours must be told of. The whole model is run, so that a wrong row, order or state shows.
"""

import numpy as np
import pytest

import lstm_spec as ls

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
onnxruntime = pytest.importorskip("onnxruntime")
nn = torch.nn

from tests.checkpoints.onnx.torch_cells import (  # noqa: E402
    Cell,
    K,
    Layer,
    Multiplicative,
    N,
    R,
    Scanned,
    ScriptedLoop,
    Step,
    Sum,
    Unrolled,
)

T, B = 4, 2
pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters

LIMIT = 2e-6
MODES = {
    "dynamo": {"dynamo": True},
    "dynamo, not optimized": {"dynamo": True, "optimize": False},
    "TorchScript": {"dynamo": False},
}


def export(tmp_path, make, mode="dynamo", n=N, one_step=False, **more):
    torch.manual_seed(0)
    module, path = make().eval(), tmp_path / "m.onnx"
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    given = (torch.randn(T, B, n),)
    if one_step:
        given = (torch.randn(B, n), torch.randn(B, module.r), torch.randn(B, K))
    with torch.no_grad():
        names = ["x", "h", "c"][: len(given)]
        torch.onnx.export(module, given, str(path), input_names=names, verbose=False, **MODES[mode], **more)
    return path


def hold(path, seed=1):
    """The one layer of the file, held to ONNX Runtime's output of the whole model; how far it is off."""
    report = ls.check(path)
    assert report.ok, str(report)
    layer, weights = ls.read(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    shapes = {given.name: [d if isinstance(d, int) else 3 for d in given.shape] for given in session.get_inputs()}
    feeds = {name: rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}
    theirs = session.run(None, feeds)
    if "c" in feeds:
        y, state = ls.compile(layer).step(feeds["x"], weights, {"h": feeds["h"], "c": feeds["c"]})
        assert np.abs(state["c"] - theirs[1]).max() <= LIMIT
    else:
        y, _ = ls.compile(layer)(feeds["x"], weights)
    assert np.abs(y - theirs[0]).max() <= LIMIT
    return layer


def test_the_hold_can_fail(tmp_path):
    """Gates in another order miss by more than 0.05, so that the limit above means something."""
    path = export(tmp_path, Cell)
    layer, weights = ls.read(path)
    wrong = {**weights, **{f"l0.{m}_{a}": weights[f"l0.{m}_{b}"] for m in "WUb" for a, b in ("io", "oi")}}
    x = np.random.default_rng(0).standard_normal((T, B, N)).astype("f4")
    (theirs,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
    assert np.abs(ls.compile(layer)(x, wrong)[0] - theirs).max() > 0.05


def test_an_lstm_and_a_cell_and_a_stranger(tmp_path):
    """The short test: one of each kind; the others are slow."""
    hold(export(tmp_path, lambda: Layer(nn.LSTM(N, K))))
    hold(export(tmp_path, lambda: Cell(peephole="after")))
    assert because(export(tmp_path, lambda: Cell(candidate="gelu"))) == [
        "gelu is made by Gelu, and stands where tanh makes the candidate"
    ]


LAYERS = {
    "one": ({}, [(N, 1)]),
    "two": ({"num_layers": 2}, [(N, 1), (K, 1)]),
    "both directions": ({"bidirectional": True}, [(N, 2)]),
    "no bias": ({"bias": False}, [(N, 1)]),
    "batch first": ({"batch_first": True}, [(N, 1)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", LAYERS)
def test_layers(tmp_path, mode, options):
    said, sizes = LAYERS[options]
    path = export(tmp_path, lambda: Layer(nn.LSTM(N, K, **said)), mode)
    report = ls.check(path)
    assert report.ok
    assert [(f.layer.sizes["n"], f.layer.directions) for f in report.layers] == sizes
    assert all(f.layer.sizes["k"] == K and f.agreement.difference <= LIMIT for f in report.layers)
    assert all(f.summary.endswith("no bias" if options == "no bias" else "two biases") for f in report.layers)
    if len(sizes) == 1 and options != "batch first":  # there the graph turns x around the node
        hold(path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["dynamo", "dynamo, not optimized"])
def test_a_batch_of_any_size(tmp_path, mode):
    more = {"dynamic_shapes": {"x": {1: torch.export.Dim.DYNAMIC}}}
    hold(export(tmp_path, lambda: Layer(nn.LSTM(N, K)), mode, **more))
    hold(export(tmp_path, Cell, mode, **more))


@pytest.mark.slow
def test_an_lstm_with_a_projection_is_told(tmp_path):
    """PyTorch's exporter drops W_hr and a half of the rows, and says nothing; ONNX Runtime refuses the model."""
    report = ls.check(export(tmp_path, lambda: Layer(nn.LSTM(N, K, proj_size=R))))
    assert not report.ok


CELLS = {
    **{how: {"how": how} for how in ("chunk", "split", "slices", "gates", "joined")},
    "another order": {"order": "gofi"},
    "square": {"n": K},
    "peephole": {"peephole": "after"},
    "peephole on c before": {"peephole": "before"},
    "f = 1 - i": {"coupled": "f"},
    "i = 1 - f": {"coupled": "i"},
    "clip": {"clip": 0.25},
    "projection": {"projection": True},
    "candidate": {"candidate": "softsign"},
    "output": {"output": "hardtanh"},
    "no functions": {"candidate": "identity", "output": "identity"},
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", CELLS)
def test_cells(tmp_path, mode, kind):
    said = CELLS[kind]
    hold(export(tmp_path, lambda: Cell(**said), mode, said.get("n", N)))
    if kind != "square" and mode == "TorchScript":  # nothing tells x from h in one step
        hold(export(tmp_path, lambda: Step(**said), mode, one_step=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chunk", "square", "peephole", "f = 1 - i", "projection", "clip"])
def test_cells_in_a_scan(tmp_path, kind):
    hold(export(tmp_path, lambda: Scanned(**CELLS[kind]), n=CELLS[kind].get("n", N)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_cells_of_torch(tmp_path, mode):
    hold(export(tmp_path, lambda: Unrolled(nn.LSTMCell(N, K)), mode))
    hold(export(tmp_path, lambda: Unrolled(nn.LSTMCell(N, K, bias=False)), mode))


def because(path):
    """Why each looks recurrent by its nodes and is not read; nothing conforms."""
    report = ls.check(path)
    assert not report.ok
    return [f.because for f in report.findings if f.code == "unread" and f.because]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("candidate", ["sin", "exp", "gelu", "silu", "mish"])
def test_an_unknown_candidate_is_told(tmp_path, mode, candidate):
    """Unrolled; and one step alone, where nothing recurs in the graph."""
    kind, one_step = (Cell, False) if mode == "dynamo" else (Step, True)
    (reason,) = because(export(tmp_path, lambda: kind(candidate=candidate), mode, one_step=one_step))
    assert reason.endswith("and stands where tanh makes the candidate")


STRANGERS = {
    "mLSTM": (Multiplicative, "and not what a step before leaves"),
    "layer normalization": (lambda: Cell(norm=True), "stands before the products"),
    "GRU": (lambda: Unrolled(nn.GRUCell(N, K)), "is no f * c + i * g"),
    "simple RNN": (lambda: Unrolled(nn.RNNCell(N, K)), "meets again what was made with it"),
    "an RNN with relu": (lambda: Unrolled(nn.RNNCell(N, K, nonlinearity="relu")), "meets again what was made with it"),
    "an unknown output": (lambda: Cell(output="erf"), "follows, nor another function of the table"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", STRANGERS)
def test_strangers_are_told(tmp_path, mode, kind):
    make, reason = STRANGERS[kind]
    (said,) = because(export(tmp_path, make, mode))
    assert reason in said


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_what_is_read_hides_nothing_beside_it(tmp_path, mode):
    """An LSTM that is read, in front of, behind and beside cells that are not."""
    path = export(tmp_path, lambda: Sum(Cell(), Multiplicative(), Unrolled(nn.RNNCell(N, K))), mode)
    assert len(ls.check(path).layers) == 1
    assert len(because(path)) == 2
    for stack in ((Cell(candidate="sin"), Cell(n=K)), (Cell(), Cell(n=K, candidate="sin"))):
        path = export(tmp_path, lambda stack=stack: nn.Sequential(*stack), mode)
        assert len(ls.check(path).layers) == 1
        assert len(because(path)) == 1


@pytest.mark.slow
def test_a_scripted_loop(tmp_path):
    """TorchScript keeps the loop: a Loop, whose body carries h and c."""

    axes = {"x": {0: "T", 1: "B"}}
    hold(export(tmp_path, lambda: torch.jit.script(ScriptedLoop()), "TorchScript", dynamic_axes=axes))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_what_onnxruntime_makes_of_it(tmp_path, mode):
    """Its optimizer works out what the first step's h and c, which are zeros, are multiplied with."""
    for said in ({}, {"peephole": "after"}, {"projection": True}):
        path = export(tmp_path, lambda said=said: Cell(**said), mode)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        onnxruntime.InferenceSession(str(path), options)
        hold(tmp_path / "optimized.onnx")


@pytest.mark.slow
def test_quantize_dynamic(tmp_path):
    """A node becomes DynamicQuantizeLSTM, read by its shapes; a cell in simple nodes is told of."""
    from onnxruntime.quantization import quantize_dynamic

    small = tmp_path / "q.onnx"
    for channels in (False, True):
        path = export(tmp_path, lambda: Layer(nn.LSTM(N, K, bidirectional=True)), "TorchScript")
        quantize_dynamic(path, small, per_channel=channels)
        report = ls.check(small)
        assert report.ok
        assert [f.summary for f in report.layers] == ["n = 3, k = 4, bidirectional, two biases"]
        quantize_dynamic(export(tmp_path, Cell, "TorchScript"), small, per_channel=channels)
        (reason,) = because(small)
        assert reason.endswith("stands before the products")
