"""A value in an ONNX graph → the sum that it is: constant matrices times values of the run, plus constant vectors.

`Split`, `Slice` and additions are followed backwards from a gate to the products that feed it, so that each gate gets
its own rows of each matrix. Nothing is loaded; a form that is not understood raises Unclear and says what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.checkpoints.files import Malformed
from lstm_spec.checkpoints.onnx.calls import Call, Unfoldable, integers
from lstm_spec.checkpoints.onnx.decomposed.forms import Form, Term, Unclear, derive, entries_of, rows_of, vector_of
from lstm_spec.checkpoints.onnx.foldable import RULES
from lstm_spec.checkpoints.onnx.folding import DOMAINS, fold, rank_of
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value, label_of
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import NodeProto

MAX_STEPS = 64  # nodes between a gate and its products; exporters need fewer than 10
MAX_TERMS = 64  # of one sum: a sum of itself, many times over, has no end
PASSED = ("Identity", "Squeeze", "Unsqueeze", "Cast", "CastLike", "Dropout")


@dataclass(slots=True)
class Walk:
    """How far one value has been followed; what is known of a value is kept."""

    contents: Contents
    depth: int = 0

    def follow(self, name: str, scope: Scope) -> Form:
        """The sum that a value is. Raises Unclear where it is none."""
        owner, own = scope.owner(name)
        known = owner.forms.get(own)
        if known is None:
            owner.forms[own] = Unclear(f"{safe(own)} is made from itself")
            try:
                known = self._followed(own, owner)
            except Unclear as reason:
                known = reason
            owner.forms[own] = known
        if isinstance(known, Form):
            return known
        assert isinstance(known, Unclear)
        raise Unclear(str(known), known.progress)

    def _followed(self, name: str, scope: Scope) -> Form:
        value = worked_out(name, scope, self.contents)
        if isinstance(value, Value):
            return Form(biases=(vector_of(value, self.contents),))
        found = scope.maker(name)
        if found is None:
            raise Unclear(f"{safe(name)} is given when the model runs, and is multiplied with no matrix")
        if self.depth >= MAX_STEPS:
            raise Unclear("it is made by too many nodes")
        self.depth += 1
        try:
            form = self._made(found[0].node, found[0].index, found[1])
        finally:
            self.depth -= 1
        if len(form.terms) + len(form.biases) + len(form.diagonals) > MAX_TERMS:
            raise Unclear(f"it is a sum of more than {MAX_TERMS} products and constants")
        return form

    def _made(self, node: NodeProto, index: int, owner: Scope) -> Form:
        kind = node.op_type if node.domain in DOMAINS else ""
        if kind == "Add" and len(node.input) == 2:
            return self.follow(node.input[0], owner) + self.follow(node.input[1], owner)
        if kind in ("MatMul", "Gemm"):
            return _product(node, owner, self)
        if kind == "Mul" and (scaled := _scaled(node, owner, self.contents)):
            return Form(diagonals=(scaled,))
        if kind in ("Split", "Slice"):
            return _part(node, index, owner, self)
        if kind == "SequenceAt" and (form := _element(node, owner, self)):
            return form
        if kind in PASSED or (kind == "Gather" and _takes_a_step(node, owner, self.contents)):
            return self.follow(node.input[0], owner)
        raise Unclear(f"{safe(node.op_type)} ({safe(owner.join(label_of(node)))}) stands before the products")


def worked_out(name: str, scope: Scope, contents: Contents) -> Value | str:
    """What `fold` gives; the words why there is no constant, too, where it refuses one."""
    try:
        return fold(name, scope, contents)
    except Malformed as error:
        return error.finding.message


def linear_form(name: str, scope: Scope, contents: Contents) -> Form:
    """The sum that a value is. Raises Unclear where it is none."""
    return Walk(contents).follow(name, scope)


def _scaled(node: NodeProto, owner: Scope, contents: Contents) -> Term | None:
    """p * c: a constant vector times a value of the run, entry by entry."""
    if len(node.input) != 2:
        return None
    for vector, other in (node.input, list(node.input)[::-1]):
        value = worked_out(vector, owner, contents)
        if isinstance(value, Value) and len(value.tensor.shape) and value.tensor.shape[-1] > 1:
            value, (scope, own) = vector_of(value, contents), root(other, owner)
            if len(value.tensor.shape) != 1:
                return None
            origin = value.tensor.sources or (value.tensor.name,)
            return Term(scope, own, value, origin, (0, value.tensor.shape[0]))
    return None


def _takes_a_step(node: NodeProto, owner: Scope, contents: Contents) -> bool:
    """Whether Gather takes from an axis before the last: from the first, or from another by the declared rank."""
    attribute = owner.attribute(node, "axis")
    axis = attribute.i if attribute is not None else 0
    rank = rank_of(node.input[0], owner, contents)
    return axis == 0 or (rank is not None and axis % rank != rank - 1)


def _element(node: NodeProto, owner: Scope, walk: Walk) -> Form | None:
    """One part of a SplitToSequence over the last axis: PyTorch's exporter writes `split` and `chunk` so."""
    found, place = owner.maker(node.input[0]), worked_out(node.input[1], owner, walk.contents)
    if found is None or found[0].node.op_type != "SplitToSequence" or not isinstance(place, Value):
        return None
    split, scope = found[0].node, found[1]
    if (axis := scope.attribute(split, "axis")) is None or axis.i == 0:
        return None
    whole = walk.follow(split.input[0], scope)
    sizes = worked_out(split.input[1], scope, walk.contents) if len(split.input) > 1 else ""
    if whole.width is None or not isinstance(sizes, Value):
        return None
    try:
        (number,), listed = integers(place.tensor), integers(sizes.tensor)
    except Unfoldable:
        return None
    if sizes.tensor.shape == ():
        listed = [listed[0]] * (whole.width // max(listed[0], 1))
    number += len(listed) * (number < 0)
    if not 0 <= number < len(listed) or sum(listed) != whole.width or min(listed) < 1:
        return None
    return _cut(whole, sum(listed[:number]), sum(listed[: number + 1]), walk.contents)


def _product(node: NodeProto, owner: Scope, walk: Walk) -> Form:
    """MatMul(x, W), or Gemm(x, W or its transpose, b), as a term whose rows are outputs."""
    label = safe(owner.join(label_of(node)))
    value = worked_out(node.input[1], owner, walk.contents) if len(node.input) > 1 else ""
    if isinstance(value, str) or len(value.tensor.shape) != 2:
        raise Unclear(f"the matrix of {node.op_type} ({label}) is no constant of two axes")
    transposed, bias = False, Form()
    if node.op_type == "Gemm":
        numbers = {a.name: (a.i, a.f) for a in node.attribute}
        if numbers.get("transA", (0, 0))[0] or {numbers.get(n, (0, 1.0))[1] for n in ("alpha", "beta")} != {1.0}:
            raise Unclear(f"Gemm ({label}) scales or turns its input")
        transposed = bool(numbers.get("transB", (0, 0))[0])
        if len(node.input) == 3 and node.input[2]:
            bias = walk.follow(node.input[2], owner)
    name, origin = value.tensor.name, value.tensor.sources or (value.tensor.name,)
    if not transposed:
        value = derive(name, value.tensor.shape[::-1], [value], walk.contents, lambda a: a[0].T)
    scope, own = root(node.input[0], owner)
    return Form((Term(scope, own, value, origin, (0, value.tensor.shape[0])),)) + bias


def root(name: str, scope: Scope) -> tuple[Scope, str]:
    """The graph and the name of a value, seen through nodes that hand it on as it is."""
    owner, own = scope.owner(name)
    for _ in range(MAX_STEPS):
        made = owner.made.get(own)
        if made is None or made.node.op_type not in PASSED:
            break
        owner, own = owner.owner(made.node.input[0])
    return owner, own


def _part(node: NodeProto, index: int, owner: Scope, walk: Walk) -> Form:
    """A range of the last axis; a range of another axis is the same sum."""
    where = f"{node.op_type} ({safe(owner.join(label_of(node)))})"
    axis, whole = _axis(node, owner, walk.contents), walk.follow(node.input[0], owner)
    rank = rank_of(node.input[0], owner, walk.contents)
    if axis == 0 or (axis is not None and rank is not None and axis % rank != rank - 1):
        return whole
    width = whole.width
    inputs = [worked_out(name, owner, walk.contents) if name else None for name in node.input[1:]]
    if axis is None or width is None or any(isinstance(value, str) for value in inputs):
        raise Unclear(f"{where} takes a part that the constants do not tell")
    # the node as it works on the last axis alone, whatever the rank of its input is
    given = [value.tensor if isinstance(value, Value) else None for value in inputs]
    sizes = Tensor("", (width,), "int64", lambda: np.arange(width))
    part = _range(node, [sizes, *given], index, owner)
    if part is None:
        raise Unclear(f"{where} takes no range of rows")
    return _cut(whole, *part, walk.contents)


def _cut(whole: Form, start: int, stop: int, contents: Contents) -> Form:
    terms = tuple(rows_of(term, start, stop, contents) for term in whole.terms)
    if whole.diagonals:
        raise Unclear("a vector is multiplied in before the gates are cut")
    return Form(terms, tuple(entries_of(bias, start, stop, contents) for bias in whole.biases))


def _range(node: NodeProto, inputs: list[Tensor | None], index: int, owner: Scope) -> tuple[int, int] | None:
    """Which entries of a vector the node takes; None where they are no range."""
    if node.op_type == "Slice" and len(inputs) > 3:
        inputs[3] = Tensor("", (1,), "int64", lambda: np.zeros(1, "int64"))

    def attribute(name: str) -> Any:
        return None if name in ("axis", "axes") else owner.attribute(node, name)

    try:
        result = RULES[node.op_type](Call(inputs, len(node.output), index, attribute))
        places = result.compute([tensor.load() for tensor in result.inputs if tensor.load])
    except Unfoldable:
        return None
    if len(places) == 0 or (np.diff(places) != 1).any():
        return None
    return int(places[0]), int(places[-1]) + 1


def _axis(node: NodeProto, owner: Scope, contents: Contents) -> int | None:
    """The one axis that Split or Slice works on: Split's default is 0, Slice's are listed."""
    listed: Sequence[int] = [0]
    if found := owner.attribute(node, "axis") or owner.attribute(node, "axes"):
        listed = list(found.ints) or [found.i]
    elif node.op_type == "Slice" and len(node.input) > 3 and node.input[3]:
        value = worked_out(node.input[3], owner, contents)
        if isinstance(value, str) or value.tensor.load is None or value.tensor.shape not in ((), (1,)):
            return None
        listed = [int(value.tensor.load().reshape(()))]
    return listed[0] if len(listed) == 1 else None
