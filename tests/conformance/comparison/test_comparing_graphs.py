"""`compare` and drawn ONNX graphs: the same exactly when the same weights stand in the same node of the wiring.

The nodes are listed in a drawn order and have drawn names, of which some are those of other nodes in the other graph.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import lstm_spec as ls
from tests.conformance.sets import drawn, torch_names

N = 3
SHAPES = {name: array.shape for name, array in torch_names(n=N, k=N).items()}
VALUES = [drawn(SHAPES, seed) for seed in range(4)]
NAMES = ["lstm", "lstm_1", "lstm_2", "enc", "dec", "rnn1", "rnn2", "a.0", "a.1", "b"]


def as_onnx(array):
    """PyTorch's i, f, g, o → i, o, f, g."""
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, o, f, g])


def weights(number):
    own = VALUES[number]
    w, r, b_w, b_r = (as_onnx(own[f"{name}_l0"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return {"W": w[None], "R": r[None], "B": np.concatenate([b_w, b_r])[None]}


def listed(below, rng):
    """The nodes in some order in which each comes behind the one that it reads; -1 is the input."""
    order, left = [], list(range(len(below)))
    while left:
        chosen = rng.choice([node for node in left if below[node] < 0 or below[node] in order])
        order.append(chosen)
        left.remove(chosen)
    return order


def written(path, values, below, rng, names=()):
    """A tree of LSTMs, each above the one that it reads; those that none reads are joined at the end."""
    names, nodes, constants = names or rng.sample(NAMES, len(below)), [], []
    for node in listed(below, rng):
        name, x = names[node], "x" if below[node] < 0 else f"y{below[node]}"
        constants += [numpy_helper.from_array(a, f"{name}.{role}") for role, a in weights(values[node]).items()]
        inputs = [x, f"{name}.W", f"{name}.R", f"{name}.B"]
        nodes.append(helper.make_node("LSTM", inputs, [f"Y{node}"], name, hidden_size=N))
        nodes.append(helper.make_node("Squeeze", [f"Y{node}"], [f"y{node}"]))
    ends = [f"y{node}" for node in range(len(below)) if node not in below]
    nodes.append(helper.make_node("Concat", ends, ["out"], axis=-1))
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "out"))
    graph = helper.make_graph(nodes, "g", [given], [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def drawn_values(count, rng):
    """Weights for each node, now and then the same for two; and these again, or exchanged."""
    values = [rng.randrange(len(VALUES)) for _ in range(count)]
    return values, rng.sample(values, count) if rng.random() < 0.6 else list(values)


@pytest.mark.parametrize("seed", range(40))
def test_the_same_weights_in_the_same_nodes(tmp_path, seed):
    rng = random.Random(seed)
    below = [rng.randrange(-1, node) if node else -1 for node in range(rng.randint(2, 5))]
    one, other = drawn_values(len(below), rng)
    first, second = (written(tmp_path / f"{n}.onnx", v, below, rng) for n, v in enumerate((one, other)))
    assert ls.compare(first, second).ok is ls.compare(second, first).ok is (one == other)


@pytest.mark.parametrize("seed", range(20))
def test_numbered_layers_beside_a_chain(tmp_path, seed):
    rng = random.Random(seed)
    count = rng.randint(2, 5)
    one, other = drawn_values(count, rng)
    numbered = {f"net.{2 * n}.{name}": array for n, value in enumerate(one) for name, array in VALUES[value].items()}
    chain = written(tmp_path / "m.onnx", other, [*range(-1, count - 1)], rng)
    assert ls.compare(numbered, chain).ok is ls.compare(chain, numbered).ok is (one == other)


def test_the_draws_have_both_answers():
    answers = {one == other for one, other in (drawn_values(3, random.Random(seed)) for seed in range(40))}
    assert answers == {True, False}


def test_nodes_that_are_named_against_their_wiring_are_no_stack(tmp_path):
    """`l1` reads the input and `l0` reads `l1`: as a stack they would run the other way."""
    rng = random.Random(0)
    paths = {}
    for case, names in (("against", ["l1", "l0"]), ("along", ["l0", "l1"])):
        path = written(tmp_path / f"{case}.onnx", [0, 1], [-1, 0], rng, names)
        paths[case] = path
    along, against = (ls.convert(paths[case], "pytorch").layers for case in ("along", "against"))
    assert [(one.where, one.layer.layers) for one in along] == [(str(paths["along"]), 2)]
    assert [(one.where, one.layer.layers) for one in against] == [("l1", 1), ("l0", 1)]
    comparison = ls.compare(paths["along"], paths["against"])
    assert comparison.ok
    assert [pair.second.where for pair in comparison.pairs] == ["l1", "l0"]
    turned = written(tmp_path / "turned.onnx", [1, 0], [-1, 0], rng, ["l1", "l0"])
    assert not ls.compare(paths["along"], turned).ok
