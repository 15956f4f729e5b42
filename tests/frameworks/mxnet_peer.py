"""MXNet's gluon.rnn.LSTM, LSTMCell and contrib LSTMPCell, both directions, and what its CPU does not do.

Not collected with the other tests: MXNet 1.9.1 wants a NumPy below 1.24, which `.ci/run` installs apart. Its own
`.params` files are read by MXNet; what is checked is the names in them.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects.mxnet import MXNET
from tests.frameworks.peers import WRONG, differences, misread
from tests.frameworks.whole_peers import (
    DTYPES,
    SIZES,
    Peer,
    case_of,
    draw,
    hold_ours,
    hold_theirs,
    made_by_torch,
    miss,
    ours,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mx = pytest.importorskip("mxnet", reason="mxnet is not installed")


gluon = mx.gluon
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- how they are made, saved and called ----


def make_layer(case):
    layer = case.layer
    block = gluon.rnn.LSTM(
        case.k,
        layer.layers,
        layout="NTC" if layer.layout == "batch" else "TNC",
        bidirectional=layer.directions == 2,
        input_size=case.n,
        projection_size=int(layer.sizes["r"]) if "r" in layer.sizes else None,
        dtype=case.dtype,
    )
    block.initialize()
    return block


def make_cell(case):
    sizes = (case.k, int(case.layer.sizes["r"])) if "r" in case.layer.sizes else (case.k,)
    kind = gluon.contrib.rnn.LSTMPCell if len(sizes) == 2 else gluon.rnn.LSTMCell
    cell = kind(*sizes, input_size=case.n)
    cell.initialize()
    cell.cast(case.dtype)
    return cell


def read_params(path):
    return {name: array.asnumpy() for name, array in mx.nd.load(path).items()}


def save_collected(block):
    """`lstm0_l0_i2h_weight`, as `collect_params().save` writes it."""
    block.collect_params().save("saved.params")
    return read_params("saved.params")


def save_block(block):
    """`_unfused.0.l_cell.i2h_weight`, as `save_parameters` writes it."""
    block.save_parameters("saved.params")
    return read_params("saved.params")


def load(block, arrays):
    """By MXNet's own loader, which wants every parameter and no other."""
    bare = {name.removeprefix(block.prefix): mx.nd.array(a, dtype=a.dtype) for name, a in arrays.items()}
    mx.nd.save("loaded.params", bare)
    block.collect_params().load("loaded.params", restore_prefix=block.prefix)


def call_layer(block, x, h, c):
    y, (h, c) = block(array(x), [array(h), array(c)])
    return y.asnumpy(), h.asnumpy(), c.asnumpy()


def call_cell(cell, x, h, c):
    """States of a cell are (B, k), of a layer (L, B, k)."""
    states, y = [array(h[0]), array(c[0])], []
    for x_t in x:
        y_t, states = cell(array(x_t), states)
        y.append(y_t.asnumpy())
    return np.stack(y), *(state.asnumpy()[None] for state in states)


def array(a):
    return mx.nd.array(np.ascontiguousarray(a), dtype=a.dtype)


def peer(make, call, saved=save_collected):
    return Peer(MXNET, make, save_collected, load, call, saved)


LAYER, CELL = peer(make_layer, call_layer), peer(make_cell, call_cell)
TWO = {"bias": "two"}
OPTIONS = {
    "one layer": TWO,
    "batch first": TWO | {"layout": "batch"},
    "3 layers": TWO | {"layers": 3},
    "both": TWO | {"bidirectional": True},
    "2 layers, both": TWO | {"bidirectional": True, "layers": 2},
    "projection": TWO | {"projection": 2},
    "projection, 2 layers, both": TWO | {"projection": 2, "bidirectional": True, "layers": 2},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_our_weights_in_gluon(name, sizes, dtype):
    hold_ours(LAYER, case_of(sizes, dtype, **OPTIONS[name]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("save", [save_collected, save_block], ids=["collect_params", "save_parameters"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_layer_of_gluon_in_our_code(name, save, dtype):
    hold_theirs(peer(make_layer, call_layer, save), case_of((5, 4, 2), dtype, **OPTIONS[name]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [TWO, TWO | {"projection": 2}], ids=["LSTMCell", "LSTMPCell"])
def test_our_weights_in_a_cell(options, dtype):
    """A cell has the names of a layer without `l0_`."""
    case = case_of((5, 4, 2), dtype, **options)
    weights, cell = case.weights(), make_cell(case)
    tensors = MXNET.pack(weights, case.layer)
    load(cell, {name.removeprefix("l0_"): a for name, a in tensors.items()})
    assert differences(ours(case.layer, weights, case), CELL.run(cell, case)) < (2e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("save", [save_collected, save_block], ids=["collect_params", "save_parameters"])
@pytest.mark.parametrize("options", [TWO, TWO | {"projection": 2}], ids=["LSTMCell", "LSTMPCell"])
def test_a_cell_in_our_code(options, save, dtype):
    hold_theirs(peer(make_cell, call_cell, save), case_of((5, 4, 2), dtype, **options))


@pytest.mark.parametrize("gates", ["igfo", "iofg", "figo"])
@pytest.mark.parametrize("made", [LAYER, CELL], ids=["LSTM", "LSTMCell"])
def test_another_order_misses(made, gates):
    if made is CELL:
        made = Peer(MXNET, make_cell, save_collected, lambda cell, a: load(cell, without_layer(a)), call_cell)
    miss(made, case_of((5, 4, 2), "float32", **TWO), misread(MXNET, gates))


def without_layer(arrays):
    return {name.removeprefix("l0_"): a for name, a in arrays.items()}


# ---- where the names come from ----


def test_an_exported_network():
    """`arg:` stands before every name; a layer of another kind beside it is none of ours."""
    net = gluon.nn.HybridSequential()
    net.add(gluon.rnn.LSTM(4, 2, input_size=5, bidirectional=True), gluon.nn.Dense(2, in_units=8, flatten=False))
    net.initialize()
    net.hybridize()
    net(mx.nd.ones((3, 2, 5)))
    net.export("net")
    for saved, others in ((read_params("net-0000.params"), 2), (save_block(net), 2), (save_collected(net), 2)):
        report = ls.check(saved)
        assert report.ok, str(report)
        (found,) = report.layers
        assert (found.dialect, found.layer.layers, found.layer.directions) == ("mxnet", 2, 2)
        assert len(report.other) == others


def test_a_stack_of_cells_is_a_layer_each():
    stack = gluon.rnn.SequentialRNNCell()
    stack.add(gluon.rnn.LSTMCell(4, input_size=5))
    stack.add(gluon.rnn.LSTMCell(3, input_size=4))
    stack.initialize()
    for saved in (save_block(stack), save_collected(stack)):
        report = ls.check(saved)
        assert report.ok, str(report)
        assert [(f.dialect, str(f.layer.sizes["n"]), str(f.layer.sizes["k"])) for f in report.layers] == [
            ("mxnet", "5", "4"),
            ("mxnet", "4", "3"),
        ]


def test_the_symbolic_cell_has_the_same_names():
    """mx.rnn.LSTMCell, unrolled and bound: `lstm_i2h_weight`."""
    outputs, _ = mx.rnn.LSTMCell(4, prefix="lstm_").unroll(3, inputs=mx.sym.Variable("x"), merge_outputs=True)
    bound, rng = outputs.simple_bind(mx.cpu(), x=(2, 3, 5)), np.random.default_rng(0)
    for a in bound.arg_dict.values():
        a[:] = rng.uniform(-0.9, 0.9, a.shape)
    (y,) = bound.forward()
    arrays = {name: a.asnumpy() for name, a in bound.arg_dict.items()}
    x = arrays.pop("x")
    layer, weights = ls.read(arrays)
    assert sorted(arrays) == [f"lstm_{side}2h_{kind}" for side in "hi" for kind in ("bias", "weight")]
    found, _ = ls.compile(layer.with_(layout="batch"))(x, weights)
    np.testing.assert_allclose(found, y.asnumpy(), rtol=0, atol=2e-6)


def test_what_save_rnn_checkpoint_writes_is_told():
    """It takes the gates apart, `lstm_i2h_i_weight`: no dialect has these names, and they are not passed over."""
    cell = mx.rnn.LSTMCell(4, prefix="lstm_")
    whole = {f"lstm_{side}2h_weight": mx.nd.ones((16, n)) for side, n in (("i", 5), ("h", 4))}
    whole |= {f"lstm_{side}2h_bias": mx.nd.ones(16) for side in "ih"}
    apart = {name: a.asnumpy() for name, a in cell.unpack_weights(whole).items()}
    assert sorted(apart)[0] == "lstm_h2h_c_bias"
    report = ls.check(apart)
    assert not report.layers
    assert {finding.code for finding in report.findings} == {"unread"}


@pytest.mark.parametrize("kind", [gluon.rnn.GRU, gluon.rnn.RNN, gluon.rnn.GRUCell, gluon.rnn.RNNCell])
def test_other_layers_with_the_same_names_are_told(kind):
    block = kind(4, input_size=5)
    block.initialize()
    for saved in (save_block(block), save_collected(block)):
        report = ls.check(saved)
        assert not report.layers
        assert "is a GRU" in str(report) or "is a simple RNN" in str(report)


def test_the_bias_starts_at_0():
    """The documentation says lstmbias, with 1 for the forget gate; mx.rnn's cells do so."""
    block = gluon.rnn.LSTM(4, input_size=5)
    block.initialize()
    assert not any(a.any() for name, a in save_collected(block).items() if name.endswith("bias"))


# ---- what the CPU does not do ----


def drawn(name="2 layers, both", dtype="float32", **more):
    case = case_of((5, 4, 2), dtype, **OPTIONS[name])
    live = draw(LAYER, case)
    arrays = save_collected(live)
    block = gluon.rnn.LSTM(case.k, case.layer.layers, bidirectional=case.layer.directions == 2, input_size=5, **more)
    block.initialize()
    load(block, {name.removeprefix(live.prefix): a for name, a in arrays.items()})
    layer, weights = ls.read(arrays)
    return case, layer, weights, block


def test_the_cpu_ignores_the_lengths_of_sequences():
    """use_sequence_length is cuDNN's: without it every step is computed, and nothing is said."""
    case, layer, weights, block = drawn(use_sequence_length=True)
    h, c = MXNET.pack_state(case.state(), layer)
    lengths = np.array([5, 2], "float32")
    y, (h, c) = block(array(case.x()), [array(h), array(c)], sequence_length=array(lengths))
    theirs = y.asnumpy(), dict(MXNET.unpack_state((h.asnumpy(), c.asnumpy()), layer))
    assert differences(ours(layer, weights, case), theirs) < 2e-6
    found, _ = ls.compile(layer)(case.x(), weights, case.state(), lengths=[5, 2])
    assert np.abs(found - theirs[0]).max() > WRONG


def test_the_cpu_ignores_the_clip_of_the_state():
    case, layer, weights, block = drawn("one layer", state_clip_min=-0.1, state_clip_max=0.1)
    theirs = LAYER.run(block, case)
    assert differences(ours(layer, weights, case), theirs) < 2e-6
    assert np.abs(theirs[1]["l0.c"]).max() > 0.1 + WRONG


# ---- converted files ----


@pytest.mark.parametrize(
    "options", [{}, {"layers": 2, "bidirectional": True}, {"projection": 2}, {"bias": "none"}], ids=str
)
def test_gluon_loads_a_converted_file(options):
    """Its names in MXNet's own file, through MXNet's own loader."""
    x, y = made_by_torch("out.npz", "mxnet", **options)
    with np.load("out.npz") as archive:
        mx.nd.save("out.params", {name: array(archive[name]) for name in archive})
    block = gluon.rnn.LSTM(
        4,
        options.get("layers", 1),
        bidirectional=options.get("bidirectional", False),
        projection_size=options.get("projection"),
        input_size=5,
    )
    block.load_parameters("out.params")
    np.testing.assert_allclose(block(array(x)).asnumpy(), y, rtol=0, atol=2e-6)
