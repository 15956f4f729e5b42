"""A conversion → a file: the suffix says the format, and a format takes only the dialects that its readers know.

Formats of tensors alone (npz, safetensors) take any dialect's; the others hold what one framework reads: an ONNX model
with its nodes, a PyTorch state dict, Keras weights, a Flax tree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.checkpoints.keras.writing import KerasLayer, keras_legacy, keras_weights
from lstm_spec.checkpoints.onnx.writing import Chain, Node, onnx_chains
from lstm_spec.checkpoints.writing import WRITERS, write_bytes
from lstm_spec.errors import Finding, OptionError, safe

if TYPE_CHECKING:
    from lstm_spec.conformance.conversion.conversion import Conversion, Converted, Written

Array = np.ndarray[Any, Any]
BY_CLASS = ("layers/", "_layer_checkpoint_dependencies/")  # where a file that Keras numbers by class has its layers
NUMBER = re.compile(r"_\d+(?=/|$)")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one kind of file is made.

    `dialects` are those whose tensors its readers know (none: of any); `holds_options` tells that it has a place for
    activations and the like beside tensors; `in_order` that layers are loaded by their order, not by name.
    """

    make: Callable[[Conversion], bytes]
    dialects: tuple[str, ...] = ()
    holds_options: bool = False
    in_order: bool = False


def _of_tensors(suffix: str) -> Callable[[Conversion], bytes]:
    return lambda conversion: WRITERS[suffix](conversion.tensors)


def _onnx(conversion: Conversion) -> bytes:
    """Every layer a chain of nodes; with one layer alone, its input is plainly X and its output Y."""
    alone = len(conversion.layers) == 1
    return onnx_chains([_chain(layer, "" if alone else f"{layer.written[0].place}.") for layer in conversion.layers])


def _chain(converted: Converted, prefix: str) -> Chain:
    """The operator takes (T, B, n) and gives its outputs in the order of its input, whatever the source did."""
    nodes = (
        Node(
            part.place.replace("/", ".") or "lstm",
            part.layer.with_(layout="time", output="sequence", merge="concat", realign=True),
            part.weights,
            part.beside.state,
            part.beside.lengths,
        )
        for part in converted.written
    )
    return Chain(prefix, tuple(nodes))


def _keras_layers(conversion: Conversion) -> Iterator[KerasLayer]:
    """Two parts of one place in both directions are a Bidirectional, and so are two halves of one layer."""
    for place, converted in _together(conversion.layers):
        both: dict[int, list[Written]] = {}
        for part in (part for one in converted for part in one.written):
            both.setdefault(part.index, []).append(part)
        for parts in both.values():
            own = [{name.rpartition("/")[2]: array for name, array in part.tensors.items()} for part in parts]
            name = "_".join(filter(None, (place or parts[0].place).split("/"))) or "lstm"
            name = name.removesuffix("_forward") if len(parts) == 2 else name
            yield KerasLayer(name, *own)


def _together(layers: Iterable[Converted]) -> Iterator[tuple[str, list[Converted]]]:
    """Each layer alone, but the two halves of one together, under its place."""
    for place, group in groupby(layers, key=lambda converted: converted.half_of):
        converted = list(group)
        if place and len(converted) == 2:
            yield place, converted
        else:
            yield from (("", [one]) for one in converted)


DELIVERIES: Mapping[str, Delivery] = {
    ".npz": Delivery(_of_tensors(".npz")),
    ".safetensors": Delivery(_of_tensors(".safetensors")),
    ".onnx": Delivery(_onnx, ("onnx",), holds_options=True),
    ".pt": Delivery(_of_tensors(".pt"), ("pytorch", "tinygrad")),
    ".pth": Delivery(_of_tensors(".pth"), ("pytorch", "tinygrad")),
    ".weights.h5": Delivery(lambda c: keras_weights(tuple(_keras_layers(c))), ("keras",), in_order=True),
    ".h5": Delivery(lambda c: keras_legacy(tuple(_keras_layers(c))), ("keras", "tf-keras"), in_order=True),
    ".msgpack": Delivery(_of_tensors(".msgpack"), ("flax", "flax-nnx", "flax-nnx-optimized")),
}


def choose_delivery(path: str, to: str) -> Delivery:
    """What makes the file that a path names, for a dialect. Raises OptionError before anything is computed."""
    name = os.path.basename(path).lower()
    suffix = next((suffix for suffix in DELIVERIES if name.endswith(suffix)), "")
    fitting = ", ".join(f"*{known}" for known, kind in DELIVERIES.items() if to in (kind.dialects or (to,)))
    if not suffix:
        raise OptionError(Finding("output", f"{safe(path, None)} names no format that is written", expected=fitting))
    delivery = DELIVERIES[suffix]
    if delivery.dialects and to not in delivery.dialects:
        message = f"a *{suffix} file holds no tensors of {to}"
        takes = " or ".join(f"--to {name}" for name in delivery.dialects)
        raise OptionError(Finding("output", message, safe(path, None), fitting, help=f"another suffix, or {takes}"))
    return delivery


def deliver(conversion: Conversion, path: str) -> None:
    """The file, whole or not at all. Raises OptionError for a suffix that does not fit, FileError if it cannot be."""
    write_bytes(path, choose_delivery(path, conversion.to).make(conversion))


def told_of_order(converted: Sequence[Converted]) -> Iterator[str]:
    """The note that a `.weights.h5` has its layers by class: how those of one follow those of another is open."""
    places = [layer.half_of or layer.where for layer in converted]
    kinds = list(dict.fromkeys(NUMBER.sub("", place) for place in places if place.startswith(BY_CLASS)))
    if len(kinds) > 1:
        names = ", then ".join(safe(kind.removesuffix("/cell"), 60) for kind in kinds)
        yield f"the source has layers by class, and not how the classes follow each other; what is written has {names}"


def suffixes_with_options(to: str) -> tuple[str, ...]:
    """The files in which a dialect's options stand beside its tensors."""
    return tuple(suffix for suffix, kind in DELIVERIES.items() if kind.holds_options and to in kind.dialects)
