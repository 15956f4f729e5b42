"""Layers of Keras → the bytes of an HDF5 file with their weights, by h5py alone: the same layers, the same bytes.

`*.weights.h5` is what Keras 3 itself saves: numbered variables below `layers/lstm`, `layers/lstm_1`, … as a Sequential
of these layers has them. Any other `*.h5` is the older layout, which tf.keras 2 and Keras 3 both load: groups by layer,
with the names of the weights as attributes. Source: keras/src/saving/saving_lib.py and
keras/src/legacy/saving/legacy_h5_format.py, Keras 3.15.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.errors import MissingPackageError

if TYPE_CHECKING:
    import h5py

Array = np.ndarray[Any, Any]
ORDER = ("kernel", "recurrent_kernel", "bias")  # a cell creates its variables in this order
LEGACY_VERSION = "2.15.0"  # the last of the line whose files have this layout
UNFIT = re.compile(r"[^A-Za-z0-9_.\-]")


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """One layer: its name and the tensors of its cell; with `backward` a Bidirectional around two."""

    name: str
    forward: Mapping[str, Array]
    backward: Mapping[str, Array] | None = None


def keras_weights(layers: Sequence[KerasLayer]) -> bytes:
    """A `.weights.h5` of Keras 3, for a Sequential of these layers."""
    return _hdf5(partial(_fill_weights, tuple(_fitly_named(layers))))


def _fill_weights(layers: Sequence[KerasLayer], file: h5py.File) -> None:
    file.create_group("vars").attrs["name"] = "sequential"
    numbers: dict[str, int] = {}
    for layer in layers:
        kind = "lstm" if layer.backward is None else "bidirectional"
        number = numbers[kind] = numbers.get(kind, -1) + 1
        place = f"layers/{kind}_{number}" if number else f"layers/{kind}"
        file.create_group(f"{place}/vars").attrs["name"] = layer.name
        for group, name, tensors in _numbered(layer):
            if group:
                file.create_group(f"{place}/{group}vars").attrs["name"] = name
            cell = file.create_group(f"{place}/{group}cell/vars")
            cell.attrs["name"] = "lstm_cell"
            for own in (own for own in ORDER if own in tensors):
                cell.create_dataset(str(ORDER.index(own)), data=tensors[own])


def _numbered(layer: KerasLayer) -> Iterator[tuple[str, str, Mapping[str, Array]]]:
    """Each cell of a layer: its group, its layer's name, its tensors."""
    if layer.backward is None:
        yield "", layer.name, layer.forward
    else:
        yield "forward_layer/", f"forward_{layer.name}", layer.forward
        yield "backward_layer/", f"backward_{layer.name}", layer.backward


def keras_legacy(layers: Sequence[KerasLayer]) -> bytes:
    """An `.h5` of weights only, as tf.keras 2 saves them and Keras 3 still loads them: in the order of the layers."""
    return _hdf5(partial(_fill_legacy, tuple(_fitly_named(layers))))


def _fill_legacy(layers: Sequence[KerasLayer], file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array([layer.name.encode() for layer in layers])
    file.attrs["backend"] = np.bytes_("tensorflow")
    file.attrs["keras_version"] = np.bytes_(LEGACY_VERSION)
    for layer in layers:
        group = file.create_group(layer.name)
        names = {f"{path}:0": array for path, array in _pathed(layer)}
        group.attrs["weight_names"] = np.array([name.encode() for name in names])
        for name, array in names.items():
            group.create_dataset(name, data=array)


def _pathed(layer: KerasLayer) -> Iterator[tuple[str, Array]]:
    """Every variable's name as tf.keras gives it: `bidirectional/forward_lstm/lstm_cell/kernel`."""
    turns = [("", layer.forward)] if layer.backward is None else []
    if layer.backward is not None:
        turns = [("forward_lstm/", layer.forward), ("backward_lstm/", layer.backward)]
    for turn, tensors in turns:
        yield from ((f"{layer.name}/{turn}lstm_cell/{own}", tensors[own]) for own in ORDER if own in tensors)


def _fitly_named(layers: Sequence[KerasLayer]) -> Iterator[KerasLayer]:
    """The layers under names that are one group's each, and no two the same."""
    seen: set[str] = set()
    for layer in layers:
        name = fit = UNFIT.sub("_", layer.name).strip(".") or "lstm"
        number = 0
        while name in seen:
            number += 1
            name = f"{fit}_{number}"
        seen.add(name)
        yield KerasLayer(name, layer.forward, layer.backward)


def _hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    try:
        import h5py
    except ImportError:
        raise MissingPackageError("h5py", "hdf5", "writing an HDF5 file") from None
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        fill(file)
    return memory.getvalue()
