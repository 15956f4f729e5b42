"""A stranger's JSON → plain values, with bounds that are checked before the parser builds anything.

`json` recurses with the nesting, keeps the last of two equal keys, and makes floats of `NaN`: all of that is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import accumulate
from typing import Any, NoReturn

from lstm_spec.checkpoints.files import malformed
from lstm_spec.errors import safe

MAX_DEPTH = 100
# Parsed, a table takes some 200 bytes: 600 000 take about 100 MB.
MAX_PARTS = 600_000
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
NO_COMMAS = bytes(set(range(256)) - set(b",[{"))


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """The table that `data` writes. Raises Malformed for what is no table, is ambiguous, too deep or too much."""
    _check_bounds(data, what)
    try:
        parsed = json.loads(str(data, "utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except ValueError as error:
        raise malformed("config", f"{what} is not JSON", because=safe(error)) from None
    if type(parsed) is not dict:
        raise malformed("config", f"{what} is not a table", found=safe(type(parsed).__name__))
    return parsed


def _check_bounds(data: bytes, what: str) -> None:
    outside = b"".join(data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    parts = len(outside.translate(None, NO_COMMAS))
    if parts > MAX_PARTS:
        raise malformed("too-large", f"{what} has too many parts", expected=f"at most {MAX_PARTS}", found=f"{parts}")
    brackets = outside.translate(None, NO_BRACKETS)
    depth = max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    if depth > MAX_DEPTH:
        raise malformed(
            "nesting", f"{what} is nested too deeply", expected=f"at most {MAX_DEPTH} levels", found=f"{depth}"
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise malformed("duplicate", f"the configuration names {safe(twice)} twice")
    return table


def _no_number(text: str) -> NoReturn:
    raise malformed("config", "the configuration holds a number that is none", found=safe(text))
