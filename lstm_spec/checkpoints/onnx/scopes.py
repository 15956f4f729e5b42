"""The names of an ONNX graph: what each one means there, and in the graphs and functions around it.

A name is a constant of the file, or made by a node, or given from outside. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.names import Names
from lstm_spec.checkpoints.onnx.declared import Shape
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Operator, Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto

MAX_OPERATORS = 10_000
OWN_DOMAINS = ("", "ai.onnx")
Function = tuple[str, str]  # its domain and its name


@dataclass(frozen=True, slots=True)
class Made:
    """A value that a node makes: its output number `index`."""

    node: NodeProto
    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: its tensor, and how much work its values are (`cost` in elements, `depth` in nodes)."""

    tensor: Tensor
    cost: int = 1
    depth: int = 0


@dataclass(slots=True)
class Scope:
    """The names of one graph: each is the key of a constant in `Tensors`, or None where it is computed; and shapes.

    In a function, `given` are its inputs, as names of the scope that calls it, and `options` the call's attributes.
    `kind` is the type of the node that holds the graph, `states` how many values a loop hands on; `holder` is that node
    and its own graph. `values` keeps what has been folded: a `Value`, or the words why a name is none; `forms` the sums
    that have been followed.
    """

    path: str = ""
    outer: Scope | None = None
    depth: int = 0
    keys: dict[str, str | None] = field(default_factory=dict)
    shapes: MutableMapping[str, Shape] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    given: dict[str, tuple[Scope, str]] = field(default_factory=dict)
    options: dict[str, AttributeProto] = field(default_factory=dict)
    values: dict[str, Value | str] = field(default_factory=dict)
    forms: dict[str, object] = field(default_factory=dict)
    calls: tuple[Function, ...] = ()
    kind: str = ""
    states: int = 0
    holder: tuple[Scope, NodeProto] | None = None

    def define(self, name: str, key: str | None) -> None:
        """Raises Malformed when the graph has defined the name before."""
        if name in self.keys:
            raise malformed("duplicate", f"the graph defines {safe(name)} twice", where=self.path)
        self.keys[name] = key

    def owner(self, name: str) -> tuple[Scope, str]:
        """The graph that defines the name, and its name there. Raises Malformed when it means nothing."""
        if found := self.find(name):
            return found
        raise malformed("undefined", f"nothing in the graph defines {safe(name)}", where=self.path)

    def find(self, name: str) -> tuple[Scope, str] | None:
        """The graph that defines the name, and its name there; None where it means nothing."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.given:
                scope, name = scope.given[name]
                continue
            if name in scope.keys:
                return scope, name
            scope = scope.outer
        return None

    def knows(self, name: object) -> bool:
        """Whether the name means something here; in a graph that has not been entered it may be no text."""
        scope: Scope | None = self
        while scope is not None and isinstance(name, str):
            if name in scope.given or name in scope.keys:
                return True
            scope = scope.outer
        return False

    def maker(self, name: str) -> tuple[Made, Scope] | None:
        """The node that makes what the name means, and the graph it stands in; None where no node does."""
        owner, own = self.owner(name)
        made = owner.made.get(own)
        return (made, owner) if made else None

    def join(self, name: str) -> str:
        """A name of this graph as it is told from the names of other graphs."""
        return f"{self.path}/{name.lstrip('/')}" if self.path else name

    def attribute(self, node: NodeProto, name: str) -> AttributeProto | None:
        """A node's attribute; in a function it may refer to one of the call."""
        for attribute in node.attribute:
            if attribute.name == name:
                return self.options.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        return None


@dataclass(slots=True)
class Contents:
    """What has been found so far; `entered` are the graphs, and `stands` says which operator a value comes from."""

    path: str
    file: File | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    functions: dict[Function, FunctionProto] = field(default_factory=dict)
    called: set[Function] = field(default_factory=set)
    folded: dict[int, tuple[Value, str]] = field(default_factory=dict)
    lacking: dict[str, None] = field(default_factory=dict)
    entered: list[tuple[GraphProto | FunctionProto, Scope]] = field(default_factory=list)
    stands: dict[tuple[int, str], str] = field(default_factory=dict)
    keys: Names = field(default_factory=Names)
    places: Names = field(default_factory=Names)
    opset: int = 0

    def opset_in(self, scope: Scope) -> int:
        """The version of ONNX's operators in a graph; a function says its own."""
        return version_of(self.functions[scope.calls[-1]].opset_import) if scope.calls else self.opset

    def add(self, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        check_count(len(self.tensors))
        return tensor.name

    def add_operator(self, operator: Operator, node: NodeProto, scope: Scope) -> None:
        """One more recurrent operator, and the node that it is or begins with."""
        self.operators.append(operator)
        self.stands[id(scope), first_output(node)] = operator.where

    def place(self, label: str) -> str:
        """The path of one more recurrent node, for people."""
        if len(self.operators) + len(self.findings) >= MAX_OPERATORS:
            raise malformed("too-large", "the model has too many recurrent nodes", expected=f"at most {MAX_OPERATORS}")
        return self.places.claim(safe(label))

    def miss(self, message: str, where: str, because: str = "", found: str = "") -> None:
        at = " : ".join(filter(None, (safe(self.path, None), where)))
        self.findings.append(Finding("unread", message, at=at, because=because, found=found))


def check_names(names: Iterable[object]) -> None:
    """Raises Malformed for a name that is not UTF-8: protobuf hands it out as bytes where a str is promised."""
    for name in names:
        if not isinstance(name, str):
            raise malformed("protobuf", "a name in the model is not UTF-8 text", found=safe(name))


def check_node(node: NodeProto) -> None:
    """Raises Malformed for a node with such a name."""
    check_names((node.op_type, node.domain, node.name, *node.input, *node.output))
    check_names(attribute.name for attribute in node.attribute)


def version_of(imports: Iterable[OperatorSetIdProto]) -> int:
    """The version of ONNX's own operators that is imported; 0 where none is."""
    return next((one.version for one in imports if one.domain in OWN_DOMAINS), 0)


def label_of(node: NodeProto) -> str:
    """The node's name; for one without, its type and what it makes, as in `LSTM:Y`."""
    return node.name or ":".join(filter(None, (node.op_type, first_output(node))))


def first_output(node: NodeProto) -> str:
    """What stands for all that a node makes; empty where it makes nothing."""
    return next(filter(None, node.output), "")


def names_used(node: NodeProto) -> list[str]:
    """What a node reads, and what the graphs in it read from outside."""
    names = list(node.input)
    stack = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    while stack:
        inner = stack.pop()
        made = {name for one in inner.node for name in one.output} | {value.name for value in inner.input}
        for one in inner.node:
            names += [name for name in one.input if name not in made]
            stack += [attribute.g for attribute in one.attribute if attribute.HasField("g")]
        names += [value.name for value in inner.output if value.name not in made]
    return list(dict.fromkeys(names))


def nodes_inside(node: NodeProto, contents: Contents) -> Iterator[NodeProto]:
    """The nodes of the graphs in a node, and of the function that it calls."""
    stack: list[GraphProto | FunctionProto] = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    called = {(node.domain, node.op_type)}
    if function := contents.functions.get((node.domain, node.op_type)):
        stack.append(function)
    while stack:
        for inner in stack.pop().node:
            yield inner
            stack += [attribute.g for attribute in inner.attribute if attribute.HasField("g")]
            key = (inner.domain, inner.op_type)
            if key not in called and (function := contents.functions.get(key)):
                called.add(key)
                stack.append(function)
