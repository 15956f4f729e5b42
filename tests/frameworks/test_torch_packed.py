"""Sequences of unequal lengths as torch packs them; `nn.RNN` and `nn.GRU` as cells of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_spec as ls
from lstm_spec.dialects.pytorch import PYTORCH
from tests.frameworks.peers import TOLERANCE, WRONG, Case, assert_equal, cases, difference, differences, try_some

torch = pytest.importorskip("torch", reason="torch is not installed")
packing = torch.nn.utils.rnn

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

options = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["two", "none"]),
        "layers": st.integers(1, 2),
        "bidirectional": st.booleans(),
        "layout": st.sampled_from(["time", "batch"]),
        "share": st.sampled_from([0, 0.3, 0.9]),
    }
)


def states_of(layer) -> str:
    return "".join(state.name for state in layer.cell.states)


def run_packed(module, x, lengths, layer, state):
    """`(y, {name: state})` as its users get them: packed, run, padded to T again."""
    first = layer.layout == "batch"
    members, names = [member.prefix for member in layer.members], states_of(layer)
    initial = None
    if state is not None:
        given = tuple(torch.from_numpy(np.stack([state[f"{m}.{s}"] for m in members])) for s in names)
        initial = given if len(names) > 1 else given[0]
    sequence = torch.from_numpy(x)
    if lengths is not None:
        sequence = packing.pack_padded_sequence(sequence, torch.tensor(lengths), first, enforce_sorted=False)
    with torch.no_grad():
        y, finals = module(sequence, initial)
    if lengths is not None:
        y, _ = packing.pad_packed_sequence(y, first, total_length=x.shape[1 if first else 0])
    finals = finals if len(names) > 1 else (finals,)
    stacked = dict(zip(names, finals, strict=True))
    return y.numpy(), {f"{m}.{s}": a[i].numpy() for i, m in enumerate(members) for s, a in stacked.items()}


def lengths_for(case) -> list[int]:
    """At least 1: torch refuses 0."""
    return np.random.default_rng(case.seed + 1).integers(1, case.time + 1, case.batch).tolist()


def lstm_of(case):
    chosen = case.options
    torch.manual_seed(case.seed)
    return torch.nn.LSTM(
        case.n,
        case.k,
        chosen["layers"],
        bias=chosen["bias"] == "two",
        batch_first=chosen["layout"] == "batch",
        bidirectional=chosen["bidirectional"],
        proj_size=chosen.get("projection", 0),
        dtype=getattr(torch, case.dtype),
    ).eval()


def arrays_of(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


@given(cases(options))
@try_some
def test_packed_sequences(case):
    module, layer, lengths = lstm_of(case), case.layer, lengths_for(case)
    weights = PYTORCH.unpack(arrays_of(module), layer)
    ours = ls.compile(layer)(case.x(), weights, case.state(), lengths=lengths)
    theirs = run_packed(module, case.x(), lengths, layer, case.state())
    assert_equal(ours, theirs, TOLERANCE[case.dtype], f"torch.nn.LSTM, packed, {case.dtype}")


FIXED = {"bias": "two", "layers": 2, "bidirectional": True, "layout": "time"}
UNEQUAL = [9, 4, 1]


def test_other_readings_of_lengths_show():
    """Lengths left out, the last output repeated, a reverse direction that starts in the padding: each is seen."""
    case = Case(5, 6, 9, 3, 0, "float64", True, FIXED)
    module, layer = lstm_of(case), case.layer
    weights = PYTORCH.unpack(arrays_of(module), layer)
    theirs = run_packed(module, case.x(), UNEQUAL, layer, case.state())
    run = ls.compile(layer)
    assert_equal(run(case.x(), weights, case.state(), lengths=UNEQUAL), theirs, TOLERANCE["float64"], "fixed")
    ignored = run(case.x(), weights, case.state())
    assert min(difference(ignored[1][name], theirs[1][name]) for name in theirs[1] if "reverse" not in name) > WRONG
    assert difference(ignored[0][0], theirs[0][0]) > WRONG  # at the first step, which no padding reaches forward
    repeated = ls.compile(layer.with_(padding="repeat"))(case.x(), weights, case.state(), lengths=UNEQUAL)
    assert difference(repeated[0], theirs[0]) > WRONG
    with pytest.raises(AssertionError):
        assert_equal(ignored, theirs, TOLERANCE["float64"], "meta")


# ---- nn.RNN and nn.GRU, their weights put under the equations' names by hand ----


@dataclass(frozen=True)
class Kind:
    """A module of torch and the catalogue's cell for it, by which gate each third of its rows is."""

    name: str
    cell: str
    gates: str = ""

    def build(self, case):
        chosen = case.options
        torch.manual_seed(case.seed)
        return getattr(torch.nn, self.name)(
            case.n,
            case.k,
            chosen["layers"],
            batch_first=chosen["layout"] == "batch",
            bidirectional=chosen["bidirectional"],
            dtype=getattr(torch, case.dtype),
        ).eval()

    def layer(self, case):
        chosen = case.options
        direction = "both" if chosen["bidirectional"] else "forward"
        over_time = {"layers": chosen["layers"], "direction": direction, "layout": chosen["layout"]}
        return ls.Layer(ls.cells.get(self.cell), n=case.n, k=case.k, **over_time)

    def weights(self, module, layer):
        """torch/nn/modules/rnn.py: weight_ih and weight_hh have rows r, z, n; n is our g, b_hn is inside r * (…)."""
        found, arrays = {}, arrays_of(module)
        for member in layer.members:
            end = f"_l{member.index}{'_reverse' if member.reverse else ''}"
            parts = [arrays[f"{kind}{end}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            if not self.gates:
                w, u, b, d = parts
                found |= {f"{member.prefix}.W": w, f"{member.prefix}.U": u, f"{member.prefix}.b": b + d}
            for stem, part in zip(("W_", "U_", "b_W", "b_U") if self.gates else (), parts, strict=False):
                for gate, block in zip(self.gates, np.split(part, 3), strict=True):
                    found[f"{member.prefix}.{stem}{gate}"] = block
        return found


RNN, GRU = Kind("RNN", "elman"), Kind("GRU", "gru-two-biases", "rzg")
without_bias = options.map(lambda chosen: {k: v for k, v in chosen.items() if k not in ("bias", "share")})


def state_for(case, layer):
    if not case.with_state:
        return None
    shapes, rng = layer.state_shapes().items(), case.generator
    return {name: rng.uniform(-1, 1, (case.batch, int(s[0]))).astype(case.dtype) for name, s in shapes}


@pytest.mark.parametrize("kind", [RNN, GRU], ids=lambda kind: kind.name)
@given(case=cases(without_bias), packed=st.booleans())
@try_some
def test_other_modules_are_cells_of_the_catalogue(kind, case, packed):
    module, layer = kind.build(case), kind.layer(case)
    state = state_for(case, layer)
    lengths = lengths_for(case) if packed else None
    ours = ls.compile(layer)(case.x(), kind.weights(module, layer), state, lengths=lengths)
    theirs = run_packed(module, case.x(), lengths, layer, state)
    assert_equal(ours, theirs, TOLERANCE[case.dtype], f"torch.nn.{kind.name} {case.dtype}")


SINGLE = Case(5, 6, 8, 3, 0, "float64", True, {"layers": 1, "bidirectional": False, "layout": "time"})


def with_large_weights(kind):
    """The fixed case: module, layer, weights, state, and what the module says."""
    module, layer = kind.build(SINGLE), kind.layer(SINGLE)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter *= 3
    weights, state = kind.weights(module, layer), state_for(SINGLE, layer)
    theirs = run_packed(module, SINGLE.x(), None, layer, state)
    assert_equal(ls.compile(layer)(SINGLE.x(), weights, state), theirs, TOLERANCE["float64"], "fixed, weights × 3")
    return module, layer, weights, state, theirs


@pytest.mark.parametrize("gates", ["zrg", "grz", "rgz"])
def test_another_order_of_the_gates_shows(gates):
    module, layer, _, state, theirs = with_large_weights(GRU)
    wrong = replace(GRU, gates=gates).weights(module, layer)
    assert differences(ls.compile(layer)(SINGLE.x(), wrong, state), theirs) > WRONG


@pytest.mark.parametrize(
    ("kind", "written", "other"),
    [
        (GRU, "r * (U_g h + b_Ug)", "U_g (r * h) + b_Ug"),
        (GRU, "z * h + (1 - z) * g", "(1 - z) * h + z * g"),
        (RNN, "tanh", "relu"),
    ],
    ids=["reset before the product", "z and 1 - z swapped", "another activation"],
)
def test_other_equations_show(kind, written, other):
    _, layer, weights, state, theirs = with_large_weights(kind)
    cell = ls.parse(str(layer.cell).replace(written, other))
    assert cell != layer.cell
    assert differences(ls.compile(ls.Layer(cell, n=5, k=6))(SINGLE.x(), weights, state), theirs) > WRONG
