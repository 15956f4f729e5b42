"""Equation text → `Cell`. The grammar is `language.lark`; nothing is ever evaluated.

Bounded from the first line: 64 kB of text, 200 levels or links of a chain, 30 digits, 3 digits of exponent.
`str(cell)` goes the other way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, UnexpectedInput, v_args
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive
from sympy import Integer, Rational

from lstm_spec.errors import CellError, Finding, safe
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
from lstm_spec.symbolic.cell import KEYWORDS, LINE_END, Cell, Declaration, Equation, Source, letter
from lstm_spec.symbolic.complaints import explain_syntax

MAX_TEXT, MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT = 64 * 1024, 200, 30, 3


def parse(text: str, name: str = "<text>") -> Cell:
    """The cell that a text in the equation language describes; `name` stands in its errors.

    >>> parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)").parameters
    ('W', 'U', 'b')

    Raises CellError, with the line and carets, when the text is too long, does not parse, or is not well formed.
    """
    if not isinstance(text, str):
        raise CellError(Finding("type", f"a {type(text).__name__} is no text", expected="equations, as str"))
    source = Source(safe(name), LINE_END.sub("\n", text.removeprefix("\ufeff")))
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise CellError(Finding("too-long", f"the text has more than {MAX_TEXT // 1024} kB", at=source.name))
    try:
        tree = grammar().parse(source.text + "\n")
        statements = Builder(source).transform(tree)
    except UnexpectedInput as error:
        raise explain_syntax(error, source) from None
    except _Refused as error:
        raise error.located(source) from None
    except VisitError as error:
        if isinstance(error.orig_exc, _Refused):
            raise error.orig_exc.located(source) from None
        raise
    return _assemble(statements, source)


@cache
def grammar() -> Lark:
    """The LALR parser, built once."""
    text = Path(__file__).with_suffix(".lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", postlex=_BracketedNewlines())


class _BracketedNewlines:
    """Drops the line breaks inside ( ) and [ ], and bounds how deep brackets nest."""

    always_accept = ("NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        for token in stream:
            depth += (token.type in ("CALL", "LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB"))
            if depth > MAX_DEPTH:
                raise _Refused("too-deep", f"brackets nest deeper than {MAX_DEPTH}", _span(token))
            if token.type != "NEWLINE" or depth <= 0:
                yield token


class _Refused(Exception):
    """A refusal inside the parser, before its text is at hand to be quoted."""

    def __init__(self, code: str, message: str, span: Span, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.help = code, message, span, help

    def located(self, source: Source) -> CellError:
        return CellError(Finding(self.code, self.message, at=source.quote(self.span), help=self.help))


def _span(token: Token) -> Span:
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
        return Declaration(self._word(name), sums, _span(name).to(_span(sizes[-1])), order)

    def size(self, *terms: tuple[int, str]) -> list[tuple[int, str]]:
        return list(terms)

    def size_term(self, *parts: Token) -> tuple[int, str]:
        *factor, last = parts
        if last.type == "NUMBER":
            raise _Refused(
                "size",
                f"{last} is a number; a size in the equations is a letter",
                _span(last),
                "write a letter here and give its number to the layer: n=3, or --size n=3",
            )
        if factor and (not factor[0].isdigit() or int(factor[0]) == 0):
            raise _Refused("size", f"{factor[0]} is no whole factor ≥ 1", _span(factor[0]), "write 4k, or n + k")
        if last.endswith("'"):
            raise _Refused("size", f"{last} is no size letter", _span(last), "drop the prime")
        return int(_number(factor[0]).value if factor else 1), self._word(last)

    def equation(self, target: Token, expression: Node) -> Equation:
        return Equation((self._word(target),), expression, span=_span(target).to(_at(expression)))

    def total(self, target: Token, expression: Node) -> Equation:
        return Equation((self._word(target),), expression, total=True, span=_span(target).to(_at(expression)))

    def split(self, opening: Token, *rest: Any) -> Equation:
        *targets, _closing, expression = rest
        return Equation(tuple(map(self._word, targets)), expression, span=_span(opening).to(_at(expression)))

    def name(self, token: Token) -> Node:
        return self._node(Name(self._word(token, f"to call it, write {token}( without a space")), _span(token))

    def number(self, token: Token) -> Node:
        return self._node(_number(token), _span(token))

    def bracketed(self, opening: Token, inner: Node, closing: Token) -> Node:
        return inner

    def negate(self, minus: Token, operand: Node) -> Node:
        return self._node(Negate(operand), _span(minus).to(_at(operand)))

    def transpose(self, operand: Node, mark: Token) -> Node:
        return self._node(Transpose(operand), _at(operand).to(_span(mark)))

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
                raise _Refused(
                    "number",
                    f"{number} stands in a matrix product",
                    _at(left).to(_at(right)),
                    f"side by side is the matrix product; write {Multiply(left, right)}",
                )
        return self._node(Product(left, right), _at(left).to(_at(right)))

    def join(self, opening: Token, *rest: Any) -> Node:
        *parts, closing = rest
        return self._node(Join(*parts), _span(opening).to(_span(closing)))

    def call(self, opening: Token, *rest: Any) -> Node:
        *arguments, closing = rest
        function, span = opening[:-1], _span(opening).to(_span(closing))
        if function not in FUNCTIONS:
            raise _unknown_function(function, span)
        wanted = FUNCTIONS[function]
        if len(arguments) != wanted.tensors + wanted.numbers:
            raise _Refused("arguments", _arity(function, len(arguments)), span, f"{function}: {wanted.meaning}")
        tensors, numbers = arguments[: wanted.tensors], arguments[wanted.tensors :]
        return self._node(Call(function, *tensors, *(self._constant(function, n) for n in numbers)), span)

    def _constant(self, function: str, node: Node) -> Node:
        return self._node(_constant(function, node), _at(node))

    def _node(self, node: Node, span: Span) -> Node:
        depth = 1 + max((self.depths.get(id(o), 0) for o in node.operands), default=0)
        if depth > MAX_DEPTH:
            raise _Refused("too-deep", f"more than {MAX_DEPTH} levels, or links of a chain", span, "use two equations")
        self.depths[id(node)] = depth
        node.at(span)
        return node

    def _word(self, token: Token, help: str = "choose another name") -> str:
        if token in FUNCTIONS:
            raise _Refused("reserved", f"{token} is a function: nothing can be named so", _span(token), help)
        if token in KEYWORDS:
            hint = "choose another name"
            raise _Refused("reserved", f"{token} is a keyword: nothing can be named so", _span(token), hint)
        return str(token)


def _at(node: Node) -> Span:
    return node.span or Span(1, 1, 1, 1)


def _number(token: Token) -> Number:
    digits, _, exponent = token.lower().partition("e")
    if len(digits.replace(".", "")) > MAX_DIGITS or len(exponent.lstrip("+-")) > MAX_EXPONENT:
        limits = f"a number has at most {MAX_DIGITS} digits, and {MAX_EXPONENT} in its exponent"
        raise _Refused("number", limits, _span(token))
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
            return Number(value, written).at(node.span)  # type: ignore[no-any-return]
        raise _Refused("number", "a division by zero", _at(node), "write a number")
    if isinstance(inner, Number):
        return Number(-inner.value if sign else inner.value, sign + inner.written).at(node.span)  # type: ignore[no-any-return]
    raise _Refused("arguments", f"{node} is no number", _at(node), f"{function} takes numbers after its first argument")


def _arity(function: str, found: int) -> str:
    wanted = FUNCTIONS[function]
    parts = [f"{wanted.tensors} tensor{'s' * (wanted.tensors > 1)}"]
    if wanted.numbers:
        parts.append(f"{wanted.numbers} number{'s' * (wanted.numbers > 1)}")
    return f"{function} takes {' and '.join(parts)}, not {found} argument{'s' * (found != 1)}"


def _unknown_function(function: str, span: Span) -> _Refused:
    near = get_close_matches(function, FUNCTIONS, n=1)
    guess = f"did you mean {near[0]}?\n" if near else ""
    hint = f"{guess}for a matrix product put a space before the bracket: {function} (…)"
    return _Refused("function", f"{function} is no function that is known", span, hint)


def _assemble(statements: list[Any], source: Source) -> Cell:
    """The statements, gathered by kind."""
    declared: dict[str, list[Any]] = {"input": [], "state": [], "let": [], "output": []}
    for statement in statements:
        if isinstance(statement, tuple):
            declared[statement[0]] += statement[1]
    return Cell(
        inputs=tuple(declared["input"]),
        states=tuple(declared["state"]),
        lets=tuple(declared["let"]),
        outputs=tuple(declared["output"]) or ("h",),
        equations=tuple(s for s in statements if isinstance(s, Equation)),
        description=_description(source.text),
        source=source,
    )


def _description(text: str) -> str:
    """The leading block of comments, without its marks."""
    block = re.match(r"\s*((?:[ \t]*#[^\n]*(?:\n|$))*)", text)
    lines = block.group(1).split("\n") if block else []
    return "\n".join(line.strip().removeprefix("#").removeprefix(" ") for line in lines).removesuffix("\n")
