"""`compare` and the order in which data runs through layers: real Keras files, and ONNX exports of the same models.

Keras numbers its layers on through a session (`lstm`, `lstm_1`, then `lstm_2`, `lstm_3`), so that names say nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls

pytestmark = pytest.mark.filterwarnings("ignore")
N = 4
FORMATS = ["h5", "keras", "weights.h5", "onnx"]


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="torch is not installed")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.backend.backend() == "jax":
        pytest.skip("Keras exports no ONNX on this backend")
    return keras


def chain(keras, *names):
    layers = [keras.layers.LSTM(N, return_sequences=True, name=name) for name in names]
    return keras.Sequential([keras.layers.Input((None, N)), *layers])


def towers(keras, p, q, r):
    """A layer beside a chain of two: the deeper one is first in the list of layers, the other in the wiring."""
    x = keras.layers.Input((None, N))
    p, q, r = (keras.layers.LSTM(N, return_sequences=True, name=name) for name in (p, q, r))
    return keras.Model(x, keras.layers.Concatenate()([p(x), r(q(x))]))


def difference(keras, one, other, turned=False):
    x = keras.layers.Input((None, N))
    both = [keras.layers.LSTM(N, return_sequences=True, name=name)(x) for name in (one, other)]
    return keras.Model(x, keras.layers.Subtract()(both[::-1] if turned else both))


def both_ways(keras, *names):
    wrap, lstm = keras.layers.Bidirectional, keras.layers.LSTM
    layers = [wrap(lstm(N // 2, return_sequences=True), name=name) for name in names]
    return keras.Sequential([keras.layers.Input((None, N)), *layers])


def nested(keras, name, *inside):
    return keras.Sequential(
        [keras.layers.Input((None, N)), keras.layers.LSTM(N, return_sequences=True, name=name), chain(keras, *inside)]
    )


def filled(model, values):
    """The model with these weights by the name of a layer."""
    for layer in model._flatten_layers(include_self=False):
        if layer.name in values:
            layer.set_weights(values[layer.name])
    return model


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((N, 4 * N), (N, 4 * N), (4 * N,))
    return [[rng.uniform(-0.5, 0.5, shape).astype("float32") for shape in shapes] for _ in range(count)]


def saved(folder, model, formats=FORMATS):
    """One model in every format; the paths by format."""
    paths = {}
    for form in formats:
        paths[form] = str(folder / f"{model.name}.{form}")
        if form == "onnx":
            model(np.zeros((1, 2, N), "float32"))
            model.export(paths[form], format="onnx", verbose=False)
        else:
            (model.save_weights if form == "weights.h5" else model.save)(paths[form])
    return paths


@pytest.fixture(scope="module")
def chains(keras, tmp_path_factory):
    """Two layers; the same called otherwise; exchanged; called like each other; with exchanged weights and names."""
    a, b = drawn(2)
    models = {
        "given": ({"lstm": a, "lstm_1": b}, ("lstm", "lstm_1")),
        "renamed": ({"lstm_2": a, "lstm_3": b}, ("lstm_2", "lstm_3")),
        "exchanged": ({"lstm_2": b, "lstm_3": a}, ("lstm_2", "lstm_3")),
        "called": ({"lstm_1": a, "lstm": b}, ("lstm_1", "lstm")),
        "turned": ({"lstm_1": b, "lstm": a}, ("lstm_1", "lstm")),
    }
    folder = tmp_path_factory.mktemp("chains")
    return {
        case: saved(folder, filled(chain(keras, *names), values), FORMATS) for case, (values, names) in models.items()
    }


@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize("one", FORMATS)
def test_layers_in_each_others_place_are_told_in_every_format(chains, one, other):
    given = chains["given"][one]
    for case in ("given", "renamed", "called"):
        comparison = ls.compare(given, chains[case][other])
        assert (comparison.ok, comparison.moved) == (True, ()), case
    for case in ("exchanged", "turned"):
        comparison = ls.compare(given, chains[case][other])
        assert not comparison.ok
        assert len(comparison.moved) == 1
        assert comparison.moved[0].endswith("have changed places")
        assert str(comparison).endswith("not the same: 2 of 2 cells are equal, but not in their places")


def test_two_sessions_of_keras_in_words(chains, command):
    told = command("compare", chains["given"]["keras"], chains["exchanged"]["keras"])
    assert (told.code, told.err) == (1, "")
    assert told.out == (
        "layers/lstm/cell (keras) and layers/lstm_1/cell (keras): equal to the bit\n"
        "layers/lstm_1/cell (keras) and layers/lstm/cell (keras): equal to the bit\n"
        "layers/lstm/cell and layers/lstm_1/cell have changed places\n"
        "not the same: 2 of 2 cells are equal, but not in their places\n"
    )
    assert command("compare", chains["given"]["h5"], chains["renamed"]["h5"]).code == 0
    assert command("compare", chains["given"]["h5"], chains["exchanged"]["h5"]).code == 1


def test_names_that_say_another_order_are_told(chains):
    comparison = ls.compare(chains["given"]["h5"], chains["called"]["h5"])
    (renamed,) = comparison.renamed
    assert renamed.startswith("paired by the order of the layers, for their names say another: lstm/sequential")
    assert [pair.by for pair in comparison.pairs] == ["order", "order"]


def test_a_live_model_beside_a_file(keras, chains):
    a, b = drawn(2)
    straight = filled(chain(keras, "lstm_7", "lstm_8"), {"lstm_7": a, "lstm_8": b})
    turned = filled(chain(keras, "lstm_7", "lstm_8"), {"lstm_7": b, "lstm_8": a})
    for form in ("h5", "keras"):
        assert ls.compare(chains["given"][form], straight).ok
        assert not ls.compare(turned, chains["given"][form]).ok


def test_three_layers_in_a_circle_and_one_that_is_left_out(keras, tmp_path):
    a, b, c = drawn(3)
    three = saved(tmp_path, filled(chain(keras, "a", "b", "c"), {"a": a, "b": b, "c": c}), ["keras"])["keras"]
    circle = saved(tmp_path, filled(chain(keras, "u", "v", "w"), {"u": b, "v": c, "w": a}), ["h5"])["h5"]
    assert ls.compare(three, circle).moved == (
        "layers/lstm/cell, layers/lstm_1/cell and layers/lstm_2/cell have changed places",
    )
    two = saved(tmp_path, filled(chain(keras, "u", "v"), {"u": a, "v": c}), ["h5"])["h5"]
    assert not ls.compare(three, two).ok
    assert ls.compare(three, two, shared=True).ok
    turned = saved(tmp_path, filled(chain(keras, "u", "v"), {"u": c, "v": a}), ["h5"])["h5"]
    assert ls.compare(three, turned, shared=True).moved == (
        "layers/lstm/cell and layers/lstm_2/cell have changed places",
    )


def test_equal_layers_stand_in_their_order(keras, tmp_path):
    a, b = drawn(2)
    paths = {
        order: saved(
            tmp_path,
            filled(chain(keras, *"uvw"), dict(zip("uvw", map({"a": a, "b": b}.get, order), strict=True))),
            ["h5"],
        )["h5"]
        for order in ("aab", "aba")
    }
    assert not ls.compare(paths["aab"], paths["aba"]).ok
    fewer = saved(tmp_path, filled(chain(keras, "x", "y"), {"x": b, "y": a}), ["h5"])["h5"]
    assert ls.compare(paths["aba"], fewer, shared=True).ok
    assert not ls.compare(paths["aab"], fewer, shared=True).ok


def test_what_differs_stands_beside_what_is_in_its_place(keras, tmp_path):
    """Numbers would say the contrary: each is nearer to the other."""
    a, b = drawn(2)
    given = saved(tmp_path, filled(chain(keras, "a", "b"), {"a": a, "b": b}), ["h5"])["h5"]
    nearer = {"u": [array + np.float32(0.01) for array in b], "v": [array + np.float32(0.01) for array in a]}
    there = saved(tmp_path, filled(chain(keras, "u", "v"), nearer), ["keras"])["keras"]
    comparison = ls.compare(given, there)
    assert [pair.second.where for pair in comparison.pairs] == ["layers/lstm/cell", "layers/lstm_1/cell"]
    assert not comparison.ok


@pytest.fixture(scope="module")
def towered(keras, tmp_path_factory):
    """Two towers; the same called otherwise; with layers exchanged that stand beside and above each other."""
    a, b, c = drawn(3)
    folder, names = tmp_path_factory.mktemp("towers"), ("lstm_3", "lstm_4", "lstm_5")
    given = saved(folder, filled(towers(keras, *"pqr"), {"p": a, "q": b, "r": c}))
    others = {"same": (a, b, c), "beside": (b, a, c), "above": (a, c, b)}
    models = {case: filled(towers(keras, *names), dict(zip(names, own, strict=True))) for case, own in others.items()}
    return {"given": given} | {case: saved(folder, model) for case, model in models.items()}


@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize("one", FORMATS)
def test_towers_are_ordered_by_their_wiring(towered, one, other):
    """A `.weights.h5` numbers its layers as Keras lists them; a graph lists those beside each other in any order."""
    given = towered["given"][one]
    same, beside, above = (ls.compare(given, towered[case][other]) for case in ("same", "beside", "above"))
    unknown = {one, other} == {"weights.h5", "onnx"}
    assert (same.ok, bool(same.renamed)) == (True, unknown)
    assert (beside.ok, bool(beside.renamed)) == (unknown, unknown)
    assert not above.ok


def test_layers_beside_each_other_that_were_wired_the_other_way(keras, tmp_path):
    """The names are the same, and what comes out has another sign."""
    a, b = drawn(2)
    models = [filled(difference(keras, "left", "right", turned), {"left": a, "right": b}) for turned in (False, True)]
    forms = ["h5", "keras", "onnx"]
    given, turned = (saved(tmp_path, model, forms) for model in models)
    for one in forms:
        for other in forms:
            assert ls.compare(given[one], given[other]).ok
            assert not ls.compare(given[one], turned[other]).ok
    assert ls.compare(given["h5"], turned["h5"]).moved == (
        "left/left/lstm_cell and right/right/lstm_cell have changed places",
    )


def test_both_ways_of_a_stack_and_its_halves(keras, tmp_path):
    model = both_ways(keras, "b", "b_1")
    one, two = (layer.get_weights() for layer in model.layers)
    given = saved(tmp_path, model, ["h5"])["h5"]
    cases = {"same": (one, two), "levels": (two, one), "halves": (one[3:] + one[:3], two)}
    for case, values in cases.items():
        other = filled(both_ways(keras, "b_2", "b_3"), dict(zip(("b_2", "b_3"), values, strict=True)))
        for path in saved(tmp_path, other, ["h5", "keras", "weights.h5"]).values():
            assert ls.compare(given, path).ok is (case == "same")


def test_a_model_inside_a_model(keras, tmp_path):
    a, b, c = drawn(3)
    given = saved(tmp_path, filled(nested(keras, "a", "b", "c"), {"a": a, "b": b, "c": c}))
    flat = saved(tmp_path, filled(chain(keras, *"uvw"), {"u": a, "v": b, "w": c}))
    turned = saved(tmp_path, filled(chain(keras, *"uvw"), {"u": b, "v": c, "w": a}))
    for one in ("h5", "keras", "onnx"):
        for other in FORMATS:
            assert ls.compare(given[one], flat[other]).ok
            assert not ls.compare(given[one], turned[other]).ok
    by_class = ls.compare(given["weights.h5"], turned["h5"])  # does not say whether the model or the layer is first
    assert by_class.renamed[0].startswith("paired by their numbers, for no name and no order that both have says it: ")
