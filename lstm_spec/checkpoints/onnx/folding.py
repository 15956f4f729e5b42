"""A name in an ONNX graph → the constant that it stands for, worked out from other constants; or why it is none.

Exporters leave Slice, Concat, Unsqueeze and their like between a file's weights and the operator that uses them. Here
such a chain becomes one `Tensor` with a derived shape whose values are computed when they are asked for. Bounded: the
work of a chain is counted before anything is allocated, and one that costs more than its sources justify is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lstm_spec.checkpoints.files import Array, blamed_on, malformed
from lstm_spec.checkpoints.onnx.calls import Call, Result, Unfoldable, integers
from lstm_spec.checkpoints.onnx.foldable import RULES
from lstm_spec.checkpoints.onnx.scopes import OWN_DOMAINS, Contents, Scope, Value, label_of
from lstm_spec.checkpoints.shapes import checked_shape
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import NodeProto

DOMAINS = OWN_DOMAINS
MAX_CHAIN = 200  # nodes between a source and what is used; real exporters need fewer than 10
FREE = 2**20  # elements of work that need no justification
FACTOR = 64  # work in elements for each element of a source: silero's W needs 4
MAX_SUM = 8  # nested additions that are searched for a product
PENDING = "it is made from itself"
GIVEN = "it is given when the model runs"


@dataclass(frozen=True, slots=True)
class Folded:
    """Returns the values of what a node makes."""

    path: str
    result: Result
    where: str

    def __call__(self) -> Array:
        with blamed_on(self.path):
            arrays = [tensor.load() for tensor in self.result.inputs if tensor.load]
            try:
                with np.errstate(all="ignore"):  # a stranger's numbers may overflow
                    array = np.array(self.result.compute(arrays), order="C")
            except (IndexError, ValueError, ZeroDivisionError, OverflowError):
                array = None
            if array is None or array.shape != self.result.shape:
                raise malformed("constant", "the constants do not fit the node that joins them", where=self.where)
            return array


def fold(name: str, scope: Scope, contents: Contents) -> Value | str:
    """The constant that the name stands for, or the words why it is none.

    Raises Malformed when names go in a circle, mean nothing, or lead to a shape that no array has.
    """
    first = scope.owner(name)
    stack = [first]
    while stack:
        owner, own = stack[-1]
        if owner.values.get(own, PENDING) is not PENDING:
            stack.pop()
            continue
        missing = _missing(owner, own, contents)
        if not missing:
            stack.pop()
        for needed, known_as in missing:
            if needed.values.get(known_as) is PENDING:
                raise malformed("circle", f"{safe(known_as)} is made from itself", where=needed.path)
        if missing:
            owner.values[own] = PENDING
            stack += missing
    owner, own = first
    return owner.values[own]


def _missing(owner: Scope, own: str, contents: Contents) -> list[tuple[Scope, str]]:
    """What must be folded first; nothing when the name has got its value."""
    if (key := owner.keys.get(own)) is not None:
        owner.values[own] = Value(contents.tensors[key])
        return []
    if own not in owner.made:
        owner.values[own] = GIVEN
        return []
    node, index = owner.made[own].node, owner.made[own].index
    if node.domain not in DOMAINS or node.op_type not in RULES:
        owner.values[own] = f"{safe(node.op_type)} ({safe(owner.join(label_of(node)))}) makes it at run time"
        return []
    needs = [owner.owner(name) for name in node.input if name]
    missing = [(scope, name) for scope, name in needs if scope.values.get(name, PENDING) is PENDING]
    if not missing:
        owner.values[own] = _apply(node, index, owner, own, contents)
    return missing


def _apply(node: NodeProto, index: int, scope: Scope, own: str, contents: Contents) -> Value | str:
    """What the node makes of its inputs, all of which are folded."""
    where = safe(scope.join(label_of(node)))
    inputs = [_known(name, scope) if name else None for name in node.input]
    if node.op_type == "Identity" and len(inputs) == 1 and inputs[0] is not None:
        return inputs[0]
    values = [value for value in inputs if isinstance(value, Value)]
    told = [value for value in inputs if isinstance(value, str)]
    if told and (axis := _asked_axis(node, scope, contents)):
        values, result = [], Result((1,), "int64", (), lambda a: np.array([axis]))
    elif told and (sizes := _declared_sizes(node, scope)) is not None:
        values, result = [], Result((len(sizes),), "int64", (), lambda a: np.array(sizes, "int64"))
    else:
        if told:
            return told[0]
        call = Call(
            [value.tensor if isinstance(value, Value) else None for value in inputs],
            len(node.output),
            index,
            lambda name: scope.attribute(node, name),
        )
        try:
            result = RULES[node.op_type](call)
        except Unfoldable as reason:
            return f"{node.op_type} ({where}) is not worked out: {reason}"
    return fold_result(result, values, scope.join(own), where, contents)


def _known(name: str, scope: Scope) -> Value | str:
    owner, own = scope.owner(name)
    return owner.values[own]


def fold_result(result: Result, values: list[Value], name: str, where: str, contents: Contents) -> Value:
    shape = checked_shape(result.shape, name)
    sources = {key: None for value in values for key in (value.tensor.sources or (value.tensor.name,))}
    present = sum(prod(contents.tensors[key].shape) for key in sources if key in contents.tensors)
    cost = max(prod(shape), 1) + sum(value.cost for value in values)
    depth = 1 + max((value.depth for value in values), default=0)
    if cost > FREE + FACTOR * present:
        expected = f"at most {FREE + FACTOR * present} for constants of {present} elements"
        raise malformed("too-large", f"working out {safe(name)} is too much work", where=where, expected=expected)
    if depth > MAX_CHAIN:
        raise malformed("nesting", f"{safe(name)} is made by too long a chain of nodes", expected=f"{MAX_CHAIN} nodes")
    loadable = all(tensor.load for tensor in result.inputs)
    load = Folded(contents.path, result, where) if loadable else None
    outside = any(tensor.outside for tensor in result.inputs)
    return Value(Tensor(name, shape, result.dtype, load, tuple(sources), outside), cost, depth)


def add_folded(value: Value, contents: Contents, name: str = "") -> str:
    """The key of a constant among the tensors: the file's own, or that of the folded one, which is added once.

    `name` is what to call it where the graph has no name for it.
    """
    if value.depth == 0:
        return value.tensor.name
    if id(value) not in contents.folded:
        tensor = replace(value.tensor, name=contents.keys.claim(name or value.tensor.name))
        contents.folded[id(value)] = value, contents.add(tensor)
    return contents.folded[id(value)][1]


def _declared_sizes(node: NodeProto, scope: Scope) -> list[int] | None:
    """What Shape gives of a value that is no constant, where the graph declares the sizes that are asked for.

    PyTorch's exporter asks an initial state for its units, `Shape(h, start=2, end=3)`, and cuts W, R and B by it.
    """
    if node.op_type != "Shape" or len(node.input) != 1:
        return None
    owner, own = scope.owner(node.input[0])
    start, end = (scope.attribute(node, name) for name in ("start", "end"))
    declared = owner.shapes.get(own)
    if declared is None:
        return None
    part = declared[start.i if start is not None else 0 : end.i if end is not None else None]
    sizes = [size for size in part if size is not None]
    return sizes if part and len(sizes) == len(part) else None


def _asked_axis(node: NodeProto, scope: Scope, contents: Contents) -> int | None:
    """The size that `Gather(Shape(v), -1)` asks for, or by the last axis' number, of a v that is no constant.

    PyTorch's exporter writes the bounds of `chunk` so.
    """
    if node.op_type != "Gather" or not (found := scope.maker(node.input[0])) or found[0].node.op_type != "Shape":
        return None
    places = _known(node.input[1], scope) if len(node.input) == 2 else ""
    try:
        asked = [] if isinstance(places, str) else integers(places.tensor)
    except Unfoldable:
        return None
    if asked != [-1] and asked != [(rank_of(found[0].node.input[0], found[1], contents) or 0) - 1]:
        return None
    return last_axis(found[0].node.input[0], found[1], contents)


def last_axis(name: str, scope: Scope, contents: Contents, depth: int = 0) -> int | None:
    """The length of the last axis of a value that is no constant, where a product with a constant gives it."""
    if depth > MAX_SUM or not (found := scope.maker(name)):
        return None
    node, owner = found[0].node, found[1]
    if node.op_type in ("MatMul", "Gemm") and len(node.input) > 1:
        right = fold(node.input[1], owner, contents)
        if isinstance(right, str) or len(right.tensor.shape) != 2:
            return None
        transposed = node.op_type == "Gemm" and (flag := owner.attribute(node, "transB")) is not None and flag.i
        return right.tensor.shape[0 if transposed else 1]
    if node.op_type == "Add":
        axes = (last_axis(one, owner, contents, depth + 1) for one in node.input)
        return next((axis for axis in axes if axis), None)
    return None


def rank_of(name: str, scope: Scope, contents: Contents, depth: int = 0) -> int | None:
    """How many axes a value has, where the graph declares it or the nodes that make it tell; None where none does."""
    owner, own = scope.owner(name)
    if (shape := owner.shapes.get(own)) is not None:
        return len(shape)
    if (key := owner.keys.get(own)) is not None:
        return len(contents.tensors[key].shape)
    made = owner.made.get(own)
    if made is None or depth > MAX_SUM:
        return None
    node = made.node
    if node.op_type == "Transpose" and (perm := owner.attribute(node, "perm")) is not None:
        return len(perm.ints)
    if node.op_type not in ("MatMul", "Add", "Identity", "Cast", "Gather"):
        return None
    ranks = [rank_of(one, owner, contents, depth + 1) for one in node.input[:2]]
    if node.op_type == "Gather" and ranks[-1] == 0:
        return None if ranks[0] is None else ranks[0] - 1
    if node.op_type == "Gather":
        return None
    return ranks[0] if node.op_type != "Add" else max((rank for rank in ranks if rank is not None), default=None)
