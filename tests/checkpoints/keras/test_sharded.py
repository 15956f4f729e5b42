"""Keras 3's weights in several files, as Keras itself writes them: its index makes one model of them."""

from __future__ import annotations

import json
import os
import shutil

import h5py
import numpy as np
import pytest

import lstm_spec as ls

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

INDEX = "model.weights.json"
LSTM, BACKWARD = "layers/lstm/cell", "layers/bidirectional/backward_layer/cell"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model whose first cell alone lies in two files: no file holds all of it."""
    inner = keras.layers.LSTM(32)
    layers = [keras.layers.LSTM(64, return_sequences=True), keras.layers.Bidirectional(inner), keras.layers.Dense(5)]
    model = keras.Sequential([keras.Input((7, 3)), *layers])
    folder = tmp_path_factory.mktemp("sharded")
    model.save_weights(folder / INDEX, max_shard_size=67_000 / 1024**3)
    return model, folder


@pytest.fixture
def sharded(written, tmp_path):
    return written[0], shutil.copytree(written[1], tmp_path / "copy")


def shards(folder):
    return sorted(folder.glob("*.weights.h5"))


def listed(folder):
    return json.loads((folder / INDEX).read_text())["weight_map"]


def test_keras_parts_a_cell(written):
    _, folder = written
    assert len(shards(folder)) > 2
    assert len(listed(folder)[f"/{LSTM}/vars"]) == 2


def test_its_index_its_folder_and_each_shard_are_the_model(written):
    """A shard without the recurrent kernel was an error; one without the bias would have been an LSTM that has none."""
    model, folder = written
    for place in (folder / INDEX, folder, *shards(folder)):
        report = ls.check(place, numbers=False)
        assert (report.ok, report.findings) == (True, ())
        assert {found.where.rpartition(" : ")[2]: found.summary for found in report.layers} == {
            LSTM: "n = 3, k = 64, forward, one bias",
            BACKWARD: "n = 64, k = 32, reverse, one bias",
            BACKWARD.replace("backward", "forward"): "n = 64, k = 32, forward, one bias",
        }
        _, weights = ls.read(place, at=LSTM)
        kernel, recurrent, bias = (np.asarray(array) for array in model.layers[0].get_weights())
        np.testing.assert_array_equal(weights["l0.W_f"], kernel[:, 64:128].T)
        np.testing.assert_array_equal(weights["l0.U_f"], recurrent[:, 64:128].T)
        np.testing.assert_array_equal(weights["l0.b_f"], bias[64:128])
    assert ls.compare(folder, model).ok


def test_another_order_of_gates_is_another_model(written):
    model, folder = written
    turned = {
        f"lstm/{n}": np.asarray(a)
        for n, a in zip(("kernel", "recurrent_kernel", "bias"), model.layers[0].get_weights(), strict=True)
    }
    turned = {name: np.roll(array, 64, axis=-1) for name, array in turned.items()}
    comparison = ls.compare(folder, turned, at=(LSTM, "lstm"))
    assert not comparison.ok
    assert max(comparison.pairs[0].differences.values()) > 0.05


@pytest.mark.parametrize("variable", range(3))
def test_a_variable_that_is_lost(sharded, variable):
    """In the file that held nothing else of its cell; beside others, where the index goes on listing the group."""
    _, folder = sharded
    path = next(path for path in shards(folder) if f"{LSTM}/vars/{variable}" in h5py.File(path))
    with h5py.File(path, "a") as file:
        lost = file[f"{LSTM}/vars/{variable}"].nbytes
        del file[f"{LSTM}/vars/{variable}"]
        alone = len(file[f"{LSTM}/vars"]) == 0
    report = ls.check(folder, numbers=False)
    assert not report.ok
    whole = json.loads((folder / INDEX).read_text())["metadata"]["total_size"]
    told = {
        True: (
            "lists 1 tensor that no file of the model holds",
            f"  expected /{LSTM}/vars in {path.name}\n"
            "  because  the model that was saved had more than there is here\n",
        ),
        False: (
            "says",
            f"  expected {whole:.0f} bytes of tensors\n  found    {whole - lost:.0f} bytes\n"
            "  because  it lists groups of tensors: which of one is lost, or too many, it does not tell\n",
        ),
    }
    message, parts = told[alone]
    (found,) = [str(f) for f in report.findings if f.code == "index"]
    head = "error[index]: the index" if alone else "error[index]: the files of the model hold less than the index"
    help = "  help     fetch the files again, or save the model again"
    assert found == f"{head} {message}\n  at       {folder / INDEX}\n{parts}{help}"
    with pytest.raises(ls.LstmSpecError, match=r"^error\[index\]: "):
        ls.read(folder, at=LSTM)


def test_a_file_that_is_missing(sharded):
    _, folder = sharded
    first, *others = shards(folder)
    first.unlink()
    expected = (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {folder / INDEX}\n"
        f"  expected {len(others) + 1} files\n"
        "  found    without model_00000.weights.h5\n"
        "  help     put all of them into one folder; any of them, or the folder, then names the model"
    )
    assert [str(finding) for finding in ls.check(folder, numbers=False).findings] == [expected]
    for place in (folder / INDEX, *others):
        with pytest.raises(ls.LstmSpecError) as caught:
            ls.check(place, numbers=False)
        assert str(caught.value) == expected


def test_a_group_that_the_index_does_not_list(sharded):
    """Keras goes by the index: it would not load it."""
    _, folder = sharded
    weights = json.loads((folder / INDEX).read_text())
    del weights["weight_map"]["/layers/dense/vars"]
    (folder / INDEX).write_text(json.dumps(weights))
    (finding,) = ls.check(folder, numbers=False).findings
    assert (finding.code, finding.severity) == ("index", "warning")
    assert finding.message == "the files of the model hold 2 tensors that the index does not list"
    last = shards(folder)[-1].name
    assert finding.found.splitlines() == [f"layers/dense/vars/{number} in {last}" for number in range(2)]


def test_a_dataset_in_two_files(sharded):
    _, folder = sharded
    path = next(path for path in shards(folder) if f"{LSTM}/vars/0" not in h5py.File(path))
    with h5py.File(path, "a") as file:
        file.require_group(f"{LSTM}/vars")["0"] = np.zeros((3, 256), "f4")
    (finding,) = ls.check(folder, numbers=False).findings
    assert (finding.code, finding.message) == ("names", f"two shards hold {LSTM}/vars/0")


@pytest.mark.parametrize("name", ["../model_00000.weights.h5", "model_00000.h5", "/model_00000.weights.h5"])
def test_an_index_of_keras_names_only_files_beside_it(sharded, name):
    _, folder = sharded
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"/{LSTM}/vars": [name]}}))
    with pytest.raises(ls.LstmSpecError, match=rf"^error\[index\]: the index has /{LSTM}/vars "):
        ls.read(folder / INDEX)


def test_an_index_of_keras_that_is_cut_off(sharded):
    _, folder = sharded
    (folder / INDEX).write_text((folder / INDEX).read_text()[:50])
    told = [ls.check(place, numbers=False).findings[0] for place in (folder, shards(folder)[0])]
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(folder / INDEX, numbers=False)
    for finding in (*told, caught.value.finding):
        assert (finding.code, finding.message, finding.at) == ("index", "the index is not JSON", f"{folder / INDEX}")


def test_shards_of_hdf5_that_a_name_tells(tmp_path):
    """As transformers wrote TensorFlow's: each dataset without the name of the model that the index has before it."""
    arrays = {"lstm/kernel:0": (3, 16), "lstm/recurrent_kernel:0": (4, 16), "lstm/bias:0": (16,)}
    names = [f"tf_model-0000{number}-of-00002.h5" for number in (1, 2)]
    table = {}
    for number, (name, shape) in enumerate(arrays.items()):
        with h5py.File(tmp_path / names[number // 2], "a") as file:
            file[name] = np.ones(shape, "f4")
        table[f"my_model/{name}"] = names[number // 2]
    (tmp_path / "tf_model.h5.index.json").write_text(json.dumps({"weight_map": table}))
    for place in (tmp_path, *(tmp_path / name for name in names)):
        report = ls.check(place, numbers=False)
        assert (report.ok, report.findings, len(report.layers)) == (True, (), 1)
        assert ls.read(place)[0].parameter_count == 128
