"""What is refused before any code runs, with the whole message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.errors import LstmSpecError, OptionError, SizeError, TensorError
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.language import parse

LAYER = lstm(3, 4)
RUN = compile_layer(LAYER)
WEIGHTS = dict(LAYER.random(0))
X = np.zeros((5, 2, 3))
H = np.zeros((2, 4))
NAMES = "l0.W_i, l0.U_i, l0.b_i, l0.W_f, l0.U_f, l0.b_f, l0.W_g, l0.U_g, l0.b_g, l0.W_o, l0.U_o, l0.b_o"
CAST = "expected one dtype, float32 or float64\n  help     nothing is cast in silence:"


def matrix(array: Any) -> Any:
    return array.view(np.matrix)


def refusal(kind: type[LstmSpecError], call: Any, *arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("int64", "int64"),
        ("uint8", "uint8"),
        ("bool", "bool"),
        ("float16", "float16"),
        ("float32", "float32"),
        (">f8", ">f8"),
        ("complex128", "complex128"),
        ("object", "object"),
    ],
)
def test_another_dtype(dtype: str, name: str) -> None:
    message = f"is {name}; the weights are float64\n  {CAST}"
    end = "astype(np.float64), or cast the weights"
    assert refusal(TensorError, RUN, X.astype(dtype), WEIGHTS) == f"error[dtype]: x {message} x.{end}"
    assert refusal(TensorError, RUN.step, X[0].astype(dtype), WEIGHTS) == f"error[dtype]: x_t {message} x_t.{end}"
    state = {"h": H, "c": H.astype(dtype)}
    assert refusal(TensorError, RUN, X, WEIGHTS, state) == f"error[dtype]: l0.c {message} l0.c.{end}"


def test_another_dtype_where_no_weight_says_which() -> None:
    run = compile_layer(Layer(parse("input x[k]\nstate h[k]\nh' = tanh(x + h)"), k=3))
    assert (
        refusal(TensorError, run, X.astype("float16"), {})
        == f"error[dtype]: x is float16\n  {CAST} x.astype(np.float64)"
    )
    for dtype in ("float32", "float64"):
        y, state = run(X.astype(dtype), {})
        assert y.dtype == state["h"].dtype == dtype
    mixed = refusal(TensorError, run, X.astype("float32"), {}, {"h": np.zeros((2, 3))})
    assert mixed == f"error[dtype]: l0.h is float64; x is float32\n  {CAST} l0.h.astype(np.float32), or cast x"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (X.tolist(), "list"),
        (np.ma.masked_array(X), "MaskedArray"),
        (matrix(X[0]), "matrix"),
        (None, "NoneType"),
        (np.float64(1), "float64"),
        (1.0, "float"),
    ],
)
def test_what_is_no_plain_array(given: Any, kind: str) -> None:
    expected, help = "  expected (T, B, n = 3)\n", "  help     np.asarray(…) makes a plain array"
    found = f"  found    {kind}\n"
    message = f"error[type]: x is no plain NumPy array\n{expected}{found}{help}"
    assert refusal(TensorError, RUN, given, WEIGHTS) == message
    step = refusal(TensorError, RUN.step, given, WEIGHTS)
    assert step == message.replace(": x ", ": x_t ").replace("(T, B, n", "(B, n")
    weight = refusal(TensorError, RUN, X, WEIGHTS | {"l0.W_f": given})
    assert weight == f"error[type]: l0.W_f is no plain NumPy array\n{found}{help}"
    state = refusal(TensorError, RUN, X, WEIGHTS, {"h": given, "c": H})
    assert state == f"error[type]: l0.h is no plain NumPy array\n  expected (B, 4) = (2, 4)\n{found}{help}"


@pytest.mark.parametrize("shape", [(5, 2, 4), (3, 2, 5), (1, 5, 2, 3), (), (3,), (0,), (5, 2, 0), (2, 4)])
def test_an_input_of_another_shape(shape: tuple[int, ...]) -> None:
    expected = f"error[shape]: x does not have the derived shape\n  expected (T, B, n = 3)\n  found    {shape}"
    assert refusal(TensorError, RUN, np.zeros(shape), WEIGHTS) == expected


def test_one_sample_without_a_batch() -> None:
    shape = "error[shape]: x does not have the derived shape\n  expected ({}, n = 3)\n  found    (5, 3)\n"
    hint = "  help     one sample has a batch of 1: "
    one = np.zeros((5, 3))
    assert refusal(TensorError, RUN, one, WEIGHTS) == shape.format("T, B") + hint + "x[:, None, :]"
    batch = compile_layer(lstm(3, 4, layout="batch"))
    assert refusal(TensorError, batch, one, WEIGHTS) == shape.format("B, T") + hint + "x[None]"
    assert RUN(one[:, None, :], WEIGHTS)[0].shape == (5, 1, 4)
    assert batch(one[None], WEIGHTS)[0].shape == (1, 5, 4)


def test_batch_and_time_in_each_others_place() -> None:
    """Only a state can tell."""
    swapped = refusal(TensorError, RUN, X.swapaxes(0, 1), WEIGHTS, {"h": H, "c": H})
    assert swapped == (
        "error[shape]: l0.h does not have the derived shape\n  expected (B, 4) = (5, 4)\n  found    (2, 4)"
    )


@pytest.mark.parametrize("shape", [(3, 4), (4, 2), (2, 5), (1, 2, 4), (4,), ()])
def test_a_state_of_another_shape(shape: tuple[int, ...]) -> None:
    message = "error[shape]: l0.c does not have the derived shape\n  expected (B, 4) = (2, 4)\n"
    assert refusal(TensorError, RUN, X, WEIGHTS, {"h": H, "c": np.zeros(shape)}) == f"{message}  found    {shape}"


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"h": H}, "h"),
        ({"h": H, "c": H, "z": H}, "h, c, z"),
        ({"h": H, "c": H, "l0.h": H}, "h, c, l0.h"),
        ({"l0.h": H, "c": H, "h'": H}, "l0.h, c, h'"),
        ({"h\x1b[31m": H, "c": H}, r"h\x1b[31m, c"),
        ({1: H, "c": H}, "1, c"),
        ({}, "nothing"),
    ],
)
def test_a_state_with_other_names(state: Any, found: str) -> None:
    message = "error[names]: the state does not have the layer's names\n  expected l0.h, l0.c\n"
    assert refusal(TensorError, RUN, X, WEIGHTS, state) == f"{message}  found    {found}"


def test_a_state_of_one_direction_for_two() -> None:
    layer = lstm(3, 4, bidirectional=True)
    found = refusal(TensorError, compile_layer(layer), X, layer.random(0), {"h": H, "c": H})
    expected = "  expected l0.h, l0.c, l0.reverse.h, l0.reverse.c\n  found    h, c"
    assert found == f"error[names]: the state does not have the layer's names\n{expected}"


def test_tuples_of_arrays() -> None:
    state = refusal(TensorError, RUN, X, WEIGHTS, (H, H))
    assert state == "error[type]: the state is no mapping\n  expected arrays by name: l0.h, l0.c\n  found    tuple"
    weights = refusal(TensorError, RUN, X, tuple(WEIGHTS.values()))
    assert weights == "error[type]: the weights are no mapping\n  expected names → arrays\n  found    tuple"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"l0.W_f": None}, "missing: l0.W_f"),
        ({"q": X}, "unknown: q"),
        ({"l0.U_i": None, "l0.b_o": None, "U\x1b": X}, r"missing: l0.U_i, l0.b_o; unknown: U\x1b"),
        ({7: X}, "unknown: 7"),
    ],
)
def test_weights_with_other_names(change: dict[Any, Any], found: str) -> None:
    weights = {name: array for name, array in (WEIGHTS | change).items() if array is not None}
    assert refusal(TensorError, RUN, X, weights) == (
        f"error[names]: the weights do not have the layer's names\n  expected {NAMES}\n  found    {found}\n"
        "  help     weights of another framework are read with ls.read or a dialect's unpack"
    )


def test_a_weight_under_two_names() -> None:
    twice = refusal(TensorError, RUN, X, WEIGHTS | {"W_f": WEIGHTS["l0.W_f"]})
    assert twice == "error[names]: W_f and l0.W_f are one tensor, and both are given\n  help     drop one"


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("l0.W_f", (3, 4), "(4, 3)"),
        ("l0.U_f", (4, 3), "(4, 4)"),
        ("l0.b_f", (4, 1), "(4,)"),
        ("l0.b_f", (3,), "(4,)"),
        ("l0.b_f", (), "(4,)"),
    ],
)
def test_a_weight_of_another_shape(name: str, shape: tuple[int, ...], expected: str) -> None:
    message = f"error[shape]: {name} does not have the derived shape\n  expected {expected}\n  found    {shape}"
    assert refusal(TensorError, RUN, X, WEIGHTS | {name: np.zeros(shape)}) == message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"l0.W_f": "float32"}, "float32: l0.W_f; float64: l0.W_i"),
        (dict.fromkeys(WEIGHTS, "int64"), "int64: l0.W_i"),
        (dict.fromkeys(WEIGHTS, ">f4"), ">f4: l0.W_i"),
        (dict.fromkeys(WEIGHTS, "float16"), "float16: l0.W_i"),
    ],
)
def test_weights_of_another_dtype(change: dict[str, str], found: str) -> None:
    weights = {name: array.astype(change.get(name, array.dtype)) for name, array in WEIGHTS.items()}
    assert refusal(TensorError, RUN, X, weights) == (
        f"error[dtype]: the weights are not of one float dtype\n  expected float32, or float64\n  found    {found}\n"
        '  help     nothing is cast in silence: weights.astype("float32") rounds them'
    )


def test_weights_packed_for_another_layer() -> None:
    other = lstm(3, 4, peephole=True)
    packed = compile_layer(other).pack(other.random(0))
    message = (
        "error[packed]: these weights were packed for another layer\n"
        "  help     pack them with this one: run.pack(weights)"
    )
    assert refusal(TensorError, RUN, X, packed) == message
    assert refusal(TensorError, RUN.step, X[0], packed) == message


@pytest.mark.parametrize("direction", ["reverse", "both"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_step_of_a_layer_that_reads_backwards(direction: Any, layers: int) -> None:
    layer = lstm(3, 4, layers=layers).with_(direction=direction)
    assert refusal(OptionError, compile_layer(layer).step, X[0], layer.random(0)) == (
        f"error[step]: a layer with direction '{direction}' cannot be stepped\n"
        "  because  its first output depends on the last input\n  help     run the whole sequence"
    )


@pytest.mark.parametrize("shape", [(5, 2, 3), (2, 4), (3,), ()])
def test_a_step_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"error[shape]: x_t is not one step of the input\n  expected (B, n = 3)\n  found    {shape}"
    assert refusal(TensorError, RUN.step, np.zeros(shape), WEIGHTS) == message


def test_arrays_that_contradict_each_other_about_a_letter() -> None:
    run = compile_layer(lstm("n", "k"))
    assert refusal(TensorError, run, np.zeros((5, 2, 4)), WEIGHTS) == (
        "error[shape]: x does not have the derived shape\n  expected (T, B, n = 3)\n  found    (5, 2, 4)"
    )
    assert refusal(TensorError, run, X, WEIGHTS | {"l0.U_f": np.zeros((5, 5))}) == (
        "error[shape]: l0.U_f does not have the derived shape\n  expected (k, k) = (4, 4)\n  found    (5, 5)\n"
        "  because  k = 4 from l0.W_i"
    )


def test_a_letter_that_no_array_tells() -> None:
    run = compile_layer(Layer(parse("input x[n]\nstate h[n], c[k]\nh' = x + h\nc' = tanh(c)")))
    message = "error[size]: no array says what k is\n  help     give it to the layer: layer.at(…)"
    assert refusal(SizeError, run, X, {}) == message
    assert run(X, {}, {"h": np.zeros((2, 3)), "c": np.zeros((2, 5))})[1]["c"].shape == (2, 5)
    split = Layer(parse("input x[n]\nlet a[j], b[k]\noutput a, b\n[a, b] = W x"))
    assert refusal(SizeError, compile_layer, split) == (
        "error[size]: no array's shape tells j and k\n  help     give the layer numbers for them: layer.at(j=…, k=…)"
    )


def test_the_last_output_of_nothing() -> None:
    run = compile_layer(Layer(parse("input x[n]\noutput y\nlet y[k]\ny = W x"), n=3, k=2, output="last"))
    assert refusal(TensorError, run, X[:0], {"W": np.zeros((2, 3))}) == (
        "error[empty]: an empty sequence has no last output\n  expected T ≥ 1\n  found    T = 0"
    )


def test_what_cannot_be_compiled() -> None:
    assert refusal(OptionError, compile_layer, LAYER, "fortran\x1b") == (
        "error[target]: no target is called fortran\\x1b\n  expected numpy"
    )
    total = Layer(parse("input x[n]\nstate h[k]\nh' = tanh(W x)\nd += h' x^T"), n=1, k=1)
    assert refusal(OptionError, compile_layer, total) == (
        "error[total]: d is a total; a layer does not compute totals\n"
        "  at       <text>:4   d += h' x^T\n                      ^^^^^^^^^^^"
    )
    outer = Layer(parse("input x[n]\nstate h[k]\nh' = tanh(W x + (h h^T) h)"), n=1, k=1)
    assert refusal(OptionError, compile_layer, outer) == (
        "error[product]: h^T multiplies by what is no parameter; a layer's programs cannot do that\n"
        "  at       <text>:3   h' = tanh(W x + (h h^T) h)\n                                         ^^^\n"
        "  help     write the matrix on the left, and a vector on the right"
    )
    matrix_state = "input x[n]\nstate h[k], C[k, n]\nlet M[k, n]\nC' = C * M\nh' = tanh(W x)"
    assert refusal(OptionError, compile_layer, Layer(parse(matrix_state), n=1, k=1)) == (
        "error[matrix]: the state C[k, n] is a matrix; a layer carries vectors"
    )
