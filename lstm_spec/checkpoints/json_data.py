"""A stranger's JSON → plain values, with bounds that are checked before the parser builds anything.

`json` recurses with the nesting, keeps the last of two equal keys, and makes floats of `NaN`: all of that is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import accumulate
from typing import Any, NoReturn

from lstm_spec.checkpoints.files import malformed
from lstm_spec.errors import safe

MAX_DEPTH = 100
# Parsed, a table takes some 200 bytes: 600 000 take about 100 MB.
MAX_PARTS = 600_000
# Each part follows a comma or a bracket and has at most a key and a text, of two quotes each.
QUOTES = 4
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
NO_COMMAS = bytes(set(range(256)) - set(b",[{"))


def parse_json(data: bytes, what: str, code: str = "config", most: int = MAX_PARTS) -> dict[str, Any]:
    """The table that `data` writes.

    Raises Malformed, under `code`, for what is no table or is ambiguous; and for what is too deep or has more parts
    than `most`.
    """
    _check_bounds(data, what, most)
    try:
        parsed = json.loads(
            str(data, "utf-8"),
            object_pairs_hook=partial(_unique, what),
            parse_constant=partial(_no_number, what, code),
        )
    except ValueError as error:
        raise malformed(code, f"{what} is not JSON", because=safe(error)) from None
    if type(parsed) is not dict:
        raise malformed(code, f"{what} is not a table", found=safe(type(parsed).__name__))
    return parsed


def _check_bounds(data: bytes, what: str, most: int) -> None:
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > QUOTES * most:
        raise malformed("too-large", f"{what} has too many strings", expected=f"at most {QUOTES * most // 2}")
    outside = b"".join(plain.split(b'"')[::2])
    parts = len(outside.translate(None, NO_COMMAS))
    if parts > most:
        raise malformed("too-large", f"{what} has too many parts", expected=f"at most {most}", found=f"{parts}")
    brackets = outside.translate(None, NO_BRACKETS)
    depth = max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    if depth > MAX_DEPTH:
        raise malformed(
            "nesting", f"{what} is nested too deeply", expected=f"at most {MAX_DEPTH} levels", found=f"{depth}"
        )


def _unique(what: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise malformed("duplicate", f"{what} names {safe(twice)} twice")
    return table


def _no_number(what: str, code: str, text: str) -> NoReturn:
    raise malformed(code, f"{what} holds a number that is none", found=safe(text))
