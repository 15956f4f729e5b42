"""The datasets of a Keras file → tensors under names that say what they are, and the layer that each belongs to.

A file of Keras 3 numbers a layer's variables (`…/lstm/cell/vars/0`); a cell creates kernel, recurrent_kernel and bias
in that order, so these become `…/lstm/cell/kernel`. Everything else keeps its path in the file, without the group
`model_weights`. Which configured layer a group is follows from names, and where there are none from the groups' order
by class. The order is the model's: Keras loads an older file by the lists that stand in it, not by names, and a newer
one by class and number. Source: keras/src/saving/saving_lib.py and legacy/saving/legacy_h5_format.py, Keras 3.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lstm_spec.checkpoints.hdf5.datasets import Contents, Dataset
from lstm_spec.checkpoints.keras.config import Described

VARIABLES = re.compile(r"(?s)(?P<group>.+)/vars/(?P<number>\d{1,4})")
IN_A_CELL = re.compile(r"(?s)(.*/)?(cell|cells/[^/]+|[^/]*(lstm|gru|rnn)_cell[^/]*)")
ORDER = ("kernel", "recurrent_kernel", "bias")
PARAMETER = re.compile(r"(?s)(?P<group>.+)/(?P<own>recurrent_kernel|kernel|bias)(:0)?")
KERAS_1 = re.compile(r"(?s)(?P<group>.+)/(?P<layer>[^/]+)_(?P<own>[WUb]_[ifco])(:0)?")
WEIGHTS = "model_weights/"
LISTS = LAYER_NAMES, WEIGHT_NAMES = ("layer_names", "weight_names")
OPTIMIZERS = ("optimizer/", "optimizer_weights/")
LAYERS = re.compile(r"_layer_checkpoint_dependencies")


@dataclass(frozen=True, slots=True)
class Part:
    """The parameters of one cell: its place, what it is called from outside to inside, and its names by parameter."""

    where: str
    names: tuple[str, ...]
    parameters: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The groups around it, and of their names the first words."""
        pieces = self.where.split("/")
        return (*pieces, *(piece.partition("_")[0] for piece in pieces))


def name_datasets(contents: Contents) -> dict[str, Dataset]:
    """Each dataset under the name that people know it by, in the order that the file's lists of them give."""
    named: dict[str, Dataset] = {}
    listed = {path: number for number, path in enumerate(_listed(contents))}
    for path, dataset in sorted(contents.datasets.items(), key=lambda item: listed.get(item[0], len(listed))):
        name = _name(path, contents.datasets)
        named[name if name not in named else path] = dataset
    return named


def _listed(contents: Contents) -> Iterator[str]:
    """The paths of an older file's weights as Keras goes through them: layer by layer, each layer's by its own list."""
    for root in ("", WEIGHTS):
        for layer in contents.lists.get(root.rstrip("/"), {}).get(LAYER_NAMES, ()):
            own = contents.lists.get(f"{root}{layer}", {}).get(WEIGHT_NAMES, ())
            yield from (f"{root}{layer}/{name}" for name in own)


def _name(path: str, datasets: Mapping[str, Dataset]) -> str:
    match = VARIABLES.fullmatch(path)
    group, number = (match["group"], int(match["number"])) if match else ("", len(ORDER))
    # A cell without a recurrent kernel is none of ours.
    if IN_A_CELL.fullmatch(group) and number < len(ORDER) and f"{group}/vars/1" in datasets:
        return f"{group}/{ORDER[number]}"
    return path.removeprefix(WEIGHTS)


def find_parts(names: Iterable[str], contents: Contents) -> tuple[Part, ...]:
    """The cells among the tensors, with every name that the file has for them."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if name.startswith(OPTIMIZERS):
            continue
        if match := PARAMETER.fullmatch(name) or KERAS_1.fullmatch(name):
            where = match["group"] if "layer" not in match.groupdict() else f"{match['group']}/{match['layer']}"
            found.setdefault(where, {})[match["own"]] = name
    return tuple(
        Part(where, _called(where, contents), own)
        for where, own in found.items()
        if "recurrent_kernel" in own or any(name.startswith("U_") for name in own)
    )


def _called(where: str, contents: Contents) -> tuple[str, ...]:
    """The parts of a path; where a group has a name of its own (Keras 3.6 and later), that too."""
    pieces = LAYERS.sub("layers", where).split("/")
    called: list[str] = []
    for length in range(1, len(pieces) + 1):
        group = "/".join(where.split("/")[:length])
        own = contents.attributes.get(f"{group}/vars", {}).get("name")
        called += [own] if own else []
        called.append(pieces[length - 1])
    return tuple(called)


def match_parts(parts: Iterable[Part], layers: Iterable[Described]) -> dict[str, Described]:
    """For each cell's place the configured layer that it is, where exactly one fits best."""
    matched: dict[str, Described] = {}
    layers = tuple(layers)
    for part in parts:
        scores = [(_score(part, layer), layer) for layer in layers]
        best = max((score for score, _ in scores), default=(0, 0))
        fitting = [layer for score, layer in scores if score == best]
        if best[0] > 0 and len(fitting) == 1:
            matched[part.where] = fitting[0]
    return matched


def in_model_order(
    parts: Iterable[Part], matched: Mapping[str, Described], layers: Iterable[Described]
) -> tuple[Part, ...]:
    """The cells as the configuration has them, behind them those that it does not know; without one as they are."""
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    return tuple(sorted(parts, key=lambda part: numbers.get(id(matched.get(part.where)), len(numbers))))


def _score(part: Part, layer: Described) -> tuple[int, int]:
    """How well a layer fits: its place in the file, else its own name and then those around it."""
    place = "/".join(layer.places)
    own_place = LAYERS.sub("layers", part.where)
    by_place = bool(place) and own_place in (place, f"{place}/cell")
    if by_place:
        return 3, 0
    if layer.names and layer.names[-1] in part.names:
        return 2, -sum(name not in part.names for name in layer.names[:-1])
    return 0, 0
