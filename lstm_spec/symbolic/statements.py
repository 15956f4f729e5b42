"""Parse tree → statements: declarations, names of outputs, and equations, in the written order.

What the grammar lets pass and the language does not is refused here: unknown functions, reserved names, numbers in
matrix products, and what is nested too deeply or has too many digits.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from lark import Token, v_args
from lark.visitors import Transformer_NonRecursive
from sympy import Integer, Rational

from lstm_spec.errors import CellError, Finding
from lstm_spec.phrases import counted
from lstm_spec.symbolic.algebra import (
    FUNCTIONS,
    Add,
    Call,
    Divide,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Span,
    Subtract,
    Transpose,
)
from lstm_spec.symbolic.cell import KEYWORDS, Declaration, Equation, Source, letter

MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT = 200, 30, 3


class Refused(Exception):
    """A refusal inside the parser, before its text is at hand to be quoted."""

    def __init__(self, code: str, message: str, span: Span, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.help = code, message, span, help

    def located(self, source: Source) -> CellError:
        """The error, with its line and carets."""
        return CellError(Finding(self.code, self.message, at=source.quote(self.span), help=self.help))


def span_of(token: Token) -> Span:
    """Where a token stands."""
    return Span(token.line or 1, token.column or 1, token.end_line or 1, token.end_column or 1)


@v_args(inline=True)
class Builder(Transformer_NonRecursive[Token, Any]):
    """Parse tree → statements: (keyword, declarations or names) and equations, in the written order."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.depths: dict[int, int] = {}

    def start(self, *statements: Any) -> list[Any]:
        return [s for s in statements if not isinstance(s, Token)]

    def inputs(self, declared: list[Declaration]) -> tuple[str, list[Declaration]]:
        return "input", declared

    def states(self, declared: list[Declaration]) -> tuple[str, list[Declaration]]:
        return "state", declared

    def lets(self, declared: list[Declaration]) -> tuple[str, list[Declaration]]:
        return "let", declared

    def outputs(self, *names: Token) -> tuple[str, list[str]]:
        return "output", [self._word(n) for n in names]

    def declarations(self, *declared: Declaration) -> list[Declaration]:
        return list(declared)

    def declaration(self, name: Token, opening: Token, *sizes: Any) -> Declaration:
        lengths: list[list[tuple[int, str]]] = [s for s in sizes if not isinstance(s, Token)]
        order = tuple(dict.fromkeys(word for terms in lengths for _, word in terms))
        sums = tuple(sum((factor * letter(word) for factor, word in terms), Integer(0)) for terms in lengths)
        return Declaration(self._word(name), sums, span_of(name).to(span_of(sizes[-1])), order)

    def size(self, *terms: tuple[int, str]) -> list[tuple[int, str]]:
        return list(terms)

    def size_term(self, *parts: Token) -> tuple[int, str]:
        *factor, last = parts
        if last.type == "NUMBER":
            raise Refused(
                "size",
                f"{last} is a number; a size in the equations is a letter",
                span_of(last),
                "write a letter here and give its number to the layer: n=3, or --size n=3",
            )
        if factor and (not factor[0].isdigit() or not factor[0].strip("0")):
            raise Refused("size", f"{factor[0]} is no whole factor ≥ 1", span_of(factor[0]), "write 4k, or n + k")
        if last.endswith("'"):
            raise Refused("size", f"{last} is no size letter", span_of(last), "drop the prime")
        return int(_number(factor[0]).value if factor else 1), self._word(last)

    def equation(self, target: Token, expression: Node) -> Equation:
        return Equation((self._word(target),), expression, span=span_of(target).to(_at(expression)))

    def total(self, target: Token, expression: Node) -> Equation:
        return Equation((self._word(target),), expression, total=True, span=span_of(target).to(_at(expression)))

    def split(self, opening: Token, *rest: Any) -> Equation:
        *targets, _closing, expression = rest
        return Equation(tuple(map(self._word, targets)), expression, span=span_of(opening).to(_at(expression)))

    def name(self, token: Token) -> Node:
        return self._node(Name(self._word(token, f"to call it, write {token}( without a space")), span_of(token))

    def number(self, token: Token) -> Node:
        return self._node(_number(token), span_of(token))

    def bracketed(self, opening: Token, inner: Node, closing: Token) -> Node:
        return inner

    def negate(self, minus: Token, operand: Node) -> Node:
        return self._node(Negate(operand), span_of(minus).to(_at(operand)))

    def transpose(self, operand: Node, mark: Token) -> Node:
        return self._node(Transpose(operand), _at(operand).to(span_of(mark)))

    def add(self, left: Node, right: Node) -> Node:
        return self._node(Add(left, right), _at(left).to(_at(right)))

    def subtract(self, left: Node, right: Node) -> Node:
        return self._node(Subtract(left, right), _at(left).to(_at(right)))

    def multiply(self, left: Node, right: Node) -> Node:
        return self._node(Multiply(left, right), _at(left).to(_at(right)))

    def divide(self, left: Node, right: Node) -> Node:
        return self._node(Divide(left, right), _at(left).to(_at(right)))

    def product(self, left: Node, right: Node) -> Node:
        for number in (left, right):
            if isinstance(number, Number):
                raise Refused(
                    "number",
                    f"{number} stands in a matrix product",
                    _at(left).to(_at(right)),
                    f"side by side is the matrix product; write {Multiply(left, right)}",
                )
        return self._node(Product(left, right), _at(left).to(_at(right)))

    def join(self, opening: Token, *rest: Any) -> Node:
        *parts, closing = rest
        return self._node(Join(*parts), span_of(opening).to(span_of(closing)))

    def call(self, opening: Token, *rest: Any) -> Node:
        *arguments, closing = rest
        function, span = opening[:-1], span_of(opening).to(span_of(closing))
        if function not in FUNCTIONS:
            raise _unknown_function(function, span)
        wanted = FUNCTIONS[function]
        if len(arguments) != wanted.tensors + wanted.numbers:
            raise Refused("arguments", _arity(function, len(arguments)), span, f"{function}: {wanted.meaning}")
        tensors, numbers = arguments[: wanted.tensors], arguments[wanted.tensors :]
        return self._node(Call(function, *tensors, *(self._constant(function, n) for n in numbers)), span)

    def _constant(self, function: str, node: Node) -> Node:
        return self._node(_constant(function, node), _at(node))

    def _node(self, node: Node, span: Span) -> Node:
        depth = 1 + max((self.depths.get(id(o), 0) for o in node.operands), default=0)
        if depth > MAX_DEPTH:
            raise Refused("too-deep", f"more than {MAX_DEPTH} levels, or links of a chain", span, "use two equations")
        self.depths[id(node)] = depth
        node.at(span)
        return node

    def _word(self, token: Token, help: str = "choose another name") -> str:
        if token in FUNCTIONS:
            raise Refused("reserved", f"{token} is a function: nothing can be named so", span_of(token), help)
        if token in KEYWORDS:
            hint = "choose another name"
            raise Refused("reserved", f"{token} is a keyword: nothing can be named so", span_of(token), hint)
        return str(token)


def _at(node: Node) -> Span:
    return node.span or Span(1, 1, 1, 1)


def _number(token: Token) -> Number:
    digits, _, exponent = token.lower().partition("e")
    if len(digits.replace(".", "")) > MAX_DIGITS or len(exponent.lstrip("+-")) > MAX_EXPONENT:
        limits = f"a number has at most {MAX_DIGITS} digits, and {MAX_EXPONENT} in its exponent"
        raise Refused("number", limits, span_of(token))
    number: Number = Number(Rational(str(token)), str(token))
    return number


def _constant(function: str, node: Node) -> Number:
    """`-1`, `1/6`, `1e-5` as one exact number; anything else in its place is refused."""
    sign = ""
    inner = node
    while isinstance(inner, Negate):
        sign, inner = ("" if sign else "-"), inner.operand
    if isinstance(inner, Divide) and isinstance(inner.left, Number | Negate) and isinstance(inner.right, Number):
        top = _constant(function, inner.left)
        if inner.right.value != 0:
            written = f"{sign}{top.written}/{inner.right.written}".removeprefix("--")
            value = (-1 if sign else 1) * top.value / inner.right.value
            return Number(value, written).at(node.span)
        raise Refused("number", "a division by zero", _at(node), "write a number")
    if isinstance(inner, Number):
        return Number(-inner.value if sign else inner.value, sign + inner.written).at(node.span)
    raise Refused("arguments", f"{node} is no number", _at(node), f"{function} takes numbers after its first argument")


def _arity(function: str, found: int) -> str:
    wanted = FUNCTIONS[function]
    parts = [counted(wanted.tensors, "tensor")]
    if wanted.numbers:
        parts.append(counted(wanted.numbers, "number"))
    return f"{function} takes {' and '.join(parts)}, not {counted(found, 'argument')}"


def _unknown_function(function: str, span: Span) -> Refused:
    near = get_close_matches(function, FUNCTIONS, n=1)
    guess = f"did you mean {near[0]}?\n" if near else ""
    hint = f"{guess}for a matrix product put a space before the bracket: {function} (…)"
    return Refused("function", f"{function} is no function that is known", span, hint)
