"""Cells of many kinds in simple nodes: those with options of our LSTM are read, all others are told of, by reason."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lstm_spec as ls
from tests.checkpoints.onnx.test_decomposed import LOOKS, replaced, unread
from tests.checkpoints.onnx.written_out import K, N, arrays, cell, hold_step, info, make, model, products, save, step

ONE = {"one": np.array(1, "f4")}


def held(path, **options):
    """The layer that is read, with these options and no others, computing what ONNX Runtime does."""
    layer, weights = ls.read(path)
    assert layer.cell == ls.lstm(3, 4, **options).cell
    assert ls.check(path).ok
    hold_step(path, layer, weights)
    return layer, weights


@pytest.mark.parametrize("seen", ["after", "before"])
def test_peepholes(tmp_path, seen):
    nodes = [*products(), *step("z", "c")]
    for gate, value in (("i", "c"), ("f", "c"), ("o", "c1" if seen == "after" else "c")):
        at = next(i for i, node in enumerate(nodes) if gate in node.output)
        nodes[at].input[0] = f"s_{gate}"
        more = [
            make("Mul", [f"p_{gate}", value], [f"pc_{gate}"]),
            make("Add", [f"z_{gate}", f"pc_{gate}"], [f"s_{gate}"]),
        ]
        if gate == "o":  # behind c1
            moved = nodes.pop(at)
            at = next(i for i, node in enumerate(nodes) if "c1" in node.output) + 1
            nodes.insert(at, moved)
        nodes[at:at] = more
    vectors = {f"p_{g}": np.random.default_rng(i).standard_normal(K).astype("f4") for i, g in enumerate("ifo")}
    path = save(cell(nodes, arrays() | vectors), tmp_path)
    _, weights = held(path, peephole=True, peephole_output=seen)
    np.testing.assert_array_equal(weights["l0.p_o"], vectors["p_o"])


@pytest.mark.parametrize("kept", ["f", "i"])
def test_coupled_gates(tmp_path, kept):
    """The one gate is 1 minus the other, and has no rows."""
    other = "i" if kept == "f" else "f"
    nodes = [n for n in step("z", "c") if not {f"z_{kept}", kept} & set(n.output)]
    three = [g for g in "ifgo" if g != kept]
    nodes.insert(0, make("Split", ["z", "sizes3"], [f"z_{g}" for g in three], axis=-1))
    at = next(i for i, node in enumerate(nodes) if other in node.output)
    nodes.insert(at + 1, make("Sub", ["one", other], [kept]))
    constants = {name: a[..., : 3 * K] for name, a in arrays().items()}
    path = save(cell([*products(), *nodes], constants | ONE | {"sizes3": np.array([K] * 3)}), tmp_path)
    held(path, coupled=f"{kept}=1-{other}")


def test_a_clip_of_the_cell_and_one_before_the_gates(tmp_path):
    bounds = {"low": np.array(-0.25, "f4"), "high": np.array(0.25, "f4")}
    nodes = [*products(), *step("z", "c")]
    at = next(i for i, node in enumerate(nodes) if "c1" in node.output)
    nodes[at].output[0] = "raw"
    nodes.insert(at + 1, make("Clip", ["raw", "low", "high"], ["c1"]))
    held(save(cell(nodes, arrays() | bounds), tmp_path), clip_cell=0.25)
    nodes = [*products(), make("Clip", ["z", "low", "high"], ["zc"]), *step("zc", "c")]
    assert unread(save(cell(nodes, arrays() | bounds), tmp_path)) == [
        f"{LOOKS}/cell/Add\n  because  Clip (Clip:zc) stands before the products"
    ]
    nodes = [*products(), *step("z", "c")]
    for gate in "ifgo":
        at = next(i for i, node in enumerate(nodes) if gate in node.output)
        nodes[at].input[0] = f"k_{gate}"
        nodes.insert(at, make("Clip", [f"z_{gate}", "low", "high"], [f"k_{gate}"]))
    held(save(cell(nodes, arrays() | bounds), tmp_path), clip=0.25)


@pytest.mark.parametrize("function", ["relu", "softsign", "softplus", "elu(1)", "leaky_relu(0.01)"])
def test_other_functions(tmp_path, function):
    kind = {"elu(1)": "Elu", "leaky_relu(0.01)": "LeakyRelu"}.get(function, function.title())
    nodes = [*products(), *step("z", "c")]
    path = save(cell(replaced(nodes, "g", op_type=kind), arrays()), tmp_path)
    held(path, candidate_activation=function)
    path = save(cell(replaced([*products(), *step("z", "c")], "t", op_type=kind), arrays()), tmp_path)
    held(path, output_activation=function)


def test_a_hard_sigmoid_in_three_nodes(tmp_path):
    nodes = [*products(), *step("z", "c")]
    for gate in "ifo":
        at = next(i for i, node in enumerate(nodes) if gate in node.output)
        nodes[at : at + 1] = [
            make("Mul", [f"z_{gate}", "slope"], [f"a_{gate}"]),
            make("Add", [f"a_{gate}", "half"], [f"b_{gate}"]),
            make("Clip", [f"b_{gate}", "zero", "one"], [gate]),
        ]
    numbers = {"slope": np.array(0.25, "f4"), "half": np.array(0.5, "f4"), "zero": np.array(0, "f4")} | ONE
    held(save(cell(nodes, arrays() | numbers), tmp_path), gate_activation="hard_sigmoid(0.25, 0.5)")


def test_a_wrong_reading_would_miss_by_far(tmp_path):
    """i for o in the nodes, and the step is another one by more than 0.05: the comparison above can fail."""
    path = save(cell([*products(), *step("z", "c")], arrays()), tmp_path)
    layer, weights = ls.read(path)
    (tmp_path / "other").mkdir()
    other, theirs = ls.read(save(cell([*products(), *step("z", "c", "ofgi")], arrays()), tmp_path / "other"))
    x, h, c = (np.ones((1, size), "f4") for size in (N, K, K))
    ours, _ = ls.compile(layer).step(x, weights, {"h": h, "c": c})
    swapped, _ = ls.compile(other).step(x, theirs, {"h": h, "c": c})
    assert np.abs(ours - swapped).max() > 0.05


def chain(rounds, candidate="Tanh", multiplied=False):
    """The nodes of some rounds, h and c handed on; with `multiplied`, h goes through m = h * (W x), as in an mLSTM."""
    nodes, h, c = [], "h", "c"
    for t in range(rounds):
        m = h
        if multiplied:
            m = f"m{t}"
            nodes += [make("MatMul", ["x", "M"], [f"xM{t}"]), make("Mul", [h, f"xM{t}"], [m])]
        nodes += [
            make("MatMul", ["x", "W"], [f"xW{t}"]),
            make("MatMul", [m, "U"], [f"hU{t}"]),
            make("Add", [f"xW{t}", f"hU{t}"], [f"s{t}"]),
            make("Add", [f"s{t}", "b"], [f"z{t}"]),
            *replaced(step(f"z{t}", c, suffix=f"_{t}"), f"g_{t}", op_type=candidate),
        ]
        h, c = f"h1_{t}", f"c1_{t}"
    return nodes, h


def unrolled(tmp_path, rounds, constants=None, **how):
    nodes, h = chain(rounds, **how)
    inputs = [info("x", "B", N), info("h", "B", K), info("c", "B", K)]
    return save(model(nodes, arrays() | (constants or {}), inputs, [info(h, "B", K)]), tmp_path)


def test_steps_of_the_same_weights_are_one_cell(tmp_path):
    report = ls.check(unrolled(tmp_path, 3))
    assert report.ok
    assert [found.where for found in report.layers] == ["/cell_0"]


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_unknown_candidate_is_never_passed_over(tmp_path, rounds):
    """One finding for all steps; of one step alone too, where nothing recurs in the graph."""
    assert unread(unrolled(tmp_path, rounds, candidate="Sin")) == [
        f"{LOOKS}/cell_0/Add\n  because  g_0 is made by Sin, and stands where tanh makes the candidate"
    ]


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_multiplicative_lstm_is_no_lstm(tmp_path, rounds):
    """Every gate is the sum of two products, and neither is h's: it was read as an LSTM once."""
    constants = {"M": np.ones((N, K), "f4")}
    (finding,) = unread(unrolled(tmp_path, rounds, constants, multiplied=True))
    because = "h is made by Mul (m0), and not what a step before leaves"
    assert finding == f"{LOOKS}/cell_0/Add\n  because  {because}"


def test_another_cell_state_is_no_lstm(tmp_path):
    """h comes from the step before, and c from two steps before."""
    nodes, h = chain(3)
    next(n for n in nodes if "fc_2" in n.output).input[1] = "c1_0"
    inputs = [info("x", "B", N), info("h", "B", K), info("c", "B", K)]
    (finding,) = unread(save(model(nodes, arrays(), inputs, [info(h, "B", K)]), tmp_path))
    assert finding.endswith("because  c is made by Add (c1_0), and no c' of the step that leaves h")


def test_a_simple_rnn_written_out_is_told(tmp_path):
    nodes, h = [], "h"
    for t in range(3):
        nodes += [
            make("MatMul", ["x", "W4"], [f"xW{t}"]),
            make("MatMul", [h, "U4"], [f"hU{t}"], f"/rnn{t}"),
            make("Add", [f"xW{t}", f"hU{t}"], [f"s{t}"]),
            make("Tanh", [f"s{t}"], [f"h{t}"]),
        ]
        h = f"h{t}"
    constants = {"W4": arrays()["W"][:, :K], "U4": arrays()["U"][:, :K]}
    message = model(nodes, constants, [info("x", "B", N), info("h", "B", K)], [info(h, "B", K)])
    assert unread(save(message, tmp_path)) == [
        f"{LOOKS}/rnn2\n  because  U4 meets again what was made with it, past a gate or a function"
    ]


def test_tied_layers_are_no_recurrent_cell(tmp_path):
    """The same two matrices in four residual layers, GELU in simple nodes between: deep, not recurrent."""
    nodes, x = [], "x"
    for t in range(4):
        nodes += [
            make("MatMul", [x, "A"], [f"a{t}"]),
            make("Erf", [f"a{t}"], [f"e{t}"]),
            make("Add", [f"e{t}", "one"], [f"f{t}"]),
            make("Mul", [f"a{t}", f"f{t}"], [f"g{t}"]),
            make("MatMul", [f"g{t}", "A"], [f"d{t}"]),
            make("Add", [x, f"d{t}"], [f"y{t}"]),
        ]
        x = f"y{t}"
    message = model(nodes, {"A": np.eye(N, dtype="f4")} | ONE, [info("x", "B", N)], [info(x, "B", N)])
    with pytest.raises(ls.LstmSpecError, match="there is no LSTM here"):
        ls.check(save(message, tmp_path))


@pytest.mark.parametrize(("candidate", "read"), [("Tanh", True), ("Sin", False)])
def test_a_scan_hands_on_its_states(tmp_path, candidate, read):
    """n = k: the third output is h as well, but no state; only the states tell x from h."""
    body = [*products(), *replaced(step("z", "c"), "g", op_type=candidate), make("Identity", ["h1"], ["y"])]
    states = [info("h", "B", K), info("c", "B", K), info("x", "B", K)]
    outputs = [info("h1", "B", K), info("c1", "B", K), info("y", "B", K)]
    inner = helper.make_graph(body, "body", states, outputs)
    scan = make("Scan", ["h0", "c0", "xs"], ["h_T", "c_T", "ys"], "scan", body=inner, num_scan_inputs=1)
    inputs = [info("h0", "B", K), info("c0", "B", K), info("xs", "T", "B", K)]
    path = save(model([scan], arrays(K, K), inputs, [info("ys", "T", "B", K)]), tmp_path)
    if not read:
        assert unread(path) == [
            f"{LOOKS}scan.body/cell/Add\n  because  g is made by Sin, and stands where tanh makes the candidate"
        ]
        return
    layer, weights = ls.read(path)
    rng = np.random.default_rng(0)
    h, c, x = (rng.standard_normal(s).astype("f4") for s in ((2, K), (2, K), (5, 2, K)))
    session = onnxruntime_of(path)
    (theirs,) = session.run(None, {"h0": h, "c0": c, "xs": x})
    assert np.abs(ls.compile(layer)(x, weights, {"h": h, "c": c})[0] - theirs).max() <= 1e-6


def onnxruntime_of(path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_a_loop_that_masks_its_state_is_told(tmp_path):
    """h' where the mask is true, else h: the state is another value than the LSTM's h'."""
    body = [*products(), *step("z", "c"), make("Where", ["mask", "h1", "h"], ["h2"])]
    states = [info("h", "B", K), info("c", "B", K), info("x", "B", N)]
    inner = helper.make_graph(body, "body", states, [info("h2", "B", K), info("c1", "B", K)])
    scan = make("Scan", ["h0", "c0", "xs"], ["h_T", "c_T"], "scan", body=inner, num_scan_inputs=1)
    inputs = [info("h0", "B", K), info("c0", "B", K), info("xs", "T", "B", N)]
    inputs.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, ["B", 1]))
    path = save(model([scan], arrays(), inputs, [info("h_T", "B", K)]), tmp_path)
    assert unread(path) == [f"{LOOKS}scan.body/cell/Add\n  because  the loop carries another value than h'"]


def test_a_sum_of_itself_ends(tmp_path):
    """Sixty doublings: 2**60 products, if each were followed."""
    nodes = [make("MatMul", ["x", "W"], ["v0"]), *(make("Add", [f"v{i}"] * 2, [f"v{i + 1}"]) for i in range(60))]
    nodes += [make("MatMul", ["h", "U"], ["hU"]), make("Add", ["v60", "hU"], ["s"]), make("Add", ["s", "b"], ["z"])]
    (finding,) = unread(save(cell([*nodes, *step("z", "c")], arrays()), tmp_path))
    assert finding.endswith("because  it is a sum of more than 64 products and constants")


def test_a_circle_ends(tmp_path):
    """Two ways around, again and again: 2**64 of them, if each were followed."""
    nodes = [make("Dropout", ["s"], ["d1"]), make("Dropout", ["s"], ["d2"]), make("Add", ["d1", "d2"], ["s"])]
    nodes += [make("MatMul", ["h", "U"], ["hU"]), make("Add", ["s", "hU"], ["z"])]
    onnx.save(cell([*nodes, *step("z", "c")], arrays()), tmp_path / "m.onnx")
    assert len(unread(tmp_path / "m.onnx")) == 1


def test_a_large_constant_that_no_lstm_uses_is_not_worked_out(tmp_path):
    """2**40 zeros as the matrix of a head behind the cell: the model is read all the same."""
    nodes = [
        *products(),
        *step("z", "c"),
        make("ConstantOfShape", ["large"], ["M"]),
        make("MatMul", ["h1", "M"], ["y"]),
    ]
    nodes.append(make("Relu", ["y"], ["r"]))
    path = save(cell(nodes, arrays() | {"large": np.array([K, 2**40])}), tmp_path)
    assert len(ls.check(path).layers) == 1


@pytest.mark.parametrize("axis", [1, -1])
def test_bounds_that_are_worked_out_from_a_shape(tmp_path, axis):
    """As Keras 3 is exported through PyTorch: each gate is a quarter of the axis of number 1."""
    nodes = [*products(), make("Shape", ["z"], ["shape"]), make("Gather", ["shape", "axis"], ["width"])]
    nodes.append(make("Div", ["width", "four"], ["quarter"]))
    for q, gate in enumerate("ifgo"):
        nodes += [make("Mul", ["quarter", f"n{q + d}"], [f"at{q + d}_{q}"]) for d in (0, 1)]
        nodes.append(make("Slice", ["z", f"at{q}_{q}", f"at{q + 1}_{q}", "axis"], [f"z_{gate}"]))
    numbers = {"axis": np.array([axis]), "four": np.array([4])} | {f"n{q}": np.array([q]) for q in range(5)}
    held(save(cell([*nodes, *step("z", "c", split=False)], arrays() | numbers), tmp_path))
