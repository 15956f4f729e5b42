"""A value in an ONNX graph → the sum that it is: constant matrices times values of the run, plus constant vectors.

`Split`, `Slice` and additions are followed backwards from a gate to the products that feed it, so that each gate gets
its own rows of each matrix. Nothing is loaded; a form that is not understood is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_spec.checkpoints.files import Array
from lstm_spec.checkpoints.onnx.calls import Call, Result, Unfoldable
from lstm_spec.checkpoints.onnx.foldable import RULES
from lstm_spec.checkpoints.onnx.folding import fold, fold_result
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import NodeProto

MAX_STEPS = 64  # nodes between a gate and its products; exporters need fewer than 10
PASSED = ("Identity", "Squeeze", "Unsqueeze", "Cast", "Dropout")
Variable = tuple[int, str]  # the graph that defines it, its name there


@dataclass(frozen=True, slots=True)
class Term:
    """`matrix` (rows × columns) times the value `name` of the graph `scope`; `rows` of what `origin` names."""

    scope: Scope
    name: str
    matrix: Value
    origin: tuple[str, ...]
    rows: tuple[int, int]

    @property
    def variable(self) -> Variable:
        return id(self.scope), self.name


@dataclass(frozen=True, slots=True)
class Form:
    """The sum of the terms and the biases, each bias a vector or one number."""

    terms: tuple[Term, ...] = ()
    biases: tuple[Value, ...] = ()

    def __add__(self, other: Form) -> Form:
        return Form(self.terms + other.terms, self.biases + other.biases)

    @property
    def width(self) -> int | None:
        """How many rows it has; None without a term."""
        widths = {term.matrix.tensor.shape[0] for term in self.terms}
        return widths.pop() if len(widths) == 1 else None


def linear_form(name: str, scope: Scope, contents: Contents, steps: int = 0) -> Form | None:
    """The sum that a value is, or None. Raises Malformed for what `fold` does."""
    value = fold(name, scope, contents)
    if isinstance(value, Value):
        vector = _vector(value, contents)
        return Form(biases=(vector,)) if vector else None
    found = scope.maker(name)
    if found is None or steps > MAX_STEPS or found[0].node.domain not in ("", "ai.onnx"):
        return None
    made, owner = found
    node = made.node

    def follow(one: str) -> Form | None:
        return linear_form(one, owner, contents, steps + 1)

    if node.op_type == "Add" and len(node.input) == 2:
        left, right = (follow(one) for one in node.input)
        return left + right if left and right else None
    if node.op_type in ("MatMul", "Gemm"):
        return _product(node, owner, contents, follow)
    if node.op_type in ("Split", "Slice"):
        return _part(node, made.index, owner, contents, follow)
    if node.op_type == "Gather":
        axis = owner.attribute(node, "axis")
        return follow(node.input[0]) if axis is None or axis.i == 0 else None
    return follow(node.input[0]) if node.op_type in PASSED else None


def _vector(value: Value, contents: Contents) -> Value | None:
    """A constant that every sample gets: one number, or a vector as the last axis of ones."""
    shape = value.tensor.shape
    if any(size != 1 for size in shape[:-1]):
        return None
    flat = shape[-1:]
    return value if shape == flat else derive(value.tensor.name, flat, [value], contents, lambda a: a[0].reshape(flat))


def _product(node: NodeProto, owner: Scope, contents: Contents, follow: Callable[[str], Form | None]) -> Form | None:
    """MatMul(x, W), or Gemm(x, W or its transpose, b), as a term whose rows are outputs."""
    if len(node.input) < 2 or isinstance(value := fold(node.input[1], owner, contents), str):
        return None
    if len(value.tensor.shape) != 2:
        return None
    transposed, bias = False, Form()
    if node.op_type == "Gemm":
        numbers = {a.name: (a.i, a.f) for a in node.attribute}
        if numbers.get("transA", (0, 0))[0] or {numbers.get(n, (0, 1.0))[1] for n in ("alpha", "beta")} != {1.0}:
            return None
        transposed = bool(numbers.get("transB", (0, 0))[0])
        if len(node.input) == 3 and node.input[2]:
            if (added := follow(node.input[2])) is None:
                return None
            bias = added
    name, origin = value.tensor.name, value.tensor.sources or (value.tensor.name,)
    if not transposed:
        value = derive(name, value.tensor.shape[::-1], [value], contents, lambda a: a[0].T)
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


def _part(
    node: NodeProto, index: int, owner: Scope, contents: Contents, follow: Callable[[str], Form | None]
) -> Form | None:
    """A range of the last axis; a range of another axis is the same sum."""
    axis = _axis(node, owner, contents)
    if axis is None or (whole := follow(node.input[0])) is None:
        return None
    if axis == 0:
        return whole
    width = whole.width
    if width is None:
        return None
    inputs = [fold(name, owner, contents) if name else None for name in node.input[1:]]
    if any(isinstance(value, str) for value in inputs):
        return None
    # the node as it works on the last axis alone, whatever the rank of its input is
    given = [value.tensor if isinstance(value, Value) else None for value in inputs]
    sizes = Tensor("", (width,), "int64", lambda: np.arange(width))
    part = _range(node, [sizes, *given], index, owner)
    if part is None:
        return None
    start, stop = part
    terms = tuple(_rows(term, start, stop, contents) for term in whole.terms)
    return Form(terms, tuple(_entries(bias, start, stop, contents) for bias in whole.biases))


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
        value = fold(node.input[3], owner, contents)
        if isinstance(value, str) or value.tensor.load is None or value.tensor.shape not in ((), (1,)):
            return None
        listed = [int(value.tensor.load().reshape(()))]
    return listed[0] if len(listed) == 1 else None


def _rows(term: Term, start: int, stop: int, contents: Contents) -> Term:
    shape = (stop - start, term.matrix.tensor.shape[1])
    matrix = derive(term.matrix.tensor.name, shape, [term.matrix], contents, lambda a: a[0][start:stop])
    return Term(term.scope, term.name, matrix, term.origin, (term.rows[0] + start, term.rows[0] + stop))


def _entries(bias: Value, start: int, stop: int, contents: Contents) -> Value:
    if bias.tensor.shape in ((), (1,)):
        return bias
    return derive(bias.tensor.name, (stop - start,), [bias], contents, lambda a: a[0][start:stop])


def columns(term: Term, start: int, stop: int, contents: Contents) -> Value:
    """Some columns of a term's matrix: those that one part of a joined value meets."""
    shape = (term.matrix.tensor.shape[0], stop - start)
    return derive(term.matrix.tensor.name, shape, [term.matrix], contents, lambda a: a[0][:, start:stop])


def total(biases: Sequence[Value], rows: int, contents: Contents) -> Value | None:
    """The sum of the biases, `rows` long; None where there is none."""
    if not biases:
        return None
    if len(biases) == 1 and biases[0].tensor.shape == (rows,):
        return biases[0]
    if any(bias.tensor.shape not in ((), (1,), (rows,)) for bias in biases):
        return None

    def add(arrays: list[Array]) -> Array:
        return np.broadcast_to(sum(arrays[1:], arrays[0]), (rows,))

    return derive(biases[0].tensor.name, (rows,), list(biases), contents, add)


def derive(
    name: str, shape: tuple[int, ...], values: list[Value], contents: Contents, compute: Callable[[list[Array]], Array]
) -> Value:
    """A constant worked out from others."""
    result = Result(shape, values[0].tensor.dtype, tuple(value.tensor for value in values), compute)
    return fold_result(result, values, name, name, contents)
