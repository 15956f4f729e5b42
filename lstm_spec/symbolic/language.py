"""Equation text → `Cell`, by way of `statements`. The grammar is `language.lark`; nothing is ever evaluated.

Bounded from the first line: 64 kB of text, 200 levels or links of a chain, 30 digits, 3 digits of exponent.
`str(cell)` goes the other way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, UnexpectedInput
from lark.exceptions import VisitError

from lstm_spec.errors import CellError, Finding, safe
from lstm_spec.symbolic.cell import LINE_END, Cell, Equation, Source
from lstm_spec.symbolic.complaints import explain_syntax
from lstm_spec.symbolic.statements import MAX_DEPTH, Builder, Refused, span_of

MAX_TEXT = 64 * 1024


def parse(text: str, name: str = "<text>") -> Cell:
    """The cell that a text in the equation language describes; `name` stands in its errors.

    >>> parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)").parameters
    ('W', 'U', 'b')

    Raises CellError, with the line and carets, when the text is too long, does not parse, or is not well formed.
    """
    return assemble(*read_statements(text, name))


def read_statements(text: str, name: str = "<text>") -> tuple[list[Any], Source]:
    """The declarations, `("input", [x[n]])`, and equations of a text that may be no whole cell; and the text itself.

    Raises CellError when the text is too long or does not parse.
    """
    if not isinstance(text, str):
        raise CellError(Finding("type", f"a {type(text).__name__} is no text", expected="equations, as str"))
    source = Source(safe(name), LINE_END.sub("\n", text.removeprefix("\ufeff")))
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise CellError(Finding("too-long", f"the text has more than {MAX_TEXT // 1024} kB", at=source.name))
    try:
        tree = grammar().parse(source.text + "\n")
        return Builder(source).transform(tree), source
    except UnexpectedInput as error:
        raise explain_syntax(error, source) from None
    except Refused as error:
        raise error.located(source) from None
    except VisitError as error:
        if isinstance(error.orig_exc, Refused):
            raise error.orig_exc.located(source) from None
        raise


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
                raise Refused("too-deep", f"brackets nest deeper than {MAX_DEPTH}", span_of(token))
            if token.type != "NEWLINE" or depth <= 0:
                yield token


def assemble(statements: list[Any], source: Source) -> Cell:
    """A cell of the statements, gathered by kind. Raises CellError when they are not well formed."""
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
