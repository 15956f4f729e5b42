"""What is computed from what → the values of a graph in the order in which data runs through them.

The order is that in which the outputs ask for what they need: it follows from the wiring, never from the order in which
a file lists its nodes. Layers that nothing joins have no order: each run of values that hang together is one by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from itertools import chain
from typing import TypeVar

from lstm_spec.layers.tensors import Flow

Value = TypeVar("Value", bound=Hashable)


def follow(outputs: Iterable[Value], needs: Callable[[Value], Iterable[Value]]) -> list[Value]:
    """Each value once, behind those that it needs; a circle is cut where it closes."""
    found: list[Value] = []
    entered: set[Value] = set()
    for output in outputs:
        if output in entered:
            continue
        entered.add(output)
        stack = [(output, iter(needs(output)))]
        while stack:
            value, rest = stack[-1]
            if (inner := next((one for one in rest if one not in entered), None)) is None:
                found.append(value)
                stack.pop()
            else:
                entered.add(inner)
                stack.append((inner, iter(needs(inner))))
    return found


def find_flow(
    outputs: Iterable[Value],
    needs: Callable[[Value], Iterable[Value]],
    is_input: Callable[[Value], bool],
    layers: Mapping[Value, str],
) -> Flow:
    """The order of the layers, by the value that each makes, among all values that depend on an input.

    A constant joins nothing. A layer that no output needs is in no run; one alone is not looked for.
    """
    if len(layers) < 2:
        return Flow(tuple((place,) for place in layers.values()))
    parts_of = cache(lambda value: tuple(needs(value)))
    joined: dict[Value, Value] = {}

    def root(value: Value) -> Value:
        while joined[value] != value:
            joined[value] = value = joined[joined[value]]
        return value

    for value in (order := follow(outputs, parts_of)):
        parts = [part for part in parts_of(value) if part in joined]
        if parts or is_input(value):
            joined[value] = value
            for part in parts:
                joined[root(part)] = value
    runs: dict[Value, list[Value]] = {}
    for value in order:
        if value in joined and value in layers:
            runs.setdefault(root(value), []).append(value)
    numbers = {value: number for number, value in enumerate(chain.from_iterable(runs.values()))}
    behind = _behind(order, parts_of, numbers)
    places = tuple(tuple(layers[value] for value in run) for run in runs.values())
    return Flow(places, {layers[value]: behind[value] for value in numbers})


def _behind(
    order: Iterable[Value], needs: Callable[[Value], Iterable[Value]], numbers: Mapping[Value, int]
) -> dict[Value, int]:
    """For each value the layers before it, as bits; what one value has alone is shared with the next."""
    behind: dict[Value, int] = {}
    seen: dict[Value, int] = {}  # with the layer itself
    for value in order:
        bits = 0
        for part in needs(value):
            if more := seen.get(part, 0) & ~bits:
                bits = bits | more if bits else seen[part]
        behind[value] = bits
        seen[value] = bits | 1 << numbers[value] if value in numbers else bits
    return behind
