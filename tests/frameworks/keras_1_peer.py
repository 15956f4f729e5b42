"""Keras 1.2.2's LSTM on Theano through the dialect `keras-1`, both directions, and the files that it writes.

Not collected with the other tests: Keras 1 and Theano-PyMC 1.1.2 want a NumPy below 1.24, which `.ci/run` installs
apart. Theano compiles nothing here (`cxx=`): its graphs run in Python.
"""

from __future__ import annotations

import collections
import collections.abc
import os
import warnings

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import hold_ours, hold_theirs, ours, swap_parts, theirs
from tests.frameworks.old_theano import import_theano
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

os.environ["KERAS_BACKEND"] = "theano"
theano = import_theano()
collections.Iterable = collections.abc.Iterable  # Python gave it up too

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="keras 1.2.2 is not installed")
    if not keras.__version__.startswith("1."):
        pytest.skip("keras 1.2.2 is not installed", allow_module_level=True)
    from keras import backend
    from keras.layers import LSTM, Masking
    from keras.models import Sequential

pytestmark = pytest.mark.filterwarnings("ignore")
KERAS_1, KERAS = get("keras-1"), get("keras")
HARD = {"gate_activation": "hard_sigmoid(1/5, 1/2)"}
SIZES = [(5, 4, 2), (3, 3, 1), (1, 6, 3)]


def case_of(sizes, dtype, **options):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, dtype, True, HARD | options)


def made(x, h, **options):
    """A layer that takes x (T, B, n) batch first, and keeps its states."""
    backend.set_floatx(str(x.dtype))
    theano.config.floatX = str(x.dtype)
    live = LSTM(
        h.shape[-1],
        batch_input_shape=(x.shape[1], x.shape[0], x.shape[2]),
        return_sequences=True,
        stateful=True,
        name="lstm_1",
        **options,
    )
    model = Sequential()
    model.add(live)
    model.build()
    return live, model


def kind(name):
    return name.removeprefix("lstm_1_")


def run_with(**options):
    """Their layer with these tensors, by the names of its own weights."""

    def run(tensors, x, h, c):
        live, model = made(x, h, **options)
        given = {kind(name.rpartition("/")[2]): a for name, a in tensors.items()}
        assert {kind(w.name) for w in live.weights} == set(given)
        live.set_weights([given[kind(w.name)] for w in live.weights])
        for state, a in zip(live.states, (h, c), strict=True):
            backend.set_value(state, a)
        function = backend.function([live.input], [live.output], updates=model.state_updates)
        (y,) = function([np.ascontiguousarray(x.swapaxes(0, 1))])
        return y.swapaxes(0, 1), *(backend.get_value(state) for state in live.states)

    return run


RUNS = {name: run_with(consume_less=name) for name in ("cpu", "mem")}
run = RUNS["cpu"]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("consume_less", RUNS)
def test_our_weights_in_keras_1(consume_less, sizes, dtype):
    hold_ours(KERAS_1, RUNS[consume_less], case_of(sizes, dtype))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_keras_1_weights_in_our_code(sizes, dtype):
    """By the names that Keras 1 itself gives: `lstm_1_W_i`."""
    case = case_of(sizes, dtype)
    live, _ = made(case.x(), case.state()["l0.h"])
    tensors = {w.name: backend.get_value(w) for w in live.weights}
    assert list(tensors) == [f"lstm_1_{family}_{gate}" for gate in "icfo" for family in "WUb"]
    hold_theirs(KERAS_1, run, tensors, case, "")


@pytest.mark.parametrize(("one", "other"), [("i", "f"), ("f", "o"), ("f", "i")])
def test_two_gates_in_each_others_place_miss(one, other):
    case = case_of((5, 4, 2), "float64")
    weights = ls.Weights({name: a * 4 for name, a in case.weights(1.0).items()})
    tensors = KERAS_1.pack(weights, case.layer)
    wrong = swap_parts(KERAS_1, one, other).unpack(tensors, case.layer)
    assert differences(ours(case.layer, wrong, case), theirs(run, tensors, case)) > WRONG


@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid(1/6, 1/2)"])
def test_another_recurrent_activation_misses(activation):
    """The same tensors: nothing in them tells it. Keras 3 has another slope under the same name."""
    case = case_of((5, 4, 2), "float64")
    weights = case.weights(1.0)
    found = theirs(run, KERAS_1.pack(weights, case.layer), case)
    assert differences(ours(case.layer, weights, case), found) < TOLERANCE["float64"]
    assert differences(ours(ls.lstm(5, 4, gate_activation=activation), weights, case), found) > WRONG


@pytest.mark.parametrize(("said", "activation"), [("sigmoid", "sigmoid"), ("hard_sigmoid", HARD["gate_activation"])])
def test_what_was_converted_runs_there(said, activation):
    """From our own names; a sigmoid is an argument of their layer, `inner_activation`."""
    case = Case(5, 4, 5, 2, 11, "float64", True, {"gate_activation": activation})
    weights = case.weights(1.0)
    given = get("lstm-spec").pack(weights, case.layer)
    found = ls.convert(given, "keras-1", layer=case.layer, allow="options").tensors
    tensors = {name.removeprefix("lstm_"): array for name, array in found.items()}
    there = theirs(run_with(inner_activation=said), tensors, case)
    assert_equal(ours(case.layer, weights, case), there, TOLERANCE["float64"], "keras-1, converted")
    other = "hard_sigmoid" if said == "sigmoid" else "sigmoid"
    assert differences(ours(case.layer, weights, case), theirs(run_with(inner_activation=other), tensors, case)) > WRONG


def test_its_forget_bias_is_an_initial_value():
    live, _ = made(np.zeros((5, 2, 3)), np.zeros((2, 4)))
    biases = {kind(w.name): backend.get_value(w) for w in live.weights if "_b_" in w.name}
    assert {name: set(a) for name, a in biases.items()} == {"b_i": {0}, "b_c": {0}, "b_f": {1}, "b_o": {0}}


def test_for_a_gpu_it_has_one_matrix_for_all_gates():
    """consume_less = "gpu": W, U and b with columns i, f, c, o, as the LSTM of Keras 2 has them."""
    case = case_of((5, 4, 2), "float64")
    weights = case.weights(1.0)
    names = {"kernel": "W", "recurrent_kernel": "U", "bias": "b"}
    packed = KERAS.pack(weights, ls.lstm(5, 4))
    found = theirs(run_with(consume_less="gpu"), {names[name]: a for name, a in packed.items()}, case)
    assert_equal(ours(case.layer, weights, case), found, TOLERANCE["float64"], "keras-1, gpu")


def test_a_converted_layer_without_biases_loads_there():
    """Their LSTM always has them, and took nothing that had none; so for another order of the gates it misses."""
    case = Case(5, 4, 5, 2, 11, "float64", True, HARD | {"bias": "none"})
    weights = case.weights(2.0)
    given = get("lstm-spec").pack(weights, case.layer)
    found = ls.convert(given, "keras-1", layer=case.layer).tensors
    there = theirs(run, {kind(name.replace("lstm_", "lstm_1_", 1)): a for name, a in found.items()}, case)
    assert_equal(ours(case.layer, weights, case), there, TOLERANCE["float64"], "keras-1, without biases")
    wrong = ls.Weights({name: weights[name.translate({102: 105, 105: 102})] for name in weights})
    assert differences(ours(case.layer, wrong, case), there) > WRONG


def test_a_mask_repeats_the_last_output():
    case, lengths = case_of((5, 4, 3), "float32"), [5, 2, 1]
    x = np.ascontiguousarray(case.x().swapaxes(0, 1))
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0
    backend.set_floatx("float32")
    theano.config.floatX = "float32"
    live = LSTM(4, return_sequences=True)
    model = Sequential([Masking(0.0, batch_input_shape=x.shape), live])
    weights = case.weights(1.0)
    packed = KERAS_1.pack(weights, case.layer)
    live.set_weights([packed[w.name.partition("_")[2].partition("_")[2]] for w in live.weights])
    y = model.predict(x, batch_size=3)
    layer = case.layer.with_(layout="batch", padding="repeat")
    assert np.abs(ls.compile(layer)(x, weights, lengths=lengths)[0] - y).max() < TOLERANCE["float32"]
    assert np.abs(ls.compile(layer.with_(padding="zero"))(x, weights, lengths=lengths)[0] - y).max() > WRONG


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}], ids=str)
def test_a_file_that_it_wrote(tmp_path, options, whole):
    """With its configuration, which tells the direction, and without."""
    case = case_of((5, 4, 2), "float32")
    live, model = made(case.x(), case.state()["l0.h"], **options)
    rng = case.generator
    live.set_weights([rng.uniform(-0.9, 0.9, a.shape).astype("float32") for a in live.get_weights()])
    path = tmp_path / "model.h5"
    (model.save if whole else model.save_weights)(str(path))
    report = ls.check(path, numbers=False)
    assert report.ok, str(report)
    assert [found.dialect for found in report.layers] == ["keras-1"]
    layer, weights = ls.read(path)
    assert layer.direction == ("reverse" if whole and options else "forward")
    x = np.ascontiguousarray(case.x().swapaxes(0, 1))
    y = model.predict(x, batch_size=case.batch)
    if options and not whole:  # only the configuration tells it
        x = np.ascontiguousarray(x[:, ::-1])
    assert np.abs(ls.compile(layer)(x, weights)[0] - y).max() < TOLERANCE["float32"]
