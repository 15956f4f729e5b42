"""A reading → its arrays, as one dtype that compiled code takes, and the live part that it stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.errors import safe
from lstm_spec.frameworks import Array
from lstm_spec.layers.tensors import Tensors
from lstm_spec.layers.weights import FLOATS

HALVES = {"float16", "bfloat16"}  # read as float32; a live layer of them rounds at each step
WIDENED = (np.dtype(np.float16), *FLOATS)
NARROWEST = ("bfloat16", "float16", "float32", "float64")  # by how many digits they keep


def load_tensors(reading: Reading, tensors: Tensors) -> dict[str, Array] | str:
    """The arrays under the dialect's names, or why they cannot be had; float16 as float32, which holds it exactly."""
    arrays: dict[str, Array] = {}
    for own, source in reading.names.items():
        load = tensors[source].load
        if load is None:
            return f"the values of {safe(source)} ({safe(tensors[source].dtype)}) cannot be read"
        array = load()
        arrays[own] = array.astype(np.float32) if array.dtype == np.float16 else array
    dtypes = {a.dtype for a in arrays.values()}
    if len(dtypes) > 1 or not dtypes <= set(FLOATS):
        return (
            f"the weights are {', '.join(sorted(map(str, dtypes)))}; compiled code takes one dtype, float32 or float64"
        )
    return arrays


def narrowest(dtypes: Iterable[str]) -> str:
    """The dtype that keeps the fewest digits; float32 of none."""
    return min(dtypes, key=NARROWEST.index, default="float32")


def load_widened(reading: Reading, tensors: Tensors) -> tuple[dict[str, Array] | str, str]:
    """The arrays in one dtype that holds all of them, float32 at least, and the narrowest dtype that the source has."""
    arrays: dict[str, Array] = {}
    stored = set()
    for own, source in reading.names.items():
        load = tensors[source].load
        if load is None:
            return f"the values of {safe(source)} ({safe(tensors[source].dtype)}) cannot be read", "float32"
        arrays[own] = load()
        stored.add(tensors[source].dtype if tensors[source].dtype in HALVES else str(arrays[own].dtype))
        if arrays[own].dtype not in WIDENED:
            return f"{safe(source)} is {arrays[own].dtype}; float16, float32 and float64 are compared", "float32"
    widest = np.result_type(np.float32, *(array.dtype for array in arrays.values()))
    return {own: array.astype(widest, copy=False) for own, array in arrays.items()}, narrowest(stored)


def live_part(reading: Reading, tensors: Tensors) -> Any:
    """The live submodule that a reading stands for; None for one that only bears the names of an LSTM's parameters."""
    if tensors.format != "torch" or tensors.live is None or reading.operator is None:
        return None
    prefix = next(iter(reading.names.values())).rpartition(".")[0]
    return tensors.live.get_submodule(prefix)
