"""One sample without a batch axis, and states as other parties lay them out."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError

LAYERS: list[dict[str, Any]] = [
    {},
    {"layout": "batch", "layers": 2},
    {"output": "last"},
    {"output": "last", "layout": "batch", "bidirectional": True},
    {"bidirectional": True, "merge": "apart"},
    {"bidirectional": True, "merge": "apart", "layout": "batch"},
]


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_one_sample_is_a_batch_of_one(options: dict[str, Any]) -> None:
    layer = ls.lstm(5, 4, **options)
    weights, rng = layer.random(0), np.random.default_rng(0)
    x = rng.normal(size=(7, 5))
    state = {name: rng.normal(size=int(shape[0])) for name, shape in layer.state_shapes().items()}
    run = ls.compile(layer)
    y, after = run.unbatched(x, weights, state)
    batch = x[:, None] if layer.layout == "time" else x[None]
    whole, end = run(batch, weights, {name: array[None] for name, array in state.items()})
    assert y.shape == tuple(n for n in whole.shape if n != 1)
    np.testing.assert_array_equal(y.ravel(), whole.ravel())
    for name in end:
        np.testing.assert_array_equal(after[name], end[name][0])


def test_a_batch_is_refused() -> None:
    layer = ls.lstm(5, 4)
    with pytest.raises(TensorError) as caught:
        ls.compile(layer).unbatched(np.zeros((7, 2, 5)), layer.random(0))
    assert str(caught.value) == "error[shape]: x is not one sample\n  expected (T, n = 5)\n  found    (7, 2, 5)"


@pytest.mark.parametrize("dialect", ["pytorch", "onnx", "keras"])
def test_states_come_back(dialect: str) -> None:
    layer = ls.lstm(5, 4) if dialect == "keras" else ls.lstm(5, 4, bidirectional=True)
    rng = np.random.default_rng(0)
    state = {name: rng.normal(size=(3, 4)) for name in layer.state_shapes()}
    own = ls.dialects.get(dialect)
    h, c = own.pack_state(state, layer)
    assert h.shape == c.shape == ((3, 4) if dialect == "keras" else (2, 3, 4))
    back = own.unpack_state([h, c], layer)
    assert all(np.array_equal(back[name], array) for name, array in state.items())
    with pytest.raises(TensorError, match=f"this is no state of {dialect}"):
        own.unpack_state([h], layer)


def test_a_compiled_layer_travels() -> None:
    run = ls.compile(ls.lstm(5, 4, layers=2))
    there = pickle.loads(pickle.dumps(run))
    x, weights = np.ones((3, 2, 5)), run.layer.random(0)
    np.testing.assert_array_equal(there(x, weights)[0], run(x, weights)[0])
    assert len(repr(run)) < 2000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ls.Layer("gru", n=5, k=10), "error[type]: 'gru' is no cell\n  help     lstm_spec.cells.get('gru')"),  # type: ignore[arg-type]
        (lambda: ls.compile(ls.cells.get("gru")), "error[type]: a Cell is no layer\n  expected a Layer\n"  # type: ignore[arg-type]
         "  help     ls.Layer(cell) makes a layer of a cell"),
        (lambda: ls.parse(None), "error[type]: a NoneType is no text\n  expected equations, as str"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_layer(call: Any, message: str) -> None:
    with pytest.raises(ls.LstmSpecError) as caught:
        call()
    assert str(caught.value) == message
