"""The graphs inside a graph: those that its nodes hold (If, Loop, Scan), and the functions that they call.

Comes in: a graph with its names. Goes out: each inner graph with the names that it sees. What nests too deeply, or in a
circle, is `Malformed`. Reads no constant and no operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.files import malformed
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, label_of
from lstm_spec.errors import safe

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

MAX_DEPTH = 64


def inner_graphs(
    graph: GraphProto | FunctionProto, scope: Scope, contents: Contents
) -> Iterator[tuple[GraphProto | FunctionProto, Scope]]:
    """What a graph's nodes hold and call, each with its names, in the order of the nodes."""
    for node in graph.node:
        for name, inner in graphs_of(node):
            _check_depth(scope)
            path = safe(scope.join(f"{label_of(node)}.{name}"))
            inside = Scope(path, scope, scope.depth + 1, options=scope.options, calls=scope.calls, kind=node.op_type)
            inside.states, inside.holder = _states(node, inner), (scope, node)
            yield inner, inside
        if function := contents.functions.get((node.domain, node.op_type)):
            _check_depth(scope)
            yield function, _called(function, node, scope, contents)


def _states(node: NodeProto, body: GraphProto) -> int:
    """How many values a loop hands from one round to the next: Loop's body also takes a counter and a condition."""
    scanned = sum(attribute.i for attribute in node.attribute if attribute.name == "num_scan_inputs")
    taken = {"Loop": 2, "Scan": scanned}.get(node.op_type)
    return 0 if taken is None else max(len(body.input) - taken, 0)


def _called(function: FunctionProto, node: NodeProto, scope: Scope, contents: Contents) -> Scope:
    """The names in a function as one node calls it. Raises Malformed when it calls itself."""
    key = (function.domain, function.name)
    if key in scope.calls:
        raise malformed("circle", f"the function {safe(function.name)} calls itself", where=scope.path)
    contents.called.add(key)
    inner = Scope(safe(scope.join(label_of(node))), None, scope.depth + 1, calls=(*scope.calls, key))
    inner.holder = scope, node
    for number, name in enumerate(function.input):
        given = node.input[number] if number < len(node.input) else ""
        if given:
            inner.given[name] = scope, given
        else:
            inner.keys[name] = None
    inner.options = {attribute.name: attribute for attribute in function.attribute_proto}
    for attribute in node.attribute:
        if (found := scope.attribute(node, attribute.name)) is not None:
            inner.options[attribute.name] = found
    return inner


def _check_depth(scope: Scope) -> None:
    if scope.depth >= MAX_DEPTH:
        raise malformed("nesting", "the graphs are nested too deeply", expected=f"{MAX_DEPTH} levels")


def graphs_of(node: NodeProto) -> Iterator[tuple[str, GraphProto]]:
    """The graphs that a node holds, by the attribute: `then_branch`, `bodies[0]`."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        yield from ((f"{attribute.name}[{number}]", inner) for number, inner in enumerate(attribute.graphs))
