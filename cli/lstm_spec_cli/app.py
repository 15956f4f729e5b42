"""The command `lstm-spec`: reads the arguments, calls one command, shows its answer, and settles the exit code.

0 yes · 1 no: it does not conform, or has several readings · 2 the question was wrong · 101 our bug
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from traceback import print_exc
from typing import Annotated, cast

import typer

from lstm_spec import __version__
from lstm_spec.errors import Finding, LstmSpecError, safe
from lstm_spec_cli.output import INTERRUPTED, OUR_BUG, PIPE_CLOSED, WRONG_QUESTION, Answer, complain, show

NAME = "lstm-spec"
FEW_COLLECTIONS = 100_000  # SymPy makes half a million objects that stay: there is no garbage to look for
UsageError = cast("type[Exception]", typer.BadParameter.__base__)  # typer exports the class itself under no name

# The commands in the order of --help; each stands in the module of its name, which is loaded when it is asked for.
COMMANDS = (
    "shapes",
    "equations",
    "params",
    "code",
    "cost",
    "solve",
    "gradients",
    "jacobian",
    "bounds",
    "cells",
    "unit",
    "network",
    "run",
    "trace",
    "check",
    "spec",
    "identify",
    "convert",
    "compare",
    "dialects",
    "glossary",
)
# A negative size must reach the library's own message.
TAKES_SIZES = ("shapes", "params", "code", "cost", "solve", "gradients", "bounds", "unit", "network")


def application(asked: str) -> typer.Typer:
    """What the parser knows: the command that is asked for, or all of them for --help and for a near miss."""
    # Rich-formatted help doubles the start of `--help`.
    made = typer.Typer(
        name=NAME,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(settings)
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        command = getattr(import_module(f"lstm_spec_cli.{name}"), name)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name, context_settings={"ignore_unknown_options": name in TAKES_SIZES})(command)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


def settings(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", hidden=True)] = False,
) -> None:
    """What an LSTM is, derived from one definition; and whether a real layer or file is that."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    gc.set_threshold(FEW_COLLECTIONS)
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    try:
        if sys.stdout is None:  # closed by the caller: >&-
            raise LstmSpecError(Finding("output", "the answer cannot be written", because="standard output is closed"))
        return _answer(arguments)
    except LstmSpecError as error:
        complain(str(error))
    except UsageError as error:
        complain(_usage(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED
    except MemoryError:
        complain("error[too-large]: this needs more memory than there is\n  help     smaller sizes, batches or times")
    except Exception as error:
        if "--traceback" in arguments:
            print_exc()
        complain(_internal(error, arguments))
        return OUR_BUG
    return WRONG_QUESTION


def _answer(arguments: list[str]) -> int:
    asked = next((a for a in arguments if not a.startswith("-")), "")
    given = application(asked)(args=arguments or ["--help"], prog_name=NAME, standalone_mode=False)
    answer = (
        given if isinstance(given, Answer) else Answer(code=int(given or 0))
    )  # --help and --version print themselves
    show(answer)
    return answer.code


def _usage(error: Exception) -> str:
    """The option parser's message in the form of our own."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else NAME
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"error[usage]: {safe(message)}\n  help     {command} --help"


def _internal(error: Exception, arguments: list[str]) -> str:
    import platform

    command = " ".join(safe(a, 80) for a in arguments)
    return "\n".join(
        [
            f"internal error: {type(error).__name__}: {safe(error, 500)}",
            "  This is a fault of lstm-spec, not of your question. Please report it with these lines",
            "  and what the same command prints with --traceback before its name.",
            f"  version  {NAME} {__version__}, Python {platform.python_version()}, {sys.platform}",
            f"  command  {NAME} {command}",
        ]
    )
