"""Chainer's links.LSTM, StatelessLSTM, StatefulPeepholeLSTM, NStepLSTM and NStepBiLSTM, both directions.

Not collected with the other tests: Chainer 7.8.1 wants a NumPy below 1.24, which `.ci/run` installs apart.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects.chainer import CHAINER, CHAINER_NSTEP
from tests.frameworks.cell_peers import swap_parts
from tests.frameworks.peers import differences, misread
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
    chainer = pytest.importorskip("chainer", reason="chainer is not installed")


links, Variable = chainer.links, chainer.Variable
pytestmark = pytest.mark.filterwarnings("ignore")
MISSED = case_of((5, 4, 2), "float32")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- how they are made and called ----


def making(kind):
    """A link of that kind, in the case's dtype."""

    def make(case):
        with chainer.using_config("dtype", np.dtype(case.dtype)):
            if issubclass(kind, links.NStepLSTM | links.NStepBiLSTM):
                return kind(case.layer.layers, case.n, case.k, 0.0)
            return kind(case.n, case.k)

    return make


def save(link):
    """The file that Chainer writes."""
    chainer.serializers.save_npz("saved.npz", link)
    return "saved.npz"


def tensors(link):
    with np.load(save(link)) as archive:
        return dict(archive)


def load(link, arrays):
    """By Chainer's own loader, which is strict: it wants every parameter."""
    assert arrays.keys() == tensors(link).keys()
    np.savez("loaded.npz", **arrays)
    chainer.serializers.load_npz("loaded.npz", link)


def stepped(step):
    """Over the steps of x (T, B, n), a link that holds its states."""

    def call(link, x, c, h):
        y = [step(link, x_t, c, h) if t == 0 else link(x_t) for t, x_t in enumerate(x)]
        return np.stack([y_t.array for y_t in y]), link.c.array, link.h.array

    return call


def step_lstm(link, x, c, h):
    link.set_state(Variable(c), Variable(h))
    return link(x)


def step_peephole(link, x, c, h):
    link.c, link.h = Variable(c), Variable(h)
    return link(x)


def call_stateless(link, x, c, h):
    outputs = []
    for x_t in x:
        c, h = link(c, h, x_t)
        outputs.append(h.array)
    return np.stack(outputs), c.array, h.array


def call_nstep(link, x, h, c):
    """A list of sequences in, a list out."""
    h, c, y = link(h, c, [np.ascontiguousarray(x[:, b]) for b in range(x.shape[1])])
    return np.stack([y_b.array for y_b in y], axis=1), h.array, c.array


def peer(dialect, kind, call):
    return Peer(dialect, making(kind), tensors, load, call, save)


LSTM = peer(CHAINER, links.LSTM, stepped(step_lstm))
STATELESS = peer(CHAINER, links.StatelessLSTM, call_stateless)
PEEPHOLE = peer(CHAINER, links.StatefulPeepholeLSTM, stepped(step_peephole))
NSTEP = peer(CHAINER_NSTEP, links.NStepLSTM, call_nstep)
BOTH = peer(CHAINER_NSTEP, links.NStepBiLSTM, call_nstep)
PEERS = {
    "LSTM": (LSTM, {}),
    "StatelessLSTM": (STATELESS, {}),
    "StatefulPeepholeLSTM": (PEEPHOLE, {"peephole": "full"}),
    "NStepLSTM": (NSTEP, {"bias": "two"}),
    "NStepLSTM, 3 layers": (NSTEP, {"bias": "two", "layers": 3}),
    "NStepBiLSTM": (BOTH, {"bias": "two", "bidirectional": True}),
    "NStepBiLSTM, 2 layers": (BOTH, {"bias": "two", "bidirectional": True, "layers": 2}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_our_weights_in_chainer(name, sizes, dtype):
    made, options = PEERS[name]
    hold_ours(made, case_of(sizes, dtype, **options))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(5, 4, 2), (1, 6, 3)], ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_a_file_of_chainer_in_our_code(name, sizes, dtype):
    """As `save_npz` writes it, read unasked."""
    made, options = PEERS[name]
    hold_theirs(made, case_of(sizes, dtype, **options))


@pytest.mark.parametrize("gates", ["ifgo", "igfo", "gfio"])
@pytest.mark.parametrize("name", ["LSTM", "StatefulPeepholeLSTM"])
def test_chainer_in_another_order_misses(name, gates):
    made, options = PEERS[name]
    miss(made, case_of((5, 4, 2), "float32", **options), misread(CHAINER, gates))


@pytest.mark.parametrize("pair", ["go", "if", "fo"])
def test_an_nstep_link_in_another_order_misses(pair):
    """The docstring has w2 for the output gate and w3 for the candidate: `go`."""
    miss(NSTEP, case_of((5, 4, 2), "float32", bias="two"), swap_parts(CHAINER_NSTEP, *pair))


# ---- what is easily got wrong ----


def test_blocks_for_units_miss():
    """The same rows in blocks of k, a, i, f, o, are another layer."""
    from dataclasses import replace

    blocks = tuple(replace(p, arranged="blocks") for p in CHAINER.packings)
    miss(LSTM, MISSED, replace(CHAINER, packings=blocks))


def test_the_forget_gate_starts_at_1_only_in_links_lstm():
    starts = {
        "LSTM": tensors(links.LSTM(5, 4))["upward/b"],
        "StatefulPeepholeLSTM": tensors(links.StatefulPeepholeLSTM(5, 4))["upward/b"],
    }
    assert starts["LSTM"].reshape(4, 4).tolist() == [[0, 0, 1, 0]] * 4
    assert not starts["StatefulPeepholeLSTM"].any()


@pytest.mark.parametrize("name", ["NStepLSTM, 3 layers", "NStepBiLSTM, 2 layers"])
def test_a_ragged_list_is_our_lengths(name):
    """Sequences of their own lengths, in any order; a list comes out, so that nothing is padded."""
    made, options = PEERS[name]
    case, lengths = case_of((5, 4, 3), "float64", **options), [2, 5, 4]
    live = draw(made, case)
    layer, weights = ls.read(save(live))
    h, c = CHAINER_NSTEP.pack_state(case.state(), layer)
    h, c, y = live(h, c, [np.ascontiguousarray(case.x()[:t, b]) for b, t in enumerate(lengths)])
    assert [y_b.shape[0] for y_b in y] == lengths
    found, state = ls.compile(layer)(case.x(), weights, case.state(), lengths=lengths)
    for b, t in enumerate(lengths):
        np.testing.assert_allclose(found[:t, b], y[b].array, rtol=0, atol=1e-12)
    after = CHAINER_NSTEP.unpack_state((h.array, c.array), layer)
    assert all(np.abs(state[name] - after[name]).max() < 1e-12 for name in state)


def test_two_cells_of_n_units_are_two_layers_or_one():
    """With n = k the files are the same but for what is in them; it is told, not guessed."""
    both, stack = (save_as(kind(count, 4, 4, 0.0)) for kind, count in ((links.NStepBiLSTM, 1), (links.NStepLSTM, 2)))
    assert {name: a.shape for name, a in both.items()} == {name: a.shape for name, a in stack.items()}
    (finding,) = ls.check(both).findings
    assert finding.code == "ambiguous"
    assert finding.message.endswith("is a stack of 2 layers or one layer in both directions: with n = k = 4 both fit")
    with pytest.raises(ls.LstmSpecError, match="a stack of 2 layers or one layer in both directions"):
        ls.read(both)
    case = case_of((4, 4, 2), "float32", bias="two", bidirectional=True)
    live = BOTH.make(case)
    load(live, both)
    weights = CHAINER_NSTEP.unpack(both, case.layer)
    assert differences(ours(case.layer, weights, case), BOTH.run(live, case)) < 2e-6
    as_stack = ls.lstm(4, 4, bias="two", layers=2)
    assert CHAINER_NSTEP.unpack(both, as_stack).keys() != weights.keys()


def save_as(link):
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-0.9, 0.9, a.shape).astype("float32") for name, a in tensors(link).items()}


@pytest.mark.parametrize(
    ("name", "layers"), [("NStepLSTM", 3), ("NStepLSTM", 4), ("NStepBiLSTM", 2), ("NStepBiLSTM", 3)]
)
def test_more_cells_of_n_units_are_told_by_their_widths(name, layers):
    layer, _ = ls.read(save(getattr(links, name)(layers, 4, 4, 0.0)))
    assert (layer.layers, layer.directions) == (layers, 2 if name == "NStepBiLSTM" else 1)


class Model(chainer.Chain):
    """Recurrent links beside others, under names of their own."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.one = links.LSTM(5, 4)
            self.two = links.NStepBiLSTM(2, 4, 3, 0.0)
            self.three = links.StatefulPeepholeLSTM(6, 2)
            self.out = links.Linear(2, 1)

    def forward(self, x):
        _, _, y = self.two(None, None, [self.one(x)])
        return chainer.functions.sum(self.out(self.three(y[0])))


def test_a_snapshot_of_a_trainer():
    """The model's parameters are read; Adam's moments of them, of the same shapes, are set apart."""
    model = Model()
    optimizer = chainer.optimizers.Adam().setup(model)
    batches = chainer.iterators.SerialIterator(np.ones((4, 5), "float32"), 2)
    updater = chainer.training.updaters.StandardUpdater(batches, optimizer)
    trainer = chainer.training.Trainer(updater, (1, "iteration"), out="out")
    trainer.run()
    chainer.serializers.save_npz("snapshot.npz", trainer)
    report = ls.check("snapshot.npz")
    assert report.ok, str(report)
    model_of = "updater/model:main"
    assert {found.where: found.dialect for found in report.layers} == {
        f"{model_of}/one": "chainer",
        f"{model_of}/two": "chainer-nstep",
        f"{model_of}/three": "chainer",
    }
    assert "updater/optimizer:main/one/lateral/W/m" in report.other


OTHERS = {
    "NStepGRU": (2, 5, 4, 0.0),
    "NStepBiGRU": (1, 5, 4, 0.0),
    "NStepRNNTanh": (2, 5, 4, 0.0),
    "StatefulGRU": (5, 4),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_links_are_no_lstm(name):
    """An NStepGRU has six of the matrices of an NStepLSTM, under the same names."""
    with pytest.raises(ls.LstmSpecError, match="there is no LSTM here"):
        ls.check(save(getattr(links, name)(*OTHERS[name])))


# ---- converted files ----


CONVERTED = {
    "one layer": (links.NStepLSTM, 1, {}),
    "a stack": (links.NStepLSTM, 2, {"layers": 2}),
    "no bias": (links.NStepLSTM, 1, {"bias": "none"}),
    "both": (links.NStepBiLSTM, 2, {"layers": 2, "bidirectional": True}),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_chainer_loads_a_converted_stack(name):
    kind, layers, options = CONVERTED[name]
    x, y = made_by_torch("out.npz", "chainer-nstep", **options)
    link = kind(layers, 5, 4, 0.0)
    chainer.serializers.load_npz("out.npz", link)
    found = call_nstep(link, x, None, None)[0]
    np.testing.assert_allclose(found, y, rtol=0, atol=2e-6)


@pytest.mark.parametrize("bias", ["two", "none"])
def test_chainer_loads_a_converted_layer(bias):
    x, y = made_by_torch("out.npz", "chainer", ("two-biases",), bias=bias)
    link = links.LSTM(5, 4)
    chainer.serializers.load_npz("out.npz", link)
    np.testing.assert_allclose(np.stack([link(x_t).array for x_t in x]), y, rtol=0, atol=2e-6)
