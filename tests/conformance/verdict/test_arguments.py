"""What is about to be handed to a layer, held against it: what is refused here fails or misleads in torch."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import OptionError
from tests.conformance.sets import keras_names, torch_names

STACK = torch_names(layers=2)  # n = 3, k = 4: two cells
BATCH_FIRST = "its first axis counts samples: batch_first moves x, never the state"


def told(source, **given):
    return [str(f) for f in ls.check(source, numbers=False, **given).findings]


@pytest.mark.parametrize(
    ("source", "given"),
    [
        (STACK, {"x": (7, 5, 3), "h": (2, 5, 4), "c": (2, 5, 4)}),
        (STACK, {"x": (7, 3), "h": (2, 4)}),
        (STACK, {"h": (2, 5, 4), "c": (2, 5, 4)}),
        (torch_names(projection=2), {"x": (7, 5, 3), "h": (1, 5, 2), "c": (1, 5, 4)}),
        (torch_names(cell=True), {"x": (5, 3), "h": (5, 4), "c": (5, 4)}),
        (keras_names(), {"x": (5, 7, 3), "h": (5, 4), "c": (5, 4)}),
        (torch_names(both=True), {"x": np.zeros((7, 5, 3)), "h": np.zeros((2, 5, 4))}),
        (STACK, {"h": (2, 4), "c": (2, 4)}),
        (torch_names(cell=True), {"x": (3,), "h": (4,), "c": (4,)}),
        (STACK, {"x": (np.int64(7), np.int32(5), 3)}),
    ],
)
def test_what_fits(source, given):
    assert told(source, **given) == []


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        (
            STACK,
            {"x": (7, 5, 4)},
            "error[input]: x is 4 wide\n  at       arrays : x\n  expected (T, B, n) = (T, B, 3)\n  found    (7, 5, 4)",
        ),
        (
            STACK,
            {"x": (3, 7, 5)},
            "error[input]: x is 5 wide\n"
            "  at       arrays : x\n"
            "  expected (T, B, n) = (T, B, 3)\n"
            "  found    (3, 7, 5)\n"
            "  because  axis 0 of x is n = 3 long: its axes look moved",
        ),
        (
            STACK,
            {"x": (7, 5, 3, 1)},
            "error[input]: x has 4 axes\n"
            "  at       arrays : x\n"
            "  expected (T, B, n) = (T, B, 3)\n"
            "  found    (7, 5, 3, 1)",
        ),
        (
            STACK,
            {"x": (7, 5, 3), "h": (5, 2, 4)},
            "error[state]: h does not fit\n"
            "  at       arrays : h\n"
            "  expected (L·D, B, width) = (2, 5, 4)\n"
            "  found    (5, 2, 4)\n"
            f"  because  {BATCH_FIRST}\n"
            "  help     h.transpose(0, 1)",
        ),
        (
            STACK,
            {"x": (5, 7, 3), "c": (2, 5, 4)},
            "error[state]: c does not fit\n"
            "  at       arrays : c\n"
            "  expected (L·D, B, width) = (2, 7, 4)\n"
            "  found    (2, 5, 4)\n"
            "  because  c has as many samples as x has steps: batch and time of x look swapped\n"
            "  help     x is read as (T, B, n); the layer's layout is 'time'",
        ),
        (
            STACK,
            {"x": (5, 7, 3), "h": (5, 2, 4)},
            "error[state]: h does not fit\n"
            "  at       arrays : h\n"
            "  expected (L·D, B, width) = (2, 7, 4)\n"
            "  found    (5, 2, 4)\n"
            f"  because  {BATCH_FIRST}; and it has as many samples as x has steps\n"
            "  help     x is read as (T, B, n); the layer's layout is 'time'",
        ),
        (
            STACK,
            {"h": (2, 5, 9)},
            "error[state]: h does not fit\n"
            "  at       arrays : h\n"
            "  expected (L·D, B, width) = (2, B, 4)\n"
            "  found    (2, 5, 9)",
        ),
        (
            STACK,
            {"x": (7, 3), "h": (2, 1, 4)},
            "error[state]: h does not fit\n"
            "  at       arrays : h\n"
            "  expected (L·D, width) = (2, 4)\n"
            "  found    (2, 1, 4)",
        ),
        (
            keras_names(),
            {"h": (1, 5, 4)},
            "error[state]: h does not fit\n  at       arrays : h\n  expected (B, width) = (B, 4)\n  found    (1, 5, 4)",
        ),
        (
            STACK,
            {"x": (7, 2, 3), "h": (2, 2, 4)},
            "warning[state-square]: h has as many samples as the layer has cells, 2\n"
            "  at       arrays : h\n"
            "  expected (L·D, B, width) = (2, 2, 4)\n"
            "  because  a batch-first state has the same shape here, and would be taken in silence\n"
            "  help     be sure that the first axis of h counts cells, the second samples",
        ),
    ],
)
def test_what_does_not_fit(source, given, message):
    assert told(source, **given) == [message]


def test_states_that_changed_places():
    both = told(torch_names(projection=2), x=(7, 5, 3), h=(1, 5, 4), c=(1, 5, 2))
    swapped = "  because  the other state has that width: h and c look swapped"
    assert [text.splitlines()[0] for text in both] == ["error[state]: h does not fit", "error[state]: c does not fit"]
    assert [text.splitlines()[-1] for text in both] == [swapped, swapped]


def test_two_states_must_have_one_batch():
    (h,) = {text.splitlines()[0] for text in told(STACK, h=(2, 5, 4), c=(2, 6, 4)) if "h does" in text}
    assert h == "error[state]: h does not fit"


def test_a_live_layer_says_its_layout():
    torch = pytest.importorskip("torch")
    live = torch.nn.LSTM(3, 4, 2, batch_first=True)
    assert told(live, x=torch.zeros(5, 7, 3), h=torch.zeros(2, 5, 4)) == []
    (found,) = told(live, x=torch.zeros(7, 5, 3), h=torch.zeros(2, 5, 4))
    assert "  because  h has as many samples as x has steps: batch and time of x look swapped" in found
    with pytest.raises(RuntimeError):  # what torch says, without saying why
        live(torch.zeros(7, 5, 3), (torch.zeros(2, 5, 4), torch.zeros(2, 5, 4)))


def test_what_has_no_shape():
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(STACK, x="x.npz")
    assert str(caught.value) == ("error[type]: x has no shape\n  expected an array, or a shape\n  found    str")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"h": (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)))},
            "error[type]: h has no shape\n  expected an array, or a shape\n  found    tuple\n"
            "  help     one array each: check(layer, x, h, c)",
        ),
        (
            {"x": (7.0, 2, 5)},
            "error[type]: x has a size that is no whole number\n"
            "  expected an array, or a shape\n"
            "  found    (7.0, 2, 5)",
        ),
        (
            {"h": (True, 2, 4)},
            "error[type]: h has a size that is no whole number\n"
            "  expected an array, or a shape\n"
            "  found    (True, 2, 4)",
        ),
        (
            {"x": (3, -1, 5)},
            "error[type]: x has a size below 0\n  expected sizes of 0 and more\n  found    (3, -1, 5)",
        ),
    ],
)
def test_what_is_no_shape(wrong, words):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(STACK, **wrong)
    assert str(caught.value) == words


# ---- several layers ----

TWO = torch_names("encoder.") | torch_names("decoder.", n=4, k=3)


@pytest.mark.parametrize(("at", "given"), [("encoder", (7, 5, 3)), ("decoder", (7, 5, 4))])
def test_one_of_several_layers_is_named(at, given):
    assert told(TWO, x=given, at=at) == []
    (wrong,) = told(TWO, x=(*given[:2], 9), at=at)
    assert wrong.startswith(f"error[input]: x is 9 wide\n  at       arrays : {at} : x\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"x": (7, 5, 3), "h": (1, 5, 4)},
            "error[several]: there are 2 layers, and they do not take the same x, h\n"
            "  at       arrays\n"
            "  found    encoder, decoder\n"
            '  help     name the one that takes it: at="…"',
        ),
        (
            {"x": (7, 5, 3), "at": "head"},
            "error[at]: there is no layer head\n  at       arrays\n  expected encoder, decoder",
        ),
        (
            {"at": "encoder"},
            "error[at]: at names the layer that x, h and c are for, and there are none\n"
            "  help     check(layer, x, h, c, at=…); without them every layer is checked",
        ),
    ],
)
def test_which_of_several_layers_is_asked(given, message):
    with pytest.raises(OptionError) as caught:
        ls.check(TWO, numbers=False, **given)
    assert str(caught.value) == message


def test_layers_that_take_the_same_need_no_name():
    same = torch_names("encoder.") | torch_names("decoder.")
    assert told(same, x=(7, 5, 3), h=(1, 5, 4)) == []
    assert [text.splitlines()[1] for text in told(same, x=(7, 5, 4))] == ["  at       arrays : encoder : x"]
