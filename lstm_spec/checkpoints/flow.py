"""What is computed from what → the values of a graph in the order in which data runs through them.

The order is that in which the outputs ask for what they need: it follows from the wiring, never from the order in which
a file lists its nodes. Layers that nothing joins have no order: each run of values that hang together is one by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

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


def find_runs(
    outputs: Iterable[Value], needs: Callable[[Value], Iterable[Value]], is_input: Callable[[Value], bool]
) -> list[list[Value]]:
    """The values that depend on an input, those that hang together as one run; a constant joins nothing."""
    joined: dict[Value, Value] = {}

    def root(value: Value) -> Value:
        while joined[value] != value:
            joined[value] = value = joined[joined[value]]
        return value

    for value in (order := follow(outputs, needs)):
        parts = [part for part in needs(value) if part in joined]
        if parts or is_input(value):
            joined[value] = value
            for part in parts:
                joined[root(part)] = value
    runs: dict[Value, list[Value]] = {}
    for value in order:
        if value in joined:
            runs.setdefault(root(value), []).append(value)
    return list(runs.values())
