"""What an ONNX node computes beside its weights, converted: ONNX Runtime runs what is written as it runs the source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints.onnx.writing import Chain, Node, onnx_chains
from lstm_spec.conformance.conversion import converting
from lstm_spec.layers.tensors import Tensors
from tests.conformance.sets import BATCH, K, N, node_attributes, node_tensors, onnx_model, torch_names

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
T = 7
X = np.random.default_rng(1).standard_normal((T, BATCH, N)).astype("float32")
STATES = ("initial_h", "initial_c")


def source(folder, d=1, without=(), outside=(), steps=None, peephole=True, **changes):
    """A node with constants beside its weights; `outside` are inputs of the graph, `steps` is T as X declares it."""
    without = {*without, *(() if peephole else ("P",))}
    tensors = {name: array for name, array in node_tensors(d).items() if name not in without} | changes
    direction = "bidirectional" if d == 2 else "forward"
    model = onnx.load_from_string(onnx_model(tensors, node_attributes(direction=direction)))
    for name in outside:
        constants = model.graph.initializer
        (found,) = [constant for constant in constants if constant.name == name]
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, found.data_type, found.dims))
        constants.remove(found)
    if steps is not None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = steps
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def answer(path, **given):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()][:1]
    return session.run(names, {"X": X} | given)[0]


LENGTHS = np.array([3, 6], "int32")
CARRIED = {
    "states": {"without": ("sequence_lens",)},
    "h alone": {"without": ("sequence_lens", "initial_c")},
    "c alone": {"without": ("sequence_lens", "initial_h")},
    "lengths": {"without": STATES, "sequence_lens": LENGTHS},
    "all": {"sequence_lens": LENGTHS},
}


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("case", CARRIED)
def test_constants_are_carried_into_a_node(tmp_path, case, d):
    path = source(tmp_path, d, **CARRIED[case])
    made = ls.convert(path, "onnx", output=str(tmp_path / "k.onnx"))
    assert made.losses == ()
    onnx.checker.check_model(onnx.load(tmp_path / "k.onnx"), full_check=True)
    expected = answer(path)
    np.testing.assert_array_equal(answer(tmp_path / "k.onnx"), expected)
    bare = source(tmp_path, d, without=(*STATES, "sequence_lens"))
    assert np.abs(answer(bare) - expected).max() > 0.05  # what was dropped before


def test_constants_of_halves_are_widened(tmp_path):
    halves = {name: array.astype("float16") for name, array in node_tensors().items() if name != "sequence_lens"}
    path = source(tmp_path, without=("sequence_lens",), **halves)
    ls.convert(path, "onnx", output=str(tmp_path / "k.onnx"))
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in onnx.load(tmp_path / "k.onnx").graph.initializer}
    np.testing.assert_array_equal(constants["initial_h"], halves["initial_h"].astype("float32"))


LOST = {
    "initial-state": ("states", "the initial h and c are constant and not zero, which no tensor of {to} says"),
    "lengths": ("lengths", "every sample ends after its own number of steps (3, 6), which no tensor of {to} says"),
}


@pytest.mark.parametrize("to", ["pytorch", "onnx"])
@pytest.mark.parametrize("name", LOST)
def test_a_constant_is_a_loss_where_only_tensors_are_written(tmp_path, name, to):
    case, words = LOST[name]
    path = source(tmp_path, peephole=False, **CARRIED[case])
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(path, to)
    words = words.format(to=to) + "; a *.onnx file does" * (to == "onnx")
    assert str(caught.value) == (
        f"error[loss]: {to} cannot hold all of this layer as it is\n"
        f"  at       {path} : node\n"
        f"  because  {words}\n"
        f"  help     --allow {name}, if that is agreed"
    )
    made = ls.convert(path, to, allow=name)
    assert [(loss.name, loss.words) for loss in made.losses] == [(name, words)]


NO_LOSS = {
    "zeros": {"without": ("sequence_lens",), **{name: np.zeros((1, BATCH, K), "float32") for name in STATES}},
    "as long as x": {"without": STATES, "steps": T},
}


@pytest.mark.parametrize("case", NO_LOSS)
def test_what_changes_no_number_is_no_loss(tmp_path, case):
    (made,) = ls.convert(source(tmp_path, peephole=False, **NO_LOSS[case]), "pytorch").layers
    assert (made.adapted.losses, made.adapted.notes) == ((), ())


OUTSIDE = {
    STATES: "initial_h, initial_c come from outside: what is written begins with zeros unless it is given others",
    ("initial_c",): "initial_c comes from outside: what is written begins with zeros unless it is given others",
    ("sequence_lens",): "sequence_lens comes from outside: what is written runs every sample to its end unless it is "
    "given lengths",
}


@pytest.mark.parametrize("output", [None, "k.onnx"])
@pytest.mark.parametrize("names", OUTSIDE)
def test_what_comes_from_outside_is_told(tmp_path, names, output):
    without = [name for name in (*STATES, "sequence_lens") if name not in names]
    path = source(tmp_path, without=without, outside=names)
    (made,) = ls.convert(path, "onnx", output=output and str(tmp_path / output)).layers
    assert (made.adapted.losses, made.adapted.notes) == ((), (OUTSIDE[names],))


def test_a_model_that_takes_samples_first_is_told(tmp_path):
    """ONNX Runtime does not run it, and runs what is written: the same layer, by our own code."""
    layer = ls.lstm(N, K, bias="two", layout="batch")
    weights = layer.random(0, "float32")
    state = {"l0.h": np.full((BATCH, K), 0.5, "float32"), "l0.c": np.full((BATCH, K), -2, "float32")}
    (tmp_path / "m.onnx").write_bytes(onnx_chains([Chain("", (Node("node", layer, weights, state),))]))
    (made,) = ls.convert(tmp_path / "m.onnx", "onnx", output=str(tmp_path / "k.onnx")).layers
    assert made.adapted.notes == ("the source takes x as (B, T, n): what is written takes X (T, B, n)",)
    ours, _ = ls.compile(layer)(X.swapaxes(0, 1), weights, state)
    np.testing.assert_allclose(answer(tmp_path / "k.onnx")[:, 0], ours.swapaxes(0, 1), rtol=0, atol=1e-6)


def with_states(name, seed, n=N, **options):
    """A node of our own writer, which the tests above hold against a model of ONNX's helper."""
    layer = ls.lstm(n, K, bias="two", **options)
    draw = np.random.default_rng(seed)
    state = {name: draw.uniform(-1, 1, (BATCH, K)).astype("float32") for name in layer.state_shapes()}
    return Node(name, layer, layer.random(seed, "float32"), state)


def test_the_states_of_a_stack_go_with_their_layers(tmp_path):
    nodes = (with_states("enc.l0", 0), with_states("enc.l1", 1, n=K))
    (tmp_path / "m.onnx").write_bytes(onnx_chains([Chain("", nodes)]))
    (made,) = ls.convert(tmp_path / "m.onnx", "onnx", output=str(tmp_path / "k.onnx")).layers
    assert (made.where, made.layer.layers) == ("enc", 2)
    np.testing.assert_array_equal(answer(tmp_path / "k.onnx"), answer(tmp_path / "m.onnx"))


def test_the_states_of_two_directions_go_with_their_cells(tmp_path):
    nodes = [with_states("enc.forward", 0), with_states("enc.backward", 1, reverse=True)]
    (tmp_path / "m.onnx").write_bytes(onnx_chains([Chain(f"{node.name}.", (node,)) for node in nodes]))
    (made,) = ls.convert(tmp_path / "m.onnx", "onnx", output=str(tmp_path / "k.onnx")).layers
    assert (made.where, made.layer.direction) == ("enc", "both")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    ways = session.run([f"{node.name}.Y" for node in nodes], {f"{node.name}.X": X for node in nodes})
    np.testing.assert_array_equal(answer(tmp_path / "k.onnx"), np.concatenate(ways, axis=1))


@pytest.mark.parametrize("lengths", [[LENGTHS, LENGTHS], [LENGTHS, LENGTHS[::-1]], [LENGTHS, None]])
def test_layers_whose_samples_end_elsewhere_are_no_stack(tmp_path, lengths):
    nodes = [with_states("enc.l0", 0), with_states("enc.l1", 1, n=K)]
    ends = zip(nodes, lengths, strict=True)
    nodes = tuple(Node(node.name, node.layer, node.weights, node.state, own) for node, own in ends)
    (tmp_path / "m.onnx").write_bytes(onnx_chains([Chain("", nodes)]))
    made = ls.convert(tmp_path / "m.onnx", "onnx", output=str(tmp_path / "k.onnx")).layers
    if lengths[1] is LENGTHS:
        assert [layer.where for layer in made] == ["enc"]
        np.testing.assert_array_equal(answer(tmp_path / "k.onnx"), answer(tmp_path / "m.onnx"))
    else:
        assert [layer.where for layer in made] == ["enc.l0", "enc.l1"]


@pytest.mark.parametrize("output", [None, "k.onnx"])
def test_a_state_for_any_number_of_samples_is_a_loss_everywhere(tmp_path, monkeypatch, output):
    """As a dialect with such a tensor reads it: a constant of the reading that is no operator's."""
    read = converting.recognize

    def with_start(tensors, dialect):
        found = read(Tensors(tensors.origin, tensors.format, {n: t for n, t in tensors.items() if n != "h0"}), dialect)
        return replace(found, readings=tuple(replace(r, constants={"h0": ("B", "k")}) for r in found.readings))

    monkeypatch.setattr(converting, "recognize", with_start)
    given = torch_names() | {"h0": np.ones((1, K), "float32")}
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(given, "onnx", output=output and str(tmp_path / output))
    assert str(caught.value) == (
        "error[loss]: onnx cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  h0: the state that the source starts from, which onnx has no place for\n"
        "  help     --allow initial-state, if that is agreed"
    )
    assert ls.convert(given, "onnx", allow="initial-state").losses[0].name == "initial-state"
    assert ls.convert(given | {"h0": np.zeros((1, K), "float32")}, "onnx").losses == ()
