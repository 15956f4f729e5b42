"""A network gives the shapes, counts and numbers of the same Keras model; dropout by Keras's own masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import lstm_spec as ls
from lstm_spec.dialects.keras import KERAS
from tests.frameworks.peers import difference, try_few
from tests.networks.generated import Drawn, networks, of_member

keras = pytest.importorskip("keras", reason="keras is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def shape_of(network: ls.Network, signal) -> tuple[int | None, ...]:
    """Without the batch, and with None for the time."""
    return tuple(None if str(s) in ("T", "S") else int(s) for s in signal.shape("batch")[1:])


def keras_layer(placed):
    """The same module in Keras."""
    module = placed.module
    match module:
        case ls.Recurrent():
            layer = module.layer
            over = keras.layers.LSTM(int(layer.sizes["k"]), return_sequences=layer.output == "sequence")
            return keras.layers.Bidirectional(over) if layer.direction == "both" else over
        case ls.Dense():
            activation = "linear" if module.activation == "identity" else module.activation
            return keras.layers.Dense(int(module.units), activation, module.bias)
        case ls.Embedding():
            return keras.layers.Embedding(int(module.vocabulary), int(module.width))
        case ls.RepeatVector():
            return keras.layers.RepeatVector(int(module.steps))
    return keras.layers.Dropout(float(module.rate))


def keras_weights(placed, weights):
    """A member's weights in Keras's order."""
    own = of_member(weights, placed.owner)
    match placed.module:
        case ls.Recurrent():
            layer = placed.module.sized(placed.takes)
            one_way = layer.with_(direction="forward")
            packed = []
            for member in layer.members:
                of_one = {
                    f"l0.{n.rpartition('.')[2]}": a for n, a in own.items() if n.rpartition(".")[0] == member.prefix
                }
                packed += KERAS.pack(of_one, one_way).values()
            return packed
        case ls.Dense():
            return [own["W"].T, *([own["b"]] if "b" in own else [])]
        case ls.Embedding():
            return [own["E"]]
    return []


def keras_model(network: ls.Network, weights):
    """The functional model out of the members; a start is an initial state."""
    inputs, states, value = [], {}, None
    for placed in network.members:
        if isinstance(placed.module, ls.Input):
            value = keras.Input(shape_of(network, placed.gives), dtype="int32" if placed.gives.width is None else None)
            inputs.append(value)
            continue
        layer = keras_layer(placed)
        is_started_from = any(p.start == placed.name for p in network.members)
        if is_started_from:
            layer.return_state = True
            value, *states[placed.name] = layer(value)
        else:
            value = layer(value, initial_state=states[placed.start]) if placed.start else layer(value)
        layer.set_weights(keras_weights(placed, weights))
    return keras.Model(inputs, value)


def hold(network: ls.Network, x, lengths) -> None:
    """Shapes, counts and numbers are Keras's."""
    weights = network.random(0, "float32")
    model = keras_model(network, weights)
    named = dict(zip(network.inputs, x, strict=True))
    y, _ = ls.compile_network(network)(named, weights)
    theirs = np.asarray(model.predict(x, verbose=0))
    assert difference(y, theirs) <= 2e-6
    assert model.count_params() == network.parameter_count
    assert model.output_shape[1:] == shape_of(network, network.answer)
    assert network.shapes(**lengths).answer == theirs.shape


@given(networks(stacked=False))
@try_few
def test_shapes_counts_and_numbers_are_kerass(drawn: Drawn):
    network = ls.Network(layout="batch", **dict(drawn.network.modules))
    x = Drawn(network, drawn.batch, drawn.time, drawn.seed).x("float32")
    hold(network, [x], {"batch": drawn.batch, "time": drawn.time})


@pytest.mark.parametrize("form", ["one-to-one", "one-to-many", "many-to-one", "many-to-many", "encoder-decoder"])
def test_every_task_form_is_a_keras_model(form):
    network = ls.build_form(form, ls.lstm(5, 10, layout="batch"), 3, "softmax", steps=4)
    lengths = {"B": 2, "T": 7, "S": 4}
    generator = np.random.default_rng(0)
    shapes = [signal.shape("batch") for signal in network.inputs.values()]
    x = [generator.standard_normal([lengths.get(str(s), s) for s in shape]).astype("float32") for shape in shapes]
    hold(network, x, {"batch": 2, "time": 7})


# ---- dropout, with Keras's own masks ----


def run_with_masks(n, k, x, weights, layer, **options):
    """A training call of keras.layers.LSTM, and the masks that it drew."""
    module = keras.layers.LSTM(k, return_sequences=True, seed=1, **options)
    module.build((None, None, n))
    module.set_weights(list(KERAS.pack(weights, layer).values()))
    drawn = {}
    for name in ("get_dropout_mask", "get_recurrent_dropout_mask"):
        draw = getattr(module.cell, name)

        def remember(step, name=name, draw=draw):
            drawn[name] = draw(step)
            return drawn[name]

        setattr(module.cell, name, remember)
    y = module(x, training=True)
    return keras.ops.convert_to_numpy(y), drawn


def test_one_mask_a_sequence_on_x():
    layer = ls.lstm(5, 4)
    weights, x = layer.random(0, "float32"), np.random.default_rng(0).standard_normal((3, 7, 5)).astype("float32")
    theirs, drawn = run_with_masks(5, 4, x, weights, layer, dropout=0.5)
    network = ls.Network(layout="batch", drop=ls.Dropout(0.5, mask="sequence"), lstm=layer)
    mask = keras.ops.convert_to_numpy(drawn["get_dropout_mask"])[:, None, :]
    run = ls.compile_network(network)
    named = {f"lstm.{name}": array for name, array in weights.items()}
    assert difference(run(x, named, dropout={"drop": mask})[0], theirs) <= 2e-6
    ours = run.masks(x, named, np.random.default_rng(0))["drop"]
    assert (ours.shape, set(ours.flat)) == (mask.shape, set(mask.flat))


def test_recurrent_dropout_has_a_mask_for_each_gate():
    layer = ls.lstm(5, 4)
    weights, x = layer.random(0, "float32"), np.random.default_rng(0).standard_normal((3, 7, 5)).astype("float32")
    theirs, drawn = run_with_masks(5, 4, x, weights, layer, recurrent_dropout=0.5)
    noise = ls.RecurrentDropout(0.5, on="h", mask="sequence", apart=True)
    network = ls.Network(layout="batch", lstm=ls.Recurrent(layer, noise=noise))
    gates = [keras.ops.convert_to_numpy(m)[:, None, :] for m in drawn["get_recurrent_dropout_mask"]]
    masks = {f"lstm.m_h{i}": mask for i, mask in enumerate(gates, 1)}  # i, f, c, o, as in our equations
    run = ls.compile_network(network)
    named = {f"lstm.{name}": array for name, array in weights.items()}
    assert difference(run(x, named, dropout=masks)[0], theirs) <= 2e-6
    ours = run.masks(x, named, np.random.default_rng(0))
    assert {name: m.shape for name, m in ours.items()} == {name: m.shape for name, m in masks.items()}
