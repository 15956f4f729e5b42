"""An LSTM written out in simple ONNX nodes → an `Operator` of the kind "LSTM cell", or a finding of what was seen.

The pattern is the equations, with the options that ours have (`steps`). Which rows of which matrix are which gate
follows from where they go, not from any order. The steps of an unrolled graph that share their weights are one
operator, and each of them must take h and c from the one before; what is recurrent and does not fit is `unread`, and
what recurs through a matrix in no pattern at all is looked for too (`recurrences`): nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.onnx.decomposed.activations import applied
from lstm_spec.checkpoints.onnx.decomposed.carrying import Chain
from lstm_spec.checkpoints.onnx.decomposed.cells import Cell, cell_of
from lstm_spec.checkpoints.onnx.decomposed.forms import Unclear, total
from lstm_spec.checkpoints.onnx.decomposed.linear_forms import linear_form, root
from lstm_spec.checkpoints.onnx.decomposed.recurrences import Told, tell_recurrences
from lstm_spec.checkpoints.onnx.decomposed.steps import (
    Graph,
    Step,
    complement,
    factors,
    graph_of,
    kept_products,
    step_at,
)
from lstm_spec.checkpoints.onnx.folding import DOMAINS, add_folded
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value, label_of
from lstm_spec.layers.tensors import Operator

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

GATES = ("Sigmoid", "HardSigmoid")
SQUASHES = ("Tanh", "Relu", "Softsign", "Elu", "LeakyRelu", "HardTanh", "Clip")


def gather_decomposed(graph: GraphProto | FunctionProto, scope: Scope, contents: Contents) -> None:
    """Adds each LSTM that the graph's nodes write out, or says that something looks like one."""
    seen = graph_of(graph, scope, contents)
    additions = [node for node in graph.node if _is_sum_of_products(node, scope)]
    seen.kept = kept_products(seen, additions)
    told = Told()
    steps: list[Step] = []
    for node in additions:
        try:
            steps.append(step_at(node, seen))
        except Unclear as reason:
            told.reasons[node.output[0]] = node, str(reason)
    for cells in _groups(steps, Chain(graph, seen, steps)):
        told.add(cell.node for cell in cells)
        if unclear := next((cell.reason for cell in cells if cell.reason), ""):
            _miss(cells[0].node, unclear, scope, contents)
            continue
        try:
            contents.add_operator(_operator(cells[0], scope, contents), cells[0].node, scope)
        except Unclear as error:
            _miss(cells[0].node, str(error), scope, contents)
    for node, why in tell_recurrences(graph, seen, told):
        _miss(node, why, scope, contents)
    for name, (node, why) in told.reasons.items():
        if name not in told.covered and _is_gated_sum(node, seen) and _is_recurrent(node, seen):
            _miss(node, why, scope, contents)


def _miss(node: NodeProto, reason: str, scope: Scope, contents: Contents) -> None:
    where = contents.place(scope.join(label_of(node)))
    contents.miss("this looks like a recurrent cell written out in simple nodes, and it is not read", where, reason)


def _groups(steps: Sequence[Step], chain: Chain) -> Iterable[list[Cell]]:
    """The steps as cells, those of the same weights together; a step without h joins the one whose W it has."""
    cells = [cell_of(step) for step in steps]
    chain.settle(cells)
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.key, []).append(cell)
    return groups.values()


def _is_sum_of_products(node: NodeProto, scope: Scope) -> bool:
    if node.op_type != "Add" or node.domain not in DOMAINS or len(node.input) != 2:
        return False
    return all(factors(name, scope) for name in node.input) or _short_gru(node, scope)


def _made_by(name: str, scope: Scope, kinds: tuple[str, ...]) -> NodeProto | None:
    """The node of one of these types that makes a value, seen through Identity."""
    owner, own = root(name, scope)
    made = owner.made.get(own)
    fits = made and made.node.domain in DOMAINS and made.node.op_type in kinds
    return made.node if made and fits else None


def _short_gru(node: NodeProto, scope: Scope) -> bool:
    """h' = g + z * (h - g)."""
    for one, other in (node.input, list(node.input)[::-1]):
        product = factors(other, scope)
        if _made_by(one, scope, ("Tanh",)) and product and any(_made_by(f, scope, GATES) for f in product):
            return any(_made_by(f, scope, ("Sub",)) for f in product)
    return False


def _is_gated_sum(node: NodeProto, graph: Graph) -> bool:
    """Whether a node adds σ(…) * squash(…) to another product: c' = i * g + f * c, or a GRU's h'."""
    products = [factors(name, graph.scope) for name in node.input]
    if not all(products):
        return True  # the short GRU
    return any(_is_gated(product, graph) for product in products if product)


def _is_gated(product: tuple[str, str], graph: Graph) -> bool:
    one, other = product
    pairs = ((one, other), (other, one))
    return any(_is_gate(a, graph) and _made_by(b, graph.scope, SQUASHES) for a, b in pairs)


def _is_gate(name: str, graph: Graph) -> bool:
    """σ(…), or 1 - σ(…)."""
    inner = complement(name, graph) or name
    found = applied(inner, graph.scope, graph.contents)
    return found is not None and "sigmoid" in found.function


def _is_recurrent(node: NodeProto, graph: Graph) -> bool:
    """Whether a gate sees two values; the gates of a highway layer see one."""
    for name in (f for one in node.input for f in factors(one, graph.scope) or ()):
        if (found := applied(name, graph.scope, graph.contents)) is None or not _is_gate(name, graph):
            continue
        try:
            form = linear_form(found.name, found.scope, graph.contents)
        except Unclear:
            continue
        if len({term.variable for term in form.terms}) == 1:
            return bool(_made_by(form.terms[0].name, form.terms[0].scope, ("Concat",)))
    return True


def _operator(cell: Cell, scope: Scope, contents: Contents) -> Operator:
    """The cell as an operator. Raises Unclear when its biases fit no option."""
    tensors: dict[str, Value] = dict(cell.tensors)
    for gate, one in cell.step.gates.items():
        bias = total(one.form.biases, cell.k, contents)
        if bias is not None:
            tensors[f"b_{gate}"] = bias
        elif one.form.biases:
            raise Unclear(f"the bias of the gate {gate} has another width")
    without = [gate for gate in cell.step.gates if f"b_{gate}" not in tensors]
    if 0 < len(without) < len(cell.step.gates):
        raise Unclear(f"the gates {', '.join(without)} have no bias and others have one")
    where = contents.place(scope.join(_label(cell.node)))
    named = {name: add_folded(value, contents, f"{where}.{name}") for name, value in tensors.items()}
    return Operator("LSTM cell", where, named, cell.options)


def _label(node: NodeProto) -> str:
    label = label_of(node)
    return label.rpartition("/")[0] or label
