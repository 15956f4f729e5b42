"""`convert`: every pair of dialects there and back, what is lost, and what the real frameworks make of the result."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.conversion.conversion import EXACT
from lstm_spec.dialects import get
from tests.conformance.sets import PLAIN, torch_names

ALLOWED = ("two-biases", "forget-bias")
PREFIX = re.compile(r"(lstm[/.])?(rnn/basic_lstm_cell/)?")


def plain_layer(name, **options):
    """A layer as the dialect writes it: its biases, its constant, and peepholes where it is never without."""
    said = get(name).options({packing.name for packing in get(name).packings})
    keys = ("bias", "forget_bias", *(["peephole"] if "peephole" in get(name).always else []))
    said = {key: said[key] for key in keys if key in said}
    return ls.lstm(5, 4, **said, **options)


def plain_weights(name, dtype="float32"):
    """Peepholes are zeros: an LSTM without them."""
    drawn = plain_layer(name).random(0, dtype)
    return ls.Weights({key: array * ("p_" not in key) for key, array in drawn.items()})


def tensors_of(name, dtype="float32"):
    return get(name).pack(plain_weights(name, dtype), plain_layer(name))


def there_and_back(name, others):
    """Through other dialects: the same function; and the same bits where no bias was added to another."""
    given = tensors_of(name)
    for other in others:
        there = ls.convert(given, other, dialect=name, allow=ALLOWED)
        back = ls.convert(there.tensors, name, dialect=other, allow=ALLOWED)
        assert max(c.difference for c in (*there.layers, *back.layers)) < 1e-5
        if not there.losses and not back.losses:
            assert there.layers[0].difference <= EXACT
            got = {re.sub(r"^(lstm[/.])?(rnn/basic_lstm_cell/)?", "", n): a for n, a in back.tensors.items()}
            assert got.keys() == given.keys()
            assert all(np.array_equal(got[n], given[n]) for n in given)


@pytest.mark.parametrize("place", range(len(PLAIN)), ids=PLAIN.__getitem__)
def test_there_and_back(place):
    """Through PyTorch's and the next in a ring; every pair is for a whole run."""
    there_and_back(PLAIN[place], ("pytorch", PLAIN[place - 1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_every_pair_there_and_back(name):
    there_and_back(name, PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_written_is_recognized_as_that(name):
    """By its names alone, except where a dialect's names say too little."""
    converted = ls.convert(tensors_of("pytorch"), name, allow=ALLOWED)
    if not get(name).is_asked_for:
        report = ls.check(converted.tensors, numbers=False)
        assert report.ok
        others = {
            "keras": {"keras", "tf-keras"},
            "tf-keras": {"keras", "tf-keras"},
            "tinygrad": {"pytorch", "tinygrad"},
            "coreml": {"equinox"},  # which the report says
        }
        assert report.layers[0].dialect in others.get(name, {name})


def test_the_mapping_itself_against_a_plain_loop():
    """ONNX's rows by hand: i, o, f, c, and the two biases in a row."""
    given = torch_names()
    made = ls.convert(given, "onnx").tensors
    i, f, g, o = (slice(4 * q, 4 * q + 4) for q in range(4))
    for name, own in {"W": "weight_ih_l0", "R": "weight_hh_l0"}.items():
        np.testing.assert_array_equal(made[name][0], np.concatenate([given[own][rows] for rows in (i, o, f, g)]))
    biases = [given[own][rows] for own in ("bias_ih_l0", "bias_hh_l0") for rows in (i, o, f, g)]
    np.testing.assert_array_equal(made["B"][0], np.concatenate(biases))


def test_a_stack_in_both_directions_becomes_layers_of_their_own():
    given = torch_names("enc.", layers=2, both=True)
    made = ls.convert(given, "keras", allow=ALLOWED)
    (converted,) = made.layers
    assert [part.prefix for part in converted.adapted.parts] == [
        "l0_forward",
        "l0_backward",
        "l1_forward",
        "l1_backward",
    ]
    assert converted.adapted.notes == (
        "keras has no such stack: its 4 cells are l0_forward, l0_backward, l1_forward, l1_backward",
        "l0_backward, l1_backward read backwards, as only the name says",
    )
    assert made.tensors["enc/l1_backward/kernel"].shape == (8, 16)
    assert converted.difference < 1e-6


def test_projection_and_no_bias():
    made = ls.convert(torch_names(projection=2, bias=False), "tf1", allow=ALLOWED).tensors
    kernel, bias = made["rnn/lstm_cell/kernel"], made["rnn/lstm_cell/bias"]
    assert kernel.shape == (5, 16)
    np.testing.assert_array_equal(bias, np.repeat([0, 0, -1, 0], 4))  # i, j, f, o: TF1 adds 1 to f itself


@pytest.mark.parametrize("name", ["onnx", "lasagne", "madmom", "tflite", "onednn", "coreml", "webnn"])
@pytest.mark.parametrize("kaldi", ["kaldi", "kaldi-fast"])
def test_zeros_that_kaldi_is_never_without_do_not_stay(name, kaldi):
    """Peepholes of zeros would be written where peepholes are an option; those of a trained layer are kept."""
    given = tensors_of(name)
    there = ls.convert(given, kaldi, dialect=name, allow=ALLOWED)
    back = ls.convert(there.tensors, name, dialect=kaldi, allow=ALLOWED)
    assert sorted(back.tensors) == sorted(given)
    trained = {key: array + ("nonlin" in key or "w_" in key) for key, array in there.tensors.items()}
    kept = ls.convert(trained, "lstm-spec", dialect=kaldi, allow=ALLOWED)
    assert {f"l0.p_{gate}" for gate in "ifo"} <= {key.removeprefix("lstm.") for key in kept.tensors}


# ---- what cannot be carried ----

LOSSES = {
    ("pytorch", "keras"): (
        "error[loss]: keras cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  keras has one bias a gate: the two are summed\n"
        "  help     --allow two-biases, if that is agreed"
    ),
    ("keras", "haiku"): (
        "error[loss]: haiku cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  haiku adds 1 to the forget gate at every step: the bias gets that much less\n"
        "  help     --allow forget-bias, if that is agreed"
    ),
    ("tf1", "pytorch"): (
        "error[loss]: pytorch cannot hold all of this layer as it is\n"
        "  at       arrays\n"
        "  because  the forget gate adds 1 at every step: pytorch gets it in the bias\n"
        "  help     --allow forget-bias, if that is agreed"
    ),
}


@pytest.mark.parametrize(("source", "to"), LOSSES)
def test_a_loss_is_refused_until_it_is_allowed(source, to):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(tensors_of(source), to, dialect=source)
    assert str(caught.value) == LOSSES[source, to]
    assert ls.convert(tensors_of(source), to, dialect=source, allow=ALLOWED).losses


def test_what_the_target_has_no_place_for_is_refused_whatever_is_allowed():
    layer = ls.lstm(5, 4, peephole=True)
    tensors = get("lstm-spec").pack(layer.random(0), layer)
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(tensors, "keras", allow=ALLOWED)
    assert str(caught.value) == (
        "error[dialect]: keras has no place for p_i, p_f, p_o\n"
        "  at       arrays\n"
        "  expected kernel, recurrent_kernel, bias\n"
        "  help     what keras can express: keras.layers.LSTM: gates i, f, c, o as columns; one bias or none"
    )


def test_tensors_of_no_layer_are_named():
    assert ls.convert(torch_names() | {"fc.weight": np.zeros((2, 4))}, "onnx").left == ("fc.weight",)


def test_a_file_that_does_not_conform_is_not_converted():
    with pytest.raises(ls.LstmSpecError, match="bias_hh_l0 does not fit"):
        ls.convert(torch_names() | {"bias_hh_l0": np.zeros(15, "float32")}, "onnx")


def test_a_wrong_mapping_is_seen_by_the_proof(monkeypatch):
    """The proof itself: a target that reads its gates in another order than it writes them."""
    from lstm_spec.conformance.conversion import converting

    def swapped(*arguments):
        for part in named(*arguments):
            rolled = {name: np.roll(a, 4, axis=-2) if a.ndim > 1 else a for name, a in part.tensors.items()}
            yield replace(part, tensors=rolled)

    named = converting._named
    monkeypatch.setattr(converting, "_named", swapped)
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.convert(torch_names(bias=False), "onnx")
    assert str(caught.value).startswith(
        "error[proof]: the layer as onnx would read it computes something else\n"
        "  at       arrays\n"
        "  expected a difference of at most 1e-12\n"
    )


# ---- the real frameworks ----


def sequences():
    rng = np.random.default_rng(1)
    return rng.normal(size=(7, 3, 5)).astype("float32"), *rng.uniform(-1, 1, (2, 3, 4)).astype("float32")


@pytest.mark.parametrize("source", PLAIN)
def test_torch_loads_it_and_answers_the_same(source):
    torch = pytest.importorskip("torch")
    made = ls.convert(tensors_of(source), "pytorch", dialect=source, allow=ALLOWED).tensors
    module = torch.nn.LSTM(5, 4, bias="bias_ih_l0" in made)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in made.items()})
    x, h, c = sequences()
    y, _ = module(*map(torch.from_numpy, (x,)), (torch.from_numpy(h[None]), torch.from_numpy(c[None])))
    layer = plain_layer(source)
    ours, _ = ls.compile(layer)(x, plain_weights(source), {"h": h, "c": c})
    np.testing.assert_allclose(y.detach().numpy(), ours, atol=2e-6)


@pytest.mark.parametrize("source", ["pytorch", "onnx", "haiku", "flax"])
def test_keras_takes_it_and_answers_the_same(source):
    keras = pytest.importorskip("keras")
    made = ls.convert(tensors_of(source), "keras", dialect=source, allow=ALLOWED).tensors
    module = keras.layers.LSTM(4, return_sequences=True)
    module.build((3, 7, 5))
    module.set_weights([made[name] for name in ("kernel", "recurrent_kernel", "bias")])
    x, h, c = sequences()
    state = [keras.ops.convert_to_tensor(a) for a in (h, c)]
    y = module(keras.ops.convert_to_tensor(x.swapaxes(0, 1)), initial_state=state).detach().cpu().numpy()
    layer = plain_layer(source)
    ours, _ = ls.compile(layer)(x, plain_weights(source), {"h": h, "c": c})
    np.testing.assert_allclose(y.swapaxes(0, 1), ours, atol=2e-6)
