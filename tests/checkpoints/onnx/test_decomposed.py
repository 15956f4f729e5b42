"""LSTMs without an LSTM node: found where their equations stand in simple nodes, and never passed over."""

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import lstm_spec as ls
from tests.checkpoints.onnx.written_out import K, N, arrays, cell, hold_step, info, make, model, products, save, step


@pytest.mark.parametrize("order", ["ifgo", "igfo", "iofg", "figo", "gifo", "ofig"])
def test_the_order_of_the_gates_follows_from_where_they_go(tmp_path, order):
    path = save(cell([*products(), *step("z", "c", order)], arrays()), tmp_path)
    report = ls.check(path)
    assert report.ok
    assert report.layers[0].assumed == (
        "direction = forward: nodes that write a cell out are not asked which way they walk the time",
        "initial state = zeros: they are not asked what they begin with",
    )
    assert [(f.where, f.summary) for f in report.layers] == [("/cell", "n = 3, k = 4, forward, one bias")]
    assert report.layers[0].agreement.reason == (
        "the graph writes the cell out in simple nodes; there is no operator to run"
    )
    hold_step(path, *ls.read(path))


def test_a_matrix_for_each_gate(tmp_path):
    constants, nodes = {}, []
    for number, gate in enumerate("ifgo"):
        constants |= {f"{name}_{gate}": a for name, a in arrays(seed=number).items()}
        constants |= {name: a[..., :K] for name, a in constants.items() if name.endswith(gate)}
        nodes += [
            make("Gemm", ["x", f"W_{gate}", f"b_{gate}"], [f"a_{gate}"]),
            make("MatMul", ["h", f"U_{gate}"], [f"u_{gate}"]),
            make("Add", [f"u_{gate}", f"a_{gate}"], [f"z_{gate}"]),
        ]
    path = save(cell([*nodes, *step("z", "c", split=False)], constants), tmp_path)
    hold_step(path, *ls.read(path))


def test_slices_instead_of_a_split_and_a_forget_constant(tmp_path):
    """As TensorFlow 1's BasicLSTMCell is exported: i, j, f, o, and 1 added to f."""
    nodes = products()
    for number, gate in enumerate("igfo"):
        nodes.append(make("Slice", ["z", f"at{number}", f"at{number + 1}", "axis"], [f"z_{gate}"]))
    nodes[-2].output[0] = "z_f0"
    nodes.append(make("Add", ["z_f0", "one"], ["z_f"]))
    constants = arrays() | {f"at{i}": np.array([i * K]) for i in range(5)}
    constants |= {"axis": np.array([1]), "one": np.array(1, "f4")}
    path = save(cell([*nodes, *step("z", "c", split=False)], constants), tmp_path)
    layer, weights = ls.read(path)
    hold_step(path, layer, weights)
    np.testing.assert_array_equal(weights["l0.b_f"], constants["b"][2 * K : 3 * K] + 1)


@pytest.mark.filterwarnings("ignore")  # of the exporter, which will be removed
def test_torch_exports_an_lstm_cell_so(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Cell(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = torch.nn.LSTMCell(N, K)

        def forward(self, x, h, c):
            return self.cell(x, (h, c))

    torch.manual_seed(0)
    module, path = Cell().eval(), tmp_path / "m.onnx"
    given = (torch.randn(2, N), torch.randn(2, K), torch.randn(2, K))
    torch.onnx.export(module, given, str(path), dynamo=False, input_names=["x", "h", "c"])
    layer, weights = ls.read(path)
    hold_step(path, layer, weights)
    state = module.cell.state_dict()
    for q, gate in enumerate("ifgo"):
        rows = slice(K * q, K * (q + 1))
        np.testing.assert_array_equal(weights[f"l0.W_{gate}"], state["weight_ih"][rows])
        np.testing.assert_array_equal(weights[f"l0.U_{gate}"], state["weight_hh"][rows])


@pytest.mark.filterwarnings("ignore")
def test_torch_unrolls_a_layer_of_ones_own(tmp_path):
    """Three steps, gates g, o, i, f by `chunk`, no bias on h: one layer, and its numbers over the sequence."""
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W, self.U = torch.nn.Linear(K, 4 * K), torch.nn.Linear(K, 4 * K, bias=False)

        def forward(self, x):
            h = c = torch.zeros(2, K)
            outputs = []
            for x_t in x:
                g, o, i, f = (self.W(x_t) + self.U(h)).chunk(4, -1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                outputs.append(h)
            return torch.stack(outputs)

    torch.manual_seed(0)
    x, path = torch.randn(3, 2, K), tmp_path / "m.onnx"
    torch.onnx.export(Own().eval(), (x,), str(path), dynamo=False, input_names=["x"])
    report = ls.check(path)
    assert report.ok
    assert [f.summary for f in report.layers] == ["n = 4, k = 4, forward, one bias"]  # n = k: the chain tells x from h
    layer, weights = ls.read(path)
    (theirs,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    assert np.abs(ls.compile(layer)(x.numpy(), weights)[0] - theirs).max() <= 1e-6


@pytest.mark.parametrize("joined", ["xh", "hx", ""])
def test_a_loop_carries_h(tmp_path, joined):
    """n = k: only the loop says which of two square matrices is h's; joined as [x, h] or [h, x] too."""
    weights = arrays(K, K)
    if joined:
        rows = [weights["W"], weights["U"]][:: 1 if joined == "xh" else -1]
        nodes = [
            make("Concat", list(joined.replace("x", "x").replace("h", "h")), ["xh"], axis=-1),
            make("MatMul", ["xh", "V"], ["s"]),
            make("Add", ["s", "b"], ["z"]),
        ]
        weights = {"V": np.concatenate(rows), "b": weights["b"]}
    else:
        nodes = products()
    body = [make("Gather", ["xs", "number"], ["x"], axis=0), *nodes, *step("z", "c")]
    body += [make("Identity", ["go"], ["go1"]), make("Neg", ["h1"], ["y"])]
    number, go = (helper.make_tensor_value_info(*a) for a in (("number", 7, []), ("go", 9, [])))
    go1 = helper.make_tensor_value_info("go1", 9, [])
    states = [info("c", "B", K), info("h", "B", K)]
    inner = helper.make_graph(
        body, "body", [number, go, *states], [go1, info("c1", "B", K), info("h1", "B", K), info("y", "B", K)]
    )
    loop = make("Loop", ["T", "", "c0", "h0"], ["c_T", "h_T", "ys"], "loop", body=inner)
    inputs = [info("xs", "T", "B", K), info("c0", "B", K), info("h0", "B", K)]
    constants = {**weights, "T": np.array(5)}
    message = model([loop], constants, inputs, [info("ys", "T", "B", K)])
    path = save(message, tmp_path)
    assert ls.check(path).ok
    layer, read = ls.read(path)
    rng = np.random.default_rng(3)
    x, h, c = (rng.standard_normal(s).astype("f4") for s in ((5, 2, K), (2, K), (2, K)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"xs": x, "c0": c, "h0": h})
    assert np.abs(ls.compile(layer)(x, read, {"h": h, "c": c})[0] + theirs).max() <= 1e-6


def unread(path):
    report = ls.check(path)
    assert not report.ok
    return [str(f).replace(str(path), "PATH") for f in report.findings]


LOOKS = (
    "error[unread]: this looks like a recurrent cell written out in simple nodes, and it is not read\n"
    "  at       PATH : "
)


def test_square_matrices_without_a_loop_are_not_guessed(tmp_path):
    path = save(cell([*products(), *step("z", "c")], arrays(K, K), K), tmp_path)
    assert unread(path) == [
        f"{LOOKS}/cell/Add\n  because  nothing tells x from h: both have as many columns as there are units"
    ]


def test_names_tell_square_matrices_apart(tmp_path):
    constants = {"weight_ih": arrays(K, K)["W"], "weight_hh": arrays(K, K)["U"], "b": arrays(K, K)["b"]}
    nodes = [*products(), *step("z", "c")]
    nodes[0].input[1], nodes[1].input[1] = "weight_ih", "weight_hh"
    path = save(cell(nodes, constants, K), tmp_path)
    layer, weights = ls.read(path)
    hold_step(path, layer, weights)
    np.testing.assert_array_equal(weights["l0.U_i"], constants["weight_hh"][:, :K].T)


def replaced(nodes, output, **changes):
    node = next(n for n in nodes if output in n.output)
    for name, value in changes.items():
        setattr(node, name, value) if isinstance(value, str) else node.input.__setitem__(slice(None), value)
    return nodes


def test_what_does_not_fit_is_told(tmp_path):
    cases = {
        "i and f are not of one function: hard_sigmoid(0.2, 0.5) stands in one of the two products only": {
            "output": "f",
            "op_type": "HardSigmoid",
        },
        "g is made by Sin, and stands where tanh makes the candidate": {"output": "g", "op_type": "Sin"},
        "no o * tanh(c) of c1 follows, nor another function of the table": {"output": "t", "op_type": "Erf"},
        "o is made by Sin, and stands where o is": {"output": "o", "op_type": "Sin"},
    }
    for because, change in cases.items():
        nodes = replaced([*products(), *step("z", "c")], change["output"], op_type=change["op_type"])
        path = save(cell(nodes, arrays()), tmp_path)
        assert unread(path) == [f"{LOOKS}/cell/Add\n  because  {because}"]


def test_a_matrix_that_is_computed_is_told(tmp_path):
    nodes = [make("Einsum", ["W"], ["W2"], equation="ab->ab"), *products(), *step("z", "c")]
    nodes[1].input[1] = "W2"
    path = save(cell(nodes, arrays()), tmp_path)
    assert unread(path) == [f"{LOOKS}/cell/Add\n  because  the matrix of MatMul (MatMul:xW) is no constant of two axes"]


@pytest.mark.parametrize("short", [False, True])
def test_a_gru_written_out_is_told(tmp_path, short):
    """h' = (1 - z) * g + z * h, or g + z * (h - g)."""
    nodes = [
        *products(),
        make("Split", ["z", "sizes"], ["z_z", "z_r", "z_g", "z_4"], axis=-1),
        *(make("Tanh" if g == "g" else "Sigmoid", [f"z_{g}"], [g]) for g in ("zz", "g")),
    ]
    nodes[-2].input[0] = "z_z"
    if short:
        nodes += [
            make("Sub", ["h", "g"], ["d"]),
            make("Mul", ["zz", "d"], ["zd"]),
            make("Add", ["g", "zd"], ["h1"], "/gru"),
        ]
        because = "h1 is no f * c + i * g"
    else:
        nodes += [make("Sub", ["one", "zz"], ["w"]), make("Mul", ["w", "g"], ["a"]), make("Mul", ["zz", "h"], ["d"])]
        nodes += [make("Add", ["a", "d"], ["h1"], "/gru")]
        because = "h1 has gates that add to 1 and no o, as in a GRU"
    constants = arrays() | {"one": np.array(1, "f4")}
    message = model(nodes, constants, [info("x", "B", N), info("h", "B", K)], [info("h1", "B", K)])
    assert unread(save(message, tmp_path)) == [f"{LOOKS}/gru\n  because  {because}"]


def test_a_highway_layer_is_no_recurrent_cell(tmp_path):
    """t * g + (1 - t) * x: its gates see one value."""
    constants = {"W": arrays()["W"][:, :N], "V": arrays()["W"][:, N : 2 * N], "one": np.array(1, "f4")}
    nodes = [
        *(make("MatMul", ["x", a], [f"x{a}"]) for a in "WV"),
        *(make(kind, [a], [b]) for kind, a, b in (("Tanh", "xW", "g"), ("Sigmoid", "xV", "t"))),
        make("Sub", ["one", "t"], ["u"]),
        *(make("Mul", [a, b], [a + b]) for a, b in ("tg", "ux")),
        make("Add", ["tg", "ux"], ["y"]),
    ]
    path = save(model(nodes, constants, [info("x", "B", N)], [info("y", "B", N)]), tmp_path)
    with pytest.raises(ls.LstmSpecError, match="there is no LSTM here"):
        ls.check(path)
