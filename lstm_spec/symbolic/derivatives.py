"""The derivative of an elementwise function, from SymPy, as an expression of the equation language.

Each function has its SymPy form once; SymPy differentiates it, and what is shorter in terms of the function's own value
is written so: σ' = y (1 - y), tanh' = 1 - y². A kink has PyTorch's derivative: relu'(0) = 0, clip' = 1 at its bounds,
hard_sigmoid' = 0 there, and each side of a tied max gets one half. Knows no equations and no cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from typing import Any

from sympy import Abs, Expr, Or, Piecewise, Pow, Rational, Symbol, exp, factor, log, sign, sqrt, tanh, together
from sympy.core.relational import GreaterThan, LessThan, StrictGreaterThan, StrictLessThan

from lstm_spec.symbolic.algebra import Add, Call, Divide, Multiply, Negate, Node, Number, Subtract

Y = Symbol("y", real=True)  # the function's value
Z = Symbol("z", real=True)  # its tensors
OTHER = Symbol("w", real=True)
A, C = Symbol("a", real=True), Symbol("c", real=True)  # its numbers
SIZE = Symbol("s", positive=True)
LINE = A * Z + C

# function → its SymPy form, and what of its derivative is shorter in the value y
FORMS: dict[str, tuple[Expr, Mapping[Expr, Expr]]] = {
    "sigmoid": (1 / (1 + exp(-Z)), {exp(-Z): (1 - Y) / Y}),
    "tanh": (tanh(Z), {tanh(Z): Y}),
    "relu": (Piecewise((Z, Z > 0), (0, True)), {Z: Y}),  # y > 0 where z > 0
    "exp": (exp(Z), {exp(Z): Y}),
    "log": (log(Z), {}),
    "sqrt": (sqrt(Z), {sqrt(Z): Y}),
    "abs": (Abs(Z), {}),
    "softplus": (log(1 + exp(Z)), {}),
    "softsign": (Z / (1 + Abs(Z)), {Z * sign(Z): SIZE, Abs(Z): SIZE}),
    "hard_sigmoid": (Piecewise((0, LINE <= 0), (1, LINE >= 1), (LINE, True)), {LINE: Y}),
    "leaky_relu": (Piecewise((Z, Z > 0), (A * Z, True)), {}),
    "elu": (Piecewise((Z, Z > 0), (A * (exp(Z) - 1), True)), {exp(Z): (Y + A) / A}),
    "clip": (Piecewise((A, Z < A), (C, Z > C), (Z, True)), {}),
    "max": ((Z + OTHER + Abs(Z - OTHER)) / 2, {}),
}
CONSTANT = ("step",)  # its derivative is 0 wherever it has one
NUMBERS: dict[str, tuple[Any, ...]] = {"hard_sigmoid": (A, C), "leaky_relu": (A,), "elu": (A,), "clip": (A, C)}


def derivative(call: Call, value: Node, side: int = 0) -> Node:
    """What a change of one tensor does to the function's value, entry by entry; `value` is that value, as it is named.

    >>> from lstm_spec.symbolic.algebra import Name
    >>> print(derivative(Call("sigmoid", Name("z")), Name("f")))
    f * (1 - f)

    Raises KeyError for a function across entries: it has no derivative entry by entry.
    """
    numbers = dict(zip(NUMBERS.get(call.function, ()), call.numbers, strict=True))
    symbols = dict(zip((Z, OTHER), call.tensors, strict=False))
    written: Expr = _derived(call.function, side).xreplace(numbers)
    return node_of(written, symbols | {Y: value, SIZE: Call("abs", call.tensors[0])})


@cache
def _derived(function: str, side: int) -> Expr:
    """SymPy's derivative, with the shorter forms put in."""
    form, shorter = FORMS[function]
    found = form.diff((Z, OTHER)[side])
    if function == "softplus":
        return Symbol("sigmoid") if together(found - 1 / (1 + exp(-Z))).simplify() == 0 else found
    for long, short in shorter.items():
        found = found.subs(long, short)
    return found if found.has(Piecewise) else factor(found) if function != "tanh" else found


def node_of(expr: Expr, symbols: Mapping[Any, Node]) -> Node:
    """A SymPy expression as a node; a condition becomes `step`. `symbols` has the nodes of its symbols."""
    if expr.is_Symbol:
        return Call("sigmoid", symbols[Z]) if expr.name == "sigmoid" else symbols[expr]
    if expr.is_Rational:
        return number(expr)
    if isinstance(expr, Abs | exp):
        return Call("abs" if isinstance(expr, Abs) else "exp", node_of(expr.args[0], symbols))
    if isinstance(expr, sign):
        up, down = (_step(side * expr.args[0], symbols) for side in (1, -1))
        return Subtract(up, down)
    if isinstance(expr, Piecewise):
        return _pieces(list(expr.args), symbols)
    if expr.is_Add:
        return _sum(list(expr.args), symbols)
    if isinstance(expr, Pow) and not (expr.exp.is_Integer and expr.exp > 0):
        return Divide(Number(1), node_of(1 / expr, symbols))
    if isinstance(expr, Pow):
        return reduce(Multiply, [node_of(expr.base, symbols)] * int(expr.exp))
    return _product(expr, symbols)


def _sum(terms: list[Expr], symbols: Mapping[Any, Node]) -> Node:
    """`1 - y`, `y + a`: what is subtracted comes last, and a number first only where something is."""
    minus = [t.could_extract_minus_sign() for t in terms]
    number_is_last = not any(minus)
    ranked = sorted(terms, key=lambda t: (t.could_extract_minus_sign(), t.is_number == number_is_last, str(t)))
    return reduce(added, [node_of(term, symbols) for term in ranked])


def _product(expr: Expr, symbols: Mapping[Any, Node]) -> Node:
    """Names first, then sums, then what it is divided by; `-a` where the factor is -1."""
    top, bottom = expr.as_numer_denom()
    factors = sorted(top.as_ordered_factors(), key=lambda f: (not f.is_number, f.is_Add, str(f)))
    minus = factors[0] == -1
    if minus and factors[-1].is_Add:
        factors, minus = [*factors[1:-1], -factors[-1]], False  # 1 - y and not -(y - 1)
    made = [node_of(f, symbols) for f in factors[minus:]] or [Number(1)]
    node = reduce(Multiply, made)
    node = node if bottom == 1 else Divide(node, node_of(bottom, symbols))
    return negated(node) if minus else node


def _step(expr: Expr, symbols: Mapping[Any, Node]) -> Node:
    return Call("step", node_of(expr, symbols))


def _pieces(pieces: list[Any], symbols: Mapping[Any, Node]) -> Node:
    """`value where condition, else the rest`, each condition a step."""
    (value, condition), *rest = ((piece.args[0], piece.args[1]) for piece in pieces)
    if condition == True:  # noqa: E712  # SymPy's own truth
        return node_of(value, symbols)
    is_so, is_not = _condition(condition, symbols)
    other = _pieces(pieces[1:], symbols) if rest else Number(0)
    return added(scaled(node_of(value, symbols), is_so), scaled(other, is_not))


def _condition(condition: Any, symbols: Mapping[Any, Node]) -> tuple[Node, Node]:
    """1 where it holds, else 0; and the other way round."""
    if isinstance(condition, Or):
        neither = reduce(scaled, (_condition(c, symbols)[1] for c in sorted(condition.args, key=str)))
        return Subtract(Number(1), neither), neither
    above = isinstance(condition, StrictGreaterThan | GreaterThan)
    strict = isinstance(condition, StrictGreaterThan | StrictLessThan)
    if not isinstance(condition, StrictGreaterThan | GreaterThan | StrictLessThan | LessThan):
        raise TypeError(f"no condition of an entry: {condition}")
    difference = condition.lhs - condition.rhs
    step = _step(difference if above == strict else -difference, symbols)
    opposite = Subtract(Number(1), step)
    return (step, opposite) if strict else (opposite, step)


# ---- expressions without what changes nothing ----


def is_number(node: Node, value: int) -> bool:
    """Whether a node is that number."""
    return isinstance(node, Number) and bool(node.value == value)


def scaled(left: Node, right: Node) -> Node:
    """`left * right`; a factor of 1 is left out, one of 0 is all there is, a minus stands in front."""
    for one, other in ((left, right), (right, left)):
        if is_number(one, 0) or is_number(other, 1):
            return one
    if isinstance(left, Negate) and isinstance(right, Negate):
        return scaled(left.operand, right.operand)
    if isinstance(left, Negate):
        return negated(scaled(left.operand, right))
    if isinstance(right, Negate):
        return negated(scaled(left, right.operand))
    if isinstance(right, Multiply):
        return scaled(scaled(left, right.left), right.right)
    if isinstance(right, Divide):
        return Divide(scaled(left, right.left), right.right)
    return Multiply(left, right)


def added(left: Node, right: Node) -> Node:
    """`left + right`, without a 0, and with a minus for what is negated."""
    if is_number(left, 0) or is_number(right, 0):
        return right if is_number(left, 0) else left
    if isinstance(right, Negate):
        return Subtract(left, right.operand)
    if isinstance(right, Add):
        return added(added(left, right.left), right.right)
    if isinstance(right, Subtract):
        return Subtract(added(left, right.left), right.right)
    if isinstance(left, Negate) and not isinstance(left.operand, Number):
        return Subtract(right, left.operand)
    return Add(left, right)


def negated(node: Node) -> Node:
    """`-node`; twice negated is itself, and a difference turns round."""
    if isinstance(node, Subtract):
        return Subtract(node.right, node.left)
    return node.operand if isinstance(node, Negate) else Negate(node)


def number(value: Any) -> Node:
    """An exact number as the language writes it: `-3`, `0.5`, `1 / 6`."""
    if value < 0:
        return Negate(number(-value))
    if value.is_Integer:
        return Number(value)
    decimal = repr(float(value))
    if Rational(decimal) == value:
        return Number(value, decimal)
    return Divide(Number(value.p), Number(value.q))
