"""`Weights` and `State`: arrays under the layer's own names, held to the derived shapes.

`l0.W_f`, `l0.reverse.b_o`, and for states `l0.h`, each (B, width); a layer of one cell may also say `h`. The arrays are
never copied, cast or changed here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
from sympy import Integer

from lstm_spec.errors import Finding, SizeError, TensorError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.printing import tuple_text

Array = np.ndarray[Any, Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
PLAIN = "np.asarray(…) makes a plain array"


class Arrays(Mapping[str, Array]):
    """Arrays by name, in a fixed order."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        rows = (f"{name}: {array.dtype} {array.shape}" for name, array in self.items())
        return f"{type(self).__name__}({', '.join(rows)})"


class Weights(Arrays):
    """A layer's parameters: `l0.W_f` → an array (k, n)."""

    def astype(self, dtype: Any) -> Weights:
        """The same numbers in another dtype; rounds when it narrows."""
        return Weights({name: array.astype(dtype) for name, array in self.items()})

    def save(self, path: Any) -> None:
        """Write them as npz, under their names: the dialect `lstm-spec`."""
        with open(path, "wb") as file:
            write_npz(file, self._arrays)


class State(Arrays):
    """A layer's states: `l0.h` → an array (B, k). With one cell, `h` is the same as `l0.h`."""

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays and len({n.rpartition(".")[0] for n in self._arrays}) == 1:
            name = f"{next(iter(self._arrays)).rpartition('.')[0]}.{name}"
        return self._arrays[name]


def write_npz(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """NumPy's archive, without the clock: the same arrays give the same bytes, whatever their names."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def hold_weights(layer: Layer, given: Mapping[str, Array]) -> tuple[Layer, Weights]:
    """Weights in the layer's order, and the layer with every open letter solved from them.

    A layer of one cell may leave out the prefix: `W_f` is `l0.W_f`. Raises TensorError when a name is missing or
    unknown, a shape does not follow from the equations, or a dtype is not float32 or float64, or they mix.
    """
    wanted = layer.parameter_shapes()
    arrays = _named(layer, given, wanted, "weights")
    _one_dtype(arrays, "weights")
    solved = _solve(wanted, arrays)
    for name, shape in wanted.items():
        _match(name, shape, arrays[name], solved)
    numbers = {str(letter): value for letter, (value, _) in solved.items()}
    return (layer.at(**numbers) if numbers else layer), Weights({name: arrays[name] for name in wanted})


def _named(layer: Layer, given: Mapping[str, Array], wanted: Mapping[str, Any], what: str) -> dict[str, Array]:
    """The arrays under full names, or every name that is missing or unknown."""
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise TensorError(Finding("type", f"the {what} are no mapping", expected="names → arrays", found=kind))
    short = len(layer.members) == 1
    prefix = layer.members[0].prefix + "."
    full = {n: f"{prefix}{n}" if short and f"{prefix}{n}" in wanted and n not in wanted else n for n in given}
    for name, long in full.items():
        if name != long and long in given:
            raise TensorError(
                Finding("names", f"{name} and {long} are one tensor, and both are given", help="drop one")
            )
    arrays = {full[n]: a for n, a in given.items()}
    missing = [n for n in wanted if n not in arrays]
    unknown = [safe(n, 40) for n in arrays if n not in wanted]
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise TensorError(
            Finding(
                "names",
                f"the {what} do not have the layer's names",
                expected=", ".join(wanted) or "none",
                found="; ".join(parts),
                help="weights of another framework are read with ls.read or a dialect's unpack",
            )
        )
    for name, array in arrays.items():
        if type(array) is not np.ndarray:  # a subclass may compute otherwise: * of np.matrix is the matrix product
            kind = type(array).__name__
            raise TensorError(Finding("type", f"{name} is no plain NumPy array", found=kind, help=PLAIN))
    return arrays


def _one_dtype(arrays: Mapping[str, Array], what: str) -> None:
    dtypes = {a.dtype for a in arrays.values()}
    if len(dtypes) > 1 or not dtypes <= set(FLOATS):
        by = "; ".join(f"{d}: {next(n for n, a in arrays.items() if a.dtype == d)}" for d in sorted(dtypes, key=str))
        raise TensorError(
            Finding(
                "dtype",
                f"the {what} are not of one float dtype",
                expected="float32, or float64",
                found=by,
                help='nothing is cast in silence: weights.astype("float32") rounds them',
            )
        )


def solve_sizes(layer: Layer, wanted: Mapping[str, tuple[Any, ...]], arrays: Mapping[str, Array]) -> Layer:
    """The layer with each open letter that the arrays' shapes give; `wanted` has their shapes in letters."""
    numbers = {str(letter): value for letter, (value, _) in _solve(wanted, arrays).items()}
    return layer.at(**numbers) if numbers else layer


Solved = dict[Any, tuple[Integer, str]]  # an open letter → its number, and the array that says so


def _solve(wanted: Mapping[str, tuple[Any, ...]], arrays: Mapping[str, Array]) -> Solved:
    """The open letters from the arrays' shapes, each from the first that has it alone: (k, n + k) gives k, then n."""
    solved: Solved = {}
    sides = [
        (name, size, found)
        for name, shape in wanted.items()
        if len(shape) == arrays[name].ndim
        for size, found in zip(shape, arrays[name].shape, strict=True)
    ]
    before = -1
    while before < len(solved):
        before = len(solved)
        for name, size, found in sides:
            rest = found - _put(size, solved)
            if len(rest.free_symbols) == 1:
                (letter,) = rest.free_symbols
                value = letter + rest / -rest.coeff(letter)
                if value.is_Integer and value >= 1:
                    solved[letter] = value, name
    return solved


def _put(size: Any, solved: Solved) -> Any:
    return size.xreplace({letter: value for letter, (value, _) in solved.items()})


def _match(name: str, shape: tuple[Any, ...], array: Array, solved: Solved) -> None:
    """Hold one array to its derived shape."""
    expected = tuple(_put(size, solved) for size in shape)
    if expected == tuple(map(Integer, array.shape)):
        return
    used = {letter for size in shape for letter in size.free_symbols}
    told = [f"{letter} = {value} from {source}" for letter, (value, source) in solved.items() if letter in used]
    numbers = "" if expected == shape else f" = {tuple_text(expected)}"
    left = sorted({str(s) for size in expected if len(size.free_symbols) > 1 for s in size.free_symbols})
    raise TensorError(
        Finding(
            "shape",
            f"{name} does not {f'tell {left[0]} from {left[1]}' if left else 'have the derived shape'}",
            expected=f"{tuple_text(shape)}{numbers}",
            found=str(array.shape),
            because=", ".join(told),
            help=f"give the layer one of them: layer.at({left[0]}=…)" if left else "",
        )
    )


def draw_weights(layer: Layer, seed: int, dtype: Any) -> Weights:
    """Weights uniform in ±1/√k, as `Layer.random` says."""
    if layer.open_letters:
        raise SizeError(
            Finding(
                "size",
                f"{', '.join(layer.open_letters)} must be numbers to draw weights",
                help="layer.at(n=5, k=10).random(0)",
            )
        )
    if dtype not in FLOATS:
        found = safe(dtype, 40)
        raise TensorError(Finding("dtype", "weights are drawn as floats", expected="float32, or float64", found=found))
    generator = np.random.default_rng(seed)
    rows = [shape[0] for shape in layer.state_shapes().values()] or [Integer(1)]
    bound = float(int(rows[-1])) ** -0.5
    drawn = {
        name: generator.uniform(-bound, bound, tuple(map(int, shape))).astype(dtype)
        for name, shape in layer.parameter_shapes().items()
    }
    return Weights(drawn)
