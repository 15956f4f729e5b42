"""What the data cannot decide is said with the reason; what is no question is refused with a whole message."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.errors import LstmSpecError
from tests.conformance import conventions as by_hand
from tests.conformance.conventions import record


def identify(said=None, change=lambda weights, step: None, n=3, k=4):
    """One step of a convention whose weights or states were changed before it was computed."""
    said = said or {}
    rng = np.random.default_rng(0)
    weights = by_hand.draw(n, k, k, rng, said)
    step = {"x": rng.standard_normal((3, n)), "h": rng.standard_normal((3, k)), "c": rng.standard_normal((3, k))}
    change(weights, step)
    h1, c1 = by_hand.step(weights, step["x"], step["h"], step["c"], said)
    return ls.identify(by_hand.pack(weights, said), step | {"h1": h1, "c1": c1})


def blank(*families):
    """Every number of some families is 0."""

    def change(weights, step):
        for family in families:
            for block in weights[family].values():
                block[:] = 0
        if "W" in families and "U" in families:
            for bias in weights["biases"]:
                for block in bias.values():
                    block[:] = 0

    return change


def zero(*names):
    return lambda weights, step: [step[name].fill(0) for name in names]


def equal_gates(weights, step):
    for family in (weights["W"], weights["U"], *weights["biases"]):
        family["f"][:] = family["i"]


def twin_matrices(weights, step):
    for gate in "ifgo":
        weights["U"][gate][:] = weights["W"][gate]
    step["h"][:] = step["x"]


CASES = {
    "zero weights": (
        {},
        blank("W", "U"),
        {"gates": "every weight is 0: all gates are the same"},
    ),
    "equal gates": ({}, equal_gates, {"gates": "blocks 1 and 2 give the same sums in every sample"}),
    "c is 0": (
        {},
        zero("c"),
        {
            "forget constant": "c is 0 in every sample: nothing shows the forget gate, nor a peephole before the step",
            "coupling": "c is 0 in every sample: nothing shows the forget gate, nor a peephole before the step",
        },
    ),
    "h is 0": (
        {"form": "apart, turned"},
        zero("h"),
        {
            "matrix on h": "h is 0 in every sample: nothing shows what multiplies it",
            "gates in the matrix on h": "h is 0 in every sample: nothing shows the order of its blocks",
        },
    ),
    "x is 0": (
        {},
        zero("x"),
        {"gates in the matrix on x": "x is 0 in every sample: nothing shows the order of its blocks"},
    ),
    "zero peepholes": ({"peephole": "vector"}, blank("p"), {"peepholes": "every peephole is 0"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_decided(case):
    said, change, reasons = CASES[case]
    found = identify(said, change)
    assert found.fits
    assert not found.ok
    assert found.match is None
    assert found.dialect is None
    told = {doubt.axis: doubt.reason for doubt in found.doubts}
    assert reasons.items() <= told.items()
    if case != "zero weights":
        assert set(told) == set(reasons)
    assert str(found).startswith("not identifiable: several conventions fit equally well, within ")


def test_blocks_that_nothing_shows_in_full():
    """W's blocks could be shuffled: the step is the same. One matrix on both shows its order by h."""
    found = identify({}, zero("x"))
    assert str(found).split("\n\n")[1] == (
        "  undecided  gates in the matrix on x: i, f, g, o | any other order\n"
        "    because  x is 0 in every sample: nothing shows the order of its blocks\n"
        "  a step with x, h and c that are not 0, and weights that differ, would decide"
    )
    assert identify({"join": "xh"}, zero("x")).ok


def test_arrays_that_could_change_places():
    """n = k, and the same numbers multiply the same input: which is W says nothing."""
    found = identify({}, twin_matrices, n=4)
    assert {doubt.reason for doubt in found.doubts} == {"input and recurrent hold the same numbers"}
    assert {doubt.axis for doubt in found.doubts} == {"place of input", "place of recurrent"}


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 1), (1, 3), (4, 4), (16, 4), (4, 1)])
def test_sizes_in_which_shapes_say_little(n, k):
    """One unit, n = k, n = 4k: the numbers decide."""
    for said in ({}, {"order": "iofg", "bias": 2}, {"form": "columns", "order": "igfo"}):
        found = identify(said, n=n, k=k)
        assert found.ok, str(found)
        assert "".join(found.match.order) == said.get("order", "ifgo")


def test_a_bias_that_is_zero_is_no_doubt():
    """Keras writes zeros into one of PyTorch's two biases: what is computed is the same."""

    def change(weights, step):
        for block in weights["biases"][1].values():
            block[:] = 0

    found = identify({"bias": 2}, change)
    assert found.ok
    assert found.match.biases == "all"
    assert found.notes == ("a bias that is 0, or is not seen in this step, may or may not be added",)


def test_a_step_that_no_convention_explains():
    arrays, step = record(3, 4, {})
    step["h1"] = step["h1"] + 0.5
    found = ls.identify(arrays, step)
    assert not found.fits
    assert not found.ok
    assert found.doubts == ()
    text = str(found)
    assert text.startswith("no convention fits: the nearest misses by ")
    assert "c' fits within " in text
    assert (
        "  what is not tried: layer normalization, clipping, other activations, an output of another layer,\n"
        "  packed arrays whose gates lie in different orders\n  the nearest is:\n"
    ) in text


def test_the_nearest_is_right_but_for_a_clip():
    """What is no axis here still ends near: the order is found, and nothing is claimed."""
    arrays, step = record(3, 4, {"order": "iofg"})
    step["c1"] = np.clip(step["c1"], -0.8, 0.8)
    found = ls.identify(arrays, step)
    assert not found.ok
    assert found.to_dict()["identified"] is False


SOUND = record(3, 4, {})


def edited(arrays=None, step=None, drop=()):
    found = {**SOUND[0], **(arrays or {})}, {**SOUND[1], **(step or {})}
    return tuple({name: array for name, array in part.items() if name not in drop} for part in found)


REFUSED = {
    "a name is missing": (
        edited(drop=("c", "c1")),
        """error[step]: the step has no c, c1
  at       the step
  expected x, h, c before the step and h1, c1 after it: x (B, n), the others (B, k)
  found    x (3, 3), h (3, 4), h1 (3, 4)
  help     record one step: np.savez('step.npz', x=…, h=…, c=…, h1=…, c1=…)
           h1 may also be called h', h_1, h_next, h_new, h_out""",
    ),
    "NaN in the step": (
        edited(step={"h": np.full((3, 4), np.nan)}),
        """error[values]: h holds NaN or infinity
  at       the step : h
  help     record another step""",
    ),
    "NaN in an array": (
        edited(arrays={"bias0": np.full(16, np.inf)}),
        """error[values]: bias0 holds NaN or infinity
  at       arrays
  help     nothing can be measured on it""",
    ),
    "integers": (
        edited(step={"x": np.ones((3, 3), int)}),
        """error[dtype]: x holds no floats
  at       the step : x
  expected float16, float32 or float64
  found    int64""",
    ),
    "integer weights": (
        edited(arrays={"input": np.ones((16, 3), int)}),
        """error[dtype]: input holds no floats
  at       arrays
  expected float16, float32 or float64
  found    int64""",
    ),
    "another batch": (
        edited(step={"x": np.ones((2, 3))}),
        """error[step]: the arrays of the step do not have the same number of samples
  at       the step
  expected x (B, n), h and h1 (B, r), c and c1 (B, k)
  found    x (2, 3), h (3, 4), c (3, 4), h1 (3, 4), c1 (3, 4)
  help     one step, not a sequence: of several steps each needs its own states""",
    ),
    "another width": (
        edited(step={"x": np.ones((3, 5))}),
        """error[no-lstm]: these arrays are no LSTM of n = 5, k = 4 in any layout
  at       arrays
  expected matrices that hold 16×5 and 16×4 numbers, or 16×9 joined; biases of 16, or none
  found    input (16, 3), recurrent (16, 4), bias0 (16,)
  because  the step says so: x is 5 wide, h 4, c 4
  help     name the arrays of the layer (--only, each), or how their names begin (--at)""",
    ),
    "widths that change": (
        edited(step={"h1": np.ones((3, 2))}),
        """error[step]: the states do not have one width before and after the step
  at       the step
  found    x (3, 3), h (3, 4), c (3, 4), h1 (3, 2), c1 (3, 4)""",
    ),
    "an empty array": (
        edited(step={"x": np.ones((0, 3))}),
        """error[step]: x is empty
  at       the step : x
  expected (B, width)
  found    (0, 3)""",
    ),
    "no arrays": (
        ({}, SOUND[1]),
        """error[no-lstm]: these arrays are no LSTM of n = 3, k = 4 in any layout
  at       arrays
  expected matrices that hold 16×3 and 16×4 numbers, or 16×8 joined; biases of 16, or none
  found    no arrays
  because  the step says so: x is 3 wide, h 4, c 4
  help     name the arrays of the layer (--only, each), or how their names begin (--at)""",
    ),
    "no step": (
        (SOUND[0], 3),
        """error[step]: this is no recorded step
  expected an npz, or a mapping: x, h, c before the step and h1, c1 after it
  found    int""",
    ),
    "control characters": (
        ({"a\x1b[31m": np.ones((2, 2))}, SOUND[1]),
        """error[no-lstm]: these arrays are no LSTM of n = 3, k = 4 in any layout
  at       arrays
  expected matrices that hold 16×3 and 16×4 numbers, or 16×8 joined; biases of 16, or none
  found    a\\x1b[31m (2, 2)
  because  the step says so: x is 3 wide, h 4, c 4
  help     name the arrays of the layer (--only, each), or how their names begin (--at)""",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_question(case):
    (arrays, step), message = REFUSED[case]
    with pytest.raises(LstmSpecError) as refused:
        ls.identify(arrays, step)
    assert str(refused.value) == message.replace("16×8", "16×7")


@pytest.mark.parametrize("size", [1e30, 1e300])
def test_huge_numbers_give_no_warning(size):
    arrays, step = record(3, 4, {})
    found = ls.identify({name: array * size for name, array in arrays.items()}, step)
    assert not found.ok


def test_many_arrays_of_one_shape_are_no_layer():
    """Nothing explodes: there is no way to lay 24 arrays into one layer."""
    arrays = {f"m{i}": np.ones((4, 4)) for i in range(16)} | {f"v{i}": np.ones(4) for i in range(8)}
    _, step = record(4, 4, {})
    with pytest.raises(LstmSpecError, match=r"^error\[no-lstm\]: these arrays are no LSTM of n = 4, k = 4"):
        ls.identify(arrays, step)
