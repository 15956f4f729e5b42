"""Sonnet 2's `snt.LSTM` and `snt.UnrolledLSTM` through the dialect `sonnet`, both directions.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/frameworks/sonnet_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get
from tests.frameworks.cell_peers import hold_ours, hold_theirs, miss, ours, theirs
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, differences

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
snt = pytest.importorskip("sonnet", reason="dm-sonnet is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")
SONNET = get("sonnet")
SIZES = [(5, 4, 2), (3, 3, 1), (1, 6, 3)]
OPTIONS = [{}, {"projection": 2}]


def case_of(sizes, dtype, **options):
    n, k, batch = sizes
    return Case(n, k, 5, batch, 11, dtype, True, {"bias": "one"} | options)


def short(name):
    """`lstm/w_i:0` without the module and the output's number."""
    return name.rpartition("/")[2].partition(":")[0]


def made(kind, tensors, x, h, c):
    """Their module, built by a call of its own, with these tensors by the names of its variables."""
    projected = {"projection_size": h.shape[-1]} if "projection" in map(short, tensors) else {}
    module = kind(c.shape[-1], dtype=tf.as_dtype(x.dtype), **projected)
    module(tf.constant(x if kind is snt.UnrolledLSTM else x[0]), snt.LSTMState(tf.constant(h), tf.constant(c)))
    given = {short(name): a for name, a in tensors.items()}
    assert {short(v.name) for v in module.variables} == set(given)
    for variable in module.variables:
        variable.assign(given[short(variable.name)])
    return module


def unrolled(tensors, x, h, c):
    core = made(snt.UnrolledLSTM, tensors, x, h, c)
    y, state = core(tf.constant(x), snt.LSTMState(tf.constant(h), tf.constant(c)))
    return y.numpy(), state.hidden.numpy(), state.cell.numpy()


def run_with(unroll, **options):
    def run(tensors, x, h, c):
        core = made(snt.LSTM, tensors, x, h, c)
        y, state = unroll(core, tf.constant(x), snt.LSTMState(tf.constant(h), tf.constant(c)), **options)
        return y.numpy(), state.hidden.numpy(), state.cell.numpy()

    return run


run = run_with(snt.dynamic_unroll)
RUNS = {"dynamic_unroll": run, "static_unroll": run_with(snt.static_unroll), "UnrolledLSTM": unrolled}


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("unroll", ["dynamic_unroll", "static_unroll"])
def test_our_weights_in_sonnet(unroll, options, sizes, dtype):
    hold_ours(SONNET, RUNS[unroll], case_of(sizes, dtype, **options))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_our_weights_in_an_unrolled_lstm(sizes):
    """On a CPU it is TensorFlow's BlockLSTMV2, which has no float64."""
    hold_ours(SONNET, unrolled, case_of(sizes, "float32"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="double is not in the list"):
        hold_ours(SONNET, unrolled, case_of(sizes, "float64"))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sonnet_weights_in_our_code(options, sizes, dtype):
    """By the names that Sonnet itself gives: `lstm/w_i:0`."""
    case = case_of(sizes, dtype, **options)
    core = snt.LSTM(case.k, projection_size=options.get("projection"), dtype=tf.as_dtype(dtype))
    core(tf.zeros((1, case.n), dtype), core.initial_state(1))
    tensors = {v.name: v.numpy() for v in core.variables}
    assert set(tensors) == {f"lstm/{name}:0" for name in ("w_i", "w_h", "b", *options)}
    hold_theirs(SONNET, run, tensors, case, "")


def test_an_unrolled_lstm_by_its_names():
    case = case_of((5, 4, 2), "float32")
    module = snt.UnrolledLSTM(4)
    module(tf.zeros((1, 1, 5)), module.initial_state(1))
    tensors = {v.name: v.numpy() for v in module.variables}
    assert set(tensors) == {f"unrolled_lstm/{name}:0" for name in ("w_i", "w_h", "b")}
    hold_theirs(SONNET, unrolled, tensors, case, "")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_checkpoint_by_its_names(tmp_path, options):
    """TensorFlow 2 names what it saves by the attributes of the module: `lstm/_w_i/.ATTRIBUTES/VARIABLE_VALUE`."""
    case = case_of((5, 4, 2), "float32", **options)
    core = snt.LSTM(4, projection_size=options.get("projection"))
    core(tf.zeros((1, 5)), core.initial_state(1))
    reader = tf.train.load_checkpoint(tf.train.Checkpoint(lstm=core).save(str(tmp_path / "model")))
    saved = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("lstm/")}
    assert {"lstm/_w_i/.ATTRIBUTES/VARIABLE_VALUE", "lstm/b/.ATTRIBUTES/VARIABLE_VALUE"} < set(saved)
    report = ls.check(saved)
    assert report.ok, str(report)
    layer, weights = ls.read(saved)
    own = {short(v.name): v.numpy() for v in core.variables}
    assert_equal(ours(layer, weights, case), theirs(run, own, case), TOLERANCE["float32"], "sonnet checkpoint")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_lengths(options):
    """dynamic_unroll's sequence_length repeats the last output behind the end; where there is none, it is 0."""
    case, lengths = case_of((5, 4, 3), "float64", **options), [5, 2, 1]
    weights, state = case.weights(), case.state()

    def padded(lengths):
        run = run_with(snt.dynamic_unroll, sequence_length=tf.constant(lengths))
        return theirs(run, SONNET.pack(weights, case.layer), case)

    found = padded(lengths)
    y, after = ls.compile(case.layer.with_(padding="repeat"))(case.x(), weights, state, lengths=lengths)
    assert_equal((y, dict(after)), found, 1e-12, "sonnet, lengths")
    y, after = ls.compile(case.layer)(case.x(), weights, state, lengths=lengths)  # zeros behind the end
    assert differences((y, dict(after)), found) > WRONG
    assert "repeats the last output" in SONNET.padding
    y, after = padded([5, 0, 0])
    assert not y[:, 1:].any()
    np.testing.assert_array_equal(after["l0.h"][1:], state["l0.h"][1:])


@pytest.mark.parametrize("forget_bias", [1.0, 0.25])
def test_the_forget_bias_is_in_the_tensor(forget_bias):
    """It is added to b's initial value; Haiku, of the same authors, adds it in the equation."""
    case = case_of((5, 4, 2), "float64")
    core = snt.LSTM(4, dtype=tf.float64, forget_bias=forget_bias)
    core(tf.zeros((1, 5), tf.float64), core.initial_state(1))
    own = {short(v.name): v.numpy() for v in core.variables}
    np.testing.assert_array_equal(own["b"], np.repeat([0, forget_bias, 0, 0], 4))
    found = theirs(run, own, case)
    weights = SONNET.unpack(own, case.layer)
    assert_equal(ours(case.layer, weights, case), found, 1e-12, "sonnet, forget bias")
    doubled = ls.lstm(5, 4, forget_bias=str(forget_bias))
    assert differences(ours(doubled, weights, case), found) > (WRONG if forget_bias == 1 else WRONG / 5)


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
@pytest.mark.parametrize("kind", RUNS)
def test_another_order_of_gates_misses(kind, gates):
    miss(SONNET, RUNS[kind], case_of((5, 4, 2), "float32"), gates)


@pytest.mark.parametrize("bias", ["two", "none"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sonnet_takes_a_converted_file(tmp_path, options, bias):
    """A state dict in the shapes of PyTorch, loaded by the names of Sonnet's own variables."""
    layer = ls.lstm(5, 4, bias=bias, **options)
    weights, path = layer.random(1, "float32"), tmp_path / "out.npz"
    source = {f"lstm.{name}": a for name, a in get("pytorch").pack(weights, layer).items()}
    ls.convert(source, "sonnet", allow=("two-biases",), output=str(path))
    with np.load(path) as archive:
        tensors = dict(archive)
    case = case_of((5, 4, 2), "float32", **options)
    expected, state = ls.compile(layer)(case.x(), weights, case.state())
    core = snt.LSTM(4, projection_size=options.get("projection"))
    core(tf.zeros((1, 5)), core.initial_state(1))
    assert {v.name.partition(":")[0] for v in core.variables} == set(tensors)
    found = theirs(run, tensors, case)
    assert_equal((expected, dict(state)), found, TOLERANCE["float32"], "sonnet, converted")
