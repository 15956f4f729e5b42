"""A stranger's JSON, before and while it is parsed: how much stands outside its strings, how deeply it nests.

`json` recurses with the nesting, keeps the last of two equal keys, and makes floats of `NaN`: what a format parses with
it is measured first, and a key that is given twice is refused. Parses nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from lstm_spec.checkpoints.files import malformed
from lstm_spec.errors import safe

NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def drop_escapes(data: bytes) -> bytes:
    """The text without escaped backslashes and quotes, so that every quote that is left begins or ends a string."""
    return data.replace(rb"\\", b"").replace(rb"\"", b"")


def drop_strings(plain: bytes) -> bytes:
    """What stands outside of the strings of a text without escapes."""
    return b"".join(plain.split(b'"')[::2])


def keep_brackets(outside: bytes) -> bytes:
    """The brackets alone, of what stands outside of strings."""
    return outside.translate(None, NO_BRACKETS)


def measure_depth(brackets: bytes) -> int:
    """How deeply brackets nest."""
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def refuse_doubles(what: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """For `object_pairs_hook`: the pairs as a table. It raises Malformed for a key that `what` gives twice."""

    def table_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise malformed("duplicate", f"{what} names {safe(twice)} twice")
        return table

    return table_of
