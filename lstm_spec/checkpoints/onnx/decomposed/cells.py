"""A step of an LSTM, and what is read of it: the matrices of x and of h, and the options that are not plain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.onnx.decomposed.forms import Form, Term, Unclear, Variable, columns
from lstm_spec.checkpoints.onnx.decomposed.linear_forms import linear_form, root
from lstm_spec.checkpoints.onnx.decomposed.steps import Graph, Step
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(slots=True)
class Cell:
    """A step and what is known of it; `reason` says why it is read as nothing."""

    step: Step
    node: NodeProto
    k: int = 0
    h: tuple[Scope, str] | None = None
    tensors: dict[str, Value] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    exact: object = None
    reason: str = ""
    key: tuple[object, ...] = ()  # what steps of the same weights share

    def __post_init__(self) -> None:
        named = ((gate, term) for gate, one in self.step.gates.items() for term in one.form.terms)
        self.key = tuple(sorted((gate, term.origin, term.rows) for gate, term in named))

    @property
    def terms(self) -> Iterator[Term]:
        for gate in self.step.gates.values():
            yield from gate.form.terms


def cell_of(step: Step) -> Cell:
    """The step with its k. The first reason that it has none is kept."""
    widths = {gate.form.width for gate in step.gates.values()}
    k = widths.pop()
    cell = Cell(step, step.node, k or 0)
    if widths or k is None:
        cell.reason = "the gates have different widths"
    return cell


def variables_of(cell: Cell) -> list[tuple[Scope, str, int | None]]:
    """What the gates are made from, each once with its width: two values, or the parts of one that joins them."""
    found: dict[Variable, tuple[Scope, str, int | None]] = {}
    for term in cell.terms:
        joined = term.scope.made.get(term.name)
        if joined and joined.node.op_type == "Concat":
            for name in joined.node.input:
                scope, own = root(name, term.scope)
                shape = scope.shapes.get(own)
                found[id(scope), own] = scope, own, shape[-1] if shape else None
        else:
            found[term.variable] = term.scope, term.name, term.matrix.tensor.shape[1]
    return list(found.values())


def values_of(cell: Cell) -> list[tuple[Scope, str]]:
    return [(scope, name) for scope, name, _ in variables_of(cell)]


def met_by(cell: Cell, value: tuple[Scope, str]) -> set[tuple[object, ...]]:
    """What a value is multiplied with: per gate the constants, their rows, and its place where values are joined."""
    own = id(value[0]), value[1]
    found: set[tuple[object, ...]] = set()
    for gate, one in cell.step.gates.items():
        for term in one.form.terms:
            joined = term.scope.made.get(term.name)
            names = joined.node.input if joined and joined.node.op_type == "Concat" else [term.name]
            for place, (scope, name) in enumerate(root(part, term.scope) for part in names):
                if (id(scope), name) == own:
                    found.add((gate, term.origin, term.rows, place))
    return found


def words_of(cell: Cell, variable: tuple[Scope, str]) -> str:
    own = id(variable[0]), variable[1]
    return " ".join(name for term in cell.terms if term.variable == own for name in term.origin).lower()


def sides_of(form: Form, h: tuple[Scope, str], r: int, contents: Contents) -> tuple[Value, Value]:
    """The matrix of x and that of h. Raises Unclear when there are others."""
    own = id(h[0]), h[1]
    terms = list(form.terms)
    if len(terms) == 1:
        return _joined(terms[0], own, r, contents)
    if len(terms) != 2:
        raise Unclear(f"a gate is the sum of {len(terms)} products; x and h are two")
    told = [term.variable == own for term in terms]
    if sum(told) != 1:
        raise Unclear("a gate sees h twice, or never")
    u, w = terms[told.index(True)].matrix, terms[told.index(False)].matrix
    if u.tensor.shape[1] != r:
        raise Unclear(f"h meets {u.tensor.shape[1]} columns and has {r} units")
    return w, u


def _joined(term: Term, own: Variable, r: int, contents: Contents) -> tuple[Value, Value]:
    """The columns of one matrix that [x, h] or [h, x] meets."""
    made = term.scope.made.get(term.name)
    if made is None or made.node.op_type != "Concat" or len(made.node.input) != 2:
        raise Unclear("the gates see one value; x and h are two")
    parts = [root(name, term.scope) for name in made.node.input]
    told = [(id(scope), name) == own for scope, name in parts]
    width = term.matrix.tensor.shape[1]
    if sum(told) != 1 or width <= r:
        raise Unclear(f"x and h together have {width} entries, and h has {r}")
    if told[0]:
        return columns(term, r, width, contents), columns(term, 0, r, contents)
    return columns(term, 0, width - r, contents), columns(term, width - r, width, contents)


def functions_of(step: Step) -> Iterator[tuple[str, Any]]:
    """Activations, clips and couplings that are not plain, as options."""
    gates = {gate: one.function for gate, one in step.gates.items() if gate != "g"}
    if len(set(gates.values())) != 1:
        raise Unclear(f"the gates are {', '.join(gates.values())}; one function for all is read")
    clips = {one.clip for one in step.gates.values()}
    if len(clips) != 1:
        raise Unclear("some sums are clipped before the gates, others are not")
    said = {
        "gate_activation": next(iter(gates.values())),
        "candidate_activation": step.gates["g"].function,
        "output_activation": step.output,
        "clip": clips.pop(),
        "clip_cell": step.clip_cell,
        "coupled": step.coupled,
    }
    plain = {"gate_activation": "sigmoid", "candidate_activation": "tanh", "output_activation": "tanh"}
    yield from ((option, value) for option, value in said.items() if value and value != plain.get(option))


def projections_of(step: Step, graph: Graph) -> Iterator[tuple[str, Form]]:
    """The products of h' with a constant matrix, and these with a bias."""
    own = graph.variable(step.h_after)
    products = [n for n in graph.users_of(step.h_after) if n.op_type in ("MatMul", "Gemm")]
    with_bias = [n for one in products for n in graph.users_of(one.output[0]) if n.op_type == "Add"]
    for node in (*products, *with_bias):
        try:
            form = linear_form(node.output[0], graph.scope, graph.contents)
        except Unclear:
            continue
        if len(form.terms) == 1 and form.terms[0].variable == own and not form.diagonals:
            yield node.output[0], form
