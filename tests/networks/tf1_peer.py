"""TensorFlow 1's cells, as its own users write them, against ours: `tf.compat.v1.nn.rnn_cell`.

Not collected with the other tests: TensorFlow wants an environment of its own. `.ci/run` runs it there with

    TF_USE_LEGACY_KERAS=1 python -m pytest tests/networks/tf1_peer.py
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import lstm_spec as ls

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed").compat.v1
pytest.importorskip("tf_keras", reason="tf_keras is not installed")
tf.disable_eager_execution()

pytestmark = pytest.mark.filterwarnings("ignore")
T, B, N, K = 6, 3, 5, 4
TOLERANCE = 1e-12
cells = tf.nn.rnn_cell


class Graph:
    """A cell run over x (T, B, n) in float64, with weights drawn by TensorFlow."""

    def __init__(self, make, n=N, state=False):
        self.x = np.random.default_rng(1).standard_normal((T, B, n))
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(7)
            cell = make()
            initial = cell.zero_state(B, tf.float64)
            if state:
                initial = tf.nest.map_structure(lambda z: z + 0.5, initial)
            with tf.variable_scope("rnn", initializer=tf.random_uniform_initializer(-1, 1)):
                y, after = tf.nn.dynamic_rnn(cell, tf.constant(self.x), initial_state=initial, time_major=True)
            session.run(tf.global_variables_initializer())
            self.variables = {v.name.removesuffix(":0"): session.run(v) for v in tf.global_variables()}
            self.y, self.state = session.run([y, after])

    def weights(self, member, scope, layer):
        """The kernel (n + k, 4k), columns i, g, f, o of x's rows and then h's, under our names."""
        (kernel,) = [a for name, a in self.variables.items() if name.endswith(f"{scope}/kernel")]
        (bias,) = [a for name, a in self.variables.items() if name.endswith(f"{scope}/bias")]
        n, k, r = int(layer.sizes["n"]), int(layer.sizes["k"]), int(layer.width)
        assert kernel.shape == (n + r, 4 * k)
        named = {}
        for gate, columns, b in zip("igfo", np.split(kernel, 4, axis=1), np.split(bias, 4), strict=True):
            w, u = columns[:n].T, columns[n:].T
            named |= {f"W_{gate}": w, f"U_{gate}": u, f"b_{gate}": b}
        return {f"{member}.l0.{name}": np.ascontiguousarray(a) for name, a in named.items()}

    def others(self, member, names):
        """Variables whose names end like these, under our names."""
        return {
            f"{member}.l0.{ours}": next(a for name, a in self.variables.items() if name.endswith(theirs))
            for ours, theirs in names.items()
        }


def basic(n=N, k=K):
    """`BasicLSTMCell(k)`: forget_bias = 1 is a constant of its equation."""
    return ls.lstm(n, k, forget_bias=1)


def close(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.max(np.abs(ours - theirs)) <= TOLERANCE


def hold(graph, network, weights, members, state=None, dropout=None):
    y, after = ls.compile_network(network)(graph.x, weights, state, dropout=dropout)
    close(y, graph.y)
    assert network.shapes(batch=B, time=T).answer == graph.y.shape
    for member, theirs in zip(members, graph.state if len(members) > 1 else [graph.state], strict=True):
        close(after[f"{member}.l0.c"], theirs.c)
        close(after[f"{member}.l0.h"], theirs.h)
    assert network.parameter_count == sum(a.size for a in graph.variables.values())


@pytest.mark.parametrize("state", [False, True])
def test_basic_lstm_cell(state):
    graph = Graph(lambda: cells.BasicLSTMCell(K), state=state)
    network = ls.Network(cell=basic())
    initial = {f"cell.l0.{s}": np.full((B, K), 0.5) for s in "hc"} if state else None
    hold(graph, network, graph.weights("cell", "basic_lstm_cell", basic()), ["cell"], initial)


def test_a_forget_bias_of_ones_own():
    graph = Graph(lambda: cells.BasicLSTMCell(K, forget_bias=0.25))
    layer = ls.lstm(N, K, forget_bias="0.25")
    hold(graph, ls.Network(cell=layer), graph.weights("cell", "basic_lstm_cell", layer), ["cell"])


PEEPHOLES = {f"p_{g}": f"w_{g}_diag" for g in "ifo"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {}),
        ({"use_peepholes": True}, {"peephole": True}),
        ({"use_peepholes": True, "cell_clip": 0.25}, {"peephole": True, "clip_cell": "0.25"}),
        ({"num_proj": 2}, {"projection": 2}),
        ({"num_proj": 2, "proj_clip": 0.125}, {"projection": 2, "clip_projection": "0.125"}),
    ],
    ids=str,
)
def test_lstm_cell(theirs, ours):
    graph = Graph(lambda: cells.LSTMCell(K, **theirs))
    layer = ls.lstm(N, K, forget_bias=1, **ours)
    weights = graph.weights("cell", "lstm_cell", layer) | graph.others("cell", PEEPHOLES if "peephole" in ours else {})
    if "projection" in ours:
        weights["cell.l0.W_proj"] = graph.others("", {"": "projection/kernel"})[".l0."].T.copy()
    hold(graph, ls.Network(cell=layer), weights, ["cell"])


def test_gru_cell():
    """Columns r, u of one kernel; the candidate has its own, and reads r * h."""
    graph = Graph(lambda: cells.GRUCell(K))
    named = {"gates": "gates/kernel", "b": "gates/bias", "g": "candidate/kernel", "b_g": "candidate/bias"}
    found = {name.rpartition(".")[2]: a for name, a in graph.others("", named).items()}
    (r, z), (b_r, b_z) = np.split(found["gates"], 2, axis=1), np.split(found["b"], 2)
    weights = {"b_r": b_r, "b_z": b_z, "b_g": found["b_g"]}
    for gate, kernel in (("r", r), ("z", z), ("g", found["g"])):
        weights |= {f"W_{gate}": kernel[:N].T, f"U_{gate}": kernel[N:].T}
    layer = ls.Layer(ls.cells.get("gru"), n=N, k=K)
    run = ls.compile(layer)
    y, state = run(graph.x, {name: np.ascontiguousarray(a) for name, a in weights.items()})
    close(y, graph.y)
    close(state["h"], graph.state)


def test_multi_rnn_cell_of_two_cells():
    graph = Graph(lambda: cells.MultiRNNCell([cells.BasicLSTMCell(K), cells.BasicLSTMCell(2)]))
    network = ls.Network(cell_0=basic(), cell_1=ls.lstm(k=2, forget_bias=1))
    weights = graph.weights("cell_0", "cell_0/basic_lstm_cell", basic())
    weights |= graph.weights("cell_1", "cell_1/basic_lstm_cell", basic(K, 2))
    hold(graph, network, weights, ["cell_0", "cell_1"])


@pytest.mark.parametrize("times", [2, 3])
def test_multi_rnn_cell_of_one_cell_shares_its_weights(times):
    """`MultiRNNCell([cell] * L)`: one kernel, L states; so n = k."""
    graph = Graph(lambda: cells.MultiRNNCell([cells.BasicLSTMCell(K)] * times), n=K)
    again = {f"again_{i}": ls.Shared("cell") for i in range(1, times)}
    network = ls.Network(cell=basic(K), **again)
    hold(graph, network, graph.weights("cell", "basic_lstm_cell", basic(K)), ["cell", *again])


def test_one_cell_twice_needs_as_many_inputs_as_units():
    """TensorFlow refuses it when it multiplies; we when the network is made."""
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        Graph(lambda: cells.MultiRNNCell([cells.BasicLSTMCell(K)] * 2))
    with pytest.raises(ls.LstmSpecError, match="again cannot have the weights of cell"):
        ls.Network(cell=basic(), again=ls.Shared("cell"))


def test_dropout_wrapper_keeps_everything_at_inference():
    """keep_prob = 1 is how TensorFlow 1 spells inference."""
    graph = Graph(lambda: cells.DropoutWrapper(cells.BasicLSTMCell(K), 1.0, 1.0))
    network = ls.Network(cell=basic(), drop=ls.Dropout(0.5))
    hold(graph, network, graph.weights("cell", "basic_lstm_cell", basic()), ["cell"])


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_wrapper_on_the_output(variational):
    """Our network with their mask, which their output shows: it is 0 where a unit was dropped."""

    def make():
        cell = cells.BasicLSTMCell(K)
        options = {"variational_recurrent": True, "dtype": tf.float64} if variational else {}
        return cells.DropoutWrapper(cell, output_keep_prob=0.5, **options)

    graph = Graph(make)
    network = ls.Network(cell=basic(), drop=ls.Dropout(0.5, mask="unit" if variational else "element"))
    weights = graph.weights("cell", "basic_lstm_cell", basic())
    mask = np.where(graph.y == 0, 0, 2.0)
    assert set(mask.flat) == {0.0, 2.0}
    if variational:  # the same units for the whole batch, at every step
        assert (mask == mask[:1, :1]).all()
        mask = mask[:1, :1]
    assert ls.compile_network(network).masks(graph.x, weights, np.random.default_rng(0))["drop"].shape == mask.shape
    hold(graph, network, weights, ["cell"], dropout={"drop": mask})


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_wrapper_on_the_input(variational):
    """`DropoutWrapper(cell, keep_prob)`: the masks of x that reproduce the output, found step by step."""

    def make():
        options = {"variational_recurrent": True, "input_size": 2, "dtype": tf.float64} if variational else {}
        return cells.DropoutWrapper(cells.BasicLSTMCell(K), 0.5, **options)

    graph = Graph(make, n=2)
    network = ls.Network(drop=ls.Dropout(0.5, mask="unit" if variational else "element"), cell=basic(2))
    weights = graph.weights("cell", "basic_lstm_cell", basic(2))
    run = ls.compile_network(ls.Network(cell=basic(2)))
    choices = [np.array([a, b]) for a in (0.0, 2.0) for b in (0.0, 2.0)]
    mask, state = np.empty((T, B, 2)), None
    for t in range(T):
        tried = [run(graph.x[t : t + 1] * choice, weights, state) for choice in choices]
        for b in range(B):
            errors = [np.max(np.abs(y[0, b] - graph.y[t, b])) for y, _ in tried]
            mask[t, b] = choices[int(np.argmin(errors))]
        _, state = run(graph.x[t : t + 1] * mask[t], weights, state)
    assert len({tuple(row) for row in mask.reshape(-1, 2)}) > 1 or variational
    if variational:
        assert (mask == mask[:1, :1]).all()
        mask = mask[:1, :1]
    hold(graph, network, weights, ["cell"], dropout={"drop": mask})


def test_the_whole_of_it():
    """The network of the classic tutorials: every cell wrapped, then stacked, then softmax on the last output."""

    def make():
        return cells.MultiRNNCell([cells.DropoutWrapper(cells.BasicLSTMCell(K), 1.0) for _ in range(2)])

    graph = Graph(make)
    network = ls.Network(
        drop_0=ls.Dropout(0.5), cell_0=basic(), drop_1=ls.Dropout(0.5), cell_1=ls.lstm(k=K, forget_bias=1)
    )
    weights = graph.weights("cell_0", "cell_0/basic_lstm_cell", basic())
    weights |= graph.weights("cell_1", "cell_1/basic_lstm_cell", basic(K))
    hold(graph, network, weights, ["cell_0", "cell_1"])
