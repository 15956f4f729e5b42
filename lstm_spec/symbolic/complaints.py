"""A parser's complaint → a `CellError` in a person's words: where, what stands there, what may.

Comes in: lark's exception and the text. Goes out: one error; nothing is parsed again and nothing is guessed but the
bracket that was left open.
"""

from __future__ import annotations

import re

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from lstm_spec.errors import CellError, Finding, safe
from lstm_spec.symbolic.algebra import Span
from lstm_spec.symbolic.cell import KEYWORDS, Source

WORDS = {
    "NEWLINE": "the end of the line",
    "NAME": "a name",
    "NUMBER": "a number",
    "CALL": "a function call",
    "EQUAL": "=",
    "_ADDS": "+=",
    "COMMA": "a comma",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "TRANSPOSE": "^T",
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "INPUT": "input",
    "STATE": "state",
    "LET": "let",
    "OUTPUT": "output",
}
OPENERS = {"NAME", "NUMBER", "CALL", "LPAR", "LSQB", "MINUS"}
HELP = {
    "^": "a power is not in the language; W^T transposes, and the T ends the word",
    "@": "side by side is the matrix product: W x",
    "'": "one prime, right after the name of a state: c'",
    ";": "write each equation on a line of its own",
    "\N{MINUS SIGN}": "write -",
    "σ": "write sigmoid",
} | dict.fromkeys("⊙∘·×", "write * for the elementwise product")


def explain_syntax(error: UnexpectedInput, source: Source) -> CellError:
    """The error `syntax` for what the parser met, with its place quoted."""
    if isinstance(error, UnexpectedCharacters):
        return _strange_character(error, source)
    token = error.token if isinstance(error, UnexpectedToken) else Token("$END", "")
    opened = _open_bracket(source.text, len(source.text) if token.type == "$END" else token.start_pos or 0)
    if opened and token.type in ("$END", "EQUAL", "_ADDS"):
        met = "the end of the text" if token.type == "$END" else f"{token} on line {token.line}"
        help = "close it; a line may break inside a bracket, so the next line was read on"
        return CellError(Finding("syntax", "this bracket is never closed", source.quote(opened), found=met, help=help))
    met = {"$END": "the end of the text", "NEWLINE": "the end of the line"}.get(token.type) or safe(token)
    accepted, place = _accepted(error), source.quote(_place(token, source))
    help = _help(error, token, accepted)
    return CellError(Finding("syntax", f"{met} does not fit here", place, _wanted(accepted), help=help))


def _strange_character(error: UnexpectedCharacters, source: Source) -> CellError:
    found = source.lines[error.line - 1][error.column - 1]
    place = Span(error.line, error.column, error.line, error.column + 1)
    ours = "" if found.isascii() else "names are ASCII letters, digits and _"
    message = f"{safe(found)} is not in the language"
    return CellError(Finding("syntax", message, source.quote(place), help=HELP.get(found, ours)))


def _place(token: Token, source: Source) -> Span:
    """Where a token stands; what has no width is just after the last line's end."""
    if token.type == "$END" or token.line is None:
        last = len(source.lines)
        return Span(last, len(source.lines[-1]) + 1, last, len(source.lines[-1]) + 2)
    column, width = token.column or 1, 1 if token.type == "NEWLINE" else len(token)
    return Span(token.line, column, token.line, column + width)


def _open_bracket(text: str, end: int) -> Span | None:
    """The innermost bracket that is open where the parser stopped."""
    opened: list[int] = []
    for mark in re.finditer(r"#[^\n]*|[()\[\]]", text[:end]):
        if mark[0] in ("(", "["):
            opened.append(mark.start())
        elif mark[0] in (")", "]") and opened:
            opened.pop()
    if not opened:
        return None
    before = text[: opened[-1]]
    line, column = before.count("\n") + 1, opened[-1] - before.rfind("\n")
    return Span(line, column, line, column + 1)


def _accepted(error: UnexpectedInput) -> set[str]:
    return set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ()) - {"$END"}


def _wanted(accepted: set[str]) -> str:
    if accepted >= OPENERS:
        accepted = accepted - OPENERS | {"a tensor, a number or a call"}
    return ", ".join(sorted(WORDS.get(a, a) for a in accepted))


def _help(error: UnexpectedInput, token: Token, accepted: set[str]) -> str:
    ends_early = token.type == "NEWLINE" and accepted & {"EQUAL", "NAME"}
    goes_on = token.type != "NEWLINE" and "INPUT" in accepted
    if ends_early or goes_on:
        return "a line may break only inside ( ) or [ ]"
    before = (getattr(error, "token_history", None) or [None])[-1]
    word = str(before)
    return f"{word} is a keyword: what follows it is declared" if word in KEYWORDS else ""
