"""An ONNX model → `Tensors`: its constants, and its LSTM, GRU and RNN nodes as `Operator`s.

Graphs inside nodes (If, Loop, Scan) and the model's own functions are entered, with the names that they see from
outside. Inputs that follow from constants are worked out (`folding`), others are `absent`, with the reason; an LSTM
written out in simple nodes is looked for (`decomposed`). A recurrent node that is of another domain, or in a part that
is not entered, becomes a finding, never silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.files import File, Malformed, malformed
from lstm_spec.checkpoints.onnx.declared import declared_shapes
from lstm_spec.checkpoints.onnx.decomposed.gathering import gather_decomposed
from lstm_spec.checkpoints.onnx.external import is_missing, location_of
from lstm_spec.checkpoints.onnx.folding import DOMAINS, add_folded, fold
from lstm_spec.checkpoints.onnx.initializers import constant_of, sparse_of, tensor_of
from lstm_spec.checkpoints.onnx.quantized import QUANTIZED, SCALES, mark_quantized
from lstm_spec.checkpoints.onnx.scopes import Contents, Made, Scope, Value, label_of, version_of
from lstm_spec.checkpoints.onnx.spreading import spread
from lstm_spec.checkpoints.onnx.wire import check_parts
from lstm_spec.errors import Finding, MissingPackageError, safe
from lstm_spec.layers.tensors import Operator, Tensors

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

MAX_BYTES = 2**31 - 1  # protobuf's own limit for a message
MAX_DEPTH = 64
MAX_SCOPES = 10_000  # graphs and calls of functions that are entered
LSTM_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
INPUTS = {"LSTM": LSTM_INPUTS, "GRU": LSTM_INPUTS[:6], "RNN": LSTM_INPUTS[:6]}
WEIGHTS = ("W", "R", "B", "P")
STATES = ("initial_h", "initial_c")
DECLARED = ("X", *STATES)  # whose shapes are held against what the graph declares
LOOKS_RECURRENT = re.compile("LSTM|GRU|RNN|[Ll]stm|[Gg]ru$|Rnn")

# AttributeProto.type → the field with the value; the types that an operator's options have.
ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}


def read_onnx(file: File, stream: BufferedReader) -> Tensors:
    """The constants and recurrent operators of a model. Raises Malformed when it is none or contradicts itself."""
    contents = collect(parse_model(file, stream), file)
    return Tensors(safe(file.path, None), "onnx", contents.tensors, tuple(contents.operators), tuple(contents.findings))


def parse_model(file: File, stream: BufferedReader) -> ModelProto:
    """The message as it is; an empty one is no model, though protobuf and `onnx.load` accept it."""
    try:
        from onnx import ModelProto
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "reading an ONNX file") from None
    if file.size > MAX_BYTES:
        raise malformed("too-large", "the model is larger than protobuf allows", expected=f"at most {MAX_BYTES} bytes")
    data = stream.read()
    check_parts(data, ModelProto.DESCRIPTOR)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except MemoryError:
        raise
    except Exception:  # its words differ from one version of protobuf to the next
        because = "its bytes are no such protobuf message"
        raise malformed("protobuf", "the file is not an ONNX model", because=because) from None
    present = {part.name for part, _ in model.ListFields()}
    if missing := [part for part in ("ir_version", "opset_import", "graph") if part not in present]:
        raise malformed("protobuf", "the file is not an ONNX model", because=f"it has no {' and no '.join(missing)}")
    return model


def collect(model: ModelProto, file: File) -> Contents:
    """Walks the graphs from the outermost inwards; a call of a function is a graph of its own."""
    contents = Contents(file.path, file, opset=version_of(model.opset_import))
    for function in model.functions:
        check_names((function.name, function.domain, *function.input, *function.output))
        contents.functions[function.domain, function.name] = function
    stack: list[tuple[GraphProto | FunctionProto, Scope]] = [(model.graph, Scope())]
    while stack:
        graph, scope = stack.pop()
        contents.scopes += 1
        if contents.scopes > MAX_SCOPES:
            raise malformed("too-large", "the model has too many graphs", expected=f"at most {MAX_SCOPES}")
        gather(graph, scope, contents)
        stack.extend(reversed(list(_inner_graphs(graph, scope, contents))))
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
        check_names(_node_names(node))
    if hasattr(graph, "initializer"):
        gather_constants(graph, scope, contents)
    else:
        gather_nodes(graph.node, scope, contents)
    for node in graph.node:
        gather_operator(node, scope, contents)
    gather_decomposed(graph, scope, contents)


def check_names(names: Iterable[object]) -> None:
    """Raises Malformed for a name that is not UTF-8: protobuf hands it out as bytes where a str is promised."""
    for name in names:
        if not isinstance(name, str):
            raise malformed("protobuf", "a name in the model is not UTF-8 text", found=safe(name))


def _node_names(node: NodeProto) -> Iterator[object]:
    yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
    yield from (attribute.name for attribute in node.attribute)


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


def gather_operator(node: NodeProto, scope: Scope, contents: Contents) -> None:
    """Adds the node when it is a recurrent operator, or a finding when it only looks like one."""
    if not LOOKS_RECURRENT.search(node.op_type) or (node.domain, node.op_type) in contents.functions:
        return
    where = contents.place(scope.join(label_of(node)))
    if node.domain in DOMAINS and node.op_type in INPUTS:
        contents.operators.append(operator_of(node, INPUTS[node.op_type], where, scope, contents))
    elif (node.domain, node.op_type) == QUANTIZED:
        operator = operator_of(node, (*LSTM_INPUTS, *SCALES), where, scope, contents)
        contents.operators.append(mark_quantized(operator, contents))
    else:
        because = f"only {', '.join(INPUTS)} of the domain ai.onnx are read"
        contents.miss(f"{safe(node.op_type)} of the domain '{safe(node.domain)}' is not read", where, because)


def operator_of(node: NodeProto, roles: tuple[str, ...], where: str, scope: Scope, contents: Contents) -> Operator:
    """The node as it uses its constants. Raises Malformed when its inputs or attributes are not an operator's."""
    if len(node.input) > len(roles):
        expected = f"at most {len(roles)}: {', '.join(roles)}"
        raise _bad_node(node, where, "has too many inputs", expected, f"{len(node.input)}")
    wired = {role: name for role, name in zip(roles, node.input, strict=False) if name}
    values = {role: fold(name, scope, contents) for role, name in wired.items()}
    declared = {role: scope.shapes.get(name) for role, name in wired.items() if role in DECLARED}
    reasons = {role: value for role, value in values.items() if isinstance(value, str)}
    told = {role: spread(wired[role], scope, contents) for role in STATES if role in reasons}
    return Operator(
        node.op_type,
        where,
        {role: add_folded(value, contents) for role, value in values.items() if isinstance(value, Value)},
        _attributes(node, where, scope),
        tuple(role for role in reasons if role != "X" and told.get(role) != ""),
        {role: shape for role, shape in declared.items() if shape and not isinstance(values[role], Value)},
        {role: words for role, words in (reasons | told).items() if words and role in (*WEIGHTS, *told)},
        contents.opset_in(scope),
    )


def _attributes(node: NodeProto, where: str, scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for given in node.attribute:
        name = safe(given.name)
        if given.name in found:
            raise _bad_node(node, where, f"has the attribute {name} twice", "", "")
        attribute = scope.attribute(node, given.name)
        if attribute is None and scope.calls:  # a function's option that the call leaves out: the operator's default
            continue
        if attribute is None or attribute.type not in ATTRIBUTE_FIELDS:
            expected, kind = "a number, a text or a list of these", f"type {given.type}"
            raise _bad_node(node, where, f"has an attribute {name} that is none of its options", expected, kind)
        found[given.name] = _plain(getattr(attribute, ATTRIBUTE_FIELDS[attribute.type]))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, int | float) else [_plain(item) for item in value]


def _bad_node(node: NodeProto, where: str, what: str, expected: str, found: str) -> Malformed:
    return malformed("operator", f"the {node.op_type} {what}", where=where, expected=expected, found=found)


def _inner_graphs(
    graph: GraphProto | FunctionProto, scope: Scope, contents: Contents
) -> Iterator[tuple[GraphProto | FunctionProto, Scope]]:
    for node in graph.node:
        for name, inner in _node_graphs(node):
            _check_depth(scope)
            path = safe(scope.join(f"{label_of(node)}.{name}"))
            inside = Scope(path, scope, scope.depth + 1, options=scope.options, calls=scope.calls, kind=node.op_type)
            inside.states = _states(node, inner)
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


def _node_graphs(node: NodeProto) -> Iterator[tuple[str, GraphProto]]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        yield from ((f"{attribute.name}[{number}]", inner) for number, inner in enumerate(attribute.graphs))


def report_unread(nodes: Iterable[NodeProto], place: str, contents: Contents) -> None:
    """A finding for each recurrent node in a part of the model that is not entered."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        check_names(_node_names(node))
        stack.extend(inner_node for _, graph in _node_graphs(node) for inner_node in graph.node)
        if LOOKS_RECURRENT.search(node.op_type):
            contents.miss(f"{safe(node.op_type)} in {place} is not read", contents.place(label_of(node)))
