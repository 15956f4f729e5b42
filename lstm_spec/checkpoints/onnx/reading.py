"""An ONNX model → `Tensors`: its constants, and its LSTM, GRU and RNN nodes as `Operator`s.

Graphs inside nodes and the model's own functions are entered (`graphs`), with the names that they see from outside; an
LSTM written out in simple nodes is looked for (`decomposed`). A recurrent node that is of another domain, or in a part
that is not entered, becomes a finding (`operators`), never silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BufferedReader
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.onnx.declared import declared_shapes
from lstm_spec.checkpoints.onnx.decomposed.gathering import gather_decomposed
from lstm_spec.checkpoints.onnx.external import is_missing, location_of
from lstm_spec.checkpoints.onnx.flow import flow_of
from lstm_spec.checkpoints.onnx.folding import DOMAINS
from lstm_spec.checkpoints.onnx.graphs import inner_graphs
from lstm_spec.checkpoints.onnx.initializers import constant_of, sparse_of, tensor_of
from lstm_spec.checkpoints.onnx.operators import gather_operator, report_unread
from lstm_spec.checkpoints.onnx.parsing import parse_model
from lstm_spec.checkpoints.onnx.scopes import Contents, Made, Scope, check_names, check_node, version_of
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

MAX_SCOPES = 10_000  # graphs and calls of functions that are entered


def read_onnx(file: File, stream: BufferedReader) -> Tensors:
    """The constants and recurrent operators of a model. Raises Malformed when it is none or contradicts itself."""
    contents = collect(parse_model(file, stream), file)
    operators, findings = tuple(contents.operators), tuple(contents.findings)
    return Tensors(safe(file.path, None), "onnx", contents.tensors, operators, findings, flow=flow_of(contents))


def collect(model: ModelProto, file: File) -> Contents:
    """Walks the graphs from the outermost inwards; a call of a function is a graph of its own."""
    contents = Contents(file.path, file, opset=version_of(model.opset_import))
    for function in model.functions:
        check_names((function.name, function.domain, *function.input, *function.output))
        contents.functions[function.domain, function.name] = function
    stack: list[tuple[GraphProto | FunctionProto, Scope]] = [(model.graph, Scope())]
    while stack:
        graph, scope = stack.pop()
        contents.entered.append((graph, scope))
        if len(contents.entered) > MAX_SCOPES:
            raise malformed("too-large", "the model has too many graphs", expected=f"at most {MAX_SCOPES}")
        gather(graph, scope, contents)
        stack.extend(reversed(list(inner_graphs(graph, scope, contents))))
    for key, function in contents.functions.items():
        if key not in contents.called:
            report_unread(function.node, f"the function {safe(function.name)}, which nothing calls,", contents)
    for training in model.training_info:
        report_unread((*training.initialization.node, *training.algorithm.node), "the training graphs", contents)
    for location in contents.lacking:
        message = f"the external data {location} is not there: shapes are read, values are not"
        help = "put it beside the model, under the name that the model gives it"
        contents.findings.append(Finding("external", message, safe(file.path, None), help=help, severity="warning"))
    return contents


def gather(graph: GraphProto | FunctionProto, scope: Scope, contents: Contents) -> None:
    """One graph's constants, its recurrent operators, and those that are written out in simple nodes."""
    for node in graph.node:
        check_node(node)
    if hasattr(graph, "initializer"):
        gather_constants(graph, scope, contents)
    else:
        gather_nodes(graph.node, scope, contents)
    for node in graph.node:
        gather_operator(node, scope, contents)
    gather_decomposed(graph, scope, contents)


def gather_constants(graph: GraphProto, scope: Scope, contents: Contents) -> None:
    """Fills the scope: initializers, then inputs (an initializer may be one's default), then what the nodes make."""
    check_names(proto.name for proto in graph.initializer)
    check_names(sparse.values.name for sparse in graph.sparse_initializer)
    check_names(value.name for value in (*graph.input, *graph.output))
    scope.shapes = declared_shapes(graph, scope.outer.shapes if scope.outer else {})
    for proto in graph.initializer:
        key = _key(_named(proto.name, scope), scope, contents)
        tensor = tensor_of(proto, key, contents.path, contents.file)
        scope.define(proto.name, contents.add(tensor))
        if tensor.outside and tensor.load is None and is_missing(proto, contents.file):
            contents.lacking[location_of(proto)] = None
    for sparse in graph.sparse_initializer:
        name = _named(sparse.values.name, scope)
        scope.define(name, contents.add(sparse_of(sparse.values, sparse.dims, _key(name, scope, contents))))
    for value in graph.input:
        scope.keys.setdefault(value.name, None)
    gather_nodes(graph.node, scope, contents)


def gather_nodes(nodes: Iterable[NodeProto], scope: Scope, contents: Contents) -> None:
    """What the nodes of a graph make."""
    for node in nodes:
        for number, name in enumerate(node.output):
            if name:
                scope.define(name, _constant(node, name, scope, contents) if number == 0 else None)
                scope.made[name] = Made(node, number)


def _named(name: str, scope: Scope) -> str:
    if not name:
        raise malformed("protobuf", "an initializer has no name", where=scope.path)
    return name


def _key(name: str, scope: Scope, contents: Contents) -> str:
    return contents.keys.claim(scope.join(name))


def _constant(node: NodeProto, name: str, scope: Scope, contents: Contents) -> str | None:
    """The key of what a Constant makes; None for what another node makes."""
    if node.op_type != "Constant" or node.domain not in DOMAINS:
        return None
    tensor = constant_of(node, _key(name, scope, contents), contents.path, contents.file)
    return contents.add(tensor) if tensor else None
