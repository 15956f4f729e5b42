"""The nodes of one step of an LSTM → `Step`: c' = f * c + i * g and h' = o * tanh(c'), as the graph writes them.

Which value is which follows from how they are joined. What the options of our LSTM can say is seen (a coupling, other
activations, a clip of c' or before the gates); where a step is none of these, Unclear says what was seen instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.onnx.decomposed.activations import Applied, Z, all_applied, applied, clipped, fits
from lstm_spec.checkpoints.onnx.decomposed.forms import Form, Unclear, Variable
from lstm_spec.checkpoints.onnx.decomposed.linear_forms import PASSED, linear_form, root, worked_out
from lstm_spec.checkpoints.onnx.folding import DOMAINS
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value
from lstm_spec.errors import safe

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

CARRIERS = {"Loop": (2, 1), "Scan": (0, 0)}  # inputs of the body before the states, outputs before them


@dataclass(frozen=True, slots=True)
class Gate:
    """`function` of a sum of products, each entry of which is held in ±`clip` first, if there is one."""

    function: str
    form: Form
    clip: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its live gates, c before it, c and h after it, and what the equations say beside."""

    node: NodeProto
    gates: Mapping[str, Gate]
    c: tuple[Scope, str]
    c_after: str
    h_after: str
    coupled: str = ""
    clip_cell: str = ""
    output: str = "tanh"


@dataclass(slots=True)
class Graph:
    """The nodes of one graph by what they use, seen through Identity; `kept` are the products f * c."""

    scope: Scope
    contents: Contents
    users: dict[Variable, list[NodeProto]]
    outputs: set[Variable]
    kept: set[str]

    def variable(self, name: str) -> Variable:
        scope, own = root(name, self.scope)
        return id(scope), own

    def users_of(self, name: str) -> list[NodeProto]:
        return self.users.get(self.variable(name), [])


def graph_of(graph: GraphProto | FunctionProto, scope: Scope, contents: Contents) -> Graph:
    """The graph with the users of each value."""
    seen = Graph(scope, contents, {}, set(), set())
    for node in graph.node:
        for name in dict.fromkeys(filter(scope.knows, node.input)):
            seen.users.setdefault(seen.variable(name), []).append(node)
    seen.outputs = {seen.variable(name_of(value)) for value in graph.output if scope.knows(name_of(value))}
    return seen


def name_of(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "name", ""))


def factors(name: str, scope: Scope) -> tuple[str, str] | None:
    """The two factors of a product, seen through Identity."""
    owner, own = root(name, scope)
    made = owner.made.get(own)
    if made is None or made.node.op_type != "Mul" or made.node.domain not in DOMAINS or len(made.node.input) != 2:
        return None
    return made.node.input[0], made.node.input[1]


def step_at(node: NodeProto, graph: Graph) -> Step:
    """The step whose c' the addition makes. Raises Unclear where it is none that is read."""
    one, other = (factors(name, graph.scope) for name in node.input)
    if one is None or other is None:
        raise Unclear(f"{safe(node.output[0])} is no f * c + i * g")
    reasons = []
    for kept, written in ((one, other), (other, one)):
        for f, c in (kept, kept[::-1]):
            try:
                return _around(node, f, c, written, graph)
            except Unclear as reason:
                reasons.append(reason)
    raise max(reasons, key=lambda reason: reason.progress)


def _around(node: NodeProto, f: str, c: str, written: tuple[str, str], graph: Graph) -> Step:
    scope = graph.scope
    coupled, gates = "", {}
    i, g = written
    if (other := complement(f, graph)) and (found := [w for w in written if _same(w, other, graph)]):
        coupled, i = "f=1-i", found[0]
        gates["i"] = _squashed(i, graph)
    elif found := [w for w in written if (inner := complement(w, graph)) and _same(inner, f, graph)]:
        coupled, i = "i=1-f", found[0]
        gates["f"] = _squashed(f, graph)
    else:
        gates["f"] = _squashed(f, graph)
        i = _input_gate(written, gates["f"], graph)
        gates["i"] = _squashed(i, graph)
    g = written[1] if i == written[0] else written[0]
    if _is_gate(c, graph):
        raise Unclear(f"{safe(node.output[0])} adds two gated products, and neither has a value that is carried", 1)
    gates["g"] = _candidate(g, graph)
    c_after, clip_cell = _stored(node, graph)
    try:
        o, h_after, output = _output(node, c_after, graph)
    except Unclear:
        if coupled:
            raise Unclear(f"{safe(node.output[0])} has gates that add to 1 and no o, as in a GRU", 3) from None
        raise
    gates["o"] = _squashed(o, graph)
    ordered = {gate: gates[gate] for gate in "ifgo" if gate in gates}
    return Step(node, ordered, root(c, scope), c_after, h_after, coupled, clip_cell, output)


def complement(name: str, graph: Graph) -> str | None:
    """The gate in 1 - gate."""
    found: dict[str, Any] = {}
    if not fits(("Sub", 1.0, Z), name, graph.scope, graph.contents, found):
        return None
    scope, own = found[Z]
    return str(own) if scope is graph.scope else None


def _same(one: str, other: str, graph: Graph) -> bool:
    return graph.variable(one) == graph.variable(other)


def _is_gate(name: str, graph: Graph) -> bool:
    try:
        _squashed(name, graph)
    except Unclear:
        return False
    return True


def _input_gate(written: tuple[str, str], f: Gate, graph: Graph) -> str:
    """Which of i * g is i: the one that is made as f is."""
    for name in written:
        try:
            if _squashed(name, graph).function == f.function:
                return name
        except Unclear:
            continue
    raise Unclear(f"i and f are not of one function: {f.function} stands in one of the two products only", 1)


def _squashed(name: str, graph: Graph) -> Gate:
    """A function of a sum of products. Raises Unclear where it is none."""
    reasons = []
    for function in all_applied(name, graph.scope, graph.contents):
        try:
            return _gate(function, graph)
        except Unclear as reason:
            reasons.append(reason)
    raise reasons[0] if reasons else Unclear(f"{_seen(name, graph)}, and is no gate")


def _gate(function: Applied, graph: Graph) -> Gate:
    scope, name, clip = function.scope, function.name, ""
    if bound := clipped(name, scope, graph.contents):
        clip, (scope, name) = bound
    form = linear_form(name, scope, graph.contents)
    if not form.terms:
        raise Unclear("a gate sees no product with a constant matrix")
    return Gate(function.function, form, clip)


def _candidate(name: str, graph: Graph) -> Gate:
    """g: a function of the table, or the sum itself."""
    try:
        return _squashed(name, graph)
    except Unclear as reason:
        if applied(name, graph.scope, graph.contents):
            raise Unclear(str(reason), 2) from None
    try:
        form = linear_form(name, graph.scope, graph.contents)
    except Unclear:
        form = Form()
    if not form.terms:
        raise Unclear(f"{_seen(name, graph)}, and stands where tanh makes the candidate", 2)
    return Gate("identity", form)


def _seen(name: str, graph: Graph) -> str:
    """`z is made by Gelu`."""
    owner, own = root(name, graph.scope)
    made = owner.made.get(own)
    return f"{safe(own)} is made by {safe(made.node.op_type)}" if made else f"{safe(own)} is given from outside"


def _stored(node: NodeProto, graph: Graph) -> tuple[str, str]:
    """c', and the bound that it is held in: a Clip is the cell's where nothing else reads what is not clipped."""
    raw = node.output[0]
    users = [user for user in graph.users_of(raw) if user.op_type not in PASSED]
    if len(users) == 1 and users[0].op_type == "Clip" and graph.variable(raw) not in graph.outputs:
        held = users[0].output[0]
        if (bound := clipped(held, graph.scope, graph.contents)) and len(graph.users_of(held)) > 0:
            kept = any(user.output[0] in graph.kept for user in graph.users_of(held))
            if kept or graph.variable(held) in graph.outputs or len(graph.users_of(held)) > 1 or _squashes(held, graph):
                return held, bound[0]
    return raw, ""


def _squashes(name: str, graph: Graph) -> bool:
    """Whether all users apply a function to it: h reads tanh(clip(c)), not clip(c) itself."""
    return all(user.op_type != "Mul" for user in graph.users_of(name))


def _output(node: NodeProto, c_after: str, graph: Graph) -> tuple[str, str, str]:
    """o, h' and the function that h' reads c' through."""
    scope, contents = graph.scope, graph.contents
    target, seen = root(c_after, scope), ""
    for product in _products_after(c_after, graph):
        for one, other in (product.input, list(product.input)[::-1]):
            found = [a for a in all_applied(other, scope, contents) if a.argument == (id(target[0]), target[1])]
            read = found[0].function if found else "identity" if root(other, scope) == target else ""
            if not read:
                continue
            if _is_gate(one, graph):
                return one, product.output[0], read
            seen = seen or f"{_seen(one, graph)}, and stands where o is"
    raise Unclear(seen or f"no o * tanh(c) of {safe(node.output[0])} follows, nor another function of the table", 3)


def _products_after(name: str, graph: Graph) -> Iterator[NodeProto]:
    """The products that a value reaches in a few nodes, but for those that keep the cell."""
    edge, reached = [name], set()
    for _ in range(7):
        following = [user for one in edge for user in graph.users_of(one) if user.output[0] not in reached]
        edge = []
        for user in following:
            reached.add(user.output[0])
            if user.op_type == "Mul" and len(user.input) == 2 and user.output[0] not in graph.kept:
                yield user
            if user.op_type not in ("MatMul", "Gemm"):
                edge.append(user.output[0])


def kept_products(graph: Graph, additions: list[NodeProto]) -> set[str]:
    """The products in the additions that a c' may be, each with a gate: f * c is none of h'."""
    kept = set()
    for node in additions:
        products = [factors(name, graph.scope) or () for name in node.input]
        if all(any(_may_be_gate(one, graph) for one in product) for product in products):
            kept |= {root(name, graph.scope)[1] for name in node.input}
    return kept


def _may_be_gate(name: str, graph: Graph) -> bool:
    return bool(complement(name, graph) or applied(name, graph.scope, graph.contents))


def is_constant(name: str, scope: Scope, contents: Contents) -> bool:
    """Whether a value is the same in every run: a constant of the file, or one filled to a shape of the run."""
    if isinstance(worked_out(name, scope, contents), Value):
        return True
    owner, own = root(name, scope)
    made = owner.made.get(own)
    if made is None:
        return False
    if made.node.op_type == "ConstantOfShape":
        return True
    return made.node.op_type in ("Expand", "Tile") and is_constant(made.node.input[0], owner, contents)
