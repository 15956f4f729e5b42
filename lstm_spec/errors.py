"""What can go wrong, and how it is told: where, expected, found, because, what to do.

    LstmSpecError               the question was wrong; the command exits with 2
    ├── CellError               equations: syntax, dimensions, names
    ├── SizeError               sizes: not an integer, too small, given twice, left open
    ├── OptionError             an option that does not exist, or does not go with another
    ├── TensorError             an array: its name, shape, dtype or value
    ├── FileError               a file: missing, truncated, not what it says it is
    └── MissingPackageError     an extra is not installed
    InternalError               a law of our own was broken; the command exits with 101

An error and a finding of a check carry the same value, `Finding`. Nothing here prints, and nothing here
imports the rest of the package.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

SAFE_LENGTH = 200


def safe(text: object, limit: int | None = SAFE_LENGTH) -> str:
    r"""A stranger's words, with everything that could steer a terminal written out.

    >>> safe("lstm\x1b[31m\u202ekernel")
    'lstm\\x1b[31m\\u202ekernel'

    Control, format, surrogate, private and separator characters are escaped; a longer text than `limit` is cut.
    """
    shown = "".join(_escaped(ch) if unicodedata.category(ch)[0] in "CZ" and ch != " " else ch for ch in str(text))
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def _escaped(ch: str) -> str:
    code = ord(ch)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    `at` says where (a second line may quote it, a third may point with carets); `because` and `help` are one
    sentence or several lines.
    """

    code: str
    message: str
    at: str = ""
    expected: str = ""
    found: str = ""
    because: str = ""
    help: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {_harmless(self.message)}"]
        for label in ("at", "expected", "found", "because", "help"):
            text = getattr(self, label)
            for number, line in enumerate(text.splitlines() if text else ()):
                lines.append(f"  {label if number == 0 else '':<8} {_harmless(line)}".rstrip())
        return "\n".join(lines)

    def to_dict(self) -> dict[str, str]:
        """The fields that say something, for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(Finding) if getattr(self, f.name)}


def _harmless(line: str) -> str:
    return safe(line, limit=None)


class LstmSpecError(ValueError):
    """The question was wrong. `finding` holds the parts of the message."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return str(self.finding)

    @property
    def code(self) -> str:
        """The short name in brackets, e.g. `dimension`."""
        return self.finding.code


class CellError(LstmSpecError):
    """Equations that do not parse, do not fit, or are not read."""


class SizeError(LstmSpecError):
    """A size that is not one, is given twice, or is left open where a number is needed."""


class OptionError(LstmSpecError):
    """An option that does not exist, contradicts another, or that a target cannot express."""


class TensorError(LstmSpecError):
    """An array whose name, shape, dtype or value is not what the layer derives."""


class FileError(LstmSpecError):
    """A file that is missing, truncated, or not what its name says."""


class MissingPackageError(LstmSpecError):
    """A package of one of the extras is needed and is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.asked = package, extra, purpose
        super().__init__(
            Finding(
                "missing-package",
                f"{purpose} needs the package {package}, which is not installed",
                help=f'pip install "lstm-spec[{extra}]"',
            )
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.asked  # an exception crosses processes by its arguments


class InternalError(Exception):
    """A stage broke its own promise: our bug, never the user's."""
