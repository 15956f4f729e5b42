"""An ONNX node → an `Operator`, where it is an LSTM, GRU or RNN; a finding where it only looks like one.

Inputs that follow from constants are worked out (`folding`); others are `absent`, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.files import Malformed, malformed
from lstm_spec.checkpoints.onnx.folding import DOMAINS, add_folded, fold
from lstm_spec.checkpoints.onnx.graphs import graphs_of
from lstm_spec.checkpoints.onnx.quantized import QUANTIZED, SCALES, mark_quantized
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value, check_node, label_of
from lstm_spec.checkpoints.onnx.spreading import spread
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Operator

if TYPE_CHECKING:
    from onnx import NodeProto

LSTM_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
INPUTS = {"LSTM": LSTM_INPUTS, "GRU": LSTM_INPUTS[:6], "RNN": LSTM_INPUTS[:6]}
WEIGHTS = ("W", "R", "B", "P")
STATES = ("initial_h", "initial_c")
DECLARED = ("X", *STATES)  # whose shapes are held against what the graph declares
LOOKS_RECURRENT = re.compile("LSTM|GRU|RNN|[Ll]stm|[Gg]ru$|Rnn")

# AttributeProto.type → the field with the value; the types that an operator's options have.
ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}


def gather_operator(node: NodeProto, scope: Scope, contents: Contents) -> None:
    """Adds the node when it is a recurrent operator, or a finding when it only looks like one."""
    if not LOOKS_RECURRENT.search(node.op_type) or (node.domain, node.op_type) in contents.functions:
        return
    where = contents.place(scope.join(label_of(node)))
    if node.domain in DOMAINS and node.op_type in INPUTS:
        contents.add_operator(operator_of(node, INPUTS[node.op_type], where, scope, contents), node, scope)
    elif (node.domain, node.op_type) == QUANTIZED:
        operator = operator_of(node, (*LSTM_INPUTS, *SCALES), where, scope, contents)
        contents.add_operator(mark_quantized(operator, contents), node, scope)
    else:
        because = f"only {', '.join(INPUTS)} of the domain ai.onnx are read"
        contents.miss(f"{safe(node.op_type)} of the domain '{safe(node.domain)}' is not read", where, because)


def report_unread(nodes: Iterable[NodeProto], place: str, contents: Contents) -> None:
    """A finding for each recurrent node in a part of the model that is not entered."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        check_node(node)
        stack.extend(inner_node for _, graph in graphs_of(node) for inner_node in graph.node)
        if LOOKS_RECURRENT.search(node.op_type):
            contents.miss(f"{safe(node.op_type)} in {place} is not read", contents.place(label_of(node)))


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
