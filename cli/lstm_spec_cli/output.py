"""What a command answers → the terminal. Results go to stdout, everything else to stderr.

A terminal gets colours and tables that fold at its width; a pipe gets plain lines, never folded, so that they can be
searched. Control characters are written out, wherever they came from.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from lstm_spec.errors import Finding, LstmSpecError, safe
from lstm_spec.render.tables import Table, plain

if TYPE_CHECKING:
    from rich.table import Table as RichTable
    from rich.text import Text

CONFORMS, DOES_NOT_CONFORM, WRONG_QUESTION, OUR_BUG, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 101, 130, 141


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: parts for stdout with a blank line between them, a remark for stderr, the exit code."""

    parts: tuple[str | Table, ...] = ()
    remark: str = ""
    code: int = CONFORMS


def answer_json(value: Any, code: int = CONFORMS) -> Answer:
    """The value's `to_dict()`, and nothing else."""
    return answer_json_of(value.to_dict(), code)


def answer_json_of(plain: Any, code: int = CONFORMS) -> Answer:
    """Plain values as JSON."""
    import json

    return Answer((json.dumps(plain),), code=code)


def show(answer: Answer) -> None:
    """Print an answer. Raises BrokenPipeError when its reader has gone, LstmSpecError when it cannot be written."""
    try:
        for number, part in enumerate(answer.parts):
            _show_part(part, blank_before=number > 0)
        if answer.remark:
            _print(answer.remark, sys.stderr)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except OSError as error:
        # What is left in the buffer goes nowhere, so that the interpreter's own flush at the end succeeds.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        finding = Finding("output", "the answer cannot be written", because=error.strerror or str(error))
        raise LstmSpecError(finding) from None


def _show_part(part: str | Table, blank_before: bool) -> None:
    if blank_before:
        _print("", sys.stdout)
    if isinstance(part, Table) and sys.stdout.isatty():
        _print_folded(part)
    else:
        _print(plain(part) if isinstance(part, Table) else part.removesuffix("\n"), sys.stdout)


def complain(message: str) -> None:
    """Print an error to stderr, its first word in red on a terminal that shows colours."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    head, colon, rest = _harmless(message).partition(":")
    console.print(_text(head, "bold red").append(colon + rest, style="not bold default"))


def _print(text: str, stream: TextIO) -> None:
    print(_harmless(text), file=stream)


def _harmless(text: str) -> str:
    """Every line with its control characters written out."""
    return "\n".join(line if line.isascii() and line.isprintable() else safe(line, None) for line in text.split("\n"))


def _print_folded(table: Table) -> None:
    """A table on a terminal: columns fold within its width."""
    from rich.console import Console

    Console(highlight=False, emoji=False).print(_folded(table))


def _folded(table: Table) -> RichTable:
    from rich.table import Table as RichTable

    folded = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in table.headings:
        folded.add_column(_text(heading), overflow="fold")
    for group in table.groups:
        folded.add_row()
        for row in group:
            folded.add_row(*(_text(safe(cell, None)) for cell in row))
    return folded


def _text(words: str, style: str = "") -> Text:
    """Words as they are: a `Text` is never read as markup."""
    from rich.text import Text

    return Text(words, style=style)
