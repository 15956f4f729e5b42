"""The Jacobians of steps: against finite differences and the derived blocks; and their products over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.compiler import jacobians
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.compiler.jacobians import Jacobians, jacobian_layer, place_states
from lstm_spec.compiler.products import log_products
from lstm_spec.errors import SizeError
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic import algebra as a
from lstm_spec.symbolic.blocks import derive_jacobian
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse
from lstm_spec.symbolic.matrix_sums import Factor, Sum
from tests.compiler.oracle import Array, random_inputs

STEPS, SAMPLES = 2, 2
OPTIONS: list[dict[str, Any]] = [
    {"peephole": True},
    {"peephole": "full"},
    {"projection": 2, "peephole": True},
    {"layer_norm": "ba"},
    {"clip_cell": "1/3"},
    {"gate_hidden": 2},
]
JOINED = parse("input x[n]\nstate h[k], c[2k]\nc' = [h, tanh(A h)] * c + mean(c)\nh' = V [c', x] / (h * h + 1)")


def sized(cell: Cell) -> Layer:
    return Layer(cell).at(**dict(zip(cell.letters, (3, 2, 4), strict=False)))


def states_before(layer: Layer, x: Array, weights: Any, state: Any) -> list[dict[str, Array]]:
    """The states before each step of a layer of one cell, by plain runs."""
    run, made = compile_layer(layer), [state]
    for x_t in x:
        made.append(dict(run(x_t[None], weights, made[-1])[1]))
    return made[:-1]


def whole(found: Jacobians, t: int, b: int) -> Array:
    return found.steps["l0"][t, b]


@pytest.mark.parametrize("name", cells.names())
def test_every_catalogue_cell_has_the_slopes_of_finite_differences(name: str) -> None:
    layer = sized(cells.get(name))
    x, weights, state = random_inputs(layer, STEPS, SAMPLES, 0)
    found, run, step = jacobian_layer(layer, weights, x, state), compile_layer(layer), 1e-5
    places = place_states(layer, layer.members[0])
    for t, before in enumerate(states_before(layer, x, weights, state)):
        for by, columns in places.items():
            for unit in range(columns.stop - columns.start):
                sides = []
                for sign in (1, -1):
                    moved = {n: v.copy() for n, v in before.items()}
                    moved[f"l0.{by}"][:, unit] += sign * step
                    sides.append(run(x[t][None], weights, moved)[1])
                for of in places:
                    slope = (sides[0][f"l0.{of}"] - sides[1][f"l0.{of}"]) / (2 * step)
                    np.testing.assert_allclose(found[f"d{of}_d{by}"][t, :, :, unit], slope, rtol=1e-6, atol=1e-8)


# ---- the derived blocks, in numbers ----


def evaluate(node: a.Node, known: dict[str, Array]) -> Any:
    """One expression of one sample, by the oracle's table."""
    if isinstance(node, a.Name):
        return known[node.name]
    if isinstance(node, a.Number):
        return float(node.value)
    parts = [evaluate(o, known) for o in node.operands]
    if isinstance(node, a.Product):
        return parts[0] @ parts[1]
    kind = node.function if isinstance(node, a.Call) else type(node).__name__.lower()
    return COMPUTE[kind](*parts)


def matrix(factor: Factor, known: dict[str, Array], blocks: dict[Any, Array], rows: int) -> Any:
    match factor.kind:
        case "diag":
            return np.diag(np.broadcast_to(evaluate(factor.node, known), rows))
        case "matrix":
            return evaluate(factor.node, known)
        case "block":
            return blocks[factor.names]
        case "mean":
            return np.full((rows, rows), 1 / rows)
        case "norm":
            z, e = (evaluate(o, known) for o in factor.node.operands)
            y, mean = COMPUTE["layer_norm"](z, e), np.full((len(z), len(z)), 1 / len(z))
            return (np.eye(len(z)) - mean - np.diag(y) @ mean @ np.diag(y)) / np.sqrt(z.var() + e)
        case "rows":
            name, *targets = factor.names
            start = sum(len(known[other]) for other in targets[: targets.index(name)])
            return np.eye(sum(len(known[other]) for other in targets))[start : start + len(known[name])]
    raise AssertionError(factor)


def total(terms: Sum, known: dict[str, Array], blocks: dict[Any, Array], columns: int) -> Any:
    """A sum of products, multiplied out from the right; `columns` is the width of the state."""
    added: Any = 0
    for term in terms:
        product: Array = np.eye(columns)
        for factor in reversed(term.factors):
            if factor.kind == "stack":
                sizes = [len(evaluate(operand, known)) for operand in factor.node.operands]
                empty = [np.zeros((size, columns)) for size in sizes]
                pairs = zip(factor.parts, empty, strict=True)
                product = np.concatenate([total(p, known, blocks, columns) if p else none for p, none in pairs])
            else:
                product = matrix(factor, known, blocks, len(product)) @ product
        added = added + (-product if term.minus else product)
    return added


@pytest.mark.parametrize("cell", [*map(cells.get, cells.names()), *(ls.lstm(**o).cell for o in OPTIONS), JOINED])
def test_the_derived_blocks_are_the_numbers(cell: Cell) -> None:
    layer = sized(cell)
    x, weights, state = random_inputs(layer, 1, 1, 0)
    found, blocks = jacobian_layer(layer, weights, x, state), {}
    traced = ls.trace(layer, weights, x, state)
    known = {n.removeprefix("l0."): v for n, v in weights.items()} | {cell.inputs[0].name: x[0, 0]}
    known |= {s.name: state[f"l0.{s.name}"][0] for s in cell.states}
    for name in cell.defined:
        if f"l0.{name.removesuffix(chr(39))}" in traced.arrays:
            known[name] = traced.arrays[f"l0.{name.removesuffix(chr(39))}"][0, 0]
    derived = derive_jacobian(cell)
    for (of, by), terms in derived.blocks.items():
        blocks[of, by] = total(terms, known, blocks, len(known[by]))
    for of in (s.name for s in cell.states):
        for by in (s.name for s in cell.states):
            wanted = found[f"d{of}_d{by}"][0, 0]
            derived_block = blocks.get((of + "'", by), np.zeros_like(wanted))
            np.testing.assert_allclose(derived_block, wanted, rtol=1e-9, atol=1e-12, err_msg=f"d{of}/d{by}")


# ---- over time ----


def test_the_products_are_those_of_the_steps() -> None:
    layer = ls.lstm(3, 4)
    x, weights, state = random_inputs(layer, 5, 2, 0)
    found = jacobian_layer(layer, weights, x, state)
    for b in range(2):
        product, cell_path = np.eye(8), np.eye(4)
        for t in reversed(range(5)):
            product, cell_path = product @ whole(found, t, b), cell_path @ found["dc_dc"][t, b]
            wanted = {"through": product[4:, 4:], "along": cell_path}
            for way, block in wanted.items():
                log = getattr(found.growth["l0.c"], way)[t, b]
                assert abs(log - np.log10(np.linalg.norm(block, 2))) <= 1e-12, way
    f = ls.trace(layer, weights, x, state)["f"]
    kept = np.log10(np.cumprod(f[::-1], axis=0)[::-1].max(axis=2))
    np.testing.assert_allclose(found.growth["l0.c"].kept, kept, rtol=1e-12)
    np.testing.assert_allclose(found.growth["l0.c"].kept, found.growth["l0.c"].along, rtol=1e-12)


def test_the_product_is_the_slope_over_all_steps() -> None:
    layer, step = ls.lstm(3, 4), 1e-5
    x, weights, state = random_inputs(layer, 5, 1, 0)
    found, run = jacobian_layer(layer, weights, x, state), compile_layer(layer)
    product = np.linalg.multi_dot(list(found.steps["l0"][::-1, 0]))
    for unit in range(4):
        ends = [
            run(x, weights, state | {"l0.c": state["l0.c"] + s * step * np.eye(4)[unit]})[1]["l0.c"] for s in (1, -1)
        ]
        np.testing.assert_allclose(product[4:, 4 + unit], ((ends[0] - ends[1]) / (2 * step))[0], rtol=1e-6, atol=1e-9)


def test_a_product_beyond_float64_keeps_its_size() -> None:
    steps = np.broadcast_to(np.diag([1e-3, 1e-4]), (400, 1, 2, 2))
    (logs,) = log_products(steps, [slice(None)], reverse=False)
    np.testing.assert_allclose(logs[:, 0], -3.0 * np.arange(400, 0, -1), rtol=1e-12)


def test_a_step_that_is_not_there_is_the_identity() -> None:
    layer = ls.lstm(3, 4, bidirectional=True)
    x, weights, state = random_inputs(layer, 5, 2, 0)
    found = jacobian_layer(layer, weights, x, state, lengths=[5, 2])
    short = jacobian_layer(layer, weights, x[:2, 1:], {n: v[1:] for n, v in state.items()})
    for prefix in ("l0", "l0.reverse"):
        np.testing.assert_array_equal(found.steps[prefix][2:, 1], np.broadcast_to(np.eye(8), (3, 8, 8)))
        np.testing.assert_allclose(found.steps[prefix][:2, 1], short.steps[prefix][:, 0], rtol=1e-12)
        np.testing.assert_allclose(
            found.growth[f"{prefix}.c"].through[:2, 1], short.growth[f"{prefix}.c"].through[:, 0]
        )


@pytest.mark.parametrize(
    "options", [{"layers": 2}, {"bidirectional": True, "layers": 2, "layout": "batch"}, {"reverse": True}], ids=str
)
def test_each_cell_of_a_stack_is_that_cell_alone(options: dict[str, Any]) -> None:
    layer = ls.lstm(3, 4, **options)
    x, weights, state = random_inputs(layer, 4, 2, 0)
    found = jacobian_layer(layer, weights, x, state)
    y = x if layer.layout == "time" else x.swapaxes(0, 1)
    for index in range(layer.layers):
        outputs = []
        for member in (m for m in layer.members if m.index == index):
            alone = Layer(layer.cell).at(**dict(member.sizes))
            own, start = (
                {n.replace(member.prefix, "l0"): v for n, v in some.items() if n.rpartition(".")[0] == member.prefix}
                for some in (weights, state)
            )
            taken = y[::-1] if member.reverse else y
            wanted = jacobian_layer(alone, own, np.ascontiguousarray(taken), start)
            turned = slice(None, None, -1 if member.reverse else 1)
            np.testing.assert_allclose(found.steps[member.prefix], wanted.steps["l0"][turned], rtol=1e-12, atol=1e-15)
            for way in ("through", "along", "norm", "radius"):
                ours, theirs = getattr(found.growth[f"{member.prefix}.h"], way), getattr(wanted.growth["l0.h"], way)
                np.testing.assert_allclose(ours, theirs[turned], rtol=1e-9)
            told = found.growth[f"{member.prefix}.h"].summarize("", found.alive)
            assert told.through == pytest.approx(wanted.growth["l0.h"].summarize("", wanted.alive).through)
            outputs.append(compile_layer(alone)(taken, own, start)[0][turned])
        y = np.concatenate(outputs, axis=-1)


def test_parts_that_go_through_together_are_those_that_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ls.lstm(3, 4)
    x, weights, state = random_inputs(layer, 5, 2, 0)
    together = jacobian_layer(layer, weights, x, state).steps["l0"]
    monkeypatch.setattr(jacobians, "AT_ONCE", 3 * 64)
    np.testing.assert_allclose(jacobian_layer(layer, weights, x, state).steps["l0"], together, rtol=1e-12)


def test_no_steps_no_samples_and_numbers_that_are_none() -> None:
    layer = ls.lstm(3, 4)
    for steps, samples in ((0, 2), (3, 0), (0, 0)):
        found = jacobian_layer(layer, layer.random(0), np.zeros((steps, samples, 3)))
        assert found["dc_dh"].shape == (steps, samples, 4, 4)
        assert found.to_dict()["states"][1]["through"] is None
    found = jacobian_layer(layer, layer.random(0), np.full((3, 1, 3), np.nan))
    assert np.isnan(found.growth["l0.c"].norm).all()
    assert found.to_dict()["states"][0]["highest"] is None


def test_float32_is_computed_in_float64() -> None:
    layer = ls.lstm(3, 4)
    x, weights, state = random_inputs(layer, 3, 1, 0, np.float32)
    found = jacobian_layer(layer, weights, x, state)
    assert found["dh_dh"].dtype == np.float64
    wide = {n: v.astype(np.float64) for n, v in weights.items()}
    same = jacobian_layer(layer, wide, x.astype(np.float64), {n: v.astype(np.float64) for n, v in state.items()})
    np.testing.assert_array_equal(found["dh_dh"], same["dh_dh"])


def test_what_is_too_large_is_refused_before_it_is_made() -> None:
    layer = ls.lstm(1, 512)
    with pytest.raises(SizeError) as caught:
        jacobian_layer(layer, layer.random(0), np.zeros((200, 1, 1)))
    assert str(caught.value) == (
        "error[size]: the Jacobians of 200 steps, 1 of a batch, have 209,715,200 entries\n"
        "  expected at most 134,217,728\n"
        "  because  a step of a cell has 1,024 x 1,024\n"
        "  help     take fewer samples, or fewer steps: x[-100:]"
    )
