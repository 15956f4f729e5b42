"""A network gives the shapes and the numbers that the same modules of PyTorch give; dropout by its own masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import lstm_spec as ls
from lstm_spec.dialects.pytorch import PYTORCH
from tests.frameworks.peers import difference, try_some
from tests.networks.generated import Drawn, networks, of_member

torch = pytest.importorskip("torch", reason="torch is not installed")

ACTIVATIONS = {
    "identity": lambda z: z,
    "softmax": lambda z: torch.softmax(z, -1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


def lstm_of(placed, weights, **options):
    """`torch.nn.LSTM` with a member's weights."""
    layer = placed.module.sized(placed.takes)
    sizes = layer.sizes
    bidirectional = layer.direction == "both"
    module = torch.nn.LSTM(
        int(sizes["n"]), int(sizes["k"]), layer.layers, bidirectional=bidirectional, dtype=torch.float64, **options
    )
    packed = PYTORCH.pack(of_member(weights, placed.owner), layer)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in packed.items()})
    return module


def linear_of(placed, weights):
    own = of_member(weights, placed.owner)
    module = torch.nn.Linear(own["W"].shape[1], own["W"].shape[0], bias="b" in own, dtype=torch.float64)
    names = {"weight": "W"} | ({"bias": "b"} if "b" in own else {})
    module.load_state_dict({theirs: torch.from_numpy(own[ours]) for theirs, ours in names.items()})
    return module


def run_torch(drawn: Drawn, weights):
    """The network out of torch's modules, member by member, time first."""
    x = drawn.x()
    is_sequence = next(iter(drawn.network.inputs.values())).time is not None
    value = torch.from_numpy(x.swapaxes(0, 1) if drawn.network.layout == "batch" and is_sequence else x)
    with torch.no_grad():
        for placed in drawn.network.members[1:]:
            module = placed.module
            if isinstance(module, ls.Recurrent):
                y, (h, _) = lstm_of(placed, weights).eval()(value)
                last = torch.cat(list(h[-module.layer.directions :]), -1)
                value = last if module.layer.output == "last" else y
            elif isinstance(module, ls.Dense):
                value = ACTIVATIONS[module.activation](linear_of(placed, weights)(value))
            elif isinstance(module, ls.Embedding):
                value = torch.nn.functional.embedding(value, torch.from_numpy(weights[f"{placed.name}.E"]))
            elif isinstance(module, ls.RepeatVector):
                value = value.expand(int(module.steps), *value.shape)
            else:
                value = torch.nn.Dropout(float(module.rate)).eval()(value)
    y = value.numpy()
    return y.swapaxes(0, 1) if drawn.network.layout == "batch" and drawn.network.answer.time is not None else y


@given(networks(bias="two"))
@try_some
def test_shapes_and_numbers_are_torchs(drawn):
    weights = drawn.network.random(drawn.seed)
    theirs = run_torch(drawn, weights)
    y, _ = ls.compile_network(drawn.network)(drawn.x(), weights)
    assert difference(y, np.ascontiguousarray(theirs)) <= 1e-12
    assert drawn.network.shapes(batch=drawn.batch, time=drawn.time).answer == theirs.shape


@given(networks(bias="two"))
@try_some
def test_the_count_is_torchs(drawn):
    weights = drawn.network.random(0)
    counted = 0
    for placed in drawn.network.members:
        if isinstance(placed.module, ls.Recurrent):
            counted += sum(p.numel() for p in lstm_of(placed, weights).parameters())
        elif isinstance(placed.module, ls.Dense):
            counted += sum(p.numel() for p in linear_of(placed, weights).parameters())
        elif isinstance(placed.module, ls.Embedding):
            counted += torch.nn.Embedding(int(placed.module.vocabulary), int(placed.module.width)).weight.numel()
    assert drawn.network.parameter_count == counted


def test_dropout_between_the_layers_of_a_stack():
    """`torch.nn.LSTM(dropout=)` in training: a fresh mask for every entry, after every layer but the last."""
    layer = ls.lstm(5, 4, bias="two", layers=3)
    cell = ls.lstm(k=4, bias="two")
    network = ls.Network(l0=cell.with_(n=5), drop0=ls.Dropout(0.4), l1=cell, drop1=ls.Dropout("0.4"), l2=cell)
    stacked = layer.random(0)
    weights = {f"{name[:2]}.l0.{name[3:]}": array for name, array in stacked.items()}
    module = torch.nn.LSTM(5, 4, 3, dropout=0.4, dtype=torch.float64)
    module.load_state_dict({name: torch.from_numpy(a) for name, a in PYTORCH.pack(stacked, layer).items()})
    x = np.random.default_rng(0).standard_normal((7, 2, 5))
    with torch.no_grad():
        torch.manual_seed(3)
        theirs, _ = module.train()(torch.from_numpy(x))
        torch.manual_seed(3)
        ones = torch.ones(7, 2, 4, dtype=torch.float64)
        masks = {name: torch.nn.functional.dropout(ones, 0.4).numpy() for name in ("drop0", "drop1")}
    run = ls.compile_network(network)
    assert difference(run(x, weights, dropout=masks)[0], theirs.numpy()) <= 1e-12
    assert difference(run(x, weights)[0], module.eval()(torch.from_numpy(x))[0].detach().numpy()) <= 1e-12
    ours = run.masks(x, weights, np.random.default_rng(0))
    assert {name: (m.shape, set(np.round(m, 12).flat)) for name, m in ours.items()} == {
        name: (m.shape, set(np.round(m, 12).flat)) for name, m in masks.items()
    }
