"""Our compiled code is `keras.layers.LSTM`, on the torch backend here and on NumPy's in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
from lstm_spec.frameworks import Request, forward
from tests.frameworks.peers import (
    LARGE,
    TOLERANCE,
    WRONG,
    Case,
    assert_equal,
    cases,
    difference,
    differences,
    misread,
    sizes,
    try_few,
)

pytest.importorskip("torch", reason="torch is not installed")
keras = pytest.importorskip("keras", reason="keras is not installed")

options = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["one", "none"]),
        "layout": st.just("batch"),
        "output": st.sampled_from(["sequence", "last"]),
        "reverse": st.booleans(),
        "realign": st.just(False),
    }
)
lstm_cases = cases(options).map(lambda case: replace(case, time=min(case.time, 60)))  # its loop is slow on torch


def layer_of(case: Case):
    """The peer, as its own users build it, with biases that are not the zeros they begin with."""
    layer = keras.layers.LSTM(
        case.k,
        use_bias=case.options["bias"] == "one",
        go_backwards=case.options["reverse"],
        return_sequences=case.options["output"] == "sequence",
        return_state=True,
        dtype=case.dtype,
    )
    layer.build((None, None, case.n))
    generator, bound = case.generator, case.k**-0.5
    layer.set_weights([generator.uniform(-bound, bound, v.shape).astype(case.dtype) for v in layer.weights])
    return layer


def to_numpy(tensor):
    return tensor.detach().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def arrays_of(layer):
    return {v.name: to_numpy(v.value) for v in layer.weights}


def run_layer(layer, case, x, state=None):
    initial = None if state is None else [keras.ops.convert_to_tensor(state[f"{case.prefix}.{s}"]) for s in "hc"]
    y, h, c = (to_numpy(a) for a in layer(keras.ops.convert_to_tensor(x), initial_state=initial))
    return y, {f"{case.prefix}.h": h, f"{case.prefix}.c": c}


class KerasCase(Case):
    """One cell, which is `l0.reverse` where it reads from the end."""

    @property
    def prefix(self):
        return self.layer.members[0].prefix


as_keras = lstm_cases.map(lambda case: KerasCase(**{name: getattr(case, name) for name in case.__dataclass_fields__}))


@given(as_keras)
@try_few
def test_their_weights_in_our_code(case):
    peer, layer = layer_of(case), case.layer
    ours = ls.compile(layer)(case.x(), KERAS.unpack(arrays_of(peer), layer), case.state())
    theirs = run_layer(peer, case, case.x(), case.state())
    assert_equal(ours, theirs, TOLERANCE[case.dtype], f"keras.layers.LSTM {case.dtype}")


@given(as_keras)
@try_few
def test_our_weights_in_their_layer(case):
    peer, layer, weights = layer_of(case), case.layer, case.weights()
    packed = KERAS.pack(weights, layer)
    peer.set_weights([packed[v.name] for v in peer.weights])
    ours = ls.compile(layer)(case.x(), weights, case.state())
    theirs = run_layer(peer, case, case.x(), case.state())
    assert_equal(ours, theirs, TOLERANCE[case.dtype], f"keras.layers.LSTM {case.dtype}")


@given(as_keras)
@try_few
def test_large_weights_step_by_step(case):
    case = replace(case, time=min(case.time, 5), with_state=True, options={**case.options, "output": "sequence"})
    peer, layer, weights = layer_of(case), case.layer, case.weights(scale=3)
    packed = KERAS.pack(weights, layer)
    peer.set_weights([packed[v.name] for v in peer.weights])
    run, state = ls.compile(layer), case.state()
    for x_t in case.x().swapaxes(0, 1):
        step = np.ascontiguousarray(x_t[:, None])
        theirs = run_layer(peer, case, step, state)
        assert_equal(run(step, weights, state), theirs, LARGE[case.dtype], f"keras {case.dtype}, weights ±3, one step")
        state = theirs[1]


@given(as_keras)
@try_few
def test_a_live_layer_is_read_as_it_runs(case):
    """`ls.read` takes layout, direction, order of the output and last-only from the live layer itself."""
    peer = layer_of(case)
    layer, weights = ls.read(peer)
    assert (layer.layout, layer.output) == ("batch", case.options["output"])
    assert (layer.direction, layer.realign) == (("reverse", False) if case.options["reverse"] else ("forward", True))
    theirs = run_layer(peer, case, case.x(), case.state())
    assert differences(ls.compile(layer)(case.x(), weights, case.state()), theirs) <= TOLERANCE[case.dtype]


@given(as_keras)
@try_few
def test_the_layer_that_check_runs_is_the_layer(case):
    peer, state = layer_of(case), replace(case, with_state=True).state()
    theirs = run_layer(peer, case, case.x(), state)
    x = np.ascontiguousarray(case.x().swapaxes(0, 1))
    for attributes in ({}, peer.get_config()):
        y, states = forward("keras", Request(case.layer, arrays_of(peer), x, state, attributes))
        if case.options["output"] == "sequence":
            assert difference(y.swapaxes(0, 1), theirs[0]) <= TOLERANCE[case.dtype]
        assert max(difference(a, theirs[1][name]) for name, a in states.items()) <= TOLERANCE[case.dtype]


def test_bidirectional_is_two_layers_of_which_one_is_put_back_in_order():
    pair = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True, dtype="float64"), dtype="float64")
    pair.build((None, 6, 3))
    x = np.random.default_rng(0).standard_normal((2, 6, 3))
    expected = to_numpy(pair(keras.ops.convert_to_tensor(x)))
    places = [found.where for found in ls.check(pair).layers]
    assert [place.split("/")[-2].split("_")[0] for place in places] == ["forward", "backward"]
    outputs = [ls.compile(layer)(x, weights)[0] for layer, weights in (ls.read(pair, at=place) for place in places)]
    ours = np.concatenate([outputs[0], outputs[1][:, ::-1]], axis=2)
    assert difference(ours, expected) <= TOLERANCE["float64"]


def test_a_wrong_gate_order_shows():
    chosen = {"bias": "one", "layout": "batch", "output": "sequence", "reverse": False, "realign": False}
    case = KerasCase(5, 6, 8, 3, 0, "float64", True, chosen)
    peer, layer = layer_of(case), case.layer
    theirs = run_layer(peer, case, case.x(), case.state())
    for gates in ("iofg", "igfo", "ifog", "figo"):
        weights = misread(KERAS, gates).unpack(arrays_of(peer), layer)
        ours = ls.compile(layer)(case.x(), weights, case.state())
        assert differences(ours, theirs) > WRONG, gates
        with pytest.raises(AssertionError):
            assert_equal(ours, theirs, TOLERANCE["float64"], "meta")


@given(sizes, sizes, st.sampled_from(["one", "none"]))
@try_few
def test_three_counts_agree(n, k, bias):
    polynomial = ls.lstm("n", "k", bias=bias).parameter_count
    layer = ls.lstm(n, k, bias=bias)
    derived = sum(int(np.prod(tuple(map(int, shape)))) for shape in layer.parameter_shapes().values())
    peer = keras.layers.LSTM(k, use_bias=bias == "one")
    peer.build((None, None, n))
    evaluated = polynomial.xreplace({s: layer.sizes[str(s)] for s in polynomial.free_symbols})
    assert evaluated == derived == peer.count_params()


ON_NUMPY = """
import keras, numpy as np
import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
assert keras.backend.backend() == "numpy"
rng, worst = np.random.default_rng(0), {}
for dtype in ("float32", "float64"):
    for trial in range(12):
        n, k, time, batch = rng.integers(1, 13, 4)
        bias, backwards = ("one", "none")[trial % 2], trial % 3 == 0
        peer = keras.layers.LSTM(int(k), use_bias=bias == "one", go_backwards=backwards, return_sequences=True,
                                 return_state=True, dtype=dtype)
        peer.build((None, None, int(n)))
        layer = ls.lstm(int(n), int(k), bias=bias, layout="batch", reverse=backwards, realign=False)
        weights = layer.random(trial, dtype)
        packed = KERAS.pack(weights, layer)
        peer.set_weights([packed[v.name] for v in peer.weights])
        x = rng.standard_normal((batch, time, n)).astype(dtype)
        h, c = rng.uniform(-1, 1, (2, batch, k)).astype(dtype)
        theirs = peer(x, initial_state=[h, c])
        prefix = layer.members[0].prefix
        y, state = ls.compile(layer)(x, weights, {prefix + ".h": h, prefix + ".c": c})
        for a, b in zip((y, state[prefix + ".h"], state[prefix + ".c"]), theirs):
            worst[dtype] = max(worst.get(dtype, 0), float(np.abs(a - np.asarray(b)).max()))
print(worst["float32"], worst["float64"])
"""


def test_on_the_numpy_backend_of_keras():
    for needed in ("scipy", "jax"):
        pytest.importorskip(needed, reason=f"{needed}, which the NumPy backend of Keras 3.15 imports, is not installed")
    root = Path(__file__).parents[2]
    environment = os.environ | {"KERAS_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    done = subprocess.run([sys.executable, "-c", ON_NUMPY], env=environment, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    single, double = map(float, done.stdout.split())
    # On this backend Keras 3.15 computes float64 layers in float32: frameworks/keras.py, SINGLE.
    assert max(single, double) <= TOLERANCE["float32"]
