"""Every cell of the literature: its text, its count, and its numbers against a loop written by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sympy import expand

from lstm_spec import cells
from lstm_spec.cells.catalogue import FOLDER, Entry, catalogue
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import interpret
from lstm_spec.compiler.lowering import lower
from lstm_spec.errors import OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import letter
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.lint import lint_cell
from tests.cells import loops

T, B = 5, 3
SIZES = {"n": 3, "k": 4, "r": 2}
COUNTS = {  # at n = 3, k = 4, r = 2
    "elman": 32,
    "gers2000": 128,
    "gers2002": 140,
    "graves2013": 140,
    "greff-cifg": 104,
    "greff-fgr": 284,
    "greff-nfg": 104,
    "greff-niaf": 140,
    "greff-nig": 104,
    "greff-noaf": 140,
    "greff-nog": 104,
    "greff-np": 128,
    "greff-vanilla": 140,
    "gru": 96,
    "gru-reset-after": 100,
    "gru-two-biases": 108,
    "hochreiter1997": 96,
    "janet": 64,
    "layer-norm": 200,
    "mgu": 64,
    "mingru": 32,
    "minlstm": 48,
    "mlstm": 156,
    "mut1": 76,
    "mut2": 92,
    "mut3": 96,
    "qrnn": 48,
    "sak2014": 116,
    "slstm": 128,
    "sru": 64,
    "sru-square": 64,
    "udacity": 148,
}
n, k = letter("n"), letter("k")
FORMULAS = {
    "mut1": (2 * k * n + 2 * k**2 + 3 * k).xreplace({n: k}),  # x is added as it is: n = k
    "mut2": (2 * k * n + 3 * k**2 + 3 * k).xreplace({n: k}),
    "mut3": 3 * k * n + 3 * k**2 + 3 * k,
    "mlstm": 4 * k * (n + k) + 4 * k + k * n + k**2,
    "udacity": 4 * k * (n + k + 1) + k**2 + k,
    "greff-fgr": 4 * k * (n + k + 1) + 3 * k + 9 * k**2,
    "sru-square": 3 * k**2 + 4 * k,
}


def layer_of(name: str) -> Layer:
    cell = cells.get(name)
    return Layer(cell, **{a: SIZES[a] for a in cell.letters})


def test_the_tables_here_are_of_every_cell() -> None:
    assert tuple(COUNTS) == tuple(loops.STEPS) == cells.names()


@pytest.mark.parametrize("name", COUNTS)
def test_count(name: str) -> None:
    assert layer_of(name).parameter_count == COUNTS[name]


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name: str) -> None:
    assert expand(Entry(name, cells.get(name)).count - FORMULAS[name]) == 0


@pytest.mark.parametrize("name", COUNTS)
def test_text(name: str) -> None:
    """It prints as it stands in its file, parses back, and says where it is from."""
    written = (FOLDER / f"{name}.cell").read_text(encoding="utf-8")
    cell = cells.get(name)
    assert parse(str(cell)) == cell
    assert str(parse(str(cell))) == str(cell)
    assert [line.split() for line in str(cell).splitlines()] == [line.split() for line in written.splitlines()]
    title, *source = cell.description.splitlines()
    assert len(title) <= 72
    assert len("".join(source)) > 20
    assert all(len(line) <= 120 for line in written.splitlines())


@pytest.mark.parametrize("name", COUNTS)
def test_it_has_no_slips(name: str) -> None:
    assert str(lint_cell(cells.get(name))) == "no warnings"


def test_where_the_papers_are_named() -> None:
    """All but two frameworks' GRUs and a course name a paper's year."""
    unnamed = [name for name in cells.names() if not re.search(r"(19|20)\d\d", Entry(name, cells.get(name)).title)]
    assert unnamed == ["gru-reset-after", "gru-two-biases", "udacity"]


def random_case(layer: Layer, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """x, weights and states by their plain names; a stored normaliser is positive."""
    draw = np.random.default_rng(seed)
    width = int(layer.cell.inputs[0].size[0].xreplace({letter(a): v for a, v in layer.sizes.items()}))
    weights = {name: draw.normal(0, 0.7, tuple(map(int, s))) for name, s in layer.parameter_shapes().items()}
    state = {name: draw.normal(0, 0.7, (B, int(s[0]))) for name, s in layer.state_shapes().items()}
    if "l0.v" in state:
        state["l0.v"] = np.abs(state["l0.v"]) + 0.5
    return draw.normal(size=(T, B, width)), weights, state


def plain(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix("l0."): array for name, array in arrays.items()}


@pytest.mark.parametrize("name", COUNTS)
def test_numbers(name: str) -> None:
    """Compiled, interpreted, and by hand."""
    layer = layer_of(name)
    x, weights, state = random_case(layer)
    y, final = compile_layer(layer)(x, weights, state)
    interpreted = interpret(lower(layer), x, weights, state)
    by_hand, hand_final = loops.run(loops.STEPS[name], plain(weights), x, plain(state))
    assert np.abs(y - by_hand).max() < 1e-12
    assert np.abs(interpreted.output - by_hand).max() < 1e-12
    for state_name, array in final.items():
        assert np.abs(array - hand_final[state_name.removeprefix("l0.")]).max() < 1e-12


@pytest.mark.parametrize("name", COUNTS)
def test_the_state_is_used(name: str) -> None:
    """Another initial state gives another output, so that `test_numbers` does compare states."""
    layer = layer_of(name)
    x, weights, state = random_case(layer)
    run = compile_layer(layer)
    y, _ = run(x, weights, state)
    for changed in state:
        other, _ = run(x, weights, state | {changed: state[changed] + 0.1})
        assert np.abs(y - other).max() > 1e-6


def test_the_stabiliser_of_slstm_may_start_anywhere() -> None:
    """exp(m) scales c and v alike: from zeros, h is the same for m = 0 and for a very small m."""
    layer = layer_of("slstm")
    x, weights, _ = random_case(layer)
    zeros = {name: np.zeros((B, 4)) for name in layer.state_shapes()}
    y, _ = compile_layer(layer)(x, weights, zeros)
    other, _ = compile_layer(layer)(x, weights, zeros | {"l0.m": np.full((B, 4), -50.0)})
    assert np.abs(y - other).max() < 1e-12


def test_pytorch() -> None:
    """The cells that PyTorch has: nn.RNN, nn.GRU and nn.LSTM."""
    torch = pytest.importorskip("torch")
    pairs = {"elman": ("RNN", [""]), "gru-two-biases": ("GRU", list("rzg")), "gers2000": ("LSTM", list("ifgo"))}
    for name, (kind, gates) in pairs.items():
        layer = layer_of(name)
        x, weights, state = random_case(layer)
        w = plain(weights)
        theirs = getattr(torch.nn, kind)(3, 4).double()

        def stacked(prefix: str, gates: list[str] = gates, w: dict[str, np.ndarray] = w) -> np.ndarray:
            return np.concatenate([w.get(prefix + g, w.get(f"{prefix}_{g}".rstrip("_"), np.zeros(4))) for g in gates])

        two = "b_Wr" in w
        blocks = {
            "weight_ih_l0": stacked("W"),
            "weight_hh_l0": stacked("U"),
            "bias_ih_l0": stacked("b_W") if two else stacked("b"),
            "bias_hh_l0": stacked("b_U") if two else np.zeros(4 * len(gates)),
        }
        theirs.load_state_dict({key: torch.tensor(block) for key, block in blocks.items()})
        initial = [torch.tensor(state[f"l0.{s}"])[None] for s in ("h", "c") if f"l0.{s}" in state]
        with torch.no_grad():
            y, _ = theirs(torch.tensor(x), tuple(initial) if len(initial) > 1 else initial[0])
        ours, _ = compile_layer(layer)(x, weights, state)
        assert np.abs(ours - y.numpy()).max() < 1e-12


def test_one_size_is_enough_where_n_is_k() -> None:
    square = [name for name in cells.names() if cells.get(name).letters == ("k",)]
    assert square == ["mut1", "mut2", "sru-square"]


def test_the_plain_lstm_has_a_name_too() -> None:
    from lstm_spec.cells.family import lstm_cell

    assert cells.get("lstm") == lstm_cell()
    assert "lstm" not in cells.names()


@pytest.mark.parametrize(
    ("name", "near"), [("gru2", "did you mean gru? "), ("lstn", "did you mean lstm? "), ("zzz", "")]
)
def test_a_name_that_is_not_there(name: str, near: str) -> None:
    with pytest.raises(OptionError) as caught:
        cells.get(name)
    assert str(caught.value) == (
        f"error[cell]: no cell is called {name}\n"
        f"  help     {near}lstm-spec cells lists them; a file's name ends in .cell or has a slash"
    )


def test_an_entry_in_json() -> None:
    assert Entry("elman", cells.get("elman")).to_dict() == {
        "name": "elman",
        "title": "Elman 1990: the simple recurrent network",
        "text": str(cells.get("elman")),
        "sizes": ["n", "k"],
        "parameters": {"symbolic": "k*(k + n + 1)", "by_shape": {"k×n": ["W"], "k×k": ["U"], "k": ["b"]}},
    }
    assert [entry["name"] for entry in catalogue().to_dict()["cells"]] == list(cells.names())
