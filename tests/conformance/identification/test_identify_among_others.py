"""`identify` where arrays of something else stand beside the layer's, and where each matrix is turned by itself."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.identification.unpacking import unpack
from lstm_spec.errors import LstmSpecError
from tests.conformance.conventions import record

RNG = np.random.default_rng(7)
HEAD = {"head.weight": RNG.normal(size=(2, 4)), "head.bias": RNG.normal(size=2)}
# Beside a layer of n = 3, k = 4: three classes are as wide as peepholes, a norm as wide as a bias.
FLAT = {"classes": RNG.normal(size=(3, 4)), "gain": RNG.normal(size=16), "shift": RNG.normal(size=16)}


@pytest.mark.parametrize("n", [3, 4, 16])
@pytest.mark.parametrize("turned", [("input",), ("recurrent",), ("input", "recurrent")])
def test_each_matrix_is_turned_by_itself(n, turned):
    """A writer transposed one of them: no shape forbids it, also with n = k and n = 4k."""
    arrays, step = record(n, 4, {"order": "iofg", "bias": 2})
    found = ls.identify({name: a.T if name in turned else a for name, a in arrays.items()}, step)
    words = found.match.axes()
    lies = {True: "gates as columns", False: "gates as rows"}
    assert words["matrix on x"] == lies["input" in turned]
    assert words["matrix on h"] == lies["recurrent" in turned]
    assert words["gates"] == "i, o, f, g"


@pytest.mark.parametrize("n", [3, 4, 16])
def test_blocks_in_the_memory_order_of_their_transpose(n):
    """cuDNN's, under the shapes of Keras: (n, k) columns that are a (k, n) matrix, not its transpose."""
    arrays, step = record(n, 4, {"bias": 2})
    for name, width in (("input", n), ("recurrent", 4)):
        arrays[name] = np.concatenate([block.reshape(width, 4) for block in np.split(arrays[name], 4)], axis=1)
    found = ls.identify(arrays, step)
    words = found.match.axes()
    assert words["matrix on x"] == words["matrix on h"] == "gates as columns, each reshaped"
    (miss,) = [miss for miss in found.near if "matrix on x" in miss.change]
    assert miss.change["matrix on x"][1] in ("gates as columns", "gates as rows")
    assert miss.candidate.error > 0.05
    layer, weights = unpack(arrays, found)
    _, after = ls.compile(layer).step(step["x"], weights, {"l0.h": step["h"], "l0.c": step["c"]})
    np.testing.assert_allclose(after["l0.c"], step["c1"], atol=1e-12)


@pytest.mark.parametrize("others", [HEAD, FLAT, HEAD | FLAT], ids=["head", "flat", "both"])
@pytest.mark.parametrize("said", [{}, {"bias": 0}, {"bias": 2}, {"peephole": "vector"}, {"form": "apart"}], ids=str)
def test_what_cannot_belong_is_left_out(said, others):
    arrays, step = record(3, 4, {"order": "igfo", **said})
    found = ls.identify({**arrays, **others}, step)
    assert found.ok, str(found)
    assert found.match.order == "igfo"
    assert set(found.arrays) == set(arrays)
    assert set(found.unread) == set(others)
    assert f"  left out: {', '.join(others)}\n" in str(found)


def test_what_is_left_out_is_as_little_as_fits():
    """A zero bias could be left out, and is not."""
    arrays, step = record(3, 4, {"bias": 2})
    arrays["bias0"] = arrays["bias0"] + arrays["bias1"]
    arrays["bias1"] = np.zeros_like(arrays["bias1"])
    found = ls.identify({**arrays, **HEAD, "classes": FLAT["classes"]}, step)
    assert found.ok
    assert set(found.arrays) == set(arrays)


def test_a_step_of_something_else_is_none_with_arrays_left_out_either():
    """Meta: leaving out does not find a convention where there is none."""
    arrays, step = record(3, 4, {})
    found = ls.identify({**arrays, **FLAT}, {**step, "h1": step["h1"][::-1]})
    assert not found.fits
    assert found.best.error > 0.05


def test_more_than_can_be_left_out_in_full():
    arrays, step = record(3, 4, {})
    many = {f"m{number}": RNG.normal(size=(4, 16)) for number in range(20)}
    with pytest.raises(LstmSpecError) as refused:
        ls.identify({**arrays, **many}, step)
    assert str(refused.value) == (
        "error[no-lstm]: these arrays are no LSTM of n = 3, k = 4 in any layout\n"
        "  at       arrays\n"
        "  expected matrices that hold 16×3 and 16×4 numbers, or 16×7 joined; biases of 16, or none\n"
        "  found    input (16, 3), recurrent (16, 4), bias0 (16,), m0 (4, 16), m1 (4, 16), m2 (4, 16), m3 (4, 16),"
        " m4 (4, 16) and 15 more\n"
        "  because  the step says so: x is 3 wide, h 4, c 4\n"
        "           23 arrays could be of it: no more than 2 of them were left out at a time\n"
        "  help     name the arrays of the layer (--only, each), or how their names begin (--at)"
    )
    assert ls.identify({**arrays, **many}, step, only=arrays).ok


def test_an_array_that_is_not_there_in_full():
    arrays, step = record(3, 4, {})
    with pytest.raises(LstmSpecError) as refused:
        ls.identify(arrays, step, only=["input", "recurent"])
    assert str(refused.value) == (
        "error[only]: there is no array recurent\n"
        "  at       arrays\n  found    input (16, 3), recurrent (16, 4), bias0 (16,)"
    )


def test_what_is_named_is_all_that_is_looked_at():
    arrays, step = record(3, 4, {"bias": 2})
    assert not ls.identify(arrays, step, only=["input", "recurrent", "bias0"]).fits
    with pytest.raises(LstmSpecError, match=r"found    input \(16, 3\)\n"):
        ls.identify(arrays, step, only=["input"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_narrowest_dtype_that_is_stored_says_the_limit(dtype):
    """The step is in float64: what was rounded is the weights."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    arrays, step = record(3, 6, {"order": "iofg", "bias": 2})
    stored = {name: torch.tensor(array).to(getattr(torch, dtype)) for name, array in arrays.items()}
    found = ls.identify(stored, step)
    assert (found.dtype, found.tolerance) == (dtype, {"float16": 1e-2, "bfloat16": 3e-2}[dtype])
    assert found.fits
    assert found.best.error > 1e-6
    assert found.best.hypothesis.order == "iofg"


def test_a_narrow_array_beside_the_layer_says_nothing_of_it():
    arrays, step = record(3, 4, {})
    found = ls.identify({**arrays, "head.weight": HEAD["head.weight"].astype("float16")}, step)
    assert (found.ok, found.dtype) == (True, "float64")
