"""An LSTM written out in simple ONNX nodes → an `Operator` of the kind "LSTM cell", or a finding of what was seen.

The pattern is the equations: c' = f * c + i * g, h' = o * tanh(c'), with i, f and o a Sigmoid and g a Tanh of
sums of products. Which rows of which matrix are which gate follows from where they go, not from any order. A step that
is unrolled many times is one operator; what looks gated and recurrent and does not fit is `unread`, never passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.onnx.folding import DOMAINS, add_folded
from lstm_spec.checkpoints.onnx.linear_forms import Form, Term, columns, linear_form, root, total
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value, label_of
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Operator

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

GATES = ("Sigmoid", "HardSigmoid")
SQUASHES = ("Tanh", "Relu", "Softsign", "Elu", "LeakyRelu", "HardTanh", "Clip")
HIDDEN_NAMES = ("hh", "recurrent", "hidden")


@dataclass(frozen=True, slots=True)
class Step:
    """One step as its nodes stand: what the gates are made from, c before it, c and h after it."""

    node: NodeProto
    gates: dict[str, str]
    c: str
    h_after: str


class Unclear(Exception):
    """Why a step cannot be read, in words; `origins` where a step of the same weights may tell more."""

    def __init__(self, reason: str, origins: object = None) -> None:
        super().__init__(reason)
        self.origins = origins


def gather_decomposed(graph: GraphProto | FunctionProto, scope: Scope, contents: Contents) -> None:
    """Adds each LSTM that the graph's nodes write out, or says that something looks like one."""
    found = [node for node in graph.node if _is_gated_sum(node, scope)]
    if not found:
        return
    users = _users(graph)
    steps: list[Step] = []
    for node in found:
        step = _step(node, scope, users)
        if isinstance(step, Step):
            steps.append(step)
        elif _is_recurrent(node, scope, contents):
            _miss(node, step, scope, contents)
    hidden = {root(step.h_after, scope)[1]: step for step in steps}
    read: dict[object, str] = {}
    unclear: list[tuple[Step, str, object]] = []
    for step in steps:
        try:
            operator, key = _operator(step, graph, scope, contents, set(hidden), read)
        except Unclear as error:
            unclear.append((step, str(error), error.origins))
            continue
        if operator:
            read[key] = operator.where
            contents.operators.append(operator)
    for step, reason, origins in unclear:
        if origins is None or origins not in {frozenset(key) for key in read if isinstance(key, tuple)}:
            _miss(step.node, reason, scope, contents)


def _miss(node: NodeProto, reason: str, scope: Scope, contents: Contents) -> None:
    where = contents.place(scope.join(label_of(node)))
    contents.miss("this looks like a recurrent cell written out in simple nodes, and it is not read", where, reason)


def _users(graph: GraphProto | FunctionProto) -> dict[str, list[NodeProto]]:
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def _made_by(name: str, scope: Scope, kinds: tuple[str, ...]) -> NodeProto | None:
    """The node of one of these types that makes a value, seen through Identity."""
    owner, own = root(name, scope)
    made = owner.made.get(own)
    fits = made and made.node.domain in DOMAINS and made.node.op_type in kinds
    return made.node if made and fits else None


def _factors(name: str, scope: Scope) -> tuple[str, str] | None:
    """The two factors of a product."""
    node = _made_by(name, scope, ("Mul",))
    return (node.input[0], node.input[1]) if node and len(node.input) == 2 else None


def _is_gated_sum(node: NodeProto, scope: Scope) -> bool:
    """Whether a node adds σ(…) * squash(…) to another product: c' = i * g + f * c, or a GRU's h'."""
    if node.op_type != "Add" or node.domain not in DOMAINS or len(node.input) != 2:
        return False
    products = [_factors(name, scope) for name in node.input]
    if not all(products):
        return bool(_short_gru(node, scope))
    return any(p and _is_gated(p, scope) for p in products)


def _short_gru(node: NodeProto, scope: Scope) -> bool:
    """h' = g + z * (h - g)."""
    for one, other in (node.input, list(node.input)[::-1]):
        factors = _factors(other, scope)
        if _made_by(one, scope, ("Tanh",)) and factors and any(_is_gate(f, scope) for f in factors):
            return any(_made_by(f, scope, ("Sub",)) for f in factors)
    return False


def _is_gate(name: str, scope: Scope) -> bool:
    """σ(…), or 1 - σ(…)."""
    if _made_by(name, scope, GATES):
        return True
    node = _made_by(name, scope, ("Sub",))
    return bool(node and len(node.input) == 2 and _made_by(node.input[1], scope, GATES))


def _is_gated(factors: tuple[str, str], scope: Scope) -> bool:
    one, other = factors
    return any(_is_gate(a, scope) and _made_by(b, scope, SQUASHES) for a, b in ((one, other), (other, one)))


def _is_recurrent(node: NodeProto, scope: Scope, contents: Contents) -> bool:
    """Whether a gate sees two values; the gates of a highway layer see one."""
    for name in (f for one in node.input for f in _factors(one, scope) or ()):
        sigmoid = _made_by(name, scope, GATES)
        form = linear_form(sigmoid.input[0], scope, contents) if sigmoid else None
        if form and len({term.variable for term in form.terms}) == 1:
            (one,) = {(id(term.scope), term.name): term for term in form.terms}.values()
            return bool(_made_by(one.name, one.scope, ("Concat",)))
    return True


def _step(node: NodeProto, scope: Scope, users: dict[str, list[NodeProto]]) -> Step | str:
    """The step around c' = f * c + i * g, or the words why it is none that is read."""
    one, other = (_factors(name, scope) for name in node.input)
    for written, kept in ((one, other), (other, one)):
        if not written or not kept or not _is_gated(written, scope):
            continue
        i, g = _pair(written, scope, GATES)
        f, c = _pair(kept, scope, GATES)
        if not (i and g and f and c):
            return f"{safe(node.output[0])} adds products, and not each of them has a gate of its own, as in a GRU"
        kinds = {name: _made_by(name, scope, GATES + SQUASHES) for name in (i, f, g)}
        odd = [n.op_type for n in kinds.values() if n and n.op_type not in ("Sigmoid", "Tanh")]
        if odd:
            return f"the gates are {', '.join(odd)}; Sigmoid and Tanh are read"
        for squash in (user for user in users.get(node.output[0], ()) if user.op_type in SQUASHES):
            for product in (user for user in users.get(squash.output[0], ()) if user.op_type == "Mul"):
                o = next((name for name in product.input if _made_by(name, scope, ("Sigmoid",))), "")
                if o and squash.op_type == "Tanh":
                    return Step(node, {"i": i, "f": f, "g": g, "o": o}, c, product.output[0])
        return f"no o * tanh(c) of {safe(node.output[0])} follows, with o a Sigmoid"
    return f"{safe(node.output[0])} is no f * c + i * g"


def _pair(factors: tuple[str, str], scope: Scope, kinds: tuple[str, ...]) -> tuple[str, str]:
    """The factor that is a gate, and the other one; empty where none or both are."""
    gates = [name for name in factors if _made_by(name, scope, kinds)]
    if len(gates) != 1:
        return "", ""
    return gates[0], factors[1] if factors[0] == gates[0] else factors[0]


def _operator(
    step: Step,
    graph: GraphProto | FunctionProto,
    scope: Scope,
    contents: Contents,
    hidden: set[str],
    read: dict[object, str],
) -> tuple[Operator | None, object]:
    """The step as an operator; None where an equal step has been read. Raises Unclear when it cannot be read."""
    forms = {gate: _form(name, gate, scope, contents) for gate, name in step.gates.items()}
    widths = {form.width for form in forms.values()}
    k = widths.pop()
    if widths or k is None:
        raise Unclear("the gates have different widths")
    origins = frozenset((t.origin, t.rows) for form in forms.values() for t in form.terms)
    carried = _carried(step, graph, scope)
    tensors: dict[str, Value] = {}
    key: list[object] = []
    for gate, form in forms.items():
        w, u = _sides(form, k, scope, contents, hidden | carried, origins)
        tensors |= {f"W_{gate}": w, f"U_{gate}": u}
        key += [(term.origin, term.rows) for term in form.terms]
        if (bias := total(form.biases, k, contents)) is not None:
            tensors[f"b_{gate}"] = bias
        elif form.biases:
            raise Unclear(f"the bias of the gate {gate} has another width")
    if tuple(key) in read:
        return None, tuple(key)
    where = contents.place(scope.join(_label(step)))
    zero = _zero_biases(tensors)
    if zero:
        raise Unclear(f"the gates {', '.join(zero)} have no bias and others have one")
    named = {name: add_folded(value, contents, f"{where}.{name}") for name, value in tensors.items()}
    return Operator("LSTM cell", where, named), tuple(key)


def _zero_biases(tensors: dict[str, Value]) -> list[str]:
    without = [gate for gate in "ifgo" if f"b_{gate}" not in tensors]
    return without if len(without) < 4 else []


def _label(step: Step) -> str:
    label = label_of(step.node)
    return label.rpartition("/")[0] or label


def _form(name: str, gate: str, scope: Scope, contents: Contents) -> Form:
    squash = _made_by(name, scope, ("Sigmoid", "Tanh"))
    form = linear_form(squash.input[0], scope, contents) if squash else None
    if form is None or not form.terms:
        raise Unclear(f"what feeds the gate {gate} is no sum of products with constant matrices")
    return form


def _carried(step: Step, graph: GraphProto | FunctionProto, scope: Scope) -> set[str]:
    """The inputs of a loop's body that get h' of the step before: Loop's follow its counter and its condition."""
    if scope.kind not in ("Loop", "Scan"):
        return set()
    after = root(step.h_after, scope)[1]
    places = [number for number, value in enumerate(graph.output) if root(_name(value), scope)[1] == after]
    inputs = [_name(value) for value in graph.input]
    shift = 1 if scope.kind == "Loop" else 0
    return {inputs[place + shift] for place in places if place + shift < len(inputs)}


def _name(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "name", ""))


def _sides(
    form: Form, k: int, scope: Scope, contents: Contents, hidden: set[str], origins: object
) -> tuple[Value, Value]:
    """The matrix of x and that of h. Raises Unclear when nothing tells which is which."""
    terms = list(form.terms)
    if len(terms) == 1:
        return _joined(terms[0], k, hidden, contents)
    if len(terms) != 2:
        raise Unclear(f"a gate is the sum of {len(terms)} products; x and h are two")
    told = [term.name in hidden for term in terms]
    if sum(told) != 1:
        told = [term.matrix.tensor.shape[1] == k for term in terms]
    if sum(told) != 1:
        told = [any(word in "".join(term.origin).lower() for word in HIDDEN_NAMES) for term in terms]
    if sum(told) != 1:
        raise Unclear("nothing tells x from h: both have as many columns as there are units", origins)
    h = told.index(True)
    if terms[h].matrix.tensor.shape[1] != k:
        raise Unclear(f"h meets {terms[h].matrix.tensor.shape[1]} columns and has {k} units")
    return terms[1 - h].matrix, terms[h].matrix


def _joined(term: Term, k: int, hidden: set[str], contents: Contents) -> tuple[Value, Value]:
    """The columns of one matrix that [x, h] or [h, x] meets."""
    node = _made_by(term.name, term.scope, ("Concat",))
    if node is None or len(node.input) != 2:
        raise Unclear("the gates see one value; x and h are two")
    told = [root(name, term.scope)[1] in hidden for name in node.input]
    if sum(told) != 1:
        raise Unclear("nothing tells x from h in the value that joins them")
    width = term.matrix.tensor.shape[1]
    if width <= k:
        raise Unclear(f"x and h together have {width} entries, and h has {k}")
    h_first = told[0]
    sides = (columns(term, k, width, contents), columns(term, 0, k, contents))
    return sides if h_first else (columns(term, 0, width - k, contents), columns(term, width - k, width, contents))
