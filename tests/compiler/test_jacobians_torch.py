"""The Jacobians of steps against `torch.autograd.functional.jacobian`: of torch's own layer, and of any equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.compiler.jacobians import jacobian_layer, place_states
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell
from tests.compiler.oracle import random_inputs

torch = pytest.importorskip("torch")
from tests.compiler.torch_oracle import run_member  # noqa: E402

OPTIONS: list[dict[str, Any]] = [{}, {"peephole": True}, {"projection": 2}, {"layer_norm": "ba"}, {"coupled": "f=1-i"}]
CELLS = [
    *(ls.lstm(**options).cell for options in OPTIONS),
    *map(cells.get, ("gru", "gru-reset-after", "slstm", "mut3")),
]


@pytest.mark.parametrize("cell", CELLS)
def test_any_cell_has_torchs_jacobian(cell: Cell) -> None:
    layer = Layer(cell).at(**dict(zip(cell.letters, (3, 4, 2), strict=False)))
    x, weights, state = random_inputs(layer, 4, 1, 0)
    found, places = jacobian_layer(layer, weights, x, state), place_states(layer, layer.members[0])
    own = {n.removeprefix("l0."): torch.tensor(v) for n, v in weights.items()}
    carried = tuple(torch.tensor(state[f"l0.{name}"]) for name in places)
    for t in range(4):

        def step(*states: Any, t: int = t) -> Any:
            known = dict(zip(places, states, strict=True))
            _, after = run_member(
                layer, torch.tensor(x[t : t + 1]), own, known, torch.ones((1, 1, 1), dtype=torch.bool)
            )
            return tuple(after[name] for name in places)

        wanted = torch.autograd.functional.jacobian(step, carried)
        for i, of in enumerate(places):
            for j, by in enumerate(places):
                block = wanted[i][j][0, :, 0, :].numpy()
                assert np.abs(found[f"d{of}_d{by}"][t, 0] - block).max(initial=0) <= 1e-10, (t, of, by)
        carried = step(*carried)


def test_torchs_own_lstm_over_all_its_steps() -> None:
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(3, 4, dtype=torch.float64)
    layer, weights = ls.read(theirs)
    x = np.random.default_rng(0).normal(size=(6, 1, 3))
    found = ls.jacobian(layer, weights, x)
    zero = torch.zeros(1, 1, 4, dtype=torch.float64)
    given = torch.tensor(x)
    wanted = torch.autograd.functional.jacobian(lambda h, c: theirs(given, (h, c))[1], (zero, zero))
    product = np.linalg.multi_dot(list(found.steps["l0"][::-1, 0]))
    whole = np.block([[wanted[i][j].reshape(4, 4).numpy() for j in range(2)] for i in range(2)])
    assert np.abs(product - whole).max() <= 1e-10
    assert found.growth["l0.c"].through[0, 0] == pytest.approx(np.log10(np.linalg.norm(whole[4:, 4:], 2)), abs=1e-9)
