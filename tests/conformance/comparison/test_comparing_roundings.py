"""`compare` and dtypes: files of one dtype hold the same numbers or others, whatever their scale; other dtypes the
same number, rounded."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.layers.tensors import Tensor
from tests.conformance.sets import drawn, keras_names, torch_names

GATES = {gate: slice(4 * place, 4 * place + 4) for place, gate in enumerate("ifgo")}  # PyTorch's, with k = 4


def brain(array):
    """Rounded to bfloat16, the upper half of a float32; no oracle for halfway numbers, of which there are none here."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32)


def as_stored(arrays, dtypes):
    """A file whose tensors have these dtypes."""
    given = {}
    for name, array in arrays.items():
        dtype = dtypes if isinstance(dtypes, str) else dtypes[name]
        kept = brain(array) if dtype == "bfloat16" else array.astype(dtype)
        given[name] = Tensor(name, array.shape, dtype, lambda kept=kept: kept)
    return ls.Tensors("stored", "arrays", given)


def scaled(scale, seed):
    shapes = {name: array.shape for name, array in torch_names(n=5, k=8).items()}
    return {name: scale * array for name, array in drawn(shapes, seed).items()}


@pytest.mark.parametrize(
    ("dtype", "scale"), [("bfloat16", 1e-3), ("float16", 1e-4), ("float32", 1e-8), ("float64", 1e-16)]
)
def test_small_strangers_are_other_models(dtype, scale):
    first, second = (as_stored(scaled(scale, seed), dtype) for seed in (0, 1))
    comparison = ls.compare(first, second)
    assert not comparison.ok
    assert len(comparison.pairs[0].wrong) == 12
    assert str(comparison).endswith("not the same: 0 of 1 cells are equal")
    assert ls.compare(first, first).ok


def test_one_large_number_hides_no_other():
    first, second = scaled(0.01, 0), scaled(0.01, 1)
    for arrays in (first, second):
        arrays["bias_ih_l0"][0] = 1e5
    assert not ls.compare(first, second).ok
    third = {name: array.copy() for name, array in first.items()}
    third["bias_ih_l0"][0] += 1
    (pair,) = ls.compare(first, third).pairs
    assert (pair.wrong, pair.largest) == (("b_i",), 1)


@pytest.mark.parametrize(("dtype", "more"), [("bfloat16", 1e-3), ("float16", 2e-4), ("float32", 1e-7)])
def test_a_gate_that_differs_by_less_than_the_dtype_rounds_one(dtype, more):
    given = {name: array * np.float32(0.17) for name, array in torch_names().items()}
    other = {name: array.copy() for name, array in given.items()}
    other["weight_hh_l0"][GATES["f"]] += np.float32(more)
    comparison = ls.compare(as_stored(given, dtype), as_stored(other, dtype))
    (pair,) = comparison.pairs
    assert str(comparison) == (
        f"stored (pytorch) and stored (pytorch): differs by up to {pair.largest:.1e}\n"
        "  only the forget gate differs\n"
        f"  U_f      differs by up to {pair.largest:.1e}\n"
        "not the same: 0 of 1 cells are equal"
    )
    assert pair.largest == pytest.approx(more, rel=0.5)


def test_a_bias_that_differs_by_little():
    given = torch_names()
    other = {name: array.copy() for name, array in given.items()}
    other["bias_hh_l0"][3] += np.float32(1e-7)
    (pair,) = ls.compare(given, other).pairs
    assert pair.words == ("only the input gate differs",)


def test_the_two_biases_of_a_gate_may_be_shared_out_otherwise():
    given = torch_names()
    first, second = given["bias_ih_l0"], given["bias_hh_l0"]
    for one, other in ((second, first), (first + second, 0 * first), ((first + second) / 2,) * 2):
        comparison = ls.compare(given, given | {"bias_ih_l0": one, "bias_hh_l0": other})
        assert comparison.pairs[0].verdict == "equal to the bit"


def test_the_sum_of_two_biases_is_rounded_to_the_dtype_of_the_file():
    given = {name: brain(array) for name, array in torch_names().items()}
    kernel, recurrent = given["weight_ih_l0"].T, given["weight_hh_l0"].T
    total = brain(given["bias_ih_l0"] + given["bias_hh_l0"])
    keras = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": total}
    comparison = ls.compare(as_stored(given, "bfloat16"), as_stored(keras, "bfloat16"))
    assert comparison.ok
    assert 0 < comparison.pairs[0].largest < 2**-8
    assert not ls.compare(as_stored(given, "bfloat16"), as_stored(keras | {"bias": total * 1.02}, "bfloat16")).ok


def test_each_tensor_has_its_own_dtype():
    """Biases in float32 beside matrices in bfloat16 hold to float32."""
    given = torch_names()
    dtypes = {name: "float32" if "bias" in name else "bfloat16" for name in given}
    other = given | {"bias_ih_l0": given["bias_ih_l0"] + np.float32(1e-4)}
    comparison = ls.compare(as_stored(given, dtypes), as_stored(other, dtypes))
    assert comparison.pairs[0].words == ("only biases differ",)
    beside = ls.compare(given, as_stored(given, dtypes))
    assert beside.ok
    assert not any(name.startswith("b_") for name in beside.pairs[0].differences)
    assert beside.pairs[0].verdict.endswith(", as bfloat16 rounds")


def test_of_other_dtypes_only_what_is_wrong_is_listed():
    given = torch_names()
    other = {name: array.copy() for name, array in given.items()}
    other["weight_hh_l0"][GATES["o"]] *= np.float32(1.02)
    (pair,) = ls.compare(given, as_stored(other, "bfloat16")).pairs
    assert pair.wrong == ("U_o",)
    assert len(pair.differences) == 12
    assert pair.words == ("only the output gate differs",)
    assert list(pair.lines())[1:] == [
        "  only the output gate differs",
        f"  U_o      differs by up to {pair.differences['U_o']:.1e}",
    ]


def test_a_bias_that_was_once_beside_a_constant_has_lost_digits():
    """TensorFlow 1 keeps b - 1: what comes back is b as float32 has it near 1, and no other number."""
    given = {name: array * np.float32(1e-3) for name, array in keras_names().items()}
    bias = given["bias"].copy()
    bias[GATES["f"]] = (bias[GATES["f"]] - np.float32(1)) + np.float32(1)
    comparison = ls.compare(given, given | {"bias": bias})
    assert comparison.ok
    assert comparison.pairs[0].verdict.startswith("equal within ")
    bias[GATES["f"]] += np.float32(3e-8)
    assert not ls.compare(given, given | {"bias": bias}).ok
    input_gate = given["bias"].copy()
    input_gate[GATES["i"]] = (input_gate[GATES["i"]] - np.float32(1)) + np.float32(1)
    assert not ls.compare(given, given | {"bias": input_gate}).ok
    zeros = given | {"bias": 0 * bias}
    assert not ls.compare(as_stored(given, "bfloat16"), as_stored(zeros, "bfloat16")).ok


# ---- what is equal, and what is not ----


def layer_of(seed, n=32, k=32):
    shapes = {name: array.shape for name, array in torch_names(n=n, k=k).items()}
    return drawn(shapes, seed)


def correlation(*pairs):
    """Of all the entries, as the words write it."""
    first, second = (np.concatenate([side.ravel() for side in sides]) for sides in zip(*pairs, strict=True))
    return f"(correlation {np.corrcoef(first, second)[0, 1]:.2f})"


def test_matrices_that_are_equal_beside_others_that_have_nothing_in_common():
    first, second = layer_of(0), layer_of(1)
    (pair,) = ls.compare(first, second | {"weight_ih_l0": first["weight_ih_l0"]}).pairs
    found = correlation((first["weight_hh_l0"], second["weight_hh_l0"]))
    assert found in {f"(correlation {sign}0.0{digit})" for sign in ("", "-") for digit in range(5)}
    assert pair.words == (f"equal to the bit: W; unrelated {found}: U; different: b",)


def test_matrices_that_are_equal_beside_others_that_were_trained_on():
    first, noise = layer_of(0), layer_of(1)
    trained = {name: array + noise[name] * np.float32(0.3) for name, array in first.items()}
    kept = {name: first[name] for name in ("bias_ih_l0", "bias_hh_l0", "weight_ih_l0")}
    inputs, recurrent = ((first[name], trained[name]) for name in ("weight_ih_l0", "weight_hh_l0"))
    (pair,) = ls.compare(first, trained | kept).pairs
    words = f"resembling each other {correlation(recurrent)}, as after further training: U"
    assert pair.words == (f"equal to the bit: W, b; {words}",)
    (pair,) = ls.compare(first, trained).pairs
    assert pair.words == (
        f"the matrices resemble each other {correlation(inputs, recurrent)}, as after further training",
    )
    (pair,) = ls.compare(first, trained | {"weight_hh_l0": noise["weight_hh_l0"]}).pairs
    strange = correlation((first["weight_hh_l0"], noise["weight_hh_l0"]))
    assert pair.words == (
        f"resembling each other {correlation(inputs)}, as after further training: W; unrelated {strange}: U; "
        "different: b",
    )


def test_two_gates_that_are_others():
    first, second = layer_of(0), layer_of(1)
    both = {name: array.copy() for name, array in first.items()}
    for name, array in both.items():
        array[32:96] = second[name][32:96]  # f and g
    (pair,) = ls.compare(first, as_stored(both, "bfloat16")).pairs
    pairs = [(first[name][32:96], brain(second[name][32:96])) for name in ("weight_ih_l0", "weight_hh_l0")]
    assert pair.words == (
        f"equal: W_i, U_i, W_o, U_o, b_i, b_o; unrelated {correlation(*pairs)}: W_f, W_g, U_f, U_g; "
        "different: b_f, b_g",
    )


# ---- JSON ----


def test_json_has_no_infinity(command, tmp_path):
    broken = torch_names()
    broken["weight_ih_l0"][0, 0] = np.nan
    broken["weight_hh_l0"][0, 0] = np.inf
    np.savez(tmp_path / "a.npz", **torch_names())
    np.savez(tmp_path / "b.npz", **broken)
    told = command("compare", tmp_path / "a.npz", tmp_path / "b.npz", "--json")
    assert told.code == 1

    def refuse(constant):
        raise AssertionError(constant)

    (cell,) = json.loads(told.out, parse_constant=refuse)["cells"]
    assert cell["differences"] == {"W_i": None, "U_i": None}
    assert cell["wrong"] == ["W_i", "U_i"]
