"""The arrays that `run` takes and returns: `x.npz` → x and the initial state; y and the final state → `y.npz`.

`x.npz` holds `x` and, if wanted, every initial state with a 0 appended, and `lengths` or a `mask`. A result is written
whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.writing import replacing
from lstm_spec.errors import Finding, OptionError, TensorError, safe
from lstm_spec.layers.weights import write_npz
from lstm_spec_cli.layer_options import whole

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What `run` takes: x, the initial state under the layer's names, and which steps are there."""

    x: Array
    state: dict[str, Array] | None
    lengths: Array | None
    mask: Array | None


def read_inputs(path: str, layer: Layer, weights: Mapping[str, Array] | None = None, *, cast: bool = False) -> Inputs:
    """The arrays of an npz; what it does not have is None. With `cast`, x and the state get the dtype of `weights`.

    Raises FileError when it is no npz, TensorError when a name is missing or is none of the layer's, or when a number
    is of another dtype than the weights.
    """
    tensors = read_tensors(path)
    states = {short_name(layer, name) + "0": name for name in layer.state_shapes()}
    known = {name + "0": name for name in layer.state_shapes()} | states
    unknown = [safe(name, 40) for name in tensors if name not in known and name not in ("x", "lengths", "mask")]
    initial = {known[name]: name for name in tensors if name in known}
    missing = [name for name, state in states.items() if initial and state not in initial]
    if unknown or missing or "x" not in tensors:
        parts = {"missing": missing if "x" in tensors else ["x", *missing], "unknown": unknown}
        found = "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)
        _refuse(
            path,
            "the input does not have the layer's names",
            ", ".join(["x", *states]),
            found,
            "x, or x and every state",
        )
    arrays = {name: _load(path, tensors[name]) for name in tensors}
    if weights:
        dtype = next(iter(weights.values())).dtype
        numbers = {name: arrays[name] for name in ("x", *initial.values())}
        arrays |= {name: _of_dtype(path, name, array, dtype, cast) for name, array in numbers.items()}
    state = {state: arrays[name] for state, name in initial.items()} or None
    return Inputs(arrays["x"], state, arrays.get("lengths"), arrays.get("mask"))


def short_name(layer: Layer, state: str) -> str:
    """`h` for `l0.h`, in a layer of one cell."""
    return state.rpartition(".")[2] if len(layer.members) == 1 else state


def _load(path: str, tensor: Any) -> Array:
    if tensor.load is None:
        _refuse(path, f"{safe(tensor.name)} cannot be read", "float32, or float64", safe(tensor.dtype))
    array: Array = tensor.load()
    return array


def _of_dtype(path: str, name: str, array: Array, dtype: np.dtype[Any], cast: bool) -> Array:
    """The array in the weights' dtype, where that is asked for. Raises TensorError where it is needed and is not."""
    if array.dtype == dtype or (cast and array.dtype.kind in "fiu"):
        return array.astype(dtype, copy=False)
    help = f"--cast rounds it to {dtype}" if array.dtype.kind in "fiu" else ""
    _refuse(path, f"{safe(name)} is {safe(array.dtype)}, and the weights are {dtype}", f"{dtype}", "", help)
    return array


def _refuse(path: str, message: str, expected: str = "", found: str = "", help: str = "") -> None:
    raise TensorError(Finding("input", message, safe(path, None), expected, found, help=help))


def refuse_overwriting(path: str, sources: tuple[str, ...], option: str = "--output") -> None:
    """Raise OptionError when a result would replace what it was computed from, or anything that is no file."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OptionError(
            Finding("output", f"{option} is not a regular file", safe(path, None), help="name a new file")
        )
    for source in sources:
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise OptionError(
                Finding("output", f"{option} is a file that is read", safe(path, None), help="name another file")
            )


def refuse_other_suffix(path: str, option: str = "--output") -> None:
    """Raise OptionError when a result would be npz under another format's name."""
    if os.path.splitext(path)[1].lower() != ".npz":
        raise OptionError(Finding("output", f"{option} is written as npz", safe(path, None), help="name it *.npz"))


def hold_outputs(arrays: str | None, picture: str | None, sources: tuple[str, ...]) -> None:
    """What --output and --picture may name: an npz and an SVG, two files, none of which is read.

    Raises OptionError for anything else, before anything is computed.
    """
    if picture is not None and not picture.endswith(".svg"):
        own = f"{os.path.splitext(picture)[0]}.svg"
        help = f"name it {safe(own, None)}; browsers show it, and rsvg-convert or Inkscape make a PNG of it"
        raise OptionError(Finding("picture", "a picture is SVG", found=safe(picture, None), help=help))
    if None not in (arrays, picture) and os.path.realpath(arrays or "") == os.path.realpath(picture or ""):
        raise OptionError(Finding("output", "--output and --picture are one file", safe(arrays, None)))
    for path, option in ((arrays, "--output"), (picture, "--picture")):
        if path is not None:
            refuse_overwriting(path, sources, option)
    if arrays is not None:
        refuse_other_suffix(arrays)


def write_both(output: str | None, arrays: Mapping[str, Array], picture: str | None, drawn: str) -> str:
    """Write the arrays and the picture where that is asked for; what was written, in words."""
    wrote = []
    if output is not None:
        write_arrays(output, arrays)
        wrote.append(f"wrote {output}: {', '.join(f'{n} {a.shape}' for n, a in arrays.items())}")
    if picture is not None:
        write_text(picture, drawn)
        wrote.append(f"wrote {picture}")
    return "\n".join(wrote)


def read_sample(given: str | None) -> int:
    """`--sample` as a number, 0 without. Raises OptionError when it is none."""
    number = whole(given or "0")
    if not isinstance(number, int):
        raise OptionError(Finding("sample", f"--sample {safe(given or '', 40)} is no number", expected="0, 1, …"))
    return number


def write_outputs(path: str, layer: Layer, y: Array, state: Mapping[str, Array]) -> list[str]:
    """Write y and the final state; a single cell's are named plainly, `h`. Returns what was written, in words."""
    arrays = {"y": y}
    for name, array in state.items():
        short = short_name(layer, name)
        arrays[name if short in arrays else short] = array
    with replacing(path) as file:
        write_npz(file, arrays)
    return [f"{name} {array.shape}" for name, array in arrays.items()]


def write_arrays(path: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays under their names as npz, whole or not at all."""
    with replacing(path) as file:
        write_npz(file, arrays)


def write_text(path: str, text: str) -> None:
    """Write text in UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())
