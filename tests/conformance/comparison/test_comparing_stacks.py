"""`compare`, and the cells of one Keras RNN: its own file, and the ONNX export that writes each step out in nodes."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls

pytestmark = pytest.mark.filterwarnings("ignore")
N = 4  # n = k: no shape tells W from U


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="torch is not installed")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.backend.backend() == "jax":
        pytest.skip("Keras exports no ONNX on this backend")
    return keras


def cells_of(keras, levels):
    cells = [keras.layers.LSTMCell(N, bias_initializer="normal") for _ in range(levels)]
    return keras.layers.RNN(cells, unroll=True, return_sequences=True)


def exported(keras, folder, layer, steps, seed=0):
    """A model of the layer as its own file and as a graph."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Input((steps, N), batch_size=2), layer])
    model(np.zeros((2, steps, N), "float32"))
    given, graph = (folder / f"{seed}.{form}" for form in ("h5", "onnx"))
    model.save(given)
    model.export(str(graph), format="onnx", verbose=False)
    return given, graph


def hold(layer, graph):
    """The cells of the graph, in their order, have Keras's kernels as W and its recurrent kernels as U."""
    report, values = ls.check(graph), layer.get_weights()
    assert report.ok
    for found, kernel, recurrent in zip(report.layers, values[::3], values[1::3], strict=True):
        _, weights = ls.read(graph, at=found.where)
        for part, matrix in (("W", kernel), ("U", recurrent)):
            read = np.concatenate([weights[f"l0.{part}_{gate}"] for gate in "ifgo"])
            np.testing.assert_array_equal(read, matrix.T, f"{found.where} {part}")


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_stacked_cells_unrolled(keras, tmp_path, steps, levels):
    """The x of the second cell is the h of the first; the matrices of x and h were exchanged once."""
    layer = cells_of(keras, levels)
    given, graph = exported(keras, tmp_path, layer, steps)
    hold(layer, graph)
    assert ls.compare(given, graph).ok
    values = layer.get_weights()
    layer.set_weights([*values[:3], values[4], values[3], *values[5:]])  # W and U of the second cell
    assert not ls.compare(given, exported(keras, tmp_path, layer, steps, seed=1)[1]).ok


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_stacked_cells_unrolled_both_ways(keras, tmp_path, steps):
    layer = keras.layers.Bidirectional(cells_of(keras, 2))
    hold(layer, exported(keras, tmp_path, layer, steps)[1])
