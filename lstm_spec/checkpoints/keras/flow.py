"""The layers of a Keras model → the order in which data runs through them.

A Sequential lists them so. A functional model says of each layer which ones it reads (`inbound_nodes`) and of itself
which ones it gives out; Keras 2 writes `["lstm", 0, 0, {}]` for that, Keras 3 a `keras_history`. A model of a class of
its own says nothing. Source: keras/src/models/functional.py, Keras 3.15; keras/engine/functional.py, Keras 2.15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lstm_spec.checkpoints.flow import follow


def rank_layers(kind: str, config: Mapping[str, Any], tables: list[Any]) -> list[int] | None:
    """For each layer the number of its turn, those that nothing reads at the end; None where the model says nothing."""
    count = len(tables)
    if kind == "Sequential":
        return list(range(count))
    if "output_layers" not in config:
        return None
    numbers = {name: number for number, table in enumerate(tables) if (name := _name(table)) is not None}
    nodes = [table.get("inbound_nodes") if type(table) is dict else None for table in tables]
    needs = [list(dict.fromkeys(_referred(node, numbers))) for node in nodes]
    order = follow(_referred(config["output_layers"], numbers), needs.__getitem__)
    turns = dict(zip(dict.fromkeys((*order, *range(count))), range(count), strict=True))
    return [turns[number] for number in range(count)]


def _name(table: Any) -> str | None:
    """What the nodes call a layer."""
    if type(table) is not dict:
        return None
    config = table.get("config")
    name = table.get("name", config.get("name") if type(config) is dict else None)
    return name if type(name) is str else None


def _referred(value: Any, numbers: Mapping[str, int]) -> Iterator[int]:
    """The layers that a part of a node names, in their order; the depth is bounded by the parser."""
    if type(value) is dict:
        history = value.get("keras_history")
        if type(history) is list and history and type(history[0]) is str and history[0] in numbers:
            yield numbers[history[0]]
        else:
            for part in value.values():
                yield from _referred(part, numbers)
    elif type(value) is list:
        if len(value) > 2 and type(value[0]) is str and value[0] in numbers and type(value[1]) is type(value[2]) is int:
            yield numbers[value[0]]
            value = value[3:]
        for part in value:
            yield from _referred(part, numbers)
