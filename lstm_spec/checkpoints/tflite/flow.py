"""The values of a TFLite graph in the order in which data runs through them, from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from lstm_spec.checkpoints.flow import find_flow
from lstm_spec.checkpoints.tflite.cells import Node
from lstm_spec.layers.tensors import Flow


def find_node_flow(
    nodes: Iterable[Node],
    computed: Collection[int],
    inputs: Collection[int],
    outputs: Iterable[int],
    layers: Mapping[int, str],
) -> Flow:
    """The order of the layers of one graph, by the first of what each makes."""
    makers = {value: node for node in nodes for value in node.outputs}

    def made(values: Iterable[int]) -> Iterator[int]:
        yield from (first_output(makers[v]) if v in makers else v for v in values if v in computed)

    def needs(value: int) -> Iterator[int]:
        return made(makers[value].inputs) if value in makers else iter(())

    return find_flow(made(outputs), needs, lambda value: value in inputs, layers)


def first_output(node: Node) -> int:
    """What stands for all that an operator makes; -1 where it makes nothing."""
    return next((value for value in node.outputs if value >= 0), -1)
