"""The order in which data runs through the recurrent layers of a file, by its wiring: ONNX, TFLite, Keras."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.flow import find_flow, follow
from lstm_spec.checkpoints.keras.config import read_configuration
from tests.checkpoints.onnx.models import R, W, constants
from tests.checkpoints.tflite.models import UNIDIRECTIONAL, Model, options

NEEDS = {"y": ["b", "a"], "a": ["x", "w"], "b": ["c"], "c": ["x"], "z": ["v"], "v": ["u"]}


def needs(value):
    return NEEDS.get(value, [])


def test_what_is_asked_for_first_comes_first():
    assert follow(["y"], needs) == ["x", "c", "b", "w", "a", "y"]
    assert follow(["a", "y"], needs) == ["x", "w", "a", "c", "b", "y"]


def test_a_circle_is_cut():
    assert follow(["a"], {"a": ["b"], "b": ["c"], "c": ["a"]}.__getitem__) == ["c", "b", "a"]


def test_constants_join_nothing():
    """`w` is no input; `y` and `z` have nothing in common."""
    inputs, layers = {"x", "u"}, {"c": "C", "a": "A", "y": "Y", "v": "V"}
    flow = find_flow(["y", "z"], needs, inputs.__contains__, layers)
    assert flow.runs == (("C", "A", "Y"), ("V",))
    assert flow.behind == {"C": 0, "A": 0, "Y": 0b11, "V": 0}
    both = {"y": ["x", "w"], "z": ["u", "w"]}
    apart = find_flow(["y", "z"], lambda value: both.get(value, []), inputs.__contains__, {"y": "Y", "z": "Z"})
    assert apart.runs == (("Y",), ("Z",))


# ---- ONNX ----


def lstm(name, x, y):
    return helper.make_node("LSTM", [x, "W", "R"], ["", y], name, hidden_size=2)


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def written(tmp_path, nodes, inputs=("x",), outputs=("out",), functions=()):
    graph = helper.make_graph(nodes, "g", [*map(value, inputs)], [*map(value, outputs)], constants(W=W, R=R))
    path = tmp_path / "m.onnx"
    opsets = [helper.make_opsetid("", 14), helper.make_opsetid("own", 1)]
    path.write_bytes(
        helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return read_tensors(path)


def test_the_list_of_nodes_says_nothing_where_the_wiring_does(tmp_path):
    both = [lstm("left", "x", "l"), lstm("right", "x", "r")]
    joined = helper.make_node("Concat", ["l", "r"], ["out"], axis=-1)
    assert written(tmp_path, [*both, joined]).flow.runs == (("left", "right"),)
    assert written(tmp_path, [*both[::-1], joined]).flow.runs == (("left", "right"),)
    turned = helper.make_node("Concat", ["r", "l"], ["out"], axis=-1)
    assert written(tmp_path, [*both, turned]).flow.runs == (("right", "left"),)


def test_layers_that_nothing_joins_have_no_order(tmp_path):
    nodes = [lstm("one", "x", "y"), lstm("two", "u", "v"), lstm("dead", "x", "unused")]
    assert written(tmp_path, nodes, ("x", "u"), ("v", "y")).flow.runs == (("two",), ("one",))


def test_graphs_in_nodes_and_functions_are_followed(tmp_path):
    inner = helper.make_graph([lstm("inside", "mid", "deep")], "then", [], [value("deep")])
    other = helper.make_graph([helper.make_node("Identity", ["mid"], ["same"])], "else", [], [value("same")])
    body = [helper.make_node("LSTM", ["a", "p", "q"], ["b"], "called", hidden_size=2)]
    function = helper.make_function("own", "wrap", ["a", "p", "q"], ["b"], body, [helper.make_opsetid("", 14)])
    nodes = [
        helper.make_node("wrap", ["x", "W", "R"], ["first"], "wrapped", domain="own"),
        lstm("middle", "first", "mid"),
        helper.make_node("If", ["yes"], ["chosen"], "if", then_branch=inner, else_branch=other),
        lstm("last", "chosen", "out"),
    ]
    tensors = written(tmp_path, nodes, ("x", "yes"), functions=[function])
    assert tensors.flow.runs == (("wrapped/called", "middle", "if.then_branch/inside", "last"),)
    assert {operator.where for operator in tensors.operators} == set(tensors.flow.runs[0])


# ---- TFLite ----


def test_operators_of_tflite(tmp_path):
    """Two that stand beside each other, listed the other way; one that nothing needs."""
    model = Model()
    x = model.value("x")
    y, z, dead, out = (model.value(name) for name in ("y", "z", "dead", "out"))
    for made in (z, y, dead):
        slots = {2: (2, 3), 3: (2, 3), 4: (2, 3), 6: (2, 2), 7: (2, 2), 8: (2, 2), 13: (2,), 14: (2,), 15: (2,)}
        places = [-1] * 20
        places[0] = x
        for slot, shape in slots.items():
            places[slot] = model.constant(f"t{made}.{slot}", np.zeros(shape, "float32"))
        places[18], places[19] = (model.value(f"s{made}.{slot}", variable=True) for slot in (18, 19))
        model.operator(UNIDIRECTIONAL, places, [made], options(UNIDIRECTIONAL))
    model.operator(0, [y, z], [out])
    model.inputs, model.outputs = [x], [out]
    path = tmp_path / "m.tflite"
    path.write_bytes(model.data())
    tensors = read_tensors(path)
    assert [operator.where for operator in tensors.operators] == ["z", "y", "dead"]
    assert tensors.flow.runs == (("y", "z"),)


# ---- Keras ----


def layer(name, *inbound, kind="LSTM"):
    return {"class_name": kind, "name": name, "config": {"name": name}, "inbound_nodes": list(inbound)}


def keras_2(*names):
    """A node of Keras 2: each input with its node, its tensor and more arguments."""
    return [[name, 0, 0, {}] for name in names]


def keras_3(*names):
    parts = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
    return {"args": [parts[0] if len(parts) == 1 else parts], "kwargs": {"mask": None}}


def turns(config):
    return {one.names[-1]: one.turn for one in read_configuration(config, "").layers}


@pytest.mark.parametrize("node", [keras_2, keras_3])
def test_a_functional_model_of_keras_is_wired(node):
    layers = [
        layer("x", kind="InputLayer"),
        layer("q", node("x")),
        layer("p", node("x")),
        layer("r", node("q")),
        layer("join", node("p", "r"), kind="Concatenate"),
        layer("dead", node("x")),
    ]
    config = {"name": "m", "layers": layers, "output_layers": [["join", 0, 0]]}
    assert turns({"class_name": "Functional", "config": config}) == {"p": (1,), "q": (2,), "r": (3,), "dead": (5,)}


def test_states_that_a_layer_is_handed_come_before_it():
    handed = [["z", 0, 0, {"initial_state": [["enc", 0, 1], ["enc", 0, 2]]}]]
    layers = [
        layer("z", kind="InputLayer"),
        layer("dec", handed),
        layer("x", kind="InputLayer"),
        layer("enc", keras_2("x")),
    ]
    config = {"layers": layers, "output_layers": [["dec", 0, 0]]}
    assert turns({"class_name": "Model", "config": config}) == {"dec": (3,), "enc": (2,)}


def test_models_in_models_and_models_that_say_nothing():
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [layer("b"), layer("a")]}}
    outer = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer("c"), inner, layer("d")]}}
    assert turns(outer) == {"c": (0,), "b": (1, 0), "a": (1, 1), "d": (2,)}
    own = {"class_name": "Custom>Mine", "config": {"name": "m", "layers": [layer("c"), inner]}}
    assert turns(own) == {"c": None, "b": None, "a": None}


def test_a_shared_layer_closes_a_circle():
    layers = [
        layer("x", kind="InputLayer"),
        layer("twice", keras_2("x"), keras_2("mid")),
        layer("mid", keras_2("twice")),
    ]
    config = {"layers": layers, "output_layers": [["twice", 1, 0]]}
    assert turns({"class_name": "Functional", "config": config}) == {"twice": (2,), "mid": (1,)}
