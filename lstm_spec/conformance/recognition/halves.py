"""Two layers of Keras that one Bidirectional runs: whether they go together, as a live model and its files tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from lstm_spec.conformance.recognition.readings import place
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Operator, Tensors


def tell_unequal(tensors: Tensors) -> Iterator[Finding]:
    """A Bidirectional whose two layers are not of one width: an error unless their outputs stand side by side.

    Keras 3.15 builds it without a word and announces an output of twice the forward width (keras-team/keras#23688).
    """
    halves: dict[str, dict[str, list[Operator]]] = {}
    for operator in _each_once(tensors.operators):
        if whose := operator.attributes.get("half_of"):
            halves.setdefault(whose, {}).setdefault(operator.attributes["half"], []).append(operator)
    for whose, sides in halves.items():
        both = [operator for half in ("forward", "backward") for operator in sides.get(half, ())]
        widths = [operator.attributes.get("units", 0) for operator in both]
        if len(sides) == len(both) == 2 and 0 not in widths and widths[0] != widths[1]:
            yield _unequal(whose, both, widths, tensors)


def _each_once(operators: Iterable[Operator]) -> Iterator[Operator]:
    """The layers, without their cells, which have the same tensors and come after them."""
    seen: set[frozenset[str]] = set()
    for operator in operators:
        own = frozenset(operator.tensors.values())
        if own not in seen:
            seen.add(own)
            yield operator


def _unequal(whose: str, both: list[Operator], widths: list[int], tensors: Tensors) -> Finding:
    merge = both[0].attributes.get("merge_mode", "concat")
    apart = merge in ("concat", "none")
    counts = [sum(prod(tensors[name].shape) for name in operator.tensors.values()) for operator in both]
    name = safe(whose.rpartition("/")[2], 60)
    return Finding(
        "bidirectional",
        f"the two layers of {name} differ: units = {widths[0]} forward, {widths[1]} backward",
        at=place(tensors, whose),
        expected="one width in both directions",
        found=f"{counts[0]} + {counts[1]} = {sum(counts)} parameters",
        because=f"y is {sum(widths)} wide, and Keras announces {2 * widths[0]}"
        if apart
        else f"merge_mode = {safe(merge, 20)} needs equal widths",
        help="give backward_layer the same units, or leave it out",
        severity="warning" if apart else "error",
    )
