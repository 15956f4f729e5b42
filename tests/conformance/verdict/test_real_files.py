"""Real checkpoints: what `check` and `read` say of them, and that our code computes what their own engines do."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file

import lstm_spec as ls
from lstm_spec.errors import TensorError

AGREES = 5e-6  # float32, k = 128, four steps; a wrong gate order misses by 0.05


def test_silero_is_an_lstm_cell_among_convolutions(models):
    report = ls.check(models / "silero_vad_16k.safetensors")
    assert report.ok
    assert report.findings == ()
    (found,) = report.layers
    assert (found.where, found.dialect, found.summary) == (
        "lstm_cell",
        "pytorch",
        "n = 128, k = 128, forward, two biases",
    )
    assert {row.name: (row.symbolic, row.numbers, row.found) for row in found.tensors} == {
        "lstm_cell.weight_ih": ("(4*k, n)", (512, 128), (512, 128)),
        "lstm_cell.weight_hh": ("(4*k, k)", (512, 128), (512, 128)),
        "lstm_cell.bias_ih": ("(4*k,)", (512,), (512,)),
        "lstm_cell.bias_hh": ("(4*k,)", (512,), (512,)),
    }
    assert (found.assumed, found.layer.parameter_count) == ((), 8 * 128 * 129)
    convolutions = ["stft_conv.weight"] + [f"conv{i}.{kind}" for i in range(1, 5) for kind in ("weight", "bias")]
    assert sorted(report.other) == sorted([*convolutions, "final_conv.weight", "final_conv.bias"])
    assert len(report.other) == 11


def test_silero_agrees_with_torch(models):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    (found,) = ls.check(models / "silero_vad_16k.safetensors").layers
    assert found.agreement.engine == "torch"
    assert found.agreement.difference <= AGREES
    layer, weights = ls.read(models / "silero_vad_16k.safetensors")
    raw = load_file(models / "silero_vad_16k.safetensors")
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name: torch.from_numpy(raw[f"lstm_cell.{name}"]) for name in cell.state_dict()})
    run, state, theirs = ls.compile(layer), None, None
    for x_t in np.random.default_rng(1).standard_normal((20, 2, 128)).astype("float32"):
        y, state = run.step(x_t, weights, state)
        with torch.no_grad():
            theirs = cell(torch.from_numpy(x_t), theirs)
        assert np.abs(y - theirs[0].numpy()).max() <= AGREES
        state = {"h": theirs[0].numpy(), "c": theirs[1].numpy()}


def test_silero_is_read_row_by_row(models):
    """Rows 128·q … of each tensor are gate q of i, f, g, o: the numbers of the file, unchanged."""
    raw = load_file(models / "silero_vad_16k.safetensors")
    _, weights = ls.read(models / "silero_vad_16k.safetensors")
    families = {"weight_ih": "W_{}", "weight_hh": "U_{}", "bias_ih": "b_W{}", "bias_hh": "b_U{}"}
    for q, gate in enumerate("ifgo"):
        for kind, family in families.items():
            rows = raw[f"lstm_cell.{kind}"][128 * q : 128 * (q + 1)]
            assert np.array_equal(weights[f"l0.{family.format(gate)}"], rows)


def test_dtln_holds_two_layers(models):
    report = ls.check(models / "DTLN_model_1.onnx")
    assert report.ok
    assert [(f.where, f.dialect, f.summary) for f in report.layers] == [
        ("lstm_4", "onnx", "n = 257, k = 128, forward, two biases"),
        ("lstm_5", "onnx", "n = 128, k = 128, forward, two biases"),
    ]
    assert [row.found for row in report.layers[0].tensors] == [(1, 512, 257), (1, 512, 128), (1, 1024)]
    assert all(f.agreement.engine == "onnxruntime" and f.agreement.difference <= AGREES for f in report.layers)
    assert len(report.other) == 18
    assert "dense_2/kernel:0" in report.other


def test_dtln_agrees_with_the_whole_model(models):
    """Its input goes through both layers: Y of the first is X of the second, h and c come from `input_3`."""
    session = onnxruntime.InferenceSession(models / "DTLN_model_1.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    x, states = rng.standard_normal((1, 1, 257)).astype("float32"), rng.uniform(-1, 1, (1, 2, 128, 2)).astype("float32")
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(names, {"input_2": x, "input_3": states}), strict=True))
    y = x.swapaxes(0, 1)
    finals = []
    for index, place in enumerate(("lstm_4", "lstm_5")):
        layer, weights = ls.read(models / "DTLN_model_1.onnx", at=place)
        h, c = states[:, index, :, 0], states[:, index, :, 1]
        y, state = ls.compile(layer)(np.ascontiguousarray(y), weights, {"h": h, "c": c})
        finals.append([state["h"], state["c"]])
    (theirs,) = (value for value in results.values() if value.shape == (1, 2, 128, 2))
    ours = np.array(finals).transpose(2, 0, 3, 1)
    assert np.abs(ours - theirs).max() <= AGREES


def test_reading_one_of_several(models):
    path = models / "DTLN_model_1.onnx"
    layer, weights = ls.read(path, at="lstm_4")
    assert (layer.sizes, weights["l0.W_f"].shape) == ({"n": 257, "k": 128}, (128, 257))
    with pytest.raises(TensorError) as caught:
        ls.read(path)
    assert str(caught.value) == (
        "error[several]: there are 2 layers, and they are no stack\n"
        f"  at       {path}\n"
        "  found    lstm_4, lstm_5\n"
        '  help     name one: at="…", or --at on the command line'
    )
    with pytest.raises(TensorError) as caught:
        ls.read(path, at="lstm_6")
    assert str(caught.value) == (f"error[at]: there is no layer lstm_6\n  at       {path}\n  expected lstm_4, lstm_5")


BRANCHES = ["then_branch/model/decoder/rnn/", "else_branch/model/decoder/rnn_1/"]


def test_silero_onnx_is_read_through_slice_and_concat(models):
    """Its weights are PyTorch's, cut and joined at run time in both branches of an If."""
    path = models / "silero_vad_16k_op15.onnx"
    report = ls.check(path)
    assert report.ok
    assert report.findings == ()
    assert [(found.where, found.dialect, found.summary) for found in report.layers] == [
        (f"/model/decoder/If_1.{branch}LSTM", "onnx", "n = 128, k = 128, forward, two biases") for branch in BRANCHES
    ]
    assert all(f.agreement.engine == "onnxruntime" and f.agreement.difference <= AGREES for f in report.layers)
    raw = {i.name.rpartition(".")[2]: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    for branch in BRANCHES:
        _, weights = ls.read(path, at=f"/model/decoder/If_1.{branch}LSTM")
        for kind, family in {"weight_ih": "W_{}", "weight_hh": "U_{}", "bias_ih": "b_W{}", "bias_hh": "b_U{}"}.items():
            for q, gate in enumerate("ifgo"):  # the order of PyTorch
                assert np.array_equal(weights[f"l0.{family.format(gate)}"], raw[kind][128 * q : 128 * (q + 1)])


def test_the_folded_weights_are_what_onnx_runtime_folds(models, tmp_path):
    """ONNX Runtime's own optimizer folds the same chains; its result holds W, R and B as constants."""
    path = models / "silero_vad_16k_op15.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    theirs = ls.check(tmp_path / "folded.onnx", numbers=False)
    assert len(theirs.layers) == 2
    for branch, found in zip(BRANCHES, theirs.layers, strict=True):
        _, weights = ls.read(path, at=f"/model/decoder/If_1.{branch}LSTM")
        _, folded = ls.read(tmp_path / "folded.onnx", at=found.where)
        assert all(np.array_equal(weights[name], folded[name]) for name in weights)


def test_silero_onnx_and_safetensors_are_two_trainings_of_one_architecture(models):
    """Their STFT basis is the same to the bit and no trained tensor is: no order of gates makes the weights equal."""
    _, ours = ls.read(models / "silero_vad_16k_op15.onnx", at=f"/model/decoder/If_1.{BRANCHES[0]}LSTM")
    _, other = ls.read(models / "silero_vad_16k.safetensors")
    file = load_file(models / "silero_vad_16k.safetensors")
    graph = {
        i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(models / "silero_vad_16k_op15.onnx").graph.initializer
    }
    assert np.array_equal(graph["model.stft.forward_basis_buffer"], file["stft_conv.weight"])
    assert np.abs(graph["model.encoder.0.reparam_conv.weight"] - file["conv1.weight"]).max() > 4
    for gate in "ifgo":
        away = {name: np.abs(ours[f"l0.W_{gate}"] - other[f"l0.W_{name}"]).mean() for name in "ifgo"}
        assert min(away, key=away.get) == gate  # each gate is nearest to its own kind
        assert 0.05 < away[gate] < 0.07


def test_cntk_reads_backwards_first(models):
    report = ls.check(models / "ort_CNTK_LSTM_tanh_bidirectional.onnx")
    assert report.ok
    assert [(f.where, f.summary) for f in report.layers] == [
        ("Block1237", "n = 2, k = 3, reverse, two biases"),
        ("Block1326", "n = 2, k = 3, forward, two biases"),
    ]
    assert [row.name for row in report.layers[0].tensors][-2:] == [
        "Block1237_Output_0_initial_h",
        "Block1237_Output_1_initial_c",
    ]
    assert all(f.agreement.difference <= 1e-6 for f in report.layers)


def test_the_whole_cntk_model(models):
    """Both of our layers, joined as its graph joins them, give the output that its makers recorded."""
    path = models / "ort_CNTK_LSTM_tanh_bidirectional.onnx"

    def recorded(which):
        proto = onnx.TensorProto()
        proto.ParseFromString((models / f"ort_CNTK_LSTM_tanh_bidirectional.{which}_0.pb").read_bytes())
        return onnx.numpy_helper.to_array(proto)

    x, expected = np.ascontiguousarray(recorded("input")), recorded("output")
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    outputs = []
    for place in ("Block1237", "Block1326"):
        layer, weights = ls.read(path, at=place)
        state = {s: constants[f"{place}_Output_{i}_initial_{s}"][0] for i, s in enumerate("hc")}
        outputs.append(ls.compile(layer)(x, weights, state)[0])
    ours = np.concatenate(outputs, axis=-1)
    assert np.abs(ours - expected.reshape(ours.shape)).max() <= 5e-8
