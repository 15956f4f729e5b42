"""What recurs through a matrix and was read as nothing → the node to point at, and why: a net under the patterns.

Looks for no equations. In an unrolled graph a matrix recurs when a product with it depends on another product with it;
in a loop's body when a state depends on itself through a product; a graph of one step is told by a gate that depends on
two inputs. A gate, or a function of the sum of two products, must lie on the way. Whole numbers carry no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.onnx.decomposed.forms import Unclear
from lstm_spec.checkpoints.onnx.decomposed.linear_forms import MAX_STEPS, PASSED, linear_form, root
from lstm_spec.checkpoints.onnx.decomposed.steps import CARRIERS, Graph, factors, name_of
from lstm_spec.checkpoints.onnx.decomposed.ways import GATE, NOWHERE, PRODUCT, Way, closure_of, sum_of
from lstm_spec.checkpoints.onnx.foldable import RULES
from lstm_spec.checkpoints.onnx.folding import DOMAINS
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, label_of, names_used, nodes_inside
from lstm_spec.errors import safe

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

    Found = tuple[NodeProto, str]

PRODUCTS = ("MatMul", "Gemm", "Conv", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulNBits", "QGemm", "FusedMatMul")
# what gives whole numbers or truths: an index that is looked up again carries no state
STOPS = frozenset("ArgMax ArgMin Shape Size NonZero Equal Greater Less GreaterOrEqual LessOrEqual Not And Or".split())
UNARY = frozenset(
    "Sigmoid HardSigmoid Tanh Relu Softsign Softplus Elu LeakyRelu Selu Celu Gelu Mish HardSwish ThresholdedRelu Clip"
    " Sin Cos Erf Exp Log Sqrt Abs Neg Sign Reciprocal Pow".split()
)
PLAIN = frozenset({*UNARY, *PASSED, "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum"})  # entry by entry
SHRINKING = ("Reduce", "Softmax", "GlobalAveragePool", "LpNormalization", "DynamicQuantizeLinear")
BITS = 1024  # matrices that are followed at once
MOST_SOURCES = 8
MOST_REASONS = 4096  # that are pointed at, of steps that were not read
Matrix = tuple[str, ...]  # the names of the constants that it is made from


@dataclass(slots=True)
class Told:
    """What has been said of a graph: the additions that are told of, by cell; why others were not
    read, and which of these are covered by what has been told since."""

    nodes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, Found] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    count: int = 0

    def add(self, nodes: Iterable[NodeProto]) -> None:
        """These additions are steps of one cell, which has been told of."""
        self.nodes |= {node.output[0]: self.count for node in nodes}
        self.count += 1


def tell_recurrences(graph: GraphProto | FunctionProto, seen: Graph, told: Told) -> Iterator[Found]:
    """The nodes where something recurs that has not been told of, with the reason."""
    net = Net(graph, seen.scope, seen.contents, told)
    loop = CARRIERS.get(seen.scope.kind)
    found = (net.of_states(loop, seen.scope.states) if loop else net.of_one_step(), net.of_matrices())
    yielded: set[int] = set()
    for node, reason in chain.from_iterable(found):
        if id(node) not in yielded:
            yielded.add(id(node))
            yield node, reason


class Net:
    """A graph's nodes in their order, each with what it is: a product with a matrix, a gate, or neither."""

    def __init__(self, graph: GraphProto | FunctionProto, scope: Scope, contents: Contents, told: Told) -> None:
        self.graph, self.scope, self.contents, self.told = graph, scope, contents, told
        self.used = {id(node): [name for name in names_used(node) if scope.knows(name)] for node in graph.node}
        self.stems: dict[str, str] = {}
        self.products: dict[int, Matrix] = {}
        self.gates: set[int] = set()
        self.ways: dict[str, Way] = {}
        self.marks: dict[int, int] = {}
        self.made_from: dict[tuple[int, str], Matrix] = {}
        self.noted = dict(zip(told.reasons, range(told.count, told.count + MOST_REASONS), strict=False))
        for node in graph.node:
            self._classify(node)

    def _classify(self, node: NodeProto) -> None:
        names = [name for name in self.used[id(node)] if not self._is_constant(name)]
        stems = list(dict.fromkeys(self.stems.get(name, name) for name in names))
        plain = node.op_type in PLAIN and len(stems) == 1
        for name in node.output:
            self.stems[name] = stems[0] if plain else name
        if matrix := self._matrix(node):
            self.products[id(node)] = matrix
        if node.op_type == "Mul" and len(stems) == 2 and not any(self._shrinks(stem) for stem in stems):
            self.gates.add(id(node))
        if node.op_type in UNARY and self._is_of_two(node):
            self.gates.add(id(node))
        if any(inner.op_type in PRODUCTS for inner in nodes_inside(node, self.contents)):  # and may hold a gate
            self.products[id(node)] = (label_of(node),)
            self.gates.add(id(node))

    def _is_constant(self, name: str) -> bool:
        return bool(self._sources(name, self.scope))

    def _matrix(self, node: NodeProto) -> Matrix:
        """The names of the constants that a product multiplies with."""
        if node.op_type not in PRODUCTS or len(node.input) < 2 or not self.scope.knows(node.input[1]):
            return ()
        return self._sources(node.input[1], self.scope)

    def _sources(self, name: str, scope: Scope, depth: int = 0) -> Matrix:
        """The constants that a value is made from, nothing for one of the run; none is worked out, however large."""
        owner, own = scope.owner(name)
        if (key := owner.keys.get(own)) is not None:
            return (key,)
        known = self.made_from.get((id(owner), own))
        if known is None:
            known, made = (), owner.made.get(own)
            self.made_from[id(owner), own] = known  # nothing is made from itself
            if made and made.node.op_type in RULES and depth < MAX_STEPS and all(map(owner.knows, made.node.input)):
                parts = [self._sources(one, owner, depth + 1) for one in made.node.input]
                whole = sorted({source for part in parts for source in part})
                known = (tuple(whole) if len(whole) <= MOST_SOURCES else (own,)) if all(parts) else ()
            self.made_from[id(owner), own] = known
        return known

    def _shrinks(self, stem: str) -> bool:
        made = self.scope.made.get(stem)
        return made is not None and made.node.op_type.startswith(SHRINKING)

    def _is_of_two(self, node: NodeProto) -> bool:
        """Whether the node applies a function to the sum of two products, or to a product with joined values."""
        try:
            form = linear_form(node.input[0], self.scope, self.contents)
        except Unclear:
            return False
        values = {term.variable: term for term in form.terms}
        joined = [t for t in values.values() if (m := t.scope.made.get(t.name)) and m.node.op_type == "Concat"]
        return len(values) > 1 or bool(joined)

    def _walk(
        self, sources: Mapping[str, int], matrices: Mapping[Matrix, int], shift: int
    ) -> Iterator[tuple[NodeProto, Way]]:
        """For each node, what goes into it depends on; `ways` is filled with what comes out.

        What is told of is a source too, behind `shift`; `marks` are the sources that each of these depends on.
        """
        self.ways, self.marks = {name: Way((bit, 0, 0, 0)) for name, bit in sources.items()}, {}
        for node in self.graph.node:
            way = NOWHERE
            for name in self.used[id(node)]:
                way |= self.ways.get(name, NOWHERE)
            yield node, way
            if id(node) in self.gates:
                way = way.past(GATE)
            if (matrix := self.products.get(id(node))) is not None:
                way = way.past(PRODUCT) | Way((matrices.get(matrix, 0), 0, 0, 0))
            mark = self.told.nodes.get(node.output[0], self.noted.get(node.output[0])) if node.output else None
            if mark is not None:
                self.marks[mark] = self.marks.get(mark, 0) | way.any
                way |= Way((1 << (mark + shift), 0, 0, 0))
            for name in node.output:
                self.ways[name] = NOWHERE if node.op_type in STOPS else way

    def _said(
        self, node: NodeProto, sources: int, way: int, shift: int, otherwise: str
    ) -> tuple[NodeProto, str] | None:
        """Where a circle through these sources is, and why it is not read; None where it is told of."""
        on = [mark for mark, before in self.marks.items() if way >> (mark + shift) & 1 and before & sources]
        names = {number: name for name, number in self.noted.items()}
        if any(mark < self.told.count for mark in on):
            return None
        # the last step of a chain is on no circle; it depends on one
        self.told.covered |= {names[mark] for mark, before in self.marks.items() if mark in names and before & sources}
        return self.told.reasons[names[min(on)]] if on else (node, otherwise)

    def of_matrices(self) -> Iterator[Found]:
        """Matrices that meet what they made, in an unrolled graph."""
        counts: dict[Matrix, int] = {}
        for matrix in self.products.values():
            counts[matrix] = counts.get(matrix, 0) + 1
        again = [matrix for matrix, count in counts.items() if count > 1]
        for start in range(0, len(again), BITS):
            part = {matrix: 1 << number for number, matrix in enumerate(again[start : start + BITS])}
            hits: dict[Matrix, tuple[NodeProto, int]] = {}
            for node, way in self._walk({}, part, BITS):
                matrix = self.products.get(id(node), ())
                if matrix in part and way.through(GATE) & part[matrix]:
                    hits[matrix] = node, way.any
            done = 0
            for matrix, (node, way_in) in hits.items():
                reason = f"{safe(matrix[0])} meets again what was made with it, past a gate or a function"
                said = self._said(node, part[matrix], way_in, BITS, reason)
                if said is not None and not done & part[matrix]:
                    yield said
                circle = (part[m] for m, (_, other) in hits.items() if other & part[matrix] and way_in & part[m])
                done |= sum_of(circle)

    def of_states(self, carriers: tuple[int, int], count: int) -> Iterator[Found]:
        """States of a loop that depend on themselves through a product and a gate."""
        first, skipped = carriers
        states = [name_of(value) for value in self.graph.input][first : first + count]
        after = [name_of(value) for value in self.graph.output][skipped : skipped + count]
        for _ in self._walk({name: 1 << number for number, name in enumerate(states)}, {}, len(states)):
            pass
        ways = [self.ways.get(name, NOWHERE) for name in after]
        reach = closure_of([way.any & ((1 << len(states)) - 1) for way in ways])
        for number, mask in enumerate(reach):
            circle = [other for other in range(len(ways)) if mask >> other & 1 and reach[other] >> number & 1]
            inside = sum_of(1 << other for other in circle)
            passed = [sum_of(ways[other].through(what) for other in circle) & inside for what in (PRODUCT, GATE)]
            made = [self.scope.made[root(after[o], self.scope)[1]] for o in circle if self._own(after[o])]
            if number != min(circle, default=-1) or not all(passed) or not made:
                continue
            names = ", ".join(safe(states[other]) for other in circle)
            reason = f"the loop brings {names} back through a matrix and a gate or a function"
            way_in = sum_of(ways[other].any for other in circle)
            if (said := self._said(made[0].node, inside, way_in, len(states), reason)) is not None:
                yield said

    def _own(self, name: str) -> bool:
        if not self.scope.knows(name):
            return False
        scope, own = root(name, self.scope)
        return scope is self.scope and own in scope.made

    def of_one_step(self) -> Iterator[Found]:
        """f * c + …, where c is given and f depends on two other inputs, or on two and the rest is made."""
        inputs = {name_of(value): 1 << number for number, value in enumerate(self.graph.input)}
        for _ in self._walk(inputs, {}, len(inputs)):
            pass
        self.inputs = inputs
        for node in self.graph.node:
            if node.op_type != "Add" or node.domain not in DOMAINS or len(node.input) != 2:
                continue
            kept, written = node.input
            if node.output[0] not in self.told.nodes and (self._keeps(kept, written) or self._keeps(written, kept)):
                reason = f"{safe(node.output[0])} is a given value times a gate that sees two more, plus a product"
                self.told.covered.add(node.output[0])
                yield self.told.reasons.get(node.output[0], (node, reason))

    def _keeps(self, kept: str, written: str) -> bool:
        one, other = factors(kept, self.scope), factors(written, self.scope)
        if not one or not other:
            return False
        for f, c in (one, one[::-1]):
            given = self.inputs.get(self._given(c) or "", 0)
            seen = self.ways.get(root(f, self.scope)[1], NOWHERE).through(PRODUCT) & ((1 << len(self.inputs)) - 1)
            made = not any(self._given(factor) for factor in other)
            enough = (seen if made else seen & ~given).bit_count() > 1
            if given and enough and not self._is_linear(f):
                return True
        return False

    def _given(self, name: str) -> str | None:
        """The input of the graph that a value is, but for its place in it."""
        for _ in range(16):
            scope, name = root(name, self.scope)
            made = scope.made.get(name) if scope is self.scope else None
            if made is None:
                return name if scope is self.scope else None
            if made.node.op_type not in ("Gather", "Slice", "Split", "Reshape", "Transpose"):
                return None
            name = made.node.input[0]
        return None

    def _is_linear(self, name: str) -> bool:
        try:
            linear_form(name, self.scope, self.contents)
        except Unclear:
            return False
        return True
