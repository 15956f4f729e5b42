"""Steps → cells: which product is h's, what the options are, and that h and c are what the step before left.

A value is h where the step, or the round of the loop, that leaves the cell's c leaves it too. That another step leaves
it says nothing: the x of a stacked cell is the h of the cell below. A product with anything else, such as a
multiplicative LSTM's, is no LSTM's, whatever its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.onnx.decomposed.cells import (
    Cell,
    functions_of,
    met_by,
    projections_of,
    sides_of,
    values_of,
    variables_of,
    words_of,
)
from lstm_spec.checkpoints.onnx.decomposed.forms import Form, Unclear, Variable, total
from lstm_spec.checkpoints.onnx.decomposed.linear_forms import MAX_STEPS, PASSED, root
from lstm_spec.checkpoints.onnx.decomposed.steps import CARRIERS, Graph, Step, is_constant, name_of
from lstm_spec.checkpoints.onnx.scopes import Scope, Value
from lstm_spec.errors import safe

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto

HIDDEN_NAMES = ("hh", "recurrent", "hidden")
PLACED = (*PASSED, "Gather", "Slice", "Split", "Reshape", "Transpose", "Expand", "Flatten")
MAX_VISITS = 20_000


@dataclass(slots=True)
class Left:
    """What a step leaves as h: its own, or a projection of it."""

    step: Step
    projection: Form | None = None


class Chain:
    """The steps of a graph by what they leave, and the states that its loop carries."""

    def __init__(self, graph: GraphProto | FunctionProto, seen: Graph, steps: list[Step]) -> None:
        self.graph = seen
        self.carried = dict(_carried(graph, seen))
        self.h = {seen.variable(step.h_after): Left(step) for step in steps}
        self.c = {seen.variable(step.c_after): step for step in steps}
        for step in steps:
            for name, form in projections_of(step, seen):
                self.h.setdefault(seen.variable(name), Left(step, form))
        self.left: dict[int, list[Variable]] = {id(step): [] for step in steps}
        for value, made in (*((v, left.step) for v, left in self.h.items()), *self.c.items()):
            self.left[id(made)].append(value)

    def before(self, scope: Scope, name: str) -> Variable:
        """The value that stands for this one a round before, where the loop carries it; else itself."""
        own = (id(scope), name)
        return self.carried.get(own, own)

    def settle(self, cells: list[Cell]) -> None:
        """Finds each cell's h, its weights and options, and holds its states to what the others leave."""
        groups: dict[object, list[Cell]] = {}
        for cell in cells:
            groups.setdefault(cell.key, []).append(cell)
        for equal in groups.values():
            own = self._left_by(equal)
            known = self._known(equal, own)
            chained = any(one.h and self.before(*one.h) in own for one in equal)
            for cell in equal:
                if not cell.reason and cell.h is None:
                    self._settle_h(cell, known)
                if not cell.reason:
                    try:
                        self._read(cell, known)
                        self._hold(cell, own, chained)
                    except Unclear as reason:
                        cell.reason = str(reason)
        _absorb(cells, self)

    def _left_by(self, equal: list[Cell]) -> set[Variable]:
        """What these steps leave as h or c."""
        return {value for one in equal for value in self.left[id(one.step)]}

    def _known(self, equal: list[Cell], own: set[Variable]) -> Cell | None:
        """Finds h where the wiring tells it: what comes from where c comes from, of the same weights if any is. Where
        it is told of none, what comes from a step of the same weights is h, and c does not fit it."""
        sound = [cell for cell in equal if not cell.reason]
        for cell in sound:
            cell.h = self._with_c(cell, self._from(cell, own) or values_of(cell))
        if not any(cell.h for cell in sound):
            for cell in sound:
                found = self._from(cell, own)
                cell.h = found[0] if len(found) == 1 else None
        return next((one for one in sound if one.h), None)

    def _from(self, cell: Cell, own: set[Variable]) -> list[tuple[Scope, str]]:
        return [value for value in values_of(cell) if self.before(*value) in own]

    def _with_c(self, cell: Cell, values: list[tuple[Scope, str]]) -> tuple[Scope, str] | None:
        """The one of these that the step which leaves the cell's c leaves as h."""
        made = self.c.get(self.before(*cell.step.c))
        lefts = [(value, self.h.get(self.before(*value))) for value in values]
        found = [value for value, left in lefts if left and left.step is made]
        return found[0] if len(found) == 1 else None

    def _settle_h(self, cell: Cell, known: Cell | None) -> None:
        """By the matrix that meets h in an equal step; else by a constant beside a constant c, by the width of h, by
        names."""
        seen = list(variables_of(cell))
        if len(seen) == 1:
            cell.reason = "the gates see one value; x and h are two"
            return
        if len(seen) != 2:
            cell.reason = f"a gate is the sum of {len(seen)} products; x and h are two"
            return
        met = met_by(known, known.h) if known and known.h else None
        begins = is_constant(cell.step.c[1], cell.step.c[0], self.graph.contents)
        widths = {form.width for form in self._going_out(cell)} or {cell.k}
        words = [words_of(cell, (s, n)) for s, n, _ in seen]
        tests = (
            [met_by(cell, (s, n)) == met for s, n, _ in seen],
            [begins and is_constant(n, s, self.graph.contents) for s, n, _ in seen],
            [width in widths for _, _, width in seen],
            [any(word in origin for word in HIDDEN_NAMES) for origin in words],
        )
        told = next((test for test in tests if sum(test) == 1), None)
        if told is None:
            joined = len({term.variable for term in cell.terms}) == 1
            where = " in the value that joins them" if joined else ": both have as many columns as there are units"
            cell.reason = f"nothing tells x from h{where}"
            return
        cell.h = seen[told.index(True)][:2]

    def _going_out(self, cell: Cell) -> list[Form]:
        """The projections of h that the graph gives out, where it does not give out h itself."""
        if self.graph.variable(cell.step.h_after) in self.graph.outputs:
            return []
        left = [one for value, one in self.h.items() if value in self.graph.outputs and one.step is cell.step]
        return [one.projection for one in left if one.projection]

    def _read(self, cell: Cell, known: Cell | None) -> None:
        """The weights and the options. Raises Unclear when they are none of ours."""
        assert cell.h is not None
        step, contents = cell.step, self.graph.contents
        projection = self._projection(cell, known)
        r = cell.k if projection is None else projection.width or 0
        for gate, one in step.gates.items():
            w, u = sides_of(one.form, cell.h, r, contents)
            cell.tensors |= {f"W_{gate}": w, f"U_{gate}": u}
        cell.options |= dict(functions_of(step))
        if projection is not None:
            cell.tensors["W_proj"] = projection.terms[0].matrix
            cell.options["projection"] = True
            if projection.biases:
                bias = total(projection.biases, r, contents)
                if bias is None:
                    raise Unclear("the bias of the projection has another width")
                cell.tensors["b_proj"] = bias
                cell.options["projection_bias"] = True
        cell.options |= self._peepholes(cell)
        biases = tuple(_origin(b) for one in step.gates.values() for b in one.form.biases)
        diagonals = tuple(t.origin for one in step.gates.values() for t in one.form.diagonals)
        cell.exact = (met_by(cell, cell.h), biases, diagonals, tuple(cell.options.items()))

    def _projection(self, cell: Cell, known: Cell | None) -> Form | None:
        """What the step before projects h with; of a step alone, a projection of its h that goes out as wide as h."""
        assert cell.h is not None
        for one in (cell, known):
            if one and one.h and (left := self.h.get(self.before(*one.h))):
                return left.projection
        wanted = [width for s, n, width in variables_of(cell) if (s, n) == cell.h]
        fits = [form for form in self._going_out(cell) if form.width in wanted]
        return fits[0] if fits else None

    def _peepholes(self, cell: Cell) -> dict[str, Any]:
        """The vectors that c is multiplied with in the gates, and which c o sees."""
        step = cell.step
        said: dict[str, Any] = {}
        before, after = (id(step.c[0]), step.c[1]), self.graph.variable(step.c_after)
        for gate, one in step.gates.items():
            if not one.form.diagonals:
                continue
            (term, *more) = one.form.diagonals
            seen = "before" if term.variable == before else "after" if term.variable == after else ""
            if more or gate == "g" or not seen or (seen == "after" and gate != "o") or term.rows != (0, cell.k):
                raise Unclear(f"the gate {gate} sees {safe(term.name)} through a vector, which is no peephole on c")
            cell.tensors[f"p_{gate}"] = term.matrix
            said |= {"peephole": True} | ({"peephole_output": "before"} if gate == "o" and seen == "before" else {})
        lacking = [g for g in step.gates if g != "g" and f"p_{g}" not in cell.tensors]
        if said and lacking:
            raise Unclear(f"{', '.join(lacking)} has no peephole and other gates have one")
        return said

    def _hold(self, cell: Cell, own: set[Variable], chained: bool) -> None:
        """Raises Unclear unless h and c are what a step before left, or given, or a beginning."""
        assert cell.h is not None
        h, c = self.before(*cell.h), self.before(*cell.step.c)
        left = self.h.get(h)
        if left is not None and h in own:
            if self.c.get(c) is not left.step:
                raise Unclear(f"c is {self._made(*cell.step.c)}, and no c' of the step that leaves h")
            return
        for letter, (scope, name), known in (("h", cell.h, self.h), ("c", cell.step.c, self.c)):
            if (id(scope), name) in self.carried and self.carried[id(scope), name] not in known:
                raise Unclear(f"the loop carries another value than {letter}'")
            if self.before(scope, name) in known or self._begins(scope, name):
                continue
            if not chained or self._depends(scope, name, own):
                raise Unclear(f"{letter} is {self._made(scope, name)}, and not what a step before leaves")

    def _begins(self, scope: Scope, name: str) -> bool:
        """Whether a value is given or constant, but for its place in a larger one."""
        for _ in range(MAX_STEPS):
            if is_constant(name, scope, self.graph.contents):
                return True
            scope, name = root(name, scope)
            made = scope.made.get(name)
            if made is None or made.node.op_type == "ConstantOfShape":
                return True
            if (made.node.domain, made.node.op_type) in self.graph.contents.functions:
                return True
            if made.node.op_type not in PLACED:
                return False
            name = made.node.input[0]
        return False

    def _made(self, scope: Scope, name: str) -> str:
        made = scope.made.get(name)
        return f"made by {safe(made.node.op_type)} ({safe(name)})" if made else safe(name)

    def _depends(self, scope: Scope, name: str, values: set[Variable]) -> bool:
        """Whether a value is made from one of these."""
        stack = [(scope, name)]
        seen: set[Variable] = set()
        while stack and len(seen) < MAX_VISITS:
            owner, own = stack.pop()
            owner, own = root(own, owner)
            if (id(owner), own) in values:
                return True
            made = owner.made.get(own)
            if made is None or (id(owner), own) in seen:
                continue
            seen.add((id(owner), own))
            stack += [(owner, one) for one in made.node.input if one]
        return bool(stack)


def _absorb(cells: list[Cell], chain: Chain) -> None:
    """A first step whose c is a constant may lack what was worked out with it; all others must be equal."""
    whole: dict[tuple[object, ...], Cell] = {}
    sound = {id(cell) for cell in cells if not cell.reason and cell.h and chain.before(*cell.h) in chain.h}
    for cell in cells:
        if id(cell) in sound:
            whole.setdefault(cell.key, cell)
    for cell in cells:
        same = whole.get(cell.key) or next((whole[key] for key in whole if set(cell.key) < set(key)), None)
        if same is None or same is cell:
            continue
        if id(cell) not in sound and is_constant(cell.step.c[1], cell.step.c[0], chain.graph.contents):
            cell.step, cell.reason, cell.key = same.step, "", same.key
            cell.tensors, cell.options, cell.exact = same.tensors, same.options, same.exact
        elif cell.exact != same.exact:
            cell.reason = (
                cell.reason or "two steps of the same weights differ in what meets h, biases, peepholes or functions"
            )


def _carried(graph: GraphProto | FunctionProto, seen: Graph) -> Iterator[tuple[Variable, Variable]]:
    """The states of a loop's body: what goes in, and what comes out of the round before."""
    if seen.scope.kind not in CARRIERS:
        return
    first, shift = CARRIERS[seen.scope.kind]
    inputs = [name_of(value) for value in graph.input][first : first + seen.scope.states]
    outputs = [name_of(value) for value in graph.output][shift:]
    for name, out in zip(inputs, outputs, strict=False):
        if not seen.scope.knows(out):
            continue
        yield (id(seen.scope), name), seen.variable(out)


def _origin(value: Value) -> tuple[str, ...]:
    return value.tensor.sources or (value.tensor.name,)
