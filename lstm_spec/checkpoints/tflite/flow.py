"""The values of a TFLite graph in the order in which data runs through them, from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lstm_spec.checkpoints.flow import find_runs
from lstm_spec.checkpoints.tflite.cells import Node


def find_node_runs(
    nodes: Iterable[Node], computed: Collection[int], inputs: Collection[int], outputs: Iterable[int]
) -> list[list[int]]:
    """The values of one graph that hang together, each by the first of what its operator makes; constants in none."""
    makers = {value: node for node in nodes for value in node.outputs}

    def made(values: Iterable[int]) -> Iterator[int]:
        yield from (first_output(makers[v]) if v in makers else v for v in values if v in computed)

    def needs(value: int) -> Iterator[int]:
        return made(makers[value].inputs) if value in makers else iter(())

    return find_runs(made(outputs), needs, lambda value: value in inputs)


def first_output(node: Node) -> int:
    """What stands for all that an operator makes; -1 where it makes nothing."""
    return next((value for value in node.outputs if value >= 0), -1)
