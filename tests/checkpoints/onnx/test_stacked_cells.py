"""Cells on cells in simple nodes, all as wide as their input: the wiring alone says which product is h's.

The x of a cell is the h of the cell below in the same step; its own h is what it left the step before.
"""

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import lstm_spec as ls
from tests.checkpoints.onnx.test_decomposed import LOOKS, unread
from tests.checkpoints.onnx.written_out import K, N, arrays, info, make, model, save, step
from tests.reference import lstm

B = 2
SQUARE = ": both have as many columns as there are units"


def cell_nodes(name, weights, x, h, c, turned=False):
    """One step of a cell; with `turned`, the product with h is added first."""
    W, U, b = (f"{part}_{weights}" for part in "WUb")
    products = [f"xW_{name}", f"hU_{name}"]
    return [
        make("MatMul", [x, W], [products[0]]),
        make("MatMul", [h, U], [products[1]]),
        make("Add", products[:: -1 if turned else 1], [f"s_{name}"]),
        make("Add", [f"s_{name}", b], [f"z_{name}"]),
        *step(f"z_{name}", c, suffix=f"_{name}"),
    ]


def constants_of(levels, n=N):
    """Weights for each level, by its name."""
    named = {level: arrays(n if number == 0 else K, K, number + 1) for number, level in enumerate(levels)}
    return {f"{part}_{level}": a for level, parts in named.items() for part, a in parts.items()}


def stack(rounds, levels, given=False, turned=(), prefix=""):
    """The nodes of an unrolled stack, round by round; the states begin as inputs, or as zeros."""
    states = {level: (f"h_{level}", f"c_{level}") if given else ("zeros", "zeros") for level in levels}
    nodes = []
    for t in reversed(range(rounds)) if prefix else range(rounds):
        x = f"x{t}"
        for level in levels:
            name = f"{prefix}{t}{level}"
            nodes += cell_nodes(name, level, x, *states[level], turned=t in turned)
            states[level] = x, _ = f"h1_{name}", f"c1_{name}"
    return nodes, x


def written(tmp_path, nodes, outputs, constants, inputs):
    constants = {"zeros": np.zeros((B, K), "f4"), "U": np.zeros((K, 0), "f4"), **constants}
    used = {name for node in nodes for name in node.input}
    constants = {name: a for name, a in constants.items() if name in used or name == "U"}
    shapes = {name: size for name, size in inputs.items() if name in used}
    given = [info(name, B, size) for name, size in shapes.items()]
    return save(model(nodes, constants, given, [info(name, B, K) for name in outputs]), tmp_path)


def stacked(tmp_path, rounds, levels, n=N, **how):
    nodes, y = stack(rounds, levels, **how)
    inputs = {f"x{t}": n for t in range(rounds)} | {f"{s}_{level}": K for s in "hc" for level in levels}
    return written(tmp_path, nodes, [y], constants_of(levels, n), inputs)


def hold(path, where, constants, level):
    """The cell there has the matrices of this level, each in its place."""
    _, weights = ls.read(path, at=where)
    for number, gate in enumerate("ifgo"):
        columns = slice(K * number, K * (number + 1))
        for part in "WU":
            expected = constants[f"{part}_{level}"][:, columns].T
            np.testing.assert_array_equal(weights[f"l0.{part}_{gate}"], expected, f"{where} {part}_{gate}")


@pytest.mark.parametrize("turned", [(), (0,), (1, 2)])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("levels", ["pq", "pqr"])
@pytest.mark.parametrize("rounds", [2, 3])
def test_a_stack_of_several_steps(tmp_path, rounds, levels, given, turned):
    path = stacked(tmp_path, rounds, levels, given=given, turned=turned)
    report = ls.check(path)
    assert report.ok
    assert [found.where for found in report.layers] == [f"/cell_0{level}" for level in levels]
    for level in levels:
        hold(path, f"/cell_0{level}", constants_of(levels), level)


@pytest.mark.parametrize("levels", ["pq", "pqr"])
def test_one_step_from_zeros(tmp_path, levels):
    """h is the constant, as c is: a stack begins so."""
    path = stacked(tmp_path, 1, levels)
    assert ls.check(path).ok
    for level in levels:
        hold(path, f"/cell_0{level}", constants_of(levels), level)


@pytest.mark.parametrize("levels", ["pq", "pqr"])
def test_one_step_from_given_states_is_not_guessed(tmp_path, levels):
    """The h of the cell below may be x, or the h that another cell hands on; the lowest cell has n = 3."""
    path = stacked(tmp_path, 1, levels, given=True)
    assert unread(path) == [
        f"{LOOKS}/cell_0{level}/Add\n  because  nothing tells x from h{SQUARE}" for level in levels[1:]
    ]
    assert [found.where for found in ls.check(path).layers] == ["/cell_0p"]


def test_one_step_from_a_constant_and_a_given_c_is_not_guessed(tmp_path):
    """A constant x, as a token that begins a sequence, was read as h."""
    nodes = cell_nodes("0p", "p", "zeros", "h_p", "c_p")
    path = written(tmp_path, nodes, ["h1_0p"], constants_of("p", K), {"h_p": K, "c_p": K})
    assert unread(path) == [f"{LOOKS}/cell_0p/Add\n  because  nothing tells x from h{SQUARE}"]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_both_ways(tmp_path, rounds):
    forwards, y = stack(rounds, "pq")
    backwards, back = stack(rounds, "st", prefix="back")
    inputs = {f"x{t}": N for t in range(rounds)}
    constants = constants_of("pq") | {name: a + 1 for name, a in constants_of("st").items()}
    path = written(tmp_path, forwards + backwards, [y, back], constants, inputs)
    assert ls.check(path).ok
    for name, level in (("0", "p"), ("0", "q"), (f"back{rounds - 1}", "s"), (f"back{rounds - 1}", "t")):
        hold(path, f"/cell_{name}{level}", constants, level)


def test_two_levels_of_the_same_weights(tmp_path):
    """Whatever a step of these weights leaves may be x: c says which step was the one before."""
    nodes, states = [], {"p": ("zeros", "zeros"), "q": ("zeros", "zeros")}
    for t in range(3):
        x = f"x{t}"
        for level in "pq":
            nodes += cell_nodes(f"{t}{level}", "p", x, *states[level])
            states[level] = x, _ = f"h1_{t}{level}", f"c1_{t}{level}"
    constants = constants_of("p", K)
    path = written(tmp_path, nodes, [x], constants, {f"x{t}": K for t in range(3)})
    assert ls.check(path).ok
    hold(path, "/cell_0p", constants, "p")


def test_a_step_that_begins_where_another_cell_ended(tmp_path):
    """An encoder's h and c go into a decoder of one step: h comes from where c comes from."""
    nodes = [*stack(2, "p")[0], *cell_nodes("0q", "q", "x2", "h1_1p", "c1_1p")]
    constants = constants_of("pq")
    path = written(tmp_path, nodes, ["h1_0q"], constants, {"x0": N, "x1": N, "x2": K})
    assert ls.check(path).ok
    hold(path, "/cell_0q", constants, "q")


def test_a_step_that_exchanges_the_matrices_is_told(tmp_path):
    nodes, y = stack(3, "p")
    next(n for n in nodes if "xW_2p" in n.output).input[0] = "h1_1p"
    next(n for n in nodes if "hU_2p" in n.output).input[0] = "x2"
    path = written(tmp_path, nodes, [y], constants_of("p", K), {f"x{t}": K for t in range(3)})
    because = "two steps of the same weights differ in what meets h, biases, peepholes or functions"
    assert unread(path) == [f"{LOOKS}/cell_0p/Add\n  because  {because}"]


def test_a_loop_carries_a_stack(tmp_path):
    body = [make("Gather", ["xs", "number"], ["x"], axis=0)]
    body += cell_nodes("p", "p", "x", "h_p", "c_p") + cell_nodes("q", "q", "h1_p", "h_q", "c_q")
    body += [make("Identity", ["go"], ["go1"]), make("Identity", ["h1_q"], ["y"])]
    number, go, go1 = (helper.make_tensor_value_info(*a) for a in (("number", 7, []), ("go", 9, []), ("go1", 9, [])))
    states = ["c_p", "h_p", "c_q", "h_q"]
    after = [info(f"{name[0]}1{name[1:]}", B, K) for name in states]
    inner = helper.make_graph(
        body, "body", [number, go, *(info(name, B, K) for name in states)], [go1, *after, info("y", B, K)]
    )
    ends = [f"{name}_T" for name in states]
    loop = make("Loop", ["T", "", *["zeros"] * 4], [*ends, "ys"], "loop", body=inner)
    constants = constants_of("pq", K)
    extra = {"T": np.array(3), "zeros": np.zeros((B, K), "f4"), "U": np.zeros((K, 0), "f4")}
    path = save(model([loop], constants | extra, [info("xs", "T", B, K)], [info("ys", "T", B, K)]), tmp_path)
    report = ls.check(path)
    assert report.ok
    for found, level in zip(report.layers, "pq", strict=True):
        hold(path, found.where, constants, level)


def test_what_is_read_computes_what_runs_and_exchanged_it_would_not(tmp_path):
    path = stacked(tmp_path, 3, "pqr", n=K)
    x = np.random.default_rng(5).standard_normal((3, B, K)).astype("f4")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {f"x{t}": x[t] for t in range(3)})

    def run(exchanged):
        y = x
        for level in "pqr":
            _, weights = ls.read(path, at=f"/cell_0{level}")
            W, U, b = ({g: weights[f"l0.{part}_{g}"] for g in "ifgo"} for part in "WUb")
            W, U = (U, W) if level in exchanged else (W, U)
            y, *_ = lstm(y, W, U, *np.zeros((2, B, K), "f4"), biases=(b,))
        return np.abs(y[-1] - theirs).max()

    assert run("") <= 1e-6
    assert run("q") > 0.05
    assert run("r") > 0.05
