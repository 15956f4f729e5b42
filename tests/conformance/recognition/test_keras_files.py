"""Files that Keras 3 wrote, and one after Keras 1: the same layers, numbers and options; a corrupted one is blamed."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
AGREES = 2e-6


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="torch is not installed")
    return pytest.importorskip("keras", reason="keras is not installed")


@pytest.fixture(scope="module")
def model(keras):
    layers = keras.layers
    inner = keras.Sequential([layers.Input((7, 4)), layers.LSTM(4, return_sequences=True)], name="inner")
    parts = [
        layers.Input((7, 3)),
        layers.LSTM(4, return_sequences=True, activation="relu", recurrent_activation="hard_sigmoid", name="first"),
        inner,
        layers.Bidirectional(layers.LSTM(5, return_sequences=True, use_bias=False)),
        layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)], go_backwards=True),
        layers.Dense(2),
    ]
    made = keras.Sequential(parts)
    made.compile(optimizer="adam", loss="mse")
    made.fit(np.ones((2, 7, 3)), np.zeros((2, 2)), verbose=0)
    return made


def recurrent(model):
    """The cells of the model in its own order, each with kernel, recurrent_kernel and bias."""
    flat = [layer for layer in model._flatten_layers() if type(layer).__name__ == "LSTMCell"]
    return [[v.value.detach().cpu().numpy() for v in cell.weights] for cell in flat]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_file_holds_what_the_model_has(model, tmp_path, name):
    path = tmp_path / name
    model.save_weights(path) if name == "m.weights.h5" else model.save(path)
    report = ls.check(path)
    assert report.ok, str(report)
    assert len(report.layers) == 6
    expected = {tuple(a.tobytes() for a in cell) for cell in recurrent(model)}
    tensors = read_tensors(path)
    found = {tuple(tensors[row.name].load().tobytes() for row in layer.tensors) for layer in report.layers}
    assert found == expected
    assert all(layer.agreement.difference < AGREES for layer in report.layers)
    told = {layer.where: layer for layer in report.layers}
    backwards = [where for where, layer in told.items() if layer.layer.direction == "reverse"]
    assert len(backwards) == (1 if name == "m.weights.h5" else 3)
    assert any("backward" in where for where in backwards)
    notes = [f.code for f in report.findings]
    assert notes == ([] if name == "m.weights.h5" else ["hard-sigmoid"])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_layer_of_a_file_runs_as_in_the_model(keras, model, tmp_path, name):
    """The first layer has relu and hard_sigmoid: read from the file, they are in our equations."""
    path = tmp_path / name
    model.save(path)
    first = model.layers[0]
    tensors = read_tensors(path)
    own = first.weights[0].value.detach().cpu().numpy()
    (where,) = [
        layer.where
        for layer in ls.check(path, numbers=False).layers
        if tensors[layer.tensors[0].name].load().tobytes() == own.tobytes()
    ]
    layer, weights = ls.read(path, at=where)
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")
    expected = first(keras.ops.convert_to_tensor(x)).detach().cpu().numpy()
    assert np.abs(ls.compile(layer)(x, weights)[0] - expected).max() < AGREES
    assert "hard_sigmoid" in str(layer.cell)


def test_dtln_is_its_onnx_model_bit_for_bit(models):
    report = ls.check(models / "DTLN_model.h5")
    assert report.ok
    assert [layer.where for layer in report.layers] == [f"lstm{end}/lstm{end}" for end in ("", "_1", "_2", "_3")]
    graph = onnx.load(models / "DTLN_model_1.onnx").graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "LSTM"]
    tensors = read_tensors(models / "DTLN_model.h5")
    for node, end in zip(nodes, ("", "_1"), strict=True):
        at = f"lstm{end}/lstm{end}"
        for number, own in ((1, "kernel"), (2, "recurrent_kernel"), (3, "bias")):
            i, f, c, o = np.split(tensors[f"{at}/{own}:0"].load().T, 4)
            theirs = constants[node.input[number]][0]
            assert np.array_equal(np.concatenate([i, o, f, c]), theirs[:512])


def test_keras_1_has_a_matrix_for_each_gate(keras, tmp_path):
    """Written by hand after Keras 1.2.2; its numbers are those of a Keras LSTM with slope 0.2."""
    layer = keras.layers.LSTM(
        4, return_sequences=True, recurrent_activation=lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1)
    )
    layer.build((None, None, 3))
    kernels = [v.value.detach().cpu().numpy() for v in layer.weights]
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "1.2.2"
        for family, whole in zip("WUb", kernels, strict=True):
            for gate, part in zip("ifco", np.split(whole, 4, axis=-1), strict=True):
                file[f"lstm_1/lstm_1_{family}_{gate}"] = part
    (found,) = ls.check(path).layers
    assert (found.dialect, found.summary) == ("keras-1", "n = 3, k = 4, forward, one bias")
    own, weights = ls.read(path)
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")
    expected = layer(keras.ops.convert_to_tensor(x)).detach().cpu().numpy()
    assert np.abs(ls.compile(own)(x, weights)[0] - expected).max() < AGREES


# ---- corrupted ----

SHAPES = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
CORRUPT = {
    "kernel_rows": ("kernel", (16, 3), "(n, 4*k)"),
    "kernel_columns": ("kernel", (3, 12), "(n, 4*k) = (3, 16)"),
    "kernel_of_5": ("kernel", (3, 20), "(n, 4*k) = (3, 16)"),
    "kernel_rank_3": ("kernel", (1, 3, 16), "(n, 4*k)"),
    "kernel_rank_1": ("kernel", (48,), "(n, 4*k)"),
    "kernel_another_n": ("kernel", (5, 16), "n = 5"),
    "recurrent_rows": ("recurrent_kernel", (5, 16), "(k, 4*k) = (4, 16)"),
    "recurrent_columns": ("recurrent_kernel", (4, 12), "(k, 4*k) = (4, 16)"),
    "recurrent_rank_3": ("recurrent_kernel", (1, 4, 16), "(k, 4*k) = (4, 16)"),
    "recurrent_empty": ("recurrent_kernel", (4, 0), "(k, 4*k) = (4, 16)"),
    "bias_short": ("bias", (12,), "(4*k,) = (16,)"),
    "bias_of_8k": ("bias", (32,), "(4*k,) = (16,)"),
    "bias_rank_2": ("bias", (1, 16), "(4*k,) = (16,)"),
    "bias_missing": ("bias", None, ""),
    "kernel_missing": ("kernel", None, "(n, 4*k)"),
    "units": ("units", 5, "k = 4"),
}


def rewritten(keras, folder, kind, case):
    """A model that Keras saved, with one thing changed."""
    name, value, _ = CORRUPT[case]
    model = keras.Sequential([keras.layers.Input((7, 3)), keras.layers.LSTM(4, name="lstm")])
    path = folder / f"m.{kind}"
    model.save(path)
    inside = path if kind == "h5" else folder / "model.weights.h5"
    if kind == "keras":
        with zipfile.ZipFile(path) as archive:
            parts = {n: archive.read(n) for n in archive.namelist()}
        inside.write_bytes(parts["model.weights.h5"])
    with h5py.File(inside, "r+") as file:
        own = "layers/lstm/cell/vars" if kind == "keras" else "model_weights/lstm/sequential/lstm/lstm_cell"
        (group,) = [g for g in _groups(file) if len(g) == 3 and all(hasattr(g[n], "shape") for n in g)]
        dataset = name if kind == "h5" else str([*SHAPES].index(name)) if name in SHAPES else ""
        assert own.split("/")[-1] in group.name
        if name == "units" and kind == "h5":
            file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 4', f'"units": {value}')
        elif name != "units":
            del group[dataset]
            if value is not None:
                group[dataset] = np.zeros(value, "f4")
    if kind == "keras":
        parts["model.weights.h5"] = inside.read_bytes()
        if name == "units":
            parts["config.json"] = parts["config.json"].replace(b'"units": 4', b'"units": 5')
        with zipfile.ZipFile(path, "w") as archive:
            for part, data in parts.items():
                archive.writestr(part, data)
    return path


def _groups(file):
    found = []
    file.visititems(lambda _, part: found.append(part) if hasattr(part, "keys") and len(part) else None)
    return found


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("case", CORRUPT)
def test_a_corrupted_file(keras, tmp_path, kind, case):
    name, value, expected = CORRUPT[case]
    report = ls.check(rewritten(keras, tmp_path, kind, case), numbers=False)
    assert not report.ok, str(report)
    said = "\n".join(map(str, report.findings))
    assert expected in said
    if name != "units":
        assert name in said
        assert (str(value) if value else "no such tensor") in said or case == "kernel_another_n"


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_class_of_somebodys_own_is_told_in_both_formats(keras, tmp_path, kind, beside):
    """Alone, the .h5 said nothing; beside a layer of Keras, neither did."""
    own = type("Own", (keras.layers.LSTM,), {})
    plain = [keras.layers.LSTM(4, return_sequences=True, name="plain")] * beside
    model = keras.Sequential([keras.layers.Input((7, 3)), *plain, own(4, name="mine")], name="m")
    model.save(path := tmp_path / f"m.{kind}")
    where = "mine/m/mine/lstm_cell" if kind == "h5" else "layers/own/cell"
    report = ls.check(path, numbers=False)
    assert len(report.layers) == 1 + beside
    assert [str(finding) for finding in report.findings] == [
        f"warning[unmatched]: {where} has a cell's tensors, and the configuration has no recurrent layer of Keras"
        f" for it\n  at       {path}\n"
        "  because  a class of somebody's own is code that the file does not hold: it may compute something else"
    ]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_convolutional_lstm_is_named_in_every_format(keras, tmp_path, dimensions, name):
    """Where there is no configuration, by its tensors: there it was an LSTM whose shapes do not fit."""
    layer = getattr(keras.layers, f"ConvLSTM{dimensions}D")(4, 3, name="conv")
    model = keras.Sequential([keras.layers.Input((7, *[5] * dimensions, 3)), layer])
    model.save_weights(tmp_path / name) if name == "m.weights.h5" else model.save(tmp_path / name)
    report = ls.check(tmp_path / name, numbers=False)
    (finding,) = report.findings
    assert (report.ok, report.layers, finding.code) == (False, (), "unread")
    evidence = "by the names and shapes of its tensors" if name == "m.weights.h5" else "as its configuration says"
    kind = "ConvLSTM" if name == "m.weights.h5" else f"ConvLSTM{dimensions}D"
    assert finding.message.endswith(f" is a {kind}, {evidence}; this version reads LSTMs")
