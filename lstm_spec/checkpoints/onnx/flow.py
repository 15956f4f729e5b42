"""The recurrent operators of an ONNX model in the order in which data runs through them, into inner graphs and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lstm_spec.checkpoints.flow import find_flow
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, first_output, names_used
from lstm_spec.layers.tensors import Flow

Value = tuple[int, str]  # the graph that defines it, by `id`, and the first of what its node makes; or an input


def flow_of(contents: Contents) -> Flow:
    """The order of the operators, those together that data joins."""
    scopes = {id(scope): scope for _, scope in contents.entered}
    inside: dict[Value, list[Value]] = defaultdict(list)
    outputs: list[Value] = []
    for graph, scope in contents.entered:
        names = [value if isinstance(value, str) else value.name for value in graph.output]
        made = [value for name in names if (value := _computed(name, scope))]
        if scope.holder is None:
            outputs += made
        else:
            outer, node = scope.holder
            inside[id(outer), first_output(node)] += made

    def needs(value: Value) -> Iterator[Value]:
        scope = scopes[value[0]]
        if made := scope.made.get(value[1]):
            for name in names_used(made.node):
                if found := _computed(name, scope):
                    yield found
            yield from inside.get(value, ())

    def is_input(value: Value) -> bool:
        return value[1] not in scopes[value[0]].made

    return find_flow(outputs, needs, is_input, contents.stands)


def _computed(name: object, scope: Scope) -> Value | None:
    """What a name stands for, where that is no constant."""
    found = scope.find(name) if isinstance(name, str) and name else None
    if found is None:
        return None
    owner, own = found
    if owner.keys.get(own) is not None:
        return None
    made = owner.made.get(own)
    return id(owner), first_output(made.node) if made else own
