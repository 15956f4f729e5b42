"""What rounding may do to a number, held against what NumPy and PyTorch make of it; and the next number is another."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_spec.conformance.comparison.rounding import Parameter, agree, largest_gap

GENERATOR = np.random.default_rng(0)
WIDE = GENERATOR.normal(size=20_000) * 2.0 ** GENERATOR.integers(-30, 12, 20_000)  # down to what float16 cannot hold


def as_kept(numbers, dtype):
    """What a file of that dtype gives: a half as float32."""
    return Parameter(numbers.astype(np.float64 if dtype == "float64" else np.float32), dtype)


def in_numpy(numbers, dtype):
    return numbers.astype(dtype)


def in_torch(numbers, dtype):
    torch = pytest.importorskip("torch")
    rounded = torch.from_numpy(numbers).to(getattr(torch, dtype))
    return rounded.to(torch.float64).numpy()


@pytest.mark.parametrize(
    ("wide", "narrow", "rounds"),
    [
        ("float64", "float32", in_numpy),
        ("float64", "float16", in_numpy),
        ("float32", "float16", in_numpy),
        ("float64", "float16", in_torch),
        ("float64", "bfloat16", in_torch),
        ("float32", "bfloat16", in_torch),
    ],
)
def test_what_a_dtype_makes_of_a_number_agrees_and_its_neighbours_do_not(wide, narrow, rounds):
    numbers = WIDE.astype(wide)
    kept = np.asarray(rounds(numbers, narrow), np.float64)
    assert largest_gap(as_kept(numbers, wide), as_kept(kept, narrow)) > 0
    assert agree(as_kept(numbers, wide), as_kept(kept, narrow))
    assert agree(as_kept(kept, narrow), as_kept(numbers, wide))
    for direction in (np.inf, -np.inf):
        for place in range(0, len(numbers), 400):
            other = kept.copy()
            other[place] = neighbour(kept[place], direction, narrow)
            assert not agree(as_kept(numbers, wide), as_kept(other, narrow))


def neighbour(number, direction, dtype):
    """The next number of the dtype, by what the dtype itself calls next."""
    if dtype == "bfloat16":  # the upper half of a float32
        bits = int(np.float32(number).view(np.uint32)) >> 16
        away = (direction > 0) == (number >= 0)
        if number == 0:
            return np.copysign(np.uint32(1 << 16).view(np.float32), direction)
        return np.uint32((bits + (1 if away else -1)) << 16).view(np.float32)
    return np.nextafter(np.dtype(dtype).type(number), np.dtype(dtype).type(direction))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_one_dtype_allows_nothing(dtype):
    numbers = np.array([1e-3, 1.0, 1e3])
    if dtype == "bfloat16":
        numbers = np.array([2.0**-10, 1.0, 2.0**10])
    numbers = numbers.astype(np.float64 if dtype == "float64" else np.float32)
    for place in range(3):
        other = numbers.copy()
        other[place] = neighbour(numbers[place], np.inf, dtype)
        assert not agree(as_kept(numbers, dtype), as_kept(other, dtype))
    assert agree(as_kept(numbers, dtype), as_kept(numbers, dtype))


def test_two_halves_of_one_number_agree():
    """bfloat16 and float16 from one float32: neither is the other's rounding."""
    numbers = WIDE.astype(np.float32)
    half, brain = (as_kept(in_torch(numbers, dtype), dtype) for dtype in ("float16", "bfloat16"))
    assert agree(half, brain)
    again = in_torch(half.array, "bfloat16")
    assert (again != brain.array).any()  # so that rounding the one to the other is no test
    places = np.flatnonzero(np.abs(half.array) > 1e-3)[:100]
    for place in places:
        other = brain.array.copy()
        other[place] *= 1 + 2**-6
        assert not agree(half, Parameter(other, "bfloat16"))


def test_a_number_too_large_for_a_half_is_another():
    assert not agree(as_kept(np.array([7e4]), "float32"), as_kept(np.array([np.inf]), "float16"))
    assert agree(as_kept(np.array([np.inf]), "float32"), as_kept(np.array([np.inf]), "float16"))
    assert not agree(as_kept(np.array([np.nan]), "float32"), as_kept(np.array([0.0]), "float16"))
    assert not agree(as_kept(np.array([np.inf]), "float32"), as_kept(np.array([-np.inf]), "float32"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_sum_of_two_halves_is_kept_as_a_half(dtype):
    first, second = (in_torch(WIDE[: 10**4] * scale, dtype).astype(np.float32) for scale in (1, 0.7))
    total = Parameter(first + second, dtype, (first, second))
    kept = as_kept(in_torch(first + second, dtype), dtype)
    assert largest_gap(total, kept) > 0
    assert agree(total, kept)
    away = as_kept(np.array([neighbour(number, np.inf, dtype) for number in kept.array]), dtype)
    assert not agree(total, away)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("constant", [1.0, -2.0])
def test_a_constant_in_one_equation_only_costs_one_unit(dtype, constant):
    bias = in_torch(GENERATOR.normal(size=10**4).astype(np.float32), dtype).astype(np.float32)
    less = in_torch(bias - np.float32(constant), dtype).astype(np.float32)
    plain, folded = Parameter(bias, dtype), Parameter(less, dtype, constant=constant)
    assert agree(plain, folded)
    assert agree(folded, plain)
    place = int(np.argmax(np.abs(less)))
    less[place] = neighbour(neighbour(less[place], np.inf, dtype), np.inf, dtype)
    assert not agree(plain, folded)


def test_two_biases_in_float32_and_their_sum_in_bfloat16():
    """Summed before they are rounded, or after."""
    first, second = (GENERATOR.normal(size=10**4).astype(np.float32) for _ in range(2))
    total = Parameter(first + second, "float32", (first, second))
    before = in_torch(first + second, "bfloat16")
    halves = [in_torch(part, "bfloat16").astype(np.float32) for part in (first, second)]
    after = in_torch(halves[0] + halves[1], "bfloat16")
    for kept in (before, after):
        assert agree(total, as_kept(kept, "bfloat16"))
    assert not agree(Parameter(total.array, "float32"), as_kept(after, "bfloat16"))
    assert not agree(total, as_kept(after * (1 + 2**-4), "bfloat16"))


def test_a_constant_of_both_equations_takes_no_digits():
    """Two files of Haiku: what they hold is compared, not what the equation makes of it."""
    bias = GENERATOR.normal(size=100).astype(np.float32) * np.float32(1e-3)
    kept = in_torch(bias, "bfloat16")
    one, other = (Parameter(array, dtype, constant=1.0) for array, dtype in ((bias, "float32"), (kept, "bfloat16")))
    assert agree(one, other)
    assert not agree(one, Parameter(kept * (1 + 2**-6), "bfloat16", constant=1.0))
    assert not agree(one, Parameter(bias + np.float32(1e-8), "float32", constant=1.0))
