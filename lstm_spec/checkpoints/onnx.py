"""An ONNX model → `Tensors`: its constants, and its LSTM, GRU and RNN nodes as `Operator`s.

Graphs inside nodes (If, Loop, Scan) are entered, with the names that they see from outside. External data is never
opened and nothing is computed: an input that is worked out at run time is `absent`. A recurrent node that is of
another domain, or in a part that is not entered, becomes a finding, never silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.declared import Shape, declared_shapes
from lstm_spec.checkpoints.files import File, Malformed, malformed
from lstm_spec.checkpoints.initializers import constant_of, sparse_of, tensor_of
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.errors import Finding, MissingPackageError, safe
from lstm_spec.layers.tensors import Operator, Tensor, Tensors

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# Protobuf's own limit for a message.
MAX_BYTES = 2**31 - 1
MAX_OPERATORS = 10_000
MAX_DEPTH = 64
DOMAINS = ("", "ai.onnx")
LSTM_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
INPUTS = {"LSTM": LSTM_INPUTS, "GRU": LSTM_INPUTS[:6], "RNN": LSTM_INPUTS[:6]}
LOOKS_RECURRENT = re.compile("LSTM|GRU|RNN|[Ll]stm|[Gg]ru$|Rnn")

# AttributeProto.type → the field with the value; the types that an operator's options have.
ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}


@dataclass(slots=True)
class Scope:
    """The names of one graph: each is the key of a constant in `Tensors`, or None where it is computed; and shapes."""

    path: str = ""
    outer: Scope | None = None
    depth: int = 0
    keys: dict[str, str | None] = field(default_factory=dict)
    shapes: MutableMapping[str, Shape] = field(default_factory=dict)

    def define(self, name: str, key: str | None) -> None:
        """Raises Malformed when the graph has defined the name before."""
        if name in self.keys:
            raise malformed("duplicate", f"the graph defines {safe(name)} twice", where=self.path)
        self.keys[name] = key

    def find(self, name: str) -> str | None:
        """The constant that the name means here. Raises Malformed when it means nothing."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.keys:
                return scope.keys[name]
            scope = scope.outer
        raise malformed("undefined", f"nothing in the graph defines {safe(name)}", where=self.path)

    def join(self, name: str) -> str:
        """A name of this graph as it is told from the names of other graphs."""
        return f"{self.path}/{name.lstrip('/')}" if self.path else name


@dataclass(slots=True)
class Names:
    """Gives each name once; the second `a` becomes `a#2`."""

    counts: dict[str, int] = field(default_factory=dict)

    def claim(self, name: str) -> str:
        claimed = name
        while claimed in self.counts:
            self.counts[name] += 1
            claimed = f"{name}#{self.counts[name]}"
        self.counts[claimed] = 1
        return claimed


@dataclass(slots=True)
class Contents:
    """What has been found so far."""

    path: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    keys: Names = field(default_factory=Names)
    places: Names = field(default_factory=Names)

    def add(self, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        check_count(len(self.tensors))
        return tensor.name

    def place(self, label: str) -> str:
        """The path of one more recurrent node, for people."""
        if len(self.operators) + len(self.findings) >= MAX_OPERATORS:
            raise malformed("too-large", "the model has too many recurrent nodes", expected=f"at most {MAX_OPERATORS}")
        return self.places.claim(safe(label))

    def miss(self, message: str, where: str, because: str = "") -> None:
        at = " : ".join(filter(None, (safe(self.path, None), where)))
        self.findings.append(Finding("unread", message, at=at, because=because))


def read_onnx(file: File, stream: BufferedReader) -> Tensors:
    """The constants and recurrent operators of a model. Raises Malformed when it is none or contradicts itself."""
    contents = collect(parse_model(file, stream), file.path)
    return Tensors(safe(file.path, None), "onnx", contents.tensors, tuple(contents.operators), tuple(contents.findings))


def parse_model(file: File, stream: BufferedReader) -> ModelProto:
    """The message as it is; an empty one is no model, though protobuf and `onnx.load` accept it."""
    try:
        from onnx import ModelProto
    except ImportError:
        raise MissingPackageError("onnx", "onnx", "reading an ONNX file") from None
    if file.size > MAX_BYTES:
        raise malformed("too-large", "the model is larger than protobuf allows", expected=f"{MAX_BYTES} bytes")
    data = stream.read()
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except MemoryError:
        raise
    except Exception as error:
        raise malformed("protobuf", "the file is not an ONNX model", because=safe(error)) from None
    present = {part.name for part, _ in model.ListFields()}
    if missing := [part for part in ("ir_version", "opset_import", "graph") if part not in present]:
        raise malformed("protobuf", "the file is not an ONNX model", because=f"it has no {' and no '.join(missing)}")
    return model


def collect(model: ModelProto, path: str) -> Contents:
    """Walks the graphs from the outermost inwards."""
    contents = Contents(path)
    stack = [(model.graph, Scope())]
    while stack:
        graph, scope = stack.pop()
        check_names(_graph_names(graph))
        gather_constants(graph, scope, contents)
        for node in graph.node:
            gather_operator(node, scope, contents)
        stack.extend(reversed(list(_inner_graphs(graph, scope))))
    for function in model.functions:
        report_unread(function.node, f"the model-local function {safe(function.name)}", contents)
    for training in model.training_info:
        report_unread((*training.initialization.node, *training.algorithm.node), "the training graphs", contents)
    return contents


def check_names(names: Iterable[object]) -> None:
    """Raises Malformed for a name that is not UTF-8: protobuf hands it out as bytes where a str is promised."""
    for name in names:
        if not isinstance(name, str):
            raise malformed("protobuf", "a name in the model is not UTF-8 text", found=safe(name))


def _graph_names(graph: GraphProto) -> Iterator[object]:
    yield from (proto.name for proto in graph.initializer)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    yield from (value.name for value in graph.input)
    for node in graph.node:
        yield from _node_names(node)


def _node_names(node: NodeProto) -> Iterator[object]:
    yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
    yield from (attribute.name for attribute in node.attribute)


def gather_constants(graph: GraphProto, scope: Scope, contents: Contents) -> None:
    """Fills the scope: initializers, then inputs (an initializer may be one's default), then what the nodes make."""
    scope.shapes = declared_shapes(graph, scope.outer.shapes if scope.outer else {})
    for proto in graph.initializer:
        name = _named(proto.name, scope)
        scope.define(name, contents.add(tensor_of(proto, _key(name, scope, contents), contents.path)))
    for sparse in graph.sparse_initializer:
        name = _named(sparse.values.name, scope)
        scope.define(name, contents.add(sparse_of(sparse.values, sparse.dims, _key(name, scope, contents))))
    for value in graph.input:
        scope.keys.setdefault(value.name, None)
    for node in graph.node:
        _gather_outputs(node, scope, contents)
    for node in graph.node:
        if node.op_type == "Identity" and node.domain in DOMAINS and len(node.input) == len(node.output) == 1:
            scope.keys[node.output[0]] = scope.find(node.input[0])


def _named(name: str, scope: Scope) -> str:
    if not name:
        raise malformed("protobuf", "an initializer has no name", where=scope.path)
    return name


def _key(name: str, scope: Scope, contents: Contents) -> str:
    return contents.keys.claim(scope.join(name))


def _gather_outputs(node: NodeProto, scope: Scope, contents: Contents) -> None:
    for number, name in enumerate(node.output):
        if name:
            scope.define(name, _made(node, name, scope, contents) if number == 0 else None)


def _made(node: NodeProto, name: str, scope: Scope, contents: Contents) -> str | None:
    """The key of what a Constant makes; None for what another node makes."""
    if node.op_type != "Constant" or node.domain not in DOMAINS:
        return None
    tensor = constant_of(node, _key(name, scope, contents), contents.path)
    return contents.add(tensor) if tensor else None


def gather_operator(node: NodeProto, scope: Scope, contents: Contents) -> None:
    """Adds the node when it is a recurrent operator, or a finding when it only looks like one."""
    if not LOOKS_RECURRENT.search(node.op_type):
        return
    where = contents.place(scope.join(_label(node)))
    if node.domain in DOMAINS and node.op_type in INPUTS:
        contents.operators.append(operator_of(node, where, scope))
    else:
        because = f"only {', '.join(INPUTS)} of the domain ai.onnx are read"
        contents.miss(f"{safe(node.op_type)} of the domain '{safe(node.domain)}' is not read", where, because)


def operator_of(node: NodeProto, where: str, scope: Scope) -> Operator:
    """The node as it uses its constants. Raises Malformed when its inputs or attributes are not an operator's."""
    roles = INPUTS[node.op_type]
    if len(node.input) > len(roles):
        expected = f"at most {len(roles)}: {', '.join(roles)}"
        raise _bad_node(node, where, "has too many inputs", expected, f"{len(node.input)}")
    keys = {role: scope.find(name) for role, name in zip(roles, node.input, strict=False) if name}
    shape = scope.shapes.get(node.input[0]) if "X" in keys else None
    return Operator(
        node.op_type,
        where,
        {role: key for role, key in keys.items() if key is not None},
        _attributes(node, where),
        tuple(role for role, key in keys.items() if key is None and role != "X"),
        {"X": shape} if shape else {},
    )


def _attributes(node: NodeProto, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        name = safe(attribute.name)
        if attribute.name in found:
            raise _bad_node(node, where, f"has the attribute {name} twice", "", "")
        if attribute.type not in ATTRIBUTE_FIELDS or attribute.ref_attr_name:
            expected, kind = "a number, a text or a list of these", f"type {attribute.type}"
            raise _bad_node(node, where, f"has an attribute {name} that is none of its options", expected, kind)
        found[attribute.name] = _plain(getattr(attribute, ATTRIBUTE_FIELDS[attribute.type]))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, int | float) else [_plain(item) for item in value]


def _bad_node(node: NodeProto, where: str, what: str, expected: str, found: str) -> Malformed:
    return malformed("operator", f"the {node.op_type} {what}", where=where, expected=expected, found=found)


def _label(node: NodeProto) -> str:
    """The node's name; for one without, its type and what it makes, as in `LSTM:Y`."""
    return node.name or ":".join((node.op_type, *[name for name in node.output if name][:1]))


def _inner_graphs(graph: GraphProto, scope: Scope) -> Iterator[tuple[GraphProto, Scope]]:
    for node in graph.node:
        for name, inner in _node_graphs(node):
            if scope.depth >= MAX_DEPTH:
                raise malformed("nesting", "the graphs are nested too deeply", expected=f"{MAX_DEPTH} levels")
            yield inner, Scope(safe(scope.join(f"{_label(node)}.{name}")), scope, scope.depth + 1)


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
            contents.miss(f"{safe(node.op_type)} in {place} is not read", contents.place(_label(node)))
