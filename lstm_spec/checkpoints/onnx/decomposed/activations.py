"""What an ONNX graph applies to a value, by one node or by several: `Sigmoid`, `Div(z, 1 + Abs(z))` → our function.

Exporters write one function in several ways; each way is a line of the table. Nothing else is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm_spec.checkpoints.onnx.decomposed.linear_forms import root, worked_out
from lstm_spec.checkpoints.onnx.folding import DOMAINS
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value
from lstm_spec.layers.tensors import float32_text

if TYPE_CHECKING:
    from onnx import NodeProto

Z = "z"  # the argument; other letters are numbers that the function takes, and a number is that number
Operand = str | float | None  # a name of the graph, or a number of an attribute
SIGMOID_SUM = ("Add", 1.0, ("Exp", ("Neg", Z)))
# The first that fits is taken. Sources: the operators' schemas; torch.onnx's decompositions of softsign (opset 18) and
# hardsigmoid; Keras 3's hard_sigmoid, relu6(z + 3) / 6; sigmoid(z) = (tanh(z / 2) + 1) / 2.
PATTERNS: tuple[tuple[str, Any], ...] = (
    ("sigmoid", ("Sigmoid", Z)),
    ("tanh", ("Tanh", Z)),
    ("relu", ("Relu", Z)),
    ("softsign", ("Softsign", Z)),
    ("softplus", ("Softplus", Z)),
    ("hard_sigmoid({a}, {b})", ("HardSigmoid", Z, "a", "b")),
    ("elu({a})", ("Elu", Z, "a")),
    ("leaky_relu({a})", ("LeakyRelu", Z, "a")),
    ("softsign", ("Div", Z, ("Add", 1.0, ("Abs", Z)))),
    ("sigmoid", ("Div", 1.0, SIGMOID_SUM)),
    ("sigmoid", ("Reciprocal", SIGMOID_SUM)),
    ("sigmoid", ("Add", 0.5, ("Mul", 0.5, ("Tanh", ("Mul", 0.5, Z))))),
    ("hard_sigmoid(1/6, 1/2)", ("Div", ("Clip", ("Add", 3.0, Z), 0.0, 6.0), 6.0)),
    ("hard_sigmoid(1/6, 1/2)", ("Mul", ("Clip", ("Add", 3.0, Z), 0.0, 6.0), 1 / 6)),
    ("hard_sigmoid({a}, {b})", ("Clip", ("Add", "b", ("Mul", "a", Z)), 0.0, 1.0)),
    ("clip({a}, {b})", ("Clip", Z, "a", "b")),
)
COMMUTATIVE = ("Add", "Mul")
# Numbers that stand in attributes, in the order of their operands, with the operator's defaults.
ATTRIBUTES = {
    "HardSigmoid": (("alpha", 0.2), ("beta", 0.5)),
    "Elu": (("alpha", 1.0),),
    "LeakyRelu": (("alpha", 0.01),),
    "Clip": (("min", None), ("max", None)),
}
HIDING = {pattern[0] for _, pattern in PATTERNS}  # the node types that a function ends with
MAX_ONES = 4
NUMBERS = ("float16", "float32", "float64", "int64")
LARGEST, SMALLEST = 1e9, 1e-9


@dataclass(frozen=True, slots=True)
class Applied:
    """A function as the equation language writes it, `hard_sigmoid(0.2, 0.5)`, and the value that it is applied to."""

    function: str
    scope: Scope
    name: str

    @property
    def argument(self) -> tuple[int, str]:
        return id(self.scope), self.name


def applied(name: str, scope: Scope, contents: Contents) -> Applied | None:
    """The function that makes a value, seen through Identity; None where the table has none."""
    return next(all_applied(name, scope, contents), None)


def all_applied(name: str, scope: Scope, contents: Contents) -> Iterator[Applied]:
    """Every reading of a value as a function of another."""
    owner, own = _as_it_is(name, scope, contents)
    made = owner.made.get(own)
    if made is None or made.node.op_type not in HIDING:
        return
    for function, pattern in PATTERNS:
        found: dict[str, Any] = {}
        if pattern[0] == made.node.op_type and fits(pattern, own, owner, contents, found):
            numbers = {letter: value for letter, value in found.items() if letter != Z}
            if all(value == 0 or SMALLEST <= abs(value) <= LARGEST for value in numbers.values()):
                written = {letter: float32_text(value) for letter, value in numbers.items()}
                yield Applied(function.format(**written), *found[Z])


def clipped(name: str, scope: Scope, contents: Contents) -> tuple[str, tuple[Scope, str]] | None:
    """The bound of Clip(value, -bound, bound), as it is written, and the value; None for any other."""
    found: dict[str, Any] = {}
    if not fits(("Clip", Z, "a", "b"), name, scope, contents, found) or not 0 < found["b"] == -found["a"] <= LARGEST:
        return None
    return float32_text(found["b"]), found[Z]


def number(operand: Operand, scope: Scope, contents: Contents) -> float | None:
    """The number that a constant holds, if it is one."""
    if operand is None or isinstance(operand, float):
        return operand
    value = worked_out(operand, scope, contents)
    if not isinstance(value, Value):
        owner, own = root(operand, scope)
        value = worked_out(own, owner, contents)
    if not isinstance(value, Value) or any(size != 1 for size in value.tensor.shape):
        return None
    if value.tensor.load is None or value.tensor.outside or value.tensor.dtype not in NUMBERS:
        return None
    return float(value.tensor.load().reshape(()))


def fits(pattern: Any, operand: Operand, scope: Scope, contents: Contents, found: dict[str, Any]) -> bool:
    """Whether the value is as the pattern says; fills `found` with what its letters are."""
    if pattern == Z:
        if not isinstance(operand, str):
            return False
        owner, own = _as_it_is(operand, scope, contents)
        first = found.setdefault(Z, (owner, own))
        return bool(first[0] is owner and first[1] == own)
    if not isinstance(pattern, tuple):
        known = number(operand, scope, contents)
        if isinstance(pattern, str):
            found[pattern] = known
            return known is not None
        return known is not None and abs(known - pattern) <= 1e-6
    if not isinstance(operand, str):
        return False
    owner, own = _as_it_is(operand, scope, contents)
    made = owner.made.get(own)
    if made is None or made.node.op_type != pattern[0] or made.node.domain not in DOMAINS:
        return False
    given = _operands(made.node, owner)
    orders = (given, given[::-1]) if pattern[0] in COMMUTATIVE else (given,)
    for order in orders:
        tried = dict(found)
        parts = zip(pattern[1:], order, strict=False)
        if len(order) == len(pattern) - 1 and all(fits(p, o, owner, contents, tried) for p, o in parts):
            found.update(tried)
            return True
    return False


def _as_it_is(name: str, scope: Scope, contents: Contents) -> tuple[Scope, str]:
    """The value, seen through nodes that hand it on and through factors of 1, which PyTorch's exporter leaves."""
    owner, own = root(name, scope)
    for _ in range(MAX_ONES):
        made = owner.made.get(own)
        if made is None or made.node.op_type != "Mul" or len(made.node.input) != 2:
            break
        given = list(made.node.input)
        kept = [value for value, other in (given, given[::-1]) if number(other, owner, contents) == 1]
        if not kept:
            break
        owner, own = root(kept[0], owner)
    return owner, own


def _operands(node: NodeProto, scope: Scope) -> list[Operand]:
    operands: list[Operand] = [name or None for name in node.input]
    for place, (name, default) in enumerate(ATTRIBUTES.get(node.op_type, ()), 1):
        if place >= len(operands):
            attribute = scope.attribute(node, name)
            operands.append(float(attribute.f) if attribute is not None else default)
    return operands
